"""Get the image of this release: reuse what was built before, build it, or take the one given."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy_action.build import FINGERPRINT_LABEL, Source, ToBuild, build_of, run_build
from deploy_action.errors import AwsError, Blocked, BuildFailed
from deploy_action.gateways.ecr import digests, may_move, split_reference
from deploy_action.model import RegistryImage, ReleaseImage
from deploy_action.ports import Build, RegistryLogin

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.prepare import Plan
    from deploy_action.report.journal import Journal

LOOKS_AFTER_PUSH, LAG_SECONDS = 2, 3.0


def decide(
    inputs: Inputs, source: Source, plan: Plan, gateways: Gateways, journal: Journal
) -> ReleaseImage | ToBuild:
    """The image that is there already, or what has to be built. Reads only."""
    if inputs.image:
        return resolve(inputs.image, gateways, journal)
    if plan.repository is None:
        raise Blocked(
            "There is no image for this release.",
            why="Neither `image` nor `ecr-repository` is given.",
            fix="Give one of the two.",
        )
    repository, tag = plan.repository, inputs.image_tag or source.run.sha
    tagged = f"{repository.uri}:{tag}"
    login = gateways.ecr.login(repository.host)
    journal.hide(login.password)
    wanted = build_of(inputs, source, plan, repository, tagged)
    existing = gateways.ecr.image(repository, tag)
    if existing and _is_reusable(existing, tag, wanted, inputs, login, gateways, journal):
        journal.say(f"{tagged} is there already and is used again: {existing.digest}")
        return _release_image(existing, tagged)
    return ToBuild(build=wanted, login=login, repository=repository, tag=tag)


def obtain(
    decision: ReleaseImage | ToBuild, plan: Plan, gateways: Gateways, journal: Journal
) -> ReleaseImage:
    """The image that the containers of this release will run; built and pushed if it must be."""
    if isinstance(decision, ReleaseImage):
        return decision
    digest = run_build(decision, plan.platform, gateways, journal)
    pushed = gateways.ecr.image(decision.repository, decision.tag)
    for _ in range(LOOKS_AFTER_PUSH):
        if pushed is not None and pushed.digest == digest:
            break
        # A read may lag behind the push.
        gateways.clock.sleep(LAG_SECONDS)
        pushed = gateways.ecr.image(decision.repository, decision.tag)
    if pushed is None or pushed.digest != digest:
        raise BuildFailed(
            f"{decision.build.tag} is not what was pushed.",
            why=f"The push ended with {digest}, and ECR says "
            f"{pushed.digest if pushed else 'that there is no such tag'}: something else pushed "
            "the same tag at the same time.",
            fix="Let one workflow at a time push a tag (`concurrency:`), then run it again.",
        )
    return _release_image(pushed, decision.build.tag)


def resolve(reference: str, gateways: Gateways, journal: Journal) -> ReleaseImage:
    """An existing image. In ECR its digest is looked up; elsewhere the reference stays as it is."""
    host, name, tag_or_digest = split_reference(reference)
    if not gateways.ecr.owns(host, gateways.identity):
        if "@" not in reference:
            journal.say(f"{reference} is not in this registry: ECS will look up its digest")
        digest = reference.partition("@")[2]
        known = frozenset({digest} if digest else ())
        return ReleaseImage(reference=reference, tagged=reference, digests=known)
    repository = gateways.ecr.repository(name)
    image = gateways.ecr.image(repository, tag_or_digest)
    if image is None:
        raise Blocked(
            f"There is no image {reference!r}.",
            why=f"The repository {repository.uri} has no {tag_or_digest}.",
            fix="Correct `image`, or push the image first.",
        )
    journal.say(f"{reference} is {image.digest}")
    return _release_image(image, reference, ours=False)


def move_tags(
    inputs: Inputs, image: ReleaseImage, gateways: Gateways, journal: Journal
) -> list[str]:
    """Let `latest` and the extra tags point at the image; return those that moved.

    The release stands whether or not a tag can move, so this only notes problems.
    """
    if image.stored is None:
        return []
    moved = []
    for tag in dict.fromkeys([inputs.latest_tag, *inputs.extra_tags]):
        if not tag:
            continue
        try:
            if _move_tag(image.stored, tag, gateways, journal):
                moved.append(tag)
        except AwsError as error:
            journal.note(f"The tag `{tag}` was not moved: {error}. {error.brief_fix}")
    return moved


def _move_tag(image: RegistryImage, tag: str, gateways: Gateways, journal: Journal) -> bool:
    there = gateways.ecr.image(image.repository, tag)
    if there is not None and there.digest == image.digest:
        return True
    if there is not None and not may_move(image.repository, tag):
        journal.note(
            f"The tag `{tag}` was not moved: {image.repository.name} is "
            f"{image.repository.mutability} and the tag exists. Exclude it with "
            f"`IMMUTABLE_WITH_EXCLUSION`, or set `latest-tag` to nothing."
        )
        return False
    gateways.ecr.put_tag(image, tag)
    return True


def _is_reusable(
    existing: RegistryImage,
    tag: str,
    build: Build,
    inputs: Inputs,
    login: RegistryLogin,
    gateways: Gateways,
    journal: Journal,
) -> bool:
    """Whether the tag already holds what this build would make; BuildFailed where it blocks it."""
    movable = may_move(existing.repository, tag)
    if inputs.rebuild and movable:
        return False
    found = gateways.ecr.labels(existing, login).get(FINGERPRINT_LABEL)
    if found == build.labels[FINGERPRINT_LABEL] and not inputs.rebuild:
        return True
    if movable:
        journal.say(
            f"the tag {tag} is there, but "
            + ("was built from other inputs" if found else "does not say what it was built from")
            + "; building again"
        )
        return False
    if found is None and not inputs.rebuild:
        journal.note(
            f"The tag `{tag}` is there and cannot be replaced ({existing.repository.mutability}). "
            "It is used as it is; it does not say what it was built from."
        )
        return True
    raise BuildFailed(
        f"The tag {tag!r} cannot be pushed again.",
        why=f"The repository {existing.repository.name} is {existing.repository.mutability}, and "
        + ("`rebuild` is set." if inputs.rebuild else "the tag was built from other inputs."),
        fix="Choose another `image-tag`"
        + (", or remove `rebuild`." if inputs.rebuild else ", or build the same inputs as before."),
    )


def _release_image(image: RegistryImage, tagged: str, *, ours: bool = True) -> ReleaseImage:
    return ReleaseImage(
        reference=image.uri,
        tagged=tagged,
        digests=digests(image),
        stored=image if ours else None,
    )
