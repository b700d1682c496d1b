"""How ECS finds what a request names, and what it answers when it does not."""

from __future__ import annotations

from typing import Any

from .ask import Ask
from .calls import SimulatedError
from .ecs_records import Service, TaskDefinition
from .state import State

Tree = dict[str, Any]


def cluster_of(ask: Ask) -> str:
    """The name of the asked cluster."""
    name = short(ask.params.get("cluster", "default"))
    if name not in ask.state.clusters:
        raise SimulatedError("ClusterNotFoundException", "Cluster not found.")
    return name


def short(name_or_arn: str) -> str:
    """The last part of an ARN, and a name as it is."""
    return name_or_arn.rsplit("/", 1)[-1]


def find_service(state: State, cluster: str, name_or_arn: str) -> Service | None:
    arn = state.arn("ecs", f"service/{cluster}/{short(name_or_arn)}")
    return state.services.get(arn)


def asked_service(ask: Ask, key: str = "service") -> Service:
    service = find_service(ask.state, cluster_of(ask), ask.params[key])
    if service is None:
        raise SimulatedError("ServiceNotFoundException", "Service not found.")
    return service


def find_definition(state: State, name: str) -> TaskDefinition:
    """A revision by ARN, by `family:revision`, or the newest active one of a family."""
    text = short(name)
    family, _, revision = text.partition(":")
    candidates = [
        each
        for each in state.task_definitions.values()
        if each.family == family
        and (str(each.revision) == revision if revision else each.status == "ACTIVE")
    ]
    if not candidates:
        raise SimulatedError("ClientException", "Unable to describe task definition.")
    return candidates[-1]


def active_definition(state: State, name: str) -> TaskDefinition:
    definition = find_definition(state, name)
    if definition.status != "ACTIVE":
        raise SimulatedError("ClientException", "TaskDefinition is inactive")
    return definition


def missing(arn: str) -> Tree:
    return {"arn": arn, "reason": "MISSING"}
