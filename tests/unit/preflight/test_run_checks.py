"""How checks are run and told, whatever they check."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import pytest

from deploy_action.errors import AwsError, Blocked, Refusal
from deploy_action.ports import in_turn
from deploy_action.preflight import ANNOTATIONS, CHECKS, LONGEST_SECONDS, run_checks
from deploy_action.preflight.check import (
    Check,
    Facts,
    Outcome,
    Passed,
    Refused,
    Skipped,
    Warned,
    pure,
)
from tests.simulator import World
from tests.unit.builders import Desk
from tests.unit.preflight.facts import doors, facts


def says(name: str, *outcomes: Outcome) -> Check:
    return Check(name=name, looks=pure(lambda _: outcomes))


def raises(name: str, error: Exception) -> Check:
    def judge(_: Facts) -> Iterable[Outcome]:
        raise error

    return Check(name=name, looks=pure(judge))


def run(desk: Desk, *checks: Check) -> list[str]:
    """The lines of the log."""
    gateways = replace(doors(World()), clock=desk.clock)
    run_checks(facts(), gateways, desk.journal, in_turn, checks)
    return desk.log


def test_one_aligned_line_for_each_check() -> None:
    lines = run(
        Desk(),
        says("a", Passed("one"), Passed("two"), Passed("one")),
        says("longer", Warned("Careful.", "Do this.")),
        says("c", Skipped("no"), Skipped("no"), Passed("some")),
        says("silent"),
    )

    assert lines == [
        "✓ a       one; two",
        "! longer  Careful. Fix: Do this.",
        "✓ c       some",
        "– c       skipped: no",
    ]


def test_all_refusals_are_told_together_after_all_lines() -> None:
    desk = Desk()

    with pytest.raises(Blocked) as caught:
        run(
            desk,
            says("a", Refused("A is bad.", "It is.", "Mend A.")),
            says("b", Passed("fine")),
            says("c", Refused("C is bad.", "Too.", "Mend C."), Refused("D.", "E.", "F.")),
        )

    assert [line[0] for line in desk.log] == ["✗", "✓", "✗", "✗"]
    assert caught.value.what == "3 things would make this release fail."
    assert caught.value.why.splitlines() == [
        "The checks found:",
        "- A is bad. It is. Fix: Mend A.",
        "- C is bad. Too. Fix: Mend C.",
        "- D. E. Fix: F.",
    ]
    assert [check.fix for check in desk.story.checks] == ["Mend A.", "", "Mend C.", "F."]


def test_a_single_refusal_stands_by_itself() -> None:
    with pytest.raises(Blocked) as caught:
        run(Desk(), says("a", Refused("A is bad.", "It is.", "Mend A.")))

    assert (caught.value.what, caught.value.why, caught.value.fix) == (
        "A is bad.", "It is.", "Mend A.",
    )  # fmt: skip


@pytest.mark.parametrize(
    ("refusal", "reason"),
    [
        (Refusal.DENIED, "the job may not call `iam:GetRole`"),
        (Refusal.UNREACHABLE, "`iam:GetRole` gave no answer"),
        (Refusal.UNSUPPORTED, "`iam:GetRole` is not offered here"),
        (Refusal.THROTTLED, "`iam:GetRole` was throttled"),
        (Refusal.INVALID, "`iam:GetRole` answered Code: text"),
        (Refusal.CREDENTIALS, "`iam:GetRole` answered Code: text"),
    ],
)
def test_a_look_that_fails_is_skipped_with_the_reason(refusal: Refusal, reason: str) -> None:
    error = AwsError("iam:GetRole", refusal, "Code", "text")

    assert run(Desk(), raises("roles", error)) == [f"– roles  skipped: {reason}"]


def test_a_mistake_of_ours_is_skipped_without_its_text() -> None:
    def looks(*_: object) -> list[Any]:
        raise KeyError("hunter2")

    lines = run(Desk(), raises("a", ValueError("hunter2")), Check(name="b", looks=looks))

    assert lines == [
        "– a  skipped: the check itself failed (ValueError); please report it",
        "– b  skipped: the check itself failed (KeyError); please report it",
    ]


def test_no_look_begins_after_the_time_is_up() -> None:
    desk = Desk()

    def slow(_: Facts) -> Iterable[Outcome]:
        desk.clock.sleep(LONGEST_SECONDS + 1)
        return [Passed("at last")]

    lines = run(desk, Check(name="a", looks=pure(slow)), raises("b", AssertionError("called")))

    assert lines == ["✓ a  at last", "– b  skipped: the checks had already taken 3 s"]


def test_only_important_warnings_become_annotations_and_not_too_many() -> None:
    desk = Desk()
    important = [Warned(f"W{n}.", "F.", is_important=True) for n in range(ANNOTATIONS + 2)]

    run(desk, says("a", Warned("Small.", "F."), *important))

    annotations = [line for line in desk.log if line.startswith("::warning")]
    assert annotations == [f"::warning::W{n}. F." for n in range(ANNOTATIONS)]
    assert len(desk.story.checks) == ANNOTATIONS + 3


def test_looks_are_handed_over_together() -> None:
    handed: list[int] = []

    def together(calls: Any) -> list[Any]:  # noqa: ANN401 - as the port
        handed.append(len(calls))
        return in_turn(calls)

    def two(facts: Facts, gateways: object) -> list[Callable[[], Iterable[Outcome]]]:
        return [lambda: [Passed("x")], lambda: [Passed("y")]]

    desk = Desk()
    run_checks(
        facts(), doors(World()), desk.journal, together, [Check(name="a", looks=two), says("b")]
    )

    assert handed == [3]
    assert desk.log == ["✓ a  x; y"]


def test_names_are_told_apart() -> None:
    names = [check.name for check in CHECKS]

    assert len(names) == len(set(names))
