"""Evidence: what is kept of it, and that whatever cannot be read is only missing."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

from deploy_action.errors import AwsError, Refusal
from deploy_action.evidence import LOG_LINE, TASKS_KEPT, Evidence, collect_task
from deploy_action.model import Definition, TargetHealth
from tests.unit.builders import NEW_REVISION, Desk, crashed, task

SIDECAR = {"name": "proxy", "essential": False}
APP = {
    "name": "app",
    "logConfiguration": {
        "logDriver": "awslogs",
        "options": {"awslogs-group": "/ecs/web", "awslogs-stream-prefix": "web"},
    },
}
DEFINITION = Definition(
    arn=NEW_REVISION,
    status="ACTIVE",
    body={"containerDefinitions": [APP, SIDECAR], "taskRoleArn": "arn:aws:iam::1:role/web"},
)


def collected(tail: Any, lines: int = 3) -> Evidence:  # noqa: ANN401 - a door of the gateways
    gateways: Any = SimpleNamespace(logs=SimpleNamespace(tail=tail))
    return collect_task(crashed(1), DEFINITION, lines, gateways, Desk().journal)


def test_a_task_of_its_own_is_explained_by_its_log() -> None:
    asked: list[tuple[str, str, int]] = []

    def tail(group: str, stream: str, lines: int) -> list[str]:
        asked.append((group, stream, lines))
        return ["one\ntwo", "x" * 5000]

    evidence = collected(tail)

    assert asked == [("/ecs/web", "web/app/7c1d", 3)]
    assert evidence.log_container == "app"
    assert evidence.log_tail == ("one", "two", "x" * LOG_LINE)
    assert (evidence.helpers, evidence.task_role) == (
        frozenset({"proxy"}),
        "arn:aws:iam::1:role/web",
    )


def test_a_log_that_may_not_be_read_is_only_missing() -> None:
    def tail(*_: object) -> list[str]:
        raise AwsError("logs:GetLogEvents", Refusal.DENIED, "AccessDenied", "no")

    assert collected(tail).log_tail == ()


def test_no_log_is_read_where_none_is_wanted() -> None:
    assert collected(None, lines=0).log_tail == ()


def test_the_lines_leave_the_routine_out_and_are_few() -> None:
    stops = tuple(replace(crashed(1), arn=f"task/{n}") for n in range(9))
    evidence = Evidence(
        stops=(task(stopped_reason="Scaling activity initiated by (deployment x)"), *stops),
        events=("(service web) has started 1 tasks", "(service web) was unable to place a task"),
        targets=(TargetHealth(target="10.0.0.1:80", state="unhealthy", reason="", description=""),),
        deployment=("tasks failed to start",),
    )

    lines = evidence.lines

    assert len([line for line in lines if line.startswith("task ")]) == TASKS_KEPT
    assert lines[-3:] == (
        "target 10.0.0.1:80 is unhealthy",
        "event: (service web) was unable to place a task",
        "deployment: tasks failed to start",
    )
