"""The build gateway with the real buildx, a Docker Engine and a registry."""

from __future__ import annotations

import base64
import json
import subprocess
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import docker
import pytest
from docker.errors import ImageNotFound

from deploy_action.gateways.buildx import Buildx
from deploy_action.gateways.engine import DockerEngine
from deploy_action.ports import Build, BuildError, BuildStep, Cache, RegistryLogin
from dev.base_images import python_image
from dev.places import BUILDX
from tests.gateways.builds import BROKEN, GOOD, PLAIN, Bench, Cancelled
from tests.gateways.conftest import EcrOfMiniStack

PATH = "/usr/local/bin:/usr/bin:/bin"


@dataclass(frozen=True)
class Real:
    """Buildx, the engine and a registry of this machine."""

    engine: docker.DockerClient
    ecr: EcrOfMiniStack
    bench: Bench

    @property
    def login(self) -> RegistryLogin:
        return RegistryLogin(host=self.ecr.host, user="AWS", password="ministack-password")

    def plan(self, tag: str, repository: str = "web") -> Build:
        return replace(
            PLAIN,
            tag=f"{self.ecr.host}/{repository}:{tag}",
            platform=f"linux/{self.engine.version()['Arch']}",
            secrets={"token": "made-up"},
        )

    def write(self, dockerfile: str) -> None:
        path = Path(self.bench.environ["GITHUB_WORKSPACE"], "Dockerfile")
        path.write_text(dockerfile.replace("python:3.13.15-slim-trixie", python_image()))


@pytest.fixture
def real(
    engine: docker.DockerClient, ecr: EcrOfMiniStack, workspace: Path, temporary: Path
) -> Iterator[Real]:
    path = f"{BUILDX.parent}:{PATH}"
    bench = Bench({"PATH": path, "GITHUB_WORKSPACE": str(workspace)}, silence_limit_seconds=120)
    real = Real(engine, ecr, bench)
    real.write(GOOD)
    yield real
    assert list(temporary.iterdir()) == []
    for tag in bench.tags:
        with suppress(ImageNotFound):
            engine.images.remove(tag)


@pytest.mark.docker
def test_pushes_one_manifest_and_knows_its_digest(real: Real) -> None:
    secret = "the-real-secret"
    build = replace(
        real.plan("good"),
        build_args={"VERSION": "1.2.3"},
        secrets={"token": secret},
        labels={"org.opencontainers.image.revision": "abc123"},
    )

    digest = real.bench.build(build, real.login)

    manifest = real.ecr.manifest("web", "good")
    assert manifest.headers["Docker-Content-Digest"] == digest
    assert "manifests" not in manifest.json()
    assert "config" in manifest.json()
    image = real.engine.images.get(build.tag)
    assert image.labels["org.opencontainers.image.revision"] == "abc123"
    history = json.dumps(image.history())
    assert "VERSION=1.2.3" in history
    assert secret not in history + json.dumps(image.attrs)


@pytest.mark.docker
def test_a_second_build_takes_every_step_from_the_cache(real: Real) -> None:
    real.bench.build(real.plan("first"), real.login)
    real.bench.steps.clear()

    real.bench.build(real.plan("second"), real.login)

    cached = [step.name.split()[2] for step in real.bench.steps if step.cached]
    assert cached[-3:] == ["RUN", "RUN", "COPY"]


@pytest.mark.docker
def test_an_inline_cache_is_written_and_read(real: Real) -> None:
    cache = f"{real.ecr.host}/web:cache"
    # The first time there is no such image, which must not fail the build.
    inline = Cache(kind="inline", place=cache)
    real.bench.build(replace(real.plan("cache"), cache=inline), real.login)
    assert f"importing cache manifest from {cache}" in real.bench.names
    assert "exporting cache" in real.bench.names

    again = replace(real.plan("again"), cache=inline)
    digest = real.bench.build(again, real.login)

    assert real.ecr.manifest("web", "again").headers["Docker-Content-Digest"] == digest


def index(real: Real, tag: str) -> str:
    """Push an index of two platforms; its digest."""
    real.write("FROM scratch\nCOPY app.txt /\n")
    parts = []
    for platform in ("linux/amd64", "linux/arm64"):
        build = replace(
            real.plan(f"{tag}-{platform[6:]}"), platform=platform, labels={"for": platform}
        )
        real.bench.build(build, real.login)
        parts.append(build.tag)
    name = f"{real.ecr.host}/web:{tag}"
    arguments = [str(BUILDX), "imagetools", "create", "--tag", name, *parts]
    subprocess.run(arguments, check=True, capture_output=True)
    return real.bench.gateway().resolve(name, [real.login])


@pytest.mark.docker
@pytest.mark.parametrize("is_index", [False, True], ids=["one image", "an index"])
@pytest.mark.parametrize("is_far", [False, True], ids=["beside it", "in another registry"])
def test_copies_byte_for_byte_without_an_engine(
    real: Real, other_ecr: EcrOfMiniStack, *, is_index: bool, is_far: bool
) -> None:
    tag = f"copy-{is_index}-{is_far}".lower()
    if is_index:
        digest = index(real, tag)
    else:
        real.write("FROM scratch\nCOPY app.txt /\n")
        digest = real.bench.build(real.plan(tag), real.login)
    target = other_ecr if is_far else real.ecr
    real.bench.environ = {**real.bench.environ, "DOCKER_HOST": "unix:///nowhere/docker.sock"}
    logins = [real.login, replace(real.login, host=target.host)]

    real.bench.gateway().copy(
        f"{real.ecr.host}/web@{digest}", f"{target.host}/promoted:{tag}", logins
    )

    found = target.manifest("promoted", tag)
    assert found.headers["Docker-Content-Digest"] == digest
    assert found.content == real.ecr.manifest("web", tag).content
    assert real.bench.gateway().resolve(f"{target.host}/promoted:{tag}", logins) == digest
    for child in found.json().get("manifests", []):
        assert target.manifest("promoted", child["digest"]).status_code == 200


@pytest.mark.docker
def test_what_cannot_be_copied_is_said(real: Real) -> None:
    with pytest.raises(BuildError, match="not found"):
        real.bench.gateway().resolve(f"{real.ecr.host}/web:nothing", [real.login])

    real.write("FROM scratch\nCOPY app.txt /\n")
    digest = real.bench.build(real.plan("lonely"), real.login)
    with pytest.raises(BuildError, match="nowhere"):
        real.bench.gateway().copy(
            f"{real.ecr.host}/web@{digest}", f"{real.ecr.host}/nowhere:one", [real.login]
        )


@pytest.mark.docker
def test_a_name_taken_off_its_image_leaves_the_cache(real: Real) -> None:
    real.bench.build(real.plan("kept"), real.login)
    DockerEngine({}).forget_image(real.plan("kept").tag)
    real.bench.steps.clear()

    real.bench.build(real.plan("kept"), real.login)

    cached = [step.name.split()[2] for step in real.bench.steps if step.cached]
    assert cached[-3:] == ["RUN", "RUN", "COPY"]


@pytest.mark.docker
def test_tells_where_a_real_build_failed(real: Real) -> None:
    real.write(BROKEN)

    error = real.bench.fail(real.plan("broken"), real.login)

    assert (error.step or "").startswith("[3/3] RUN for i in 1 2 3")
    assert error.dockerfile_line == 4
    assert sorted(error.log) == ["line 1", "line 2", "line 3", "no such module"]
    assert real.ecr.manifest("web", "broken").status_code == 404


@pytest.mark.docker
def test_a_required_secret_reaches_the_build_as_a_mount_only(real: Real) -> None:
    real.write(
        "FROM python:3.13.15-slim-trixie\n"
        'RUN --mount=type=secret,id=token test "$(cat /run/secrets/token)" = from-the-vault\n'
        "RUN ! grep -rs from-the-vault /run /proc/self/environ\n"
    )

    real.bench.build(replace(real.plan("vault"), secrets={"token": "from-the-vault"}), real.login)


@pytest.mark.docker
def test_a_build_that_prints_its_secret_does_not_print_it_through_us(real: Real) -> None:
    real.write(
        "FROM python:3.13.15-slim-trixie\n"
        "RUN --mount=type=secret,id=token echo it is $(cat /run/secrets/token);"
        " grep --color=always vault /run/secrets/token; exit 3\n"
    )
    build = replace(real.plan("leak"), secrets={"token": "from-the-vault"})

    error = real.bench.fail(build, real.login)

    assert error.log == ("it is ***", "***")
    assert "from-the-vault" not in " ".join([error.detail, *error.log, error.fix or ""])


@pytest.mark.docker
def test_an_unknown_stage_has_a_fix(real: Real) -> None:
    error = real.bench.fail(replace(real.plan("stage"), target="nope"), real.login)

    assert "nope" in error.detail
    assert "`target`" in (error.fix or "")


@pytest.mark.docker
def test_a_tag_that_may_not_move_has_a_fix(real: Real) -> None:
    digest = real.bench.build(real.plan("one", "frozen"), real.login)
    # The second build takes the tag away from the first; this name is then left.
    real.bench.tags.append(f"{real.ecr.host}/frozen@{digest}")

    error = real.bench.fail(
        replace(real.plan("one", "frozen"), labels={"a": "b"}),
        real.login,
    )

    assert (error.step or "").startswith("pushing ")
    assert "`image-tag`" in (error.fix or "")


@pytest.mark.docker
def test_a_repository_that_is_not_there_has_a_fix(real: Real) -> None:
    error = real.bench.fail(real.plan("one", "missing"), real.login)

    assert "`create-repository`" in (error.fix or "")


@pytest.mark.docker
def test_no_engine_has_a_fix(real: Real) -> None:
    bench = Bench({**real.bench.environ, "DOCKER_HOST": "unix:///nowhere.sock"})

    assert "Docker Engine" in (bench.fail(real.plan("x"), real.login).fix or "")


class GuardedRegistry(ThreadingHTTPServer):
    """A registry with a door: it knows one login, and lets nobody push."""

    def __init__(self, login: str) -> None:
        super().__init__(("127.0.0.1", 0), _Door)
        self.login = "Basic " + base64.b64encode(login.encode()).decode()
        self.admitted = 0


class _Door(BaseHTTPRequestHandler):
    server: GuardedRegistry

    def _answer(self) -> None:
        if self.headers["Authorization"] != self.server.login:
            self._say(401, "UNAUTHORIZED", "Not Authorized")
        else:
            self.server.admitted += 1
            denied = "not authorized to perform: ecr:InitiateLayerUpload on resource: web"
            self._say(403, "DENIED", f"User: someone is {denied}")

    do_GET = do_HEAD = do_POST = _answer  # noqa: N815

    def _say(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"errors": [{"code": code, "message": message}]}).encode()
        self.send_response(status)
        self.send_header("WWW-Authenticate", 'Basic realm="guarded"')
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def guarded() -> Iterator[GuardedRegistry]:
    with GuardedRegistry("AWS:right-password") as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


@pytest.mark.docker
def test_the_login_reaches_the_registry(real: Real, guarded: GuardedRegistry) -> None:
    host = f"127.0.0.1:{guarded.server_port}"
    build = replace(real.plan("x"), tag=f"{host}/web:x")

    wrong = real.bench.fail(build, RegistryLogin(host=host, user="AWS", password="wrong-password"))
    assert "role" in (wrong.fix or ""), wrong.detail
    assert guarded.admitted == 0

    right = real.bench.fail(build, RegistryLogin(host=host, user="AWS", password="right-password"))
    assert guarded.admitted > 0
    assert "ecr:InitiateLayerUpload" in (right.fix or ""), right.detail


@pytest.mark.docker
def test_a_cancelled_build_stops(real: Real) -> None:
    real.write("FROM python:3.13.15-slim-trixie\nRUN echo started; sleep 600\n")

    def cancel(step: BuildStep) -> None:
        if "FROM" in step.name:
            raise Cancelled

    with pytest.raises(Cancelled):
        Buildx(real.bench.environ).build_and_push(real.plan("slow"), real.login, cancel)
