"""How long a rolling deployment takes by the service's own settings: at most, and at least."""

from __future__ import annotations

from typing import Any

import pytest

from deploy_action.duration import (
    DRAIN_SECONDS,
    SETTLE_SECONDS,
    START_AT_LEAST,
    START_AT_LEAST_ON_INSTANCES,
    START_SECONDS,
    STOP_SECONDS,
    Target,
    at_least,
    at_most,
    room,
    waves,
)
from deploy_action.model import Json
from tests.unit.builders import service

PLAIN: Json = {"containerDefinitions": [{"name": "app"}]}
ONE_WAVE = START_SECONDS + SETTLE_SECONDS + STOP_SECONDS
CHECKED: Json = {
    "containerDefinitions": [
        {"name": "app", "healthCheck": {"startPeriod": 90, "interval": 10}},
        {"name": "side", "healthCheck": {"command": ["CMD", "true"]}},
    ]
}


def expected(
    body: Json = PLAIN,
    *targets: Target,
    **settings: Any,  # noqa: ANN401 - as the service
) -> float:
    return at_most(service(**settings), body, targets)


WAVES: dict[str, tuple[dict[str, Any], int]] = {
    "all new tasks fit beside the old ones": ({"desired": 4}, 1),
    "half of the tasks are replaced at a time": ({"desired": 4, "maximum_percent": 150}, 2),
    "tasks go before others come": (
        {"desired": 4, "minimum_healthy_percent": 50, "maximum_percent": 100},
        2,
    ),
    "a single task goes before another comes": (
        {"desired": 1, "minimum_healthy_percent": 0, "maximum_percent": 100},
        1,
    ),
    "no room at all is counted as one at a time": (
        {"desired": 3, "minimum_healthy_percent": 100, "maximum_percent": 100},
        3,
    ),
    "percents are rounded as ECS does": ({"desired": 3, "maximum_percent": 150}, 3),
    "the lower bound is rounded up": (
        {"desired": 3, "minimum_healthy_percent": 50, "maximum_percent": 100},
        3,
    ),
    "no task is wanted": ({"desired": 0}, 1),
}


@pytest.mark.parametrize(("settings", "count"), WAVES.values(), ids=WAVES.keys())
def test_counts_the_waves_when(settings: dict[str, Any], count: int) -> None:
    assert waves(service(**settings)) == count
    assert expected(**settings) == count * ONE_WAVE


def test_a_service_whose_bounds_meet_has_no_room() -> None:
    assert room(service(minimum_healthy_percent=100, maximum_percent=100), 2) == 0


# -- at most --


def test_every_wave_waits_for_the_load_balancer_to_let_go() -> None:
    target = Target(check_interval=SETTLE_SECONDS)

    halves = expected(PLAIN, target, desired=4, maximum_percent=150)

    assert halves == 2 * (ONE_WAVE + DRAIN_SECONDS)


def test_the_grace_period_comes_on_top() -> None:
    assert expected(grace_seconds=120) == ONE_WAVE + 120


def test_the_slowest_of_all_health_checks_counts() -> None:
    without_check = ONE_WAVE - SETTLE_SECONDS

    assert expected(CHECKED) == without_check + 100
    assert expected(CHECKED, Target(check_interval=200, deregistration_delay=0)) == (
        without_check + 200
    )
    assert expected(
        PLAIN,
        Target(check_interval=10, deregistration_delay=0),
        Target(check_interval=50, deregistration_delay=7),
    ) == (without_check + 50 + 7)


@pytest.mark.parametrize(
    ("containers", "seconds"),
    [
        ([{"name": "a", "stopTimeout": 120}, {"name": "b"}], 120),
        ([{"name": "a", "stopTimeout": 2}], 2),
        ([{"name": "a", "stopTimeout": 2}, {"name": "b"}], STOP_SECONDS),
        ([], STOP_SECONDS),
    ],
    ids=["one is slow", "all are quick", "one has the default", "there are none"],
)
def test_the_slowest_stop_counts_where(containers: list[Json], seconds: float) -> None:
    assert expected({"containerDefinitions": containers}) == ONE_WAVE - STOP_SECONDS + seconds


# -- at least --


def test_nothing_takes_no_time() -> None:
    estimate = at_least(service(desired=0), PLAIN, ())

    assert estimate.seconds == 0
    assert estimate.dearest is None


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("FARGATE", START_AT_LEAST),
        ("FARGATE_SPOT", START_AT_LEAST),
        ("EC2", START_AT_LEAST_ON_INSTANCES),
    ],
)
def test_a_task_starts_sooner_where_the_machine_is_there(kind: str, start: float) -> None:
    estimate = at_least(service(launch_types=(kind,)), PLAIN, ())

    assert estimate.seconds == start + SETTLE_SECONDS


def test_each_wave_starts_and_checks_and_only_one_drains() -> None:
    halves = service(desired=4, maximum_percent=150, launch_types=("FARGATE",))

    estimate = at_least(halves, PLAIN, (Target(check_interval=10, deregistration_delay=60),))

    assert estimate.seconds == 2 * (START_AT_LEAST + 10) + 60


def test_early_success_does_not_wait_for_the_drain() -> None:
    target = Target(check_interval=10, deregistration_delay=60)

    early = at_least(service(early_success=True, launch_types=("FARGATE",)), PLAIN, (target,))

    assert early.seconds == START_AT_LEAST + 10


DEAREST: dict[str, tuple[Json, tuple[Target, ...], str]] = {
    "the drain": (PLAIN, (Target(),), "the target group's deregistration delay"),
    "the check of the load balancer": (
        PLAIN,
        (Target(check_interval=60, deregistration_delay=5),),
        "the interval of the target group's health check",
    ),
    "the check of a container": (
        CHECKED,
        (Target(check_interval=5, deregistration_delay=5),),
        "the interval of the health check of container 'side'",
    ),
    "the time that ECS waits by itself": (
        PLAIN,
        (),
        "the time that ECS gives a task without any health check",
    ),
}


@pytest.mark.parametrize(("body", "targets", "setting"), DEAREST.values(), ids=DEAREST.keys())
def test_the_setting_that_costs_most_is_named(
    body: Json, targets: tuple[Target, ...], setting: str
) -> None:
    dearest = at_least(service(), body, targets).dearest

    assert dearest is not None
    assert dearest.setting == setting


def test_several_waves_are_blamed_on_the_percents() -> None:
    dearest = at_least(service(desired=4, maximum_percent=150), PLAIN, ()).dearest

    assert dearest is not None
    assert dearest.setting.endswith(", 2 times because of the healthy percents")
    assert dearest.seconds == 2 * SETTLE_SECONDS
