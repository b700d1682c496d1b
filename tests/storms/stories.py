"""The stories that are told again under every fault, and how one case is played."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.scenarios.stage import GOOD
from tests.simulator import Behaviour, Quirks, World
from tests.storms.facts import images
from tests.storms.invariants import GOOD_ENDS, check
from tests.storms.strikes import STRIKES, Strike
from tests.storms.trial import CANARIES, QUICK, Trial

QUICK_INPUTS = {"rollout_timeout_minutes": "2", "health_timeout_seconds": "8"}
CRASHING = Behaviour(
    crash_exit_code=1,
    crash_after_seconds=1.0,
    crash_log_lines=(f"cannot reach {CANARIES['environment value']}", "exiting"),
)
WRONG = Behaviour(json={"status": "ok", "version": "another"})
BY_NAME = {strike.name: strike for strike in STRIKES}


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """A release as it goes when nothing is wrong with AWS."""

    name: str
    verdict: str
    behaviour: Behaviour = GOOD
    service: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    is_second: bool = False
    """Whether the same commit was deployed before by a run of its own."""
    operation: str = "deploy"
    """Whatever is not a deploy finds the new version deployed, by whomever."""
    is_spoilt: bool = False
    """Whether the image that is started again crashes by now."""
    quirks: Quirks | None = None
    may_be_unknown: bool = False
    """Whether it can be over before anybody looks."""

    def begin(self, folder: Path, name: str, *, stale: bool = False) -> Trial:
        """The world just before the run that is to be struck."""
        trial = Trial(
            folder,
            World(timings=QUICK, quirks=self.quirks, snapshots=stale, validated=False),
            name=name,
            behaviour=self.behaviour,
            inputs=QUICK_INPUTS | dict(self.inputs),
            **self.service,
        )
        if self.is_second:
            trial.main()
        if self.operation != "deploy":
            trial.operation = self.operation
            trial.world.deploy("web", trial.world.image("web", tag="new", behaviour=GOOD))
            trial.settle()
        if self.is_spoilt:
            restarts = self.operation == "restart"
            goal = trial.world.primary("web").task_definition if restarts else trial.before
            (digest,) = images(trial, goal)
            trial.world.set_behaviour(digest, CRASHING)
        return trial


TRIPS_AT_ONCE = {"thresholdConfiguration": {"type": "COUNT", "value": 1}}
STORIES = {
    story.name: story
    for story in (
        Story(name="good", verdict="deployed"),
        Story(name="crash", verdict="rolled-back", behaviour=CRASHING),
        Story(name="wrong", verdict="unhealthy", behaviour=WRONG),
        Story(name="again", verdict="unchanged", is_second=True),
        Story(name="rollback", verdict="deployed", operation="rollback"),
        Story(name="restart", verdict="restarted", operation="restart"),
    )
}
"""What is told under every fault at every call."""
VARIANTS = {
    story.name: story
    for story in (
        Story(
            name="breaker",
            verdict="rolled-back",
            behaviour=CRASHING,
            service={"breaker": "rollback", "breaker_settings": TRIPS_AT_ONCE},
        ),
        Story(
            name="breaker-revives",
            verdict="rolled-back",
            behaviour=CRASHING,
            service={"breaker": "rollback", "breaker_settings": TRIPS_AT_ONCE},
            quirks=Quirks(rollback_reuses_deployment=True, failed_deployment_status="DRAINING"),
            may_be_unknown=True,
        ),
        Story(
            name="breaker-stops",
            verdict="rolled-back",
            behaviour=CRASHING,
            service={"breaker": "no-rollback", "breaker_settings": TRIPS_AT_ONCE},
        ),
        Story(
            name="crash-late-record",
            verdict="rolled-back",
            behaviour=CRASHING,
            quirks=Quirks(service_deployment_visible_after=40.0, superseded_status="SUCCESSFUL"),
        ),
        Story(
            name="wrong-late-record",
            verdict="unhealthy",
            behaviour=WRONG,
            quirks=Quirks(service_deployment_visible_after=10.0, draining_counts=False),
        ),
        Story(
            name="worker",
            verdict="deployed",
            service={"load_balanced": False},
        ),
        Story(name="many", verdict="deployed", service={"desired": 3, "maximum_percent": 150}),
        Story(
            name="rollback-crash",
            verdict="rolled-back",
            operation="rollback",
            is_spoilt=True,
        ),
        Story(
            name="restart-crash",
            verdict="failed",
            operation="restart",
            is_spoilt=True,
        ),
    )
}
"""What is told under the faults that matter most: other settings, other open questions of AWS."""
ALL = STORIES | VARIANTS


@cache
def calls_of(story: str) -> tuple[str, ...]:
    """The calls of the story when nothing goes wrong."""
    with scratch() as folder:
        trial = ALL[story].begin(folder, story)
        run = trial.main()
        assert run.verdict == ALL[story].verdict, (run.verdict, run.outcome.log)
        trial.settle()
        check(trial, f"the story {story!r} without any fault")
        return tuple(trial.world.history.calls[n].name for n in run.calls)


def run_case(story: str, index: int, strike: str) -> Trial:
    """Play one case and judge it; the way to look at a case that failed."""
    with scratch() as folder:
        return _play(ALL[story], index, BY_NAME[strike], folder)


def _play(story: Story, index: int, strike: Strike, folder: Path) -> Trial:
    name = calls_of(story.name)[index]
    title = f"story {story.name!r}, call {index} ({name}): {strike.name}"
    trial = story.begin(folder, title, stale=strike.is_stale)
    first = len(trial.world.history.calls)
    trial.fault(strike.rule(trial, first + index, name))
    if strike.is_passing:
        trial.expected = {story.verdict, *(["unknown"] if story.may_be_unknown else [])}
    trial.struck_run = len(trial.runs)
    trial.may_build_twice = strike.name in {"newest image deleted", "hollow", "bare"}
    run = trial.main()
    trial.calm()
    if run.is_cut_off and not strike.skips_post:
        trial.post()
        trial.settle()
    if run.code is None:
        # A rollback that was killed on its way to a revision that fails is followed by one that
        # finds the last good revision, which is where the first began.
        is_open = story.operation == "rollback" and story.is_spoilt
        trial.ends_well = None if is_open else story.verdict in GOOD_ENDS
        trial.main()
    trial.settle()
    check(trial, one_liner(story.name, index, strike.name))
    return trial


def one_liner(story: str, index: int, strike: str) -> str:
    return f'.venv/bin/python -m dev.storm case {story} {index} "{strike}"'


def cases(story: str, strike: Strike) -> list[int]:
    """The calls of the story at which this strike is a case of its own.

    Until the service is updated nothing can tell a bad image from a good one, so that part
    is told once.
    """
    calls = calls_of(story)
    told = calls.index("ecs:UpdateService") if ALL[story].behaviour is not GOOD else 0
    return [n for n, name in enumerate(calls) if n >= told and strike.fits(name)]


@contextmanager
def scratch() -> Iterator[Path]:
    """A workspace in memory, where the system has that; its name is always the same."""
    with TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else None) as folder:
        workspace = Path(folder) / "workspace"
        workspace.mkdir()
        yield workspace
