"""How an image behaves once ECS starts it: declared by the test, obeyed by every part."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class OneOff:
    """How the image behaves when RunTask starts it with a command of its own."""

    seconds: float = 5.0
    exit_code: int = 0
    log_lines: tuple[str, ...] = ()
    """Written one after the other, spread over its seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Behaviour:
    """A well-behaved web application, unless a field says otherwise.

    `body`, `json` and `log_lines` may hold `{digest}`, `{label:NAME}` and `{env:NAME}`,
    which are filled in from the container that answers.
    """

    start_seconds: float = 2.0
    """From RUNNING until it listens and passes its health checks."""
    listens: bool = True
    health_status: int = 200
    body: str = "ok"
    json: Any = None
    """Served instead of `body` when set."""
    paths: Mapping[str, tuple[int, str]] | None = None
    """Status and body of single paths that differ from the rest."""
    response_seconds: float = 0.02
    container_health: bool = True
    """What its container health check says, where the task definition has one."""
    log_lines: tuple[str, ...] = ()
    """Written when it starts."""

    crash_exit_code: int | None = None
    crash_after_seconds: float = 3.0
    oom: bool = False
    """Crash as killed for its memory use."""
    crash_log_lines: tuple[str, ...] = ()

    ignores_sigterm: bool = False
    stop_seconds: float = 1.0
    sigterm_exit_code: int = 0

    pull_error: str | None = None
    """Text after `CannotPullContainerError: `."""
    pull_error_seconds: float = 115.0
    """ECS retries a pull for minutes before it gives up."""
    init_error: str | None = None
    """Text after `ResourceInitializationError: `."""
    init_error_seconds: float = 15.0
    start_error: str | None = None
    """Whole reason, for example `CannotStartContainerError: …`."""
    start_exit_code: int | None = None

    one_off: OneOff = OneOff()
    later: tuple[tuple[float, Behaviour], ...] = ()
    """From so many seconds after its start it behaves like another image; ascending."""

    def at(self, seconds_since_start: float) -> Behaviour:
        """The behaviour that applies so long after the start."""
        now = self
        for since, behaviour in self.later:
            if seconds_since_start >= since:
                now = behaviour
        return now
