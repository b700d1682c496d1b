"""Moments at which somebody else acts or an answer goes astray: what the storms found once."""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from tests.scenarios.stage import CRASHING, OLD, Stage
from tests.simulator import Behaviour, Quirks, World, faults
from tests.simulator.core import Timings

WRONG = Behaviour(json={"status": "ok", "version": "another"})
QUICK = Timings(scheduler=1, provision=2, pull=1, start=0.5, deprovision=1, complete=0.5)
TRIPS_AT_ONCE = {"thresholdConfiguration": {"type": "COUNT", "value": 1}}


def somebody_deploys(stage: Stage) -> Callable[[], str]:
    """Their image behaves well; the answer is their revision."""
    theirs = stage.world.image("web", tag="theirs", behaviour=OLD)

    def deploy() -> str:
        with stage.world.calls.acting("foreign"):
            return stage.world.deploy("web", theirs)

    return deploy


def test_a_deployment_that_began_during_the_build_is_not_replaced(stage: Stage) -> None:
    deploy = somebody_deploys(stage)
    stage.world.faults.append(faults.on("builder:build_and_push", faults.meanwhile(deploy)))

    outcome = stage.deploy()

    assert outcome.verdict == "blocked"
    assert "Somebody else deployed web while this release was prepared" in outcome.log
    assert stage.world.own_updates("web") == []
    assert stage.deploy().verdict == "deployed"
    assert len(stage.world.builder.builds) == 1


def test_a_deployment_that_begins_as_we_roll_back_is_not_replaced(stage: Stage) -> None:
    stage.world.builder.behaviour = WRONG
    deploy = somebody_deploys(stage)
    stage.world.faults.append(faults.on("ecs:StopServiceDeployment", faults.meanwhile(deploy)))

    outcome = stage.deploy()

    assert outcome.verdict == "superseded"
    assert len(stage.world.own_updates("web")) == 1


def test_a_deployment_right_after_the_rollback_of_ecs_is_said(stage: Stage) -> None:
    stage.world.builder.behaviour = CRASHING
    deploy = somebody_deploys(stage)
    # The endpoint is asked twice before the release, and then by the proof of the old revision.
    stage.world.faults.append(faults.on("http:get", faults.meanwhile(deploy), skip=2))

    outcome = stage.deploy()

    assert outcome.verdict == "superseded"
    assert outcome.outputs["rolled-back"] == "false"


def test_an_answer_that_cannot_be_read_is_looked_after(stage: Stage) -> None:
    def empty(answer: dict[str, Any]) -> None:
        answer["service"]["deployments"] = []

    stage.world.faults.append(faults.on("ecs:UpdateService", faults.mangled(empty)))

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert len(stage.world.own_updates("web")) == 1


def test_a_release_that_began_after_all_is_followed(stage: Stage) -> None:
    lost = faults.on("ecs:UpdateService", faults.lost_answer())
    refused = faults.on("ecs:UpdateService", faults.access_denied(), skip=1)
    # Neither of the two looks after the silence is answered.
    blind = faults.on("ecs:DescribeServices", faults.access_denied(), times=2, skip=2)
    stage.world.faults.extend([lost, refused, blind])

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert len(stage.world.own_updates("web")) == 1


def test_a_release_that_was_undone_before_anybody_looked_is_not_repeated(tmp_path: Path) -> None:
    world = World(timings=QUICK, quirks=Quirks(rollback_reuses_deployment=True))
    stage = Stage(
        tmp_path,
        world=world,
        load_balanced=False,
        breaker="rollback",
        breaker_settings=TRIPS_AT_ONCE,
    )
    world.builder.behaviour = CRASHING
    world.faults.append(faults.on("ecs:UpdateService", faults.timed_out()))

    outcome = stage.deploy(health_path="", health_json="")

    assert outcome.verdict == "unknown"
    assert "the circuit breaker may have rolled it back at once" in outcome.log
    assert len(world.own_updates("web")) == 1


def test_a_breaker_that_stops_what_was_to_be_rolled_back_is_no_dead_end(tmp_path: Path) -> None:
    # Two tasks stop: we ask for a rollback, and before ECS obeys the breaker counts them too.
    world = World(timings=replace(QUICK, scheduler=3, deprovision=4))
    settings = {"thresholdConfiguration": {"type": "COUNT", "value": 2}}
    stage = Stage(
        tmp_path, world=world, desired=2, breaker="no-rollback", breaker_settings=settings
    )
    world.builder.behaviour = CRASHING

    outcome = stage.deploy()

    asked, *_ = world.history.of("stop-requested")
    assert world.state.service_deployments[asked.detail["deployment"]].status == "STOPPED"
    assert outcome.verdict == "rolled-back"
    assert stage.runs_the_old()


def test_a_record_that_shows_late_is_not_taken_for_ours(tmp_path: Path) -> None:
    world = World(quirks=Quirks(service_deployment_visible_after=40.0))
    stage = Stage(tmp_path, world=world)
    stage.world.deploy("web", stage.world.image("web", tag="broken", behaviour=CRASHING))
    world.clock.advance(110)

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    ours = outcome.outputs["service-deployment-arn"]
    target = world.state.revisions[world.state.service_deployments[ours].target]
    assert target.task_definition == outcome.outputs["task-definition-arn"]


def test_a_new_word_for_the_state_of_a_service_is_no_deletion(stage: Stage) -> None:
    def rename(answer: dict[str, Any]) -> None:
        answer["services"][0]["status"] = "HIBERNATING"

    stage.world.faults.append(faults.on("ecs:DescribeServices", faults.mangled(rename), skip=3))

    assert stage.deploy().verdict == "deployed"


def test_a_worker_has_the_time_to_settle_whatever_a_probe_would_have(
    stage_with: Callable[..., Stage],
) -> None:
    stage = stage_with(load_balanced=False)

    outcome = stage.deploy(health_path="", health_json="", health_timeout_seconds="5")

    assert outcome.verdict == "deployed"


def test_a_slow_aws_is_no_sick_endpoint(stage: Stage) -> None:
    # While the first of three questions is asked, AWS uses up the time of all of them.
    stage.world.faults.append(faults.on("http:get", faults.slow(12), skip=2))

    outcome = stage.deploy(health_timeout_seconds="10")

    assert outcome.verdict == "deployed"


def test_a_cancelled_run_asks_once_and_leaves_the_rest_to_the_post_step(stage: Stage) -> None:
    stage.world.deny("ecs:StopServiceDeployment")
    stage.world.faults.append(faults.on("ecs:UpdateService", faults.server_error(), skip=1))
    stage.world.at(60, lambda: signal.raise_signal(signal.SIGINT))

    outcome = stage.deploy()

    assert outcome.seconds < 60 + 7
    assert "could not be undone" in outcome.log
    assert stage.finish().code == 0
    assert stage.runs_the_old()


def test_a_check_that_gets_an_empty_answer_is_left_out(stage: Stage) -> None:
    emptied = faults.on("ecr:DescribeImages", faults.emptied(), times=None)
    stage.world.faults.append(emptied)

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert stage.world.history.named("ecr:DescribeImages")
    assert "please report it" not in outcome.log


def test_evidence_that_cannot_be_read_is_left_out(stage: Stage) -> None:
    stage.world.builder.behaviour = CRASHING
    for call in ("elbv2:DescribeTargetHealth", "logs:GetLogEvents"):
        stage.world.faults.append(faults.on(call, faults.emptied(), times=None))

    outcome = stage.deploy()

    assert outcome.verdict == "rolled-back"
    assert stage.runs_the_old()
