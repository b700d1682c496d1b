"""What the build gateway tells of what buildx said: recordings, and records made up here."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from deploy_action.gateways.buildx_transcript import LOG_BYTES
from tests.gateways.builds import BROKEN, PLAIN, Bench, recorded, says, vertex
from tests.gateways.conftest import DIGEST, FakeBuildx


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
    assert error.fix


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


@pytest.mark.parametrize(
    ("log", "told"),
    [
        pytest.param(
            b"token is hunt\x1b[01;31mer22\x1b[0m\n", ("token is ***",), id="with a colour in it"
        ),
        pytest.param(
            b"hunter22" + b"x" * (LOG_BYTES - 8) + b"\nlast\n", ("last",), id="cut off in front"
        ),
        pytest.param(
            b"hunter22" + b"x" * (LOG_BYTES - 3),
            ("x" * 300,),
            id="cut off in the only line",
        ),
        pytest.param(b"x" * LOG_BYTES + b"hunter22", ("x" * 297 + "***",), id="at the very end"),
    ],
)
def test_no_part_of_a_secret_is_told(
    bench: Bench, fake_buildx: FakeBuildx, log: bytes, told: tuple[str, ...]
) -> None:
    fake_buildx.will(say=says(vertex("RUN", error="bad"), log=log, of="RUN"), code=1)

    error = bench.fail(replace(PLAIN, secrets={"token": "hunter22"}))

    assert error.log == told


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
