"""What every part of the simulator shares: state, time, names, timings, and open questions."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .behaviour import Behaviour
from .calls import Calls
from .clock import SimClock
from .ecs_records import Container, Task
from .state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds that AWS takes; with the defaults a crash loop keeps the times of ecs.md, 1.7."""

    call: float = 0.05
    scheduler: float = 2.0
    """From a change to what the service scheduler does about it."""
    provision: float = 20.0
    pull: float = 10.0
    start: float = 2.0
    deprovision: float = 16.0
    register: float = 1.0
    notice: float = 5.0
    """From an unhealthy verdict to the scheduler's order to stop the task."""
    settle: float = 40.0
    """How long a task without any health check must run to count as healthy."""
    complete: float = 1.0
    alarm_bake: float = 60.0
    place_again: float = 15.0
    build: float = 30.0
    stopped_task_retention: float = 3600.0
    steady_again: float = 6 * 3600.0
    """A quiet service repeats its steady-state event."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Quirks:
    """Answers to questions that ecs.md leaves open; a client must be right under each."""

    service_deployment_visible_after: float = 0.0
    draining_counts: bool = True
    """Tasks on their way out count against maximumPercent."""
    rollback_reuses_deployment: bool = False
    """A rollback revives the old deployment id instead of making a new one."""
    superseded_status: str = "STOPPED"
    failed_deployment_status: str = "ACTIVE"
    """Status in `deployments[]` of the one rolled away from; `DRAINING` was seen too."""
    abort_accepted: bool = True
    configuration_is_merged: bool = False
    """UpdateService changes the given fields of `deploymentConfiguration` and keeps the rest."""


BehaviourRule = Callable[[dict[str, Any], Container], Behaviour | None]
"""From a container definition and the container to a behaviour that overrides its image's."""


class Names:
    """Identifiers that look like those of AWS and follow from the seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self._addresses = 10

    def deployment(self) -> str:
        return f"ecs-svc/{self.number()}"

    def number(self) -> str:
        return str(self.random.randrange(10**18, 10**19))

    def hexadecimal(self, digits: int = 32) -> str:
        return f"{self.random.getrandbits(4 * digits):0{digits}x}"

    def identifier(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))

    def address(self) -> str:
        self._addresses += 1
        return f"10.0.{self._addresses // 250}.{self._addresses % 250}"


class Core:
    """The shared ground under all parts."""

    def __init__(
        self,
        state: State,
        clock: SimClock,
        calls: Calls,
        *,
        timings: Timings,
        quirks: Quirks,
        seed: int,
    ) -> None:
        self.state = state
        self.clock = clock
        self.calls = calls
        self.timings = timings
        self.quirks = quirks
        self.names = Names(seed)
        self.behaviours: dict[str, Behaviour] = {}
        """By image digest, or by the reference of an image outside the simulated ECR."""
        self.behaviour_rules: list[BehaviourRule] = []

    def later(self, seconds: float, action: Callable[[], None]) -> None:
        """Let AWS do something in `seconds`."""

        def act() -> None:
            with self.calls.acting("ecs"):
                action()

        self.clock.schedule(seconds, act)

    def changed(self, kind: str, subject: str, **detail: Any) -> None:  # noqa: ANN401
        self.calls.changed(kind, subject, **detail)

    def behaviour(self, task: Task, container: Container, digest: str | None = None) -> Behaviour:
        """How this container behaves at this moment of its life; `digest` before it is pulled."""
        definition = self.definition_of(task, container)
        ruled = (rule(definition, container) for rule in self.behaviour_rules)
        found = next((each for each in ruled if each is not None), None)
        found = found or self.behaviours.get(digest or container.digest or "")
        found = found or self.behaviours.get(container.image) or Behaviour()
        return found.at(self.seconds_running(container))

    def definition_of(self, task: Task, container: Container) -> dict[str, Any]:
        containers = self.state.task_definitions[task.task_definition].containers
        return next(each for each in containers if each["name"] == container.name)

    def seconds_running(self, container: Container) -> float:
        if container.ran_at is None:
            return 0.0
        return (self.clock.now() - container.ran_at).total_seconds()
