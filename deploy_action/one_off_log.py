"""Show what a one-off task writes, while it does."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy_action import task_definition
from deploy_action.errors import AwsError, Refusal
from deploy_action.evidence import LOG_LINE
from deploy_action.model import Definition

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

LATE_LOOKS, LATE_SECONDS = 3, 2.0
"""The last lines reach CloudWatch some seconds after the end of the container."""
PAGES_A_LOOK = 20
"""A command that writes faster than it is read must not hold up the look at its task."""


class Log:
    """The log of one container, shown from its beginning."""

    def __init__(
        self, definition: Definition, container: str, gateways: Gateways, journal: Journal
    ) -> None:
        self._place = task_definition.log_destination(definition.body, container)
        self._hidden = task_definition.hidden_log(
            definition.body, container, gateways.identity.region
        )
        self._container = container
        self._logs = gateways.logs
        self._clock = gateways.clock
        self._journal = journal
        self._stream = ""
        self._token = ""

    def announce(self, task_id: str) -> None:
        """Say where the log is, or why it will not be seen."""
        if self._hidden or self._place is None:
            self._journal.say(f"what it writes cannot be shown: {self._hidden}")
            return
        self._stream = f"{self._place[1]}/{self._container}/{task_id}"
        self._journal.say(f"log {self._place[0]}, stream {self._stream}")

    def show(self) -> bool:
        """Whether there was something new to show."""
        if not self._stream or self._place is None:
            return False
        shown = False
        try:
            for _ in range(PAGES_A_LOOK):
                messages, self._token = self._logs.after(self._place[0], self._stream, self._token)
                lines = [line[:LOG_LINE] for text in messages for line in text.splitlines()]
                self._journal.console.foreign(lines)
                if not messages:
                    break
                shown = True
        except AwsError as error:
            self._unread(error)
        return shown

    def show_late(self) -> None:
        """The lines that are still on their way when the container has ended."""
        for _ in range(LATE_LOOKS):
            if not self._stream:
                return
            self._clock.sleep(LATE_SECONDS)
            if not self.show():
                return

    def _unread(self, error: AwsError) -> None:
        # The stream is made with its first line. A busy or lost moment passes.
        if error.refusal in {Refusal.DENIED, Refusal.CREDENTIALS, Refusal.UNSUPPORTED}:
            self._journal.say(f"what it writes cannot be shown: {error}")
            self._stream = ""
