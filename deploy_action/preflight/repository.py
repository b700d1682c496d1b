"""The repository that the image is pushed to: whether its tags may be set as wanted."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from functools import partial
from typing import TYPE_CHECKING

from deploy_action.gateways.ecr import may_move
from deploy_action.model import Repository
from deploy_action.preflight.check import Facts, Look, Outcome, Passed, Refused, Warned
from deploy_action.repositories import CACHE_TAG, described

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.gateways.registries import Registries


def looks(facts: Facts, gateways: Gateways) -> list[Look]:
    """One read for all tags, where an image is going to be pushed."""
    if facts.repository is None or not facts.pushes or not facts.containers:
        return []
    if not facts.repository.exists:
        return [partial(_missing, facts.repository)]
    return [partial(_look, facts, facts.repository, gateways.registries)]


def _missing(repository: Repository) -> Iterable[Outcome]:
    yield Passed(f"{repository.name} is not there and will be created: {described(repository)}")


def _look(facts: Facts, repository: Repository, registries: Registries) -> Iterable[Outcome]:
    wanted = [facts.tag, facts.inputs.latest_tag, *facts.inputs.extra_tags]
    names = list(dict.fromkeys(name for name in wanted if name))
    there = registries.tags(repository.name, repository.registry_id, names)
    return judge(facts, repository, there)


def judge(facts: Facts, repository: Repository, there: Collection[str]) -> Iterable[Outcome]:
    """`there` holds the wanted tags that exist already."""
    tag, later = facts.tag, [facts.inputs.latest_tag, *facts.inputs.extra_tags]
    if facts.inputs.cache == "registry" and not facts.inputs.image:
        later.append(CACHE_TAG)
    if tag in there and facts.inputs.rebuild and not may_move(repository, tag):
        yield Refused(
            f"The tag {tag!r} cannot be pushed again.",
            f"It exists, {repository.name} is {repository.mutability}, and `rebuild` is set.",
            "Remove `rebuild`, or choose another `image-tag`.",
        )
        return
    stuck = [t for t in dict.fromkeys(later) if t and not may_move(repository, t)]
    for name in stuck:
        exists = "exists and will not move" if name in there else "will not move after this release"
        yield Warned(
            f"The tag `{name}` {exists}: {repository.name} is {repository.mutability}.",
            f"Exclude it: `aws ecr put-image-tag-mutability --repository-name {repository.name} "
            "--image-tag-mutability IMMUTABLE_WITH_EXCLUSION "
            "--image-tag-mutability-exclusion-filters "
            f"filterType=WILDCARD,filter={name}`; or leave the tag out.",
        )
    if facts.inputs.image:
        yield Passed(f"{repository.name} is {repository.mutability}; the image is copied there")
        return
    short = tag if len(tag) < 20 else tag[:12]  # noqa: PLR2004 - a commit, shortened as git does
    state = "is there already" if tag in there else "is free"
    yield Passed(f"{repository.name} is {repository.mutability}; the tag {short} {state}")
