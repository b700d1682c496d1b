"""Every image that exists before the release: in its registry, not archived, for the platform."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.registries import Place, Registries
from deploy_action.preflight.check import (
    PLACEHOLDER,
    Facts,
    Look,
    Outcome,
    Passed,
    Refused,
    Skipped,
    Warned,
)

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways


def looks(facts: Facts, gateways: Gateways) -> Iterable[Look]:
    """A look at each image, once, however many containers run it."""
    for reference in references(facts):
        place = gateways.registries.place(reference)
        if place is None:
            is_copied = reference == facts.inputs.image and facts.pushes
            yield partial(_elsewhere, reference, is_copied=is_copied)
        else:
            yield partial(_look, place, facts, gateways.registries)


def references(facts: Facts) -> list[str]:
    """All images of the new revision but the one that is yet to be built."""
    given = facts.inputs.image
    found = [str(c.get("image")) for c in facts.definitions]
    shown = [given or image if image == PLACEHOLDER else image for image in found]
    return [image for image in dict.fromkeys(shown) if image != PLACEHOLDER]


def _elsewhere(reference: str, *, is_copied: bool) -> Iterable[Outcome]:
    rest = "; its copy will be" if is_copied else ", so ECS alone can tell"
    yield Skipped(f"{reference} is not in ECR{rest}")


def _look(place: Place, facts: Facts, registries: Registries) -> Iterable[Outcome]:
    try:
        stored = registries.stored(place)
    except AwsError as error:
        if error.refusal is not Refusal.MISSING:
            raise
        yield _missing(place, error, facts, registries)
        return
    if stored.is_archived:
        yield Refused(
            f"The image {place.reference} is archived.",
            "ECR keeps it, and nothing can pull it.",
            "Restore it (`aws ecr update-image-storage-class`), or use another image.",
        )
        return
    wanted = _platform(facts)
    has = registries.platforms(place, stored.digest) if wanted else frozenset()
    if not has:
        yield Passed(f"{place.reference} is there")
    elif wanted in has:
        yield Passed(f"{place.reference} is there for {wanted}")
    else:
        yield Refused(
            f"The image {place.reference} is not for {wanted}.",
            f"It is for {', '.join(sorted(has))}, and the tasks run on {wanted}.",
            f"Build it for {wanted}, or change `runtimePlatform` of the task definition.",
        )


def _platform(facts: Facts) -> str:
    """What the tasks run on; empty where only the container instances know."""
    stated = facts.body.get("runtimePlatform") or {}
    if not facts.service.is_on_fargate and not stated.get("cpuArchitecture"):
        return ""
    architecture = facts.platform.partition("/")[2]
    is_windows = str(stated.get("operatingSystemFamily")).upper().startswith("WINDOWS")
    return f"{'windows' if is_windows else 'linux'}/{architecture}"


def _missing(place: Place, error: AwsError, facts: Facts, registries: Registries) -> Outcome:
    """Not there: certain, unless ECR would fetch it from another registry at the first pull."""
    what = f"There is no image {place.reference!r}."
    which = "digest" if place.is_pinned else "tag"
    why = (
        f"ECR has no repository {place.repository!r}."
        if "Repository" in error.code
        else f"The repository {place.repository} has no such {which}."
    )
    fix = "Correct the reference, or push the image first."
    if facts.repository and facts.repository.name == place.repository:
        return Refused(what, why, fix)
    try:
        fetched = registries.pulls_through(place)
    except AwsError:
        # Names of such repositories begin with the prefix of a rule.
        if "/" in place.repository:
            return Warned(f"{what} {why}", f"{fix} Only a pull-through cache could fetch it.")
        return Refused(what, why, fix)
    if fetched:
        return Passed(f"{place.reference} will be fetched through the pull-through cache")
    return Refused(what, why, fix)
