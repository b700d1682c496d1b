"""Each of the five systems below examples/: good release, rollback, and troubles of its own.

All of them are played at once when the first test asks; `make systems` plays every case.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev import base_images, engine, systems_case, systems_play

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.systems_play import Outcome

pytestmark = pytest.mark.e2e

SYSTEMS = [systems_case.load(name) for name in systems_case.names()]
TESTED = [(system.name, case) for system in SYSTEMS for case in system.cases if case.tested]


@pytest.fixture(scope="module")
def outcomes() -> Iterator[dict[tuple[str, str], Outcome]]:
    """How every tested case went, by system and title."""
    with engine.running():
        base_images.prepare()
        played = systems_play.play(SYSTEMS, chosen=lambda case: case.tested)
        yield {(outcome.system, outcome.case.title): outcome for outcome in played}


@pytest.mark.parametrize(
    ("system", "case"), TESTED, ids=[f"{name}: {case.title}" for name, case in TESTED]
)
def test_ends_as_the_team_needs_it(
    system: str, case: systems_case.Case, outcomes: dict[tuple[str, str], Outcome]
) -> None:
    outcome = outcomes[system, case.title]

    assert outcome.problems == (), outcome.text
