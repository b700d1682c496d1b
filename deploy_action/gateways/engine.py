"""The Docker Engine, for what is not a build: what it is, containers, and images."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import docker
import requests
from docker.errors import DockerException

from deploy_action.ports import EngineInfo, NoEngine

# The engine sits on a local socket: one that needs longer than this is not usable.
ANSWER_WITHIN_SECONDS = 10

_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}
_CONTAINERD_STORE = "io.containerd.snapshotter.v1"
# The engine mounts these from its folder for the container, whatever the network. The
# name of the host does not help: on the host's own network it is the host's.
_MOUNTED_BY_THE_ENGINE = re.compile(
    r"/containers/([0-9a-f]{64})/(?:hostname|hosts|resolv\.conf) /etc/"
)


class DockerEngine:
    """The engine behind DOCKER_HOST or the default socket, as `ports.Engine`.

    Nothing is opened before the first question: a run that builds nothing
    works on a machine without an engine.
    """

    def __init__(
        self, environ: Mapping[str, str], mounts: Path = Path("/proc/self/mountinfo")
    ) -> None:
        self._environ = dict(environ)
        self._mounts = mounts

    def info(self) -> EngineInfo:
        with self._client() as client:
            answer: dict[str, Any] = client.info()
        return _translated(answer)

    def own_container(self) -> str:
        try:
            mounts = self._mounts.read_text(encoding="utf-8", errors="replace")
        except OSError:
            # No Linux, or no /proc: then there is no container either.
            return ""
        found = _MOUNTED_BY_THE_ENGINE.search(mounts)
        return found[1] if found else ""

    def stop_container(self, container: str) -> bool:
        with self._client() as client:
            try:
                client.containers.get(container).kill()
            except docker.errors.NotFound:
                return False
            except docker.errors.APIError as error:
                # It ended between the question and the answer.
                if error.status_code == HTTPStatus.CONFLICT:
                    return False
                raise
        return True

    def has_image(self, reference: str) -> bool:
        with self._client() as client:
            try:
                client.images.get(reference)
            except docker.errors.ImageNotFound:
                return False
        return True

    def forget_image(self, reference: str) -> None:
        with self._client() as client, suppress(docker.errors.ImageNotFound):
            # What builds take from the cache is not kept by the image.
            client.images.remove(reference)

    @contextmanager
    def _client(self) -> Iterator[docker.DockerClient]:
        """A connection for one question; whatever goes wrong on it is NoEngine."""
        try:
            client = self._connect()
            try:
                yield client
            finally:
                client.close()
        except (DockerException, requests.RequestException, OSError, ValueError) as error:
            raise NoEngine(str(error)) from error

    def _connect(self) -> docker.DockerClient:
        # No CLI context: a build has none either (its Docker configuration is
        # temporary), and both must speak to the same engine.
        return docker.from_env(
            version="auto",
            timeout=ANSWER_WITHIN_SECONDS,
            use_context=False,
            # Never empty: docker-py reads the process environment instead of an empty one.
            environment={"DOCKER_HOST": "", **self._environ},
        )


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
