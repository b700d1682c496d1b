"""`availability-percent`: the endpoint is asked all the time, and what it missed is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace

from deploy_action.ports import Answer
from tests.scenarios.stage import GOOD, OLD, Stage

GAP = replace(OLD, health_status=503)


def requests(stage: Stage) -> int:
    return sum("/health" in str(c.params["url"]) for c in stage.world.history.named("http:get"))


def test_without_the_input_nothing_more_is_asked(stage: Stage) -> None:
    outcome = stage.deploy()

    # Once before, and three good answers after.
    assert requests(stage) == 4
    assert outcome.report["availability"] is None


def test_a_release_that_loses_no_request_tells_so(stage: Stage) -> None:
    outcome = stage.deploy(availability_percent="100")

    assert outcome.verdict == "deployed"
    seen = outcome.report["availability"]
    assert (seen["failures"], seen["percent"], seen["longest_gap_seconds"]) == (0, 100, 0)
    moving = outcome.report["phases"][3:6]
    assert [phase["title"] for phase in moving] == ["Release", "Follow", "Verify"]
    lasted = sum(phase["seconds"] for phase in moving)
    assert 0.8 * lasted < seen["requests"] <= lasted + 2
    assert f"answered {seen['requests']} of {seen['requests']} requests well" in outcome.log
    assert f"| Availability | 100 % of {seen['requests']} requests" in outcome.summary


def test_a_release_that_loses_requests_goes_back_although_it_is_well(
    stage_with: Callable[..., Stage],
) -> None:
    # The only task goes before the next one is there.
    stage = stage_with(minimum_percent=0, maximum_percent=100)

    outcome = stage.deploy(availability_percent="99.9")

    assert (outcome.code, outcome.verdict) == (7, "unhealthy")
    assert "web lost requests while it was released." in outcome.log
    seen = outcome.report["availability"]
    assert seen["failures"] > 20
    assert 20 < seen["longest_gap_seconds"] <= seen["failures"] + 2
    assert len(seen["first_failures"]) == 5
    assert "UTC it answered 503, expected 200" in seen["first_failures"][0]
    assert seen["first_failures"][0] in outcome.outputs["failure-cause"]
    assert stage.runs_the_old()
    assert stage.latest() is None


def test_less_than_everything_may_be_enough(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(minimum_percent=0, maximum_percent=100)

    outcome = stage.deploy(availability_percent="1")

    assert outcome.verdict == "deployed"
    assert outcome.report["availability"]["failures"] > 20


def test_the_old_version_owes_only_its_status(stage: Stage) -> None:
    """It cannot report the version of the new one, and is asked first."""
    outcome = stage.deploy(
        availability_percent="100", health_json="/version=" + GOOD.json["version"]
    )

    assert outcome.verdict == "deployed"


def test_a_service_that_was_not_well_before_may_be_healed(stage: Stage) -> None:
    stage.world.set_behaviour(stage.old, GAP)

    outcome = stage.deploy(availability_percent="99")

    assert outcome.verdict == "deployed"
    assert outcome.report["availability"]["percent"] < 99
    assert "the endpoint was not well before the release either" in outcome.summary


def test_an_endpoint_that_hangs_delays_the_end_by_little(stage: Stage) -> None:
    url = f"http://{stage.host}/health"
    clock = stage.world.clock

    def slow() -> Answer:
        clock.advance(4.0)
        return Answer(status=200, body=json.dumps(GOOD.json), headers={})

    usual = stage.deploy().seconds
    stage.world.http.pages[url] = slow

    outcome = stage.deploy(availability_percent="100", force_new_deployment="true")

    assert outcome.verdict == "deployed"
    assert outcome.seconds < usual + 60


def test_it_needs_an_endpoint(stage: Stage) -> None:
    outcome = stage.deploy(availability_percent="99", health_path="", health_json="")

    assert outcome.verdict == "invalid"
    assert (
        "`availability-percent` has no effect without `health-url` or `health-path`" in outcome.log
    )
