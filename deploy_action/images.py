"""Get the image of this release: reuse what is there, build it, copy it, or take the one given."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deploy_action import repositories
from deploy_action.build import FINGERPRINT_LABEL, Source, ToBuild, ToCopy, build_of, run_build
from deploy_action.errors import AwsError, Blocked, BuildFailed, Refusal
from deploy_action.gateways.ecr import (
    ECR_HOST,
    digests,
    is_kept_in,
    may_move,
    source_of,
    split_reference,
)
from deploy_action.model import RegistryImage, ReleaseImage, Repository, short_digest
from deploy_action.ports import Build, BuildError, RegistryLogin

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.prepare import Plan
    from deploy_action.report.journal import Journal

LOOKS_AFTER_PUSH, LAG_SECONDS = 2, 3.0


def decide(
    inputs: Inputs, source: Source, plan: Plan, gateways: Gateways, journal: Journal
) -> ReleaseImage | ToBuild | ToCopy:
    """The image that is there already, or what has to be built or copied. Reads only."""
    repository = plan.repository
    if inputs.image:
        if repository is None or is_kept_in(inputs.image, repository):
            return resolve(inputs.image, gateways, journal)
        return promotion(inputs, inputs.image, repository, gateways, journal)
    if repository is None:
        raise Blocked(
            "There is no image for this release.",
            why="Neither `image` nor `ecr-repository` is given.",
            fix="Give one of the two.",
        )
    tag = inputs.image_tag or source.run.sha
    tagged = f"{repository.uri}:{tag}"
    login = gateways.ecr.login(repository.host)
    journal.hide(login.password)
    wanted = build_of(inputs, source, plan, repository, tagged)
    existing = gateways.ecr.image(repository, tag) if repository.exists else None
    if existing and _is_reusable(existing, tag, wanted, inputs, login, gateways, journal):
        journal.say(f"{tagged} is there already and is used again: {existing.digest}")
        return _release_image(existing, tagged)
    return ToBuild(build=wanted, login=login, repository=repository, tag=tag)


def obtain(
    decision: ReleaseImage | ToBuild | ToCopy, plan: Plan, gateways: Gateways, journal: Journal
) -> ReleaseImage:
    """The image that the containers of this release will run; built or copied if it must be."""
    if isinstance(decision, ReleaseImage):
        return decision
    if not decision.repository.exists:
        decision = replace(
            decision, repository=repositories.create(decision.repository, gateways, journal)
        )
    if isinstance(decision, ToCopy):
        digest = decision.digest
        _copy(decision, gateways, journal)
    else:
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
            f"{decision.tagged} is not what was pushed.",
            why=f"The push ended with {digest}, and ECR says "
            f"{pushed.digest if pushed else 'that there is no such tag'}: something else pushed "
            "the same tag at the same time.",
            fix="Let one workflow at a time push a tag (`concurrency:`), then run it again.",
        )
    return _release_image(pushed, decision.tagged)


def promotion(
    inputs: Inputs, given: str, repository: Repository, gateways: Gateways, journal: Journal
) -> ReleaseImage | ToCopy:
    """The copy of an image from elsewhere in our repository, or what has to be copied."""
    host, name, tag_or_digest = split_reference(given)
    logins, digest = _found(given, repository, gateways, journal)
    tag = inputs.image_tag or _tag_of_copy(tag_or_digest, digest, inputs)
    tagged = f"{repository.uri}:{tag}"
    there = gateways.ecr.image(repository, digest) if repository.exists else None
    taken = gateways.ecr.image(repository, tag) if repository.exists else None
    if taken and taken.digest == digest:
        journal.say(f"{given} is in {repository.name} already: {digest}")
        return _release_image(taken, tagged)
    if taken and not may_move(repository, tag):
        raise Blocked(
            f"{given} cannot be copied to {tagged}.",
            why=f"{repository.name} has another image of that tag ({short_digest(taken.digest)}), "
            f"and it is {repository.mutability}.",
            fix="Choose another `image-tag`.",
        )
    return ToCopy(
        given=given,
        source=f"{host}/{name}@{digest}" if host else f"{name}@{digest}",
        digest=digest,
        logins=logins,
        repository=repository,
        tag=tag,
        there=there,
    )


def _found(
    given: str, repository: Repository, gateways: Gateways, journal: Journal
) -> tuple[tuple[RegistryLogin, ...], str]:
    """The logins that a copy needs, and the digest of what is to be copied."""
    host = split_reference(given)[0]
    logins = [gateways.ecr.login(repository.host)]
    journal.hide(logins[0].password)
    is_ours = gateways.ecr.owns(host, gateways.identity)
    if not is_ours and not ECR_HOST.fullmatch(host):
        # Nothing is known of its users: it has to let everybody read.
        try:
            digest = gateways.builder.resolve(given, logins)
        except BuildError as error:
            raise _unreadable(given, error.detail) from error
        journal.say(f"{given} is {digest}")
        return tuple(logins), digest
    registry = gateways.ecr if is_ours else gateways.ecr.at(host)
    if host != repository.host:
        logins.append(registry.login(host))
        journal.hide(logins[1].password)
    source, tag_or_digest = source_of(given)
    try:
        image = registry.image(source, tag_or_digest)
    except AwsError as error:
        if error.refusal is not Refusal.MISSING:
            raise
        raise _unreadable(given, f"ECR says: {error.message}") from error
    if image is None:
        raise _unreadable(given, f"The repository {source.uri} has no {tag_or_digest}.")
    journal.say(f"{given} is {image.digest}")
    return tuple(logins), image.digest


def _unreadable(given: str, why: str) -> Blocked:
    return Blocked(
        f"There is no image {given!r}.",
        why=why,
        fix="Correct `image`, or push the image first. A registry other than ECR has to let "
        "everybody read it.",
    )


def _tag_of_copy(tag_or_digest: str, digest: str, inputs: Inputs) -> str:
    """The tag that it had, unless that one says which image was verified last."""
    moving = {inputs.latest_tag, *inputs.extra_tags, "latest"}
    if tag_or_digest.startswith("sha256:") or tag_or_digest in moving:
        return f"digest-{digest.removeprefix('sha256:')[:12]}"
    return tag_or_digest


def _copy(wanted: ToCopy, gateways: Gateways, journal: Journal) -> None:
    if wanted.there:
        gateways.ecr.put_tag(wanted.there, wanted.tag)
        return
    journal.say(f"copying {wanted.source} to {wanted.tagged}")
    try:
        gateways.builder.copy(wanted.source, wanted.tagged, wanted.logins)
    except BuildError as error:
        raise BuildFailed(
            "The image was not copied.",
            why=f"From {wanted.source} to {wanted.tagged}: {error.detail}",
            fix=error.fix
            or "Check that the role may pull from the one repository and push to the other, and "
            "that the other account's repository policy lets it; then run the job again.",
        ) from error


def resolve(reference: str, gateways: Gateways, journal: Journal) -> ReleaseImage:
    """An existing image. In ECR its digest is looked up; elsewhere the reference stays as it is."""
    host, name, tag_or_digest = split_reference(reference)
    if not gateways.ecr.owns(host, gateways.identity):
        return _from_elsewhere(reference, gateways, journal)
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


def _from_elsewhere(reference: str, gateways: Gateways, journal: Journal) -> ReleaseImage:
    """The tasks may pull from there although this job may not read it, so nothing is refused."""
    source, tag_or_digest = source_of(reference)
    if ECR_HOST.fullmatch(source.host):
        try:
            image = gateways.ecr.at(source.host).image(source, tag_or_digest)
        except AwsError as error:
            journal.say(f"{reference} cannot be read: {error}")
            image = None
        if image is not None:
            journal.say(f"{reference} is {image.digest}")
            return ReleaseImage(reference=image.uri, tagged=reference, digests=digests(image))
    digest = reference.partition("@")[2]
    if not digest:
        journal.say(f"{reference} is not in this registry: ECS will look up its digest")
    known = frozenset({digest} if digest else ())
    return ReleaseImage(reference=reference, tagged=reference, digests=known)


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
        record=image,
        is_ours=ours,
    )
