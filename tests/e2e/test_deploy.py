"""One deployment each, and what is really there afterwards."""

import json
import urllib.request
from typing import TYPE_CHECKING

import pytest

from dev import sample_application

if TYPE_CHECKING:
    from tests.e2e.conftest import Team

pytestmark = pytest.mark.e2e


def test_a_good_version_is_built_deployed_and_verified(team: "Team") -> None:
    before = team.service.task_definition()

    release = team.deploy(sample_application.good("1"))

    assert (release.verdict, release.step.exit_code) == ("deployed", 0), release.step.text
    assert release.step.result == "success"
    digest = team.service.image_digest(release.commit)
    assert digest is not None
    assert team.service.image_digest("latest") == digest
    now = team.service.task_definition()
    assert now != before
    assert team.service.revision_image(now) == f"{team.service.image_repository}@{digest}"
    assert release.step.outputs["task-definition-arn"] == now
    assert release.step.outputs["previous-task-definition-arn"] == before
    assert release.step.outputs["image-digest"] == digest
    assert release.step.outputs["image"] == f"{team.service.image_repository}@{digest}"
    assert release.step.outputs["rolled-back"] == "false"
    assert answer(team)["commit"] == release.commit
    assert "deployed" in release.step.summary
    assert release.annotations == []


def test_a_version_that_crashes_on_start_is_rolled_back_with_its_reason(team: "Team") -> None:
    good = team.deploy(sample_application.good("1"))
    before = team.service.task_definition()

    release = team.deploy(sample_application.crashing("2"))

    assert (release.verdict, release.step.exit_code) == ("rolled-back", 5), release.step.text
    assert release.step.result == "failure"
    assert "KeyError: 'DATABASE_URL'" in release.step.text
    assert "KeyError: 'DATABASE_URL'" in release.step.summary
    assert len(release.annotations) == 1
    assert_serves_as_before(team, good.commit, before)
    assert release.step.outputs["rolled-back"] == "true"
    assert release.step.outputs["failure-cause"]


def test_a_version_with_a_wrong_health_answer_is_rolled_back(team: "Team") -> None:
    good = team.deploy(sample_application.good("1"))
    before = team.service.task_definition()

    release = team.deploy(sample_application.ailing("2"), health_timeout_seconds="10")

    assert (release.verdict, release.step.exit_code) == ("unhealthy", 7), release.step.text
    assert "503" in release.step.text
    assert len(release.annotations) == 1
    assert_serves_as_before(team, good.commit, before)
    assert release.step.outputs["rolled-back"] == "true"


def test_an_image_that_cannot_be_pulled_is_rolled_back(team: "Team") -> None:
    good = team.deploy(sample_application.good("1"))
    before = team.service.task_definition()
    nowhere = f"127.0.0.1:1/nowhere@sha256:{'0' * 64}"

    release = team.deploy({}, image=nowhere, ecr_repository="", build_args="")

    assert (release.verdict, release.step.exit_code) == ("rolled-back", 5), release.step.text
    assert "CannotPullContainer" in release.step.text
    assert_serves_as_before(team, good.commit, before)


def test_a_service_that_does_not_exist_stops_everything_before_the_build(team: "Team") -> None:
    images = team.service.image_count()

    release = team.deploy(sample_application.good("1"), service="wep")

    assert (release.verdict, release.step.exit_code) == ("blocked", 3), release.step.text
    assert "wep" in release.annotations[0]
    assert team.service.image_count() == images


def test_the_second_run_of_a_commit_builds_and_changes_nothing(team: "Team") -> None:
    first = team.deploy(sample_application.good("1"))
    before = team.service.task_definition()
    images = team.service.image_count()

    second = team.run()

    assert (second.outputs["verdict"], second.exit_code) == ("unchanged", 0), second.text
    assert second.outputs["image-digest"] == first.step.outputs["image-digest"]
    assert team.service.task_definition() == before
    assert team.service.image_count() == images


def test_an_image_is_promoted_to_a_repository_that_is_made_for_it(team: "Team") -> None:
    built = team.deploy(sample_application.good("1"))
    target = f"{team.service.name}-promoted"
    images = team.service.image_count()

    promoted = team.deploy(
        {"README.md": "nothing of the image\n"},
        image=f"{team.service.image_repository}:{built.commit}",
        ecr_repository=target,
        create_repository="true",
        build_args="",
        health_json=f"/commit={built.commit}",
    )

    assert (promoted.verdict, promoted.step.exit_code) == ("deployed", 0), promoted.step.text
    digest = built.step.outputs["image-digest"]
    assert promoted.step.outputs["image"] == f"{team.service.emulator.registry}/{target}@{digest}"
    found = team.service.clients.ecr.describe_images(repositoryName=target)["imageDetails"]
    assert [(each["imageDigest"], sorted(each["imageTags"])) for each in found] == [
        (digest, sorted(["latest", built.commit]))
    ]
    assert team.service.image_count() == images
    assert answer(team)["commit"] == built.commit


def assert_serves_as_before(team: "Team", commit: str, task_definition: str) -> None:
    """The old revision runs, answers, and `latest` still names what was verified last."""
    assert team.service.task_definition() == task_definition
    assert answer(team)["commit"] == commit
    assert team.service.image_digest("latest") == team.service.image_digest(commit)


def answer(team: "Team") -> dict[str, str]:
    """What the load balancer gives to a visitor."""
    with urllib.request.urlopen(team.service.health_url, timeout=10) as response:
        found: dict[str, str] = json.loads(response.read())
    return found
