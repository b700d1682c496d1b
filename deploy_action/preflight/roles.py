"""The roles that are handed to the tasks: whether they exist and let ECS tasks assume them."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from deploy_action.preflight.check import Facts, Look, Outcome, Passed, Refused

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.gateways.iam import Iam

TASKS = "ecs-tasks.amazonaws.com"


def looks(facts: Facts, gateways: Gateways) -> Iterable[Look]:
    """One look at each role, once."""
    fields: dict[str, list[str]] = {}
    for field in ("executionRoleArn", "taskRoleArn"):
        if role := facts.body.get(field):
            fields.setdefault(str(role), []).append(field)
    for role, named in fields.items():
        yield partial(_look, role, " and ".join(f"`{field}`" for field in named), gateways.iam)


def _look(role: str, field: str, iam: Iam) -> Iterable[Outcome]:
    name = role.rsplit("/", 1)[-1]
    found = iam.role(name)
    if found is None:
        yield Refused(
            f"There is no role {name!r}.",
            f"{field} names it, and IAM does not know it.",
            f"Create the role, or correct {field}.",
        )
    elif role.startswith("arn:") and role != found.arn:
        yield Refused(
            f"The role {role} does not exist under this ARN.",
            f"{field} names it; the role of that name is {found.arn}.",
            f"Set {field} to {found.arn}.",
        )
    elif not found.trusts(TASKS):
        trusted = ", ".join(sorted(found.trusted)) or "no service"
        yield Refused(
            f"ECS tasks may not assume the role {name!r}.",
            f"{field} names it, and its trust policy accepts {trusted}.",
            f'Allow `sts:AssumeRole` for the principal `{{"Service": "{TASKS}"}}` in it.',
        )
    else:
        yield Passed(f"{name} trusts ECS tasks")
