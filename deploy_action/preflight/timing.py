"""The time: what the rollout cannot beat by its settings, against the limit. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from deploy_action.duration import at_least
from deploy_action.preflight.check import Facts, Outcome, Passed, Warned
from deploy_action.report.journal import span


def judge(facts: Facts) -> Iterable[Outcome]:
    """The least time, and the setting that costs most of it."""
    service = replace(facts.service, desired=facts.desired)
    least = at_least(service, facts.body, facts.targets)
    if not least.seconds:
        return
    dearest = least.dearest
    cost = f"{dearest.seconds:.0f} s of at least {span(least.seconds)} " if dearest else ""
    sentence = f"{cost}is {dearest.setting}" if dearest else f"at least {span(least.seconds)}"
    if least.seconds > facts.limit_seconds:
        yield Warned(
            f"The rollout cannot be done within the limit of {span(facts.limit_seconds)}: "
            f"{sentence}.",
            "Raise `rollout-timeout-minutes`, or shorten that setting.",
            is_important=True,
        )
    else:
        yield Passed(sentence)
