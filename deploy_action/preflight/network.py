"""The subnets: whether they have addresses for the tasks that run beside the old ones."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError, Refusal
from deploy_action.preflight.check import Facts, Look, Outcome, Passed, Refused, Warned

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.gateways.ec2 import Ec2


def looks(facts: Facts, gateways: Gateways) -> list[Look]:
    """One look, where each task takes an address of its own."""
    if not facts.service.subnets or facts.desired == 0:
        return []
    return [partial(_look, facts, gateways.ec2)]


def _look(facts: Facts, ec2: Ec2) -> Iterable[Outcome]:
    subnets = facts.service.subnets
    try:
        free = ec2.free_addresses(subnets)
    except AwsError as error:
        if error.refusal is not Refusal.MISSING:
            raise
        yield Refused(
            "A subnet of the service does not exist.",
            f"EC2 says: {error.message}",
            "Correct the network configuration of the service.",
        )
        return
    total, wanted = sum(free.values()), surge(facts)
    if total < wanted:
        each = ", ".join(f"{name} has {count}" for name, count in free.items())
        yield Warned(
            f"The subnets have {total} free addresses, and the release wants {wanted} more: "
            f"{each}.",
            "Add subnets, free addresses, or lower `maximumPercent`.",
            is_important=True,
        )
    else:
        yield Passed(f"{total} free, {wanted} more wanted while it moves")


def surge(facts: Facts) -> int:
    """How many tasks more than now there are at most while the old ones make room."""
    running, desired = facts.service.running, facts.desired
    most = desired * facts.service.maximum_percent // 100
    return max(min(most, running + desired) - running, 0)
