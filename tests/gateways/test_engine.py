"""The engine gateway against a scripted engine, none at all, and the real one."""

from __future__ import annotations

import gc
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import docker
import pytest
from docker.models.containers import Container

from deploy_action.gateways.engine import DockerEngine
from deploy_action.ports import EngineInfo, NoEngine
from dev.base_images import python_image

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


@pytest.mark.docker
def test_takes_one_name_off_an_image_and_leaves_the_others(engine: docker.DockerClient) -> None:
    base = engine.images.get(python_image())
    for tag in ("one", "two"):
        base.tag("deploy-action-test/names", tag)
    ours = DockerEngine({})
    one, two = "deploy-action-test/names:one", "deploy-action-test/names:two"

    assert (ours.has_image(one), ours.has_image("deploy-action-test/names:three")) == (True, False)
    ours.forget_image(one)
    ours.forget_image(one)

    assert (ours.has_image(one), ours.has_image(two)) == (False, True)
    ours.forget_image(two)
    assert engine.images.get(python_image()).id == base.id


ID = "3f9c2e1d0b7a4c5e8f60718293a4b5c6" * 2
DEFAULT = f"""\
197 100 0:53 / / rw,relatime master:8 - overlay overlay rw,upperdir=/var/lib/docker/x/diff
214 197 254:0 /var/lib/docker/containers/{ID}/resolv.conf /etc/resolv.conf rw - ext4 /dev/vda rw
215 197 254:0 /var/lib/docker/containers/{ID}/hostname /etc/hostname rw - ext4 /dev/vda rw
"""


@pytest.mark.parametrize(
    ("mounts", "container"),
    [
        pytest.param(DEFAULT, ID, id="the usual folder"),
        pytest.param(
            f"215 197 0:1 /containers/{ID}/hostname /etc/hostname rw - zfs pool rw",
            ID,
            id="a folder that is a file system of its own",
        ),
        pytest.param(
            f"98 25 0:5 / /var/lib/docker/containers/{ID}/mounts/shm rw - tmpfs shm rw",
            "",
            id="the machine itself sees the mounts of its containers",
        ),
        pytest.param(
            "215 197 8:1 /var/lib/kubelet/pods/7d/etc-hosts /etc/hosts rw - ext4 /dev/sda rw",
            "",
            id="a pod, which no engine can be asked about",
        ),
    ],
)
def test_finds_the_container_it_lives_in(tmp_path: Path, mounts: str, container: str) -> None:
    file = tmp_path / "mountinfo"
    file.write_text(mounts)

    assert DockerEngine({}, file).own_container() == container


def test_lives_in_no_container_where_nothing_is_mounted(tmp_path: Path) -> None:
    assert DockerEngine({}, tmp_path / "nowhere").own_container() == ""


@pytest.fixture
def container(engine: docker.DockerClient) -> Iterator[Container]:
    """One that never ends, and heeds no signal that can be ignored."""
    running = engine.containers.run(
        python_image(),
        ["python", "-c", "import time; time.sleep(600)"],
        detach=True,
        network_mode="host",
    )
    try:
        yield running
    finally:
        running.remove(force=True)


@pytest.mark.docker
def test_a_real_container_can_find_itself_on_the_network_of_the_host(
    container: Container, tmp_path: Path
) -> None:
    mounts = container.exec_run(["cat", "/proc/self/mountinfo"]).output
    assert isinstance(mounts, bytes)
    file = tmp_path / "mountinfo"
    file.write_bytes(mounts)

    assert DockerEngine({}, file).own_container() == container.id


@pytest.mark.docker
@pytest.mark.parametrize("is_frozen", [False, True])
def test_a_stopped_container_is_down_when_the_answer_comes(
    container: Container,
    is_frozen: bool,  # noqa: FBT001 - a case of the table
) -> None:
    if is_frozen:
        container.kill("STOP")

    assert DockerEngine({}).stop_container(str(container.id))

    container.reload()
    assert container.status == "exited"


@pytest.mark.docker
def test_a_container_that_has_ended_is_not_stopped_again(container: Container) -> None:
    container.kill()

    assert not DockerEngine({}).stop_container(str(container.id))


@pytest.mark.docker
@pytest.mark.usefixtures("engine")
def test_a_container_that_never_was_is_not_there() -> None:
    assert not DockerEngine({}).stop_container(ID)


@pytest.mark.parametrize("host", ["unix:///nowhere/docker.sock"])
@pytest.mark.filterwarnings("ignore:unclosed:ResourceWarning")
def test_no_container_is_stopped_without_an_engine(host: str) -> None:
    with pytest.raises(NoEngine):
        DockerEngine({"DOCKER_HOST": host}).stop_container(ID)
    gc.collect()
