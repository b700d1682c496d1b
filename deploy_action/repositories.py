"""Make a repository that is missing: what a new one allows, and what it keeps."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError, Refusal
from deploy_action.model import Json, Repository

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal

CACHE_TAG = "buildcache"
"""Of the image that holds `cache: registry`. It has to move with every build."""
MOST_EXCLUSIONS = 5
"""ECR takes no more filters."""
KEPT_IMAGES = 100
KEPT_UNTAGGED_DAYS = 14
"""As the repository of bootstrap/template.yml."""


def movable_tags(inputs: Inputs) -> tuple[str, ...]:
    """The tags that follow the releases; all others name one image for ever."""
    cache = [CACHE_TAG] if inputs.cache == "registry" else []
    wanted = [inputs.latest_tag, *cache, *inputs.extra_tags]
    return tuple(dict.fromkeys(tag for tag in wanted if tag))[:MOST_EXCLUSIONS]


def create(planned: Repository, gateways: Gateways, journal: Journal) -> Repository:
    """The repository, made as planned, or as much like it as this registry can."""
    try:
        made = gateways.ecr.create_repository(planned)
    except AwsError as error:
        if error.refusal is not Refusal.INVALID or not planned.exclusions:
            raise
        journal.note(
            f"The repository {planned.name} has mutable tags: ECR refused tags that are immutable "
            f"except {_listed(planned.exclusions)} ({error.message})."
        )
        mutable = replace(planned, mutability="MUTABLE", exclusions=())
        made = gateways.ecr.create_repository(mutable)
    journal.say(f"created the repository {made.uri}: {described(made)}")
    try:
        gateways.ecr.put_lifecycle_policy(made, lifecycle_policy(planned.exclusions))
    except AwsError as error:
        journal.note(
            f"The repository {made.name} keeps every image for ever, because it got no lifecycle "
            f"policy: {error}. {error.brief_fix}"
        )
    return made


def described(repository: Repository) -> str:
    """What such a repository does, in one line."""
    tags = {
        "IMMUTABLE": "immutable tags",
        "IMMUTABLE_WITH_EXCLUSION": f"immutable tags except {_listed(repository.exclusions)}",
    }.get(repository.mutability, "mutable tags")
    return f"scan on push, {tags}, the newest {KEPT_IMAGES} tagged images are kept"


def lifecycle_policy(kept_tags: tuple[str, ...]) -> Json:
    """ECR does not know which images a service runs, so this keeps more than it needs to.

    An image that fits a rule is safe from the rules behind it: the first ones keep what the
    next release would go back to.
    """
    keep = [
        {
            "description": f"Keep {tag}",
            "selection": {
                "tagStatus": "tagged",
                "tagPatternList": [tag],
                "countType": "imageCountMoreThan",
                "countNumber": 1,
            },
        }
        for tag in kept_tags
    ]
    untagged = {
        "description": f"Remove images without a tag after {KEPT_UNTAGGED_DAYS} days",
        "selection": {
            "tagStatus": "untagged",
            "countType": "sinceImagePushed",
            "countUnit": "days",
            "countNumber": KEPT_UNTAGGED_DAYS,
        },
    }
    newest = {
        "description": f"Keep the last {KEPT_IMAGES} tagged images",
        "selection": {
            "tagStatus": "tagged",
            "tagPatternList": ["*"],
            "countType": "imageCountMoreThan",
            "countNumber": KEPT_IMAGES,
        },
    }
    rules = [*keep, untagged, newest]
    return {
        "rules": [
            {"rulePriority": number, **rule, "action": {"type": "expire"}}
            for number, rule in enumerate(rules, 1)
        ]
    }


def _listed(tags: tuple[str, ...]) -> str:
    return ", ".join(f"`{tag}`" for tag in tags)
