"""What the benchmark measured, as Markdown; and the place in the README it belongs into."""

import os
import platform
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from deploy_action import __version__
from deploy_action.inputs import Inputs
from dev import engine
from dev.commands import run
from dev.places import MINISTACK_ENVIRONMENT


@dataclass(frozen=True)
class Sample:
    """One deployment; `tail` is what the command took after ECS had reported completion."""

    rollout: float
    tail: float
    whole: float
    calls: Counter[str]
    first_line: float | None

    def __str__(self) -> str:
        first = "" if self.first_line is None else f", first line after {self.first_line:.2f} s"
        counted = ", ".join(f"{name} {count}" for name, count in self.calls.most_common())
        return (
            f"{self.whole:.1f} s, of which {self.tail:.1f} s after completion{first}; "
            f"{self.calls.total()} calls: {counted}"
        )


@dataclass(frozen=True)
class Again:
    """One run for a commit that is deployed already."""

    whole: float
    first_line: float
    post: float

    def __str__(self) -> str:
        return (
            f"{self.whole:.1f} s, first line after {self.first_line:.2f} s, "
            f"post step {self.post:.2f} s"
        )


@dataclass(frozen=True)
class Row:
    """One tool and its runs."""

    title: str
    samples: Sequence[Sample]


@dataclass(frozen=True)
class Made:
    """How the numbers came about."""

    runs: int
    seconds: float
    day: str


def render(
    rows: Sequence[Row], again: Sequence[Again], versions: Mapping[str, str], made: Made
) -> str:
    """The comparison, ours by itself, and how it was made. The first row is ours."""
    told = [_comparison(rows), _ours(rows[0], again), _made_by(rows, versions, made)]
    return "\n\n".join("\n".join(lines) for lines in told)


def _comparison(rows: Sequence[Row]) -> list[str]:
    ours = rows[0].samples
    lines = [
        "| | from completion to the end | | whole command | | API calls | |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for row in rows:
        cells = [
            *_compared([s.tail for s in row.samples], [s.tail for s in ours], "{:.1f} s"),
            *_compared([s.whole for s in row.samples], [s.whole for s in ours], "{:.1f} s"),
            *_compared(_calls(row.samples), _calls(ours), "{:.0f}"),
        ]
        lines.append(f"| {row.title} | {' | '.join(cells)} |")
    return lines


def _ours(row: Row, again: Sequence[Again]) -> list[str]:
    """What no other tool has: the aims of this one."""
    waiting = _waiting_for_probes()
    tails = [sample.tail - waiting for sample in row.samples]
    lines = [s.first_line for s in row.samples if s.first_line is not None]
    lines += [run.first_line for run in again]
    aims = [
        ("first line of the log, after the container started", _spread(lines, "{:.2f} s"), 0.8),
        (
            f"from completion to the end, without the {waiting:.0f} s between its probes",
            _spread(tails, "{:.1f} s"),
            2.5,
        ),
        (
            "the same commit again: nothing is built, verdict `unchanged`",
            _spread([run.whole for run in again], "{:.1f} s"),
            8,
        ),
    ]
    post = _spread([run.post for run in again], "{:.1f} s")
    table = ["| this action alone | measured | aim |", "| --- | ---: | ---: |"]
    table += [f"| {what} | {measured} | < {aim} s |" for what, measured, aim in aims]
    return [*table, f"| the post step at the end of the job, not in the times above | {post} | |"]


def _waiting_for_probes() -> float:
    """The first probe is asked at once, and the last one ends the waiting."""
    defaults = {name: field.default for name, field in Inputs.model_fields.items()}
    return float((defaults["health_successes"] - 1) * defaults["health_interval_seconds"])


def _made_by(rows: Sequence[Row], versions: Mapping[str, str], made: Made) -> list[str]:
    rollouts = [sample.rollout for row in rows for sample in row.samples]
    tools = ", ".join(f"{name} {version}" for name, version in versions.items())
    made_with = (
        f"Medians of {made.runs} runs in turns, smallest and largest in brackets, ratios to the"
        f" first row. Made by `make bench` in {made.seconds:.0f} s on {made.day} with this action"
        f" {__version__}, {tools}, MiniStack {_ministack_version()}, Docker Engine"
        f" {engine.version()} and Python {platform.python_version()} on {_machine()}."
    )
    meaning = (
        "Completion is when ECS first calls the new deployment `COMPLETED`, here"
        f" {_spread(rollouts, '{:.1f} s')} after the start of a command: a registry that is slower"
        " in every round sees to that. This action looks every 2 s, ecs-deploy every second and"
        " the waiter of awscli every 15 s; only this action also asks the service itself whether"
        " it is well."
    )
    return [made_with, "", meaning]


def _machine() -> str:
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return f"{os.cpu_count()} cores ({platform.machine()}), {memory:.0f} GiB"


def _ministack_version() -> str:
    code = "import importlib.metadata as m; print(m.version('ministack'))"
    return run(MINISTACK_ENVIRONMENT / "bin" / "python", "-c", code).strip()


def _calls(samples: Sequence[Sample]) -> list[float]:
    return [float(sample.calls.total()) for sample in samples]


def _compared(values: Sequence[float], ours: Sequence[float], form: str) -> tuple[str, str]:
    ratio = statistics.median(values) / statistics.median(ours)
    return _spread(values, form), f"{ratio:.2f}×"


def _spread(values: Sequence[float], form: str) -> str:
    middle, least, most = (
        form.format(value) for value in (statistics.median(values), min(values), max(values))
    )
    return middle if least == most else f"{middle} ({least.removesuffix(' s')}–{most})"
