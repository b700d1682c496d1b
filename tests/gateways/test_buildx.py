"""The build gateway: against a scripted buildx, and against the real one with a registry."""

from __future__ import annotations

import base64
import json
import os
import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise
from pathlib import Path
from threading import Thread

import docker
import pytest
from docker.errors import ImageNotFound

from deploy_action.gateways.buildx import Buildx, hint
from deploy_action.ports import Build, BuildError, BuildStep, RegistryLogin
from dev.base_images import python_image
from dev.places import BUILDX
from tests.gateways.conftest import DATA, DIGEST, EcrOfMiniStack, FakeBuildx

LOGIN = RegistryLogin(host="registry.example:5000", user="AWS", password="pass-word-of-ecr")
PATH = "/usr/local/bin:/usr/bin:/bin"

GOOD = """\
FROM python:3.13.15-slim-trixie AS base
ARG VERSION
RUN echo building $VERSION && printf 'a\\033[31mred\\033[0m\\rb\\n'
RUN --mount=type=secret,id=token wc -c /run/secrets/token
COPY app.txt /app.txt
FROM base AS web
CMD ["python","-V"]
"""
BROKEN = """\
FROM python:3.13.15-slim-trixie

RUN echo fine; sleep 0.1
RUN for i in 1 2 3; do echo "line $i"; done; echo no such module >&2; exit 3
"""


def recorded(name: str) -> str:
    return (DATA / f"{name}.txt").read_text("utf-8")


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


@dataclass
class Bench:
    """One gateway on one workspace, and the steps it told of."""

    environ: Mapping[str, str]
    steps: list[BuildStep] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    silence_limit_seconds: float = 20
    grace_seconds: float = 5

    def build(self, build: Build, login: RegistryLogin = LOGIN) -> str:
        gateway = Buildx(
            self.environ,
            silence_limit_seconds=self.silence_limit_seconds,
            grace_seconds=self.grace_seconds,
        )
        self.tags.append(build.tag)
        return gateway.build_and_push(build, login, self.steps.append)

    def fail(self, build: Build, login: RegistryLogin = LOGIN) -> BuildError:
        with pytest.raises(BuildError) as caught:
            self.build(build, login)
        return caught.value

    @property
    def names(self) -> list[str]:
        return [step.name for step in self.steps]


@pytest.fixture
def bench(fake_buildx: FakeBuildx, workspace: Path, temporary: Path) -> Bench:
    environ = {"PATH": str(fake_buildx.folder), "GITHUB_WORKSPACE": str(workspace)}
    return Bench({**environ, "HOME": str(temporary)})


PLAIN = Build(
    context=".",
    dockerfile=None,
    target=None,
    platform="linux/amd64",
    tag="registry.example:5000/web:one",
    build_args={},
    secrets={},
    labels={},
    cache_from=None,
)


# What is reported


def test_returns_the_digest_and_tells_every_step_once(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    fake_buildx.will(say=recorded("good"))

    assert bench.build(PLAIN) == DIGEST

    assert bench.names == [
        "[internal] load build definition from Dockerfile",
        "[internal] load .dockerignore",
        "[internal] load metadata for docker.io/library/python:3.13.15-slim-trixie",
        "importing cache manifest from registry.example:5000/web:nolatest",
        "[base 1/4] FROM docker.io/library/python:3.13.15-slim-trixie",
        r"[base 2/4] RUN echo building 10 && printf 'a\033[31mred\033[0m\rb\n'",
        "[base 3/4] RUN --mount=type=secret,id=token wc -c /run/secrets/token",
        "[internal] load build context",
        "[base 4/4] COPY app.txt /app.txt",
        "exporting to image",
        "exporting cache",
        "pushing registry.example:5000/web:c with docker",
    ]
    run = bench.steps[5]
    assert run.seconds == pytest.approx(0.104, abs=0.001)
    # A cache that is not there yet has failed nothing.
    assert not any(step.failed for step in bench.steps)


def test_a_source_is_told_with_its_real_fetch_not_with_its_lookup(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    fake_buildx.will(say=recorded("good"))

    bench.build(PLAIN)

    steps = {step.name: step for step in bench.steps}
    assert steps["[base 1/4] FROM docker.io/library/python:3.13.15-slim-trixie"].cached
    assert steps["[internal] load build context"].seconds == pytest.approx(0.0018, abs=0.0001)


def test_a_source_that_no_step_used_is_told_in_the_end(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    waiting: dict[str, object] = {"digest": "RUN", "name": "RUN", "inputs": ["FROM"]}
    fake_buildx.will(say=says(waiting, vertex("FROM"), vertex("other")))

    bench.build(PLAIN)

    assert bench.names == ["other", "FROM"]


def test_tells_which_steps_came_from_the_cache(bench: Bench, fake_buildx: FakeBuildx) -> None:
    fake_buildx.will(say=recorded("cached"))

    bench.build(PLAIN)

    cached = [step.name.split()[2] for step in bench.steps if step.cached]
    assert cached == ["RUN", "RUN", "COPY"]


def indented(lines: str) -> str:
    """As buildx printed before 0.14: one object over several lines."""
    return "".join(
        json.dumps(json.loads(line), indent=2) + "\n" if line.startswith("{") else line
        for line in lines.splitlines(keepends=True)
    )


@pytest.mark.parametrize("form", [str, indented], ids=["one on a line", "indented"])
def test_a_failing_step_is_told_with_its_line_and_log(
    bench: Bench, fake_buildx: FakeBuildx, workspace: Path, form: type[str]
) -> None:
    (workspace / "Dockerfile").write_text(BROKEN)
    fake_buildx.will(say=form(recorded("failing-run")), code=1)

    error = bench.fail(PLAIN)

    assert error.step == (
        '[3/3] RUN for i in 1 2 3; do echo "line $i"; done; echo no such module >&2; exit 3'
    )
    assert error.dockerfile_line == 4
    assert sorted(error.log) == ["line 1", "line 2", "line 3", "no such module"]
    assert error.detail.startswith("failed to build: failed to solve: executor failed running")
    assert error.detail.endswith("exit code: 3")
    assert [step.name for step in bench.steps if step.failed] == [error.step]


def test_the_step_that_failed_is_told_not_the_one_cancelled_with_it(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    fake_buildx.will(say=recorded("parallel"), code=1)

    assert bench.fail(PLAIN).step == "[b 2/2] RUN sleep 0.3; false"


def test_the_line_that_buildkit_names_wins(bench: Bench, fake_buildx: FakeBuildx) -> None:
    # Engines from 23 on add this; the recordings are from an older one.
    excerpt = """\
deploy/Dockerfile:12
--------------------
  11 |     
  12 | >>> RUN make \\
  13 | >>>     all
--------------------
"""  # noqa: W291
    fake_buildx.will(say=recorded("failing-run").replace("ERROR:", f"{excerpt}ERROR:"), code=1)

    assert bench.fail(PLAIN).dockerfile_line == 12


@pytest.mark.parametrize(
    ("recording", "step", "detail"),
    [
        (
            "push-refused",
            "pushing registry.example:5000/missing:one with docker",
            "failed to build: name unknown: repository name not known to registry: missing",
        ),
        ("unknown-target", None, "target stage nope could not be found"),
        (
            "syntax-line-unreachable",
            "resolve image config for docker.io/docker/dockerfile:1",
            "no such host",
        ),
        ("no-engine", None, "Cannot connect to the Docker daemon"),
    ],
)
def test_real_failures_are_told_in_their_own_words(
    bench: Bench, fake_buildx: FakeBuildx, recording: str, step: str | None, detail: str
) -> None:
    fake_buildx.will(say=recorded(recording), code=1)

    error = bench.fail(PLAIN)

    assert error.step == step
    assert error.dockerfile_line is None
    assert detail in error.detail
    assert hint(error.detail)


def vertex(name: str, *, error: str = "", ended: bool = True) -> dict[str, object]:
    moment = "2026-11-21T00:20:47.0Z"
    found: dict[str, object] = {"digest": name, "name": name, "started": moment}
    if ended:
        found["completed"] = moment
    return found | ({"error": error} if error else {})


def says(*vertexes: dict[str, object], log: bytes = b"", of: str = "") -> str:
    record: dict[str, object] = {"vertexes": list(vertexes)}
    if log:
        record["logs"] = [{"vertex": of, "data": base64.b64encode(log).decode()}]
    return json.dumps(record) + "\n"


def test_the_log_is_bounded_readable_and_without_secrets(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    log = "".join(f"line {number}\n" for number in range(100)).encode()
    log += b"10%\r50%\r100%\r\n\x1b[31mred\x1b[0m\x1b[2K and \x1b]0;title\x07\n\n"
    log += "bell\N{RIGHT-TO-LEFT OVERRIDE}\tend\n".encode() + b"\xff" + b"x" * 500 + b" tail\n"
    log += b"token is hunter22 and pass-word-of-ecr\n"
    fake_buildx.will(
        say=says(
            vertex("RUN cat hunter22", error="failed: hunter22"), log=log, of="RUN cat hunter22"
        )
        + "ERROR: failed: hunter22\n",
        code=1,
    )

    error = bench.fail(replace(PLAIN, secrets={"token": "hunter22\n"}))

    assert len(error.log) == 30
    assert error.log[-6:-2] == (
        "line 99",
        "100%",
        r"red and \x1b]0;title\x07",
        r"bell\u202e   end",
    )
    assert error.log[-2].startswith(r"�xxx")
    assert error.log[-2].endswith("xxx tail")
    assert len(error.log[-2]) <= 305
    assert error.log[-1] == "token is *** and ***"
    assert (error.step, error.detail) == ("RUN cat ***", "failed: ***")
    assert bench.names == ["RUN cat ***"]


def test_lines_that_are_no_records_do_not_disturb(bench: Bench, fake_buildx: FakeBuildx) -> None:
    noise = 'WARNING: odd\n{"half": \n{"vertexes": null}\n[1]\n'
    fake_buildx.will(say=noise + says(vertex("a")) + "ERROR: one\ntwo\n\n{\n  never closed", code=1)

    error = bench.fail(PLAIN)

    assert error.detail == "one\ntwo\n\n{\n  never closed"
    assert bench.names == ["a"]


def test_without_an_error_text_all_that_was_said_is_told(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    fake_buildx.will(say="something odd\n", code=7)
    assert bench.fail(PLAIN).detail == "buildx ended with exit code 7\nsomething odd"

    fake_buildx.will(code=-9)
    assert bench.fail(PLAIN).detail == "buildx ended with signal 9"


@pytest.mark.parametrize(
    "metadata",
    [
        pytest.param(None, id="no file"),
        pytest.param("not json", id="no JSON"),
        pytest.param("[]", id="no object"),
        pytest.param('{"containerimage.digest": "latest"}', id="no digest"),
    ],
)
def test_a_build_without_a_digest_is_no_success(
    bench: Bench, fake_buildx: FakeBuildx, metadata: str | None
) -> None:
    fake_buildx.will(metadata=metadata)

    assert bench.fail(PLAIN).detail.startswith("buildx succeeded but")


@pytest.mark.parametrize(
    ("step", "line"),
    [
        ("[base 2/3] RUN make", 3),
        ("[base 3/3] COPY a b", 6),
        ("[stage-1 2/4] WORKDIR /app", 11),
        ("[stage-1 3/4] RUN make", 13),
        ("[stage-1 3/4] COPY a b", None),
        ("[other 2/2] RUN make", None),
        ("exporting to image", None),
    ],
)
def test_counts_the_line_as_buildkit_numbers_steps(
    bench: Bench, fake_buildx: FakeBuildx, workspace: Path, step: str, line: int | None
) -> None:
    (workspace / "Dockerfile").write_text("""\
# comment
FROM python AS Base
RUN make \\
    # comment
    RUN all
COPY a b

FROM base
ARG A=1
ENV B=2
WORKDIR /app

run make
""")
    fake_buildx.will(say=says(vertex(step, error="broken")) + "ERROR: broken\n", code=1)

    assert bench.fail(PLAIN).dockerfile_line == line


# What the child gets


def test_asks_for_one_pushed_manifest(bench: Bench, fake_buildx: FakeBuildx) -> None:
    build = replace(
        PLAIN,
        dockerfile="app.txt",
        target="web",
        platform="linux/arm64",
        labels={"org.opencontainers.image.revision": "abc"},
        cache_from="registry.example:5000/web:latest",
    )

    bench.build(build)

    arguments = fake_buildx.seen["arguments"]
    workspace = bench.environ["GITHUB_WORKSPACE"]
    assert arguments[:4] == ["build", "--progress=rawjson", "--push", "--provenance=false"]
    assert arguments[-1] == workspace
    pairs = {name: arguments[arguments.index(name) + 1] for name in arguments[4:-1:2]}
    assert pairs.pop("--metadata-file").endswith("/metadata.json")
    assert pairs == {
        "--platform": "linux/arm64",
        "--tag": "registry.example:5000/web:one",
        "--file": f"{workspace}/app.txt",
        "--target": "web",
        "--label": "org.opencontainers.image.revision=abc",
        "--cache-from": "type=registry,ref=registry.example:5000/web:latest",
        "--cache-to": "type=inline",
    }


def test_values_travel_in_the_environment(bench: Bench, fake_buildx: FakeBuildx) -> None:
    build = replace(
        PLAIN,
        build_args={"VERSION": "1.2 final", "HOME": "/app", "http_proxy": "http://p", "EMPTY": ""},
        secrets={"token": "first\nsecond", 'odd,"id"': "third"},
    )

    bench.build(build)

    seen = fake_buildx.seen
    arguments = [value for name, value in pairs(seen["arguments"]) if name == "--build-arg"]
    secrets = [value for name, value in pairs(seen["arguments"]) if name == "--secret"]
    # HOME and http_proxy would steer buildx itself.
    assert arguments == ["VERSION", "HOME=/app", "http_proxy=http://p", "EMPTY"]
    assert secrets == [
        "id=token,env=DEPLOY_ACTION_SECRET_0",
        '"id=odd,""id""",env=DEPLOY_ACTION_SECRET_1',
    ]
    environment = seen["environment"]
    assert (environment["VERSION"], environment["EMPTY"]) == ("1.2 final", "")
    assert environment["DEPLOY_ACTION_SECRET_0"] == "first\nsecond"
    assert environment["DEPLOY_ACTION_SECRET_1"] == "third"
    assert "/app" not in environment["HOME"]
    assert "http_proxy" not in environment


def pairs(arguments: list[str]) -> Iterator[tuple[str, str]]:
    return pairwise(arguments)


def test_the_child_sees_nothing_that_a_build_does_not_need(
    bench: Bench, fake_buildx: FakeBuildx, temporary: Path
) -> None:
    handed_on = {
        "PATH": bench.environ["PATH"],
        "DOCKER_HOST": "unix:///var/run/docker.sock",
        "HTTPS_PROXY": "http://proxy:3128",
        "no_proxy": "internal",
        "SSL_CERT_FILE": "/ca.pem",
        "SOURCE_DATE_EPOCH": "1700000000",
    }
    withheld = {
        "AWS_SECRET_ACCESS_KEY": "x",
        "INPUT_BUILD-SECRETS": "x",
        "GITHUB_WORKSPACE": bench.environ["GITHUB_WORKSPACE"],
        "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "x",
        "DOCKER_CONFIG": "/github/home/.docker",
        "HOME": "/github/home",
        "HTTP_PROXY": "",
    }

    Bench({**handed_on, **withheld}).build(PLAIN)

    environment = fake_buildx.seen["environment"]
    # Python's own start adds this one where no locale is set.
    environment.pop("LC_CTYPE", None)
    home = environment["HOME"]
    assert Path(home).parent == temporary
    assert environment == handed_on | {
        "HOME": home,
        "TMPDIR": home,
        "DOCKER_CONFIG": f"{home}/docker",
        "BUILDX_NO_DEFAULT_ATTESTATIONS": "1",
        "BUILDX_METADATA_PROVENANCE": "disabled",
        "BUILDX_GIT_INFO": "false",
    }


def test_the_login_is_in_a_private_folder_that_does_not_stay(
    bench: Bench, fake_buildx: FakeBuildx, temporary: Path
) -> None:
    bench.build(PLAIN)

    seen = fake_buildx.seen
    auth = base64.b64encode(b"AWS:pass-word-of-ecr").decode()
    assert seen["login"] == {"auths": {"registry.example:5000": {"auth": auth}}}
    assert seen["modes"] == [0o700, 0o600]
    assert list(temporary.iterdir()) == []
    # Nothing that was handed to the child outside the file holds the password.
    assert "pass-word-of-ecr" not in json.dumps(seen["arguments"]) + json.dumps(seen["environment"])
    assert auth not in json.dumps(seen["arguments"]) + json.dumps(seen["environment"])


# How it ends early


def is_alive(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


class Cancelled(BaseException):
    """What a signal handler raises in the middle of things."""


@pytest.mark.parametrize("stubborn", [False, True], ids=["ends when asked", "has to be killed"])
def test_nothing_is_left_after_a_cancel(
    fake_buildx: FakeBuildx, bench: Bench, temporary: Path, *, stubborn: bool
) -> None:
    fake_buildx.will(say=says(vertex("a")), hang=True, stubborn=stubborn)

    def cancel(step: BuildStep) -> None:
        raise Cancelled(step.name)

    with pytest.raises(Cancelled):
        Buildx(bench.environ, grace_seconds=0.1).build_and_push(PLAIN, LOGIN, cancel)

    assert not is_alive(fake_buildx.seen["process"])
    assert list(temporary.iterdir()) == []


def test_a_child_that_says_nothing_is_stopped(
    bench: Bench, fake_buildx: FakeBuildx, temporary: Path
) -> None:
    bench.silence_limit_seconds = 0.3
    fake_buildx.will(say=says(vertex("a"), vertex("[2/2] RUN wait", ended=False)), hang=True)

    error = bench.fail(PLAIN)

    assert error.detail == "buildx said nothing for 0.005 minutes and was stopped"
    assert error.step == "[2/2] RUN wait"
    assert bench.names == ["a"]
    assert not is_alive(fake_buildx.seen["process"])
    assert list(temporary.iterdir()) == []


# What stops it before it starts


def test_finds_the_plugin_of_the_docker_cli(bench: Bench, fake_buildx: FakeBuildx) -> None:
    home = fake_buildx.folder.parent / "home"
    plugins = home / ".docker" / "cli-plugins"
    shutil.copytree(fake_buildx.folder, plugins)
    (plugins / "buildx").rename(plugins / "docker-buildx")

    assert Bench({**bench.environ, "PATH": "/nowhere", "HOME": str(home)}).build(PLAIN) == DIGEST


def test_says_when_there_is_no_buildx(bench: Bench) -> None:
    # Only a plugin installed for all users of this machine could be found now.
    if any(Path(folder, "docker-buildx").exists() for folder in PLUGIN_FOLDERS):
        pytest.skip("this machine has buildx for all users")

    error = Bench({**bench.environ, "PATH": "/nowhere"}).fail(PLAIN)

    assert "buildx was not found" in error.detail
    assert hint(error.detail)


PLUGIN_FOLDERS = [
    f"{start}/docker/cli-plugins"
    for start in ("/usr/local/lib", "/usr/local/libexec", "/usr/lib", "/usr/libexec")
]


def test_says_when_buildx_cannot_be_started(bench: Bench, fake_buildx: FakeBuildx) -> None:
    (fake_buildx.folder / "buildx").write_bytes(b"\x7fELF of another machine")

    assert bench.fail(PLAIN).detail.startswith("buildx could not be started: ")


def test_says_which_path_is_missing(bench: Bench) -> None:
    context = bench.fail(replace(PLAIN, context="srv"))
    dockerfile = bench.fail(replace(PLAIN, dockerfile="deploy/Dockerfile"))

    workspace = bench.environ["GITHUB_WORKSPACE"]
    assert context.detail == f"the build context 'srv' is not a folder in {workspace}"
    assert dockerfile.detail == f"the Dockerfile '{workspace}/deploy/Dockerfile' does not exist"
    assert "`context`" in (hint(context.detail) or "")
    assert "`dockerfile`" in (hint(dockerfile.detail) or "")


# What to do about it


@pytest.mark.parametrize(
    ("detail", "fix"),
    [
        ("Cannot connect to the Docker daemon at unix:///var/run/docker.sock.", "`image`"),
        ("permission denied while trying to connect to the Docker daemon socket", "`image`"),
        ('target stage "web" could not be found', "`target`"),
        ("write /layer.tar: no space left on device", "disk space"),
        ("tag invalid: The image tag 'a' already exists in the 'web' repository", "`image-tag`"),
        (
            'failed commit on ref "manifest-sha256:ab": unexpected status: 400 Bad Request',
            "`image-tag`",
        ),
        (
            "denied: User: someone is not authorized to perform: ecr:InitiateLayerUpload on",
            "Allow ecr:InitiateLayerUpload",
        ),
        ("name unknown: The repository with name 'web' does not exist", "`create-repository`"),
        ("429 Too Many Requests: toomanyrequests: You have reached your limit", "pull-through"),
        ("docker.io/docker/dockerfile:1: dial tcp: i/o timeout", "`# syntax=`"),
        ("denied: Your authorization token has expired. Reauthenticate", "again"),
        ("no basic auth credentials", "role"),
        ("unexpected status from HEAD request to https://r/v2/: 403 Forbidden", "role"),
        ("tls: failed to verify certificate: x509: unknown authority", "CA"),
        ("http: server gave HTTP response to HTTPS client", "insecure-registries"),
        ("python:9: failed to resolve source metadata for docker.io/library/python:9", "FROM"),
        ('Get "https://r.example/v2/": dial tcp: lookup r.example: no such host', "reach"),
        ("dockerfile parse error on line 3: unknown instruction: RUNN", "line"),
        ('failed to calculate checksum of ref x: "/a": not found', ".dockerignore"),
        ("secret token: not found", "`build-secrets`"),
        ("exec /bin/sh: exec format error", "`platform`"),
        ('process "/bin/sh -c make" did not complete successfully: exit code: 137', "memory"),
        ("buildx ended with signal 9", "memory"),
        ("buildx said nothing for 30 minutes and was stopped", "last step"),
    ],
)
def test_well_known_failures_have_a_fix(detail: str, fix: str) -> None:
    assert fix in (hint(detail) or "")


@pytest.mark.parametrize(
    "detail",
    [
        'process "/bin/sh -c echo no such host, 401" did not complete successfully: exit code: 1',
        "executor failed running [/bin/sh -c echo unauthorized]: exit code: 1",
        "something nobody has seen before",
    ],
)
def test_a_failure_that_is_not_known_has_none(detail: str) -> None:
    assert hint(detail) is None


# The real thing


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
    real.bench.build(replace(real.plan("cache"), cache_from=cache), real.login)
    assert f"importing cache manifest from {cache}" in real.bench.names
    assert "exporting cache" in real.bench.names

    again = replace(real.plan("again"), cache_from=cache)
    digest = real.bench.build(again, real.login)

    assert real.ecr.manifest("web", "again").headers["Docker-Content-Digest"] == digest


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
def test_an_unknown_stage_has_a_fix(real: Real) -> None:
    error = real.bench.fail(replace(real.plan("stage"), target="nope"), real.login)

    assert "nope" in error.detail
    assert "`target`" in (hint(error.detail) or "")


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
    assert "`image-tag`" in (hint(error.detail) or "")


@pytest.mark.docker
def test_a_repository_that_is_not_there_has_a_fix(real: Real) -> None:
    error = real.bench.fail(real.plan("one", "missing"), real.login)

    assert "`create-repository`" in (hint(error.detail) or "")


@pytest.mark.docker
def test_no_engine_has_a_fix(real: Real) -> None:
    bench = Bench({**real.bench.environ, "DOCKER_HOST": "unix:///nowhere.sock"})

    assert "Docker Engine" in (hint(bench.fail(real.plan("x"), real.login).detail) or "")


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
    assert "role" in (hint(wrong.detail) or ""), wrong.detail
    assert guarded.admitted == 0

    right = real.bench.fail(build, RegistryLogin(host=host, user="AWS", password="right-password"))
    assert guarded.admitted > 0
    assert "ecr:InitiateLayerUpload" in (hint(right.detail) or ""), right.detail


@pytest.mark.docker
def test_a_cancelled_build_stops(real: Real) -> None:
    real.write("FROM python:3.13.15-slim-trixie\nRUN echo started; sleep 600\n")

    def cancel(step: BuildStep) -> None:
        if "FROM" in step.name:
            raise Cancelled

    with pytest.raises(Cancelled):
        Buildx(real.bench.environ).build_and_push(real.plan("slow"), real.login, cancel)
