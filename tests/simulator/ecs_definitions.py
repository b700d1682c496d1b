"""The ECS operations about task definitions."""

from __future__ import annotations

from typing import Any

from .ask import Ask, Tree, page
from .calls import SimulatedError, denial
from .core import Core
from .ecs_lookup import find_definition
from .ecs_records import TaskDefinition
from .ecs_show import show_task_definition

_CONTAINER_DEFAULTS: Tree = {
    "cpu": 0,
    "essential": True,
    "portMappings": [],
    "environment": [],
    "mountPoints": [],
    "volumesFrom": [],
    "systemControls": [],
}
_CHECK_DEFAULTS: Tree = {"interval": 30, "timeout": 5, "retries": 3, "startPeriod": 0}

_FARGATE_MEMORY = {
    256: [512, 1024, 2048],
    512: range(1024, 4097, 1024),
    1024: range(2048, 8193, 1024),
    2048: range(4096, 16385, 1024),
    4096: range(8192, 30721, 1024),
    8192: range(16384, 61441, 4096),
    16384: range(32768, 122881, 8192),
}


class EcsDefinitions:
    """One method per operation, named like the boto3 method."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def register_task_definition(self, ask: Ask) -> Tree:
        passes_roles = {"taskRoleArn", "executionRoleArn"} & set(ask.params)
        if passes_roles and "iam:PassRole" in ask.state.denied:
            raise denial(ask.state, "iam:PassRole")
        if "tags" in ask.params and "ecs:TagResource" in ask.state.denied:
            raise denial(ask.state, "ecs:TagResource")
        definition = self.register(dict(ask.params))
        tags = {"tags": definition.tags} if definition.tags else {}
        return {"taskDefinition": show_task_definition(definition)} | tags

    def register(self, fields: Tree) -> TaskDefinition:
        """Add a revision, as RegisterTaskDefinition does."""
        _check(fields)
        family = fields.pop("family")
        tags = fields.pop("tags", [])
        state = self._core.state
        revision = 1 + sum(each.family == family for each in state.task_definitions.values())
        body = {
            "volumes": [],
            "placementConstraints": [],
            "compatibilities": ["EC2", "FARGATE"],
            "registeredBy": state.arn("sts", "assumed-role/deploy/session"),
            **fields,
        }
        body["containerDefinitions"] = [_complete(each) for each in fields["containerDefinitions"]]
        definition = TaskDefinition(
            arn=state.arn("ecs", f"task-definition/{family}:{revision}"),
            family=family,
            revision=revision,
            body=body,
            tags=tags,
            registered_at=self._core.clock.now(),
        )
        state.task_definitions[definition.arn] = definition
        self._core.changed("task-definition-registered", definition.arn, family=family)
        return definition

    def deregister_task_definition(self, ask: Ask) -> Tree:
        definition = find_definition(ask.state, ask.params["taskDefinition"])
        self.deregister(definition)
        return {"taskDefinition": show_task_definition(definition)}

    def deregister(self, definition: TaskDefinition) -> None:
        definition.deregistered_at = self._core.clock.now()
        self._core.changed("task-definition-deregistered", definition.arn, family=definition.family)

    def describe_task_definition(self, ask: Ask) -> Tree:
        definition = find_definition(ask.state, ask.params["taskDefinition"])
        tags = {"tags": definition.tags} if "TAGS" in ask.params.get("include", []) else {}
        return {"taskDefinition": show_task_definition(definition)} | tags

    def list_task_definitions(self, ask: Ask) -> Tree:
        prefix = ask.params.get("familyPrefix")
        status = ask.params.get("status", "ACTIVE")
        found = [
            each.arn
            for each in ask.state.task_definitions.values()
            if prefix in (None, each.family) and each.status == status
        ]
        if ask.params.get("sort") == "DESC":
            found.reverse()
        return page(ask, "taskDefinitionArns", found)


def _complete(container: Tree) -> Tree:
    """A container definition with what ECS fills in."""
    completed = _CONTAINER_DEFAULTS | container
    completed["portMappings"] = [
        {"protocol": "tcp", "hostPort": each["containerPort"]} | each
        for each in completed["portMappings"]
    ]
    if "healthCheck" in completed:
        completed["healthCheck"] = _CHECK_DEFAULTS | completed["healthCheck"]
    return completed


def _check(fields: Tree) -> None:
    if not fields["containerDefinitions"]:
        raise SimulatedError("ClientException", "Container list cannot be empty.")
    if fields.get("tags") == []:
        raise SimulatedError("ClientException", "Tags can not be empty.")
    if "FARGATE" in fields.get("requiresCompatibilities", []):
        _check_fargate(fields)


def _check_fargate(fields: Tree) -> None:
    if fields.get("networkMode") != "awsvpc":
        raise SimulatedError("ClientException", "Fargate only supports network mode 'awsvpc'.")
    cpu, memory = _number(fields.get("cpu")), _number(fields.get("memory"))
    if memory not in _FARGATE_MEMORY.get(cpu, ()):
        raise SimulatedError(
            "ClientException",
            f"No Fargate configuration exists for given values: {cpu} CPU, {memory} memory.",
        )
    needs_role = any(
        "secrets" in each or "logConfiguration" in each for each in fields["containerDefinitions"]
    )
    if needs_role and "executionRoleArn" not in fields:
        raise SimulatedError(
            "ClientException",
            "Fargate requires task definition to have "
            "execution role ARN to support log driver awslogs.",
        )


def _number(value: Any) -> int:  # noqa: ANN401
    return int(value) if value is not None else 0
