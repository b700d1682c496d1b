"""The story of a release: one commit becomes a verified revision, or nothing has changed.

Check       read and decide; nothing is written
Image       reuse, build, copy, or resolve the image; writes to ECR only
Scan        where asked for: what ECR's scanner found in it
Definition  render and register a revision; the service is not touched
One-off     `pre-deploy-command` runs as a task of that revision and must exit with 0
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

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from deploy_action import diagnosis, images, one_off, scan, settings, task_definition, together
from deploy_action.build import Source
from deploy_action.draft import Drafter
from deploy_action.errors import AwsError, Blocked, Failed, Refusal
from deploy_action.group import Group, Point
from deploy_action.model import Definition, Json, ReleaseImage, revision_of, short_digest
from deploy_action.move import Mover
from deploy_action.prepare import Plan
from deploy_action.proof import NotProved, Proved
from deploy_action.report.journal import span
from deploy_action.watch import Look, watch

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal

SCALE_SECONDS = 600.0
"""For tasks that start or stop without a deployment; the shortest limit of a rollout."""


def deploy(
    inputs: Inputs, source: Source, gateways: Gateways, journal: Journal, group: Group
) -> None:
    """Return after a good end; raise ActionError otherwise."""
    _Deploy(inputs, source, gateways, journal, group).run()


class _Deploy:
    def __init__(
        self, inputs: Inputs, source: Source, gateways: Gateways, journal: Journal, group: Group
    ) -> None:
        self._inputs = inputs
        self._source = source
        self._gateways = gateways
        self._journal = journal
        self._group = group
        self._drafter = Drafter(inputs, source, gateways, journal)
        self._proofs: dict[str, frozenset[str]] = {}

    def run(self) -> None:
        with nothing_started():
            plan = together.agreed(self._drafter.check(), self._inputs, self._group, self._journal)
            release, references = self._obtain(plan)
            body = self._drafter.render(plan, references)
            if self._drafter.is_unchanged(plan, body):
                return self._unchanged(plan, release)
            definition = self._register(plan, body)
        if self._inputs.pre_deploy_command:
            # A migration cannot be taken back, so all the others have to be ready for it.
            self._group.arrive(Point.REGISTERED)
            self._group.check_partners()
            one_off.run(definition, plan, self._inputs, self._gateways, self._journal)
        # ---- from here on the service changes ----
        # Without force ECS creates no deployment for a revision it already has.
        force = self._inputs.force_new_deployment or definition is plan.running
        proved = self._mover(plan).move(definition, force=force)
        return self._succeed(plan, definition, release, proved)

    def _mover(self, plan: Plan) -> Mover:
        return Mover(plan, self._proofs, self._inputs, self._gateways, self._journal, self._group)

    # ---- before the release ----

    def _obtain(self, plan: Plan) -> tuple[ReleaseImage | None, dict[str, str]]:
        """The image of this release, and the reference for every container that gets one."""
        release, others = self._group.once("image", lambda: self._images(plan))
        others = {name: others[name] for name in plan.other_images}
        references = {name: image.reference for name, image in others.items()}
        self._proofs = {name: image.digests for name, image in others.items()}
        if release is not None:
            references |= dict.fromkeys(plan.containers, release.reference)
            self._proofs |= dict.fromkeys(plan.containers, release.digests)
            self._journal.record(
                image=release.reference, image_digest=release.digest, image_uri=release.tagged
            )
        return release, references

    def _images(self, plan: Plan) -> tuple[ReleaseImage | None, Mapping[str, ReleaseImage]]:
        """One build for all services, and the images that `container-name` spells out."""
        asked = together.all_images(plan, self._group)
        with self._journal.phase("Image") as phase:
            pictures = self._drafter.choose(asked)
            if pictures.release is None:
                phase.result = ", ".join(image.reference for image in pictures.others.values())
                return None, pictures.others
            release = images.obtain(pictures.release, asked, self._gateways, self._journal)
            phase.result = short_digest(release.reference)
        scan.check(release, asked.platform, self._inputs, self._gateways, self._journal)
        if self._inputs.latest_when == "pushed":
            images.move_tags(self._inputs, release, self._gateways, self._journal)
        return release, pictures.others

    def _unchanged(self, plan: Plan, release: ReleaseImage | None) -> None:
        self._journal.record(task_definition_arn=plan.running.arn)
        wanted, desired = self._inputs.desired_count, plan.service.desired
        done = []
        told = settings.told(plan.service, self._inputs)
        if configuration := settings.changed(plan.service, self._inputs):
            self._gateways.ecs.adjust(plan.service.name, configuration=configuration)
            done.append(f"the deployment settings were changed ({told})")
        if wanted not in (None, desired):
            self._scale(plan.service.name, wanted)
            done.append(f"the desired count was set, from {desired} to {wanted}")
        if (desired if wanted is None else wanted) == 0:
            return self._unverified(plan.running.revision)
        with self._journal.phase("Verify") as phase:
            proved = self._mover(plan).verify_as_it_is()
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
            f"({plan.running.revision}); "
            + (f"only {' and '.join(done)}." if done else "nothing was changed."),
        )

    def _scale(self, name: str, desired: int) -> None:
        """Set the desired count without a deployment, and wait for the tasks."""
        ecs, clock = self._gateways.ecs, self._gateways.clock

        def look() -> Look[bool]:
            service = ecs.service(name)
            line = f"{service.running}/{service.desired} running"
            return Look(line, True if service.running == desired else None)

        with self._journal.phase("Scale") as phase:
            ecs.adjust(name, desired=desired)
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
            if not self._journal.story.changes:
                self._journal.say(f"{plan.running.revision} is deployed again as it is")
                definition = plan.running
            elif shared := together.running_already(body, self._group, self._gateways.ecs):
                self._journal.say(f"{shared.revision} of the same family is exactly this")
                definition = shared
            else:
                # Services that share a family share the revision.
                definition = self._group.once(
                    json.dumps(body, sort_keys=True), lambda: self._registered(plan, body)
                )
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
            f"{self._inputs.name} is set to {revision}, but its desired count is 0: no task "
            "ran, so nothing could be verified, and no tag was moved.",
        )

    def _tags(self, release: ReleaseImage | None) -> None:
        """Only a verified image gets here, unless the user chose `latest-when: pushed`."""
        if release is None or release.stored is None or self._inputs.latest_when == "pushed":
            return
        self._group.arrive(Point.CONCLUDED)
        if bad := self._group.not_well():
            self._journal.note(f"No tag was moved, because {bad} did not come to a good end.")
            return
        self._group.once("tags", lambda: self._move_tags(release))

    def _move_tags(self, release: ReleaseImage) -> None:
        with self._journal.phase("Tags") as phase:
            moved = images.move_tags(self._inputs, release, self._gateways, self._journal)
            names = ", ".join(f"`{tag}`" for tag in moved)
            phase.result = f"{names} → {release.digest[:19]}…" if moved else "none moved"


@contextmanager
def nothing_started() -> Iterator[None]:
    """A call that AWS refuses before the release leaves the service as it was."""
    try:
        yield
    except AwsError as error:
        raise Blocked(
            "The release was not started.",
            why=diagnosis.because(error),
            fix=diagnosis.refusal(error).fix,
        ) from error
