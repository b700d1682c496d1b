"""Ordinary values of the domain. A test names only what is different about its own."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from deploy_action import inputs
from deploy_action.errors import InvalidInput
from deploy_action.inputs import Inputs
from deploy_action.model import (
    Baseline,
    Container,
    Deployment,
    Event,
    Rollout,
    Run,
    Service,
    ServiceDeployment,
    Task,
)
from deploy_action.ports import Answer, NoAnswer
from deploy_action.report.console import Console
from deploy_action.report.journal import Journal, Story
from deploy_action.report.redact import Redactor
from deploy_action.rollout import Observation

START = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
"""When our deployment began."""
OLD_ID, OUR_ID, FOREIGN_ID = "ecs-svc/1", "ecs-svc/2", "ecs-svc/3"
RECORD_ARN = "arn:aws:ecs:eu-west-1:123456789012:service-deployment/prod/web/2"
SHA = "3f9c2e1d0b7a4c5e8f60718293a4b5c6d7e8f901"


def after(seconds: float) -> datetime:
    """A moment this long after our deployment began."""
    return START + timedelta(seconds=seconds)


def revision(name: str) -> str:
    """The ARN of `family:number`."""
    return f"arn:aws:ecs:eu-west-1:123456789012:task-definition/{name}"


OLD_REVISION, NEW_REVISION = revision("web:41"), revision("web:42")


def deployment(**differences: Any) -> Deployment:  # noqa: ANN401 - as the dataclass
    """Ours, on its way."""
    ordinary = Deployment(
        id=OUR_ID,
        status="PRIMARY",
        task_definition=NEW_REVISION,
        rollout_state="IN_PROGRESS",
        reason="",
        desired=2,
        running=0,
        pending=0,
        failed_tasks=0,
        created_at=START,
    )
    return replace(ordinary, **differences)


def old_deployment(**differences: Any) -> Deployment:  # noqa: ANN401 - as the dataclass
    """The one from before, still running."""
    ordinary = deployment(
        id=OLD_ID,
        status="ACTIVE",
        task_definition=OLD_REVISION,
        rollout_state="COMPLETED",
        running=2,
        created_at=after(-3600),
    )
    return replace(ordinary, **differences)


def service(*deployments: Deployment, **differences: Any) -> Service:  # noqa: ANN401
    """A service with these deployments; without any, with ours over the old one."""
    ordinary = Service(
        arn="arn:aws:ecs:eu-west-1:123456789012:service/prod/web",
        name="web",
        status="ACTIVE",
        controller="ECS",
        scheduling="REPLICA",
        strategy="ROLLING",
        task_definition=NEW_REVISION,
        desired=2,
        running=2,
        pending=0,
        minimum_healthy_percent=100,
        maximum_percent=200,
        grace_seconds=0,
        early_success=False,
        deployments=deployments or (deployment(), old_deployment()),
        load_balancing=(),
        events=(),
        current_service_deployment=None,
    )
    return replace(ordinary, **differences)


def record(status: str, **differences: Any) -> ServiceDeployment:  # noqa: ANN401
    """Our service deployment."""
    ordinary = ServiceDeployment(
        arn=RECORD_ARN, status=status, reason="", rollback_reason="", breaker="", alarms=()
    )
    return replace(ordinary, **differences)


def container(**differences: Any) -> Container:  # noqa: ANN401 - as the dataclass
    ordinary = Container(
        name="app", image="web:1", digest=None, exit_code=None, reason="", health="UNKNOWN"
    )
    return replace(ordinary, **differences)


def task(*containers: Container, **differences: Any) -> Task:  # noqa: ANN401 - as the dataclass
    """A stopped task of ours."""
    ordinary = Task(
        arn="arn:aws:ecs:eu-west-1:123456789012:task/prod/7c1d",
        started_by=OUR_ID,
        task_definition=NEW_REVISION,
        last_status="STOPPED",
        health="UNKNOWN",
        stop_code="",
        stopped_reason="",
        created_at=after(10),
        started_at=None,
        stopped_at=None,
        containers=containers or (container(),),
    )
    return replace(ordinary, **differences)


def could_not_start(reason: str) -> Task:
    """A task that ECS gave up before its containers ran."""
    return task(stop_code="TaskFailedToStart", stopped_reason=reason)


def crashed(exit_code: int, reason: str = "") -> Task:
    """A task whose essential container ended by itself."""
    return task(
        container(exit_code=exit_code, reason=reason),
        stop_code="EssentialContainerExited",
        stopped_reason="Essential container in task exited",
    )


def rollout(**differences: Any) -> Rollout:  # noqa: ANN401 - as the dataclass
    """Ours."""
    ordinary = Rollout(
        service="web",
        task_definition=NEW_REVISION,
        deployment_id=OUR_ID,
        baseline=Baseline(
            task_definition=OLD_REVISION,
            deployment_ids=frozenset({OLD_ID}),
            service_deployment=None,
            desired=2,
        ),
        started_at=START,
    )
    return replace(ordinary, **differences)


def seen(
    *deployments: Deployment,
    service_deployment: ServiceDeployment | None = None,
    stopped: tuple[Task, ...] = (),
    **differences: Any,  # noqa: ANN401 - as the service
) -> Observation:
    """One look at the service."""
    return Observation(
        service=service(*deployments, **differences),
        service_deployment=service_deployment,
        stopped=stopped,
    )


def event(message: str, at: datetime = START) -> Event:
    return Event(id=message, at=at, message=message)


ENOUGH = {"aws_region": "eu-west-1", "service": "web", "ecr_repository": "web"}
"""Inputs that suffice to build and deploy."""


def environ(base: Mapping[str, str] | None = None, /, **given: str) -> dict[str, str]:
    """The runner's environment for these inputs, names with underscores."""
    chosen = {**(ENOUGH if base is None else base), **given}
    variables = {"INPUT_" + k.upper().replace("_", "-"): v for k, v in chosen.items()}
    return {"GITHUB_SHA": SHA, **variables}


def read(**given: str) -> Inputs:
    """The inputs over the ones that suffice."""
    return inputs.read(environ(**given))


def problems(environment: Mapping[str, str]) -> list[str]:
    """What is wrong with the inputs, a line each; none where they are usable."""
    try:
        inputs.read(environment)
    except InvalidInput as error:
        return [line.removeprefix("- ") for line in error.why.splitlines()]
    return []


class FakeClock:
    """Time passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.passed = 0.0
        self.sleeps: list[float] = []

    def monotonic(self) -> float:
        return self.passed

    def now(self) -> datetime:
        return after(self.passed)

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.passed += seconds


class FakeHttp:
    """Gives the answers in turn, the last one for ever, and keeps what was asked."""

    def __init__(self, *answers: Answer | NoAnswer) -> None:
        self._answers = list(answers)
        self.asked: list[tuple[str, dict[str, str]]] = []

    def get(self, url: str, *, headers: Mapping[str, str], timeout_seconds: float) -> Answer:
        self.asked.append((url, dict(headers)))
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, NoAnswer):
            raise answer
        return answer


def answer(status: int = 200, body: str = "", **headers: str) -> Answer:
    return Answer(status=status, body=body, headers=headers)


class RecordingRunner:
    """The files of the runner, in memory."""

    def __init__(self) -> None:
        self.outputs: list[tuple[str, str]] = []
        self.state: dict[str, str] = {}
        self.summary = ""
        self.reports: dict[str, str] = {}

    def set_output(self, name: str, value: str) -> None:
        self.outputs.append((name, value))

    def save_state(self, name: str, value: str) -> None:
        self.state[name] = value

    def append_summary(self, markdown: str) -> None:
        self.summary += markdown

    def write_report(self, name: str, text: str) -> str:
        self.reports[name] = text
        return f".ecs-deploy/{name}.json"


def story(**differences: Any) -> Story:  # noqa: ANN401 - as the dataclass
    run = Run(sha=SHA, repository="acme/shop", url="https://github.com/acme/shop/actions/runs/4711")
    ordinary = Story(
        service="web", cluster="prod", run=run, region="eu-west-1", account="123456789012"
    )
    return replace(ordinary, **differences)


@dataclass
class Desk:
    """A journal, and everything it writes to."""

    clock: FakeClock = field(default_factory=FakeClock)
    runner: RecordingRunner = field(default_factory=RecordingRunner)
    redact: Redactor = field(default_factory=Redactor)
    stream: io.StringIO = field(default_factory=io.StringIO)
    story: Story = field(default_factory=story)

    def __post_init__(self) -> None:
        self.console = Console(self.stream, self.redact)
        self.journal = Journal(self.console, self.redact, self.clock, self.runner, self.story)

    @property
    def log(self) -> list[str]:
        return self.stream.getvalue().splitlines()


def passing(desk: Desk, seconds: float) -> Callable[[], None]:
    """Something that takes this long."""
    return lambda: desk.clock.sleep(seconds)
