"""The post step: bring a run that was cut off to its end, and tell the truth about it.

It runs always, in a container of its own, also after a cancelled or killed
step. After a verdict it does nothing. It has about five minutes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

from deploy_action.errors import (
    ActionError,
    AwsError,
    Cancelled,
    Failed,
    RollbackFailed,
    Superseded,
    Unknown,
)
from deploy_action.follow import Follower
from deploy_action.health import Endpoint, Expectation, parse_header
from deploy_action.intent import Intent
from deploy_action.model import Definition, Rollout, revision_of
from deploy_action.ports import NoEngine
from deploy_action.proof import Claim
from deploy_action.restore import LeftAlone, Restored, Restorer, undo_commands
from deploy_action.survey import expectation

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.ports import Engine
    from deploy_action.report.console import Console
    from deploy_action.report.journal import Journal

LIMIT_SECONDS = 200.0
"""Of the five minutes that a runner grants to all post steps after a cancellation."""
VERIFY_SECONDS = 45.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Saved:
    """What the main step left in the runner's state file."""

    verdict: str
    intent: str
    one_off: str
    """A one-off task that may run; empty once it has ended."""
    container: str
    """Id of the container that the main step lives in; empty outside of one."""

    @classmethod
    def read(cls, state: Mapping[str, str]) -> Saved:
        """From the names and values of the state file."""
        return cls(**{each.name: state.get(each.name, "") for each in fields(cls)})

    @property
    def is_unfinished(self) -> bool:
        """Whether the main step began to change something and reached no verdict."""
        return bool(Intent.read(self.intent) or self.one_off) and not self.verdict


def finish(intent: Intent, inputs: Inputs, gateways: Gateways, journal: Journal) -> None:
    """Undo what is still in flight and verify; raise ActionError where that is not the end."""
    try:
        _finish(intent, inputs, gateways, journal)
    except Cancelled:
        journal.story.rollback = (
            f"Whether {intent.service} is back on {revision_of(intent.baseline.task_definition)} "
            "is not known, and nobody looks after it any more: look at it in ECS."
        )
        raise


def _finish(intent: Intent, inputs: Inputs, gateways: Gateways, journal: Journal) -> None:
    rollout = _find(intent, gateways)
    if rollout is None:
        journal.story.ending = "nothing changed"
        journal.story.what = f"The release of {intent.service} had not begun; nothing was changed."
        journal.console.line(journal.story.what)
        return
    journal.record(deployment_id=rollout.deployment_id)
    if inputs.on_cancel == "leave":
        raise _left(rollout, inputs, gateways)
    follower = Follower(rollout, gateways.ecs, journal, inputs.fail_after_stopped_tasks)
    claim = _old_claim(intent, inputs, gateways)
    with journal.phase("Roll back") as phase:
        result = Restorer(follower, claim, LIMIT_SECONDS, gateways, journal).restore()
        phase.failed = not isinstance(result, Restored)
        phase.result = result.sentence if isinstance(result, Restored) else ""
    old = revision_of(intent.baseline.task_definition)
    if isinstance(result, Restored):
        journal.record(rolled_back="true")
        journal.story.ending = "put back"
        journal.story.rollback = result.sentence
        journal.story.what = f"The run was cut off; {intent.service} is back on {old}."
        journal.console.line(journal.story.what)
        return
    if isinstance(result, LeftAlone):
        raise Superseded(
            f"The run was cut off, and {intent.service} was taken over by {result.by}.",
            why="Somebody else changed the service; their deployment was left alone.",
            fix="Nothing is to be done if that was a newer run.",
        )
    region = gateways.identity.region
    commands = undo_commands(rollout, inputs.cluster, region)
    raise RollbackFailed(
        f"The run was cut off, and {intent.service} is NOT known to be back on {old}.",
        why=f"{result.problem}.",
        fix="Look, and act by hand if it is still moving:\n" + "\n".join(commands),
    )


def stop_orphan(saved: Saved, engine: Engine, console: Console) -> None:
    """Kill a main step that outlived its client: two hands on one service are one too many."""
    if not saved.container:
        return
    try:
        if engine.stop_container(saved.container):
            console.line(f"stopped the main step, which still ran ({saved.container[:12]})")
    except NoEngine as error:
        console.line(f"whether the main step still runs could not be asked: {error}")


def _find(intent: Intent, gateways: Gateways) -> Rollout | None:
    """Our rollout, looked for twice: reads may lag behind the write of a killed step."""
    for attempt in range(2):
        try:
            rollout = intent.rollout(gateways.ecs.service(intent.service))
        except AwsError as error:
            raise Unknown(
                f"The run was cut off, and {intent.service} cannot be read.",
                why=f"{error}.",
                fix="Look whether the service moves to "
                f"{revision_of(intent.task_definition)}. {error.fix}",
            ) from error
        if rollout or attempt:
            return rollout
        gateways.clock.sleep(5)
    return None


def _left(rollout: Rollout, inputs: Inputs, gateways: Gateways) -> ActionError:
    commands = undo_commands(rollout, inputs.cluster, gateways.identity.region)
    return Failed(
        f"The run was cut off; {rollout.service} moves on to "
        f"{revision_of(rollout.task_definition)}, unverified.",
        why="`on-cancel` is `leave`, so the deployment was not undone.",
        fix="Look at the service. To undo it:\n" + "\n".join(commands),
    )


def _old_claim(intent: Intent, inputs: Inputs, gateways: Gateways) -> Claim:
    """What the old revision owes: what it gave before the release, as the intent remembers."""
    old: Definition | None = None
    service = None
    try:
        service = gateways.ecs.service(intent.service)
        old = gateways.ecs.definition(intent.baseline.task_definition)
    except AwsError:
        # Without them the proof is weaker: no container check, no target health.
        pass
    containers = (old.body.get("containerDefinitions") or []) if old else []
    groups = (lb.target_group_arn for lb in service.load_balancing) if service else ()
    endpoint, owed = _owed(intent, inputs)
    return Claim(
        service=intent.service,
        task_definition=intent.baseline.task_definition,
        endpoint=endpoint,
        expectation=owed,
        has_container_check=any(c.get("healthCheck") for c in containers),
        old_tasks_may_run=bool(service and service.early_success),
        target_groups=tuple(arn for arn in groups if arn),
        successes=inputs.health_successes,
        interval_seconds=inputs.health_interval_seconds,
        budget_seconds=VERIFY_SECONDS,
    )


def _owed(intent: Intent, inputs: Inputs) -> tuple[Endpoint | None, Expectation | None]:
    if not intent.url or intent.before == "nothing":
        return None, None
    headers = dict(parse_header(line) for line in inputs.health_headers)
    full = expectation(inputs)
    owed = full if intent.before == "full" else replace(full, body=None, json=())
    return Endpoint(url=intent.url, headers=headers), owed
