"""The container of the command before the release."""

from __future__ import annotations

from typing import Any

import pytest

from deploy_action.model import Json
from deploy_action.preflight.one_off import container_of, judge
from tests.unit.builders import read
from tests.unit.preflight.facts import body, container, facts, kinds, words

LOGGED: Json = {
    "logConfiguration": {
        "logDriver": "awslogs",
        "options": {"awslogs-group": "/web", "awslogs-stream-prefix": "ecs"},
    }
}
PROXY = container("proxy", essential=False)


def judged(*containers: Json, gets: tuple[str, ...] = ("web",), **given: str) -> list[Any]:
    inputs = {"pre_deploy_command": "./migrate", **given}
    return list(judge(facts(given=inputs, body=body(*containers), containers=gets)))


def test_without_a_command_there_is_nothing_to_say() -> None:
    assert judged(pre_deploy_command="") == []
    assert judged(operation="restart") == []


def test_the_container_that_gets_the_image_runs_it() -> None:
    found = judged(container(**LOGGED), PROXY)

    assert words(found) == [
        "Passed: `pre-deploy-command` runs in 'web' before the service is touched"
    ]


def test_a_log_that_cannot_be_shown_warns() -> None:
    assert kinds(judged(container())) == ["Passed", "Warned"]


REFUSED = {
    "unknown": ((container(),), ("web",), {"pre_deploy_container": "wep"}, "no container 'wep'"),
    "not essential": (
        (container(), PROXY),
        ("web",),
        {"pre_deploy_container": "proxy"},
        "'proxy' is not essential",
    ),
    "two get the image": (
        (container(), container("api")),
        ("web", "api"),
        {},
        "The new revision has 'web' and 'api', and not exactly one",
    ),
    "none gets it": ((container(), container("api")), (), {}, "It is not clear which"),
}


@pytest.mark.parametrize(
    ("containers", "gets", "given", "said"), REFUSED.values(), ids=REFUSED.keys()
)
def test_refuses(
    containers: tuple[Json, ...], gets: tuple[str, ...], given: dict[str, str], said: str
) -> None:
    (text,) = words(judged(*containers, gets=gets, **given))

    assert text.startswith("Refused: ")
    assert said in text


def test_the_only_container_runs_it_where_its_image_is_spelled_out() -> None:
    assert container_of(read(pre_deploy_command="a"), (), body()) == "web"
