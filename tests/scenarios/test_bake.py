"""What is watched after a release was proved, for as long as `bake-minutes` says."""

from __future__ import annotations

import re
import signal
from dataclasses import replace

from tests.scenarios.stage import CRASHING, GOOD, Stage
from tests.simulator import Behaviour

SICK = replace(GOOD, health_status=500)


def later(seconds: float, behaviour: Behaviour) -> Behaviour:
    """Good at first; the seconds count from its start."""
    return replace(GOOD, later=((seconds, behaviour),))


def test_an_endpoint_that_turns_bad_takes_the_release_back(stage: Stage) -> None:
    stage.world.builder.behaviour = later(180, replace(GOOD, paths={"/health": (200, "{}")}))

    outcome = stage.deploy(bake_minutes="5")

    assert (outcome.code, outcome.verdict) == (7, "unhealthy")
    assert "was well at first, and then its endpoint was not" in outcome.log
    assert "3 bad answers in a row" in outcome.log
    assert stage.runs_the_old()
    assert stage.latest() is None


def test_one_bad_answer_is_told_and_does_not_convict(stage: Stage) -> None:
    stage.world.builder.behaviour = replace(GOOD, later=((180, SICK), (188, GOOD)))

    outcome = stage.deploy(bake_minutes="5")

    assert outcome.verdict == "deployed"
    assert "a bad answer: it answered 500" in outcome.log
    good, asked = re.findall(r"(\d+) of (\d+) answers were good", outcome.summary)[0]
    assert int(good) == int(asked) - 1


def test_tasks_that_stop_while_it_bakes_take_the_release_back(stage: Stage) -> None:
    stage.world.at(200, lambda: stage.world.set_behaviour(_image(stage), CRASHING))
    stage.world.at(201, lambda: stage.world.stop_tasks("web", "TaskFailedToStart", "gone"))

    outcome = stage.deploy(bake_minutes="10", health_path="", health_json="")

    assert outcome.verdict == "rolled-back"
    assert "✗ 7 Bake" in outcome.log
    assert stage.runs_the_old()


def test_somebody_who_deploys_while_it_bakes_is_left_alone(stage: Stage) -> None:
    stage.world.at(300, lambda: stage.world.deploy("web", stage.old))

    outcome = stage.deploy(bake_minutes="10")

    assert (outcome.code, outcome.verdict) == (10, "superseded")
    assert len(stage.world.own_updates("web")) == 1


def test_a_run_that_is_cancelled_while_it_bakes_goes_back(stage: Stage) -> None:
    stage.world.at(300, lambda: signal.raise_signal(signal.SIGINT))

    assert stage.deploy(bake_minutes="10").code == 128 + signal.SIGINT
    assert stage.finish().code == 0

    assert stage.runs_the_old()


def _image(stage: Stage) -> str:
    (task,) = stage.world.running("web")
    return task.containers[0].digest or ""
