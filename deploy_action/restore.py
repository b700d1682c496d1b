"""Put the service back on the revision it had, and prove it."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError, Refusal
from deploy_action.follow import Follower, Seen, Unreadable
from deploy_action.model import Baseline, Rollout, Service, revision_of
from deploy_action.proof import Claim, Interrupted, NotProved, prove
from deploy_action.release import NothingStarted, Overtaken, Vanished, start
from deploy_action.rollout import (
    Broken,
    EcsRollbackFailed,
    EcsRolledBack,
    EcsRollsBack,
    Finished,
    Moving,
    Replaced,
)
from deploy_action.watch import Look, watch

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

STOPS_THAT_DOOM_A_ROLLBACK = 5
"""The old revision did run, so a stop or two of its tasks is not yet a verdict."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Restored:
    """The old revision serves; `sentence` says how that came and how it is known."""

    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class NotRestored:
    """The service could not be put back, or that could not be proved."""

    problem: str
    nothing_to_go_back_to: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LeftAlone:
    """Another deployment has the service now."""

    by: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoneByEcs:
    """ECS undoes our deployment; `sentence` says by whose wish."""

    state: EcsRollsBack | EcsRolledBack | EcsRollbackFailed
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UndoneByUpdate:
    """The old revision was asked for again, and `rollout` is the way back to it."""

    rollout: Rollout
    sentence: str
    knows_before: bool = True
    """Whether we know which service deployments there were before it."""


Restoration = Restored | NotRestored | LeftAlone
Begun = UndoneByEcs | UndoneByUpdate | NotRestored | LeftAlone


class Restorer:
    """Undoes one rollout."""

    def __init__(
        self,
        follower: Follower,
        claim: Claim,
        limit_seconds: float,
        gateways: Gateways,
        journal: Journal,
    ) -> None:
        self._follower = follower
        self._rollout = follower.rollout
        self._claim = claim
        self._limit = limit_seconds
        self._gateways = gateways
        self._journal = journal

    def restore(self) -> Restoration:
        """Undo, follow it to its end, and verify the old revision."""
        begun = self.begin()
        if isinstance(begun, UndoneByEcs):
            return self._after_ecs(begun.state, begun.sentence)
        if isinstance(begun, UndoneByUpdate):
            return self._after_update(begun)
        return begun

    def begin(self, *, is_hurried: bool = False) -> Begun:
        """Send the one call that undoes, with the mildest means that the state allows.

        Nothing is waited for: a cancelled run has time for this and no more.
        """
        state = self._state_now()
        if isinstance(state, Replaced):
            return self._if_back_already() or LeftAlone(by=state.by)
        if isinstance(state, Unreadable):
            return NotRestored(problem=_reason(state))
        if isinstance(state, EcsRolledBack | EcsRollsBack | EcsRollbackFailed):
            return UndoneByEcs(state=state, sentence="ECS itself is rolling back")
        if self._rollout.task_definition == self._rollout.baseline.task_definition:
            return NotRestored(
                problem="the service ran the same revision before, so there is none to go back to",
                nothing_to_go_back_to=True,
            )
        return self._stop_with_rollback() or self._update_back(is_hurried=is_hurried)

    def _if_back_already(self) -> UndoneByUpdate | None:
        """The deployment that replaced ours, if it is of the revision we would go back to.

        A cancelled run may have asked for it and died before it knew the answer.
        """
        service, baseline = self._follower.service, self._rollout.baseline
        primary = service.primary if service else None
        if primary is None or primary.task_definition != baseline.task_definition:
            return None
        back = Rollout(
            service=self._rollout.service,
            task_definition=baseline.task_definition,
            deployment_id=primary.id,
            baseline=self._now_as_baseline(without=primary.id),
            started_at=primary.created_at or self._rollout.started_at,
        )
        return UndoneByUpdate(
            rollout=back, sentence="the service is being updated back already", knows_before=False
        )

    def _state_now(self) -> Seen:
        """The state, looked at twice where once leaves a doubt."""
        state = self._follower.state()
        if isinstance(state, Moving):
            state = self._state_later()
        if isinstance(state, Moving) and self._follower.is_in_doubt:
            # Somebody may have come between the two looks.
            state = self._state_later()
        return state

    def _state_later(self) -> Seen:
        self._gateways.clock.sleep(1)
        return self._follower.state()

    def _stop_with_rollback(self) -> UndoneByEcs | UndoneByUpdate | LeftAlone | None:
        """Let ECS take over: its own rollback keeps the healthy old tasks. None if it does not."""
        arn = self._follower.service_deployment
        if arn is None:
            return None
        try:
            self._gateways.ecs.stop_and_roll_back(arn)
        except AwsError as error:
            if error.refusal in {Refusal.UNREACHABLE, Refusal.THROTTLED, Refusal.CONFLICT}:
                return self._after_silence()
            self._journal.say(f"ECS does not roll back for us ({error}); updating the service")
            return None
        return UndoneByEcs(
            state=EcsRollsBack("asked to by this step"),
            sentence="asked ECS to stop the deployment and to roll back",
        )

    def _after_silence(self) -> UndoneByEcs | UndoneByUpdate | LeftAlone | None:
        """What a stop came to whose answer was lost, or that came too late."""
        state = self._state_now()
        if isinstance(state, Replaced):
            return self._if_back_already() or LeftAlone(by=state.by)
        if isinstance(state, EcsRollsBack | EcsRolledBack | EcsRollbackFailed):
            return UndoneByEcs(state=state, sentence="ECS is rolling back")
        return None

    def _after_ecs(self, state: Seen, sentence: str) -> Restoration:
        """Follow a rollback that ECS does."""

        def look() -> Look[Seen]:
            seen = self._follower.look()
            # Our stopped tasks still convict the rollout, but that is old news now.
            settled = (EcsRolledBack, EcsRollbackFailed, Replaced, Unreadable)
            is_settled = isinstance(seen.end, settled) or _is_over(seen.end)
            return Look(seen.line, seen.end if is_settled else None)

        self._journal.say(sentence)
        end: Seen | None = state
        if isinstance(state, EcsRollsBack):
            end = watch(
                look, clock=self._gateways.clock, journal=self._journal, limit_seconds=self._limit
            )
        if isinstance(end, EcsRolledBack):
            return self._put_settings_back() or self._prove(
                "ECS rolled back", lambda: _unless_back(self._follower)
            )
        if _is_over(end):
            # A breaker that does not roll back tripped just before ECS obeyed us.
            begun = self._update_back(is_hurried=False)
            return self._after_update(begun) if isinstance(begun, UndoneByUpdate) else begun
        return self._not_restored(end, self._follower)

    def _update_back(self, *, is_hurried: bool) -> UndoneByUpdate | NotRestored | LeftAlone:
        """Ask for the old revision, as for any other."""
        baseline = self._rollout.baseline
        try:
            back = start(
                self._rollout.service,
                baseline.task_definition,
                self._now_as_baseline(),
                self._gateways,
                self._journal,
                desired=baseline.desired if self._rollout.sent_desired else None,
                configuration=baseline.configuration if self._rollout.sent_configuration else None,
                is_hurried=is_hurried,
            )
        except Overtaken as overtaken:
            return LeftAlone(by=f"deployment {overtaken.deployment}")
        except Vanished as vanished:
            return NotRestored(problem=f"its answer was lost, and {vanished.by} is over already")
        except NothingStarted:
            return NotRestored(problem="ECS accepted the request but started no deployment")
        except AwsError as error:
            how = "got no answer" if error.refusal is Refusal.UNREACHABLE else "was refused"
            return NotRestored(problem=f"the request {how}: {error}. {error.brief_fix}")
        revision = revision_of(back.task_definition)
        return UndoneByUpdate(
            rollout=back, sentence=f"asked for {revision} again (deployment {back.deployment_id})"
        )

    def _after_update(self, begun: UndoneByUpdate) -> Restoration:
        """Follow a rollback that is a deployment like any other."""
        self._journal.say(begun.sentence)
        follower = Follower(
            begun.rollout,
            self._gateways.ecs,
            self._journal,
            STOPS_THAT_DOOM_A_ROLLBACK,
            is_release=False,
            has_record=begun.knows_before,
        )
        end = watch(
            follower.look,
            clock=self._gateways.clock,
            journal=self._journal,
            limit_seconds=self._limit,
        )
        if isinstance(end, Finished):
            # Whoever asked for it before us may not have asked for the settings.
            failed = None if begun.knows_before else self._put_settings_back()
            return failed or self._prove(
                "The service was updated back", lambda: _unless_finished(follower)
            )
        return self._not_restored(end, follower)

    def _put_settings_back(self) -> NotRestored | None:
        """What the release set besides the revision; a rollback of ECS leaves it as it is."""
        baseline, rollout = self._rollout.baseline, self._rollout
        if not (rollout.sent_desired or rollout.sent_configuration):
            return None
        try:
            self._gateways.ecs.adjust(
                rollout.service,
                desired=baseline.desired if rollout.sent_desired else None,
                configuration=baseline.configuration if rollout.sent_configuration else None,
            )
        except AwsError as error:
            return NotRestored(
                problem=f"the old revision serves, but the service's settings were not put back: "
                f"{error}. {error.brief_fix}"
            )
        self._journal.say("the service's settings are as they were before the release")
        return None

    def _now_as_baseline(self, *, without: str = "") -> Baseline:
        """What the service is at this moment, for the rollout that undoes ours."""
        service = self._follower.service
        known = frozenset(d.id for d in service.deployments) if service else frozenset()
        baseline = self._rollout.baseline
        return Baseline(
            task_definition=self._rollout.task_definition,
            deployment_ids=(known | baseline.deployment_ids | {self._rollout.deployment_id})
            - {without},
            service_deployment=service.current_service_deployment if service else None,
            desired=baseline.desired,
            configuration=baseline.configuration,
        )

    def _is_whole(self, service: Service | None) -> bool:
        """Whether the service is set to the old revision, and runs all its tasks and no other."""
        old = self._rollout.baseline.task_definition
        if service is None or service.primary is None or service.primary.task_definition != old:
            return False
        others = [d.running + d.pending for d in service.deployments if d.task_definition != old]
        olds = [d.running for d in service.deployments if d.task_definition == old]
        return not any(others) and sum(olds) >= service.desired

    def _prove(self, how: str, still_ours: Callable[[], object | None]) -> Restoration:
        """Verify the old revision like a new one."""
        try:
            proved = prove(self._claim, self._gateways, self._journal, still_ours)
        except Interrupted as interrupted:
            state = interrupted.state
            if isinstance(state, Replaced):
                return LeftAlone(by=state.by)
            return NotRestored(problem=_reason(state))
        if isinstance(proved, NotProved):
            return NotRestored(
                problem=f"{how}, but the old revision could not be verified: {proved.problem}"
            )
        revision = revision_of(self._rollout.baseline.task_definition)
        return Restored(sentence=f"{how} to {revision}. {' '.join(proved.sentences)}")

    def _not_restored(self, end: Seen | None, follower: Follower) -> Restoration:
        if isinstance(end, Replaced):
            return LeftAlone(by=end.by)
        if end is None:
            took = f"within {self._limit / 60:.0f} minutes"
            if self._is_whole(follower.service):
                # Where no task can be placed, none can for the way back: the old ones went on.
                how = f"ECS could not complete the rollback {took}, and yet the service is back"
                return self._prove(how, lambda: _unless_moving(follower))
            return NotRestored(problem=f"the rollback did not finish {took}")
        return NotRestored(problem=_reason(end))


def _unless_moving(follower: Follower) -> object | None:
    state = follower.state()
    return state if isinstance(state, Replaced | EcsRollbackFailed | Unreadable) else None


def _unless_back(follower: Follower) -> object | None:
    state = follower.state()
    # An answer from before its end may still arrive after it.
    return None if isinstance(state, EcsRolledBack | EcsRollsBack | Moving) else state


def _unless_finished(follower: Follower) -> object | None:
    state = follower.state()
    return None if isinstance(state, Finished | Moving) else state


def _is_over(state: object) -> bool:
    return isinstance(state, Broken) and state.is_over


def _reason(state: object) -> str:
    if isinstance(state, Unreadable):
        return f"AWS cannot be read any more: {state.error}"
    return str(getattr(state, "reason", state))


def undo_commands(rollout: Rollout, cluster: str, region: str) -> tuple[str, ...]:
    """What a human can type to put the service back."""
    where = f"--region {region} --cluster {cluster}"
    old = revision_of(rollout.baseline.task_definition)
    settings = f" --desired-count {rollout.baseline.desired}" if rollout.sent_desired else ""
    if rollout.sent_configuration:
        before = shlex.quote(json.dumps(rollout.baseline.configuration))
        settings += f" --deployment-configuration {before}"
    return (
        f"aws ecs describe-services {where} --services {rollout.service}",
        f"aws ecs update-service {where} --service {rollout.service} --task-definition {old}"
        + settings,
        f"aws ecs wait services-stable {where} --services {rollout.service}",
    )
