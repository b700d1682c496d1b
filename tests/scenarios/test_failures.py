"""Releases that fail: the service is put back, and the words say why."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from deploy_action.ports import BuildError
from tests.scenarios.stage import CRASHING, SHA, Stage
from tests.simulator import Behaviour, faults

NOT_FOUND = (
    "pull image manifest has been retried 5 time(s): failed to resolve ref "
    "docker.io/acme/web:none: docker.io/acme/web:none: not found"
)


@pytest.mark.parametrize("breaker", [None, "rollback", "no-rollback"])
def test_a_crash_on_start_is_rolled_back(
    stage_with: Callable[..., Stage], breaker: str | None
) -> None:
    stage = stage_with(breaker=breaker)
    stage.world.builder.behaviour = CRASHING

    outcome = stage.deploy()

    assert (outcome.code, outcome.verdict) == (5, "rolled-back")
    assert outcome.outputs["rolled-back"] == "true"
    assert stage.runs_the_old()
    assert stage.latest() is None
    assert "exited with code 1" in outcome.outputs["failure-cause"]
    assert "KeyError: 'DATABASE_URL'" in outcome.outputs["failure-cause"]
    assert len(outcome.annotations) == 1


def test_a_crash_on_start_is_known_at_the_second_stopped_task(stage: Stage) -> None:
    stage.world.builder.behaviour = CRASHING

    stage.deploy()

    crashes = sorted(
        task.stopping_at
        for task in stage.world.state.tasks.values()
        if task.stop_code == "EssentialContainerExited" and task.stopping_at
    )
    stop = next(c for c in stage.world.history.calls if c.operation == "StopServiceDeployment")
    assert (stop.time - crashes[1]).total_seconds() < 5


def test_the_breaker_of_ecs_is_followed_and_not_helped(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(breaker="rollback")
    stage.world.builder.behaviour = CRASHING

    outcome = stage.deploy(fail_after_stopped_tasks="50")

    assert outcome.verdict == "rolled-back"
    assert stage.runs_the_old()
    history = stage.world.history
    assert len(history.named("ecs:UpdateService")) == 1
    assert history.named("ecs:StopServiceDeployment") == []
    assert "ECS rolled back to web:1" in outcome.summary


def test_looks_that_aws_throttles_are_no_reason_to_give_up(stage: Stage) -> None:
    # Botocore tries four times a look: so many make five looks in vain, one after the other.
    throttle = faults.on("ecs:DescribeServices", faults.throttled(), skip=5, times=20)
    stage.world.faults.append(throttle)

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    refused = [c for c in stage.world.history.calls if c.outcome == "ThrottlingException"]
    assert len(refused) == 20


def test_a_service_that_one_answer_does_not_know_is_looked_for_again(stage: Stage) -> None:
    def lose(answer: dict[str, Any]) -> None:
        answer["services"] = []
        answer["failures"] = [{"arn": "web", "reason": "MISSING"}]

    stage.world.faults.append(faults.on("ecs:DescribeServices", faults.mangled(lose), skip=5))

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert any(call.is_distorted for call in stage.world.history.named("ecs:DescribeServices"))


def test_a_wrong_health_answer_is_rolled_back(stage: Stage) -> None:
    stage.world.builder.behaviour = Behaviour(
        json={"version": SHA}, paths={"/health": (200, '{"version": "something else"}')}
    )

    outcome = stage.deploy()

    assert (outcome.code, outcome.verdict) == (7, "unhealthy")
    assert stage.runs_the_old()
    assert stage.latest() is None
    assert "/version is 'something else', expected" in outcome.log


def test_the_old_revision_only_owes_what_it_gave_before(stage: Stage) -> None:
    stage.world.builder.behaviour = CRASHING

    outcome = stage.deploy(health_json=f"/version={SHA}")

    assert outcome.verdict == "rolled-back"
    assert "gave 3 good answers in a row" in outcome.report["rollback"]


def test_an_image_that_cannot_be_pulled_convicts_at_the_first_task(stage: Stage) -> None:
    image = stage.world.public_image("docker.io/acme/web:none", Behaviour(pull_error=NOT_FOUND))

    outcome = stage.deploy(image=image, ecr_repository="")

    assert outcome.verdict == "rolled-back"
    assert "CannotPullContainerError" in outcome.outputs["failure-cause"]
    assert len(outcome.report["evidence"]) >= 1
    assert stage.runs_the_old()


def test_a_missing_secret_convicts_at_the_first_task(stage: Stage) -> None:
    stage.world.builder.behaviour = Behaviour(
        init_error="unable to pull secrets or registry auth: execution resource retrieval failed: "
        "unable to retrieve secret from asm: ResourceNotFoundException: Secrets Manager can't "
        "find the specified secret."
    )

    outcome = stage.deploy()

    assert outcome.verdict == "rolled-back"
    assert "can't find the specified secret" in outcome.outputs["failure-cause"]


def test_a_release_that_never_gets_there_times_out_and_is_rolled_back(stage: Stage) -> None:
    stage.world.at(31, lambda: stage.world.set_placement_problem("web", "RESOURCE:MEMORY"))
    stage.world.at(340, lambda: stage.world.set_placement_problem("web", None))

    outcome = stage.deploy(rollout_timeout_minutes="5")

    assert (outcome.code, outcome.verdict) == (6, "timed-out")
    assert "unable to place a task" in outcome.log
    assert stage.world.primary("web").task_definition == stage.before


def test_rollback_can_be_switched_off(stage: Stage) -> None:
    stage.world.builder.behaviour = CRASHING

    outcome = stage.deploy(rollback_on_failure="false")

    assert (outcome.code, outcome.verdict) == (9, "failed")
    assert stage.world.primary("web").task_definition != stage.before
    assert "`rollback-on-failure` is false" in outcome.log
    assert outcome.outputs["rolled-back"] == "false"


def test_a_rollback_that_fails_is_loud_and_names_the_commands(stage: Stage) -> None:
    stage.world.builder.behaviour = CRASHING
    stage.world.deny("ecs:StopServiceDeployment")
    stage.world.at(60, lambda: stage.world.deny("ecs:UpdateService"))

    outcome = stage.deploy()

    assert (outcome.code, outcome.verdict) == (8, "rollback-failed")
    assert "could NOT be put back on web:1" in outcome.log
    assert "aws ecs update-service --region eu-west-1 --cluster prod --service web" in outcome.log
    assert "--task-definition web:1" in outcome.summary


def test_without_the_right_to_stop_the_service_is_updated_back(stage: Stage) -> None:
    stage.world.builder.behaviour = CRASHING
    stage.world.deny("ecs:StopServiceDeployment")

    outcome = stage.deploy()

    assert outcome.verdict == "rolled-back"
    assert stage.runs_the_old()


def test_a_desired_count_that_we_set_is_set_back(stage: Stage) -> None:
    stage.world.builder.behaviour = CRASHING
    stage.world.deny("ecs:StopServiceDeployment")

    outcome = stage.deploy(desired_count="3")

    assert outcome.verdict == "rolled-back"
    assert stage.world.state.service("web").desired == 1
    assert stage.runs_the_old()


def test_nothing_to_go_back_to_is_said(stage: Stage) -> None:
    stage.deploy()
    image = stage.world.tag_digest("web", SHA)
    assert image
    stage.world.set_behaviour(image, CRASHING)

    outcome = stage.deploy(force_new_deployment="true")

    assert (outcome.code, outcome.verdict) == (9, "failed")
    assert "there is none to go back to" in outcome.log


def test_another_deployment_is_left_alone(stage: Stage) -> None:
    theirs = stage.world.image("web", tag="theirs", behaviour=Behaviour(json={"version": "theirs"}))
    stage.world.at(50, lambda: stage.world.deploy("web", theirs))

    outcome = stage.deploy()

    assert (outcome.code, outcome.verdict) == (10, "superseded")
    assert stage.latest() is None
    foreign = stage.world.primary("web").id
    assert foreign != outcome.outputs["deployment-id"]
    assert [c for c in stage.world.history.calls if c.operation == "UpdateService"][1:] == []


def test_a_deployment_that_replaces_ours_while_we_ask_is_noticed(stage: Stage) -> None:
    theirs = stage.world.image("web", tag="theirs", behaviour=Behaviour(json={"version": SHA}))
    stage.world.at(116, lambda: stage.world.deploy("web", theirs))

    outcome = stage.deploy()

    assert outcome.verdict == "superseded"
    assert stage.latest() is None


def test_a_service_that_is_deleted_meanwhile_ends_as_superseded(stage: Stage) -> None:
    stage.world.at(50, lambda: stage.world.delete_service("web"))

    outcome = stage.deploy()

    assert outcome.verdict == "superseded"


def test_a_build_that_fails_leaves_the_service_alone(stage: Stage) -> None:
    stage.world.builder.failure = BuildError(
        'process "/bin/sh -c pip install ." did not complete successfully: exit code: 1',
        step="[3/3] RUN pip install .",
        dockerfile_line=7,
        log=("ERROR: No matching distribution found for nosuchthing",),
    )

    outcome = stage.deploy()

    assert (outcome.code, outcome.verdict) == (4, "build-failed")
    assert "line 7 of the Dockerfile" in outcome.log
    assert "No matching distribution" in outcome.summary
    assert stage.runs_the_old()
    assert stage.world.updates("web") == []


def test_access_that_is_lost_while_polling_is_not_called_success_or_failure(stage: Stage) -> None:
    stage.world.at(45, lambda: stage.world.deny("ecs:DescribeServices"))

    outcome = stage.deploy()

    assert (outcome.code, outcome.verdict) == (11, "unknown")
    assert "Allow `ecs:DescribeServices`" in outcome.log
    assert outcome.seconds < 120


def test_a_bug_of_ours_prints_a_report_without_secrets(stage: Stage) -> None:
    class Broken:
        def get(self, *_: object, **__: object) -> None:
            raise RuntimeError("canary-secret-value is in here")

    stage.world.http = Broken()  # type: ignore[assignment]

    outcome = stage.deploy(build_secrets="TOKEN=canary-secret-value")

    assert outcome.code == 1
    assert "Paste this into the report" in outcome.log
    assert "RuntimeError: *** is in here" in outcome.log
    masked = [line for line in outcome.log.splitlines() if not line.startswith("::add-mask::")]
    assert "canary-secret-value" not in "\n".join(masked) + outcome.summary + str(outcome.report)
