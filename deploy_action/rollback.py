"""Go back to an earlier revision on purpose, and prove it like a release."""

from __future__ import annotations

from dataclasses import replace
from itertools import dropwhile
from typing import TYPE_CHECKING

from deploy_action import task_definition
from deploy_action.build import Source
from deploy_action.deploy import nothing_started
from deploy_action.errors import AwsError, Blocked, Failed, Refusal
from deploy_action.gateways.ecr import split_reference
from deploy_action.group import Group
from deploy_action.model import Definition, revision_of
from deploy_action.move import Mover
from deploy_action.prepare import look_over
from deploy_action.proof import NotProved
from deploy_action.report.journal import span
from deploy_action.situation import Situation
from deploy_action.survey import survey

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal

PREVIOUS_TAG = "ecs-deploy:previous"
ALTERNATIVES = 5
"""Revisions of the family that a refusal names."""


def rollback(
    inputs: Inputs, source: Source, gateways: Gateways, journal: Journal, group: Group
) -> None:
    """Return after a good end; raise ActionError otherwise. No tag is moved."""
    del source
    with nothing_started(), journal.phase("Check") as phase:
        now = survey(inputs, gateways, journal)
        target, why = _target(inputs, now, gateways)
        is_there = target.arn == now.running.arn
        journal.redact.hide_environment(task_definition.environment_values(target.body))
        if not is_there:
            journal.say(f"going back to {target.revision}: {why}")
            _check_images(target, now, gateways)
            look_over(now, gateways.ecs.registrable(target), inputs, gateways, journal)
            target = _usable(target, gateways, journal)
        journal.record(
            task_definition_arn=target.arn,
            previous_task_definition_arn=now.baseline.task_definition,
        )
        phase.result = f"{inputs.cluster}/{inputs.name} goes to {target.revision}"
    owed = _owed(now)
    mover = Mover(owed, {}, inputs, gateways, journal, group)
    if is_there and now.service.desired:
        _confirm(mover, inputs, target, why, journal)
        return
    proved = None if is_there else mover.move(target, force=False)
    if proved is None:
        journal.succeed(
            "deployed-unverified",
            f"{inputs.name} is set to {target.revision}, but its desired count is 0: no task "
            "ran, so nothing could be verified.",
        )
        return
    journal.story.verification = list(proved.sentences)
    if owed.expectation != now.expectation:
        journal.story.verification.append(
            "Only the status was asked of the endpoint: `health-body` and `health-json` describe "
            "the version that was left."
        )
    journal.succeed(
        "deployed",
        f"{inputs.name} is back on {target.revision}, verified, after {span(journal.seconds)}.",
    )


def _confirm(mover: Mover, inputs: Inputs, target: Definition, why: str, journal: Journal) -> None:
    """A rollback that is asked for again finds its work done, and goes no further."""
    with journal.phase("Verify") as phase:
        proved = mover.verify_as_it_is()
        if isinstance(proved, NotProved):
            raise Failed(
                f"{inputs.name} is on {target.revision} already, but it is not well.",
                why=f"{proved.problem}.",
                fix="Look at the service. To go further back, name a revision in `rollback-to`.",
            )
        phase.result = f"{target.revision} is what should run"
    journal.story.verification = [
        *proved.sentences,
        "To go further back, name a revision in `rollback-to`.",
    ]
    journal.succeed("unchanged", f"{inputs.name} is on {target.revision} already: {why}.")


def _owed(now: Situation) -> Situation:
    """An older version cannot give the body that the inputs of today ask for."""
    if now.expectation is None:
        return now
    return replace(now, expectation=replace(now.expectation, body=None, json=()))


def _target(inputs: Inputs, now: Situation, gateways: Gateways) -> tuple[Definition, str]:
    """The revision to go back to, and why it is that one."""
    if inputs.rollback_to:
        family = now.running.revision.rpartition(":")[0]
        name = inputs.rollback_to
        reference = f"{family}:{name}" if name.isdecimal() else name
        return _definition(reference, now, gateways), "`rollback-to` says so"
    completed = _completed(now, gateways)
    others = list(dropwhile(lambda arn: arn == now.running.arn, completed))
    if len(others) < len(completed) and now.running.arn in others:
        # What it left is not where to go: a run that is repeated must come to the same end.
        return now.running, f"it went back from {revision_of(others[0])}"
    if others:
        return _definition(others[0], now, gateways), (
            "ECS completed it last before the one that runs"
        )
    tags = {tag.get("key"): tag.get("value") for tag in now.running.tags}
    if previous := tags.get(PREVIOUS_TAG):
        return _definition(
            previous, now, gateways
        ), "the running revision names it as the one before"
    raise Blocked(
        f"There is no revision that {inputs.name} is known to have run well before.",
        why="ECS lists no earlier completed deployment, and the running revision names none.",
        fix=f"Name one in `rollback-to`. {_alternatives(now, gateways)}",
    )


def _completed(now: Situation, gateways: Gateways) -> list[str]:
    """The revisions that ECS deployed with success, newest first; it keeps that for 90 days."""
    try:
        return gateways.ecs.completed_revisions(now.service.name)
    except AwsError:
        return []


def _definition(reference: str, now: Situation, gateways: Gateways) -> Definition:
    try:
        return gateways.ecs.definition(reference)
    except AwsError as error:
        if error.refusal not in {Refusal.INVALID, Refusal.MISSING}:
            raise
        raise Blocked(
            f"There is no revision {reference!r}.",
            why=f"ECS says: {error.message}",
            fix=f"Correct `rollback-to`. {_alternatives(now, gateways)}",
        ) from error


def _check_images(target: Definition, now: Situation, gateways: Gateways) -> None:
    """An image that is gone cannot be started; a registry that cannot be read decides nothing."""
    for container in target.body.get("containerDefinitions") or []:
        host, name, tag_or_digest = split_reference(container.get("image", ""))
        if not gateways.ecr.owns(host, gateways.identity):
            continue
        try:
            found = gateways.ecr.image(gateways.ecr.repository(name), tag_or_digest)
        except AwsError as error:
            if error.refusal is not Refusal.MISSING:
                continue
            found = None
        if found is None:
            raise Blocked(
                f"{target.revision} cannot be started again.",
                why=f"The image of its container {container.get('name')!r} is gone: "
                f"{container.get('image')}.",
                fix=f"Name another revision in `rollback-to`. {_alternatives(now, gateways)}",
            )


def _usable(target: Definition, gateways: Gateways, journal: Journal) -> Definition:
    """The revision itself, or a copy where it was de-registered: ECS starts no INACTIVE one."""
    if target.status == "ACTIVE":
        return target
    body = gateways.ecs.registrable(target)
    copy = gateways.ecs.register(
        task_definition.with_tags(body, {"ecs-deploy:copy-of": target.revision})
    )
    journal.say(f"{target.revision} is {target.status}; registered again as {copy.revision}")
    return copy


def _alternatives(now: Situation, gateways: Gateways) -> str:
    family = now.running.revision.rpartition(":")[0]
    try:
        arns = gateways.ecs.revisions(family)
    except AwsError:
        return ""
    others = [revision_of(arn) for arn in arns if arn != now.running.arn][:ALTERNATIVES]
    return f"The family has {', '.join(others)}." if others else "The family has no other revision."
