"""Entry point of the container: the real world, handed to the program."""

import os
import signal
import sys
from types import FrameType


def leave(number: int, _: FrameType | None) -> None:
    """End before the program has handlers of its own: process 1 has none by default."""
    os.write(1, b"The run was cancelled. Nothing had been started.\n")
    sys.exit(128 + number)


for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, leave)

from deploy_action import app, outside  # noqa: E402 - takes half a second

if __name__ == "__main__":
    sys.exit(app.main(os.environ, outside.real(os.environ), sys.stdout))
