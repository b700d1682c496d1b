"""The simulator's IAM: what a policy allows, and what it is asked."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.simulator import World
from tests.simulator.policy import Check, allows, without

WEB = "arn:aws:ecs:eu-west-1:123456789012:service/prod/web"
CLUSTER = "arn:aws:ecs:eu-west-1:123456789012:cluster/prod"


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: str | list[str], resource: str = "*", **more: Any) -> dict[str, Any]:  # noqa: ANN401
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


@pytest.mark.parametrize(
    ("statement", "expected"),
    [
        (allow("ecs:UpdateService", WEB), True),
        (allow("ecs:updateservice", WEB), True),
        (allow("ecs:*", WEB), True),
        (allow(["ecr:*", "ecs:Update?ervice"], WEB), True),
        (allow("ecs:UpdateService", WEB + "*"), True),
        (allow("ecs:UpdateService", "arn:aws:ecs:*:*:service/*/web"), True),
        (allow("ecs:UpdateService"), True),
        (allow("ecs:UpdateService", WEB.upper()), False),
        (allow("ecs:UpdateService", WEB + "?"), False),
        (allow("ecs:UpdateService", CLUSTER), False),
        (allow("ecs:Update", WEB), False),
    ],
)
def test_an_allow_must_fit_action_and_resource(
    statement: dict[str, Any], *, expected: bool
) -> None:
    assert allows(policy(statement), Check("ecs:UpdateService", WEB)) is expected


def test_nothing_is_allowed_without_a_statement() -> None:
    assert not allows(policy(), Check("ecs:UpdateService", WEB))


def test_a_deny_wins() -> None:
    both = policy(allow("ecs:*"), {**allow("*", WEB), "Effect": "Deny"})

    assert not allows(both, Check("ecs:UpdateService", WEB))
    assert allows(both, Check("ecs:UpdateService", CLUSTER))


@pytest.mark.parametrize(
    ("operator", "value", "given", "expected"),
    [
        ("ArnEquals", CLUSTER, CLUSTER, True),
        ("ArnEquals", CLUSTER + "*", CLUSTER, True),
        ("ArnEquals", CLUSTER, CLUSTER + "-2", False),
        ("ArnEquals", CLUSTER, None, False),
        ("StringEquals", [CLUSTER, "x"], CLUSTER, True),
        ("StringEquals", CLUSTER[:-1] + "*", CLUSTER, False),
        ("StringEquals", CLUSTER, None, False),
    ],
)
def test_a_condition_must_hold(
    operator: str, value: str | list[str], given: str | None, *, expected: bool
) -> None:
    document = policy(allow("ecs:ListTasks", Condition={operator: {"ecs:cluster": value}}))
    context = () if given is None else (("ecs:cluster", given),)

    assert allows(document, Check("ecs:ListTasks", context=context)) is expected


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "Allow", "NotAction": "ecs:*", "Resource": "*", "Action": "ecs:*"},
        allow("ecs:*", Condition={"StringLike": {"ecs:cluster": "*"}}),
    ],
)
def test_what_it_does_not_know_is_a_mistake(statement: dict[str, Any]) -> None:
    with pytest.raises(AssertionError, match="does not know"):
        allows(policy(statement), Check("ecs:ListTasks"))


def test_an_action_can_be_struck_out() -> None:
    less = without(
        policy(allow(["ecs:ListTasks", "ecs:RunTask"]), allow("ecs:RunTask")), "ecs:RunTask"
    )

    assert [s["Action"] for s in less["Statement"]] == [["ecs:ListTasks"]]


def test_a_refused_call_names_action_and_resource() -> None:
    world = World()
    world.cluster("prod")
    world.obey(policy(allow("ecs:DescribeServices", WEB)))
    ecs = world.session().client("ecs")

    with world.simulated_time():
        ecs.describe_services(cluster="prod", services=["web"])
        with pytest.raises(ClientError) as refused:
            ecs.describe_services(cluster="prod", services=["api"])

    said = refused.value.response["Error"]
    assert said["Code"] == "AccessDeniedException"
    assert f"ecs:DescribeServices on resource: {WEB[:-3]}api because" in said["Message"]


def test_roles_are_checked_when_they_are_handed_over() -> None:
    world = World()
    role = "arn:aws:iam::123456789012:role/"
    to_tasks = {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}}
    world.obey(
        policy(
            allow("ecs:RegisterTaskDefinition"),
            allow("iam:PassRole", role + "execution", Condition=to_tasks),
        )
    )
    ecs = world.session().client("ecs")
    body: Any = {"family": "web", "containerDefinitions": [{"name": "web", "image": "x"}]}

    with world.simulated_time():
        ecs.register_task_definition(**body, executionRoleArn=role + "execution")
        with pytest.raises(ClientError, match=f"iam:PassRole on resource: {role}admin"):
            ecs.register_task_definition(**body, taskRoleArn=role + "admin")
        with pytest.raises(ClientError, match="ecs:TagResource on resource"):
            ecs.register_task_definition(**body, tags=[{"key": "a", "value": "b"}])


def test_everybody_may_ask_who_he_is() -> None:
    world = World()
    world.obey(policy())

    with world.simulated_time():
        assert world.session().client("sts").get_caller_identity()["Account"] == "123456789012"
