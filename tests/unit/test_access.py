"""A refusal of access, read: who, what, where, by which policy, and the statement to add."""

from __future__ import annotations

import json

import pytest

from deploy_action.access import Denial
from deploy_action.errors import AwsError, Refusal

ROLE = "arn:aws:sts::123456789012:assumed-role/deploy/run"
SERVICE = "arn:aws:ecs:eu-west-1:123456789012:service/prod/web"
TASK_ROLE = "arn:aws:iam::123456789012:role/web-task"
DENIED = f"User: {ROLE} is not authorized to perform: ecs:UpdateService on resource: {SERVICE}"
PASS_ROLE = f"User: {ROLE} is not authorized to perform: iam:PassRole on resource: {TASK_ROLE}"


def statement(fix: str) -> dict[str, object]:
    """The statement at the end of a fix."""
    value: dict[str, object] = json.loads(fix[fix.index("{") :])
    return value


def test_the_statement_names_the_action_and_the_resource() -> None:
    fix = Denial.read(f"{DENIED} because no identity-based policy allows it").fix()

    assert fix.startswith(f"Allow `ecs:UpdateService` on {SERVICE} for the role deploy.")
    assert statement(fix) == {"Effect": "Allow", "Action": "ecs:UpdateService", "Resource": SERVICE}


def test_every_role_that_is_handed_over_stands_in_the_statement() -> None:
    error = AwsError("ecs:RegisterTaskDefinition", Refusal.DENIED, "AccessDenied", PASS_ROLE)
    error.passes = (TASK_ROLE, "arn:aws:iam::123456789012:role/web-exec")

    assert statement(error.fix) == {
        "Effect": "Allow",
        "Action": "iam:PassRole",
        "Resource": [TASK_ROLE, "arn:aws:iam::123456789012:role/web-exec"],
        "Condition": {"StringEquals": {"iam:PassedToService": "ecs-tasks.amazonaws.com"}},
    }


KINDS = {
    "with an explicit deny in a service control policy": "whoever owns the organisation",
    "because no service control policy allows the ecs:UpdateService action": "owns the organis",
    "with an explicit deny in a resource control policy": "whoever owns the organisation",
    "because no permissions boundary allows the ecs:UpdateService action": "permissions boundary",
    "because no session policy allows the ecs:UpdateService action": "session policy",
    "because no VPC endpoint policy allows the ecs:UpdateService action": "VPC endpoint",
    "because no resource-based policy allows ecs:UpdateService": "of the resource itself",
    "with an explicit deny in an identity-based policy": "explicit deny of `ecs:UpdateService`",
}


@pytest.mark.parametrize(("text", "words"), KINDS.items(), ids=KINDS.keys())
def test_the_kind_of_policy_decides_what_to_change(text: str, words: str) -> None:
    assert words in Denial.read(f"{DENIED} {text}").fix()


def test_where_an_allow_cannot_help_no_statement_is_offered() -> None:
    for text in (
        "with an explicit deny in a policy",
        "because no service control policy allows it",
    ):
        assert "{" not in Denial.read(f"{DENIED} {text}").fix()


WORDINGS = {
    "a user": (
        (
            "User: arn:aws:iam::123456789012:user/path/ci is not authorized to perform: "
            "ecr:GetAuthorizationToken on resource: * because no identity-based policy allows it"
        ),
        ("the user ci", "ecr:GetAuthorizationToken", "*"),
    ),
    "a resource in quotes": (
        f'User: {ROLE} is not authorized to perform: s3:GetObject on resource: "arn:aws:s3:::b/k"',
        ("the role deploy", "s3:GetObject", "arn:aws:s3:::b/k"),
    ),
    "another partition": (
        DENIED.replace("arn:aws:", "arn:aws-cn:"),
        ("the role deploy", "ecs:UpdateService", SERVICE.replace("arn:aws:", "arn:aws-cn:")),
    ),
    "nobody": ("Access Denied", ("", "ecs:UpdateService", "*")),
}


@pytest.mark.parametrize(("text", "known"), WORDINGS.values(), ids=WORDINGS.keys())
def test_reads_what_a_message_tells(text: str, known: tuple[str, str, str]) -> None:
    denial = Denial.read(text, "ecs:UpdateService")

    assert (denial.principal, denial.action, denial.resource) == known
