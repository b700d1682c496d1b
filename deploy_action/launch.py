"""Launch a release: at most one request takes effect, and what became of it is known.

Whatever AWS answers, or fails to answer, this ends with a rollout to follow or
with the sentence that says what is so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy_action import diagnosis, release, settings
from deploy_action.errors import AwsError, Blocked, Failed, Superseded, Unknown
from deploy_action.follow import Follower
from deploy_action.intent import Intent
from deploy_action.model import Definition, Rollout, revision_of
from deploy_action.situation import Situation

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal


class Launcher:
    """Starts the rollout of one service."""

    def __init__(
        self, situation: Situation, inputs: Inputs, gateways: Gateways, journal: Journal
    ) -> None:
        self._situation = situation
        self._inputs = inputs
        self._gateways = gateways
        self._journal = journal

    def check_nobody_came(self) -> None:
        """A build takes minutes: what somebody else deployed meanwhile is not ours to replace."""
        name = self._situation.service.name
        try:
            primary = self._gateways.ecs.service(name).primary
        except AwsError as error:
            raise Blocked(
                f"The release of {name} was not started.",
                why=diagnosis.because(error),
                fix=diagnosis.refusal(error).fix,
            ) from error
        if primary is None or primary.id in self._situation.baseline.deployment_ids:
            return
        is_rollback = "rolling back" in primary.reason.lower()
        who = f"ECS began to roll {name} back" if is_rollback else f"Somebody else deployed {name}"
        raise Blocked(
            f"{who} while this release was prepared.",
            why=f"It moves to {revision_of(primary.task_definition)} (deployment {primary.id}), "
            "and this release was made from the revision before that.",
            fix="Run the workflow again: it starts from that revision. To queue runs of this "
            "workflow, give it a `concurrency` group.",
        )

    def start(self, definition: Definition, intent: Intent, *, force: bool) -> Follower:
        name = self._situation.service.name
        with self._journal.phase("Release") as phase:
            try:
                rollout = release.start(
                    name,
                    definition.arn,
                    self._situation.baseline,
                    self._gateways,
                    self._journal,
                    desired=self._inputs.desired_count,
                    configuration=settings.changed(self._situation.service, self._inputs),
                    force=force,
                )
            except release.Overtaken as overtaken:
                raise superseded(name, f"deployment {overtaken.deployment}") from overtaken
            except release.Vanished as vanished:
                rollout = self._still_there(vanished, intent)
            except release.NothingStarted as nothing:
                raise Failed(
                    f"ECS started no deployment of {name}.",
                    why="It accepted the request, and the service shows no new deployment.",
                    fix="Run the workflow again with `force-new-deployment: true`.",
                ) from nothing
            except AwsError as error:
                rollout = self._begun_after_all(error, definition, intent)
            self._journal.record(deployment_id=rollout.deployment_id)
            self._journal.save_state("intent", intent.started(rollout).to_text())
            old = revision_of(self._situation.service.task_definition)
            phase.result = f"{name} moves from {old} to {definition.revision}"
            self._journal.say(f"deployment {rollout.deployment_id}")
        return Follower(
            rollout, self._gateways.ecs, self._journal, self._inputs.fail_after_stopped_tasks
        )

    def _still_there(self, vanished: release.Vanished, intent: Intent) -> Rollout:
        """The rollout of a request whose answer was lost and that two looks did not show."""
        try:
            found = intent.rollout(self._gateways.ecs.service(intent.service))
        except AwsError:
            found = None
        if found:
            return found
        raise Unknown(
            f"It is not known what became of the release of {intent.service}.",
            why="The answer to the request was lost, and when the service was looked at, its "
            f"deployment was over ({vanished.by}).",
            fix="Look at the deployments of the service in ECS: the circuit breaker may have "
            "rolled it back at once. Then run the workflow again.",
        ) from vanished

    def _begun_after_all(self, error: AwsError, definition: Definition, intent: Intent) -> Rollout:
        """The rollout that a refused or lost request started all the same; else say what is."""
        name = self._situation.service.name
        try:
            service = self._gateways.ecs.service(name)
        except AwsError:
            service = None
        if service is None or service.primary is None:
            raise Unknown(
                f"It is not known whether the release of {name} has begun.",
                why=f"{error}, and the service cannot be read.",
                fix=f"Look at the service in ECS: it may be moving to {definition.revision}.",
            ) from error
        if rollout := intent.rollout(service):
            return rollout
        if service.primary.id not in intent.baseline.deployment_ids:
            raise superseded(name, f"deployment {service.primary.id}") from error
        raise Failed(
            f"The release of {name} was not started; it runs "
            f"{revision_of(service.primary.task_definition)} as before.",
            why=diagnosis.because(error),
            fix=diagnosis.refusal(error).fix,
        ) from error


def superseded(service: str, by: str, first: str = "") -> Superseded:
    """The end of a release that somebody else's took the place of."""
    return Superseded(
        f"The release of {service} was replaced by {by}.",
        why=(f"{first}. Then s" if first else "S")
        + "omebody else changed the service while this release was on its way; "
        "their deployment was left alone and no tag was moved.",
        fix="If that was a newer run of this workflow, nothing is to be done. To queue runs "
        "instead, give the workflow a `concurrency` group.",
    )
