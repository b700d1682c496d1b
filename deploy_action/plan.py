"""Show what a release would do, and do none of it. Shares every step that reads with `deploy`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy_action import one_off, settings
from deploy_action.build import Source, ToBuild, ToCopy
from deploy_action.deploy import nothing_started
from deploy_action.draft import Drafter, Pictures
from deploy_action.group import Group
from deploy_action.prepare import Plan

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal

NEXT = "the next revision"


def plan(
    inputs: Inputs, source: Source, gateways: Gateways, journal: Journal, group: Group
) -> None:
    """Tell what `deploy` would do with these inputs."""
    del group
    drafter = Drafter(inputs, source, gateways, journal)
    with nothing_started():
        prepared = drafter.check()
        with journal.phase("Image") as phase:
            pictures = drafter.choose(prepared)
            phase.result = _image_sentence(pictures)
        with journal.phase("Definition") as phase:
            body = drafter.render(prepared, _references(prepared, pictures))
            journal.story.changes = drafter.compare(prepared, body)
            for line in journal.story.changes:
                journal.say(line)
            phase.result = f"{len(journal.story.changes)} changes to {prepared.running.revision}"
        unchanged = drafter.is_unchanged(prepared, body)
    _record_image(pictures, journal)
    journal.story.verification = _sentences(inputs, prepared, pictures, is_unchanged=unchanged)
    what = (
        "nothing would change" if unchanged else f"it would move from {prepared.running.revision}"
    )
    journal.succeed("planned", f"A plan for {inputs.name}; nothing was written: {what}.")


def _image_sentence(pictures: Pictures) -> str:
    match pictures.release:
        case None:
            return ", ".join(image.reference for image in pictures.others.values())
        case ToBuild() | ToCopy() as wanted:
            return wanted.sentence
        case image:
            return f"{image.reference} is there"


def _references(prepared: Plan, pictures: Pictures) -> dict[str, str]:
    references = {name: image.reference for name, image in pictures.others.items()}
    match pictures.release:
        case None:
            return references
        case ToBuild() | ToCopy() as wanted:
            reference = wanted.tagged
        case image:
            reference = image.reference
    return {**references, **dict.fromkeys(prepared.containers, reference)}


def _record_image(pictures: Pictures, journal: Journal) -> None:
    match pictures.release:
        case None:
            return
        case ToBuild() | ToCopy() as wanted:
            journal.record(image_uri=wanted.tagged)
        case image:
            journal.record(image=image.reference, image_digest=image.digest, image_uri=image.tagged)


def _sentences(
    inputs: Inputs, prepared: Plan, pictures: Pictures, *, is_unchanged: bool
) -> list[str]:
    """What would happen, in the order in which it would."""
    sentences = [f"Image: {_image_sentence(pictures)}."]
    changed = settings.told(prepared.service, inputs)
    if is_unchanged:
        wanted = inputs.desired_count
        if wanted not in (None, prepared.service.desired):
            sentences.append(f"Only the desired count would be set, to {wanted}.")
        if changed:
            sentences.append(f"Deployment settings would be changed: {changed}.")
        sentences.append("The service would be verified as it is; no deployment would start.")
    else:
        sent = ", ".join(_sent(inputs, prepared, changed))
        sentences.append(f"UpdateService would be sent with {sent}.")
        if inputs.pre_deploy_command:
            sentences.append(one_off.announcement(inputs, prepared))
        sentences.append(
            f"The rollout would have {prepared.limit_seconds / 60:.0f} min; "
            f"a failure would go back to {prepared.baseline.task_definition.rsplit('/', 1)[-1]}."
        )
    if prepared.endpoint:
        sentences.append(
            f"{prepared.endpoint.url} would have to answer well {inputs.health_successes} times."
        )
    tags = [t for t in dict.fromkeys([inputs.latest_tag, *inputs.extra_tags]) if t]
    if tags and not inputs.image and prepared.containers:
        when = "after that" if inputs.latest_when == "verified" else "right after the push"
        sentences.append(f"{', '.join(tags)} would point at the image {when}.")
    return sentences


def _sent(inputs: Inputs, prepared: Plan, changed: str) -> list[str]:
    sent = [f"taskDefinition: {NEXT} of {prepared.base.get('family')}"]
    if inputs.desired_count is not None:
        sent.append(f"desiredCount: {inputs.desired_count}")
    if changed:
        sent.append(f"deploymentConfiguration: {changed}")
    if inputs.force_new_deployment:
        sent.append("forceNewDeployment: true")
    return sent
