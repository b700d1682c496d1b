"""The waiting loop: how often it looks, what it says, when it ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from deploy_action.watch import Look, watch
from tests.unit.builders import Desk

LONG = 3600.0


@pytest.fixture
def desk() -> Desk:
    return Desk()


def watching(
    desk: Desk,
    look: Callable[[], Look[str]],
    limit: float = LONG,
    every: float | None = None,
) -> str | None:
    return watch(
        look, clock=desk.clock, journal=desk.journal, limit_seconds=limit, every_seconds=every
    )


def showing(desk: Desk, line_at: Callable[[float], str], end_at: float) -> Callable[[], Look[str]]:
    """A view whose line depends on the time, and which is decided at `end_at`."""

    def look() -> Look[str]:
        now = desk.clock.passed
        return Look(line_at(now), "done" if now >= end_at else None)

    return look


def test_a_first_look_that_decides_waits_for_nothing(desk: Desk) -> None:
    end = watching(desk, lambda: Look("2/2 running", "done"))

    assert end == "done"
    assert desk.clock.sleeps == []


def test_looks_every_two_seconds_for_two_minutes_and_then_every_five(desk: Desk) -> None:
    watching(desk, showing(desk, lambda _: "1/2 running", end_at=150))

    assert desk.clock.sleeps == [2.0] * 60 + [5.0] * 6


def test_a_given_pace_stays_the_same(desk: Desk) -> None:
    watching(desk, showing(desk, lambda _: "asking", end_at=150), every=10)

    assert desk.clock.sleeps == [10.0] * 15


def test_says_a_line_only_when_it_changes_with_the_time_since_the_start(desk: Desk) -> None:
    lines = {0.0: "0/2 running", 2.0: "0/2 running", 4.0: "1/2 running", 6.0: "2/2 running"}

    watching(desk, showing(desk, lines.__getitem__, end_at=6))

    assert [line.strip() for line in desk.log] == [
        "0.0 s  0/2 running",
        "4.0 s  1/2 running",
        "6.0 s  2/2 running",
    ]


def test_reminds_after_a_minute_of_silence_and_counts_it_from_the_last_word(desk: Desk) -> None:
    watching(
        desk, showing(desk, lambda now: "0/2 running" if now < 30 else "1/2 running", end_at=151)
    )

    assert [line.strip() for line in desk.log] == [
        "0.0 s  0/2 running",
        "30 s  1/2 running",
        "90 s  still 1/2 running",
        "2 min 30 s  still 1/2 running",
    ]


def test_reminds_also_where_there_was_nothing_to_say(desk: Desk) -> None:
    watching(desk, showing(desk, lambda _: "", end_at=60))

    assert [line.strip() for line in desk.log] == ["60 s  still waiting"]


def test_ends_without_a_result_at_the_limit(desk: Desk) -> None:
    end = watching(desk, lambda: Look("0/2 running", None), limit=601)

    assert end is None
    assert desk.clock.passed == 601


def test_a_result_that_comes_with_the_last_moment_counts(desk: Desk) -> None:
    end = watching(desk, showing(desk, lambda _: "almost", end_at=601), limit=601)

    assert end == "done"
    assert desk.clock.passed == 601


def test_looks_once_even_without_any_time(desk: Desk) -> None:
    looks: list[float] = []

    def look() -> Look[str]:
        looks.append(desk.clock.passed)
        return Look("", None)

    assert watching(desk, look, limit=0) is None
    assert looks == [0.0]
