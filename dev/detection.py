"""When a failure is known: this action against the official action's published algorithm.

Usage:
    python -m dev.detection            print the table
    python -m dev.detection --update   write it into the README as well

Both release into the same simulated account. Times are simulated seconds after UpdateService.
"""

from __future__ import annotations

import argparse
import math
import os
import random
import re
import statistics
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

# boto3 must not see the configuration of this machine.
os.environ.update(
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
)

from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from deploy_action.rollout import ROLLING_BACK
from dev import readme
from dev.detection_causes import CAUSES, Cause, Trial

SEEDS: Final = range(5)
"""Of the official waiter, whose pauses are random."""
BEFORE: Final = "before the release"
CAUSES_BY_NAME: Final = {cause.name: cause for cause in CAUSES}
STOPPED: Final = re.compile(r"^task \w+ stopped: ")
PHASE_ENDS: Final = re.compile(r"^([✓✗]) \d+ (Follow|Verify): ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Ours:
    """What this action said, and when it could."""

    verdict: str
    is_good: bool
    """Whether the service ran the new version, whole and healthy, in the end."""
    known: float | None = None
    said: float | None = None
    """Both None when nothing was released."""
    announced: float | None = None
    """When the log first said that ECS goes back, which is then followed to its end."""
    first_stop: float | None = None
    """When the log first told a stopped task of the new revision, with its reason."""
    is_healthy: bool = False
    """Whether the release would have come to a good end if left alone."""
    is_warned: bool = False
    """Whether the trouble was told before the release, which went on."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Theirs:
    """What the official algorithm said in one run."""

    words: str
    said: float
    is_good: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """One line of the table."""

    cause: str
    sign: str
    ours: Ours
    theirs: tuple[Theirs, ...]


def main() -> int:
    """Print the table; with `--update` write it into the README too."""
    parser = argparse.ArgumentParser(prog="python -m dev.detection")
    parser.add_argument("--update", action="store_true", help="write the table into the README")
    given = parser.parse_args()
    with Pool(os.cpu_count()) as pool:
        text = render(pool.map(measure, CAUSES_BY_NAME, 1))
    print(text)
    if given.update:
        readme.write("detection", text)
    return 0


def measure(name: str) -> Row:
    """Release into the trouble of this cause, once with each tool and seed."""
    cause = CAUSES_BY_NAME[name]
    return Row(
        cause=cause.name,
        sign=cause.sign,
        ours=by_this_action(cause),
        theirs=tuple(by_the_official(cause, seed) for seed in SEEDS),
    )


def by_this_action(cause: Cause, *denied: str) -> Ours:
    """One run of this action with its default settings."""
    with TemporaryDirectory() as folder:
        trial = Trial(Path(folder), cause)
        trial.world.deny(*denied)
        secrets = "\n".join(f"{name}={arn}" for name, arn in cause.secrets.items())
        outcome = trial.deploy(image=trial.reference, ecr_repository="", secrets=secrets)
        is_good = trial.world.is_serving("web", trial.image)
        if not trial.world.own_updates("web"):
            return Ours(verdict=outcome.verdict, is_good=is_good)
        return Ours(
            verdict=outcome.verdict,
            is_good=is_good,
            is_healthy=cause.is_healthy,
            known=cause.known(trial),
            said=_verdict_time(trial),
            announced=next((t for t, line in trial.lines if ROLLING_BACK in line), None),
            first_stop=next((t for t, line in trial.lines if STOPPED.match(line)), None),
            is_warned=any(
                cause.warning in line for t, line in trial.lines if cause.warning and math.isnan(t)
            ),
        )


def _verdict_time(trial: Trial) -> float:
    """The end of the phase that failed, or of the last one."""
    ends = [(t, found[1]) for t, line in trial.lines if (found := PHASE_ENDS.match(line))]
    failed = [time for time, mark in ends if mark == "✗"]
    return failed[0] if failed else ends[-1][0]


def by_the_official(cause: Cause, seed: int) -> Theirs:
    """One run of the official algorithm with its default settings, waiting switched on."""
    with TemporaryDirectory() as folder:
        trial = Trial(Path(folder), cause)
        with trial.world.simulated_time():
            words = OfficialWaiter(trial, seed).release(trial.definition())
        return Theirs(
            words=words, said=trial.now, is_good=trial.world.is_serving("web", trial.image)
        )


class OfficialWaiter:
    """The release of amazon-ecs-deploy-task-definition 2.6.3, as published, for 30 minutes."""

    LEAST, MOST, LIMIT = 15.0, 600.0, 1800.0

    def __init__(self, trial: Trial, seed: int) -> None:
        self._clock = trial.world.clock
        retries = Config(retries={"total_max_attempts": 3, "mode": "standard"})
        self._ecs = trial.world.session().client("ecs", config=retries)
        self._random = random.Random(seed)

    def release(self, definition: dict[str, Any]) -> str:
        """The words with which the step ends."""
        before = self._primary(self._service())
        arn = self._ecs.register_task_definition(**definition)["taskDefinition"]
        answer = self._ecs.update_service(
            cluster="prod", service="web", taskDefinition=arn["taskDefinitionArn"]
        )
        own = self._primary(answer["service"])
        end = self._wait()
        return self._verdict(own) if end == "stable" and own != before else end

    def _wait(self) -> str:
        deadline = self._clock.monotonic() + self.LIMIT
        attempt, state = 1, self._poll()
        while state == "retry":
            pause = self._pause(attempt)
            if self._clock.monotonic() + pause > deadline:
                return "red: time-out"
            self._clock.sleep(pause)
            attempt, state = attempt + 1, self._poll()
        return state

    def _pause(self, attempt: int) -> float:
        if attempt > math.log2(self.MOST / self.LEAST) + 1:
            return self.MOST
        longest = min(self.LEAST * 2 ** (attempt - 1), self.MOST)
        return self._random.uniform(self.LEAST, longest)

    def _poll(self) -> str:
        """Whatever goes wrong is a reason to ask again."""
        try:
            answer = self._ecs.describe_services(cluster="prod", services=["web"])
        except (ClientError, BotoCoreError):
            return "retry"
        if any(failure.get("reason") == "MISSING" for failure in answer["failures"]):
            return "red: MISSING"
        (service,) = answer["services"]
        if service["status"] in {"DRAINING", "INACTIVE"}:
            return f"red: {service['status']}"
        is_alone = len(service["deployments"]) == 1
        is_whole = service["runningCount"] == service["desiredCount"]
        return "stable" if is_alone and is_whole else "retry"

    def _verdict(self, own: str) -> str:
        found = [each for each in self._service()["deployments"] if each["id"] == own]
        if not found:
            return "red: likely rolled back"
        return "red: failed" if found[0].get("rolloutState") == "FAILED" else "green"

    def _service(self) -> Any:  # noqa: ANN401 - as boto3 answers
        return self._ecs.describe_services(cluster="prod", services=["web"])["services"][0]

    def _primary(self, service: Any) -> str:  # noqa: ANN401 - as boto3 answers
        return next(str(d["id"]) for d in service["deployments"] if d["status"] == "PRIMARY")


def render(rows: Sequence[Row]) -> str:
    """The table in Markdown, and how to read it."""
    lines = [
        "| cause | can be known | this action | official action 2.6.3's algorithm |",
        "| --- | --- | --- | --- |",
        *(f"| {r.cause} | {_known(r)} | {_ours(r.ours)} | {_theirs(r.theirs)} |" for r in rows),
    ]
    meaning = (
        "Made by `make detection` in a simulated account. Seconds count from UpdateService. A"
        " verdict counts from the end of the phase that decides it, without the rollback that"
        f" follows. The pauses of the official algorithm are random: {len(SEEDS)} runs with fixed"
        " seeds, the median, and in brackets the smallest and the largest. It waits for 30"
        " minutes, as by default, and never rolls back. `likely rolled back` is the wrong cause"
        " where a release was superseded. A stopped task is told with its reason at once, but one"
        " alone convicts nobody: every revision may lose a task."
    )
    return "\n".join([*lines, "", meaning])


def _known(row: Row) -> str:
    known = row.ours.known
    if known is None:
        return BEFORE
    return row.sign if math.isnan(known) else f"{known:.0f} s: {row.sign}"


def _ours(ours: Ours) -> str:
    if ours.said is None:
        return f"`{ours.verdict}` {BEFORE}"
    early = ours.announced is not None and ours.announced < ours.said - 1
    first = f", announced at {ours.announced:.0f} s" if early else ""
    if ours.first_stop is not None and ours.first_stop < ours.said - 1:
        first = f", first stop told at {ours.first_stop:.0f} s{first}"
    warned = f", warned {BEFORE}" if ours.is_warned else ""
    mark = _mark(ours.verdict, is_good=ours.is_good, could_be=ours.is_healthy)
    return f"`{ours.verdict}` at {ours.said:.0f} s{first}{warned}{mark}"


def _theirs(runs: Sequence[Theirs]) -> str:
    cells = []
    for words, count in Counter(run.words for run in runs).most_common():
        same = [run for run in runs if run.words == words]
        times = [run.said for run in same]
        middle = f"{statistics.median(times):.0f} s ({min(times):.0f}–{max(times):.0f})"
        good = [run.is_good for run in same]
        mark = _mark(words, is_good=all(good), could_be=any(good))
        share = "" if count == len(runs) else f" in {count} of {len(runs)}"
        cells.append(f"{words}{share} at {middle}{mark}")
    return "; ".join(cells)


def _mark(verdict: str, *, is_good: bool, could_be: bool) -> str:
    if verdict in {"green", "deployed"}:
        return "" if is_good else ", **false green**"
    is_failure = verdict not in {"unknown", "superseded"}
    return ", **false failure**" if could_be and is_failure else ""


if __name__ == "__main__":
    sys.exit(main())
