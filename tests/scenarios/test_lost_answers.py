"""Writes whose answer is lost: they take effect once, whatever the network does."""

from __future__ import annotations

import pytest

from tests.scenarios.stage import CRASHING, Stage
from tests.simulator import Fault, faults

SILENCES = {
    "the answer is lost": faults.lost_answer,
    "the answer times out": faults.timed_out,
    "the request is lost": faults.timed_out_unseen,
    "the server fails": faults.server_error,
    "the call is throttled": faults.throttled,
    "nothing is reachable": faults.unreachable,
}


def forward_updates(stage: Stage) -> int:
    return len(stage.world.own_updates("web"))


@pytest.mark.parametrize("force", ["false", "true"])
@pytest.mark.parametrize("fault", SILENCES.values(), ids=SILENCES.keys())
def test_one_deployment_is_started(stage: Stage, fault: type[Fault], force: str) -> None:
    stage.world.faults.append(faults.on("ecs:UpdateService", fault()))

    outcome = stage.deploy(force_new_deployment=force)

    assert outcome.verdict == "deployed"
    assert forward_updates(stage) == 1


@pytest.mark.parametrize("fault", SILENCES.values(), ids=SILENCES.keys())
def test_one_rollback_is_started(stage: Stage, fault: type[Fault]) -> None:
    stage.world.builder.behaviour = CRASHING
    stage.world.faults.append(faults.on("ecs:StopServiceDeployment", fault()))

    outcome = stage.deploy()

    assert outcome.verdict == "rolled-back"
    assert stage.runs_the_old()


@pytest.mark.parametrize("fault", SILENCES.values(), ids=SILENCES.keys())
def test_latest_points_at_the_release(stage: Stage, fault: type[Fault]) -> None:
    stage.world.faults.append(faults.on("ecr:PutImage", fault()))

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert stage.latest() == outcome.outputs["image-digest"]
