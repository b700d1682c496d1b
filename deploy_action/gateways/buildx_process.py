"""Runs buildx as a child process that never outlives its call.

This module must not print and must not know what the child is asked to do.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import IO, cast

from deploy_action.ports import BuildError

_PLUGIN_FOLDERS = (
    "/usr/local/lib/docker/cli-plugins",
    "/usr/local/libexec/docker/cli-plugins",
    "/usr/lib/docker/cli-plugins",
    "/usr/libexec/docker/cli-plugins",
)


def find_program(environ: Mapping[str, str]) -> str:
    path = environ.get("PATH", os.defpath)
    program = shutil.which("buildx", path=path)
    if program:
        return program
    # The CLI plugin is the same program and runs without the CLI.
    home = environ.get("HOME")
    folders = [f"{home}/.docker/cli-plugins"] if home else []
    plugin = shutil.which("docker-buildx", path=os.pathsep.join([path, *folders, *_PLUGIN_FOLDERS]))
    if plugin:
        return plugin
    raise BuildError(
        "buildx was not found: neither on PATH nor among the plugins of the Docker CLI",
        fix="Run the action from its own image, or install Docker Buildx (the package"
        " docker-buildx-plugin or docker-buildx).",
    )


def run(
    command: Sequence[str],
    environment: Mapping[str, str],
    read: Callable[[str], None],
    *,
    silence_limit_seconds: float,
    grace_seconds: float,
) -> str | None:
    """Hand every line to `read`; return how the child failed, None where it did not.

    However this function ends, the child has ended before it.
    """
    try:
        child = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    except (OSError, ValueError) as error:
        return f"buildx could not be started: {error}"
    try:
        for line in _lines(child, silence_limit_seconds):
            read(line)
        code = child.wait(silence_limit_seconds)
    except (_Silent, subprocess.TimeoutExpired):
        minutes = silence_limit_seconds / 60
        return f"buildx said nothing for {minutes:g} minutes and was stopped"
    finally:
        _end(child, grace_seconds)
    return None if code == 0 else f"buildx ended with {_ending(code)}"


class _Silent(Exception):
    """The child has not said a word for too long."""


def _lines(child: subprocess.Popen[bytes], silence_limit_seconds: float) -> Iterator[str]:
    pipe = cast("IO[bytes]", child.stdout).fileno()
    rest = b""
    while select.select([pipe], [], [], silence_limit_seconds)[0]:
        chunk = os.read(pipe, 65536)
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines if chunk else [rest]:
            yield line.decode("utf-8", errors="replace")
        if not chunk:
            return
    raise _Silent


def _ending(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"signal {-code}"


def _end(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    """BuildKit drops the build and the push when their client is gone."""
    try:
        if child.poll() is None:
            _signal(child, signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                child.wait(grace_seconds)
    finally:
        # Reached also where a second signal of the runner cuts the wait short.
        if child.poll() is None:
            _signal(child, signal.SIGKILL)
            child.wait()
        cast("IO[bytes]", child.stdout).close()


def _signal(child: subprocess.Popen[bytes], number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, number)
