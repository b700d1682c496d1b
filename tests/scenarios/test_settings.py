"""What the inputs set of a service besides its revision, and everything else of it."""

from __future__ import annotations

import copy
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.scenarios.stage import CRASHING, Stage
from tests.simulator import Quirks, World

CONFIGURED = {
    "alarms": {"alarmNames": ["cpu"], "enable": True, "rollback": True},
    "deploymentCircuitBreaker": {
        "enable": True,
        "rollback": False,
        "resetOnHealthyTask": True,
        "thresholdConfiguration": {"type": "COUNT", "value": 9},
    },
    "bakeTimeInMinutes": 7,
    "earlySuccessCriteria": {"enable": False},
}
"""Settings that no input knows."""


@pytest.fixture(params=[True, False], ids=["merged", "replaced"])
def configured(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    """A service with settings of its own, under both readings of what an update does to them."""
    world = World(quirks=Quirks(configuration_is_merged=request.param))
    world.alarm("cpu")
    return Stage(tmp_path, world=world, deployment_configuration=CONFIGURED, desired=2)


def configuration(stage: Stage) -> dict[str, Any]:
    return copy.deepcopy(stage.world.state.service("web").configuration)


def sent(stage: Stage) -> list[dict[str, Any]]:
    return [dict(call.params) for call in stage.world.history.named("ecs:UpdateService")]


def test_what_is_not_set_is_not_sent(configured: Stage) -> None:
    before = configuration(configured)

    configured.deploy()

    (update,) = sent(configured)
    assert not {"deploymentConfiguration", "desiredCount"} & set(update)
    assert configuration(configured) == before


def test_only_what_is_set_is_changed(configured: Stage) -> None:
    before = configuration(configured)

    outcome = configured.deploy(
        minimum_healthy_percent="50", maximum_percent="150", circuit_breaker="rollback"
    )

    assert outcome.verdict == "deployed"
    breaker = {**before["deploymentCircuitBreaker"], "rollback": True}
    assert configuration(configured) == {
        **before,
        "minimumHealthyPercent": 50,
        "maximumPercent": 150,
        "deploymentCircuitBreaker": breaker,
    }


def test_a_setting_that_is_there_already_is_not_sent(configured: Stage) -> None:
    configured.deploy(circuit_breaker="stop", maximum_percent="200")

    assert "deploymentConfiguration" not in sent(configured)[0]


@pytest.mark.parametrize("denied", [[], ["ecs:StopServiceDeployment"]], ids=["by ECS", "by update"])
def test_a_rollback_puts_the_settings_back(configured: Stage, denied: list[str]) -> None:
    configured.world.builder.behaviour = CRASHING
    configured.world.deny(*denied)
    before = configuration(configured)

    outcome = configured.deploy(maximum_percent="150", circuit_breaker="off", desired_count="3")

    assert outcome.verdict == "rolled-back"
    assert configuration(configured) == before
    assert configured.world.state.service("web").desired == 2
    assert configured.runs_the_old()


def test_settings_that_cannot_be_put_back_are_not_passed_over(stage: Stage) -> None:
    stage.world.builder.behaviour = CRASHING
    stage.world.at(75, lambda: stage.world.deny("ecs:UpdateService"))

    outcome = stage.deploy(minimum_healthy_percent="0")

    assert outcome.verdict == "rollback-failed"
    assert "the service's settings were not put back" in outcome.log
    assert '--deployment-configuration \'{"deploymentCircuitBreaker"' in outcome.log


def test_the_post_step_puts_the_settings_back(stage: Stage) -> None:
    before = configuration(stage)
    stage.world.at(60, lambda: signal.raise_signal(signal.SIGINT))

    assert stage.deploy(minimum_healthy_percent="0").code == 128 + signal.SIGINT
    assert configuration(stage)["minimumHealthyPercent"] == 0
    assert stage.finish().code == 0

    assert configuration(stage) == before
    assert stage.runs_the_old()


def test_a_second_run_changes_the_settings_alone(stage: Stage) -> None:
    stage.deploy()
    before = stage.world.primary("web").id

    outcome = stage.deploy(minimum_healthy_percent="0")

    assert outcome.verdict == "unchanged"
    assert (
        "only the deployment settings were changed (minimumHealthyPercent 100 → 0)" in outcome.log
    )
    assert configuration(stage)["minimumHealthyPercent"] == 0
    assert stage.world.primary("web").id == before


def test_a_plan_tells_them_and_sends_nothing(stage: Stage) -> None:
    outcome = stage.deploy(
        operation="plan", minimum_healthy_percent="0", circuit_breaker="rollback"
    )

    assert "deploymentConfiguration: minimumHealthyPercent 100 → 0, " in outcome.log
    assert "deploymentCircuitBreaker off → rollback" in outcome.log
    assert not stage.world.own_updates("web")


def test_settings_that_let_no_task_move_are_refused(stage: Stage) -> None:
    outcome = stage.deploy(maximum_percent="100")

    assert (outcome.code, outcome.verdict) == (3, "blocked")
    assert "let ECS neither stop nor start one" in outcome.log
    assert not stage.changes()


def test_settings_that_let_a_stuck_service_move_are_enough(
    stage_with: Callable[..., Stage],
) -> None:
    stage = stage_with(maximum_percent=150)

    assert stage.deploy().verdict == "blocked"
    assert stage.deploy(minimum_healthy_percent="0").verdict == "deployed"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("minimum-healthy-percent", "101"),
        ("maximum-percent", "99"),
        ("maximum-percent", "many"),
        ("circuit-breaker", "on"),
    ],
)
def test_values_that_aws_does_not_take_are_invalid(stage: Stage, name: str, value: str) -> None:
    outcome = stage.deploy(env={f"INPUT_{name.upper()}": value})

    assert outcome.verdict == "invalid"
    assert f"`{name}`" in outcome.log
