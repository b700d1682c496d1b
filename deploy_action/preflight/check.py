"""What a check is: facts in, outcomes out. The contract of this package."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from deploy_action.duration import Target
from deploy_action.gateways.ecr import is_kept_in
from deploy_action.model import Baseline, Definition, Identity, Json, Repository, Service

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs


@dataclass(frozen=True, slots=True)
class Passed:
    """Nothing stands in the way here."""

    sentence: str


@dataclass(frozen=True, slots=True)
class Warned:
    """The release goes on, and somebody should know."""

    sentence: str
    fix: str
    is_important: bool = False
    """Whether it is worth one of the few annotations that a step has."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The release would certainly fail."""

    what: str
    why: str
    fix: str


@dataclass(frozen=True, slots=True)
class Skipped:
    """It could not be looked at, and that decides nothing."""

    because: str


Outcome = Passed | Warned | Refused | Skipped
Look = Callable[[], Iterable[Outcome]]
"""One part of a check. Its reads may run beside those of every other part."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What is known before the checks, read by `prepare`."""

    inputs: Inputs
    identity: Identity
    now: datetime
    service: Service
    running: Definition
    """The revision that the service runs."""
    baseline: Baseline
    body: Json
    """The new revision as it would be registered, with `PLACEHOLDER` for images to be built."""
    containers: tuple[str, ...]
    """Containers that get the image of this release."""
    repository: Repository | None
    tag: str
    """Of the image to be built."""
    platform: str
    """That the tasks run on."""
    targets: tuple[Target, ...]
    limit_seconds: float
    unresolvable: str = ""
    """What the look-up of the endpoint's name said, where it failed."""

    @property
    def pushes(self) -> bool:
        """Whether an image is built into the repository or copied there."""
        given, repository = self.inputs.image, self.repository
        return repository is not None and not (given and is_kept_in(given, repository))

    @property
    def definitions(self) -> Sequence[Json]:
        """The containers of the new revision."""
        found: Sequence[Json] = self.body.get("containerDefinitions") or []
        return found

    @property
    def is_for_fargate(self) -> bool:
        """Whether ECS holds the definition to the rules of Fargate."""
        asked = self.body.get("requiresCompatibilities") or []
        return self.service.is_on_fargate or "FARGATE" in asked

    @property
    def desired(self) -> int:
        """How many tasks the release will run."""
        wanted = self.inputs.desired_count
        return self.service.desired if wanted is None else wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A name, and the looks it takes. Without a look it has nothing to say and is not shown.

    `looks` is called in the main thread and reads nothing; the looks themselves
    run in any thread and in any order.
    """

    name: str
    looks: Callable[[Facts, Gateways], Iterable[Look]]


PLACEHOLDER = "image-of-this-release"
"""Stands for an image that is not built yet."""


def pure(judge: Callable[[Facts], Iterable[Outcome]]) -> Callable[[Facts, object], list[Look]]:
    """The looks of a check that needs no read."""

    def looks(facts: Facts, gateways: object) -> list[Look]:
        del gateways
        return [lambda: judge(facts)]

    return looks


def listed(names: Iterable[str]) -> str:
    """`a, b and c`."""
    *most, last = names
    return f"{', '.join(most)} and {last}" if most else last
