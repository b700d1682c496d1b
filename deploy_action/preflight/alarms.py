"""The alarms that must not fire: whether they are there, and quiet before the release."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from deploy_action.alarms import FIRING, NO_DATA, describe
from deploy_action.errors import AwsError, Refusal
from deploy_action.preflight.check import Facts, Look, Outcome, Passed, Refused, Warned, listed

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.gateways.cloudwatch import CloudWatch


def looks(facts: Facts, gateways: Gateways) -> list[Look]:
    """One look, where `alarms` names some."""
    names = facts.inputs.alarms
    region = facts.identity.region
    return [partial(_look, names, region, gateways.cloudwatch)] if names else []


def _look(names: tuple[str, ...], region: str, cloudwatch: CloudWatch) -> Iterable[Outcome]:
    try:
        found = cloudwatch.alarms(names)
    except AwsError as error:
        if error.refusal is not Refusal.DENIED:
            raise
        yield Refused("The alarms cannot be watched.", f"{error}.", error.fix)
        return
    for name in names:
        if name not in found:
            yield Refused(
                f"There is no alarm {name!r} in {region}.",
                "CloudWatch knows neither a metric alarm nor a composite alarm of that name.",
                "Correct `alarms`: names, not ARNs, in the region and account of the release.",
            )
        elif found[name].state == FIRING:
            yield Refused(
                f"The alarm {name!r} fires before the release.",
                f"{describe(found[name])} It could not tell whether the release makes it worse.",
                "Let it recover, or run the workflow without it in `alarms` if this release is "
                "what heals it.",
            )
        elif found[name].state == NO_DATA:
            yield Warned(
                f"The alarm {name!r} has no data (INSUFFICIENT_DATA): it may stay silent whatever "
                "happens.",
                "Look whether its metric is still written, and how it treats missing data.",
            )
    quiet = [name for name in names if name in found and found[name].state == "OK"]
    if quiet:
        yield Passed(f"{listed(quiet)} {'is' if len(quiet) == 1 else 'are'} OK")
