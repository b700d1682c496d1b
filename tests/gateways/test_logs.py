"""CloudWatch Logs: what one container wrote."""

from __future__ import annotations

import pytest

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.logs import Logs
from tests.gateways.wire import Wire


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_asks_for_the_newest_lines_and_gives_them_oldest_first(wire: Wire) -> None:
    wire.answers("GetLogEvents", {"events": [{"message": "one\n"}, {"message": " two  "}, {}]})

    assert Logs(wire.session).tail("/web", "ecs/app/7c1d", 30) == ["one", " two  ", ""]
    assert wire.sent("GetLogEvents") == [
        {
            "logGroupName": "/web",
            "logStreamName": "ecs/app/7c1d",
            "limit": 30,
            "startFromHead": False,
        }
    ]


def test_a_stream_without_lines_has_none(wire: Wire) -> None:
    wire.answers("GetLogEvents", {"events": []})

    assert Logs(wire.session).tail("/web", "s", 30) == []


def test_a_stream_that_is_not_there_is_missing(wire: Wire) -> None:
    wire.refuses("GetLogEvents", "ResourceNotFoundException", "no such stream")

    with pytest.raises(AwsError) as caught:
        Logs(wire.session).tail("/web", "s", 30)

    assert (caught.value.action, caught.value.refusal) == ("logs:GetLogEvents", Refusal.MISSING)


def test_reads_on_from_where_it_was(wire: Wire) -> None:
    logs = Logs(wire.session)
    wire.answers("GetLogEvents", {"events": [{"message": "one\n"}], "nextForwardToken": "f/1"})

    assert logs.after("/web", "ecs/app/7c1d", "") == (["one"], "f/1")
    assert logs.after("/web", "ecs/app/7c1d", "f/1") == (["one"], "f/1")

    place = {"logGroupName": "/web", "logStreamName": "ecs/app/7c1d", "startFromHead": True}
    assert wire.sent("GetLogEvents") == [place, {**place, "nextToken": "f/1"}]


def test_an_answer_without_a_place_to_read_on_from_cannot_be_read(wire: Wire) -> None:
    wire.answers("GetLogEvents", {"events": []})

    with pytest.raises(AwsError) as caught:
        Logs(wire.session).after("/web", "s", "")

    assert caught.value.refusal is Refusal.UNREACHABLE
