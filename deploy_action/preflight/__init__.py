"""Refuse what cannot work, before anything is touched. Reads only.

A check that may not look is skipped and never decides. Only what would
certainly fail refuses; doubt warns. All refusals are told together.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError, Blocked, Refusal
from deploy_action.ports import Clock, Concurrently
from deploy_action.preflight import (
    alarms,
    credentials,
    definition,
    health,
    images,
    network,
    one_off,
    permissions,
    plaintext,
    references,
    repository,
    roles,
    rollback,
    service,
    timing,
)
from deploy_action.preflight.check import (
    PLACEHOLDER,
    Check,
    Facts,
    Look,
    Outcome,
    Passed,
    Refused,
    Skipped,
    Warned,
    pure,
)
from deploy_action.report.journal import Checked

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

__all__ = ["CHECKS", "PLACEHOLDER", "Facts", "run_checks"]

CHECKS: tuple[Check, ...] = (
    Check(name="service", looks=pure(service.movement)),
    Check(name="breaker", looks=pure(service.breaker)),
    Check(name="load balancer", looks=pure(service.mappings)),
    Check(name="repository", looks=repository.looks),
    Check(name="images", looks=images.looks),
    Check(name="definition", looks=pure(definition.judge)),
    Check(name="roles", looks=roles.looks),
    Check(name="secrets", looks=references.secrets),
    Check(name="parameters", looks=references.parameters),
    Check(name="log groups", looks=references.log_groups),
    Check(name="env files", looks=references.env_files),
    Check(name="pre-deploy", looks=pure(one_off.judge)),
    Check(name="plaintext", looks=pure(plaintext.judge)),
    Check(name="addresses", looks=network.looks),
    Check(name="endpoint", looks=health.looks),
    Check(name="alarms", looks=alarms.looks),
    Check(name="rollback", looks=rollback.looks),
    Check(name="permissions", looks=permissions.looks),
    Check(name="credentials", looks=pure(credentials.judge)),
    Check(name="time", looks=pure(timing.judge)),
)
"""In the order in which they are shown."""
LONGEST_SECONDS = 3.0
"""No look begins later; one that has begun ends by the time-outs of its calls."""
ANNOTATIONS = 4
"""The runner shows ten of a step and kind, and a release has others."""


def run_checks(
    facts: Facts,
    gateways: Gateways,
    journal: Journal,
    concurrently: Concurrently,
    checks: Sequence[Check] = CHECKS,
) -> None:
    """Tell what every check found; raise Blocked where one of them refuses."""
    deadline = gateways.clock.monotonic() + LONGEST_SECONDS
    planned = [(c.name, look) for c in checks for look in _planned(c, facts, gateways)]
    calls = [partial(_outcomes, look, gateways.clock, deadline) for _, look in planned]
    found: dict[str, list[Outcome]] = {}
    for (name, _), outcomes in zip(planned, concurrently(calls), strict=True):
        found.setdefault(name, []).extend(outcomes)
    width = max(map(len, found), default=0)
    for name, outcomes in found.items():
        for checked in _told(name, outcomes):
            journal.check(checked, width)
    every = [outcome for outcomes in found.values() for outcome in outcomes]
    warnings = [o for o in every if isinstance(o, Warned) and o.is_important]
    for warning in warnings[:ANNOTATIONS]:
        journal.note(f"{warning.sentence} {warning.fix}")
    refusals = [outcome for outcome in every if isinstance(outcome, Refused)]
    if refusals:
        raise _blocked(refusals)


def _planned(check: Check, facts: Facts, gateways: Gateways) -> list[Look]:
    try:
        return list(check.looks(facts, gateways))
    except Exception as error:  # noqa: BLE001 - as below
        return [partial(_broken, error)]


def _broken(error: Exception) -> list[Outcome]:
    # Its text may hold what was read; the type is enough to find it.
    return [Skipped(f"the check itself failed ({type(error).__name__}); please report it")]


def _outcomes(look: Look, clock: Clock, deadline: float) -> list[Outcome]:
    """What one look found. Nothing that goes wrong in it may decide about the release."""
    if clock.monotonic() > deadline:
        return [Skipped(f"the checks had already taken {LONGEST_SECONDS:.0f} s")]
    try:
        return list(look())
    except AwsError as error:
        return [Skipped(_reason(error))]
    except Exception as error:  # noqa: BLE001 - a mistake of ours must not stop a good release
        return _broken(error)


def _reason(error: AwsError) -> str:
    match error.refusal:
        case Refusal.DENIED:
            return f"the job may not call `{error.action}`"
        case Refusal.UNREACHABLE:
            return f"`{error.action}` gave no answer"
        case Refusal.UNSUPPORTED:
            return f"`{error.action}` is not offered here"
        case Refusal.THROTTLED:
            return f"`{error.action}` was throttled"
        case _:
            return f"`{error.action}` answered {error.code}: {error.message}"


def _told(name: str, outcomes: Sequence[Outcome]) -> Iterable[Checked]:
    """Problems a line each; what passed or was skipped for the same reason in one."""
    passed = list(dict.fromkeys(o.sentence for o in outcomes if isinstance(o, Passed)))
    if passed:
        yield Checked(name=name, mark="✓", text="; ".join(passed))
    for outcome in outcomes:
        if isinstance(outcome, Refused):
            text = f"{outcome.what} {outcome.why}"
            yield Checked(name=name, mark="✗", text=text, fix=outcome.fix)
        elif isinstance(outcome, Warned):
            yield Checked(name=name, mark="!", text=outcome.sentence, fix=outcome.fix)
    skipped = list(dict.fromkeys(o.because for o in outcomes if isinstance(o, Skipped)))
    if skipped:
        yield Checked(name=name, mark="–", text=f"skipped: {'; '.join(skipped)}")


def _blocked(refusals: Sequence[Refused]) -> Blocked:
    if len(refusals) == 1:
        return Blocked(refusals[0].what, why=refusals[0].why, fix=refusals[0].fix)
    return Blocked(
        f"{len(refusals)} things would make this release fail.",
        why="\n".join(
            ["The checks found:", *(f"- {r.what} {r.why} Fix: {r.fix}" for r in refusals)]
        ),
        fix="Correct each of them; nothing was touched yet.",
    )
