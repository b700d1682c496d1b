"""What the services of one step settle among each other before the first write. Pure.

For a group of one all of it comes out as it went in.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from deploy_action import task_definition
from deploy_action.errors import Blocked
from deploy_action.group import Group, Point
from deploy_action.model import Definition, Json
from deploy_action.prepare import Plan

if TYPE_CHECKING:
    from deploy_action.gateways.ecs import Ecs
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal


def agreed(plan: Plan, inputs: Inputs, group: Group, journal: Journal) -> Plan:
    """The plan as it fits to those of the others, or Blocked where one of them cannot go."""
    if group.is_one:
        return plan
    group.shared[inputs.name] = plan
    group.arrive(Point.CHECKED)
    group.check_partners()
    plans: list[Plan] = list(group.shared.values())
    _check_platforms(plans)
    _check_names(plans, inputs)
    return plan if inputs.task_definition else _same_base(plan, plans, journal)


def all_images(plan: Plan, group: Group) -> Plan:
    """The plan with every image that one of the services needs."""
    plans: Iterable[Plan] = group.shared.values()
    others = {name: image for each in plans for name, image in each.other_images.items()}
    containers = tuple(dict.fromkeys(name for each in plans for name in each.containers))
    return plan if group.is_one else replace(plan, containers=containers, other_images=others)


def running_already(body: Json, group: Group, ecs: Ecs) -> Definition | None:
    """The revision that another service of the group runs and that is exactly this."""
    plans: Iterable[Plan] = group.shared.values()
    return next(
        (
            each.running
            for each in plans
            if each.running.status == "ACTIVE"
            and task_definition.is_same(body, ecs.registrable(each.running))
        ),
        None,
    )


def _check_platforms(plans: Iterable[Plan]) -> None:
    platforms = {plan.platform: plan.service.name for plan in plans if plan.containers}
    if len(platforms) > 1:
        raise Blocked(
            "The services of this step do not run on the same platform.",
            why=", ".join(f"{name} runs on {platform}" for platform, name in platforms.items())
            + ", and one step builds one image.",
            fix="Give the services of each platform a step of their own.",
        )


def _check_names(plans: Iterable[Plan], inputs: Inputs) -> None:
    """A name that fits one of the services is enough, but one that fits none is misspelt."""
    known = {name for plan in plans for name in (*plan.containers, *plan.other_images)}
    wanted = {item.partition("=")[0].strip() for item in inputs.container_name}
    if unknown := sorted(wanted - known):
        raise Blocked(
            f"No service of this step has a container {', '.join(map(repr, unknown))}.",
            why=f"Their containers are {', '.join(sorted(known))}.",
            fix="Correct `container-name`.",
        )


def _same_base(plan: Plan, plans: Iterable[Plan], journal: Journal) -> Plan:
    """Services that share a family go on from the newest revision that one of them runs."""
    kin = [p for p in plans if p.base.get("family") == plan.base.get("family")]
    newest = max(kin, key=lambda p: int(p.running.revision.rpartition(":")[2]))
    if newest.running.arn == plan.running.arn:
        return plan
    journal.note(
        f"{plan.service.name} runs {plan.running.revision} and {newest.service.name} runs "
        f"{newest.running.revision}; both go on from {newest.running.revision}."
    )
    missing = {*plan.containers, *plan.other_images} - set(
        task_definition.container_names(newest.base)
    )
    if missing:
        raise Blocked(
            f"{plan.service.name} cannot share {newest.running.revision}.",
            why=f"It has no container {', '.join(sorted(missing))}.",
            fix="Bring the services of that family to one revision, or give each its own step.",
        )
    return replace(plan, base=newest.base)
