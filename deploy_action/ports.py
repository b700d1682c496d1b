"""What the program needs from outside and a test must replace without AWS.

AWS itself has no port: the gateways take real boto3 clients, and the tests put
a simulator behind those clients. Nothing here knows how a promise is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import Literal, Protocol, TypeVar

T = TypeVar("T")
K = TypeVar("K")

Batch = Callable[[Sequence[K]], Mapping[K, T | Exception]]
"""One question about many things: an answer or an error for each."""


class Clock(Protocol):
    """The only source of time and the only way to wait."""

    def monotonic(self) -> float:
        """Seconds that never run backwards; only differences mean anything."""

    def now(self) -> datetime:
        """The wall clock, aware, in UTC. Compared with the timestamps of AWS."""

    def sleep(self, seconds: float) -> None:
        """Return after `seconds`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What an endpoint said to one GET. Redirects are not followed."""

    status: int
    body: str
    """Decoded as UTF-8 with replacement, cut at 64 KiB."""
    headers: Mapping[str, str]
    """Names in lower case."""


class Silence(Enum):
    """Why an endpoint gave no answer at all."""

    DNS = "dns"
    REFUSED = "refused"
    TIMEOUT = "timeout"
    TLS = "tls"
    BROKEN = "broken"


class NoAnswer(Exception):
    """The endpoint gave no HTTP answer; `detail` is the text of the lower layer."""

    def __init__(self, silence: Silence, detail: str) -> None:
        super().__init__(f"{silence.value}: {detail}")
        self.silence = silence
        self.detail = detail


class Http(Protocol):
    """One HTTP request, without retries."""

    def get(self, url: str, *, headers: Mapping[str, str], timeout_seconds: float) -> Answer:
        """Raise NoAnswer where there is no HTTP answer to look at."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryLogin:
    """A user and a short-lived password for one registry host."""

    host: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cache:
    """Where the steps of a build are kept for the next one."""

    kind: Literal["inline", "registry", "gha"]
    place: str
    """Reference of the image that holds them; for `gha` the scope, one for each repository."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Build:
    """Everything one image build depends on."""

    context: str
    """Folder, relative to the workspace or absolute."""
    dockerfile: str | None
    """Path, relative to the workspace or absolute; None is `Dockerfile` in the context."""
    target: str | None
    platform: str
    """`linux/amd64` or `linux/arm64`."""
    tag: str
    """Full reference that is pushed: `host/repository:tag`."""
    build_args: Mapping[str, str]
    secrets: Mapping[str, str] = field(repr=False)
    """Secret id to value. Values reach BuildKit as secret mounts only."""
    labels: Mapping[str, str]
    cache: Cache | None
    """None for no cache import and export."""
    in_own_builder: bool = False
    """In a BuildKit container of its own, for what the one inside the engine cannot do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildStep:
    """One finished step of a build."""

    name: str
    """As BuildKit names it, for example `[2/4] RUN pip install -r requirements.txt`."""
    seconds: float
    cached: bool
    failed: bool = False


class BuildError(Exception):
    """The build or the push failed.

    `step` is the failing step where BuildKit named one, `dockerfile_line` the
    1-based line it stands on where known, `log` the last lines that step printed,
    `fix` the sentence that tells a user what to change where the failure is well known.
    """

    def __init__(
        self,
        detail: str,
        *,
        step: str | None = None,
        dockerfile_line: int | None = None,
        log: tuple[str, ...] = (),
        fix: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.step = step
        self.dockerfile_line = dockerfile_line
        self.log = log
        self.fix = fix


class Builder(Protocol):
    """Builds an image and pushes it, or copies one from registry to registry."""

    def build_and_push(
        self, build: Build, login: RegistryLogin, on_step: Callable[[BuildStep], None]
    ) -> str:
        """Return the digest (`sha256:…`) of the pushed manifest; raise BuildError.

        `on_step` is called once for every step, when it ends.
        """

    def resolve(self, reference: str, logins: Sequence[RegistryLogin]) -> str:
        """The digest that the reference means now; raise BuildError. Needs no engine."""

    def copy(self, source: str, target: str, logins: Sequence[RegistryLogin]) -> None:
        """Let `target` (`host/repository:tag`) be `source` (`host/repository@digest`).

        Byte for byte, an index with all that is in it, and without an engine. Raise BuildError.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineInfo:
    """What the Docker Engine says of itself."""

    version: str
    platform: str
    """`linux/amd64` or `linux/arm64`."""
    containerd_store: bool


class NoEngine(Exception):
    """No Docker Engine answers; the message is the text of the lower layer."""


class Engine(Protocol):
    """The Docker Engine, for everything that is not a build."""

    def info(self) -> EngineInfo:
        """Raise NoEngine where none answers."""

    def own_container(self) -> str:
        """Id of the container that this process lives in; empty outside of one."""

    def stop_container(self, container: str) -> bool:
        """Kill the container with this id; whether it was still there. Raise NoEngine."""

    def has_image(self, reference: str) -> bool:
        """Whether it holds an image of this name. Raise NoEngine."""

    def forget_image(self, reference: str) -> None:
        """Take the name off its image, which goes with its last name. Raise NoEngine."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """A short message to people."""

    title: str
    body: str
    is_good: bool


class Notices(Protocol):
    """Sends short messages, to URLs that are secrets."""

    def send(
        self, urls: Sequence[str], notice: Notice, *, timeout_seconds: float
    ) -> list[str | None]:
        """For each URL why it was not sent, without its secrets; None where it was.

        Raise nothing, and take no longer than `timeout_seconds`.
        """


class NoNotices:
    """A world in which nobody can be told anything."""

    def send(
        self, urls: Sequence[str], notice: Notice, *, timeout_seconds: float
    ) -> list[str | None]:
        """As `Notices`."""
        del notice, timeout_seconds
        return ["there is no way to send it" for _ in urls]


class Concurrently(Protocol):
    """Makes calls that do not depend on each other."""

    def __call__(self, calls: Sequence[Callable[[], T]]) -> list[T]:
        """The results in the order of the calls; what one of them raises is raised."""


class Ask(Protocol):
    """Asks about one thing, perhaps together with others who ask alike."""

    def __call__(self, batch: Batch[K, T], key: K) -> T:
        """The answer for `key`; raise its error."""


def in_turn(calls: Sequence[Callable[[], T]]) -> list[T]:
    """One after the other, for a world with one thread."""
    return [call() for call in calls]
