"""GitHub's runner, as far as a Docker container action meets it: its folders, its command
line, its files, and how it cancels a step.

Taken from the runner's source (ContainerActionHandler, ProcessInvoker). The one difference
is the network, which is the host's because the emulator listens there.
"""

import contextlib
import re
import signal
import subprocess
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import yaml

from dev.commands import attempt, run
from dev.places import ROOT

REPOSITORY: Final = "acme/shop"
# What the runner waits after its first signal, and after its second.
INTERRUPT_GRACE: Final = 7.5
TERMINATE_GRACE: Final = 2.5
# Far above any honest step: only one that hangs is ended by this.
_HANG_LIMIT: Final = 240.0
_LABEL: Final = "5eed0a"
# Where the runner has a folder, and where the container sees it.
_MOUNTS: Final = {
    "_temp": "runner_temp",
    "_temp/_github_home": "home",
    "_temp/_github_workflow": "workflow",
    "_temp/_runner_file_commands": "file_commands",
    "workspace": "workspace",
}
_FILES: Final = {
    "GITHUB_OUTPUT": "set_output",
    "GITHUB_STATE": "save_state",
    "GITHUB_STEP_SUMMARY": "step_summary",
    "GITHUB_ENV": "set_env",
    "GITHUB_PATH": "add_path",
}
_ENTRY: Final = re.compile(r"^([\w-]+)<<(\S+)\n(.*?)\n\2$", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Job:
    """A job: its folders on the runner, and what all of its steps are given."""

    image: str
    folder: Path
    sha: str
    inputs: Mapping[str, str]
    environment: Mapping[str, str]

    @property
    def workspace(self) -> Path:
        """What `actions/checkout` would have filled."""
        return self.folder / "workspace"

    def main(self) -> "Step":
        """Start the step itself."""
        return self._start({})

    def post(self, state: Mapping[str, str]) -> "Step":
        """Start the step's post entrypoint with what its main one saved."""
        declared = yaml.safe_load((ROOT / "action.yml").read_text())["runs"]["post-entrypoint"]
        saved = {f"STATE_{name}": value for name, value in state.items()}
        return self._start(saved, "--entrypoint", str(declared))

    def _start(self, more: Mapping[str, str], *options: str) -> "Step":
        files = self._fresh_files()
        variables = {
            **self.environment,
            **_inputs(self.inputs),
            **_variables(self.sha),
            **{name: f"/github/file_commands/{path.name}" for name, path in files.items()},
            **more,
        }
        name = f"{re.sub('[^a-z0-9]', '', self.image)}_{uuid.uuid4().hex[:6]}"
        return Step(name, self._command(name, variables, options), variables, files)

    def _fresh_files(self) -> dict[str, Path]:
        """Every step finds its own, and those of the step before are gone."""
        for part in _MOUNTS:
            (self.folder / part).mkdir(parents=True, exist_ok=True)
        folder = self.folder / "_temp/_runner_file_commands"
        for old in folder.iterdir():
            old.unlink()
        suffix = uuid.uuid4()
        files = {name: folder / f"{prefix}_{suffix}" for name, prefix in _FILES.items()}
        for path in files.values():
            path.touch()
        return files

    def _command(
        self, name: str, variables: Mapping[str, str], options: tuple[str, ...]
    ) -> list[str]:
        mounts = ["/var/run/docker.sock:/var/run/docker.sock"]
        mounts += [f"{self.folder / here}:/github/{there}" for here, there in _MOUNTS.items()]
        return [
            *("docker", "run", "--name", name, "--label", _LABEL),
            *("--workdir", "/github/workspace", "--rm"),
            # Values travel in the environment, so names with hyphens and all values survive.
            *(part for variable in variables for part in ("-e", variable)),
            *("-e", "GITHUB_ACTIONS=true", "-e", "CI=true"),
            *options,
            *("--network", "host"),
            *(part for mount in mounts for part in ("-v", mount)),
            self.image,
        ]


class Step:
    """A step that was started. As a context manager it leaves no container behind."""

    def __init__(
        self, name: str, command: list[str], variables: Mapping[str, str], files: dict[str, Path]
    ) -> None:
        self.name = name
        self.lines: list[str] = []
        self.first_line_at = 0.0
        """On the clock of the machine, as `time.time()` tells it."""
        self._files = files
        self._news = threading.Condition()
        self._has_ended = False
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            command,
            env={"PATH": "/usr/local/bin:/usr/bin:/bin", **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.kill()  # a no-op once it has ended by itself
        attempt("docker", "rm", "--force", "--volumes", self.name)
        self.process.wait()
        self._reader.join()

    def wait_for(self, text: str, limit: float = _HANG_LIMIT) -> str:
        """The first line that contains the text, as soon as it is there."""
        with self._news:
            self._news.wait_for(lambda: self._has_ended or self._line(text) is not None, limit)
            found = self._line(text)
        if found is None:
            raise LookupError(f"the step never said {text!r}:\n{self.text}")
        return found

    def wait(self, limit: float = _HANG_LIMIT) -> int:
        """The exit code of the client, which is the container's unless it was killed."""
        try:
            code = self.process.wait(limit)
        except subprocess.TimeoutExpired:
            raise TimeoutError(f"the step did not end in {limit} s:\n{self.text}") from None
        self._reader.join()
        return code

    def cancel(self) -> float:
        """Do what the runner does when a run is cancelled; seconds until the client ended."""
        started = time.monotonic()
        self.process.send_signal(signal.SIGINT)
        if not self._ends_within(INTERRUPT_GRACE):
            self.process.send_signal(signal.SIGTERM)
            if not self._ends_within(TERMINATE_GRACE):
                self.process.kill()
        self.wait()
        return time.monotonic() - started

    def is_there(self) -> bool:
        """Whether the container exists, running or not."""
        names = run("docker", "ps", "--all", "--format", "{{.Names}}")
        return self.name in names.split()

    def process_one(self) -> tuple[str, ...]:
        """The command line of the container's process 1."""
        words = run("docker", "exec", self.name, "cat", "/proc/1/cmdline")
        return tuple(words.strip("\0").split("\0"))

    def wait_until_it_handles(self, number: signal.Signals) -> None:
        """Wait until process 1 has a handler for the signal: without one it gets none."""
        limit = time.monotonic() + _HANG_LIMIT
        look = ("docker", "exec", self.name, "cat", "/proc/1/status")
        while self.process.poll() is None and time.monotonic() < limit:
            caught = re.search(r"^SigCgt:\s*(\w+)$", attempt(*look).stdout, re.MULTILINE)
            if caught and int(caught[1], 16) >> (number - 1) & 1:
                return
        raise TimeoutError(f"process 1 handles no {number.name}:\n{self.text}")

    @property
    def text(self) -> str:
        """The log so far."""
        return "\n".join(self.lines)

    @property
    def outputs(self) -> dict[str, str]:
        """What the step wrote for later steps; the last value of a name counts."""
        return self._entries("GITHUB_OUTPUT")

    @property
    def state(self) -> dict[str, str]:
        """What the step saved for its post entrypoint."""
        return self._entries("GITHUB_STATE")

    @property
    def summary(self) -> str:
        """What the step shows on the page of the run."""
        return self._files["GITHUB_STEP_SUMMARY"].read_text()

    def _entries(self, file: str) -> dict[str, str]:
        text = self._files[file].read_text()
        return {name: value for name, _, value in _ENTRY.findall(text)}

    def _line(self, text: str) -> str | None:
        return next((line for line in self.lines if text in line), None)

    def _ends_within(self, seconds: float) -> bool:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.wait(seconds)
        return self.process.poll() is not None

    def _read(self) -> None:
        for line in self._listen():
            with self._news:
                self.lines.append(line)
                self._news.notify_all()
        with self._news:
            self._has_ended = True
            self._news.notify_all()

    def _listen(self) -> Iterator[str]:
        assert self.process.stdout is not None
        with self.process.stdout as log:
            for line in log:
                self.first_line_at = self.first_line_at or time.time()
                yield line.rstrip("\n")


def _inputs(given: Mapping[str, str]) -> dict[str, str]:
    """All inputs that `action.yml` declares: the runner passes those nobody gave as well."""
    declared = yaml.safe_load((ROOT / "action.yml").read_text())["inputs"]
    values = {name: str(about.get("default", "")) for name, about in declared.items()}
    unknown = given.keys() - values.keys()
    if unknown:
        raise LookupError(f"action.yml has no input {', '.join(sorted(unknown))}")
    return {f"INPUT_{name.upper()}": value for name, value in {**values, **given}.items()}


def _variables(sha: str) -> dict[str, str]:
    """The runner's own variables, without those of the files."""
    owner = REPOSITORY.partition("/")[0]
    return {
        "HOME": "/github/home",
        "GITHUB_ACTION": f"__{owner}_ecs-deploy",
        "GITHUB_ACTION_REF": "v1",
        "GITHUB_ACTION_REPOSITORY": f"{owner}/ecs-deploy",
        "GITHUB_ACTOR": owner,
        "GITHUB_API_URL": "https://api.github.com",
        "GITHUB_BASE_REF": "",
        "GITHUB_EVENT_NAME": "push",
        "GITHUB_EVENT_PATH": "/github/workflow/event.json",
        "GITHUB_HEAD_REF": "",
        "GITHUB_JOB": "deploy",
        "GITHUB_REF": "refs/heads/main",
        "GITHUB_REF_NAME": "main",
        "GITHUB_REF_TYPE": "branch",
        "GITHUB_REPOSITORY": REPOSITORY,
        "GITHUB_REPOSITORY_OWNER": owner,
        "GITHUB_RUN_ATTEMPT": "1",
        "GITHUB_RUN_ID": "1",
        "GITHUB_RUN_NUMBER": "1",
        "GITHUB_SERVER_URL": "https://github.com",
        "GITHUB_SHA": sha,
        "GITHUB_WORKFLOW": "Deploy",
        "GITHUB_WORKSPACE": "/github/workspace",
        "RUNNER_ARCH": "X64",
        "RUNNER_ENVIRONMENT": "github-hosted",
        "RUNNER_NAME": "runner",
        "RUNNER_OS": "Linux",
        "RUNNER_TEMP": "/github/runner_temp",
        "RUNNER_TOOL_CACHE": "/opt/hostedtoolcache",
    }
