"""Follow one rollout with our own eyes: its service, its service deployment, its stopped tasks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, TypeVar

from deploy_action.errors import AwsError, Refusal
from deploy_action.model import Rollout, Service, ServiceDeployment, Task
from deploy_action.rollout import (
    EcsRolledBack,
    EcsRollsBack,
    Moving,
    Observation,
    Replaced,
    State,
    describe_stop,
    is_own,
    judge,
    progress,
    telling_events,
)
from deploy_action.watch import Look

if TYPE_CHECKING:
    from deploy_action.gateways.ecs import Ecs
    from deploy_action.report.journal import Journal

T = TypeVar("T")

STOPS_TOLD = 5
"""Stopped tasks that get a line of their own; the line of progress counts them all."""
TOGETHER = timedelta(seconds=5)
"""A deployment and its service deployment are made by one request."""
LONGEST_START = timedelta(seconds=90)
"""From the intent of a run that died to the last of the requests it may have sent."""
UNREADABLE_LOOKS = 3
"""Refused looks in a row after which reading is given up: a policy does not heal while we wait."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """AWS refuses to show the service any more."""

    error: AwsError


Seen = State | Unreadable


class Follower:
    """Looks at one rollout, again and again, and remembers what one look cannot know."""

    def __init__(
        self,
        rollout: Rollout,
        ecs: Ecs,
        journal: Journal,
        fail_after: int,
        *,
        is_release: bool = True,
        has_record: bool = True,
    ) -> None:
        """Without `has_record` the service deployment is not looked for.

        Which of several is the rollout's own can only be told by those that were there before.
        """
        self.rollout = rollout
        self.stopped: dict[str, Task] = {}
        self.service: Service | None = None
        self.service_deployment: str | None = None
        self.last_error: AwsError | None = None
        self._ecs = ecs
        self._journal = journal
        self.fail_after = fail_after
        self._is_release = is_release
        self._has_record = has_record
        self._refused = 0
        self._doubt = False
        self._rollback = ""
        self._rollback_reason = ""
        self._known_arns: set[str] = set()
        self._told: set[str] = set()
        self._strangers: set[str] = set()
        self._without: set[str] = set()

    def look(self) -> Look[Seen]:
        """For `watch`: ends with a state that is neither moving nor a rollback under way."""
        state = self.state()
        line = self._line()
        if isinstance(state, EcsRollsBack):
            self._tell(state.reason)
            return Look(f"{line}, rolling back", None)
        return Look(line, None if isinstance(state, Moving) else state, soon=self._is_nearly_done())

    def state(self) -> Seen:
        """Look once. A doubtful answer is only believed when a second look confirms it."""
        try:
            service = self._ecs.service(self.rollout.service)
        except AwsError as error:
            return self._unread(error)
        self._refused, self.last_error, self.service = 0, None, service
        self._tell_events(service)
        seen = Observation(
            service=service,
            service_deployment=self._record(service),
            stopped=self._stopped_tasks(),
        )
        return self._confirmed(judge(self.rollout, seen, self.fail_after))

    @property
    def is_in_doubt(self) -> bool:
        """Whether the last look was doubtful, and was called `Moving` for that."""
        return self._doubt

    def _confirmed(self, state: State) -> State:
        state = self._remembered(state)
        doubtful = isinstance(state, Replaced) and not state.certain
        believed = not doubtful or self._doubt
        self._doubt = doubtful
        return state if believed else Moving()

    def _remembered(self, state: State) -> State:
        """A rollback of ECS stays one when its answers stop naming it."""
        primary = self.service.primary if self.service else None
        if primary is None:
            return state
        if (isinstance(state, EcsRollsBack) and primary.id != self.rollout.deployment_id) or (
            isinstance(state, EcsRolledBack)
            and not self._rollback
            and primary.task_definition == self.rollout.baseline.task_definition
        ):
            self._rollback, self._rollback_reason = primary.id, state.reason
        elif (
            isinstance(state, EcsRolledBack)
            and self._rollback not in {"", primary.id}
            # Ours can only be PRIMARY in an answer from before the rollback.
            and primary.id != self.rollout.deployment_id
        ):
            # It did roll back, and then somebody deployed.
            return Replaced(f"deployment {primary.id}", certain=True)
        elif isinstance(state, Replaced) and primary.id == self._rollback:
            if primary.rollout_state == "COMPLETED":
                return EcsRolledBack(self._rollback_reason)
            return EcsRollsBack(self._rollback_reason)
        return state

    def _unread(self, error: AwsError) -> Seen:
        if error.refusal is Refusal.MISSING:
            self.last_error = error
            return self._confirmed(Replaced("the service is gone", certain=False))
        if self.last_error is None or self.last_error.code != error.code:
            self._journal.say(f"AWS could not be read ({error}); looking again")
        self.last_error = error
        if error.refusal in {Refusal.DENIED, Refusal.CREDENTIALS}:
            self._refused += 1
            if self._refused >= UNREADABLE_LOOKS:
                return Unreadable(error)
        return Moving()

    def _record(self, service: Service) -> ServiceDeployment | None:
        """Our service deployment, if the API shows one to us."""
        arn = self.service_deployment or self._find_record(service)
        if arn is None:
            return None
        record = self._optional("service deployments", lambda: self._ecs.service_deployment(arn))
        if self.service_deployment is None and record is not None:
            if not self._is_of_ours(record):
                self._strangers.add(arn)
                return None
            self.service_deployment = arn
            if self._is_release:
                self._journal.record(service_deployment_arn=arn)
        return record

    def _find_record(self, service: Service) -> str | None:
        """A record that may have been made together with our deployment."""
        if not self._has_record:
            return None
        primary, current = service.primary, service.current_service_deployment
        known = {self.rollout.baseline.service_deployment, None, *self._strangers}
        if primary and primary.id == self.rollout.deployment_id and current not in known:
            return current
        found = self._optional(
            "service deployments",
            lambda: self._ecs.service_deployments_since(
                self.rollout.service, self.rollout.started_at
            ),
        )
        fresh = [arn for arn in found or [] if arn not in known]
        # The newest stands first; what came after ours is somebody else's.
        return fresh[-1] if fresh else None

    def _is_of_ours(self, record: ServiceDeployment) -> bool:
        """Whether it is as old as our deployment; one before ours may become visible late."""
        made, started = record.created_at, self.rollout.started_at
        return made is None or started - TOGETHER <= made <= started + LONGEST_START

    def _stopped_tasks(self) -> tuple[Task, ...]:
        """Our own stopped tasks; each is described once."""
        arns = self._optional(
            "tasks", lambda: self._ecs.task_arns(self.rollout.service, stopped=True)
        )
        fresh = [arn for arn in arns or [] if arn not in self._known_arns]
        found = self._optional("tasks", lambda: self._ecs.tasks(fresh)) if fresh else None
        for task in found or []:
            if not (task.stop_code or task.last_status == "STOPPED"):
                # On its way down; why it stops is known a moment later, long before it is down.
                continue
            self._known_arns.add(task.arn)
            if is_own(self.rollout, task):
                self.stopped[task.arn] = task
                if len(self.stopped) <= STOPS_TOLD:
                    self._journal.say(f"task {task.id} stopped: {describe_stop(task)}")
        return tuple(self.stopped.values())

    def _optional(self, what: str, read: Callable[[], T]) -> T | None:
        """A read that may fail: it lowers the quality of what we say, never the verdict."""
        if what in self._without:
            return None
        try:
            return read()
        except AwsError as error:
            if error.refusal in {Refusal.DENIED, Refusal.UNSUPPORTED, Refusal.INVALID}:
                self._without.add(what)
                self._journal.say(f"going on without {what}: {error}")
            return None

    def _tell_events(self, service: Service) -> None:
        for message in telling_events(service, self.rollout.started_at):
            self._tell(f"event: {message}")

    def _tell(self, text: str) -> None:
        """Say something once."""
        if text not in self._told:
            self._told.add(text)
            self._journal.say(text)

    def _is_nearly_done(self) -> bool:
        """Whether only tasks of ours are left, as many as there should be."""
        ours = self.service and self.service.deployment(self.rollout.deployment_id)
        if not self.service or not ours:
            return False
        return 0 < ours.desired <= ours.running == sum(d.running for d in self.service.deployments)

    def _line(self) -> str:
        if self.service is None:
            return ""
        seen = Observation(
            service=self.service, service_deployment=None, stopped=tuple(self.stopped.values())
        )
        return progress(self.rollout, seen)
