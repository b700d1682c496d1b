"""Two services in one step, on real containers."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from dev import ministack, sample_application, sample_service

if TYPE_CHECKING:
    from tests.e2e.conftest import Team

pytestmark = pytest.mark.e2e


@pytest.fixture
def second(
    emulator: ministack.MiniStack, new_name: Callable[[], str]
) -> sample_service.SampleService:
    return sample_service.create(emulator, new_name())


def test_two_services_get_one_image_or_both_stay_as_they_were(
    team: "Team", second: sample_service.SampleService
) -> None:
    both = f"{team.service.name}, {second.name}"

    good = team.deploy(sample_application.good("1"), service=both)

    assert (good.verdict, good.step.exit_code) == ("deployed", 0), good.step.text
    now = [team.service.task_definition(), second.task_definition()]
    assert good.step.outputs["task-definition-arn"].split("\n") == now
    images = [team.service.revision_image(now[0]), second.revision_image(now[1])]
    assert images == [good.step.outputs["image"]] * 2
    assert team.service.image_digest("latest") == good.step.outputs["image-digest"]

    # The first asks its endpoint, the second fails by its tasks: both crash on start.
    bad = team.deploy(sample_application.crashing("2"), service=both)

    assert (bad.verdict, bad.step.exit_code) == ("rolled-back", 5), bad.step.text
    assert [team.service.task_definition(), second.task_definition()] == now
    assert team.service.image_digest("latest") == good.step.outputs["image-digest"]
    assert len(bad.annotations) == 1
