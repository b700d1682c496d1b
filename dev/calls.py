"""How the API calls of a release grow with the services of a step, counted in the simulator.

Usage:
    python -m dev.calls            print the sentence
    python -m dev.calls --update   write it into the README as well
"""

import argparse
import os
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

# boto3 must not see the configuration of this machine.
os.environ.update(
    AWS_CONFIG_FILE=os.devnull,
    AWS_SHARED_CREDENTIALS_FILE=os.devnull,
    AWS_EC2_METADATA_DISABLED="true",
)

from dev import readme
from tests.scenarios.stage import Stage

COUNTS: Final = (1, 10, 50)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m dev.calls")
    parser.add_argument("--update", action="store_true", help="write the result into the README")
    given = parser.parse_args()
    text = sentence()
    print(text)
    if given.update:
        readme.write("calls", text)
    return 0


def sentence() -> str:
    """The calls of one service and of many, each of them with a family of its own."""
    calls = {count: calls_of(count) for count in COUNTS}
    one = calls[1]
    others = ", ".join(
        f"of {count} services {calls[count]} ({calls[count] / one:.1f} times as many)"
        for count in COUNTS[1:]
    )
    return (
        f"In the simulator, where a rollout takes two minutes, a release of one service makes "
        f"{one} API calls, {others}; each has a task definition family of its own."
    )


def calls_of(services: int) -> int:
    """The API calls of one release of so many services."""
    with TemporaryDirectory() as folder:
        stage = Stage(Path(folder))
        names = ["web", *(f"worker{number}" for number in range(1, services))]
        for name in names[1:]:
            stage.world.service(name, image=stage.old)
        calls = stage.world.history.calls
        before = len(calls)
        done = stage.deploy(service="\n".join(names))
        if done.verdict != "deployed":
            raise RuntimeError(done.log)
        return len(calls) - before


if __name__ == "__main__":
    sys.exit(main())
