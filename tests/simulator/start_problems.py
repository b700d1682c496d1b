"""Why a task cannot even begin: secrets, log groups and whatever its images declare."""

from __future__ import annotations

from collections.abc import Iterator

from .core import Core
from .ecs_records import Container, Task
from .registry import PullError, resolve

_SECONDS = 15.0


def find_start_problem(core: Core, task: Task) -> tuple[float, str] | None:
    """Seconds until ECS gives up and the stopped reason, or None when all is well."""
    for container in task.containers:
        declared = _declared(core, task, container)
        if declared is not None:
            return declared
        for reason in _missing(core, task, container):
            return _SECONDS, f"ResourceInitializationError: {reason}"
    return None


def _declared(core: Core, task: Task, container: Container) -> tuple[float, str] | None:
    try:
        digest = resolve(core.state, container.image, container.digest)
    except PullError:
        return None
    behaviour = core.behaviour(task, container, digest)
    if behaviour.init_error is None:
        return None
    return behaviour.init_error_seconds, f"ResourceInitializationError: {behaviour.init_error}"


def _missing(core: Core, task: Task, container: Container) -> Iterator[str]:
    definition = core.definition_of(task, container)
    for secret in definition.get("secrets", []):
        yield from _missing_secret(core, secret["valueFrom"])
    for file in definition.get("environmentFiles", []):
        if file["value"].partition(":::")[2] not in core.state.objects:
            yield f"failed to download env files: file download command: non empty error: {file}"
    logs = definition.get("logConfiguration", {})
    group = logs.get("options", {}).get("awslogs-group")
    is_needed = logs.get("logDriver") == "awslogs" and group not in core.state.logs
    if is_needed and logs["options"].get("awslogs-create-group") != "true":
        yield (
            "failed to validate logger args: create stream has been retried 1 times: failed "
            "to create Cloudwatch log stream: ResourceNotFoundException: The specified log "
            f"group does not exist. : exit status 1: {group}"
        )


def _missing_secret(core: Core, source: str) -> Iterator[str]:
    pulling = "unable to pull secrets or registry auth: execution resource retrieval failed: "
    if ":secretsmanager:" in source:
        arn = ":".join(source.split(":")[:7])
        if arn not in core.state.secrets:
            yield (
                f"{pulling}unable to retrieve secret from asm: service call has been retried 1 "
                f"time(s): failed to fetch secret {arn} from secrets manager: "
                "ResourceNotFoundException: Secrets Manager can't find the specified secret."
            )
        elif core.state.secrets[arn] is not None:
            yield (
                f"{pulling}failed to fetch secret {arn} from secrets manager: "
                "InvalidRequestException: You can't perform this operation on the secret because "
                "it was marked for deletion."
            )
        return
    name = source.partition(":parameter")[2] or source
    if name.lstrip("/") not in {each.lstrip("/") for each in core.state.parameters}:
        yield (
            f"{pulling}unable to retrieve secrets from ssm: service call has been retried 1 "
            f"time(s): invalid ssm parameters: {name.lstrip('/')}"
        )
