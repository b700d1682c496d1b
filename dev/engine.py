"""The Docker Engine: used when one answers, installed and started when there is none.

An engine that this set-up started is stopped by the last program that used it.
An engine that was there before is never touched.
"""

import contextlib
import fcntl
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO, Final

from dev.commands import MissingPrerequisite, attempt, is_root, run, say
from dev.debian import has_package, install
from dev.places import CACHE

_OURS: Final = CACHE / "dockerd.pid"
_LOG: Final = CACHE / "dockerd.log"
# A cold start takes two to four seconds; a slow disk should not fail a set-up.
_START_LIMIT: Final = 60.0
# The engine gives every container ten seconds to end before it ends itself.
_STOP_LIMIT: Final = 45.0
_SYSTEM_FOLDERS: Final = "/usr/local/sbin:/usr/sbin:/sbin"


@contextlib.contextmanager
def running() -> Iterator[None]:
    """Have an engine for the length of a block.

    Two locks, because two programs may share one engine: `engine.start` is held only while
    starting or stopping, `engine.use` is held by everybody for as long as they need it.
    """
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "engine.start").open("w") as turn, (CACHE / "engine.use").open("w") as use:
        with _locked(turn):
            if not answers():
                _start()
            fcntl.flock(use, fcntl.LOCK_SH)
        try:
            yield
        finally:
            with _locked(turn):
                if _is_last(use):
                    _stop_ours()


def answers() -> bool:
    """Whether an engine can be used right now by this user."""
    if shutil.which("docker") is None:
        return False
    asked = attempt("docker", "version", "--format", "{{.Server.Version}}")
    if "permission denied" in asked.stderr:
        raise MissingPrerequisite(
            "Docker runs, but this user may not use it: add the user to the group docker."
        )
    return asked.returncode == 0


def _start() -> None:
    if not is_root():
        raise MissingPrerequisite("Docker does not answer: start it, or run this as root.")
    os.environ["PATH"] += f":{_SYSTEM_FOLDERS}"
    _install()
    if answers():
        return  # the package's own service was started by its installation
    say("starting the Docker Engine")
    CACHE.mkdir(exist_ok=True)
    with _LOG.open("wb") as log:
        daemon = subprocess.Popen(
            ["dockerd"],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    _OURS.write_text(str(daemon.pid))
    _wait_until_it_answers(daemon)


def _install() -> None:
    if shutil.which("dockerd") is None:
        install("docker.io", needed_for="Docker")
    if shutil.which("docker") is None and has_package("docker-cli"):
        install("docker-cli", needed_for="Docker's command line")


def _wait_until_it_answers(daemon: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + _START_LIMIT
    while time.monotonic() < limit and daemon.poll() is None:
        if answers():
            return
        time.sleep(0.2)
    tail = "\n".join(_LOG.read_text(errors="replace").splitlines()[-8:])
    _stop_ours()
    raise MissingPrerequisite(f"the Docker Engine did not start; its log ends with:\n{tail}")


@contextlib.contextmanager
def _locked(turn: IO[str]) -> Iterator[None]:
    fcntl.flock(turn, fcntl.LOCK_EX)
    try:
        yield
    finally:
        fcntl.flock(turn, fcntl.LOCK_UN)


def _is_last(use: IO[str]) -> bool:
    """Nobody else holds the lock exactly when it can be had alone."""
    try:
        fcntl.flock(use, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _stop_ours() -> None:
    """Stop the engine this set-up started, also when the program that started it was killed."""
    if not _OURS.is_file():
        return
    process = int(_OURS.read_text())
    if _is_engine(process):
        say("stopping the Docker Engine that this set-up started")
        os.kill(process, signal.SIGTERM)
        _wait_until_gone(process)
    _OURS.unlink()


def _wait_until_gone(process: int) -> None:
    limit = time.monotonic() + _STOP_LIMIT
    while time.monotonic() < limit and _is_engine(process):
        with contextlib.suppress(ChildProcessError):
            os.waitpid(process, os.WNOHANG)
        time.sleep(0.1)


def _is_engine(process: int) -> bool:
    """A process number may have been given to another program since it was written down."""
    try:
        return b"dockerd" in Path(f"/proc/{process}/cmdline").read_bytes()
    except OSError:
        return False


def version() -> str:
    """The engine's version, for reports."""
    return run("docker", "version", "--format", "{{.Server.Version}}").strip()
