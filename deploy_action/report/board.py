"""What the services of one step have come to: a journal for each, one log, one set of outputs."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TextIO

from deploy_action.ports import Clock
from deploy_action.report.console import Console
from deploy_action.report.journal import Journal, Story, span
from deploy_action.report.redact import Redactor

ROWS = 10
"""Services whose states are all shown when one of them changes; of more, those that changed."""
TABLE_EVERY_SECONDS = 5.0
REMIND_AFTER_SECONDS = 60.0
OF_THE_STEP = {"verdict", "failure-cause", "duration-seconds", "report", "rolled-back"}
"""Outputs that are not a list of what each service has."""


@dataclass(slots=True)
class _Row:
    line: str = "waiting"
    is_new: bool = True


class Board:
    """Makes the journals of the services, and puts together what they say."""

    def __init__(self, journal: Journal, names: Sequence[str], clock: Clock) -> None:
        self._journal = journal
        self._clock = clock
        self._rows = {name: _Row() for name in names}
        self._outputs: dict[str, dict[str, str]] = {}
        self._intents: dict[str, str] = {}
        self._told_at = clock.monotonic()
        self.stories = {
            name: Story(service=name, cluster=journal.story.cluster, run=journal.story.run)
            for name in names
        }

    def journal_of(self, name: str, stream: TextIO) -> Journal:
        """The journal of one service: its lines begin with its name."""
        story = self.stories[name]
        story.region, story.account = self._journal.story.region, self._journal.story.account
        width = max(map(len, self._rows))
        console = _ServiceConsole(stream, self._journal.redact, self, name, width)
        runner = _ServiceRunner(self, name)
        return Journal(console, self._journal.redact, self._clock, runner, story)

    # ---- from the journals ----

    def progress(self, name: str, line: str) -> None:
        row = self._rows[name]
        row.is_new = row.is_new or row.line != line
        row.line = line

    def output(self, name: str, key: str, value: str) -> None:
        """One line for each service, in their order; only one where all have the same."""
        if key in OF_THE_STEP:
            if key == "rolled-back" and value == "true":
                self._journal.record(rolled_back=value)
            return
        values = self._outputs.setdefault(key, {})
        values[name] = value
        lines = [values.get(each, "") for each in self._rows]
        text = lines[0] if len(set(lines)) == 1 else "\n".join(lines)
        self._journal.record(**{key.replace("-", "_"): text})

    def state(self, name: str, key: str, value: str) -> None:
        """What the post step needs: the intents of those that came to no verdict."""
        if key == "intent":
            self._intents[name] = value
        elif key == "verdict":
            self._intents.pop(name, None)
        else:
            self._journal.save_state(key, value)
            return
        self._journal.save_state("intent", f"[{','.join(self._intents.values())}]")

    # ---- the table ----

    def tell_states(self) -> None:
        """The table of states, where one of them changed."""
        since = self._clock.monotonic() - self._told_at
        is_new = any(row.is_new for row in self._rows.values())
        if since < (TABLE_EVERY_SECONDS if is_new else REMIND_AFTER_SECONDS):
            return
        self._told_at = self._clock.monotonic()
        width = max(map(len, self._rows))
        shown = {n: r for n, r in self._rows.items() if r.is_new or len(self._rows) <= ROWS}
        self._journal.console.line(f"{span(self._journal.seconds):>9}  the services of this step")
        for name, row in shown.items():
            self._journal.console.line(f"{'':9}  {name:{width}}  {row.line}")
            row.is_new = False
        if rest := len(self._rows) - len(shown):
            self._journal.console.line(f"{'':9}  {rest} others as before")


class _ServiceConsole(Console):
    """The log of the step, where one of its services says something."""

    def __init__(
        self, stream: TextIO, redact: Redactor, board: Board, name: str, width: int
    ) -> None:
        super().__init__(stream, redact)
        self.is_brief = True
        self._board = board
        self._name = name
        self._prefix = f"{name:{width}} | "

    def line(self, text: str = "") -> None:
        if text:
            super().line("\n".join(self._prefix + part for part in text.split("\n")))

    def progress(self, elapsed: str, text: str) -> None:
        del elapsed
        self._board.progress(self._name, text)

    def foreign(self, lines: Iterable[str]) -> None:
        super().foreign(self._prefix + part for line in lines for part in line.split("\n"))

    def open_group(self, title: str) -> None:
        """The groups of several services would lie inside one another."""
        self._board.progress(self._name, title.partition(" ")[2])

    def close_group(self) -> None:
        pass

    def warning(self, text: str) -> None:
        super().warning(f"{self._name}: {text}")

    def error(self, title: str, text: str) -> None:
        """The step has one annotation, with the end of all."""


@dataclass(frozen=True, slots=True)
class _ServiceRunner:
    """What one service would tell the runner goes to the board."""

    board: Board
    name: str

    def set_output(self, name: str, value: str) -> None:
        self.board.output(self.name, name, value)

    def save_state(self, name: str, value: str) -> None:
        self.board.state(self.name, name, value)

    def append_summary(self, markdown: str) -> None:
        """The summary of the step is made of the stories."""

    def write_report(self, name: str, text: str) -> str:
        """As is its report."""
        del name, text
        return ""
