"""The only waiting loop: look, tell what changed, stop when it is decided."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from deploy_action.ports import Clock
from deploy_action.report.journal import Journal

T = TypeVar("T")

SOON_SECONDS = 1.0
EAGER_SECONDS = 2.0
CALM_SECONDS = 5.0
EAGER_FOR_SECONDS = 120.0
"""Most of what can be learnt early is learnt in the first two minutes (crash on start: 50 s)."""
REMIND_AFTER_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Look(Generic[T]):
    """One look: what it showed, in one line, and the end, if this is one."""

    line: str
    end: T | None
    soon: bool = False
    """Whether the end is near enough to look more often for it."""


def watch(
    look: Callable[[], Look[T]],
    *,
    clock: Clock,
    journal: Journal,
    limit_seconds: float,
    every_seconds: float | None = None,
) -> T | None:
    """The end that `look` came to, or None when the limit was reached first.

    Without `every_seconds` the pace is eager at first and calm later. The limit
    is checked after a look, so the last moment is always looked at.
    """
    started = clock.monotonic()
    said, said_at = "", started
    while True:
        seen = look()
        now = clock.monotonic()
        elapsed = now - started
        if seen.line and seen.line != said:
            journal.progress(elapsed, seen.line)
            said, said_at = seen.line, now
        elif now - said_at >= REMIND_AFTER_SECONDS:
            journal.progress(elapsed, f"still {said or 'waiting'}")
            said_at = now
        if seen.end is not None:
            return seen.end
        left = limit_seconds - elapsed
        if left <= 0:
            return None
        pace = EAGER_SECONDS if elapsed < EAGER_FOR_SECONDS else CALM_SECONDS
        pace = SOON_SECONDS if seen.soon else pace
        clock.sleep(min(every_seconds or pace, left))
