"""What a rule is, what it finds, and the one kind that most rules are: a text that says it.

A text of AWS is no contract, so a rule looks for a part of it and repeats the
raw text as its proof. Rules are pure and know nothing but the evidence.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Flag, IntEnum, auto
from functools import cached_property

from deploy_action.evidence import Evidence, describe_target
from deploy_action.model import Task
from deploy_action.rollout import describe_stop, failed_container, stop_text

PROOF_SHOWN = 400
PART_SHOWN = 160
"""Characters of a name that was taken out of a text."""
LEAD_SHOWN = 120
NOT_OURS = "scaling activity initiated by"
"""A stop that ECS wanted: scale-in, or a deployment that was replaced."""


class Rank(IntEnum):
    """How much a finding explains. The lower, the earlier it is told."""

    REFUSED = 5
    """The call itself was refused."""
    START = 10
    """A task could not start, and ECS says why."""
    NAMED = 12
    """A task ended, and a text names the cause."""
    ENDED = 15
    """A task ended; only how is known."""
    ALARMED = 18
    CAPACITY = 20
    """No task could be placed."""
    RUNNING = 23
    """The task runs, and its log names what it cannot do."""
    CHECKED = 25
    """The task runs, and a check finds it not well."""
    AROUND = 45
    """Somebody or something else ended it: nothing speaks against the revision."""
    OUTCOME = 60
    """What followed, not why."""
    PASSED = 80
    """It was like this for a moment, and is not any more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One cause, in words for people."""

    name: str
    """The same for the same cause, for programs that read the report."""
    cause: str
    proof: str
    """The raw line that shows it; may be written by the application, so never trusted."""
    fix: str
    row: int
    """Its row in the failure catalogue; 0 where nothing was recognised."""
    rank: Rank
    distance: int = 0
    """Lines from the end of the log: of two causes in a log, the later one counts."""


Rule = Callable[[Evidence], Finding | None]


class Where(Flag):
    """The parts of the evidence that a rule reads."""

    STOP = auto()
    EVENT = auto()
    TARGET = auto()
    LOG = auto()
    DEPLOYMENT = auto()
    REFUSAL = auto()
    PROBLEM = auto()


START = Where.STOP | Where.EVENT
"""Events repeat why a task could not start, where the task itself has gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """One raw text, and how it is shown as a proof."""

    raw: str
    shown: str
    where: Where
    task: Task | None = None
    distance: int = 0


def texts(evidence: Evidence, where: Where) -> Iterator[Text]:
    """The raw texts from there, those that are nearest to the failure first."""
    for part, read in READERS.items():
        if part in where:
            yield from read(evidence)


def _refusals(evidence: Evidence) -> Iterator[Text]:
    if error := evidence.refusal:
        raw = f"{error.action}: {error.code}: {error.message}"
        yield Text(raw=raw, shown=str(error), where=Where.REFUSAL)


def _stops(evidence: Evidence) -> Iterator[Text]:
    for task in reversed(own_stops(evidence)):
        shown = f"task {task.id}: {describe_stop(task)}"
        yield Text(raw=stop_text(task), shown=shown, where=Where.STOP, task=task)


def _log(evidence: Evidence) -> Iterator[Text]:
    for distance, line in enumerate(reversed(evidence.log_tail)):
        yield Text(raw=line, shown=line.strip(), where=Where.LOG, distance=distance)


def _targets(evidence: Evidence) -> Iterator[Text]:
    for target in evidence.targets:
        shown = describe_target(target)
        yield Text(raw=shown, shown=shown, where=Where.TARGET)


def _problem(evidence: Evidence) -> Iterator[Text]:
    if evidence.problem:
        yield Text(raw=evidence.problem, shown=evidence.problem, where=Where.PROBLEM)


def _events(evidence: Evidence) -> Iterator[Text]:
    for event in reversed(evidence.events):
        yield Text(raw=event, shown=f"event: {event}", where=Where.EVENT)


def _deployment(evidence: Evidence) -> Iterator[Text]:
    for reason in evidence.deployment:
        yield Text(raw=reason, shown=reason, where=Where.DEPLOYMENT)


READERS: Mapping[Where, Callable[[Evidence], Iterator[Text]]] = {
    Where.REFUSAL: _refusals,
    Where.STOP: _stops,
    Where.LOG: _log,
    Where.TARGET: _targets,
    Where.PROBLEM: _problem,
    Where.EVENT: _events,
    Where.DEPLOYMENT: _deployment,
}


def own_stops(evidence: Evidence) -> list[Task]:
    """Stopped tasks, without those that ECS wanted to stop."""
    return [task for task in evidence.stops if NOT_OURS not in task.stopped_reason.lower()]


@dataclass(frozen=True, kw_only=True)
class Says:
    """A rule: some text matches `pattern`.

    Named groups of the pattern stand in `cause` and `fix`, next to `container`,
    `execution_role` and `task_role`; `otherwise` has the words for groups that are empty.
    """

    name: str
    row: int
    where: Where
    pattern: str
    cause: str
    fix: str
    unless: str = ""
    rank: Rank = Rank.START
    otherwise: tuple[tuple[str, str], ...] = ()

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        return re.compile(self.pattern, re.IGNORECASE | re.DOTALL)

    def __call__(self, evidence: Evidence) -> Finding | None:
        for text in texts(evidence, self.where):
            found = self._pattern.search(text.raw)
            if found and not (self.unless and re.search(self.unless, text.raw, re.IGNORECASE)):
                return self._finding(evidence, text, found)
        return None

    def _finding(self, evidence: Evidence, text: Text, found: re.Match[str]) -> Finding:
        parts = words(evidence, text.task) | dict(self.otherwise)
        parts |= {k: shortened(v, PART_SHOWN) for k, v in found.groupdict().items() if v}
        cause = self.cause.format(**parts)
        return Finding(
            name=self.name,
            cause=cause[0].upper() + cause[1:],
            proof=proof(text.shown, found[0]),
            fix=self.fix.format(**parts),
            row=self.row,
            rank=self.rank,
            distance=text.distance,
        )


def words(evidence: Evidence, task: Task | None = None) -> dict[str, str]:
    """What every cause and fix may name."""
    container = failed_container(task) if task else evidence.log_container
    execution, own = evidence.execution_role, evidence.task_role
    return {
        "container": f"container {container!r}" if container else "the container",
        "execution_role": f"the execution role {short(execution)}"
        if execution
        else "the execution role of the task definition",
        "task_role": f"the task role {short(own)}" if own else "the task role",
    }


def short(arn: str) -> str:
    """`NAME` of a role's ARN."""
    return arn.rpartition("/")[2]


def shortened(text: str, limit: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= limit else flat[: limit - 1] + "…"


def proof(shown: str, matched: str) -> str:
    """The line; of a long one its beginning and the part that matters."""
    flat, part = " ".join(shown.split()), " ".join(matched.split())
    at = flat.find(part)
    if len(flat) <= PROOF_SHOWN or at < 0:
        return shortened(flat, PROOF_SHOWN)
    if at + len(part) <= PROOF_SHOWN:
        return shortened(flat, PROOF_SHOWN)
    start = max(LEAD_SHOWN, at - LEAD_SHOWN)
    return f"{flat[:LEAD_SHOWN]} … {shortened(flat[start:], PROOF_SHOWN - LEAD_SHOWN)}"
