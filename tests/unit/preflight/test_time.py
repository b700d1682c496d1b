"""The least time of a rollout, the limit, and the credentials."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from deploy_action.duration import START_AT_LEAST, Target, at_least
from deploy_action.model import Identity, Lifetime
from deploy_action.preflight import credentials, timing
from tests.unit.builders import START
from tests.unit.preflight.facts import body, container, facts, kinds, service, words

CHECKED = body(container(healthCheck={"interval": 45}))
SETTLED = "the time that ECS gives a task without any health check"
LEAST: dict[str, tuple[dict[str, Any], float, str]] = {
    "AWS's defaults: the drain": (
        {"targets": (Target(),)},
        350,
        "300 s of at least 5 min 50 s is the target group's deregistration delay",
    ),
    "a quick drain: the health check": (
        {"targets": (Target(check_interval=30, deregistration_delay=5),)},
        55,
        "30 s of at least 55 s is the interval of the target group's health check",
    ),
    "a slow check of a container": (
        {"targets": (Target(check_interval=5, deregistration_delay=5),), "body": CHECKED},
        70,
        "45 s of at least 70 s is the interval of the health check of container 'web'",
    ),
    "a worker without any check": (
        {"targets": ()}, 60, f"40 s of at least 60 s is {SETTLED}",
    ),
    "four waves": (
        {
            "targets": (Target(check_interval=30, deregistration_delay=60),),
            "service": service(desired=4, running=4, maximum_percent=125),
        },
        4 * (START_AT_LEAST + 30) + 60,
        (
            "120 s of at least 4 min 20 s is the interval of the target group's health check, "
            "4 times because of the healthy percents"
        ),
    ),
    "early success does not wait for the drain": (
        {"targets": (Target(),), "service": service(early_success=True)},
        50,
        "30 s of at least 50 s is the interval of the target group's health check",
    ),
}  # fmt: skip


@pytest.mark.parametrize(("differences", "seconds", "text"), LEAST.values(), ids=LEAST.keys())
def test_names_the_setting_that_costs_most(
    differences: dict[str, Any], seconds: float, text: str
) -> None:
    found = facts(**differences)

    assert at_least(found.service, found.body, found.targets).seconds == seconds
    assert words(timing.judge(found)) == [f"Passed: {text}"]


def test_a_limit_that_cannot_be_kept_is_warned_about() -> None:
    (text,) = words(timing.judge(facts(limit_seconds=120)))

    assert text.startswith("Warned: The rollout cannot be done within the limit of 2 min 00 s: 300")


def test_without_tasks_there_is_nothing_to_wait_for() -> None:
    assert kinds(timing.judge(facts(given={"desired_count": "0"}))) == []


def lasting(lifetime: Lifetime | None) -> Identity:
    arn = "arn:aws:sts::1:assumed-role/deploy/session"
    return Identity(account="1", arn=arn, region="eu-west-1", credentials=lifetime)


def until(seconds: float) -> Lifetime:
    return Lifetime(is_renewed=False, is_temporary=True, ends_at=START + timedelta(seconds=seconds))


LIFETIMES: dict[str, tuple[Lifetime | None, str]] = {
    "renewed": (Lifetime(is_renewed=True, is_temporary=True), "Passed: they are renewed"),
    "for ever": (Lifetime(is_renewed=False, is_temporary=False), "Passed: they do not expire"),
    "unknown": (Lifetime(is_renewed=False, is_temporary=True), "Skipped: they are temporary"),
    "not known at all": (None, "Skipped: nothing is known"),
    "long enough": (until(3600), "Passed: they work for another 60 min 00 s"),
    "too short for a rollback": (
        until(1000),
        "Warned: The credentials end in 16 min 40 s, and the release and a rollback after it",
    ),
    "too short": (
        until(600),
        "Warned: The credentials end in 10 min 00 s, and the release may take 15 min 00 s.",
    ),
    "over": (until(-5), "Warned: The credentials end in 0.0 s"),
}


@pytest.mark.parametrize(("lifetime", "text"), LIFETIMES.values(), ids=LIFETIMES.keys())
def test_the_credentials_against_the_limit(lifetime: Lifetime | None, text: str) -> None:
    (told,) = words(credentials.judge(facts(identity=lasting(lifetime))))

    assert told.startswith(text)


def test_the_credentials_have_to_last_for_the_bake_time_too() -> None:
    baking = facts(identity=lasting(until(1900)), given={"bake_minutes": "20"})

    (told,) = words(credentials.judge(baking))

    assert "the release may take 35 min 00 s." in told
