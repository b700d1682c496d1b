"""Every call of every story under every kind of fault, one fault at a time.

Left out is what would be the same again: a story with a bad image before its update, which
is that of the good image, and kinds of fault that a call cannot have, such as a stale answer
to a write. The variants are sampled here; `make faults` plays all of them too.
A case that fails prints the command that plays it alone.
"""

from __future__ import annotations

import pytest

from tests.storms.stories import STORIES, VARIANTS, calls_of, cases, run_case
from tests.storms.strikes import STRIKES

EVERY = [
    pytest.param(story, strike.name, id=f"{story}-{strike.name.replace(' ', '-')}")
    for story in STORIES
    for strike in STRIKES
    if cases(story, strike)
]


@pytest.mark.parametrize("story", [*STORIES, *VARIANTS])
def test_without_a_fault_every_invariant_holds(story: str) -> None:
    assert calls_of(story)


@pytest.mark.parametrize(("story", "strike"), EVERY)
def test_no_single_fault_breaks_an_invariant(story: str, strike: str) -> None:
    judge(story, strike)


@pytest.mark.parametrize("story", VARIANTS)
@pytest.mark.parametrize(
    "strike", ["answer lost", "timed out", "stale", "killed after", "SIGINT", "another deployment"]
)
def test_nor_where_aws_answers_open_questions_differently(story: str, strike: str) -> None:
    judge(story, strike, every=6)


def judge(story: str, strike: str, every: int = 1) -> None:
    found = next(each for each in STRIKES if each.name == strike)
    broken = []
    for index in cases(story, found)[::every]:
        try:
            run_case(story, index, strike)
        except AssertionError as error:
            broken.append(str(error))
    assert not broken, f"{len(broken)} case(s):\n" + "\n\n".join(broken[:3])
