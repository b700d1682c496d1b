"""The alarms that must not fire: before the release, during it, and while it bakes."""

from __future__ import annotations

import re

import pytest

from tests.scenarios.stage import Stage
from tests.simulator import faults

ASKED = "cloudwatch:DescribeAlarms"


def calls(stage: Stage) -> int:
    return len(stage.world.history.named(ASKED))


def test_without_alarms_nothing_is_asked(stage: Stage) -> None:
    stage.deploy()

    assert calls(stage) == 0


@pytest.mark.parametrize("is_composite", [False, True], ids=["metric", "composite"])
def test_alarms_that_stay_quiet_are_told(stage: Stage, *, is_composite: bool) -> None:
    stage.world.alarm("errors", is_composite=is_composite)
    stage.world.alarm("latency")

    outcome = stage.deploy(alarms="errors, latency")

    assert outcome.verdict == "deployed"
    assert "✓ alarms         errors and latency are OK" in outcome.log
    assert "The alarms errors, latency did not fire." in outcome.summary
    assert "?region=eu-west-1#alarmsV2:alarm/latency)" in outcome.summary
    assert calls(stage) < outcome.seconds / 30 + 4


@pytest.mark.parametrize("seconds", [70, 115], ids=["while it moves", "at its end"])
def test_an_alarm_that_fires_takes_the_release_back(stage: Stage, seconds: float) -> None:
    stage.world.alarm("errors")
    stage.world.at(seconds, lambda: stage.world.set_alarm("errors", "ALARM"))

    outcome = stage.deploy(alarms="errors")

    assert (outcome.code, outcome.verdict) == (5, "rolled-back")
    assert "An alarm fired while web was released." in outcome.log
    assert "The alarm 'errors' is in ALARM: Threshold Crossed: 1 datapoint [9.0]" in outcome.log
    assert "'errors'" in outcome.outputs["failure-cause"]
    assert stage.runs_the_old()
    assert stage.latest() is None


def test_an_alarm_that_fires_already_blocks(stage: Stage) -> None:
    stage.world.alarm("errors", "ALARM", is_composite=True)

    outcome = stage.deploy(alarms="errors")

    assert (outcome.code, outcome.verdict) == (3, "blocked")
    assert "The alarm 'errors' fires before the release." in outcome.log
    assert "run the workflow without it in `alarms`" in outcome.log
    assert not stage.changes()


def test_an_alarm_that_fires_during_the_build_is_not_blamed_on_the_release(stage: Stage) -> None:
    stage.world.alarm("errors")
    stage.world.at(10, lambda: stage.world.set_alarm("errors", "ALARM"))

    outcome = stage.deploy(alarms="errors")

    assert outcome.verdict == "blocked"
    assert "an alarm that must not fire already does" in outcome.log
    assert not stage.world.own_updates("web")


def test_an_alarm_that_is_not_there_blocks(stage: Stage) -> None:
    stage.world.alarm("errors")

    outcome = stage.deploy(alarms="errors\nlatencies")

    assert outcome.verdict == "blocked"
    assert "There is no alarm 'latencies' in eu-west-1." in outcome.log


def test_an_alarm_without_data_is_told(stage: Stage) -> None:
    stage.world.alarm("errors", "INSUFFICIENT_DATA")

    outcome = stage.deploy(alarms="errors")

    assert outcome.verdict == "deployed"
    assert "The alarm 'errors' has no data (INSUFFICIENT_DATA)" in outcome.log
    assert "The alarm errors had no data (INSUFFICIENT_DATA)." in outcome.summary


def test_alarms_that_may_not_be_read_block(stage: Stage) -> None:
    stage.world.alarm("errors")
    stage.world.deny(ASKED)

    outcome = stage.deploy(alarms="errors")

    assert outcome.verdict == "blocked"
    assert f"Allow `{ASKED}`" in outcome.log


def test_alarms_that_cannot_be_read_for_a_while_decide_nothing(stage: Stage) -> None:
    stage.world.alarm("errors")
    stage.world.faults.append(faults.on(ASKED, faults.throttled(), times=2, skip=1))

    outcome = stage.deploy(alarms="errors")

    assert outcome.verdict == "deployed"
    assert "the alarms could not be read" in outcome.log
    assert "The alarm errors did not fire." in outcome.log


def test_alarms_that_were_not_read_in_the_end_are_not_called_quiet(stage: Stage) -> None:
    stage.world.alarm("errors")
    stage.world.faults.append(faults.on(ASKED, faults.throttled(), times=None, skip=1))

    outcome = stage.deploy(alarms="errors")

    assert outcome.verdict == "deployed"
    assert "The alarms could not be read at the end, so they prove nothing" in outcome.summary
    assert "did not fire" not in outcome.summary


def test_it_bakes_as_long_as_it_is_told(stage: Stage) -> None:
    stage.world.alarm("errors")

    short = stage.deploy(alarms="errors")
    long = stage.deploy(alarms="errors", bake_minutes="10", force_new_deployment="true")

    assert (short.verdict, long.verdict) == ("deployed", "deployed")
    assert "Bake" not in short.log
    assert re.search(
        r"Watched for 10 min more: it stayed in place, (6\d) of \1 answers were good\.", long.log
    )
    assert long.seconds > 10 * 60


def test_an_alarm_that_fires_while_it_bakes_takes_the_release_back(stage: Stage) -> None:
    stage.world.alarm("errors")
    stage.world.at(400, lambda: stage.world.set_alarm("errors", "ALARM"))

    outcome = stage.deploy(alarms="errors", bake_minutes="10")

    assert outcome.verdict == "rolled-back"
    assert "✗ 7 Bake" in outcome.log
    assert outcome.seconds < 700
    assert stage.runs_the_old()
    assert stage.latest() is None


def test_all_services_of_a_step_go_back_and_ask_together(stage: Stage) -> None:
    names = ["web", *(f"worker-{number}" for number in range(9))]
    for name in names[1:]:
        stage.world.service(name, image=stage.old)
    stage.world.alarm("errors")
    stage.world.at(70, lambda: stage.world.set_alarm("errors", "ALARM"))

    outcome = stage.deploy(service="\n".join(names), alarms="errors")

    assert outcome.verdict == "rolled-back"
    assert all(stage.world.is_serving(name, stage.old) for name in names)
    # Each in its own checks, and from then on one for all.
    assert calls(stage) < len(names) + 5
