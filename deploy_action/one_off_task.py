"""A one-off task as whoever comes after a cut-off run must know it: looked at, stopped, told.

What is needed to find the task is saved before it is asked for.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError, Refusal, Unknown
from deploy_action.follow import UNREADABLE_LOOKS
from deploy_action.model import Task, revision_of
from deploy_action.rollout import describe_stop
from deploy_action.watch import Look, watch

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

STATE = "one_off"
STOP_SECONDS = 180.0
"""ECS waits at most 120 s between SIGTERM and SIGKILL, and then removes the task."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOff:
    """What the post step must know of a task that may run. It holds no secrets."""

    service: str
    task_definition: str
    is_new: bool
    """Whether it is another revision than the one that the service runs."""
    started_by: str
    arn: str = ""
    """Empty until ECS has named it."""

    @property
    def untouched(self) -> str:
        """What the end of the task leaves behind, where no release follows."""
        left = f" and does not use {revision_of(self.task_definition)}, which stays registered"
        return f"{self.service} was not touched{left if self.is_new else ''}"

    def to_text(self) -> str:
        """JSON, for the state file of the runner."""
        return json.dumps(asdict(self))

    @classmethod
    def from_text(cls, text: str) -> OneOff:
        """The inverse of `to_text`; raise ValueError or TypeError for anything else."""
        return cls(**json.loads(text))


class Eye:
    """Looks at one task, and gives up where AWS keeps refusing."""

    def __init__(self, gateways: Gateways, journal: Journal) -> None:
        self.error: AwsError | None = None
        """Why the last look showed nothing."""
        self._ecs = gateways.ecs
        self._clock = gateways.clock
        self._journal = journal
        self._refused = 0

    def look(self, arn: str) -> Task | None:
        """None where it is not visible yet, or cannot be read: then `error` says why."""
        try:
            found = self._ecs.tasks([arn])
        except AwsError as error:
            if self.error is None or self.error.code != error.code:
                self._journal.say(f"AWS could not be read ({error}); looking again")
            self.error = error
            self._refused += error.refusal in {Refusal.DENIED, Refusal.CREDENTIALS}
            return None
        self.error, self._refused = None, 0
        return found[0] if found else None

    def watch(
        self,
        arn: str,
        is_over: Callable[[Task], bool],
        limit_seconds: float,
        beside: Callable[[], object] = lambda: None,
    ) -> Task | None:
        """The task once it is over; None at the time limit, or where AWS keeps refusing."""

        def look() -> Look[Task | AwsError]:
            seen = self.look(arn)
            beside()
            if seen is None:
                given_up = self.error if self._refused >= UNREADABLE_LOOKS else None
                return Look("" if self.error else "not visible yet", given_up)
            return Look(seen.last_status.lower(), seen if is_over(seen) else None)

        end = watch(look, clock=self._clock, journal=self._journal, limit_seconds=limit_seconds)
        return end if isinstance(end, Task) else None


def has_stopped(task: Task) -> bool:
    return task.last_status == "STOPPED"


def command(verb: str, gateways: Gateways) -> str:
    """What a human can type to look after tasks."""
    where = f"--region {gateways.identity.region} --cluster {gateways.ecs.cluster}"
    return f"aws ecs {verb} {where}"


# ---- a run that is cut off ----


def let_go(one_off: OneOff, gateways: Gateways, journal: Journal) -> None:
    """Stop the task of a cancelled run with the one call that there is time for."""
    # Stands if the last second comes first.
    journal.story.rollback = (
        f"`pre-deploy-command` may still run; {one_off.untouched}. The post step of this action "
        "stops it."
    )
    journal.story.rollback = _stopped(one_off, gateways)
    journal.console.line(f"cancelled: {journal.story.rollback}")


def _stopped(one_off: OneOff, gateways: Gateways) -> str:
    hurried = gateways.ecs.hurried()
    try:
        found = [one_off.arn] if one_off.arn else hurried.running_arns(one_off.started_by)
        for arn in found:
            hurried.stop_task(arn, "its deployment was cancelled")
    except AwsError as error:
        return (
            f"`pre-deploy-command` may still run: {error}. The post step of this action stops it; "
            f"{one_off.untouched}."
        )
    if not found:
        return (
            f"`pre-deploy-command` was not seen to run; {one_off.untouched}. The post step of this "
            "action looks again."
        )
    return (
        f"The task of `pre-deploy-command` was told to stop; {one_off.untouched}. The post step of "
        "this action looks at its end."
    )


def finish(one_off: OneOff, gateways: Gateways, journal: Journal) -> None:
    """In the post step: stop what is still running, and tell how it ended."""
    look = f"{command('list-tasks', gateways)} --started-by {one_off.started_by}"
    # Stands if this step is cut off too.
    journal.story.rollback = (
        f"Whether `pre-deploy-command` of {one_off.service} still runs is not known, and nobody "
        f"looks after it any more: {look}"
    )
    with journal.phase("One-off task") as phase:
        try:
            ended = _finish(one_off, gateways, journal)
        except AwsError as error:
            raise Unknown(
                f"The run was cut off, and `pre-deploy-command` of {one_off.service} may still "
                "run.",
                why=f"{error}.",
                fix=f"Look, and stop it:\n{look}\n{error.fix}",
            ) from error
        phase.result = ended
    journal.story.rollback = ""
    journal.story.ending = "nothing changed"
    journal.story.what = f"The run was cut off before its release: {ended}; {one_off.untouched}."
    journal.console.line(journal.story.what)


def _finish(one_off: OneOff, gateways: Gateways, journal: Journal) -> str:
    arns = [one_off.arn] if one_off.arn else _found(one_off, gateways)
    if not arns:
        return "`pre-deploy-command` does not run"
    return "; ".join(_ended(arn, gateways, journal) for arn in arns)


def _ended(arn: str, gateways: Gateways, journal: Journal) -> str:
    """Stop the task unless it is stopping already, and tell how it ended."""
    eye = Eye(gateways, journal)
    seen = eye.look(arn)
    if seen is None or not (seen.stop_code or has_stopped(seen)):
        gateways.ecs.stop_task(arn, "its deployment was cut off")
    last = eye.watch(arn, has_stopped, STOP_SECONDS)
    if last is None:
        return "the task of `pre-deploy-command` was told to stop, and was not seen to end"
    return f"the task of `pre-deploy-command` ended ({describe_stop(last)})"


def _found(one_off: OneOff, gateways: Gateways) -> list[str]:
    """Looked for twice: reads may lag behind the write of a killed step."""
    if found := gateways.ecs.running_arns(one_off.started_by):
        return found
    gateways.clock.sleep(5)
    return gateways.ecs.running_arns(one_off.started_by)
