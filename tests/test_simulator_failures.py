"""How deployments fail in the simulator, and what ECS, or a stop, makes of that."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.simulator import Behaviour, Quirks, World
from tests.simulator.stage import Stage

CRASHES = Behaviour(crash_exit_code=1, crash_log_lines=("KeyError: 'DATABASE_URL'",))
Make = Callable[..., Stage]


@pytest.fixture
def make() -> Iterator[Make]:
    world = World(seed=7)
    with world.simulated_time():
        yield lambda **options: Stage(world, **options)


def test_without_a_breaker_a_crash_loop_never_ends_and_the_old_task_serves_on(make: Make) -> None:
    stage = make(load_balanced=True)

    deployment = stage.follow(stage.release(stage.world.image("web", behaviour=CRASHES)))

    assert deployment["status"] == "IN_PROGRESS"
    primary = stage.primary()
    assert primary["rolloutState"] == "IN_PROGRESS"
    assert primary["failedTasks"] >= 5
    assert stage.world.running_digests("web") == {stage.v1.digest}
    assert any("unable to consistently start tasks" in text for text in stage.world.events("web"))


def test_a_crash_is_told_by_the_stopped_task_within_a_minute(make: Make) -> None:
    stage = make()
    stage.release(stage.world.image("web", behaviour=CRASHES))

    stage.world.clock.sleep(60)

    task = stage.stopped(stage.primary()["id"])[0]
    assert task["stopCode"] == "EssentialContainerExited"
    assert task["containers"][0]["exitCode"] == 1
    logs = stage.world.session().client("logs")
    stream = f"ecs/web/{task['taskArn'].rsplit('/')[-1]}"
    events = logs.get_log_events(logGroupName="/ecs/web", logStreamName=stream)["events"]
    assert events[-1]["message"] == "KeyError: 'DATABASE_URL'"


def test_the_breaker_rolls_back_after_three_failures_in_about_three_minutes(make: Make) -> None:
    stage = make(breaker="rollback")
    started = stage.world.clock.monotonic()

    arn = stage.release(stage.world.image("web", behaviour=CRASHES))
    ours = stage.primary()["id"]
    deployment = stage.follow(arn)

    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert deployment["deploymentCircuitBreaker"] == {
        "status": "TRIGGERED",
        "failureCount": 3,
        "threshold": 3,
    }
    ended = [
        (each.detail["state"], each.time)
        for each in stage.world.history.of("deployment-ended", subject="web")
        if each.detail["id"] == ours
    ]
    assert ended[0][0] == "FAILED"
    primary = stage.primary()
    assert primary["taskDefinition"].endswith("web:1")
    assert "rolling back to deploymentId ecs-svc/" in deployment["rollback"]["reason"]
    assert 180 < stage.world.clock.monotonic() - started < 300
    assert stage.world.is_serving("web", stage.v1)


def test_a_breaker_without_rollback_leaves_the_service_in_between(make: Make) -> None:
    stage = make(breaker="no-rollback")

    deployment = stage.follow(stage.release(stage.world.image("web", behaviour=CRASHES)))

    assert deployment["status"] == "STOPPED"
    assert stage.primary()["rolloutState"] == "FAILED"
    assert stage.primary()["taskDefinition"].endswith("web:2")
    assert stage.world.running_digests("web") == {stage.v1.digest}


def test_the_first_deployment_has_nothing_to_roll_back_to(make: Make) -> None:
    stage = make()
    bad = stage.world.image("web", behaviour=CRASHES)

    stage.world.service("new", image=bad, breaker="rollback", settled=False)
    stage.world.clock.sleep(600)

    assert stage.world.primary("new").rollout_state == "FAILED"
    assert stage.world.service_deployments("new")[0].status == "STOPPED"


def test_a_third_deployment_during_a_rollback_stalls(make: Make) -> None:
    stage = make(breaker="rollback")
    bad = stage.world.image("web", behaviour=CRASHES)
    arn = stage.release(bad)
    while stage.follow(arn, limit=0)["status"] != "ROLLBACK_IN_PROGRESS":
        stage.world.clock.sleep(1)

    third = stage.follow(stage.release(bad))

    assert third["status"] == "STOPPED"
    assert stage.primary()["rolloutState"] == "FAILED"
    assert stage.primary()["taskDefinition"].endswith("web:3")


@pytest.mark.parametrize(
    ("setting", "desired", "threshold"),
    [
        ({}, 1, 3),
        ({}, 25, 13),
        ({}, 500, 200),
        ({"thresholdConfiguration": {"type": "COUNT", "value": 1}}, 4, 1),
        ({"thresholdConfiguration": {"type": "UNBOUNDED_PERCENT", "value": 50}}, 2, 1),
    ],
)
def test_the_threshold_follows_the_desired_count(
    make: Make, setting: dict[str, Any], desired: int, threshold: int
) -> None:
    stage = make(desired=1, breaker="rollback", breaker_settings=setting)

    arn = stage.release(stage.world.image("web"), desiredCount=desired)
    deployment = stage.ecs.describe_service_deployments(serviceDeploymentArns=[arn])

    breaker = deployment["serviceDeployments"][0]["deploymentCircuitBreaker"]
    assert breaker["threshold"] == threshold


def test_an_unhealthy_target_is_drained_and_stopped_for_that_reason(make: Make) -> None:
    stage = make(load_balanced=True)
    stage.release(stage.world.image("web", behaviour=Behaviour(health_status=500)))
    deployment = stage.primary()["id"]

    stage.world.clock.sleep(120)

    task = stage.stopped(deployment)[0]
    assert task["stopCode"] == "ServiceSchedulerInitiated"
    assert task["stoppedReason"].startswith("Task failed ELB health checks in (target-group ")
    told = [text for text in stage.world.events("web") if "is unhealthy in" in text]
    assert "Health checks failed with these codes: [500]" in told[0]


def test_the_grace_period_hides_an_unhealthy_target(make: Make) -> None:
    stage = make(load_balanced=True, grace_seconds=600)
    stage.release(stage.world.image("web", behaviour=Behaviour(start_seconds=120)))
    deployment = stage.primary()["id"]

    stage.world.clock.sleep(300)

    assert stage.stopped(deployment) == []
    assert stage.primary()["rolloutState"] == "COMPLETED"


def test_a_failing_container_check_stops_the_task(make: Make) -> None:
    stage = make(health_check={"interval": 10, "retries": 2})
    stage.release(stage.world.image("web", behaviour=Behaviour(container_health=False)))

    stage.world.clock.sleep(90)

    task = stage.stopped(stage.primary()["id"])[0]
    assert task["stoppedReason"] == "Task failed container health checks"
    assert task["healthStatus"] == "UNHEALTHY"


def test_targets_say_why_they_are_not_healthy_and_that_they_drain(make: Make) -> None:
    stage = make(load_balanced=True)
    stage.release(stage.world.image("web", behaviour=Behaviour(listens=False)))
    group = next(iter(stage.world.state.target_groups))
    elbv2 = stage.world.session().client("elbv2")
    seen = set()

    for _ in range(80):
        for each in elbv2.describe_target_health(TargetGroupArn=group)["TargetHealthDescriptions"]:
            seen.add((each["TargetHealth"]["State"], each["TargetHealth"].get("Reason")))
        stage.world.clock.sleep(1)

    assert seen == {
        ("healthy", None),
        ("initial", "Elb.RegistrationInProgress"),
        ("initial", "Elb.InitialHealthChecking"),
        ("unhealthy", "Target.Timeout"),
        ("draining", "Target.DeregistrationInProgress"),
    }


@pytest.mark.parametrize(
    ("behaviour", "platforms", "text"),
    [
        (Behaviour(pull_error="pull access denied"), ["linux/amd64"], "pull access denied"),
        (Behaviour(), ["linux/arm64"], "matching platform 'linux/amd64'"),
        (
            Behaviour(init_error="no route"),
            ["linux/amd64"],
            "ResourceInitializationError: no route",
        ),
        (
            Behaviour(start_error="CannotStartContainerError: no such file"),
            ["linux/amd64"],
            "CannotStartContainerError: no such file",
        ),
    ],
    ids=["pull denied", "wrong platform", "secrets unreachable", "wrong command"],
)
def test_a_task_that_cannot_start_says_why(
    make: Make, behaviour: Behaviour, platforms: list[str], text: str
) -> None:
    stage = make()
    stage.release(stage.world.image("web", behaviour=behaviour, platforms=platforms))

    stage.world.clock.sleep(150)

    task = stage.stopped(stage.primary()["id"])[0]
    assert task["stopCode"] == "TaskFailedToStart"
    assert text in task["stoppedReason"]


def test_a_stop_with_rollback_returns_to_the_old_revision_without_any_breaker(make: Make) -> None:
    stage = make(load_balanced=True)
    arn = stage.release(stage.world.image("web", behaviour=CRASHES))
    stage.world.clock.sleep(60)

    stage.ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ROLLBACK")
    requested = stage.follow(arn, limit=0)["status"]
    deployment = stage.follow(arn)

    assert requested == "ROLLBACK_REQUESTED"
    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert stage.primary()["taskDefinition"].endswith("web:1")
    with pytest.raises(stage.ecs.exceptions.ConflictException):
        stage.ecs.stop_service_deployment(serviceDeploymentArn=arn)


def test_a_rollback_fails_when_the_old_image_is_gone(make: Make) -> None:
    stage = make(breaker="rollback", load_balanced=True)
    arn = stage.release(stage.world.image("web", behaviour=CRASHES))
    stage.world.delete_image("web", "v1")

    deployment = stage.follow(arn, limit=3600)

    assert deployment["status"] == "ROLLBACK_FAILED"


def test_an_alarm_during_the_deployment_rolls_it_back(make: Make) -> None:
    stage = make(
        deployment_configuration={
            "alarms": {"enable": True, "rollback": True, "alarmNames": ["errors"]}
        }
    )
    stage.world.alarm("errors")
    stage.world.at(90, lambda: stage.world.set_alarm("errors", "ALARM"))

    deployment = stage.follow(stage.release(stage.world.image("web", tag="v2")))

    assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
    assert deployment["alarms"]["triggeredAlarmNames"] == ["errors"]


def test_a_rollback_may_revive_the_old_deployment_id() -> None:
    world = World(quirks=Quirks(rollback_reuses_deployment=True))
    with world.simulated_time():
        stage = Stage(world, breaker="rollback")
        before = stage.primary()["id"]

        deployment = stage.follow(stage.release(world.image("web", behaviour=CRASHES)))

        assert deployment["status"] == "ROLLBACK_SUCCESSFUL"
        assert stage.primary()["id"] == before
