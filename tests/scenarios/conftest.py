"""Stories start from a stage."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from deploy_action.policy import DECLARED
from tests.scenarios.stage import Stage

IAM_NAMES = {"elbv2": "elasticloadbalancing"}
OTHER_ACTIONS = {"s3:HeadObject": "s3:GetObject"}
"""Operations without an action of their own."""
OUR_OWN = {"builder:build_and_push", "builder:copy", "builder:get", "http:get"}
UNCHECKED = {"sts:AssumeRoleWithWebIdentity", "sts:GetCallerIdentity"}
"""AWS asks for no permission here."""


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    """A load-balanced service with one task."""
    stage = Stage(tmp_path)
    yield stage
    assert_declared(stage)


@pytest.fixture
def stage_with(tmp_path: Path) -> Iterator[Callable[..., Stage]]:
    """The same, with another service."""
    stages: list[Stage] = []

    def make(**service: Any) -> Stage:  # noqa: ANN401 - as World.service
        stages.append(Stage(tmp_path, **service))
        return stages[-1]

    yield make
    for stage in stages:
        assert_declared(stage)


def assert_declared(stage: Stage) -> None:
    """No story makes a call that the policy knows nothing of."""
    calls = {(call.service, call.operation) for call in stage.world.history.calls}
    actions = {f"{IAM_NAMES.get(service, service)}:{operation}" for service, operation in calls}
    actions = {OTHER_ACTIONS.get(action, action) for action in actions}
    assert actions <= set(DECLARED) | OUR_OWN | UNCHECKED
