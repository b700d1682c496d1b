"""What a run leaves behind of a one-off task."""

from __future__ import annotations

import pytest

from deploy_action.one_off_task import OneOff
from tests.unit.builders import NEW_REVISION


def one_off(*, is_new: bool = True) -> OneOff:
    return OneOff(
        service="web", task_definition=NEW_REVISION, is_new=is_new, started_by="ecs-deploy/7c1d"
    )


def test_it_survives_the_state_file() -> None:
    assert OneOff.from_text(one_off().to_text()) == one_off()


@pytest.mark.parametrize("text", ["nonsense", "{}", '{"surprise": 1}'])
def test_another_text_is_none(text: str) -> None:
    with pytest.raises((ValueError, TypeError)):
        OneOff.from_text(text)


def test_it_says_what_stays_behind() -> None:
    assert one_off().untouched == (
        "web was not touched and does not use web:42, which stays registered"
    )
    assert one_off(is_new=False).untouched == "web was not touched"
