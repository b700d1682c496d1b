"""The CloudWatch alarms that must not fire while a release goes on.

Those that the service itself names in `deploymentConfiguration.alarms` are ECS's
business; these are the step's own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError, Blocked, RolledBack
from deploy_action.gateways.cloudwatch import Alarm
from deploy_action.trouble import Trouble

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

EVERY_SECONDS = 30.0
"""An alarm looks at its metric once a minute, or every ten seconds at best."""
FRESH_SECONDS = 2.0
"""Several services of a step come here one after the other."""
FIRING, NO_DATA = "ALARM", "INSUFFICIENT_DATA"


@dataclass(frozen=True, slots=True)
class Fired:
    """Alarms that are in ALARM; `reason` says which and why."""

    reason: str

    def trouble(self, service: str) -> Trouble:
        """What that means for a release of this service."""
        return Trouble(
            end=RolledBack,
            what=f"An alarm fired while {service} was released.",
            why=self.reason,
            fix="Look at the metric of the alarm since the release, and correct what it shows.",
            is_known=True,
        )


class AlarmWatch:
    """Asks for the named alarms at a calm pace, for all services of a step; without names never."""

    def __init__(self, names: Sequence[str], gateways: Gateways, journal: Journal) -> None:
        self._names = names
        self._gateways = gateways
        self._journal = journal
        self._asked_at = -math.inf
        self._states: dict[str, str] = {}
        self._fired: Fired | None = None
        self._unread = ""

    def check_before(self) -> None:
        """Raise Blocked where one fires already, before the release can be blamed for it."""
        if fired := self.fired(now=True):
            raise Blocked(
                "The release was not started: an alarm that must not fire already does.",
                why=fired.reason,
                fix="Let it recover, or run the workflow without it in `alarms` if this release "
                "is what heals it.",
            )

    def fired(self, *, now: bool = False) -> Fired | None:
        """What fires, as far as it was asked lately; `now` means within the last moment."""
        clock = self._gateways.clock.monotonic()
        age = FRESH_SECONDS if now else EVERY_SECONDS
        if self._names and clock - self._asked_at >= age:
            self._asked_at = clock
            self._ask()
        return self._fired

    @property
    def sentence(self) -> str:
        """What became of them, for the report; empty without any."""
        if not self._names:
            return ""
        if self._unread:
            return f"The alarms could not be read at the end, so they prove nothing: {self._unread}"
        blind = [name for name, state in self._states.items() if state == NO_DATA]
        quiet = f"{_listed(self._names)} did not fire."
        return f"{quiet} {_listed(blind)} had no data (INSUFFICIENT_DATA)." if blind else quiet

    def _ask(self) -> None:
        try:
            found = self._gateways.cloudwatch.alarms(self._names)
        except AwsError as error:
            if not self._unread:
                self._journal.say(f"the alarms could not be read ({error}); asking again")
            self._unread = f"{error}"
            return
        self._unread = ""
        for name in self._names:
            state = found[name].state if name in found else "gone"
            if state != self._states.setdefault(name, state):
                self._journal.say(f"alarm {name}: {self._states[name]} → {state}")
            self._states[name] = state
        firing = [alarm for alarm in found.values() if alarm.state == FIRING]
        self._fired = Fired(" ".join(map(describe, firing))) if firing else None


def describe(alarm: Alarm) -> str:
    """One sentence of an alarm that fires, with the words of CloudWatch."""
    said = " ".join(alarm.reason.split()).rstrip(".")
    return f"The alarm {alarm.name!r} is in ALARM" + (f": {said}." if said else ".")


def _listed(names: Sequence[str]) -> str:
    kind = "The alarm" if len(names) == 1 else "The alarms"
    return f"{kind} {', '.join(names)}"
