"""The simulated Http port: load balancers, presigned layer URLs, and hosts the test declares."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from urllib.parse import urlsplit

from deploy_action.ports import Answer, NoAnswer, Silence

from .access import demand, on_repository
from .calls import SimulatedError
from .core import Core
from .ecr import layer_host
from .ecs_records import Container, Task
from .state import Listener, LoadBalancer, Rule, TargetGroup
from .targets import find
from .task_life import fill

_CONNECT_SECONDS = 0.02
_DETAILS = {
    Silence.DNS: "Name or service not known",
    Silence.REFUSED: "Connection refused",
    Silence.TIMEOUT: "timed out",
    Silence.TLS: "certificate verify failed",
    Silence.BROKEN: "Remote end closed connection without response",
}
_MAX_BODY = 64 * 1024


@dataclass(frozen=True, slots=True)
class _Page:
    status: int
    body: str
    headers: Mapping[str, str]
    seconds: float = 0.0


class SimulatedHttp:
    """Answers a GET as the simulated internet would at this moment."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.silences: dict[str, Silence] = {}
        """Host to the way in which it does not answer."""
        self.pages: dict[str, Answer | Callable[[], Answer]] = {}
        """URLs that answer something of their own, wherever their host points to."""
        self.aliases: dict[str, str] = {}
        """Domain name to load balancer host; an alias has a valid certificate."""

    def get(self, url: str, *, headers: Mapping[str, str], timeout_seconds: float) -> Answer:
        found: list[Answer] = []

        def effect(_state: object) -> dict[str, object]:
            found.append(self._get(url, headers, timeout_seconds))
            return {}

        self._core.calls.perform(
            "http",
            "get",
            {"url": url, "headers": dict(headers), "timeout_seconds": timeout_seconds},
            effect,
            region="-",
            is_read=False,
            latency=_CONNECT_SECONDS,
        )
        return found[0]

    def _get(self, url: str, headers: Mapping[str, str], timeout_seconds: float) -> Answer:
        parts = urlsplit(url)
        host = parts.hostname or ""
        if host in self.silences:
            raise self._silence(self.silences[host], timeout_seconds)
        mapped = self.pages.get(url)
        if mapped is not None:
            return mapped() if callable(mapped) else mapped
        if host == self._core.state.registry:
            return _answer(self._blob(parts.path, headers))
        if host == layer_host(self._core.state):
            return _answer(self._layer(parts.path))
        balancer = self._balancer(self.aliases.get(host, host))
        if balancer is None:
            raise self._silence(Silence.DNS, timeout_seconds)
        page = self._balanced(
            balancer, parts.scheme, host, parts.port, parts.path or "/", timeout_seconds
        )
        self._core.clock.advance(min(page.seconds, timeout_seconds))
        if page.seconds > timeout_seconds:
            raise NoAnswer(Silence.TIMEOUT, _DETAILS[Silence.TIMEOUT])
        return _answer(page)

    def _silence(self, silence: Silence, timeout_seconds: float) -> NoAnswer:
        if silence is Silence.TIMEOUT:
            self._core.clock.advance(timeout_seconds)
        return NoAnswer(silence, _DETAILS[silence])

    def _blob(self, path: str, headers: Mapping[str, str]) -> _Page:
        """The registry's own API: with a password it leads to the presigned layer address."""
        scheme, _, token = headers.get("Authorization", "").partition(" ")
        password = base64.b64decode(token).decode().partition(":")[2]
        if scheme != "Basic" or password not in self._core.state.registry_passwords:
            return _Page(401, "Not Authorized", {})
        name, _, digest = path.removeprefix("/v2/").partition("/blobs/")
        try:
            state = self._core.state
            demand(state, on_repository(state, "ecr:GetDownloadUrlForLayer", name))
        except SimulatedError as error:
            return _Page(403, error.message, {})
        if digest not in self._core.state.repositories[name].blobs:
            return _Page(404, "", {})
        location = f"https://{layer_host(self._core.state)}/{name}/{digest}"
        return _Page(307, "", {"location": location})

    def _layer(self, path: str) -> _Page:
        name, _, digest = path.strip("/").rpartition("/")
        blob = self._core.state.repositories[name].blobs[digest]
        return _Page(200, blob.decode(), {"content-type": "application/octet-stream"})

    def _balancer(self, host: str) -> LoadBalancer | None:
        balancers = self._core.state.load_balancers.values()
        return next((each for each in balancers if each.host == host), None)

    def _balanced(
        self,
        balancer: LoadBalancer,
        scheme: str,
        host: str,
        port: int | None,
        path: str,
        timeout_seconds: float,
    ) -> _Page:
        number = port or {"http": 80, "https": 443}[scheme]
        listener = next(
            (
                each
                for each in self._core.state.listeners.values()
                if each.load_balancer == balancer.arn and each.port == number
            ),
            None,
        )
        if listener is None or balancer.scheme == "internal":
            raise self._silence(Silence.TIMEOUT, timeout_seconds)
        if (listener.protocol == "HTTPS") != (scheme == "https"):
            raise self._silence(Silence.BROKEN, timeout_seconds)
        if scheme == "https" and host == balancer.host:
            raise NoAnswer(Silence.TLS, "certificate verify failed: Hostname mismatch")
        return self._obey(_rule(listener, host, path), path)

    def _obey(self, rule: Rule, path: str) -> _Page:
        action = rule.actions[-1]
        match action["Type"]:
            case "redirect":
                return _Page(301, "", {"location": "https://" + action["RedirectConfig"]["Host"]})
            case "fixed-response":
                config = action["FixedResponseConfig"]
                return _Page(int(config["StatusCode"]), config.get("MessageBody", ""), {})
            case _:
                return self._forward(self._core.state.target_groups[action["TargetGroupArn"]], path)

    def _forward(self, group: TargetGroup, path: str) -> _Page:
        healthy = [each for each in group.targets.values() if each.state == "healthy"]
        if not healthy:
            return _Page(503, "<h1>503 Service Temporarily Unavailable</h1>", {})
        group.turn += 1
        target = healthy[group.turn % len(healthy)]
        task = self._core.state.tasks[target.task]
        container = find(task, target.container)
        if container is None or container.status != "RUNNING":
            return _Page(502, "<h1>502 Bad Gateway</h1>", {})
        return self._serve(task, container, path)

    def _serve(self, task: Task, container: Container, path: str) -> _Page:
        behaviour = self._core.behaviour(task, container)
        if not behaviour.listens:
            return _Page(502, "<h1>502 Bad Gateway</h1>", {})
        kind, body = "text/plain; charset=utf-8", behaviour.body
        if behaviour.json is not None:
            kind, body = "application/json", json.dumps(behaviour.json)
        status, body = (behaviour.paths or {}).get(path, (behaviour.health_status, body))
        text = fill(self._core, task, container, body)
        return _Page(status, text, {"content-type": kind}, behaviour.response_seconds)


def _rule(listener: Listener, host: str, path: str) -> Rule:
    """The first rule that fits; the default rule stands last and fits always."""
    return next(
        rule
        for rule in listener.rules
        if (not rule.hosts or any(fnmatchcase(host, each) for each in rule.hosts))
        and (not rule.paths or any(fnmatchcase(path, each) for each in rule.paths))
    )


def _answer(page: _Page) -> Answer:
    return Answer(status=page.status, body=page.body[:_MAX_BODY], headers=dict(page.headers))
