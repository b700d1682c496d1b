"""Move a service to a revision and prove it, or put the service back and say why.

The part that every operation shares that changes a service. What the revision
is, and what happens to tags afterwards, is the business of the operation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from deploy_action import cancel, settings
from deploy_action.alarms import AlarmWatch, Fired
from deploy_action.availability import Probing
from deploy_action.bake import bake
from deploy_action.claims import claim_of_new
from deploy_action.errors import (
    Cancelled,
    RolledBack,
    TimedOut,
    Unhealthy,
    Unknown,
)
from deploy_action.follow import Follower, Seen, Unreadable
from deploy_action.group import Group, PartnerFailed, Point
from deploy_action.intent import Before, Intent
from deploy_action.launch import Launcher, superseded
from deploy_action.model import Definition
from deploy_action.proof import Claim, Interrupted, NotProved, Proved, prove
from deploy_action.report.journal import span
from deploy_action.rollout import (
    Broken,
    EcsRollbackFailed,
    EcsRolledBack,
    EcsRollsBack,
    Finished,
    Moving,
    Replaced,
    convict,
)
from deploy_action.situation import Situation
from deploy_action.trouble import Trouble
from deploy_action.undo import Undoer
from deploy_action.watch import Look, watch

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal


class Mover:
    """Moves one service. `proofs` holds, by container name, the digests that prove its image."""

    def __init__(
        self,
        situation: Situation,
        proofs: Mapping[str, frozenset[str]],
        inputs: Inputs,
        gateways: Gateways,
        journal: Journal,
        group: Group,
    ) -> None:
        self._situation = situation
        self._proofs = proofs
        self._inputs = inputs
        self._gateways = gateways
        self._journal = journal
        self._group = group
        self._undoer = Undoer(situation, inputs, gateways, journal)
        self._alarms = group.once("alarms", lambda: AlarmWatch(inputs.alarms, gateways, journal))
        self._probing = Probing(situation, inputs.availability_percent, gateways, journal)

    def move(self, definition: Definition, *, force: bool) -> Proved | None:
        """The proof; None where the desired count is 0 and there is no task to look at.

        Raise ActionError for every other end. `force` starts a deployment of a
        revision that the service already has; without it ECS would start none.
        """
        watched = self._probing.gateways
        launcher = Launcher(self._situation, self._inputs, watched, self._journal)
        launcher.check_nobody_came()
        self._alarms.check_before()
        # Nothing is touched before all are ready.
        self._group.arrive(Point.READY)
        self._group.check_partners()
        intent = self._intend(definition)
        try:
            follower = launcher.start(definition, intent, force=force)
            result = self._follow(definition, follower) or self._verify(definition, follower)
            lapsed = self._probing.judge(self._situation.service.name)
            if isinstance(result, Proved):
                result = lapsed or self._bake(definition, follower, result)
            if not isinstance(result, Trouble):
                result = self._agreed(follower) or result
            if isinstance(result, Trouble):
                self._group.fail(f"{result.what} {result.why}")
                raise self._undoer.undone(result, definition, follower)
        except Cancelled:
            cancel.let_go(intent, self._inputs, self._gateways, self._journal)
            raise
        return result

    def verify_as_it_is(self) -> Proved | NotProved:
        """Prove the revision that the service runs already."""
        claim = self._claim(self._situation.running)
        return prove(claim, self._gateways, self._journal, lambda: None)

    def _claim(self, definition: Definition) -> Claim:
        return claim_of_new(self._situation, definition, self._proofs, self._inputs)

    def _intend(self, definition: Definition) -> Intent:
        """Keep what the post step needs, before the service is touched."""
        intent = Intent(
            service=self._situation.service.name,
            task_definition=definition.arn,
            baseline=self._situation.baseline,
            started_at=self._gateways.clock.now(),
            sent_desired=self._inputs.desired_count is not None,
            sent_configuration=bool(settings.changed(self._situation.service, self._inputs)),
            url=self._situation.endpoint.url if self._situation.endpoint else "",
            before=_before(self._situation),
        )
        self._journal.save_state("intent", intent.to_text())
        return intent

    def _follow(self, definition: Definition, follower: Follower) -> Trouble | None:
        with self._journal.phase("Follow") as phase:
            end = watch(
                lambda: self._look(follower),
                clock=self._probing.gateways.clock,
                journal=self._journal,
                limit_seconds=self._situation.limit_seconds,
            )
            if isinstance(end, Finished):
                phase.result = f"ECS completed the deployment of {definition.revision}"
                return None
            phase.failed = True
        return self._trouble(end, follower)

    def _verify(self, definition: Definition, follower: Follower) -> Trouble | Proved | None:
        """None where there is no task to look at."""
        if follower.service and follower.service.desired == 0:
            return None
        with self._journal.phase("Verify") as phase:
            try:
                proved = prove(
                    self._claim(definition),
                    self._probing.gateways,
                    self._journal,
                    lambda: self._no_longer(follower),
                )
            except Interrupted as interrupted:
                phase.failed = True
                return self._trouble(interrupted.state, follower)
            if isinstance(proved, NotProved):
                phase.failed = True
                return self._unproved(proved)
            phase.result = proved.sentences[-1]
        return proved

    def _look(self, follower: Follower) -> Look[Seen | PartnerFailed | Fired]:
        """At the rollout, unless another service of the step takes this one back."""
        if partner := self._group.takes_back():
            return Look(f"going back with {partner.by}", partner)
        seen = follower.look()
        return Look(seen.line, seen.end or self._alarms.fired(), soon=seen.soon)

    def _no_longer(self, follower: Follower) -> object | None:
        """Why a completed rollout may not stay; None while all is well."""
        return self._group.takes_back() or _no_longer(follower) or self._alarms.fired()

    def _bake(self, definition: Definition, follower: Follower, proved: Proved) -> Trouble | Proved:
        """Watch on for as long as is asked for; the proof with what that adds to it."""
        sentences = []
        try:
            if self._inputs.bake_minutes:
                with self._journal.phase("Bake") as phase:
                    baked = bake(
                        self._inputs.bake_minutes,
                        self._claim(definition),
                        self._gateways,
                        self._journal,
                        lambda: self._no_longer(follower),
                    )
                    if isinstance(baked, NotProved):
                        phase.failed = True
                        return self._soured(baked)
                    phase.result = baked
                    sentences.append(baked)
            if fired := self._alarms.fired(now=True):
                return self._trouble(fired, follower)
        except Interrupted as interrupted:
            return self._trouble(interrupted.state, follower)
        told = [self._journal.story.availability, self._alarms]
        sentences += [each.sentence for each in told if each and each.sentence]
        return replace(proved, sentences=(*proved.sentences, *sentences))

    def _agreed(self, follower: Follower) -> Trouble | None:
        """None once every service of the step came to a good end; all or nothing."""
        if self._group.is_one or self._group.keeps:
            return None
        self._journal.progress(0, "well, and waits for the others")
        self._group.arrive(Point.VERIFIED, or_failure=True)
        # The others took their time: somebody may have come meanwhile.
        end = self._no_longer(follower)
        return self._trouble(end, follower) if end else None

    # ---- after a failure ----

    def _trouble(self, end: object, follower: Follower) -> Trouble:
        """What a state that is not the good end means for the user."""
        name, limit = self._situation.service.name, self._situation.limit_seconds
        match end:
            case Replaced(by=by):
                raise superseded(name, by)
            case PartnerFailed(by=by, reason=reason):
                return Trouble(
                    end=RolledBack,
                    what=f"{name} goes back because {by} failed.",
                    why=f"One service of this step failed, and it is all or nothing. {by}: "
                    f"{reason}",
                    fix=f"Correct {by}. To keep the services that did well, set "
                    "`on-partial-failure: keep`.",
                    is_own=False,
                )
            case Fired():
                return end.trouble(name)
            case Unreadable(error=error):
                raise Unknown(
                    f"The release of {name} could not be followed to its end.",
                    why=f"{error}.",
                    fix="The deployment goes on by itself: look at it in ECS. " + error.fix,
                )
            case (
                Broken(reason=reason)
                | EcsRolledBack(reason=reason)
                | EcsRollbackFailed(reason=reason)
                | EcsRollsBack(reason=reason)
            ):
                return Trouble(
                    end=RolledBack,
                    what=f"The new revision of {name} failed.",
                    why=reason,
                    fix="Correct what the proof below names, then push again.",
                )
            case _ if follower.last_error is not None:
                raise Unknown(
                    f"The release of {name} could not be followed to its end.",
                    why=f"AWS could not be read when the time limit was reached: "
                    f"{follower.last_error}.",
                    fix="The deployment goes on by itself: look at it in ECS.",
                )
            case _:
                return Trouble(
                    end=TimedOut,
                    what=f"The new revision of {name} did not get there in time.",
                    why=f"ECS had not completed the deployment after "
                    f"{limit / 60:.0f} min, and nothing proves that it is wrong.",
                    fix="If it is only slow, raise `rollout-timeout-minutes`, or shorten what "
                    "takes the time (deregistration delay, health check interval, start-up).",
                )

    def _unproved(self, proved: NotProved) -> Trouble:
        name = self._situation.service.name
        wrong = proved.endpoint_is_wrong
        return Trouble(
            end=Unhealthy,
            what=f"ECS is content with the new revision of {name}, but its endpoint is not well."
            if wrong
            else f"The new revision of {name} could not be verified.",
            why=f"Within {span(self._inputs.health_timeout_seconds)}: {proved.problem}.",
            fix="Correct the application, or the `health-*` inputs if they ask a wrong thing.",
        )

    def _soured(self, baked: NotProved) -> Trouble:
        name = self._situation.service.name
        return Trouble(
            end=Unhealthy,
            what=f"The new revision of {name} was well at first, and then its endpoint was not.",
            why=f"While it was watched for {self._inputs.bake_minutes:g} min: {baked.problem}.",
            fix="Look at what the application does after its first minutes.",
        )


def _before(situation: Situation) -> Before:
    if situation.old_expectation is None:
        return "nothing"
    return "full" if situation.old_expectation == situation.expectation else "status"


def _no_longer(follower: Follower) -> Seen | None:
    """The state that a completed rollout fell into; None while it is still PRIMARY."""
    state = follower.state()
    if isinstance(state, Finished):
        return convict(tuple(follower.stopped.values()), follower.fail_after)
    return None if isinstance(state, Moving) else state
