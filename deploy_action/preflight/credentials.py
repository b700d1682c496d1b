"""The job's credentials: whether they outlive the release. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from deploy_action.preflight.check import Facts, Outcome, Passed, Skipped, Warned
from deploy_action.report.journal import span


def judge(facts: Facts) -> Iterable[Outcome]:
    """How long they work against how long the release may take."""
    lifetime = facts.identity.credentials
    if lifetime is None:
        yield Skipped("nothing is known of their lifetime")
    elif lifetime.is_renewed:
        yield Passed("they are renewed by themselves")
    elif not lifetime.is_temporary:
        yield Passed("they do not expire")
    elif lifetime.ends_at is None:
        yield Skipped("they are temporary, and the job does not say until when")
    else:
        left = (lifetime.ends_at - facts.now).total_seconds()
        release = facts.limit_seconds + 60 * facts.inputs.bake_minutes
        # A rollback may take as long as the rollout that it follows.
        both = release + facts.limit_seconds
        if left >= both:
            yield Passed(f"they work for another {span(left)}")
            return
        is_short = left < release
        covers = "the release" if is_short else "the release and a rollback after it"
        needed = release if is_short else both
        yield Warned(
            f"The credentials end in {span(max(left, 0))}, and {covers} may take {span(needed)}.",
            "Set `role-to-assume` here, so that they are renewed, or ask for a longer session "
            "(`role-duration-seconds`).",
            is_important=is_short,
        )
