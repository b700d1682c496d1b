"""What happened so far: told in the log as it happens, kept for the summary and the report."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol

from deploy_action.errors import ActionError
from deploy_action.model import Run
from deploy_action.ports import BuildStep, Clock
from deploy_action.report.console import Console
from deploy_action.report.redact import Redactor

TENTHS_BELOW, MINUTES_FROM = 10, 100
FREE_TEXT = {"failure_cause", "url"}
"""Outputs that may repeat what somebody else wrote."""
LINES_REPEATED = 12
"""Of a failed phase, so that a reader need not unfold its group."""


class Runner(Protocol):
    """The files through which a step talks to the runner."""

    def set_output(self, name: str, value: str) -> None: ...

    def save_state(self, name: str, value: str) -> None: ...

    def append_summary(self, markdown: str) -> None: ...

    def write_report(self, name: str, text: str) -> str:
        """Return the path as later steps see it."""


@dataclass(slots=True, kw_only=True)
class Facts:
    """The outputs of the step, each under its own name with hyphens. Empty until known."""

    verdict: str = ""
    image: str = ""
    image_digest: str = ""
    image_uri: str = ""
    task_definition_arn: str = ""
    previous_task_definition_arn: str = ""
    deployment_id: str = ""
    service_deployment_arn: str = ""
    rolled_back: str = "false"
    url: str = ""
    failure_cause: str = ""
    duration_seconds: str = ""
    report: str = ""


@dataclass(slots=True, kw_only=True)
class Phase:
    """One phase of the run, as it went."""

    number: int
    title: str
    result: str = ""
    seconds: float = 0.0
    failed: bool = False
    lines: list[str] = field(default_factory=list, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Checked:
    """One line of a check before the release: what it found, and what to do about it."""

    name: str
    mark: str
    """`✓` passed, `✗` refused, `!` warned, `–` skipped."""
    text: str
    fix: str = ""

    @property
    def is_refusal(self) -> bool:
        """Then the end of the run tells the fix."""
        return self.mark == "✗"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One cause of a failure, as it is told."""

    name: str
    row: int
    cause: str
    proof: str
    fix: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Availability:
    """How the endpoint answered while the release went on."""

    url: str
    requests: int
    failures: int
    percent: float
    longest_gap_seconds: float
    """From the first of several failures to the next good answer."""
    first_failures: tuple[str, ...]
    """When, and what was wrong."""

    @property
    def sentence(self) -> str:
        """All of it in words."""
        if not self.requests:
            return f"No request was made to {self.url} while the release went on."
        good = self.requests - self.failures
        gap = f", the longest gap was {self.longest_gap_seconds:g} s" if self.failures else ""
        return (
            f"While the release went on, {self.url} answered {good} of {self.requests} requests "
            f"well ({shown_percent(self.percent)}){gap}."
        )


@dataclass(slots=True, kw_only=True)
class Story:
    """Everything the summary and the JSON report are made of."""

    service: str
    cluster: str
    run: Run
    ending: str = ""
    """In one word, where the run ended without a verdict or after it: cancelled, bug."""
    region: str = ""
    account: str = ""
    facts: Facts = field(default_factory=Facts)
    phases: list[Phase] = field(default_factory=list)
    checks: list[Checked] = field(default_factory=list)
    build_steps: list[BuildStep] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    """Lines: how the new task definition differs from the one that ran."""
    log_groups: list[str] = field(default_factory=list)
    """Where the containers log to."""
    alarms: list[str] = field(default_factory=list)
    """Names of those that were watched."""
    verification: list[str] = field(default_factory=list)
    """Sentences: what was verified, and what was not."""
    availability: Availability | None = None
    notes: list[str] = field(default_factory=list)
    """Warnings that the user should read although nothing failed."""
    rollback: str = ""
    """Sentence: how the service was put back, if it was."""
    what: str = ""
    why: str = ""
    fix: str = ""
    findings: list[Found] = field(default_factory=list)
    """Why it failed, best first; the first one is already in `why` and `fix`."""
    evidence: list[str] = field(default_factory=list)
    log_tail: list[str] = field(default_factory=list)
    """Last lines of the failed container."""
    services: list[Story] = field(default_factory=list)
    """The story of each, where the step has several services."""


class Journal:
    """The one place that knows what was already said and found."""

    def __init__(
        self, console: Console, redact: Redactor, clock: Clock, runner: Runner, story: Story
    ) -> None:
        self.console = console
        self.redact = redact
        self.story = story
        self._clock = clock
        self._runner = runner
        self._started = clock.monotonic()
        self._open: Phase | None = None
        self.kept: dict[str, str] = {}
        """What the post step is going to find."""

    def record(self, **facts: str) -> None:
        """Keep facts and write them as outputs at once: a cancelled run has them too."""
        for name, value in facts.items():
            setattr(self.story.facts, name, value)
            # The others are names that AWS gave or words of ours: hiding can only break them.
            said = self.redact(value) if name in FREE_TEXT else value
            self._runner.set_output(name.replace("_", "-"), said)

    def save_state(self, name: str, value: str) -> None:
        """Keep a value for the post step."""
        self.kept[name] = value
        self._runner.save_state(name, value)

    @contextmanager
    def phase(self, title: str) -> Iterator[Phase]:
        """A numbered, timed group of the log. On failure its last lines stand outside the fold."""
        phase = Phase(number=len(self.story.phases) + 1, title=title)
        self.story.phases.append(phase)
        outer, self._open = self._open, phase
        started = self._clock.monotonic()
        self.console.open_group(f"{phase.number} {title}")
        try:
            yield phase
        except BaseException:
            phase.failed = True
            raise
        finally:
            phase.seconds = self._clock.monotonic() - started
            self._open = outer
            self.console.close_group()
            mark = "✗" if phase.failed else "✓"
            result = "did not succeed" if phase.failed else phase.result
            self.console.line(f"{mark} {phase.number} {title}: {result} ({span(phase.seconds)})")
            if phase.failed:
                for line in phase.lines[-LINES_REPEATED:]:
                    self.console.line(f"  {line}")

    def say(self, text: str) -> None:
        """A line of the log, inside the open phase."""
        if self._open:
            self._open.lines.append(text)
        self.console.line(text)

    def progress(self, seconds: float, text: str) -> None:
        """What was seen after so many seconds of waiting."""
        if self._open:
            self._open.lines.append(f"{span(seconds):>9}  {text}")
        self.console.progress(span(seconds), text)

    def check(self, checked: Checked, width: int = 0) -> None:
        """What a check found, with its name in a column of this width."""
        self.story.checks.append(checked)
        if self.console.is_brief and checked.mark not in "✗!":
            return
        fix = f" Fix: {checked.fix}" if checked.fix and not checked.is_refusal else ""
        self.say(f"{checked.mark} {checked.name:{width}}  {checked.text}{fix}")

    def foreign(self, title: str, lines: Iterable[str]) -> None:
        """Output of another program, under a title of ours."""
        self.console.line(title)
        self.console.foreign(lines)

    def note(self, text: str) -> None:
        """Something that did not fail and yet wants attention."""
        self.story.notes.append(text)
        self.console.warning(text)

    def hide(self, *values: str) -> None:
        """Treat these values as secrets, here and in the runner."""
        self.redact.hide(values)
        for value in values:
            self.console.mask(value)

    def succeed(self, verdict: str, sentence: str) -> None:
        """The good end."""
        self.story.what = sentence
        self.conclude(verdict)
        self.console.line()
        self.console.line(f"{verdict}: {sentence}")
        for text in self.story.verification:
            self.console.line(f"  {text}")

    def fail(self, error: ActionError) -> None:
        """The bad end: one annotation, the whole story in the log."""
        self.story.what, self.story.why, self.story.fix = error.what, error.why, error.fix
        self.story.evidence = list(error.evidence)
        self.record(failure_cause=" ".join(error.why.split()))
        self.conclude(error.verdict)
        self.console.line()
        self.console.line(f"{error.verdict}: {error.what}")
        self.console.line(_indented("Why:   ", error.why))
        self.console.line(_indented("Fix:   ", error.fix))
        for found in self.story.findings[1:]:
            self.console.line(f"Also:  {found.cause} ({found.proof})")
        if error.evidence:
            self.foreign("Proof:", error.evidence)
        if self.story.log_tail:
            self.foreign("Last lines of the container:", self.story.log_tail)
        self.console.error(error.verdict, f"{error.what} {error.why}\nFix: {error.fix}")

    def finish(self, render: Callable[[], str]) -> None:
        """Write the report and the summary; `render` sees the facts as they are in the end."""
        seconds = self._clock.monotonic() - self._started
        self.record(duration_seconds=f"{seconds:.1f}")
        document = self.redact.tree(self.document())
        text = json.dumps(document, indent=2, ensure_ascii=False) + "\n"
        self.record(report=self._runner.write_report(self.story.service, text))
        self._runner.append_summary(self.redact(render()))

    def conclude(self, verdict: str) -> None:
        """From here on the verdict stands: a run that is cut off later leaves nothing to undo."""
        self.record(verdict=verdict)
        self.save_state("verdict", verdict)

    @property
    def seconds(self) -> float:
        """Seconds since the step began."""
        return self._clock.monotonic() - self._started

    def document(self) -> dict[str, Any]:
        """The report as a JSON value."""
        document = _document(dataclasses.asdict(self.story))
        document["services"] = [_document(each) for each in document["services"]]
        return document


def _document(story: dict[str, Any]) -> dict[str, Any]:
    for phase in story["phases"]:
        del phase["lines"]
    return {**story.pop("facts"), **story}


def shown_percent(percent: float) -> str:
    """Rounded down, so that nothing looks better than it was: `99.99 %`."""
    return f"{int(percent * 100) / 100:g} %"


def span(seconds: float) -> str:
    """`0.4 s`, `48 s`, `3 min 05 s`."""
    if seconds < TENTHS_BELOW:
        return f"{seconds:.1f} s"
    if seconds < MINUTES_FROM:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"


def _indented(label: str, text: str) -> str:
    return label + text.replace("\n", "\n" + " " * len(label))
