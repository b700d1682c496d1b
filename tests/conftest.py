"""Guards for every test, and the switch that rewrites generated text.

A test reaches no network, sees no variable of the machine or of a CI run, and
never really waits. Python's audit events tell of each look-up and connection.
What stops a test here is no `Exception`, so no library can swallow it.
"""

from __future__ import annotations

import ipaddress
import os
import sys
import time
from typing import TYPE_CHECKING, SupportsIndex

import pytest

if TYPE_CHECKING:
    from collections.abc import Generator

FOREIGN = ("AWS_", "GITHUB_", "INPUT_", "ACTIONS_", "RUNNER_", "STATE_")
"""Variables of a developer's shell or of a CI job, which would decide a test."""

LONGEST_SLEEP_SECONDS = 0.5
"""Enough to let a thread go on; everything longer belongs to a clock that is handed in."""


class Guard:
    """Fails the test that is about to leave the machine or to wait."""

    def __init__(self) -> None:
        self.on_real_parts = False
        """Whether the test runs containers: real time, and their own addresses."""

    def sleep(self, seconds: float | SupportsIndex, /) -> None:
        """Stand in for `time.sleep`, which has an audit event only from Python 3.13 on."""
        if float(seconds) > LONGEST_SLEEP_SECONDS and not self.on_real_parts:
            pytest.fail(f"slept {seconds} s: hand in a clock")
        real_sleep(seconds)

    def listen(self, event: str, args: tuple[object, ...]) -> None:
        """Take the audit events of the interpreter."""
        match event, args:
            case "socket.connect" | "socket.sendto", (_, (str() as host, *_)):
                self._check(host)
            case "socket.getaddrinfo", (str() as host, *_):
                self._check(host)
            case _:
                pass

    def _check(self, host: str) -> None:
        # RFC 6761 keeps .invalid free, so tests of a failing look-up may ask for it.
        if host in {"", "localhost"} or host.endswith(".invalid"):
            return
        try:
            address = ipaddress.ip_address(host)
        except ValueError:
            pass
        else:
            if address.is_loopback or (self.on_real_parts and address.is_private):
                return
        pytest.fail(f"reached for {host}: only this machine is there for tests")


guard = Guard()
real_sleep = time.sleep


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--update",
        action="store_true",
        help="rewrite the generated blocks of README.md and the golden files",
    )


def pytest_configure() -> None:
    for name in [name for name in os.environ if name.startswith(FOREIGN)]:
        del os.environ[name]
    # Without these boto3 would read the home folder and ask the instance it runs on.
    os.environ["AWS_CONFIG_FILE"] = os.environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    os.environ["AWS_EC2_METADATA_DISABLED"] = "true"
    sys.addaudithook(guard.listen)
    time.sleep = guard.sleep


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Generator[None, object, object]:
    """Loosen the guard for tests on real parts, their fixtures included."""
    guard.on_real_parts = any(item.iter_markers("docker")) or any(item.iter_markers("e2e"))
    return (yield)


@pytest.fixture
def update(request: pytest.FixtureRequest) -> bool:
    """Whether this run rewrites generated text instead of comparing it."""
    return bool(request.config.getoption("--update"))
