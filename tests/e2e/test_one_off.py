"""A command before the release, as a real container of the new image."""

from typing import TYPE_CHECKING

import pytest

from dev import sample_application

if TYPE_CHECKING:
    from tests.e2e.conftest import Team

pytestmark = pytest.mark.e2e

MIGRATION = """\
import os, sys, time
for number in range(3):
    print(f"migration {number} of {os.environ['COMMIT'][:7]}", flush=True)
    time.sleep(1)
sys.exit(int(sys.argv[1]))
"""


def files(version: str) -> dict[str, str]:
    """A good version with a migration beside the server."""
    good = sample_application.good(version)
    dockerfile = good["Dockerfile"].replace("server.py VERSION", "server.py migrate.py VERSION")
    return {**good, "Dockerfile": dockerfile, "migrate.py": MIGRATION}


def test_a_migration_runs_on_the_new_image_and_then_it_is_released(team: "Team") -> None:
    release = team.deploy(files("1"), pre_deploy_command="python /app/migrate.py 0")

    assert (release.verdict, release.step.exit_code) == ("deployed", 0), release.step.text
    lines = [f"    migration {number} of {release.commit[:7]}" for number in range(3)]
    assert [line for line in release.step.lines if line in lines] == lines
    (task,) = team.service.one_off_tasks()
    assert task["taskDefinitionArn"] == release.step.outputs["task-definition-arn"]
    assert task["startedBy"].startswith("ecs-deploy/")


def test_a_migration_that_fails_stops_the_release(team: "Team") -> None:
    before = team.service.task_definition()

    release = team.deploy(files("1"), pre_deploy_command="python /app/migrate.py 3")

    assert (release.verdict, release.step.exit_code) == ("failed", 9), release.step.text
    assert "Container" in release.step.outputs["failure-cause"]
    assert "exited with code 3" in release.step.outputs["failure-cause"]
    assert f"migration 2 of {release.commit[:7]}" in release.step.summary
    assert len(release.annotations) == 1
    assert team.service.task_definition() == before
    assert team.service.image_digest("latest") is None
