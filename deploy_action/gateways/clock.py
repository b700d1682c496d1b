"""Real time. Nothing else in the program may read a clock or wait."""

from __future__ import annotations

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, as `ports.Clock`."""

    def monotonic(self) -> float:
        return time.monotonic()

    def now(self) -> datetime:
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        # A deadline that has just passed gives a negative wait, which time.sleep refuses.
        time.sleep(max(0.0, seconds))
