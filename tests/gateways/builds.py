"""What the tests of the build gateway share: builds, logins, and what buildx says."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy_action.gateways.buildx import Buildx
from deploy_action.ports import Build, BuildError, BuildStep, RegistryLogin

DATA = Path(__file__).parent / "data"
"""What buildx 0.29.1 printed against engine 20.10.24, with most `statuses` records left out."""

LOGIN = RegistryLogin(host="registry.example:5000", user="AWS", password="pass-word-of-ecr")
PLAIN = Build(
    context=".",
    dockerfile=None,
    target=None,
    platform="linux/amd64",
    tag="registry.example:5000/web:one",
    build_args={},
    secrets={},
    labels={},
    cache=None,
)

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


@dataclass
class Bench:
    """One gateway on one workspace, and the steps it told of."""

    environ: Mapping[str, str]
    steps: list[BuildStep] = field(default_factory=list)
    tags: list[str] = field(default_factory=list)
    silence_limit_seconds: float = 20
    grace_seconds: float = 5

    def gateway(self) -> Buildx:
        return Buildx(
            self.environ,
            silence_limit_seconds=self.silence_limit_seconds,
            grace_seconds=self.grace_seconds,
        )

    def build(self, build: Build, login: RegistryLogin = LOGIN) -> str:
        self.tags.append(build.tag)
        return self.gateway().build_and_push(build, login, self.steps.append)

    def fail(self, build: Build, login: RegistryLogin = LOGIN) -> BuildError:
        with pytest.raises(BuildError) as caught:
            self.build(build, login)
        return caught.value

    @property
    def names(self) -> list[str]:
        return [step.name for step in self.steps]


class Cancelled(BaseException):
    """What a signal handler raises in the middle of things."""


def recorded(name: str) -> str:
    return (DATA / f"{name}.txt").read_text("utf-8")


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
