"""MiniStack as the AWS of the demo, the end-to-end tests and the benchmark.

`running()` gives an emulator of its own on a free port, with real containers behind it,
and leaves neither processes nor containers nor images behind.
"""

import contextlib
import os
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev.commands import MissingPrerequisite, attempt
from dev.places import CACHE, MINISTACK_ENVIRONMENT

REGION: Final = "eu-west-1"
ACCOUNT: Final = "123456789012"
# It answers after about two seconds; a loaded machine may need several times that.
_READY_LIMIT: Final = 60.0
# It removes its containers on the way out, each with a grace of its own.
_STOP_LIMIT: Final = 30.0
# Marks the containers of emulators started here; MiniStack adds the port.
_OWNER: Final = "deploy-action"


@dataclass(frozen=True)
class MiniStack:
    """A running emulator and how to reach it."""

    port: int
    log: Path
    region: str = REGION

    @property
    def endpoint(self) -> str:
        """What `AWS_ENDPOINT_URL` has to be; also where load balancers answer."""
        return f"http://{self.registry}"

    @property
    def registry(self) -> str:
        """The registry host for `docker push`: the engine trusts plain HTTP on this address."""
        return f"127.0.0.1:{self.port}"

    def environment(self) -> dict[str, str]:
        """The variables that make every AWS client talk to this emulator."""
        return {
            "AWS_ENDPOINT_URL": self.endpoint,
            "AWS_REGION": self.region,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": "test",
            "AWS_SECRET_ACCESS_KEY": "test",
        }

    def balancer(self, name: str) -> str:
        """Where a load balancer answers: its host name does not resolve, this path does."""
        return f"{self.endpoint}/_alb/{name}"


@contextlib.contextmanager
def running(*, checks_access: bool = False, region: str = REGION) -> Iterator[MiniStack]:
    """Have an emulator for the length of a block. The Docker Engine must be there.

    Load balancers answer only in its `region`. With `checks_access` it asks its IAM whether
    a call is allowed; `test` may do everything.
    """
    port = _free_port()
    folder = CACHE / "ministack"
    folder.mkdir(parents=True, exist_ok=True)
    emulator = MiniStack(port, folder / f"{port}.log", region)
    with emulator.log.open("wb") as log:
        process = subprocess.Popen(
            [MINISTACK_ENVIRONMENT / "bin" / "python", "-m", "ministack"],
            env=_environment(port, region, folder) | ({"AUTH": "true"} if checks_access else {}),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # a Ctrl-C ends the program, which then ends this in order
        )
    try:
        with _stop_signal_raises():
            _wait_until_ready(emulator, process)
            yield emulator
    finally:
        _stop(process)
        _remove_leftovers(emulator)


@contextlib.contextmanager
def _stop_signal_raises() -> Iterator[None]:
    """Let a stop signal end the block like a Ctrl-C, so that everything is cleaned up."""
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _environment(port: int, region: str, folder: Path) -> dict[str, str]:
    """Its own few variables, so that nobody's AWS settings reach it."""
    kept = ("PATH", "HOME", "DOCKER_HOST")
    return {
        **{name: os.environ[name] for name in kept if name in os.environ},
        "GATEWAY_PORT": str(port),
        "BIND_HOST": "127.0.0.1",
        "MINISTACK_REGION": region,
        "MINISTACK_ACCOUNT_ID": ACCOUNT,
        "MINISTACK_HOSTNAME": _OWNER,
        "TMPDIR": str(folder),
        # Its ten seconds without a word from the engine are too few for a slow pull.
        "MINISTACK_DOCKER_TIMEOUT": "60",
        "LOG_LEVEL": "INFO",
        "PYTHONUNBUFFERED": "1",
    }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(emulator: MiniStack, process: subprocess.Popen[bytes]) -> None:
    limit = time.monotonic() + _READY_LIMIT
    while time.monotonic() < limit and process.poll() is None:
        with contextlib.suppress(urllib.error.URLError, OSError):
            urllib.request.urlopen(f"{emulator.endpoint}/_ministack/ready", timeout=2)
            return
        time.sleep(0.1)
    tail = "\n".join(emulator.log.read_text(errors="replace").splitlines()[-10:])
    raise MissingPrerequisite(f"MiniStack did not start; its log ends with:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_LIMIT)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _remove_leftovers(emulator: MiniStack) -> None:
    """Remove what the emulator did not: containers it still had, images pulled from it."""
    owned = f"label=ministack.instance={_OWNER}:{emulator.port}"
    containers = attempt("docker", "ps", "-aq", "--filter", owned).stdout.split()
    if containers:
        attempt("docker", "rm", "--force", "--volumes", *containers)
    listing = "{{.Repository}}:{{.Tag}}@{{.Digest}}"
    reference = f"reference={emulator.registry}/*"
    images = attempt("docker", "images", "--filter", reference, "--format", listing).stdout
    for line in images.split():
        attempt("docker", "rmi", "--force", _reference(line))


def _reference(line: str) -> str:
    """An image pulled by digest has no tag to remove it by."""
    name, digest = line.split("@", 1)
    repository, tag = name.rsplit(":", 1)
    return f"{repository}@{digest}" if tag == "<none>" else name
