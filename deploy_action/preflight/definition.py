"""The new revision by itself: what ECS would refuse to register, or could never run. Pure."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable

from deploy_action.model import Json
from deploy_action.preflight.check import PLACEHOLDER, Facts, Outcome, Passed, Refused, Warned

LARGEST_BYTES, LARGE_BYTES = 64 * 1024, 60 * 1024
"""ECS's limit of a task definition, and where it comes near."""
MOST_CONTAINERS = 10
GIB = 1024
MEMORY: dict[int, tuple[int, ...]] = {
    256: (512, 1024, 2048),
    512: tuple(range(1 * GIB, 4 * GIB + 1, GIB)),
    1024: tuple(range(2 * GIB, 8 * GIB + 1, GIB)),
    2048: tuple(range(4 * GIB, 16 * GIB + 1, GIB)),
    4096: tuple(range(8 * GIB, 30 * GIB + 1, GIB)),
    8192: tuple(range(16 * GIB, 60 * GIB + 1, 4 * GIB)),
    16384: tuple(range(32 * GIB, 120 * GIB + 1, 8 * GIB)),
}
"""CPU units of a Fargate task to the MiB of memory that go with them (ECS developer guide)."""
SIZE = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*(vcpu|gb)?\s*", re.IGNORECASE)


def judge(facts: Facts) -> Iterable[Outcome]:
    """Everything that the definition alone tells."""
    problems: list[Outcome] = [*_size(facts.body), *_ports(facts)]
    if facts.is_for_fargate:
        problems += [*_fargate_size(facts.body), *_fargate_mode(facts.body)]
    problems += _execution_role(facts)
    yield from problems
    if not problems:
        sort = "Fargate" if facts.is_for_fargate else "ECS"
        cpu, memory = _units(facts.body.get("cpu")), _units(facts.body.get("memory"))
        size = f"a task of {cpu} CPU units and {memory} MiB " if facts.is_for_fargate else ""
        yield Passed(f"{size}fits {sort}")


def _size(body: Json) -> Iterable[Outcome]:
    count = len(body.get("containerDefinitions") or [])
    if count > MOST_CONTAINERS:
        yield Refused(
            f"The task definition has {count} containers.",
            f"ECS takes at most {MOST_CONTAINERS}.",
            "Move some of them to a service of their own.",
        )
    size = len(json.dumps(body, separators=(",", ":"), ensure_ascii=False).encode())
    if size > LARGEST_BYTES:
        yield Refused(
            f"The task definition is {size:,} bytes long.",
            f"ECS takes at most {LARGEST_BYTES:,}.",
            "Move environment variables to Parameter Store (`secrets`) or to an env file on S3.",
        )
    elif size > LARGE_BYTES:
        yield Warned(
            f"The task definition is {size:,} bytes long, and ECS takes at most {LARGEST_BYTES:,}.",
            "Move environment variables to Parameter Store (`secrets`) or to an env file on S3.",
        )


def _ports(facts: Facts) -> Iterable[Outcome]:
    """Host ports: pinned to the container's with `awsvpc`, taken by the old task without."""
    mode = facts.body.get("networkMode")
    for container in facts.definitions:
        for mapping in container.get("portMappings") or []:
            host, port = mapping.get("hostPort"), mapping.get("containerPort")
            if not host or (mode == "awsvpc" and host == port):
                continue
            name = container.get("name")
            if mode == "awsvpc":
                yield Refused(
                    f"The container {name!r} maps port {port} to host port {host}.",
                    "With the network mode `awsvpc` both must be the same.",
                    "Remove `hostPort`.",
                )
            elif facts.service.minimum_healthy_percent == 100:  # noqa: PLR2004 - a percentage
                yield Warned(
                    f"The container {name!r} takes the fixed host port {host}: a new task needs "
                    "an instance on which no old one runs.",
                    "Set `hostPort: 0` for a free port, or lower `minimumHealthyPercent`.",
                )


def _fargate_size(body: Json) -> Iterable[Outcome]:
    cpu, memory = _units(body.get("cpu")), _units(body.get("memory"))
    if not cpu or not memory:
        missing = "cpu" if not cpu else "memory"
        yield Refused(
            f"The task definition has no usable `{missing}`.",
            f"It is {body.get(missing)!r}, and a Fargate task needs a size.",
            f"Set `{missing}`, for example `cpu: 256` with `memory: 512`.",
        )
    elif cpu > max(MEMORY):
        yield Warned(
            f"{cpu} CPU units are more than this action knows of Fargate.",
            "Nothing, if AWS offers that size by now.",
        )
    elif memory not in MEMORY.get(cpu, ()):
        yield Refused(
            f"Fargate has no task of {cpu} CPU units with {memory} MiB.",
            "Each CPU size goes with certain memory sizes only.",
            f"Take the nearest that exist: {' or '.join(nearest(cpu, memory))}.",
        )


def _units(value: object) -> int:
    """`256`, `.25 vCPU` and `0.5 GB` as a number of units or MiB; 0 for anything else."""
    found = SIZE.fullmatch(str(value))
    if not found:
        return 0
    number = float(found[1])
    return round(number * 1024) if found[2] else round(number)


def nearest(cpu: int, memory: int) -> list[str]:
    """The next pairs that exist: the same CPU where it does, else enough of both."""
    sizes = MEMORY.get(cpu)
    if sizes:
        below = [m for m in sizes if m < memory][-1:]
        above = [m for m in sizes if m > memory][:1]
        pairs = [(cpu, m) for m in below + above]
    else:
        pairs = []
    larger = [(c, m) for c in sorted(MEMORY) if c >= cpu for m in MEMORY[c] if m >= memory]
    pairs += [pair for pair in larger[:1] if pair not in pairs]
    return [f"{c} with {m}" for c, m in pairs] or [f"{max(MEMORY)} with {MEMORY[max(MEMORY)][-1]}"]


def _fargate_mode(body: Json) -> Iterable[Outcome]:
    mode = body.get("networkMode")
    if mode != "awsvpc":
        yield Refused(
            f"The task definition has the network mode {mode or 'bridge'!r}.",
            "Fargate knows `awsvpc` only.",
            "Set `networkMode: awsvpc`.",
        )
    compatible = body.get("requiresCompatibilities") or []
    if compatible and "FARGATE" not in compatible:
        yield Warned(
            f"The service runs on Fargate, and `requiresCompatibilities` is {compatible}.",
            "Add `FARGATE` to it.",
        )


def _execution_role(facts: Facts) -> Iterable[Outcome]:
    if facts.body.get("executionRoleArn"):
        return
    needs = {need: c.get("name") for c in facts.definitions for need in _needs(c, facts)}
    if needs:
        yield Refused(
            "The task definition has no execution role.",
            "ECS needs one to "
            + ", and ".join(f"{need} ({name!r})" for need, name in needs.items())
            + ".",
            "Set `executionRoleArn`, usually to the account's `ecsTaskExecutionRole`.",
        )


def _needs(container: Json, facts: Facts) -> Iterable[str]:
    """What of a container only an execution role can do."""
    if container.get("secrets") or (container.get("logConfiguration") or {}).get("secretOptions"):
        yield "read secrets"
    if container.get("repositoryCredentials"):
        yield "log in to a private registry"
    if not facts.is_for_fargate:
        return  # there the instance's own role does the rest
    if (container.get("logConfiguration") or {}).get("logDriver") == "awslogs":
        yield "write to CloudWatch Logs"
    image = str(container.get("image"))
    if ".dkr.ecr" in image or (image == PLACEHOLDER and facts.repository):
        yield "pull from ECR"
