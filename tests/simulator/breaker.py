"""The numbers of a rolling deployment: how many tasks may run, and when ECS gives up."""

from __future__ import annotations

import math
from typing import Any

from .ecs_records import Deployment, Service

Tree = dict[str, Any]

_DEFAULT_THRESHOLD = {"type": "BOUNDED_PERCENT", "value": 50}
_LONGEST_PAUSE = 27 * 60.0


def fewest(service: Service) -> int:
    """How many healthy tasks must remain."""
    percent: int = service.configuration["minimumHealthyPercent"]
    return math.ceil(service.desired * percent / 100)


def most(service: Service) -> int:
    """How many tasks may exist."""
    percent: int = service.configuration["maximumPercent"]
    return math.floor(service.desired * percent / 100)


def breaker_of(service: Service) -> Tree:
    breaker: Tree = service.configuration.get("deploymentCircuitBreaker", {"enable": False})
    return breaker


def threshold(service: Service) -> int:
    """How many failures trip the breaker, at the desired count of this moment."""
    setting = breaker_of(service).get("thresholdConfiguration", _DEFAULT_THRESHOLD)
    if setting["type"] == "COUNT":
        return int(setting["value"])
    share: int = math.ceil(service.desired * setting["value"] / 100)
    return max(1, share) if setting["type"] == "UNBOUNDED_PERCENT" else min(200, max(3, share))


def counted_failures(service: Service, deployment: Deployment) -> int:
    """The failures that the breaker compares with its threshold."""
    is_consecutive = breaker_of(service).get("resetOnHealthyTask", True)
    return deployment.failed_tasks if is_consecutive else deployment.failures


def is_tripped(service: Service, deployment: Deployment) -> bool:
    failures = counted_failures(service, deployment)
    return bool(breaker_of(service)["enable"]) and failures >= threshold(service)


def pause_before_start(service: Service, deployment: Deployment) -> float:
    """Seconds ECS waits before the next start: none at first, then longer and longer."""
    rounds = deployment.failed_tasks // max(1, service.desired)
    return 0.0 if rounds < 3 else min(_LONGEST_PAUSE, 30.0 * 2 ** (rounds - 3))


def early_success_count(service: Service) -> int | None:
    """How many healthy tasks complete the deployment early, None without such a setting."""
    criteria = service.configuration.get("earlySuccessCriteria", {})
    if not criteria.get("enable"):
        return None
    needed: int = math.ceil(service.desired * criteria.get("healthyPercent", 100) / 100)
    return needed


def keeps_old_tasks(service: Service) -> bool:
    """Early success with deferred clean-up: the old tasks stay for now."""
    criteria = service.configuration.get("earlySuccessCriteria", {})
    return (
        bool(criteria.get("enable")) and criteria.get("sourceServiceRevisionCleanup") == "DEFERRED"
    )
