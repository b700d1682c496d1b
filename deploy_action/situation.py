"""What a service is before an operation changes it, and what it is asked to prove. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from deploy_action.duration import Target
from deploy_action.health import Endpoint, Expectation
from deploy_action.model import Baseline, Definition, Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """One service, looked at before the first write."""

    service: Service
    baseline: Baseline
    running: Definition
    """The revision that the service runs."""
    endpoint: Endpoint | None
    expectation: Expectation | None
    old_expectation: Expectation | None
    """What the old revision must answer after a rollback: what it answered before."""
    limit_seconds: float
    """For one rollout."""
    targets: tuple[Target, ...] = ()
    """The target groups, for how long they make a rollout wait."""
    unresolvable: str = ""
    """What the look-up of the endpoint's name said, where it failed."""
