"""Ask the endpoint all the time that a release takes, and tell how much of that was answered.

The program waits in one place, its clock. So the clock of a release is one that
asks once in every second that is slept: no thread, and the same in simulated time.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import TYPE_CHECKING

from deploy_action.errors import Unhealthy
from deploy_action.health import Endpoint, Expectation, probe
from deploy_action.ports import Clock, Http
from deploy_action.report.journal import Availability
from deploy_action.situation import Situation
from deploy_action.trouble import Trouble

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

EVERY_SECONDS = 1.0
FAILURES_TOLD = 5


class Probing:
    """The measurement of one release; where none is asked for, nothing is."""

    def __init__(
        self, situation: Situation, percent: float | None, gateways: Gateways, journal: Journal
    ) -> None:
        self._percent = percent
        self._journal = journal
        self._was_well = situation.old_expectation is not None
        self._clock: ProbingClock | None = None
        self.gateways = gateways
        """With a clock that asks, where that is wanted."""
        if percent is not None and situation.endpoint and situation.expectation:
            # The old version answers too, and owes nothing of what the new one reports.
            owed = replace(situation.expectation, body=None, json=())
            self._clock = ProbingClock(gateways.clock, gateways.http, situation.endpoint, owed)
            self.gateways = replace(gateways, clock=self._clock)

    def judge(self, service: str) -> Trouble | None:
        """Tell what was measured; the trouble where it is less than was asked for."""
        if self._clock is None or self._percent is None:
            return None
        seen = self._clock.seen()
        self._journal.story.availability = seen
        self._journal.say(f"availability: {seen.sentence}")
        if seen.percent >= self._percent:
            return None
        if not self._was_well:
            self._journal.note(
                f"{seen.sentence} That is less than {self._percent:g} %, and does not count: "
                "the endpoint was not well before the release either."
            )
            return None
        return Trouble(
            end=Unhealthy,
            what=f"{service} lost requests while it was released.",
            why=f"{seen.sentence} `availability-percent` asks for {self._percent:g} %. "
            f"The first to fail: {'; '.join(seen.first_failures)}.",
            fix="Let old tasks go on answering until they are out of the load balancer: handle "
            "SIGTERM, and wait longer than its deregistration delay before the end. Let new "
            "ones be called healthy only when they can answer, and keep "
            "`minimum-healthy-percent` at 100.",
            is_known=True,
        )


@dataclass(slots=True)
class ProbingClock:
    """As `ports.Clock`; whoever sleeps by it asks the endpoint meanwhile."""

    clock: Clock
    http: Http
    endpoint: Endpoint
    expectation: Expectation
    _next: float = 0.0
    _requests: int = 0
    _failures: int = 0
    _first: list[str] = field(default_factory=list)
    _down_since: float | None = None
    _longest_gap: float = 0.0

    def monotonic(self) -> float:
        return self.clock.monotonic()

    def now(self) -> datetime:
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        until = self.clock.monotonic() + seconds
        while True:
            now = self.clock.monotonic()
            if now >= self._next:
                self._ask(now)
                now = self.clock.monotonic()
            if now >= until:
                return
            self.clock.sleep(max(min(until, self._next) - now, 0.0))

    def seen(self) -> Availability:
        """What was measured so far."""
        gap = self._longest_gap
        if self._down_since is not None:
            gap = max(gap, self.clock.monotonic() - self._down_since)
        good = self._requests - self._failures
        return Availability(
            url=self.endpoint.url,
            requests=self._requests,
            failures=self._failures,
            percent=100 * good / self._requests if self._requests else 100.0,
            longest_gap_seconds=round(gap, 1),
            first_failures=tuple(self._first),
        )

    def _ask(self, now: float) -> None:
        self._next = now + EVERY_SECONDS
        at = self.clock.now()
        problem = probe(self.http, self.endpoint, self.expectation).problem
        self._requests += 1
        if problem is None:
            if self._down_since is not None:
                gap = self.clock.monotonic() - self._down_since
                self._longest_gap = max(self._longest_gap, gap)
                self._down_since = None
            return
        self._failures += 1
        if self._down_since is None:
            self._down_since = now
        if len(self._first) < FAILURES_TOLD:
            self._first.append(f"{at:%H:%M:%S} UTC {problem}")
