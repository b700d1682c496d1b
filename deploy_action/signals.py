"""The runner's signals, turned into Cancelled."""

from __future__ import annotations

import signal
import sys
from types import FrameType
from typing import Self

from deploy_action.errors import Cancelled

WANTED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INSIST_EVERY_SECONDS = 0.2
LAST_WORD_SECONDS = 5.0
"""After the first signal. 7.5 s after it comes the second, and the outputs must be written."""


class Signals:
    """For the length of a block, the first signal raises Cancelled. Process 1 would ignore it.

    The next ones are ignored, lest the second, which follows after 7.5 s, cuts
    off what the first one started. Shortly before that a last Cancelled does.
    """

    def __init__(
        self,
        *,
        insist_every: float = INSIST_EVERY_SECONDS,
        last_word_after: float = LAST_WORD_SECONDS,
    ) -> None:
        self._insist_every = insist_every
        self._last_word_after = last_word_after
        self._number = 0
        self._ticks = 0
        self._before = {each: signal.getsignal(each) for each in (*WANTED, signal.SIGALRM)}

    def __enter__(self) -> Self:
        for each in WANTED:
            signal.signal(each, self._stop)
        return self

    def __exit__(self, *_: object) -> None:
        self.hold()
        for each, handler in self._before.items():
            signal.signal(each, handler)

    def hold(self) -> None:
        """Ignore every signal from now on."""
        for each in WANTED:
            signal.signal(each, signal.SIG_IGN)
        signal.setitimer(signal.ITIMER_REAL, 0)

    def _stop(self, number: int, _: FrameType | None) -> None:
        self.hold()
        self._number = number
        # Python drops what is raised while it finalizes an object, which every answer of AWS
        # brings about: so it is raised again until somebody handles it.
        signal.signal(signal.SIGALRM, self._insist)
        signal.setitimer(signal.ITIMER_REAL, self._insist_every, self._insist_every)
        raise Cancelled(number)

    def _insist(self, *_: object) -> None:
        self._ticks += 1
        is_last = self._ticks * self._insist_every >= self._last_word_after
        if is_last:
            self.hold()
        if is_last or not is_letting_go():
            raise Cancelled(self._number)


def is_letting_go() -> bool:
    """Whether what runs was called to handle a signal."""
    error = sys.exception()
    while error is not None and not isinstance(error, Cancelled):
        error = error.__context__
    return error is not None
