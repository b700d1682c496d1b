"""What ECS remembers: plain mutable records without behaviour, so a snapshot is a pickle."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Tree = dict[str, Any]


@dataclass(slots=True, kw_only=True)
class TaskDefinition:
    """One revision; `body` holds the registered fields with the defaults that ECS adds."""

    arn: str
    family: str
    revision: int
    body: Tree
    tags: list[Tree]
    registered_at: datetime
    deregistered_at: datetime | None = None

    @property
    def status(self) -> str:
        return "INACTIVE" if self.deregistered_at else "ACTIVE"

    @property
    def containers(self) -> list[Tree]:
        containers: list[Tree] = self.body["containerDefinitions"]
        return containers


@dataclass(slots=True, kw_only=True)
class Revision:
    """A service revision: what a service deployment brings in, with resolved digests."""

    arn: str
    service: str
    task_definition: str
    load_balancers: list[Tree]
    network: Tree | None
    launch_type: str
    images: list[Tree]
    created_at: datetime


@dataclass(slots=True, kw_only=True)
class ServiceDeployment:
    """The record that says which way a deployment ended."""

    arn: str
    service: str
    target: str
    sources: list[str]
    status: str
    created_at: datetime
    visible_at: datetime
    configuration: Tree
    status_reason: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None
    stopped_at: datetime | None = None
    updated_at: datetime | None = None
    rollback: Tree | None = None
    breaker_status: str = "DISABLED"
    failure_count: int = 0
    threshold: int = 0
    alarms: Tree | None = None
    frozen_counts: dict[str, Tree] | None = None
    """Task counts per revision as they were at the end."""


@dataclass(slots=True, kw_only=True)
class Deployment:
    """One entry of `services[].deployments[]`."""

    id: str
    status: str
    task_definition: str
    revision: str
    desired: int
    created_at: datetime
    updated_at: datetime
    service_deployment: str
    rollout_state: str = "IN_PROGRESS"
    reason: str | None = None
    failed_tasks: int = 0
    failures: int = 0
    """All failures, also those from before the last healthy task."""
    digests: dict[str, str] = field(default_factory=dict)
    """Container to the digest that every later task must run."""
    is_rollback: bool = False
    started: bool = False
    baked_at: datetime | None = None
    """When the alarms will have stayed quiet for long enough."""
    next_start_at: datetime | None = None
    """Set while failed starts hold back the next one."""
    armed_alarms: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Service:
    """A service of the ROLLING strategy under the ECS controller, unless stated otherwise."""

    arn: str
    name: str
    cluster: str
    task_definition: str
    desired: int
    configuration: Tree
    load_balancers: list[Tree]
    network: Tree | None
    grace_seconds: int | None
    created_at: datetime
    launch_type: str = "FARGATE"
    controller: str = "ECS"
    scheduling: str = "REPLICA"
    status: str = "ACTIVE"
    deployments: list[Deployment] = field(default_factory=list)
    events: list[Tree] = field(default_factory=list)
    completed: str | None = None
    """Revision of the last COMPLETED deployment: what a rollback returns to."""
    completed_deployment: str | None = None
    placement_problem: str | None = None
    """Why no task can be placed at the moment."""
    tags: list[Tree] = field(default_factory=list)
    extra: Tree = field(default_factory=dict)
    """Fields that the simulator only stores and returns."""
    last_complaint: datetime | None = None

    @property
    def primary(self) -> Deployment:
        return next(each for each in self.deployments if each.status == "PRIMARY")


@dataclass(slots=True, kw_only=True)
class Container:
    """One container of a task."""

    name: str
    arn: str
    image: str
    essential: bool
    digest: str | None = None
    status: str = "PENDING"
    exit_code: int | None = None
    reason: str | None = None
    health: str = "UNKNOWN"
    has_check: bool = False
    failed_checks: int = 0
    ran_at: datetime | None = None
    ended: bool = False


@dataclass(slots=True, kw_only=True)
class Task:
    """One task; `deployment` is None for those of RunTask."""

    arn: str
    cluster: str
    group: str
    task_definition: str
    containers: list[Container]
    created_at: datetime
    launch_type: str
    address: str
    subnet: str
    started_by: str | None = None
    service: str | None = None
    deployment: str | None = None
    overrides: Tree = field(default_factory=dict)
    tags: list[Tree] = field(default_factory=list)
    client_token: str | None = None
    status: str = "PROVISIONING"
    desired_status: str = "RUNNING"
    stop_code: str | None = None
    stopped_reason: str | None = None
    pull_started_at: datetime | None = None
    pull_stopped_at: datetime | None = None
    started_at: datetime | None = None
    stopping_at: datetime | None = None
    execution_stopped_at: datetime | None = None
    stopped_at: datetime | None = None
    settled: bool = False
    """Without any health check: has been RUNNING long enough."""
    is_healthy: bool = False
    was_healthy: bool = False
    version: int = 1

    @property
    def id(self) -> str:
        return self.arn.rsplit("/", 1)[1]

    @property
    def is_alive(self) -> bool:
        return self.status != "STOPPED"

    @property
    def is_stopping(self) -> bool:
        return self.desired_status == "STOPPED"
