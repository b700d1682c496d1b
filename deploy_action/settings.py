"""The deployment settings of a service that the inputs change, and all others as they are. Pure.

Whether UpdateService takes `deploymentConfiguration` field by field or as a whole
is not documented, so what was read is sent back with the changes in it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from deploy_action.model import Json, Service

if TYPE_CHECKING:
    from deploy_action.inputs import Inputs


def changed(service: Service, inputs: Inputs) -> Json | None:
    """The whole `deploymentConfiguration` to send; None where nothing is to be changed."""
    wanted = {**service.configuration, **_wanted(service, inputs)}
    return None if wanted == service.configuration else wanted


def told(service: Service, inputs: Inputs) -> str:
    """What changes, in one line: `maximumPercent 200 → 150`; empty where nothing does."""
    before = service.configuration
    return ", ".join(
        f"{name} {_shown(before.get(name))} → {_shown(value)}"
        for name, value in _wanted(service, inputs).items()
        if before.get(name) != value
    )


def in_force(service: Service, inputs: Inputs) -> Service:
    """The service as it is going to be while the release moves it."""
    breaker = inputs.circuit_breaker
    return replace(
        service,
        minimum_healthy_percent=_chosen(
            inputs.minimum_healthy_percent, service.minimum_healthy_percent
        ),
        maximum_percent=_chosen(inputs.maximum_percent, service.maximum_percent),
        has_breaker=service.has_breaker if breaker is None else breaker != "off",
    )


def _wanted(service: Service, inputs: Inputs) -> Json:
    wanted: Json = {}
    if inputs.minimum_healthy_percent is not None:
        wanted["minimumHealthyPercent"] = inputs.minimum_healthy_percent
    if inputs.maximum_percent is not None:
        wanted["maximumPercent"] = inputs.maximum_percent
    if inputs.circuit_breaker is not None:
        # Its thresholds are settings of their own.
        wanted["deploymentCircuitBreaker"] = {
            **(service.configuration.get("deploymentCircuitBreaker") or {}),
            "enable": inputs.circuit_breaker != "off",
            "rollback": inputs.circuit_breaker == "rollback",
        }
    return wanted


def _shown(value: object) -> str:
    if isinstance(value, Mapping):
        return "rollback" if value.get("rollback") else "stop" if value.get("enable") else "off"
    return "unset" if value is None else str(value)


def _chosen(given: int | None, present: int) -> int:
    return present if given is None else given
