"""The build gateway against a scripted buildx: what the child gets, and how it ends."""

from __future__ import annotations

import base64
import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import pytest

from deploy_action.gateways.buildx import Buildx
from deploy_action.ports import BuildError, BuildStep, Cache
from tests.gateways.builds import LOGIN, PLAIN, Bench, Cancelled, says, vertex
from tests.gateways.conftest import DIGEST, FakeBuildx

# What the child gets


def test_asks_for_one_pushed_manifest(bench: Bench, fake_buildx: FakeBuildx) -> None:
    build = replace(
        PLAIN,
        dockerfile="app.txt",
        target="web",
        platform="linux/arm64",
        labels={"org.opencontainers.image.revision": "abc"},
        cache=Cache(kind="inline", place="registry.example:5000/web:latest"),
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


CACHES = {
    "registry": (
        "type=registry,ref=registry.example:5000/web:buildcache",
        "mode=max,image-manifest=true,oci-mediatypes=true,ignore-error=true",
    ),
    "gha": ("type=gha,scope=registry.example:5000/web:buildcache", "mode=max,ignore-error=true"),
}


@pytest.mark.parametrize("kind", ["registry", "gha"])
def test_keeps_every_stage_in_a_cache(
    bench: Bench, fake_buildx: FakeBuildx, kind: Literal["registry", "gha"]
) -> None:
    cache = Cache(kind=kind, place="registry.example:5000/web:buildcache")

    bench.build(replace(PLAIN, cache=cache))

    given = dict(pairs(fake_buildx.seen["arguments"]))
    where, form = CACHES[kind]
    assert given["--cache-from"] == where
    assert given["--cache-to"] == f"{where},{form}"


GITHUB = {
    "ACTIONS_RUNTIME_TOKEN": "token-of-the-job",
    "ACTIONS_RESULTS_URL": "https://results.example/",
    "ACTIONS_CACHE_URL": "https://cache.example/",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "for the role",
}


def test_the_cache_of_github_gets_its_token_and_nothing_else_of_the_job(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    bench.environ = {**bench.environ, **GITHUB}

    bench.build(replace(PLAIN, cache=Cache(kind="gha", place="web")))

    seen = {k: v for k, v in fake_buildx.seen["environment"].items() if k.startswith("ACTIONS_")}
    assert seen.pop("ACTIONS_CACHE_SERVICE_V2") == "true"
    assert seen == {k: v for k, v in GITHUB.items() if k != "ACTIONS_ID_TOKEN_REQUEST_TOKEN"}


def test_a_server_without_the_new_service_is_asked_for_the_old_one(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    token = {"ACTIONS_RUNTIME_TOKEN": "token", "ACTIONS_CACHE_URL": "https://cache.example/"}
    bench.environ = {**bench.environ, **token}

    bench.build(replace(PLAIN, cache=Cache(kind="gha", place="web")))

    assert "ACTIONS_CACHE_SERVICE_V2" not in fake_buildx.seen["environment"]


def test_other_builds_get_no_token_of_the_job(bench: Bench, fake_buildx: FakeBuildx) -> None:
    bench.environ = {**bench.environ, **GITHUB}

    bench.build(PLAIN)

    assert not [name for name in fake_buildx.seen["environment"] if name.startswith("ACTIONS_")]


# A BuildKit container of its own


@pytest.mark.parametrize("says_no", [False, True], ids=["a good build", "a broken build"])
def test_an_own_builder_is_made_used_and_removed(
    bench: Bench, fake_buildx: FakeBuildx, *, says_no: bool
) -> None:
    fake_buildx.will(code=1 if says_no else 0, only="build")
    build = replace(PLAIN, in_own_builder=True)

    bench.fail(build) if says_no else bench.build(build)

    create, made, remove = fake_buildx.calls
    name = dict(pairs(create))["--name"]
    assert create == [
        *("create", "--name", name, "--driver", "docker-container", "--bootstrap"),
    ]
    assert made[0] == "build"
    assert dict(pairs(made))["--builder"] == name
    assert remove == ["rm", "--force", name]


def test_an_own_builder_reaches_a_registry_on_the_same_machine(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    bench.build(replace(PLAIN, in_own_builder=True), replace(LOGIN, host="127.0.0.1:5000"))

    assert dict(pairs(fake_buildx.calls[0]))["--driver-opt"] == "network=host"


def test_an_own_builder_that_cannot_be_made_is_said_with_the_way_around(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    fake_buildx.will(say="ERROR: toomanyrequests\n", code=1)

    error = bench.fail(replace(PLAIN, in_own_builder=True))

    assert [call[0] for call in fake_buildx.calls] == ["create", "rm"]
    assert "toomanyrequests" in error.detail
    assert "`cache: inline`" in (error.fix or "")


# Copies


def test_a_reference_is_resolved_with_the_login_of_its_registry(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    fake_buildx.will(say=json.dumps({"digest": DIGEST, "size": 3}, indent=2))

    found = bench.gateway().resolve("registry.example:5000/web:one", [LOGIN])

    assert found == DIGEST
    assert fake_buildx.seen["arguments"][:2] == ["imagetools", "inspect"]
    assert fake_buildx.seen["arguments"][-1] == "registry.example:5000/web:one"
    assert list(fake_buildx.seen["login"]["auths"]) == [LOGIN.host]


def test_an_image_is_copied_as_it_is_with_both_logins(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    logins = [LOGIN, replace(LOGIN, host="other.example")]

    bench.gateway().copy(f"other.example/web@{DIGEST}", "registry.example:5000/web:one", logins)

    seen = fake_buildx.seen
    assert seen["arguments"] == [
        *("imagetools", "create", "--progress=rawjson", "--prefer-index=false"),
        *("--tag", "registry.example:5000/web:one", f"other.example/web@{DIGEST}"),
    ]
    assert list(seen["login"]["auths"]) == [LOGIN.host, "other.example"]


def test_a_copy_that_fails_says_why_without_the_password(
    bench: Bench, fake_buildx: FakeBuildx
) -> None:
    fake_buildx.will(say=f"ERROR: denied for {LOGIN.password}\n", code=1)

    for ask in (
        lambda: bench.gateway().resolve("a.example/web:one", [LOGIN]),
        lambda: bench.gateway().copy("a.example/web:one", "b.example/web:one", [LOGIN]),
    ):
        with pytest.raises(BuildError) as caught:
            ask()
        assert caught.value.detail == "denied for ***"


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
    assert error.fix


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
    assert "`context`" in (context.fix or "")
    assert "`dockerfile`" in (dockerfile.fix or "")
