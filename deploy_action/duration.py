"""How long a rolling deployment takes by the service's own settings: at least, and at most. Pure.

All of it is arithmetic on settings, except the seconds that a task needs to start.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from deploy_action.model import Json, Service

START_SECONDS = 60.0
"""Provision, pull and start of a Fargate task, generously; a guess where nothing can be read."""
START_AT_LEAST, START_AT_LEAST_ON_INSTANCES = 20.0, 5.0
"""The same at its best: 10 to 30 s to provision on Fargate, next to nothing where it is there."""
STOP_SECONDS = 30.0
"""ECS's default between SIGTERM and SIGKILL."""
CHECK_SECONDS, DRAIN_SECONDS = 30.0, 300.0
"""The defaults of a target group, where its own settings cannot be read."""
SETTLE_SECONDS = 40.0
"""ECS calls a task without any health check healthy after this time."""
CONTAINER_CHECK_SECONDS = 30.0
"""ECS's default between two health checks of a container."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The settings of one target group that a rollout waits for, in seconds."""

    check_interval: float = CHECK_SECONDS
    deregistration_delay: float = DRAIN_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Share:
    """One part of the time, and the setting it follows from; empty where it follows from none."""

    seconds: float
    setting: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """A time and what it is made of."""

    shares: tuple[Share, ...]

    @property
    def seconds(self) -> float:
        return sum(share.seconds for share in self.shares)

    @property
    def dearest(self) -> Share | None:
        """The setting that costs the most; None where no setting costs anything."""
        settings = [share for share in self.shares if share.setting and share.seconds]
        return max(settings, key=lambda share: share.seconds) if settings else None


def at_least(service: Service, body: Json, targets: Sequence[Target]) -> Estimate:
    """What no deployment of this service can beat: every start at its best, no stop is slow.

    Waves of starts follow each other; of the drains only one is counted, because
    those of earlier waves may run beside later starts.
    """
    if service.desired == 0:
        return Estimate(shares=())
    count = waves(service)
    start = START_AT_LEAST if service.is_on_fargate else START_AT_LEAST_ON_INSTANCES
    check, setting = _first_check(body, targets)
    in_waves = f", {count} times because of the healthy percents" if count > 1 else ""
    # With early success ECS is done while the old tasks still drain.
    drains = [t.deregistration_delay for t in targets if not service.early_success]
    return Estimate(
        shares=(
            Share(seconds=count * start),
            Share(seconds=count * check, setting=setting + in_waves),
            Share(
                seconds=max(drains, default=0.0),
                setting="the target group's deregistration delay",
            ),
        )
    )


def at_most(service: Service, body: Json, targets: Sequence[Target]) -> float:
    """Seconds that it may take: as many waves of stops as of starts, each after the other."""
    checks = [t.check_interval for t in targets] or [SETTLE_SECONDS]
    drain = max((t.deregistration_delay for t in targets), default=0.0)
    containers = body.get("containerDefinitions") or []
    defined = [c["healthCheck"] for c in containers if c.get("healthCheck")]
    warm_up = max(
        ((c.get("startPeriod") or 0) + (c.get("interval") or 30) for c in defined), default=0
    )
    stop = max([c.get("stopTimeout") or STOP_SECONDS for c in containers] or [STOP_SECONDS])
    start = START_SECONDS + max(*checks, warm_up) + service.grace_seconds
    return waves(service) * (start + drain + stop)


def waves(service: Service) -> int:
    """How many times ECS has to start tasks until all are new."""
    count = max(service.desired, 1)
    return math.ceil(count / max(room(service, count), 1))


def room(service: Service, count: int) -> int:
    """How many tasks may be started or stopped at once; with none nothing ever moves."""
    low = math.ceil(count * service.minimum_healthy_percent / 100)
    high = count * service.maximum_percent // 100
    return high - low


def _first_check(body: Json, targets: Sequence[Target]) -> tuple[float, str]:
    """When a new task can first be called healthy, and the setting that says so.

    One good answer is enough: for a new target, and for a container in its start period.
    """
    found = [(t.check_interval, "the interval of the target group's health check") for t in targets]
    containers = body.get("containerDefinitions") or []
    found += [
        (
            float(c["healthCheck"].get("interval") or CONTAINER_CHECK_SECONDS),
            f"the interval of the health check of container {c.get('name')!r}",
        )
        for c in containers
        if c.get("healthCheck")
    ]
    if not found:
        return SETTLE_SECONDS, "the time that ECS gives a task without any health check"
    return max(found)
