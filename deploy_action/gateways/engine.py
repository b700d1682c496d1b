"""What the Docker Engine says of itself. It builds and runs nothing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import docker
import requests
from docker.errors import DockerException

from deploy_action.ports import EngineInfo, NoEngine

# The engine sits on a local socket: one that needs longer than this is not usable.
ANSWER_WITHIN_SECONDS = 10

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CONTAINERD_STORE = "io.containerd.snapshotter.v1"


class DockerEngine:
    """The engine behind DOCKER_HOST or the default socket, as `ports.Engine`.

    Nothing is opened before the first question: a run that builds nothing
    works on a machine without an engine.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = dict(environ)

    def info(self) -> EngineInfo:
        try:
            answer = self._ask()
        except (DockerException, requests.RequestException, OSError, ValueError) as error:
            raise NoEngine(str(error)) from error
        return _translated(answer)

    def _ask(self) -> dict[str, Any]:
        # No CLI context: a build has none either (its Docker configuration is
        # temporary), and both must speak to the same engine.
        client = docker.from_env(
            version="auto",
            timeout=ANSWER_WITHIN_SECONDS,
            use_context=False,
            # Never empty: docker-py reads the process environment instead of an empty one.
            environment={"DOCKER_HOST": "", **self._environ},
        )
        try:
            answer: dict[str, Any] = client.info()
        finally:
            client.close()
        return answer


def _translated(answer: Mapping[str, Any]) -> EngineInfo:
    architecture = str(answer.get("Architecture", ""))
    system = str(answer.get("OSType", "linux"))
    return EngineInfo(
        version=str(answer.get("ServerVersion", "")),
        platform=f"{system}/{_ARCHITECTURES.get(architecture, architecture)}",
        containerd_store=any(
            _CONTAINERD_STORE in pair for pair in answer.get("DriverStatus") or ()
        ),
    )
