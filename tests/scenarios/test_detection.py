"""How soon a verdict comes after the first moment at which it can be known."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import pytest

from dev import readme
from dev.detection import CAUSES_BY_NAME as CAUSES
from dev.detection import (
    Ours,
    Row,
    Theirs,
    by_the_official,
    by_this_action,
    render,
)
from dev.detection_causes import Trial

LATE = 5.0
"""Seconds that a verdict may come after its sign."""
TWO_POLLS = 10.0
CALLS = 1.0
"""What the calls of two polls take."""
CONVICTED_BY_TASKS = ("crash on start", "out of memory")
CONVICTED_BY_HEALTH = ("never listens", "wrong health path", "health check too strict")
REFUSED = (
    "missing image",
    "wrong architecture",
    "secret missing",
    "log group missing",
    "min/max deadlock",
)
LOOKS = ("secretsmanager:DescribeSecret", "secretsmanager:GetSecretValue")
"""What preflight needs in order to see that a secret is missing."""


@cache
def ours(cause: str) -> Ours:
    """The run of this action into that cause, made once."""
    return by_this_action(CAUSES[cause])


def delay(run: Ours) -> float:
    assert run.said is not None
    assert run.known is not None
    return run.said - run.known


def test_every_cause_is_told() -> None:
    assert len(CAUSES) == 19


@pytest.mark.parametrize("cause", CAUSES)
def test_nothing_is_green_that_is_not_good_and_nothing_good_is_failed(cause: str) -> None:
    run = ours(cause)

    assert (run.verdict == "deployed") == (cause == "slow but healthy")
    assert run.is_good or run.verdict != "deployed"
    assert not run.is_healthy or run.verdict in {"deployed", "unknown"}


@pytest.mark.parametrize("cause", CONVICTED_BY_TASKS + CONVICTED_BY_HEALTH)
def test_tasks_that_stop_convict_at_the_second(cause: str) -> None:
    assert ours(cause).verdict == "rolled-back"
    assert 0 <= delay(ours(cause)) <= LATE


@pytest.mark.parametrize("cause", REFUSED)
def test_what_can_be_seen_before_is_refused_before(cause: str) -> None:
    assert ours(cause) == Ours(verdict="blocked", is_good=False)


def test_a_crash_on_start_is_told_within_75_seconds_and_convicts_at_the_second() -> None:
    run = ours("crash on start")

    assert run.first_stop is not None
    assert run.first_stop <= 75


@pytest.mark.parametrize("cause", ["no capacity", "subnet without addresses"])
def test_where_no_task_can_be_placed_the_old_ones_serve(cause: str) -> None:
    """ECS cannot complete the way back either, and no human has to act for that."""
    assert ours(cause).verdict == "timed-out"


def test_a_secret_that_could_not_be_looked_for_convicts_at_the_first_task() -> None:
    run = by_this_action(CAUSES["secret missing"], *LOOKS)

    assert run.verdict == "rolled-back"
    assert 0 <= delay(run) <= LATE


def test_an_image_that_goes_missing_later_convicts_at_the_first_task() -> None:
    def delete(trial: Trial) -> None:
        trial.world.delete_image("web", "new")

    run = by_this_action(replace(CAUSES["missing image"], tag="new", after=delete))

    assert run.verdict == "rolled-back"
    assert 0 <= delay(run) <= LATE


def test_a_superseded_release_is_known_within_two_polls() -> None:
    run = ours("superseded")

    assert run.verdict == "superseded"
    assert 0 <= delay(run) <= TWO_POLLS + CALLS


@pytest.mark.parametrize("cause", ["alarm", "breaker with rollback", "breaker without rollback"])
def test_what_ecs_gives_up_is_said_at_once(cause: str) -> None:
    run = ours(cause)
    said = run.said if run.announced is None else run.announced

    assert run.verdict == "rolled-back"
    assert said is not None
    assert run.known is not None
    assert 0 <= said - run.known <= LATE


@pytest.mark.parametrize("cause", ["access denied while polling", "throttled throughout"])
def test_what_cannot_be_read_is_neither_good_nor_bad(cause: str) -> None:
    assert ours(cause).verdict == "unknown"


def test_addresses_are_warned_of_before_the_release() -> None:
    assert ours("subnet without addresses").is_warned


@pytest.mark.parametrize(
    ("cause", "words", "is_good"),
    [
        ("slow but healthy", "green", True),
        ("crash on start", "red: time-out", False),
        ("superseded", "red: likely rolled back", False),
        ("access denied while polling", "red: time-out", True),
    ],
)
def test_the_official_algorithm_is_played(cause: str, words: str, *, is_good: bool) -> None:
    theirs = by_the_official(CAUSES[cause], seed=1)

    assert (theirs.words, theirs.is_good) == (words, is_good)
    assert theirs.said <= 1800


def test_the_table_marks_false_verdicts() -> None:
    false = Ours(verdict="deployed", is_good=False, known=1.0, said=2.0)
    theirs = Theirs(words="red: time-out", said=1500.0, is_good=True)
    table = render([Row(cause="a cause", sign="a sign", ours=false, theirs=(theirs,))])

    assert "| a cause | 1 s: a sign | `deployed` at 2 s, **false green** |" in table
    assert "red: time-out at 1500 s (1500–1500), **false failure**" in table


def test_a_part_of_the_readme_goes_between_its_comments(tmp_path: Path) -> None:
    path = tmp_path / "README.md"

    path.write_text("no place")
    with pytest.raises(readme.NoPlace):
        readme.write("part", "new", path)
    path.write_text("before <!-- begin:part --> old <!-- end:part --> after")
    readme.write("part", "new", path)

    assert path.read_text() == "before <!-- begin:part -->\nnew\n<!-- end:part --> after"
