"""The guards of conftest.py hold: a suite that could reach out would prove nothing."""

from __future__ import annotations

import os
import socket
import time

import pytest


@pytest.mark.parametrize("host", ["198.51.100.7", "10.0.0.1", "example.com"])
def test_no_test_leaves_the_machine(host: str) -> None:
    with pytest.raises(pytest.fail.Exception, match="only this machine"):
        socket.create_connection((host, 80), timeout=0.1)


def test_a_server_on_loopback_is_within_reach() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        socket.create_connection(server.getsockname(), timeout=1).close()


def test_no_test_waits() -> None:
    with pytest.raises(pytest.fail.Exception, match="hand in a clock"):
        time.sleep(60)


def test_no_variable_of_the_machine_decides_a_test() -> None:
    seen = {name for name in os.environ if name.startswith(("AWS_", "GITHUB_", "INPUT_"))}

    assert seen == {"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED"}
