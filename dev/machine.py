"""Set a machine up and run one command on it: `python3 -m dev.machine run -- COMMAND`.

Everything the command needs is there while it runs; what was started for it is stopped.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Sequence

from dev import base_images, debian, engine, environments
from dev.commands import MissingPrerequisite, say
from dev.places import ENVIRONMENT


def main(arguments: Sequence[str]) -> int:
    match list(arguments):
        case ["run", "--", *command] if command:
            pass
        case _:
            say("usage: python3 -m dev.machine run -- COMMAND...")
            return 2
    try:
        return _run(command)
    except MissingPrerequisite as missing:
        say(str(missing))
        return 1


def _run(command: Sequence[str]) -> int:
    started = time.monotonic()
    if shutil.which("git") is None:
        debian.install("git", needed_for="git")
    environments.prepare_project()
    environments.prepare_ministack()
    with engine.running():
        base_images.prepare()
        say(f"ready after {time.monotonic() - started:.1f}s")
        return _call(command)


def _call(command: Sequence[str]) -> int:
    """Run the command with the project's environment in front.

    A stop signal is passed on and waited out: the clean-up after the command must happen.
    """
    path = f"{ENVIRONMENT / 'bin'}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(command, env={**os.environ, "PATH": path}) as process:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to the command too
        signal.signal(signal.SIGTERM, lambda *_: process.terminate())
        return process.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
