"""What ECS says of the deployment as a whole; rarely the cause, often the outcome.

Texts: "Viewing service history" and "Deployment circuit breaker" of the ECS developer guide.
"""

from __future__ import annotations

from deploy_action.diagnosis.rule import Finding, Rank, Rule, Says, Where, own_stops, proof
from deploy_action.evidence import Evidence

ECS = Where.DEPLOYMENT | Where.EVENT


def alarm(evidence: Evidence) -> Finding | None:
    said = [t for t in (*evidence.deployment, *evidence.events) if "alarm" in t.lower()]
    if not (evidence.alarms or said):
        return None
    names = ", ".join(evidence.alarms)
    return Finding(
        name="alarm",
        cause="A CloudWatch alarm went off while the new revision ran"
        + (f": {names}." if names else "."),
        proof=proof((said or [f"alarms: {names}"])[0], ""),
        fix="Look at the metric of the alarm since the release. If it was in ALARM before, "
        "correct the alarm first.",
        row=98,
        rank=Rank.ALARMED,
    )


def breaker(evidence: Evidence) -> Finding | None:
    """The circuit breaker, with or without the tasks that tripped it."""
    for text in (*evidence.deployment, *evidence.events):
        low = text.lower()
        if "circuit breaker" not in low and "tasks failed to start" not in low:
            continue
        gone = not own_stops(evidence)
        return Finding(
            name="stopped-tasks-gone" if gone else "circuit-breaker",
            cause="ECS gave the deployment up because its tasks failed to start"
            + (", and shows none of them any more (they are kept for an hour)." if gone else "."),
            proof=proof(text, ""),
            fix="Look at the log of the application and at the stopped tasks, right after the next "
            "try." if gone else "Correct what ended the tasks.",
            row=103,
            rank=Rank.OUTCOME,
        )  # fmt: skip
    return None


RULES: tuple[Rule, ...] = (
    alarm,
    Says(
        name="hook",
        row=99,
        where=ECS,
        pattern=r"lifecycle hook|\bhooks?\b.{0,80}(?:fail|time|reject)|hook.{0,40}Lambda"
        r"|Lambda.{0,60}hook|approval",
        cause="A lifecycle hook of the deployment failed, or did not answer in time.",
        fix="Look at the log of the hook's Lambda function, or give the approval in time.",
        rank=Rank.ALARMED,
    ),
    Says(
        name="rollback-failed",
        row=100,
        where=ECS,
        pattern=r"rollback (?:has )?failed|ROLLBACK_FAILED|(?:could not|unable to|failed to)"
        r" (?:be )?roll(?:ed)? ?back|no rollback candidate|rollback .{0,40}unsuccessful",
        cause="The old revision could not be started again either.",
        fix="Look for what both revisions share: an image that was deleted, a secret that was "
        "rotated, capacity. Then start the old revision by hand.",
        rank=Rank.OUTCOME,
    ),
    breaker,
    Says(
        name="start-impaired",
        row=75,
        where=ECS,
        pattern=r"unable to consistently start tasks|SERVICE_TASK_START_IMPAIRED",
        cause="The tasks end soon after their start, again and again, so ECS starts them ever "
        "more slowly.",
        fix="Look at the stopped tasks and at the log of the application.",
        rank=Rank.OUTCOME,
    ),
    Says(
        name="superseded",
        row=102,
        where=Where.DEPLOYMENT,
        pattern=r"superseded|newer (?:service )?deployment|replaced by"
        r"|new deployment .{0,40}started",
        cause="Another deployment of the service took this one's place.",
        fix="Nothing, if that was a newer run. A `concurrency` group in the workflow queues runs.",
        rank=Rank.OUTCOME,
    ),
)
