"""How many releases of a good version end well on a bad day: `make reliability`.

Usage:
    python -m dev.reliability            play the releases and print how they ended
    python -m dev.reliability --update   and write it into the README

Each release plays in a simulated account of its own. Every call on the wire, repetitions
included, may be struck by a fault, at the rates below; a seed decides about all of it.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing import Pool
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final, Literal

# boto3 must not see the configuration of this machine.
os.environ.update(
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
)

from deploy_action.ports import Silence
from dev import readme
from tests.simulator import Call, Fault, World, faults
from tests.storms.trial import Trial

RELEASES: Final = 200
AIM: Final = 0.95
SLOW_SECONDS: Final = 10.0
OLD_SECONDS: Final = 8.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """One kind of fault, and the share of the calls that it strikes."""

    name: str
    share: float
    fault: Fault
    kind: Literal["AWS", "reads of AWS", "HTTP"] = "AWS"
    """Which calls it can strike."""


RATES: Final = (
    Rate(name="throttled", share=0.02, fault=faults.throttled()),
    Rate(name="answered with a 5xx", share=0.01, fault=faults.server_error()),
    Rate(name="connection refused", share=0.005, fault=faults.unreachable()),
    Rate(
        name="carried out, and the answer lost on the way", share=0.005, fault=faults.lost_answer()
    ),
    Rate(name=f"answered {SLOW_SECONDS:.0f} s late", share=0.01, fault=faults.slow(SLOW_SECONDS)),
    Rate(
        name=f"a read answered as of {OLD_SECONDS:.0f} s ago",
        share=0.02,
        fault=faults.stale(OLD_SECONDS),
        kind="reads of AWS",
    ),
    Rate(
        name="endpoint or registry refused the connection",
        share=0.01,
        fault=faults.silent(Silence.REFUSED),
        kind="HTTP",
    ),
)
LOAD_BALANCED: Final = 0.8
READS: Final = ("Describe", "List", "Get", "BatchGet")


@dataclass(frozen=True, slots=True, kw_only=True)
class Release:
    """What became of one."""

    seed: int
    end: str
    """The verdict, or the exit code where there was none."""
    calls: int
    struck: int


class _Bad:
    """The weather of one release."""

    def __init__(self, seed: int) -> None:
        self.struck = 0
        self._dice = random.Random(seed)

    def strike(self, call: Call) -> Fault | None:
        """The fault of this call, if it gets one."""
        drawn = self._dice.random()
        for rate in RATES:
            if rate.kind not in _kinds(call):
                continue
            if drawn < rate.share:
                self.struck += 1
                return rate.fault
            drawn -= rate.share
        return None


def _kinds(call: Call) -> tuple[str, ...]:
    if call.service in {"http", "builder"}:
        # A push that fails is a build that failed, and no matter of a release.
        return ("HTTP",) if call.service == "http" else ()
    return ("AWS", "reads of AWS") if call.operation.startswith(READS) else ("AWS",)


def release(seed: int) -> Release:
    """Release a good version of a service that the seed chooses."""
    dice = random.Random(f"service {seed}")
    with TemporaryDirectory() as folder:
        trial = Trial(
            Path(folder),
            World(seed=seed, validated=False),
            name=f"release {seed}",
            desired=dice.choice((1, 2, 3, 4)),
            breaker=dice.choice((None, "rollback")),
            load_balanced=dice.random() < LOAD_BALANCED,
        )
        weather = _Bad(seed)
        trial.fault(weather.strike)
        run = trial.main()
    return Release(
        seed=seed,
        end=run.verdict or f"exit code {run.code}",
        calls=len(run.calls),
        struck=weather.struck,
    )


def render(releases: Sequence[Release]) -> str:
    """The figure with the rates that it was measured under."""
    ends = Counter(each.end for each in releases)
    good = ends.pop("deployed", 0)
    others = ", ".join(f"{count} `{end}`" for end, count in ends.most_common())
    calls, struck = sum(r.calls for r in releases), sum(r.struck for r in releases)
    first = (
        f"**{good} of {len(releases)}** simulated releases of a good version "
        f"({100 * good / len(releases):.1f} %) ended `deployed`"
        + (f"; the others: {others}." if others else ".")
    )
    second = (
        f"Of their {calls} calls {struck} were struck by a fault, "
        f"{struck / len(releases):.1f} in each release, at these rates:"
    )
    last = (
        f"Made by `make reliability` with the seeds 0 to {max(r.seed for r in releases)}: "
        "services of 1 to 4 tasks, most of them behind a load balancer. "
        "The repetition of a call is a call of its own."
    )
    rows = [f"| {rate.name} | {rate.share * 100:g} % of {_of(rate)} |" for rate in RATES]
    table = ["| what happens to a call | rate |", "| --- | --- |", *rows]
    return "\n".join([first, second, "", *table, "", last])


def _of(rate: Rate) -> str:
    return {"AWS": "the calls to AWS", "reads of AWS": "its reads", "HTTP": "the requests"}[
        rate.kind
    ]


def main() -> int:
    """Return 1 where fewer releases end well than promised."""
    parser = argparse.ArgumentParser(prog="python -m dev.reliability")
    parser.add_argument("--update", action="store_true", help="write it into the README as well")
    given = parser.parse_args()
    with Pool(os.cpu_count()) as pool:
        releases = pool.map(release, range(RELEASES), 5)
    text = render(releases)
    print(text)
    for each in releases:
        if each.end != "deployed":
            print(f"seed {each.seed}: {each.end} ({each.struck} faults in {each.calls} calls)")
    if given.update:
        readme.write("reliability", text)
    return int(sum(each.end == "deployed" for each in releases) < AIM * len(releases))


if __name__ == "__main__":
    sys.exit(main())
