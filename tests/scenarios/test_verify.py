"""`operation: verify` judges what runs, and writes nothing."""

from __future__ import annotations

import re

from tests.scenarios.stage import CRASHING, OLD, Stage
from tests.simulator import Behaviour

READS = re.compile(r"(Describe|List|Get|BatchGet|get$)")


def assert_nothing_was_written(stage: Stage, calls: int) -> None:
    later = stage.world.history.calls[calls:]
    assert [c.operation for c in later if not READS.match(c.operation)] == []


def test_a_service_that_runs_the_commit_is_verified(stage: Stage) -> None:
    stage.deploy()
    calls = len(stage.world.history.calls)

    outcome = stage.deploy(operation="verify")

    assert (outcome.code, outcome.verdict) == (0, "verified")
    assert "gave 3 good answers in a row" in outcome.summary
    assert_nothing_was_written(stage, calls)


def test_another_commit_than_the_one_that_runs_is_a_failure(stage: Stage) -> None:
    stage.world.image("web", tag="other", behaviour=OLD)

    outcome = stage.deploy(operation="verify", image_tag="other", health_json="")

    assert (outcome.code, outcome.verdict) == (9, "failed")
    assert "is not the image of this release" in outcome.log
    assert_nothing_was_written(stage, 0)


def test_a_tag_that_was_never_pushed_is_a_failure(stage: Stage) -> None:
    outcome = stage.deploy(operation="verify", health_json="")

    assert outcome.code == 9
    assert "has no image with the tag" in outcome.log


def test_an_endpoint_that_answers_wrongly_is_a_failure(stage: Stage) -> None:
    stage.world.set_behaviour(stage.old, Behaviour(health_status=500))

    outcome = stage.deploy(
        operation="verify", ecr_repository="", health_json="", health_timeout_seconds="20"
    )

    assert outcome.code == 9
    assert "500" in outcome.outputs["failure-cause"] or "503" in outcome.outputs["failure-cause"]


def test_a_deployment_on_its_way_and_recent_stops_are_told(stage: Stage) -> None:
    broken = stage.world.image("web", tag="broken", behaviour=CRASHING)
    stage.world.deploy("web", broken)
    stage.world.clock.sleep(120)

    outcome = stage.deploy(
        operation="verify", ecr_repository="", health_json="", health_timeout_seconds="20"
    )

    assert outcome.code == 9
    assert "is still on its way" in outcome.log
    assert "stopped lately: container 'web' exited with code 1" in outcome.summary


def test_a_newer_revision_that_does_not_run_is_drift(stage: Stage) -> None:
    stage.world.task_definition("web", stage.old)

    outcome = stage.deploy(operation="verify", ecr_repository="", health_json="")

    assert outcome.verdict == "verified"
    assert "newest revision is web:2, not web:1" in outcome.summary
