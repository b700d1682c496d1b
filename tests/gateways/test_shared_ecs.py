"""Amazon ECS for several services: what is put into one call, and who gets which part of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

import pytest

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.shared_ecs import SharedEcs
from deploy_action.ports import Batch
from tests.gateways.wire import Json, Wire

K = TypeVar("K")
T = TypeVar("T")
TASK = "arn:aws:ecs:eu-west-1:123456789012:task/prod/"


class Together:
    """Asks for all the keys that it was told of, whoever asks."""

    def __init__(self, *keys: Any) -> None:  # noqa: ANN401 - whatever is asked for
        self.keys = keys

    def __call__(self, batch: Batch[K, T], key: K) -> T:
        answers = batch(list(dict.fromkeys([*self.keys, key])))
        answer = answers[key]
        if isinstance(answer, Exception):
            raise answer
        return answer


def services(names: Sequence[str]) -> list[Json]:
    return [{"serviceName": name, "status": "ACTIVE"} for name in names]


def tasks_of(owners: Mapping[str, str]) -> Any:  # noqa: ANN401 - a reply of the wire
    def described(body: Json) -> Json:
        return {
            "tasks": [{"taskArn": arn, "group": owners[arn]} for arn in body["tasks"]],
            "failures": [],
        }

    return described


@pytest.fixture
def wire() -> Wire:
    return Wire()


def test_services_are_read_by_tens(wire: Wire) -> None:
    names = [f"web{number}" for number in range(23)]
    wire.answers_by("DescribeServices", lambda body: {"services": services(body["services"])})

    assert SharedEcs(wire.session, "prod", Together(*names)).service("web7").name == "web7"

    asked = [body["services"] for body in wire.sent("DescribeServices")]
    assert [len(part) for part in asked] == [10, 10, 3]
    assert [name for part in asked for name in part] == names


def test_one_that_is_missing_is_missing_for_itself_alone(wire: Wire) -> None:
    wire.answers(
        "DescribeServices",
        {
            "services": services(["web"]),
            "failures": [{"arn": "arn:aws:ecs:x:1:service/prod/wrker", "reason": "MISSING"}],
        },
    )
    ecs = SharedEcs(wire.session, "prod", Together("web", "wrker"))

    assert ecs.service("web").name == "web"
    with pytest.raises(AwsError) as caught:
        ecs.service("wrker")

    assert caught.value.refusal is Refusal.MISSING


def test_a_refused_call_is_refused_to_all_it_was_for(wire: Wire) -> None:
    wire.refuses("DescribeServices", "AccessDeniedException")
    ecs = SharedEcs(wire.session, "prod", Together("web", "worker"))

    for name in ("web", "worker"):
        with pytest.raises(AwsError) as caught:
            ecs.service(name)
        assert caught.value.refusal is Refusal.DENIED


def test_the_tasks_of_several_services_come_from_one_list(wire: Wire) -> None:
    wire.answers("ListTasks", {"taskArns": [TASK + "1", TASK + "2", TASK + "3"]})
    owners = {TASK + "1": "service:web", TASK + "2": "family:job", TASK + "3": "service:worker"}
    wire.answers_by("DescribeTasks", tasks_of(owners))
    ecs = SharedEcs(wire.session, "prod", Together("web", "worker"))

    assert ecs.task_arns("web", stopped=True) == [TASK + "1"]
    assert ecs.task_arns("worker", stopped=True) == [TASK + "3"]

    assert all("serviceName" not in body for body in wire.sent("ListTasks"))
    # Whose a task is, is asked once.
    assert len(wire.sent("DescribeTasks")) == 1


def test_a_crowded_cluster_is_asked_service_by_service(wire: Wire) -> None:
    """Two services among thousands of tasks of others."""

    def listed(body: Json) -> Json:
        if "serviceName" in body:
            return {"taskArns": [TASK + body["serviceName"]]}
        return {"taskArns": [TASK + "of-others"], "nextToken": "more"}

    wire.answers_by("ListTasks", listed)
    ecs = SharedEcs(wire.session, "prod", Together("web", "worker"))

    assert ecs.task_arns("web", stopped=False) == [TASK + "web"]
    assert ecs.task_arns("worker", stopped=False) == [TASK + "worker"]

    # It is tried once, for as many pages as there are services.
    assert len([b for b in wire.sent("ListTasks") if "serviceName" not in b]) == 2


def test_a_revision_is_read_once_but_a_family_each_time(wire: Wire) -> None:
    arn = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:7"
    wire.answers("DescribeTaskDefinition", {"taskDefinition": {"taskDefinitionArn": arn}})
    ecs = SharedEcs(wire.session, "prod", Together())

    for reference in (arn, arn, "web", "web"):
        assert ecs.definition(reference).arn == arn

    assert len(wire.sent("DescribeTaskDefinition")) == 3
