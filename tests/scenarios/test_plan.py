"""`operation: plan` shows what a release would do, and writes nothing."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.stage import Outcome, Stage

GOLDEN = Path(__file__).parent / "golden"
READS = re.compile(r"(Describe|List|Get|BatchGet|Simulate|Head|get$)")


def assert_nothing_was_written(stage: Stage, changes: int) -> None:
    """Neither in effect nor on the wire."""
    assert len(stage.world.history.changes) == changes
    assert [c.operation for c in stage.world.history.calls if not READS.match(c.operation)] == []
    assert stage.world.builder.builds == []


def summary(outcome: Outcome) -> str:
    """The page without what differs from run to run."""
    text = re.sub(r"web-[0-9a-f]{9}", "web-123456789", outcome.summary)
    return re.sub(r"\d+\.\d s", "0.0 s", text)


def assert_golden(name: str, text: str, *, update: bool) -> None:
    file = GOLDEN / f"{name}.md"
    if update:
        file.parent.mkdir(exist_ok=True)
        file.write_text(text)
    assert file.read_text() == text, "run `pytest --update tests/scenarios`"


def test_the_plan_of_a_changed_service(stage_with: Callable[..., Stage], *, update: bool) -> None:
    stage = stage_with(environment={"PORT": "8080", "API_TOKEN": "canary-token-value"})
    changes = len(stage.world.history.changes)

    outcome = stage.deploy(
        operation="plan",
        environment_variables="COLOUR=blue\nAPI_TOKEN=canary-other-value",
        memory="1024",
        desired_count="2",
        extra_tags="stable",
    )

    assert (outcome.code, outcome.verdict) == (0, "planned")
    assert_nothing_was_written(stage, changes)
    assert "canary" not in outcome.log + outcome.summary + str(outcome.report)
    assert_golden("plan-changed", summary(outcome), update=update)


def test_the_plan_of_an_unchanged_service(stage: Stage, *, update: bool) -> None:
    changes = len(stage.world.history.changes)

    outcome = stage.deploy(
        operation="plan", image=stage.old.by_tag, ecr_repository="", health_json=""
    )

    assert outcome.verdict == "planned"
    assert_nothing_was_written(stage, changes)
    assert_golden("plan-unchanged", summary(outcome), update=update)


@pytest.mark.parametrize(
    ("service", "container"), [("wep", ""), ("web", "app")], ids=["service", "container"]
)
def test_a_plan_is_refused_for_the_same_reasons_as_a_release(
    stage: Stage, service: str, container: str
) -> None:
    planned = stage.deploy(operation="plan", service=service, container_name=container)
    deployed = stage.deploy(service=service, container_name=container)

    assert planned.code == deployed.code == 3
    assert planned.outputs["failure-cause"] == deployed.outputs["failure-cause"]


def test_a_role_that_may_only_read_can_plan(stage: Stage) -> None:
    stage.world.deny(
        "ecs:UpdateService", "ecs:RegisterTaskDefinition", "ecr:PutImage", "iam:PassRole"
    )

    assert stage.deploy(operation="plan").verdict == "planned"
