"""The five systems from end to end on this machine: `make systems`.

Each of them is a folder below examples/ with the workflow as its team would write it. They
are played through act on MiniStack: the good release, the next one, going back, and the rows
of the team's own trouble list as far as an emulator can show them.
"""

import argparse
import os
import platform
import sys
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from dev import engine, readme, systems_case, systems_play
from dev.commands import MissingPrerequisite, say
from dev.places import ROOT
from dev.systems_case import System
from dev.systems_play import Outcome


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("system", nargs="*", help="all of them by default")
    parser.add_argument("--action", type=Path, default=ROOT, help="the action's folder")
    parser.add_argument("--update", action="store_true", help="write the table into README.md")
    given = parser.parse_args(arguments)
    if unknown := set(given.system) - set(systems_case.names()):
        parser.error(f"no system: {', '.join(sorted(unknown))}")
    systems = [systems_case.load(name) for name in given.system or systems_case.names()]
    started = time.monotonic()
    try:
        outcomes = systems_play.play(systems, told=_tell, source=given.action)
    except MissingPrerequisite as missing:
        say(str(missing))
        return 1
    text = _report(systems, outcomes, time.monotonic() - started)
    print(f"\n{text}")
    is_good = not any(outcome.problems for outcome in outcomes)
    if given.update and is_good and not given.system:
        readme.write("systems", text)
    return 0 if is_good else 1


def _tell(outcome: Outcome) -> None:
    """One line as a case ends, and everything it said when it went otherwise than it has to."""
    line = f"{outcome.system}: {outcome.case.title}"
    mark = "✗" if outcome.problems else "✓"
    print(f"{mark} {line:<90} {outcome.verdict:<20} {outcome.seconds:6.1f} s", flush=True)
    if outcome.problems:
        print(outcome.text)
        for problem in outcome.problems:
            print(f"    {problem}", flush=True)


def _report(systems: Sequence[System], outcomes: Sequence[Outcome], seconds: float) -> str:
    made = (
        f"{len(outcomes)} runs, made by `make systems` in {seconds:.0f} s on"
        f" {datetime.now(UTC):%Y-%m-%d} with Docker Engine {engine.version()} on"
        f" {os.cpu_count()} cores ({platform.machine()})."
    )
    return "\n".join([*_table(systems, outcomes), "", made])


def _table(systems: Sequence[System], outcomes: Sequence[Outcome]) -> Iterator[str]:
    yield "| system | case | verdict | time |"
    yield "| --- | --- | --- | ---: |"
    for system in systems:
        head = f"[{system.name}](examples/{system.name}/README.md)"
        for outcome in outcomes:
            if outcome.system == system.name:
                verdict = f"`{outcome.verdict}`" + (" ✗" if outcome.problems else "")
                yield f"| {head} | {outcome.case.title} | {verdict} | {outcome.seconds:.0f} s |"
                head = ""
        for gap in system.not_shown:
            yield f"| | {gap.row} | not shown: {gap.why} | |"


if __name__ == "__main__":
    sys.exit(main())
