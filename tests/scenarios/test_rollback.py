"""`operation: rollback`: to the last revision that worked, or to the one that is named."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.scenarios.stage import CRASHING, GOOD, SHA, Stage
from tests.simulator import Behaviour


def test_without_a_name_it_goes_to_the_revision_that_worked_last(stage: Stage) -> None:
    stage.deploy()

    outcome = stage.deploy(operation="rollback", ecr_repository="")

    assert (outcome.code, outcome.verdict) == (0, "deployed")
    assert stage.runs_the_old()
    assert "ECS completed it last before the one that runs" in outcome.log
    assert "Only the status was asked of the endpoint" in outcome.summary


def test_a_revision_that_never_worked_is_passed_over(stage: Stage) -> None:
    stage.deploy()
    stage.world.builder.behaviour = CRASHING
    stage.deploy(image_tag="broken")

    stage.deploy(operation="rollback", ecr_repository="")

    assert stage.runs_the_old()


def test_latest_is_not_moved_back(stage: Stage) -> None:
    stage.deploy()
    latest = stage.latest()

    stage.deploy(operation="rollback", ecr_repository="")

    assert stage.latest() == latest


@pytest.mark.parametrize("name", ["1", "web:1"])
def test_a_revision_can_be_named(stage: Stage, name: str) -> None:
    stage.deploy()

    outcome = stage.deploy(operation="rollback", ecr_repository="", rollback_to=name)

    assert outcome.verdict == "deployed"
    assert stage.runs_the_old()


def test_a_revision_that_was_deregistered_is_registered_again(stage: Stage) -> None:
    stage.deploy()
    stage.world.deregister(stage.before)

    outcome = stage.deploy(operation="rollback", ecr_repository="")

    assert outcome.verdict == "deployed"
    assert "web:1 is INACTIVE; registered again as web:3" in outcome.log
    assert stage.world.is_serving("web", stage.old)


def test_a_revision_whose_image_is_gone_is_refused_with_the_alternatives(stage: Stage) -> None:
    stage.deploy()
    stage.world.builder.behaviour = GOOD
    stage.deploy(image_tag="third", build_args="N=3", health_json="")
    stage.world.delete_image("web", stage.old.digest)

    outcome = stage.deploy(operation="rollback", ecr_repository="", rollback_to="1")

    assert outcome.verdict == "blocked"
    assert "is gone" in outcome.log
    assert "The family has web:2, web:1" in outcome.log


def test_a_revision_that_is_not_there_is_refused(stage: Stage) -> None:
    outcome = stage.deploy(operation="rollback", ecr_repository="", rollback_to="77")

    assert outcome.verdict == "blocked"
    assert "no revision 'web:77'" in outcome.log


def test_nothing_to_go_back_to_is_said(stage: Stage) -> None:
    outcome = stage.deploy(operation="rollback", ecr_repository="")

    assert outcome.verdict == "blocked"
    assert "`rollback-to`" in outcome.log


def test_a_rollback_to_a_revision_that_fails_is_itself_put_back(stage: Stage) -> None:
    stage.deploy()
    now = stage.world.primary("web").task_definition
    stage.world.set_behaviour(stage.old, Behaviour(crash_exit_code=1))

    outcome = stage.deploy(operation="rollback", ecr_repository="")

    assert outcome.verdict == "rolled-back"
    assert stage.world.primary("web").task_definition == now


def test_a_name_without_the_operation_is_a_mistake(stage: Stage) -> None:
    outcome = stage.deploy(rollback_to="3")

    assert outcome.verdict == "invalid"
    assert "`rollback-to` has no effect with `operation: deploy`" in outcome.log


def test_a_restart_starts_new_tasks_of_the_same_revision(stage: Stage) -> None:
    before = {task.arn for task in stage.world.running("web")}

    outcome = stage.deploy(operation="restart", ecr_repository="", health_json="")

    assert (outcome.code, outcome.verdict) == (0, "restarted")
    assert before.isdisjoint(task.arn for task in stage.world.running("web"))
    assert stage.world.primary("web").task_definition == stage.before


@pytest.mark.parametrize("operation", ["rollback", "restart"])
def test_what_a_task_prints_of_its_environment_is_hidden(
    stage_with: Callable[..., Stage], operation: str
) -> None:
    address = "postgres://shop:c0ffee@db/shop"
    stage = stage_with(environment={"DATABASE_URL": address})
    stage.deploy()
    broken = Behaviour(crash_exit_code=1, crash_after_seconds=1, crash_log_lines=(address,))
    stage.world.behave_when(lambda _: True, broken)

    outcome = stage.deploy(operation=operation, ecr_repository="", health_json="")

    assert "container 'web' exited with code 1" in outcome.log
    assert address not in outcome.log + outcome.summary + str(outcome.report)


def test_a_restart_that_fails_says_that_there_is_nothing_to_go_back_to(stage: Stage) -> None:
    stage.world.set_behaviour(stage.old, Behaviour(crash_exit_code=1, crash_after_seconds=1))

    outcome = stage.deploy(operation="restart", ecr_repository="", health_json="")

    assert (outcome.code, outcome.verdict) == (9, "failed")
    assert "there is none to go back to" in outcome.log
    assert SHA not in outcome.outputs["task-definition-arn"]


def test_a_rollback_that_is_repeated_does_not_bring_back_what_was_left(stage: Stage) -> None:
    stage.deploy()
    stage.deploy(operation="rollback", health_json="")
    updates = len(stage.world.updates("web"))

    again = stage.deploy(operation="rollback", health_json="")

    assert (again.code, again.verdict) == (0, "unchanged")
    assert "web is on web:1 already: it went back from web:2." in again.log
    assert "name a revision in `rollback-to`" in again.summary
    assert len(stage.world.updates("web")) == updates
    assert stage.runs_the_old()


def test_a_rollback_to_what_runs_changes_nothing(stage: Stage) -> None:
    stage.deploy()
    stage.deploy(operation="rollback", rollback_to="1", health_json="")

    again = stage.deploy(operation="rollback", rollback_to="1", health_json="")

    assert again.verdict == "unchanged"
    assert "`rollback-to` says so" in again.log


def test_after_a_rollback_and_a_release_it_goes_to_what_was_gone_back_to(stage: Stage) -> None:
    stage.deploy()
    stage.deploy(operation="rollback", health_json="")
    assert stage.deploy(environment_variables="COLOUR=green").verdict == "deployed"

    done = stage.deploy(operation="rollback", health_json="")

    assert done.verdict == "deployed"
    assert stage.runs_the_old()
