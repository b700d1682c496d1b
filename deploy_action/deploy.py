"""The story of a release: one commit becomes a verified revision, or nothing has changed.

Check       read and decide; nothing is written
Image       reuse, build and push, or resolve the image; writes to ECR only
Definition  render and register a revision; the service is not touched
--- from here on the service changes ---
Release     one UpdateService
Follow      our own deployment, until ECS completes it or it is convicted
Verify      tasks, digest, endpoint
Tags        `latest` moves last
--- on a failure after the release ---
Evidence    collected before anything is undone
Roll back   to the revision the service had, verified like a release
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from deploy_action import cancel, images, task_definition
from deploy_action.build import Source
from deploy_action.draft import Drafter
from deploy_action.errors import (
    ActionError,
    AwsError,
    Blocked,
    Cancelled,
    Failed,
    Refusal,
    RollbackFailed,
    RolledBack,
    Superseded,
    TimedOut,
    Unhealthy,
    Unknown,
)
from deploy_action.evidence import Evidence, collect
from deploy_action.follow import Follower, Seen, Unreadable
from deploy_action.health import Endpoint, Expectation
from deploy_action.intent import Before, Intent
from deploy_action.model import Definition, Json, ReleaseImage, revision_of
from deploy_action.prepare import Plan
from deploy_action.release import NothingStarted, Overtaken, start
from deploy_action.report.journal import span
from deploy_action.restore import LeftAlone, Restored, Restorer, undo_commands
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
from deploy_action.verify import Claim, Interrupted, NotProved, Proved, verify
from deploy_action.watch import Look, watch

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal


SCALE_SECONDS = 600.0
"""For tasks that start or stop without a deployment; the shortest limit of a rollout."""
LAST_WORDS = 300
"""Characters of a container's last line that the reason repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """Why the release failed, and which end that is once the service is put back."""

    end: type[ActionError]
    what: str
    why: str
    fix: str


def deploy(inputs: Inputs, source: Source, gateways: Gateways, journal: Journal) -> None:
    """Return after a good end; raise ActionError otherwise."""
    _Deploy(inputs, source, gateways, journal).run()


class _Deploy:
    def __init__(
        self, inputs: Inputs, source: Source, gateways: Gateways, journal: Journal
    ) -> None:
        self._inputs = inputs
        self._source = source
        self._gateways = gateways
        self._journal = journal
        self._drafter = Drafter(inputs, source, gateways, journal)
        self._proofs: dict[str, frozenset[str]] = {}

    def run(self) -> None:
        with nothing_started():
            plan = self._drafter.check()
            release, references = self._obtain(plan)
            body = self._drafter.render(plan, references)
            if self._drafter.is_unchanged(plan, body):
                return self._unchanged(plan, release)
            definition = self._register(plan, body)
        # ---- from here on the service changes ----
        intent = self._intend(plan, definition)
        try:
            follower = self._start(plan, definition, intent)
            result = self._follow(plan, definition, follower) or self._verify(
                plan, definition, follower
            )
            if isinstance(result, Trouble):
                raise self._undone(result, plan, definition, follower)
        except Cancelled:
            cancel.let_go(intent, self._inputs, self._gateways, self._journal)
            raise
        return self._succeed(plan, definition, release, result)

    # ---- before the release ----

    def _obtain(self, plan: Plan) -> tuple[ReleaseImage | None, dict[str, str]]:
        """The image of this release, and the reference for every container that gets one."""
        with self._journal.phase("Image") as phase:
            pictures = self._drafter.choose(plan)
            references = {name: image.reference for name, image in pictures.others.items()}
            self._proofs = {name: image.digests for name, image in pictures.others.items()}
            if pictures.release is None:
                phase.result = ", ".join(references.values())
                return None, references
            release = images.obtain(pictures.release, plan, self._gateways, self._journal)
            references |= dict.fromkeys(plan.containers, release.reference)
            self._proofs |= dict.fromkeys(plan.containers, release.digests)
            self._journal.record(
                image=release.reference, image_digest=release.digest, image_uri=release.tagged
            )
            if self._inputs.latest_when == "pushed":
                images.move_tags(self._inputs, release, self._gateways, self._journal)
            phase.result = release.reference
        return release, references

    def _unchanged(self, plan: Plan, release: ReleaseImage | None) -> None:
        self._journal.record(task_definition_arn=plan.running.arn)
        wanted, desired = self._inputs.desired_count, plan.service.desired
        done = "nothing was changed"
        if wanted not in (None, desired):
            self._scale(plan.service.name, wanted)
            done = f"only the desired count was set, from {desired} to {wanted}"
        if (desired if wanted is None else wanted) == 0:
            return self._unverified(plan.running.revision)
        with self._journal.phase("Verify") as phase:
            proved = verify(
                self._claim(plan, plan.running), self._gateways, self._journal, lambda: None
            )
            if isinstance(proved, NotProved):
                raise Failed(
                    f"{plan.service.name} already runs this release, but it is not well.",
                    why=f"{proved.problem}.",
                    fix="Look at the service. To start its tasks anew, set `force-new-deployment`.",
                )
            phase.result = f"{plan.running.revision} is what should run"
        self._journal.story.verification = list(proved.sentences)
        self._tags(release)
        return self._journal.succeed(
            "unchanged",
            f"{plan.service.name} already runs this image and definition "
            f"({plan.running.revision}); {done}.",
        )

    def _scale(self, name: str, desired: int) -> None:
        """Set the desired count without a deployment, and wait for the tasks."""
        ecs, clock = self._gateways.ecs, self._gateways.clock

        def look() -> Look[bool]:
            service = ecs.service(name)
            line = f"{service.running}/{service.desired} running"
            return Look(line, True if service.running == desired else None)

        with self._journal.phase("Scale") as phase:
            ecs.scale(name, desired)
            if not watch(look, clock=clock, journal=self._journal, limit_seconds=SCALE_SECONDS):
                raise Failed(
                    f"{name} was set to {desired} tasks and did not get there.",
                    why=f"After {SCALE_SECONDS / 60:.0f} min their number is still another.",
                    fix="Look at the events of the service: capacity, or tasks that stop.",
                )
            phase.result = f"{desired} tasks run"

    def _register(self, plan: Plan, body: Json) -> Definition:
        with self._journal.phase("Definition") as phase:
            self._journal.story.changes = self._drafter.compare(plan, body)
            for line in self._journal.story.changes:
                self._journal.say(line)
            if self._journal.story.changes:
                definition = self._registered(plan, body)
            else:
                self._journal.say(f"{plan.running.revision} is deployed again as it is")
                definition = plan.running
            self._journal.record(task_definition_arn=definition.arn)
            phase.result = definition.revision
        return definition

    def _registered(self, plan: Plan, body: Json) -> Definition:
        """With tags that lead from the revision to its run, and back to the one before."""
        run = self._source.run
        tags = {
            "ecs-deploy:commit": run.sha,
            "ecs-deploy:run": run.url,
            "ecs-deploy:previous": revision_of(plan.baseline.task_definition),
        }
        try:
            return self._gateways.ecs.register(task_definition.with_tags(body, tags))
        except AwsError as error:
            if error.refusal is not Refusal.DENIED or "TagResource" not in error.message:
                raise
            self._journal.say(f"registering without tags of this run: {error}")
            return self._gateways.ecs.register(body)

    # ---- the release ----

    def _intend(self, plan: Plan, definition: Definition) -> Intent:
        """Keep what the post step needs, before the service is touched."""
        intent = Intent(
            service=plan.service.name,
            task_definition=definition.arn,
            baseline=plan.baseline,
            started_at=self._gateways.clock.now(),
            sent_desired=self._inputs.desired_count is not None,
            url=plan.endpoint.url if plan.endpoint else "",
            before=_before(plan),
        )
        self._journal.save_state("intent", intent.to_text())
        return intent

    def _start(self, plan: Plan, definition: Definition, intent: Intent) -> Follower:
        name = plan.service.name
        with self._journal.phase("Release") as phase:
            try:
                rollout = start(
                    name,
                    definition.arn,
                    plan.baseline,
                    self._gateways,
                    self._journal,
                    desired=self._inputs.desired_count,
                    # Without force ECS creates no deployment for a revision it already has.
                    force=self._inputs.force_new_deployment or definition is plan.running,
                )
            except Overtaken as overtaken:
                raise self._superseded(f"deployment {overtaken.deployment}", plan) from overtaken
            except NothingStarted as nothing:
                raise Failed(
                    f"ECS started no deployment of {name}.",
                    why="It accepted the request, and the service shows no new deployment.",
                    fix="Run the workflow again with `force-new-deployment: true`.",
                ) from nothing
            except AwsError as error:
                raise self._not_started(error, plan, definition) from error
            self._journal.record(deployment_id=rollout.deployment_id)
            self._journal.save_state("intent", intent.started(rollout).to_text())
            old = revision_of(plan.service.task_definition)
            phase.result = f"{name} moves from {old} to {definition.revision}"
            self._journal.say(f"deployment {rollout.deployment_id}")
        return Follower(
            rollout, self._gateways.ecs, self._journal, self._inputs.fail_after_stopped_tasks
        )

    def _not_started(self, error: AwsError, plan: Plan, definition: Definition) -> ActionError:
        name = plan.service.name
        try:
            primary = self._gateways.ecs.service(name).primary
        except AwsError:
            primary = None
        if primary is None:
            return Unknown(
                f"It is not known whether the release of {name} has begun.",
                why=f"{error}, and the service cannot be read.",
                fix=f"Look at the service in ECS: it may be moving to {definition.revision}.",
            )
        return Failed(
            f"The release of {name} was not started; it runs "
            f"{revision_of(primary.task_definition)} as before.",
            why=f"{error}.",
            fix=error.fix,
        )

    def _follow(self, plan: Plan, definition: Definition, follower: Follower) -> Trouble | None:
        with self._journal.phase("Follow") as phase:
            end = watch(
                follower.look,
                clock=self._gateways.clock,
                journal=self._journal,
                limit_seconds=plan.limit_seconds,
            )
            if isinstance(end, Finished):
                phase.result = f"ECS completed the deployment of {definition.revision}"
                return None
            phase.failed = True
        return self._trouble(end, plan, follower)

    def _verify(
        self, plan: Plan, definition: Definition, follower: Follower
    ) -> Trouble | Proved | None:
        """None where there is no task to look at."""
        if follower.service and follower.service.desired == 0:
            return None
        with self._journal.phase("Verify") as phase:
            try:
                proved = verify(
                    self._claim(plan, definition),
                    self._gateways,
                    self._journal,
                    lambda: _no_longer(follower),
                )
            except Interrupted as interrupted:
                phase.failed = True
                return self._trouble(interrupted.state, plan, follower)
            if isinstance(proved, NotProved):
                phase.failed = True
                return self._unproved(proved, plan)
            phase.result = proved.sentences[-1]
        return proved

    def _succeed(
        self,
        plan: Plan,
        definition: Definition,
        release: ReleaseImage | None,
        proved: Proved | None,
    ) -> None:
        if proved is None:
            return self._unverified(definition.revision)
        self._journal.story.verification = list(proved.sentences)
        if release and not release.digest and proved.digest:
            self._journal.record(image_digest=proved.digest)
        self._journal.conclude("deployed")
        self._tags(release)
        return self._journal.succeed(
            "deployed",
            f"{plan.service.name} runs {definition.revision}, verified, "
            f"after {span(self._journal.seconds)}.",
        )

    def _unverified(self, revision: str) -> None:
        self._journal.succeed(
            "deployed-unverified",
            f"{self._inputs.service} is set to {revision}, but its desired count is 0: no task "
            "ran, so nothing could be verified, and no tag was moved.",
        )

    def _tags(self, release: ReleaseImage | None) -> None:
        """Only a verified image gets here, unless the user chose `latest-when: pushed`."""
        if release is None or release.stored is None or self._inputs.latest_when == "pushed":
            return
        with self._journal.phase("Tags") as phase:
            moved = images.move_tags(self._inputs, release, self._gateways, self._journal)
            names = ", ".join(f"`{tag}`" for tag in moved)
            phase.result = f"{names} → {release.digest[:19]}…" if moved else "none moved"

    # ---- after a failure ----

    def _trouble(self, end: object, plan: Plan, follower: Follower) -> Trouble:
        """What a state that is not the good end means for the user."""
        name = plan.service.name
        match end:
            case Replaced(by=by):
                raise self._superseded(by, plan)
            case Unreadable(error=error):
                raise Unknown(
                    f"The release of {name} could not be followed to its end.",
                    why=f"{error}.",
                    fix=error.fix + " The deployment goes on by itself: look at it in ECS.",
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
                    f"{plan.limit_seconds / 60:.0f} min, and nothing proves that it is wrong.",
                    fix="If it is only slow, raise `rollout-timeout-minutes`, or shorten what "
                    "takes the time (deregistration delay, health check interval, start-up).",
                )

    def _unproved(self, proved: NotProved, plan: Plan) -> Trouble:
        name = plan.service.name
        wrong = proved.endpoint_is_wrong
        return Trouble(
            end=Unhealthy,
            what=f"ECS is content with the new revision of {name}, but its endpoint is not well."
            if wrong
            else f"The new revision of {name} could not be verified.",
            why=f"Within {span(self._inputs.health_timeout_seconds)}: {proved.problem}.",
            fix="Correct the application, or the `health-*` inputs if they ask a wrong thing.",
        )

    def _undone(
        self, trouble: Trouble, plan: Plan, definition: Definition, follower: Follower
    ) -> ActionError:
        """Evidence before undo; then the error that tells the true end."""
        evidence = self._evidence(definition, follower)
        trouble = replace(trouble, why=_with_last_words(trouble.why, evidence))
        name = plan.service.name
        if not self._inputs.rollback_on_failure and not _is_ecs_undoing(follower):
            return Failed(
                f"{trouble.what} It was left there, because `rollback-on-failure` is false.",
                why=trouble.why,
                fix=trouble.fix,
                evidence=evidence.lines,
            )
        with self._journal.phase("Roll back") as phase:
            restorer = Restorer(
                follower,
                self._old_claim(plan, self._old_definition(plan)),
                plan.limit_seconds,
                self._gateways,
                self._journal,
            )
            result = restorer.restore()
            if isinstance(result, Restored):
                phase.result = result.sentence
            else:
                phase.failed = True
        if isinstance(result, LeftAlone):
            return self._superseded(result.by, plan, first=trouble.why)
        old = revision_of(plan.baseline.task_definition)
        if isinstance(result, Restored):
            self._journal.record(rolled_back="true")
            self._journal.story.rollback = result.sentence
            what, why, fix = f"{trouble.what} {name} is back on {old}.", trouble.why, trouble.fix
            return trouble.end(what, why=why, fix=fix, evidence=evidence.lines)
        if result.nothing_to_go_back_to:
            what = f"{trouble.what} Nothing was rolled back: {result.problem}."
            return Failed(what, why=trouble.why, fix=trouble.fix, evidence=evidence.lines)
        region = self._gateways.identity.region
        commands = undo_commands(follower.rollout, self._inputs.cluster, region)
        return RollbackFailed(
            f"{trouble.what} {name} could NOT be put back on {old}.",
            why=f"{trouble.why}. Then, rolling back: {result.problem}.",
            fix="Act now, by hand:\n" + "\n".join(commands),
            evidence=evidence.lines,
        )

    def _old_definition(self, plan: Plan) -> Definition:
        if plan.running.arn == plan.baseline.task_definition:
            return plan.running
        return self._gateways.ecs.definition(plan.baseline.task_definition)

    def _evidence(self, definition: Definition, follower: Follower) -> Evidence:
        with self._journal.phase("Evidence") as phase:
            evidence = collect(
                definition,
                follower,
                self._inputs.log_tail_lines,
                self._gateways,
                self._journal,
            )
            self._journal.story.log_tail = list(evidence.log_tail)
            phase.result = f"{len(evidence.lines)} facts, {len(evidence.log_tail)} log lines"
        return evidence

    def _superseded(self, by: str, plan: Plan, first: str = "") -> Superseded:
        return Superseded(
            f"The release of {plan.service.name} was replaced by {by}.",
            why=(f"{first}. Then s" if first else "S")
            + "omebody else changed the service while this release was on its way; "
            "their deployment was left alone and no tag was moved.",
            fix="If that was a newer run of this workflow, nothing is to be done. To queue runs "
            "instead, give the workflow a `concurrency` group.",
        )

    # ---- what is to be proved ----

    def _claim(self, plan: Plan, definition: Definition) -> Claim:
        return self._about(plan, definition, plan.endpoint, plan.expectation, self._proofs)

    def _old_claim(self, plan: Plan, old: Definition) -> Claim:
        """What the old revision owes after a rollback: no more than it gave before."""
        endpoint = plan.endpoint if plan.old_expectation else None
        return self._about(plan, old, endpoint, plan.old_expectation, {})

    def _about(
        self,
        plan: Plan,
        definition: Definition,
        endpoint: Endpoint | None,
        expectation: Expectation | None,
        digests: Mapping[str, frozenset[str]],
    ) -> Claim:
        containers = definition.body.get("containerDefinitions") or []
        groups = (lb.target_group_arn for lb in plan.service.load_balancing)
        return Claim(
            service=plan.service.name,
            task_definition=definition.arn,
            digests=digests,
            endpoint=endpoint,
            expectation=expectation,
            has_container_check=any(c.get("healthCheck") for c in containers),
            old_tasks_may_run=plan.service.early_success,
            target_groups=tuple(arn for arn in groups if arn),
            successes=self._inputs.health_successes,
            interval_seconds=self._inputs.health_interval_seconds,
            budget_seconds=self._inputs.health_timeout_seconds,
        )


def _before(plan: Plan) -> Before:
    if plan.old_expectation is None:
        return "nothing"
    return "full" if plan.old_expectation == plan.expectation else "status"


def _with_last_words(why: str, evidence: Evidence) -> str:
    """The reason, and the line that most often names the cause: the last one of the log."""
    last = next((line.strip() for line in reversed(evidence.log_tail) if line.strip()), "")
    return f"{why.rstrip('.')}. Its log ends with: {last[:LAST_WORDS]}" if last else why


@contextmanager
def nothing_started() -> Iterator[None]:
    """A call that AWS refuses before the release leaves the service as it was."""
    try:
        yield
    except AwsError as error:
        raise Blocked("The release was not started.", why=f"{error}.", fix=error.fix) from error


def _no_longer(follower: Follower) -> Seen | None:
    """The state that a completed rollout fell into; None while it is still PRIMARY."""
    state = follower.state()
    if isinstance(state, Finished):
        return convict(tuple(follower.stopped.values()), follower.fail_after)
    return None if isinstance(state, Moving) else state


def _is_ecs_undoing(follower: Follower) -> bool:
    return isinstance(follower.state(), EcsRollsBack | EcsRolledBack | EcsRollbackFailed)
