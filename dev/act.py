"""Running a workflow of a scratch repository the way the runner does, through act.

act runs the job's steps on this machine and docker actions as real containers. It builds
the action's image under one shared name, so only one workflow may run at a time.
"""

import contextlib
import fcntl
import json
import os
import re
import subprocess
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from dev.places import ACT, CACHE

# act lends the runner's environment to the action; a fixed one keeps the machine's out.
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_HOME: Final = CACHE / "act"
# Far above any honest run: only a workflow that hangs is ended by this.
_HANG_LIMIT: Final = 900.0
_EXIT_CODE: Final = re.compile(r"exit with `FAILURE`: (\d+)")


@dataclass
class Step:
    """What one step said and left behind."""

    name: str
    result: str = "unknown"
    exit_code: int = 0
    outputs: dict[str, str] = field(default_factory=dict)
    summary: str = ""
    lines: list[str] = field(default_factory=list)

    @property
    def text(self) -> str:
        """The log as a person reads it."""
        return "\n".join(self.lines)


@dataclass(frozen=True)
class Run:
    """One finished workflow run."""

    succeeded: bool
    steps: dict[str, Step]
    trouble: str

    def step(self, identifier: str) -> Step:
        """The step with this `id`; act's own complaint when it never ran."""
        if identifier not in self.steps:
            raise LookupError(f"step {identifier!r} did not run:\n{self.trouble}")
        return self.steps[identifier]


def run_workflow(
    repository: Path,
    workflow: str,
    *,
    event: str = "workflow_dispatch",
    inputs: Mapping[str, str] | None = None,
    variables: Mapping[str, str] | None = None,
    secrets: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    actions: Mapping[str, Path] | None = None,
    heard: Callable[[str], None] | None = None,
) -> Run:
    """Run a workflow file of a git repository and tell what its steps did.

    `actions` maps `owner/name@ref` to a folder; `heard` gets every log line as it is written.
    """
    command = [
        *_recipe(event, workflow),
        *_pairs("--input", inputs),
        *_pairs("--var", variables),
        *_pairs("--secret", secrets),
        *_pairs("--env", environment),
        *_pairs("--local-repository", actions),
    ]
    reader = _Reader(heard or _ignore)
    with _alone(), (_HOME / "trouble.log").open("w+") as trouble:
        with subprocess.Popen(
            command,
            cwd=repository,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=trouble,
            text=True,
            errors="replace",
        ) as process:
            assert process.stdout is not None
            guard = threading.Timer(_HANG_LIMIT, process.kill)
            guard.start()
            for line in process.stdout:
                reader.read(line)
            guard.cancel()
        trouble.seek(0)
        return Run(process.returncode == 0, reader.steps, trouble.read() + reader.complaints)


def _recipe(event: str, workflow: str) -> list[str]:
    """Run steps on this machine, with docker actions on its network and seeing act's files."""
    return [
        *(str(ACT), event, "--workflows", f".github/workflows/{workflow}", "--json", "--rm"),
        *("--platform", "ubuntu-latest=-self-hosted", "--pull=false", "--no-cache-server"),
        *("--action-cache-path", str(_HOME / "work")),
        *("--container-options", f"--network host -v {_HOME}/work:{_HOME}/work"),
    ]


def _pairs(flag: str, values: Mapping[str, str] | Mapping[str, Path] | None) -> list[str]:
    return [part for name, value in (values or {}).items() for part in (flag, f"{name}={value}")]


def _environment() -> dict[str, str]:
    lent = {name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ}
    return {"PATH": _PATH, "HOME": str(_HOME), "LANG": "C.UTF-8", **lent}


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    (_HOME / "work").mkdir(parents=True, exist_ok=True)
    with (_HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _ignore(_line: str) -> None:
    """Nobody is listening."""


class _Reader:
    """Sorts act's JSON lines by the step they belong to."""

    def __init__(self, heard: Callable[[str], None]) -> None:
        self.steps: dict[str, Step] = {}
        self.complaints = ""
        self._heard = heard

    def read(self, line: str) -> None:
        try:
            said: dict[str, Any] = json.loads(line)
        except ValueError:
            self.complaints += line
            return
        if said.get("level") == "error":
            self.complaints += f"{said['msg']}\n"
        identifiers = said.get("stepID")
        if identifiers:
            step = self.steps.setdefault(".".join(identifiers), Step(str(said.get("step"))))
            self._sort(step, said)

    def _sort(self, step: Step, said: dict[str, Any]) -> None:
        if "stepResult" in said:
            step.result = said["stepResult"]
        elif said.get("command") == "set-output":
            step.outputs[said["name"]] = said["arg"]
        elif said.get("command") == "summary":
            step.summary += said["content"]
        elif "raw" in said or said.get("raw_output"):
            self._hear(step, said.get("raw", said["msg"]))
        elif code := _EXIT_CODE.search(said["msg"]):
            step.exit_code = int(code[1])

    def _hear(self, step: Step, text: str) -> None:
        for line in text.rstrip("\n").split("\n"):
            step.lines.append(line)
            self._heard(line)
