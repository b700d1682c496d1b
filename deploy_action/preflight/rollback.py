"""The way back: whether the revision that a rollback goes to could start again."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError, Refusal
from deploy_action.model import Definition, revision_of
from deploy_action.preflight.check import Facts, Look, Outcome, Passed, Warned
from deploy_action.preflight.images import references

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.gateways.registries import Registries


def looks(facts: Facts, gateways: Gateways) -> list[Look]:
    """One look: the revision, then its images."""
    return [partial(_look, facts, gateways)]


def _look(facts: Facts, gateways: Gateways) -> Iterable[Outcome]:
    target = facts.running
    if facts.baseline.task_definition != target.arn:
        target = gateways.ecs.definition(facts.baseline.task_definition)
    revision = revision_of(facts.baseline.task_definition)
    if target.status != "ACTIVE":
        yield Warned(
            f"The revision to go back to, {revision}, is {target.status}: a rollback could not "
            "start it.",
            "Register it again and deploy that, and keep whatever deregisters revisions "
            "(Terraform: `skip_destroy`) from doing so.",
            is_important=True,
        )
        return
    unusable = [
        image for image in _images(target, facts) if not _is_usable(image, gateways.registries)
    ]
    for image in unusable:
        yield Warned(
            f"The image of the revision to go back to is gone or archived: {image}. Neither a "
            f"rollback nor a new task of {revision} could start.",
            "Push it again, and let the lifecycle policy keep what still runs.",
            is_important=True,
        )
    if not unusable:
        yield Passed(f"{revision} is ACTIVE and its images are there to go back to")


def _images(target: Definition, facts: Facts) -> list[str]:
    """Its images, but for those that the new revision has too: they are checked there."""
    found = (str(c.get("image")) for c in target.body.get("containerDefinitions") or [])
    return [image for image in dict.fromkeys(found) if image not in references(facts)]


def _is_usable(image: str, registries: Registries) -> bool:
    place = registries.place(image)
    if place is None:
        return True
    try:
        return not registries.stored(place).is_archived
    except AwsError as error:
        if error.refusal is Refusal.MISSING:
            return False
        raise
