"""Whether the tasks of a service can move, and what its settings ask of the definition."""

from __future__ import annotations

from typing import Any

import pytest

from deploy_action.model import Json, LoadBalancing, Registration
from deploy_action.preflight.service import breaker, mappings, movement
from tests.unit.builders import deployment
from tests.unit.builders import service as moving_service
from tests.unit.preflight.facts import body, container, facts, kinds, service, words

STUCK = {
    "100 and 100": (2, 100, 100, "200"[:3]),
    "one task and half of one more": (1, 100, 150, "200"),
    "rounded up and down to the same": (1, 50, 150, "200"),
    "ten tasks and five percent": (10, 100, 105, "110"),
}


@pytest.mark.parametrize(("desired", "low", "high", "enough"), STUCK.values(), ids=STUCK.keys())
def test_percents_that_cannot_move_refuse(desired: int, low: int, high: int, enough: str) -> None:
    stuck = service(
        desired=desired, running=desired, minimum_healthy_percent=low, maximum_percent=high
    )

    (text,) = words(movement(facts(service=stuck)))

    assert text.startswith("Refused: web can never exchange its tasks.")
    assert f"`maximum-percent` to {150 if desired == 2 else enough} or more" in text


MOVING = {
    "all at once": {"desired": 4},
    "one leaves before one comes": {"minimum_healthy_percent": 0, "maximum_percent": 100},
    "a daemon, one per instance": {"maximum_percent": 100, "scheduling": "DAEMON"},
}


@pytest.mark.parametrize("settings", MOVING.values(), ids=MOVING.keys())
def test_others_can_move(settings: dict[str, Any]) -> None:
    settings = {**settings, "running": settings.get("desired", 2)}

    assert kinds(movement(facts(service=service(**settings)))) == ["Passed"]


def test_the_wanted_count_decides_and_not_the_present_one() -> None:
    half = service(desired=2, running=2, maximum_percent=150)

    assert kinds(movement(facts(service=half))) == ["Passed"]
    assert kinds(movement(facts(service=half, given={"desired_count": "1"}))) == ["Refused"]


def test_no_task_at_all_is_said() -> None:
    (text,) = words(movement(facts(service=service(desired=0, running=0))))

    assert text.startswith("Warned: web wants 0 tasks: nothing will run")


def test_tasks_that_are_missing_already_are_said() -> None:
    first, _ = words(movement(facts(service=service(desired=2, running=1))))

    assert first.startswith("Warned: Only 1 of 2 tasks run before this release.")


def test_a_deployment_that_only_fails_is_said() -> None:
    busy = moving_service(deployment(rollout_state="IN_PROGRESS"), launch_types=("FARGATE",))

    first, _ = words(movement(facts(service=busy)))

    assert first.startswith("Warned: A deployment that only fails is in flight")


def test_a_breaker_that_is_off_comes_with_the_setting_to_add() -> None:
    off = service(has_breaker=False, maximum_percent=150)

    (text,) = words(breaker(facts(service=off)))

    assert text.startswith("Warned: The deployment circuit breaker is off")
    assert "Set `circuit-breaker: rollback`" in text
    assert kinds(breaker(facts())) == ["Passed"]


def leads(container_name: str, port: int | None) -> LoadBalancing:
    return LoadBalancing(target_group_arn="arn:tg", container=container_name, port=port)


RANGE = container(portMappings=[{"containerPortRange": "9000-9010"}])
MISFITS: dict[str, tuple[Json, LoadBalancing, str]] = {
    "a container that is gone": (body(container("app")), leads("web", 8080), "It has 'app'."),
    "a port that is gone": (
        body(container(portMappings=[{"containerPort": 80}])),
        leads("web", 8080),
        "Its `portMappings` hold 80.",
    ),
    "no port at all": (body(container(portMappings=[])), leads("web", 8080), "hold none."),
    "a port outside of a range": (body(RANGE), leads("web", 8080), "hold 9000-9010."),
}


@pytest.mark.parametrize(("new", "balanced", "why"), MISFITS.values(), ids=MISFITS.keys())
def test_a_load_balancer_that_would_lead_nowhere_refuses(
    new: Json, balanced: LoadBalancing, why: str
) -> None:
    (text,) = words(mappings(facts(body=new, service=service(load_balancing=(balanced,)))))

    assert text.startswith("Refused: The load balancer leads to")
    assert why in text


@pytest.mark.parametrize(
    ("new", "balanced"),
    [(body(), leads("web", 8080)), (body(RANGE), leads("web", 9010)), (body(), leads("web", None))],
    ids=["the same port", "inside a range", "no port named"],
)
def test_a_load_balancer_that_fits_passes(new: Json, balanced: LoadBalancing) -> None:
    found = facts(body=new, service=service(load_balancing=(balanced,)))

    assert kinds(mappings(found)) == ["Passed"]


def test_a_service_registry_is_looked_at_like_a_load_balancer() -> None:
    registered = Registration(registry_arn="arn:sd", container="web", port=9090)

    (text,) = words(mappings(facts(service=service(registrations=(registered,)))))

    assert text.startswith("Refused: The service registry leads to port 9090 of 'web'")


def test_service_connect_needs_the_name_of_its_port() -> None:
    connected = service(connected_ports=("http",))
    named = body(container(portMappings=[{"containerPort": 8080, "name": "http"}]))

    (text,) = words(mappings(facts(service=connected)))

    assert "Service Connect offers the port 'http'" in text
    assert kinds(mappings(facts(service=connected, body=named))) == []


def test_a_registry_that_names_no_container_asks_nothing() -> None:
    unnamed = Registration(registry_arn="arn:sd", container=None, port=None)

    assert kinds(mappings(facts(service=service(registrations=(unnamed,))))) == []


def test_a_worker_without_either_has_nothing_to_say() -> None:
    assert kinds(mappings(facts())) == []
