"""The engine gateway against a scripted engine, none at all, and the real one."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any

import docker
import pytest

from deploy_action.gateways.engine import DockerEngine
from deploy_action.ports import EngineInfo, NoEngine

OVERLAY = [["Backing Filesystem", "extfs"], ["Supports d_type", "true"]]
CONTAINERD = [["driver-type", "io.containerd.snapshotter.v1"]]


@contextmanager
def scripted_engine(info: dict[str, Any], status: int = 200) -> Iterator[str]:
    """A daemon on a TCP port of this machine; yields its DOCKER_HOST."""

    class Daemon(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = json.dumps(info if self.path.endswith("/info") else {"ApiVersion": "1.44"})
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body.encode())

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Daemon) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        try:
            yield f"tcp://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


def described(
    architecture: str = "x86_64", driver_status: list[list[str]] | None = None
) -> dict[str, Any]:
    return {
        "ServerVersion": "29.4.2",
        "OSType": "linux",
        "Architecture": architecture,
        "DriverStatus": driver_status,
    }


@pytest.mark.parametrize(
    ("info", "expected"),
    [
        pytest.param(
            described("x86_64", OVERLAY),
            EngineInfo(version="29.4.2", platform="linux/amd64", containerd_store=False),
            id="graph driver on x86",
        ),
        pytest.param(
            described("aarch64", CONTAINERD),
            EngineInfo(version="29.4.2", platform="linux/arm64", containerd_store=True),
            id="containerd store on arm",
        ),
        pytest.param(
            described("riscv64"),
            EngineInfo(version="29.4.2", platform="linux/riscv64", containerd_store=False),
            id="an unknown processor keeps its name, and a driver may have no status",
        ),
    ],
)
def test_tells_what_the_engine_is(info: dict[str, Any], expected: EngineInfo) -> None:
    with scripted_engine(info) as host:
        assert DockerEngine({"DOCKER_HOST": host}).info() == expected


@pytest.mark.parametrize(
    "host",
    [
        pytest.param("unix:///nowhere/docker.sock", id="no socket"),
        pytest.param("tcp://127.0.0.1:1", id="nobody listens"),
        pytest.param("carrier-pigeon://x", id="no address at all"),
    ],
)
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_says_that_there_is_no_engine(host: str) -> None:
    engine = DockerEngine({"DOCKER_HOST": host})

    with pytest.raises(NoEngine, match=r"\w"):
        engine.info()
    # docker-py drops the socket of a failed connection; collect it here, where that is known.
    gc.collect()


def test_an_engine_that_only_fails_is_none() -> None:
    with scripted_engine({"message": "broken"}, status=500) as host, pytest.raises(NoEngine):
        DockerEngine({"DOCKER_HOST": host}).info()


@pytest.mark.docker
def test_agrees_with_the_real_engine(engine: docker.DockerClient) -> None:
    found = DockerEngine({}).info()

    assert found.version == engine.version()["Version"]
    assert found.platform in {"linux/amd64", "linux/arm64"}
