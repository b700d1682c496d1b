"""Running other programs, and the one way the set-up says that something is missing."""

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


class MissingPrerequisite(Exception):
    """Something only the person at the machine can provide, told in one sentence."""


def say(text: str) -> None:
    """Tell what the set-up is doing; on standard error, so that output stays a program's own."""
    print(f"set-up: {text}", file=sys.stderr, flush=True)


def is_root() -> bool:
    """Whether packages may be installed and services started here."""
    return os.geteuid() == 0


def run(
    *command: str | Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> str:
    """Run a program that must succeed and return what it printed.

    A failure raises with the last lines of its output: a set-up that stops has to say why.
    """
    done = attempt(*command, cwd=cwd, environment=environment)
    if done.returncode != 0:
        raise MissingPrerequisite(_failure(command, done))
    return done.stdout


def attempt(
    *command: str | Path,
    cwd: Path | None = None,
    environment: Mapping[str, str] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program whose failure is an answer too."""
    return subprocess.run(
        [str(part) for part in command],
        cwd=cwd,
        env=None if environment is None else {**os.environ, **environment},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
        check=False,
    )


def _failure(command: Sequence[str | Path], done: subprocess.CompletedProcess[str]) -> str:
    told = (done.stderr.strip() or done.stdout.strip() or "it printed nothing").splitlines()
    line = " ".join(str(part) for part in command)
    return f"`{line}` ended with exit code {done.returncode}:\n" + "\n".join(told[-15:])
