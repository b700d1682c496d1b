"""What a build is asked for, and when two builds are the same."""

from __future__ import annotations

from pathlib import Path

import pytest

from deploy_action.build import fingerprint
from tests.unit.builders import SHA, read

ARM = "linux/arm64"
AMD = "linux/amd64"


@pytest.fixture
def dockerfile(tmp_path: Path) -> Path:
    path = tmp_path / "Dockerfile"
    path.write_text("FROM scratch\n")
    return path


def test_the_same_inputs_have_the_same_fingerprint(dockerfile: Path) -> None:
    given = {"build_args": "A=1\nB=2", "target": "release"}
    other_order = {"target": "release", "build_args": "B=2\nA=1"}

    first = fingerprint(read(**given), SHA, AMD, dockerfile)

    assert first == fingerprint(read(**other_order), SHA, AMD, dockerfile)
    assert len(first) == 64


@pytest.mark.parametrize(
    "given",
    [
        {"context": "app"},
        {"target": "release"},
        {"build_args": "A=1"},
        {"build_secrets": "TOKEN=abc"},
    ],
    ids=["context", "target", "build argument", "name of a secret"],
)
def test_the_fingerprint_changes_with_the(given: dict[str, str], dockerfile: Path) -> None:
    plain = fingerprint(read(), SHA, AMD, dockerfile)

    assert fingerprint(read(**given), SHA, AMD, dockerfile) != plain


def test_the_fingerprint_changes_with_commit_platform_and_dockerfile(dockerfile: Path) -> None:
    prints = [
        fingerprint(read(), SHA, AMD, dockerfile),
        fingerprint(read(), SHA[::-1], AMD, dockerfile),
        fingerprint(read(), SHA, ARM, dockerfile),
    ]
    dockerfile.write_text("FROM scratch\nUSER 1000\n")
    prints.append(fingerprint(read(), SHA, AMD, dockerfile))

    assert len(set(prints)) == 4


def test_the_fingerprint_tells_a_changed_value_of_an_argument(dockerfile: Path) -> None:
    one = fingerprint(read(build_args="A=1"), SHA, AMD, dockerfile)

    assert one != fingerprint(read(build_args="A=2"), SHA, AMD, dockerfile)


def test_the_value_of_a_secret_leaves_no_trace_in_the_fingerprint(dockerfile: Path) -> None:
    one = fingerprint(read(build_secrets="TOKEN=one"), SHA, AMD, dockerfile)

    assert one == fingerprint(read(build_secrets="TOKEN=two"), SHA, AMD, dockerfile)


def test_what_does_not_go_into_an_image_does_not_change_the_fingerprint(dockerfile: Path) -> None:
    plain = fingerprint(read(), SHA, AMD, dockerfile)

    for given in ({"latest_tag": "stable"}, {"health_path": "/"}, {"cache": "none"}):
        assert fingerprint(read(**given), SHA, AMD, dockerfile) == plain


def test_a_dockerfile_that_is_not_utf8_has_a_fingerprint(dockerfile: Path) -> None:
    dockerfile.write_bytes(b"# caf\xe9\nFROM scratch\n")

    assert fingerprint(read(), SHA, AMD, dockerfile)
