"""RunTask, StopTask and the look for a task that nobody named."""

from __future__ import annotations

from typing import Any

import pytest

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.ecs import Ecs
from deploy_action.model import Definition, Task
from tests.gateways.wire import Json, Wire

ARN = "arn:aws:ecs:eu-west-1:123456789012"
ROLES = ("arn:aws:iam::123456789012:role/task", "arn:aws:iam::123456789012:role/execution")
DEFINITION = Definition(
    arn=f"{ARN}:task-definition/web:42",
    status="ACTIVE",
    body={"taskRoleArn": ROLES[0], "executionRoleArn": ROLES[1]},
)
NETWORK: Json = {
    "awsvpcConfiguration": {
        "subnets": ["subnet-1"],
        "securityGroups": ["sg-1"],
        "assignPublicIp": "DISABLED",
    }
}
TASK: Json = {"taskArn": f"{ARN}:task/prod/7c1d", "lastStatus": "PROVISIONING"}


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def ecs(wire: Wire) -> Ecs:
    return Ecs(wire.session, "prod")


def run(ecs: Ecs, *, with_tags: bool = True, **placement: Any) -> Task:  # noqa: ANN401
    return ecs.run_task(
        DEFINITION,
        "web",
        ("rake", "db:migrate"),
        placement=placement,
        token="t" * 64,
        started_by="ecs-deploy/7c1d",
        with_tags=with_tags,
    )


def test_asks_for_one_task_with_a_token_and_a_name(wire: Wire, ecs: Ecs) -> None:
    wire.answers("RunTask", {"tasks": [TASK], "failures": []})

    task = run(ecs, launchType="FARGATE", networkConfiguration=NETWORK)

    assert (task.id, task.last_status) == ("7c1d", "PROVISIONING")
    assert wire.sent("RunTask") == [
        {
            "cluster": "prod",
            "taskDefinition": DEFINITION.arn,
            "overrides": {
                "containerOverrides": [{"name": "web", "command": ["rake", "db:migrate"]}]
            },
            "clientToken": "t" * 64,
            "startedBy": "ecs-deploy/7c1d",
            "launchType": "FARGATE",
            "networkConfiguration": NETWORK,
            "propagateTags": "TASK_DEFINITION",
        }
    ]


def test_leaves_the_tags_out_where_they_are_not_wanted(wire: Wire, ecs: Ecs) -> None:
    wire.answers("RunTask", {"tasks": [TASK]})

    run(ecs, with_tags=False)

    assert "propagateTags" not in wire.sent("RunTask")[0]


@pytest.mark.parametrize(
    ("answer", "code", "message"),
    [
        ({"failures": [{"reason": "RESOURCE:CPU"}]}, "RESOURCE:CPU", "no task could be placed"),
        ({"failures": [{"reason": "AGENT", "detail": "gone"}]}, "AGENT", "gone"),
        ({}, "the answer names no task", "no task could be placed"),
    ],
)
def test_an_answer_without_a_task_is_a_refusal(
    wire: Wire, ecs: Ecs, answer: Json, code: str, message: str
) -> None:
    wire.answers("RunTask", answer)

    with pytest.raises(AwsError) as caught:
        run(ecs)

    assert caught.value.refusal is Refusal.CONFLICT
    assert (caught.value.code, caught.value.message) == (code, message)


def test_a_refusal_names_the_roles_that_are_handed_over(wire: Wire, ecs: Ecs) -> None:
    wire.refuses("RunTask", "AccessDeniedException", "not authorized to perform: iam:PassRole")

    with pytest.raises(AwsError) as caught:
        run(ecs)

    assert caught.value.passes == ROLES


def test_stops_a_task_with_a_reason(wire: Wire, ecs: Ecs) -> None:
    wire.answers("StopTask", {"task": {**TASK, "stopCode": "UserInitiated"}})

    assert ecs.stop_task(TASK["taskArn"], "cancelled").stop_code == "UserInitiated"
    assert wire.sent("StopTask") == [
        {"cluster": "prod", "task": TASK["taskArn"], "reason": "cancelled"}
    ]


def test_finds_tasks_by_what_started_them(wire: Wire, ecs: Ecs) -> None:
    wire.answers("ListTasks", {"taskArns": ["a"]})

    assert ecs.running_arns("ecs-deploy/7c1d") == ["a"]
    assert wire.sent("ListTasks") == [{"cluster": "prod", "startedBy": "ecs-deploy/7c1d"}]


STRATEGY = [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]
PLACEMENTS: dict[str, tuple[Json, Json]] = {
    "on Fargate": (
        {
            "launchType": "FARGATE",
            "platformVersion": "1.4.0",
            "networkConfiguration": NETWORK,
            "placementConstraints": [],
            "enableECSManagedTags": True,
        },
        {
            "launchType": "FARGATE",
            "platformVersion": "1.4.0",
            "networkConfiguration": NETWORK,
            "enableECSManagedTags": True,
        },
    ),
    "with capacity providers": (
        {"capacityProviderStrategy": STRATEGY, "networkConfiguration": NETWORK},
        {"capacityProviderStrategy": STRATEGY, "networkConfiguration": NETWORK},
    ),
    "on instances": (
        {
            "launchType": "EC2",
            "placementConstraints": [{"type": "distinctInstance"}],
            "placementStrategy": [{"type": "spread", "field": "instanceId"}],
        },
        {
            "launchType": "EC2",
            "placementConstraints": [{"type": "distinctInstance"}],
            "placementStrategy": [{"type": "spread", "field": "instanceId"}],
        },
    ),
}


@pytest.mark.parametrize(("service", "placement"), PLACEMENTS.values(), ids=PLACEMENTS.keys())
def test_a_task_is_placed_like_those_of_the_service(
    wire: Wire, ecs: Ecs, service: Json, placement: Json
) -> None:
    wire.answers("DescribeServices", {"services": [{"serviceName": "web", **service}]})
    wire.answers("RunTask", {"tasks": [TASK]})

    found = ecs.service("web").placement
    run(ecs, **found)

    assert found == placement
    assert wire.sent("RunTask")[0].items() >= placement.items()
