"""Doubles of the programs behind the gateways, and the real ones for tests marked `docker`."""

from __future__ import annotations

import gc
import json
import socket
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import docker
import pytest
import requests
from docker.errors import DockerException

from deploy_action.gateways.clock import SystemClock
from deploy_action.gateways.ecr import MEDIA_TYPES
from dev.places import BUILDX, MINISTACK_ENVIRONMENT
from tests.gateways.builds import GOOD, Bench

DIGEST = "sha256:" + "7d" * 32

# -I and -S: a start without site-packages takes a third of the time.
FAKE_BUILDX = """\
#!{python} -IS
import json, os, pathlib, signal, sys, time

here = pathlib.Path(__file__).parent
orders = json.loads((here / "orders.json").read_text())
config = pathlib.Path(os.environ["DOCKER_CONFIG"])
if orders["stubborn"]:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
with (here / "calls.jsonl").open("a") as calls:
    print(json.dumps(sys.argv[1:]), file=calls)
if orders["only"] not in ("", sys.argv[1]):
    sys.exit(0)
(here / "seen.json").write_text(json.dumps({{
    "arguments": sys.argv[1:],
    "environment": dict(os.environ),
    "login": json.loads((config / "config.json").read_text()),
    "modes": [config.stat().st_mode & 0o777, (config / "config.json").stat().st_mode & 0o777],
    "process": os.getpid(),
}}))
sys.stderr.write(orders["says"])
sys.stderr.flush()
if orders["hangs"]:
    time.sleep(60)
if orders["metadata"] is not None and "--metadata-file" in sys.argv:
    path = sys.argv[sys.argv.index("--metadata-file") + 1]
    pathlib.Path(path).write_text(orders["metadata"])
if orders["code"] < 0:
    os.kill(os.getpid(), -orders["code"])
sys.exit(orders["code"])
"""


@dataclass(frozen=True)
class FakeBuildx:
    """An executable named `buildx` that says and does what it is told beforehand."""

    folder: Path

    def will(
        self,
        *,
        say: str = "",
        code: int = 0,
        metadata: str | None = json.dumps({"containerimage.digest": DIGEST}),
        hang: bool = False,
        stubborn: bool = False,
        only: str = "",
    ) -> None:
        """With `only` any other command than this one just ends well."""
        orders = {"says": say, "code": code, "metadata": metadata}
        orders |= {"hangs": hang, "stubborn": stubborn, "only": only}
        (self.folder / "orders.json").write_text(json.dumps(orders))

    @property
    def calls(self) -> list[list[str]]:
        """The arguments of every start."""
        lines = (self.folder / "calls.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]

    @property
    def seen(self) -> dict[str, Any]:
        """What the program found when it was started."""
        found: dict[str, Any] = json.loads((self.folder / "seen.json").read_text())
        return found


@pytest.fixture
def fake_buildx(tmp_path: Path) -> FakeBuildx:
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "buildx"
    program.write_text(FAKE_BUILDX.format(python=sys.executable))
    program.chmod(0o755)
    fake = FakeBuildx(folder)
    fake.will()
    return fake


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    folder = tmp_path / "workspace"
    folder.mkdir()
    (folder / "Dockerfile").write_text(GOOD)
    (folder / "app.txt").write_text("hello\n")
    return folder


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that everything temporary is made in, to see what is left there."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(folder))
    return folder


@pytest.fixture
def bench(fake_buildx: FakeBuildx, workspace: Path, temporary: Path) -> Bench:
    environ = {"PATH": str(fake_buildx.folder), "GITHUB_WORKSPACE": str(workspace)}
    return Bench({**environ, "HOME": str(temporary)})


@pytest.fixture(scope="session")
def engine() -> Iterator[docker.DockerClient]:
    """The Docker Engine of this machine, with buildx beside it."""
    client, missing = _engine()
    if client is None:
        pytest.skip(f"no Docker Engine answers: {missing}")
    assert BUILDX.is_file(), "make the machine ready first: python3 -m dev.machine run -- true"
    yield client
    client.close()


def _engine() -> tuple[docker.DockerClient | None, str]:
    with warnings.catch_warnings():
        # docker-py drops the socket of a failed connection; it is collected while that is known.
        warnings.simplefilter("ignore", ResourceWarning)
        try:
            return docker.from_env(timeout=30), ""
        except DockerException as error:
            reason = str(error)
        gc.collect()
    return None, reason


@dataclass(frozen=True)
class EcrOfMiniStack:
    """A registry that speaks the registry protocol and the ECR API."""

    port: int
    client: Any

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    def manifest(self, repository: str, tag: str) -> requests.Response:
        return requests.get(
            f"http://{self.host}/v2/{repository}/manifests/{tag}",
            headers={"Accept": ", ".join(MEDIA_TYPES)},
            timeout=5,
        )


@pytest.fixture(scope="session")
def ecr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EcrOfMiniStack]:
    with _ministack(tmp_path_factory.mktemp("ministack") / "log.txt") as ecr:
        yield ecr


@pytest.fixture(scope="session")
def other_ecr(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EcrOfMiniStack]:
    """A registry that has nothing in common with the first."""
    with _ministack(tmp_path_factory.mktemp("ministack") / "log.txt") as ecr:
        yield ecr


@contextmanager
def _ministack(log: Path) -> Iterator[EcrOfMiniStack]:
    port = _free_port()
    with (
        log.open("wb") as output,
        subprocess.Popen(
            [MINISTACK_ENVIRONMENT / "bin" / "ministack"],
            env={
                "PATH": "/usr/local/bin:/usr/bin:/bin",
                "GATEWAY_PORT": str(port),
                "MINISTACK_REGION": "eu-west-1",
            },
            stdout=output,
            stderr=output,
        ) as ministack,
    ):
        try:
            _wait_for(port, ministack, log)
            yield EcrOfMiniStack(port, _client(port))
        finally:
            ministack.terminate()


def _client(port: int) -> Any:  # noqa: ANN401 - typed only with the stubs of development
    client = boto3.client(
        "ecr",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="eu-west-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
    )
    client.create_repository(repositoryName="web")
    client.create_repository(repositoryName="promoted")
    client.create_repository(repositoryName="frozen", imageTagMutability="IMMUTABLE")
    return client


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    return port


def _wait_for(port: int, process: subprocess.Popen[bytes], log: Path) -> None:
    clock = SystemClock()
    limit = clock.monotonic() + 30
    while clock.monotonic() < limit and process.poll() is None:
        try:
            requests.get(f"http://127.0.0.1:{port}/v2/", timeout=5)
        except requests.ConnectionError:
            clock.sleep(0.2)
        else:
            return
    pytest.fail(f"MiniStack did not start: {log.read_text(errors='replace')[-2000:]}")
