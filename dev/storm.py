"""Storms over all cores: `make storm N=20000`, and the way to look at one that failed.

Usage:
    python -m dev.storm run 20000 [--from 0]   play so many seeds, print those that fail
    python -m dev.storm run 20000 --update     and write the figures into the README
    python -m dev.storm seed 4711              play one storm and show its history
    python -m dev.storm faults [--update]      play every single fault at every call of every story
    python -m dev.storm case good 12 "throttled"   play one single fault
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from collections.abc import Iterable
from multiprocessing import Pool

# boto3 must not see the configuration of this machine.
os.environ.update(
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
)

from dev import readme
from tests.storms.stories import ALL, cases, run_case
from tests.storms.strikes import STRIKES
from tests.storms.weather import Result, storm

CHUNK = 20


def main() -> int:
    """Return 1 if anything failed."""
    parser = argparse.ArgumentParser(prog="python -m dev.storm")
    commands = parser.add_subparsers(dest="command", required=True)
    many = commands.add_parser("run", help="play so many seeds on all cores")
    many.add_argument("count", type=int)
    many.add_argument("--from", type=int, default=0, dest="first")
    one = commands.add_parser("seed", help="play one storm and show its history")
    one.add_argument("seed", type=int)
    faults = commands.add_parser("faults", help="play every single fault")
    for each in (many, faults):
        each.add_argument("--update", action="store_true", help="write figures into the README")
    case = commands.add_parser("case", help="play one case of the exhaustive suite")
    case.add_argument("story")
    case.add_argument("index", type=int)
    case.add_argument("strike")
    given = parser.parse_args()
    if given.command == "run":
        return _run(range(given.first, given.first + given.count), update=given.update)
    if given.command == "seed":
        return _show(storm(given.seed, keep_history=True))
    if given.command == "faults":
        return _faults(update=given.update)
    return _case(given.story, given.index, given.strike)


def _faults(*, update: bool) -> int:
    """Every call of every story under every kind of fault, on all cores."""
    started = time.monotonic()
    todo = [
        (story, index, strike.name)
        for story in ALL
        for strike in STRIKES
        for index in cases(story, strike)
    ]
    broken = 0
    with Pool(os.cpu_count()) as pool:
        for complaint in pool.imap_unordered(_complaint, todo, CHUNK):
            if complaint:
                broken += 1
                print(complaint, flush=True)
    print(f"{len(todo)} single faults in {time.monotonic() - started:.0f} s")
    told = (
        f"`make faults`: {len(STRIKES)} kinds of fault at every call of {len(ALL)} stories are "
        f"{len(todo):,} cases; {broken} of them break an invariant."
    )
    print(told)
    if update:
        readme.write("faults", told)
    return bool(broken)


def _complaint(case: tuple[str, int, str]) -> str:
    try:
        run_case(*case)
    except AssertionError as broken:
        return str(broken)
    return ""


def _run(seeds: range, *, update: bool) -> int:
    started, results = time.monotonic(), []
    with Pool(os.cpu_count()) as pool:
        for result in pool.imap_unordered(_play, seeds, CHUNK):
            results.append(result)
            if result.complaints:
                print(f"seed {result.seed}: {result.complaints[0]}")
                print(f"    again: .venv/bin/python -m dev.storm seed {result.seed}", flush=True)
    print(f"{len(results)} storms in {time.monotonic() - started:.0f} s")
    told = summary(results)
    print(told)
    if update:
        readme.write("storms", told)
    return any(result.complaints for result in results)


def _play(seed: int) -> Result:
    """One storm; what breaks the simulator itself is a result too."""
    try:
        return storm(seed)
    except Exception as error:  # noqa: BLE001 - a seed that cannot be played must be named
        complaint = f"the storm broke: {type(error).__name__}: {error}"
        return Result.broken(seed, complaint)


def summary(results: Iterable[Result]) -> str:
    """The figures in one paragraph."""
    results = list(results)
    verdicts = Counter(result.verdict for result in results)
    told = ", ".join(f"{count:,} {verdict}" for verdict, count in verdicts.most_common())
    return (
        f"`make storm N={len(results)}`: {len(results):,} storms with "
        f"{sum(result.faults for result in results):,} faults that struck, "
        f"{sum(bool(result.complaints) for result in results)} broken invariants, "
        f"{sum(result.false_green for result in results)} false greens, "
        f"{sum(result.false_failure for result in results)} false failures. "
        f"Their first runs ended as: {told}."
    )


def _show(result: Result) -> int:
    print("\n".join(result.history))
    print("\n".join(result.complaints) or "every invariant holds")
    return bool(result.complaints)


def _case(story: str, index: int, strike: str) -> int:
    try:
        run_case(story, index, strike)
    except AssertionError as broken:
        print(broken)
        return 1
    print("every invariant holds")
    return 0


if __name__ == "__main__":
    sys.exit(main())
