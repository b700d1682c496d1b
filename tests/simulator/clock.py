"""Simulated time: it stands still until someone sleeps, and then the world moves with it."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

START = datetime(2026, 11, 20, 9, 0, tzinfo=UTC)
"""When every simulation begins; fixed, so that histories can be compared."""


class SimClock:
    """The Clock port, and the agenda of everything that is going to happen."""

    def __init__(self, *, limit_seconds: float) -> None:
        self._elapsed = 0.0
        self._limit = limit_seconds
        self._order = itertools.count()
        self._agenda: list[tuple[float, int, Callable[[], None]]] = []
        self.sleeps: list[float] = []
        """Every sleep asked for by the program under test, botocore's retries included."""

    def monotonic(self) -> float:
        return self._elapsed

    def now(self) -> datetime:
        return START + timedelta(seconds=self._elapsed)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.advance(seconds)

    def schedule(self, seconds: float, action: Callable[[], None]) -> None:
        """Run `action` in `seconds` from now; equal instants keep the order of scheduling."""
        due = self._elapsed + max(0.0, seconds)
        heapq.heappush(self._agenda, (due, next(self._order), action))

    def advance(self, seconds: float) -> None:
        """Let time pass. Safe to call from a scheduled action, which then takes that long."""
        if seconds < 0:
            raise AssertionError(f"somebody slept {seconds} s")
        target = self._elapsed + seconds
        if target > self._limit:
            raise AssertionError(f"simulated time passed {self._limit} s: an endless wait?")
        while self._agenda and self._agenda[0][0] <= target:
            due, _, action = heapq.heappop(self._agenda)
            self._elapsed = max(self._elapsed, due)
            action()
        self._elapsed = max(self._elapsed, target)
