"""Running a workflow of a scratch repository the way the runner does, through act.

act runs the job's steps on this machine and docker actions as real containers. It builds
the action's image under one shared name, so only one workflow may run at a time; those that
build nothing and have different names may run together.
"""

import contextlib
import fcntl
import json
import os
import re
import subprocess
import tempfile
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, Final

from dev.commands import attempt
from dev.places import ACT, CACHE

# act lends the runner's environment to the action; a fixed one keeps the machine's out.
_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
# Wherever this machine's engine listens, act mounts its socket here, as the runner does.
_SOCKET: Final = {"DOCKER_HOST": "unix:///var/run/docker.sock"}
_HOME: Final = CACHE / "act"
# Marks the containers of one run, so that no other run's are removed with them.
_LABEL: Final = "deploy-action.workflow"
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
    post_lines: list[str] = field(default_factory=list)

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
        """The step with this `id`; act's own complaint when its container never ran."""
        step = self.steps.get(identifier)
        ran = step is not None and (step.result == "success" or step.exit_code != 0)
        if step is None or not ran:
            raise LookupError(f"step {identifier!r} did not run:\n{self.trouble}")
        return step


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
    hosts: Mapping[str, str] | None = None,
) -> Run:
    """Run a workflow file of a git repository and tell what its steps did.

    `actions` maps `owner/name@ref` to a folder; `heard` gets every log line as it is written.
    `hosts` gives addresses to names that docker actions ask for.
    """
    mark = f"{_LABEL}={uuid.uuid4().hex}"
    command = [
        *_recipe(event, workflow, mark, hosts or {}),
        *_pairs("--input", inputs),
        *_pairs("--var", variables),
        *_pairs("--secret", secrets),
        *_pairs("--env", {**_SOCKET, **(environment or {})}),
        *_pairs("--local-repository", actions),
    ]
    reader = _Reader(heard or _ignore)
    with _lock(alone=_is_built(actions or {})), tempfile.TemporaryFile("w+") as trouble:
        succeeded = _run(command, repository, reader, trouble, mark)
        trouble.seek(0)
        return Run(succeeded, reader.steps, trouble.read() + reader.complaints)


def _is_built(actions: Mapping[str, Path]) -> bool:
    """Whether act builds an image, instead of using one that is there."""
    there = ("docker://" in (path / "action.yml").read_text() for path in actions.values())
    return not actions or not all(there)


def _run(
    command: list[str], repository: Path, reader: "_Reader", trouble: IO[str], mark: str
) -> bool:
    """Read act to its end; when we stop before that, nothing of it may stay behind."""
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
        try:
            for line in process.stdout:
                reader.read(line)
        finally:
            guard.cancel()
            process.kill()  # a no-op once act has ended by itself
            _remove_containers(mark)
    return process.returncode == 0


def _remove_containers(mark: str) -> None:
    """When act is killed it leaves its containers behind."""
    left = attempt("docker", "ps", "-aq", "--filter", f"label={mark}").stdout.split()
    if left:
        attempt("docker", "rm", "--force", "--volumes", *left)


def _recipe(event: str, workflow: str, mark: str, hosts: Mapping[str, str]) -> list[str]:
    """Run steps on this machine, with docker actions on its network and seeing act's files."""
    options = f"--network host --label {mark} -v {_HOME}/work:{_HOME}/work"
    options += "".join(f" --add-host {name}:{address}" for name, address in hosts.items())
    return [
        *(str(ACT), event, "--workflows", f".github/workflows/{workflow}", "--json", "--rm"),
        *("--platform", "ubuntu-latest=-self-hosted", "--pull=false", "--no-cache-server"),
        *("--action-cache-path", str(_HOME / "work")),
        *("--container-options", options),
    ]


def _pairs(flag: str, values: Mapping[str, str] | Mapping[str, Path] | None) -> list[str]:
    return [part for name, value in (values or {}).items() for part in (flag, f"{name}={value}")]


def _environment() -> dict[str, str]:
    lent = {name: os.environ[name] for name in ("DOCKER_HOST",) if name in os.environ}
    return {"PATH": _PATH, "HOME": str(_HOME), "LANG": "C.UTF-8", **lent}


@contextlib.contextmanager
def _lock(*, alone: bool) -> Iterator[None]:
    (_HOME / "work").mkdir(parents=True, exist_ok=True)
    with (_HOME / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX if alone else fcntl.LOCK_SH)
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
        is_main = said.get("stage") == "Main"
        if "stepResult" in said:
            step.result = said["stepResult"] if is_main else step.result
        elif said.get("command") == "set-output":
            step.outputs[said["name"]] = said["arg"]
        elif said.get("command") == "summary":
            step.summary += said["content"]
        elif "raw" in said or said.get("raw_output"):
            lines = step.lines if is_main else step.post_lines
            self._hear(lines, said.get("raw", said["msg"]))
        elif code := _EXIT_CODE.search(said["msg"]):
            step.exit_code = int(code[1])

    def _hear(self, lines: list[str], text: str) -> None:
        for line in text.rstrip("\n").split("\n"):
            lines.append(line)
            self._heard(line)
