"""The tools that `make bench` measures the action against, used the way their manuals say."""

import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from dev.commands import run
from dev.places import BENCH_ENVIRONMENT

_AWS: Final = BENCH_ENVIRONMENT / "bin" / "aws"
_ECS: Final = BENCH_ENVIRONMENT / "bin" / "ecs"
# What RegisterTaskDefinition takes of what DescribeTaskDefinition gives.
_REGISTRABLE: Final = (
    *("family", "taskRoleArn", "executionRoleArn", "networkMode", "containerDefinitions"),
    *("volumes", "placementConstraints", "requiresCompatibilities", "cpu", "memory"),
    *("runtimePlatform",),
)
# Beyond any honest run: the waiter of the command line gives up after ten minutes.
_HANG_LIMIT: Final = 700.0


def versions() -> dict[str, str]:
    """Name and version of each tool, as installed."""
    code = "import importlib.metadata as m; print(m.version('awscli'), m.version('ecs-deploy'))"
    awscli, ecs_deploy = run(BENCH_ENVIRONMENT / "bin" / "python", "-c", code).split()
    return {"awscli": awscli, "ecs-deploy": ecs_deploy}


def aws_cli(cluster: str, service: str, image: str, environment: Mapping[str, str]) -> None:
    """The four commands of a deploy script: read, register, update, wait."""
    place = ("--cluster", cluster)
    answer = _call(
        environment, _AWS, "ecs", "describe-task-definition", "--task-definition", service
    )
    body = _with_image(json.loads(answer)["taskDefinition"], service, image)
    with tempfile.NamedTemporaryFile("w", suffix=".json") as file:
        json.dump(body, file)
        file.flush()
        source = f"file://{file.name}"
        answer = _call(
            environment, _AWS, "ecs", "register-task-definition", "--cli-input-json", source
        )
    revision = json.loads(answer)["taskDefinition"]["taskDefinitionArn"]
    update = ("--service", service, "--task-definition", revision)
    _call(environment, _AWS, "ecs", "update-service", *place, *update)
    _call(environment, _AWS, "ecs", "wait", "services-stable", *place, "--services", service)


def ecs_deploy(cluster: str, service: str, image: str, environment: Mapping[str, str]) -> None:
    """One command; it registers, updates and waits by itself."""
    _call(environment, _ECS, "deploy", cluster, service, "--image", service, image)


def _with_image(definition: dict[str, Any], container: str, image: str) -> dict[str, Any]:
    body: dict[str, Any] = {name: definition[name] for name in _REGISTRABLE if name in definition}
    for described in body["containerDefinitions"]:
        if described["name"] == container:
            described["image"] = image
    return body


def _call(environment: Mapping[str, str], *command: str | Path) -> str:
    """Run one command to its end; a rival that fails has no time worth comparing."""
    done = subprocess.run(
        [str(part) for part in command],
        env={
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(BENCH_ENVIRONMENT),
            "LC_ALL": "C.UTF-8",
            "AWS_PAGER": "",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=_HANG_LIMIT,
        check=False,
    )
    if done.returncode != 0:
        line = " ".join(str(part) for part in command)
        raise RuntimeError(f"`{line}` failed:\n{done.stdout}\n{done.stderr}")
    return done.stdout
