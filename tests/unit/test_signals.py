"""Signals become one exception that arrives, whatever Python is doing."""

from __future__ import annotations

import io
import signal
import threading

import pytest

from deploy_action.errors import Cancelled
from deploy_action.signals import Signals

SOON = 0.02
FOR_EVER = 30


class Answer(io.RawIOBase):
    """Like an HTTP answer: closed when nobody needs it any more, which is when a signal comes."""

    def close(self) -> None:
        if not self.closed:
            super().close()
            signal.raise_signal(signal.SIGINT)


def wait(seconds: float) -> None:
    threading.Event().wait(seconds)


def drop_an_answer() -> None:
    Answer()
    wait(FOR_EVER)


def fail() -> None:
    raise OSError


def linger_after_a_signal() -> None:
    try:
        signal.raise_signal(signal.SIGINT)
    except Cancelled:
        wait(FOR_EVER)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_raises(number: signal.Signals) -> None:
    with Signals(), pytest.raises(Cancelled) as raised:
        signal.raise_signal(number)

    assert raised.value.exit_code == 128 + number


def test_what_was_raised_in_vain_is_raised_again() -> None:
    with Signals(insist_every=SOON), pytest.raises(Cancelled):
        drop_an_answer()


def test_the_second_signal_does_not_cut_off_what_the_first_began() -> None:
    with Signals(insist_every=SOON):
        try:
            signal.raise_signal(signal.SIGINT)
        except Cancelled:
            signal.raise_signal(signal.SIGTERM)
            # Long enough to be insisted on a few times.
            wait(5 * SOON)


def test_nor_does_insisting_while_something_else_fails_on_the_way() -> None:
    with Signals(insist_every=SOON):
        try:
            signal.raise_signal(signal.SIGINT)
        except Cancelled:
            try:
                fail()
            except OSError:
                wait(5 * SOON)


def test_in_the_end_it_is_cut_off() -> None:
    with Signals(insist_every=SOON, last_word_after=3 * SOON), pytest.raises(Cancelled):
        linger_after_a_signal()


def test_after_holding_nothing_is_raised() -> None:
    with Signals(insist_every=SOON) as signals:
        signals.hold()
        signal.raise_signal(signal.SIGINT)
        wait(2 * SOON)


def test_everything_is_as_before_in_the_end() -> None:
    watched = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGALRM)
    before = [signal.getsignal(number) for number in watched]

    with Signals(insist_every=SOON), pytest.raises(Cancelled):
        signal.raise_signal(signal.SIGINT)

    assert [signal.getsignal(number) for number in watched] == before
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)
