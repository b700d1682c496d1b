"""Why a release failed: evidence in, causes out, best first. Pure.

A rule is one function or one small value from `Evidence` to a `Finding` or nothing; the
files hold one area each. To add one: a rule in its area, and a sample of its evidence in
the tests. `row` is the number of a failure in the catalogue that the samples follow.

rule          what a rule and a finding are, and rules that look for a text
access        (one level up) reads refusals of access and writes policy statements
"""

from __future__ import annotations

from dataclasses import replace

from deploy_action.diagnosis import (
    capacity,
    crash,
    deployment,
    health_check,
    image_pull,
    log,
    permissions,
    request,
    start,
)
from deploy_action.diagnosis.rule import Finding, Rank, Rule
from deploy_action.errors import AwsError
from deploy_action.evidence import Evidence

__all__ = ["RULES", "Evidence", "Finding", "Rule", "explain", "refusal", "tell"]

FINDINGS_KEPT = 5
VAGUE = {"crash", "no-words", "never-started", "command", "image-pull", "container-start"}
"""Findings that only say how a task ended."""
RULES: tuple[Rule, ...] = (
    *permissions.RULES,
    *request.RULES,
    *image_pull.RULES,
    *start.RULES,
    *crash.RULES,
    *log.RULES,
    *deployment.RULES,
    *capacity.RULES,
    *health_check.RULES,
)
"""Of two findings of the same rank, the rule that stands first is told first."""


def explain(evidence: Evidence) -> tuple[Finding, ...]:
    """The causes that the evidence shows, best first; never empty."""
    found = [finding for rule in RULES if (finding := rule(evidence))]
    found.sort(key=lambda finding: (finding.rank, finding.distance))
    found = [f for f in found if not _says_nothing_more(f, found[0])]
    kept: dict[str, Finding] = {}
    seen: set[str] = set()
    for finding in found:
        # A second reading of a text that is explained already would only be noise.
        if finding.name not in kept and finding.proof not in seen:
            kept[finding.name] = finding
            seen.add(finding.proof)
    return tuple(kept.values())[:FINDINGS_KEPT] or (_not_recognised(evidence),)


def _says_nothing_more(finding: Finding, best: Finding) -> bool:
    """That a container ended, beside why it did; and what has passed, beside what has not."""
    if finding is best:
        return False
    vague = finding.name in VAGUE and best.rank <= Rank.NAMED
    return vague or (finding.rank is Rank.PASSED and best.rank is not Rank.PASSED)


def _not_recognised(evidence: Evidence) -> Finding:
    said = crash.last_words(evidence)
    lines = [str(evidence.refusal)] if evidence.refusal else list(evidence.lines)
    return Finding(
        name="not-recognised",
        cause="The cause was not recognised.",
        proof=(lines or [said])[-1] or "AWS shows no stopped task, no telling event and no log.",
        fix="Read the proof and the last lines of the container below: they are all that AWS "
        "shows. Please report them, so that this case gets words of its own.",
        row=0,
        rank=Rank.OUTCOME,
    )


def refusal(error: AwsError) -> Finding:
    """What the refusal of a call means, and what to do about it."""
    found = explain(Evidence(refusal=error))[0]
    return found if found.row else replace(found, fix=error.fix)


def because(error: AwsError) -> str:
    """The reason for people, with the answer of AWS as it came."""
    found = refusal(error)
    return f"{found.cause} {error}." if found.row else f"{error}."


def tell(
    why: str, fix: str, findings: tuple[Finding, ...], evidence: Evidence, *, known: bool
) -> tuple[str, str]:
    """The reason and the fix for people, from what is known already and the best finding.

    `known` says that `why` tells something of its own, so that it must stay.
    """
    best = findings[0]
    if best.row == 0 or best.rank >= Rank.OUTCOME:
        last = crash.last_words(evidence)
        return (f"{why.rstrip('.')}. Its log says: {last}" if last else why), fix
    found = best.cause if best.proof in why else f"{best.cause} Proof: {best.proof}"
    return (f"{why} {found}" if known else found), best.fix
