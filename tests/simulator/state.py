"""The whole simulated account as data; only what AWS would remember, no behaviour."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from .ecs_records import Revision, Service, ServiceDeployment, Task, TaskDefinition
from .images import Manifest

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Vulnerability:
    """What a scanner finds."""

    name: str = "CVE-2026-1234"
    severity: str = "HIGH"
    package: str = "openssl"
    installed: str = "3.0.1"
    fixed: str = ""
    status: str = "ACTIVE"
    """Of an enhanced finding: a rule may have suppressed it."""


@dataclass(slots=True, kw_only=True)
class Repository:
    """An ECR repository: manifests and blobs by digest, and tags that point at manifests."""

    name: str
    mutability: str
    exclusions: list[str]
    created_at: datetime
    scan_on_push: bool = True
    lifecycle_policy: str | None = None
    manifests: dict[str, Manifest] = field(default_factory=dict)
    pushed_at: dict[str, datetime] = field(default_factory=dict)
    blobs: dict[str, bytes] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)
    findings: dict[str, Sequence[Vulnerability]] = field(default_factory=dict)
    """By digest; one without entry is clean."""
    scanner: Literal["basic", "enhanced"] = "basic"
    scan_seconds: float = 8.0
    scan_end: str | None = None
    """Status that every scan ends with instead of a good one."""
    scans: dict[str, datetime] = field(default_factory=dict)
    """Digest to when its scan began."""


@dataclass(slots=True, kw_only=True)
class Target:
    """One registered address of a target group."""

    address: str
    port: int
    task: str
    container: str
    state: str = "initial"
    reason: str | None = "Elb.RegistrationInProgress"
    description: str | None = "Target registration is in progress"
    passed: int = 0
    failed: int = 0


@dataclass(slots=True, kw_only=True)
class TargetGroup:
    """A target group with its health check."""

    arn: str
    name: str
    port: int
    path: str
    matcher: str
    interval: int
    timeout: int
    healthy_threshold: int
    unhealthy_threshold: int
    drain_seconds: int
    targets: dict[str, Target] = field(default_factory=dict)
    """By task ARN."""
    turn: int = 0
    """Whose turn it is to answer."""


@dataclass(slots=True, kw_only=True)
class Rule:
    """One rule of a listener; without conditions it is the default rule."""

    arn: str
    priority: str
    actions: list[Tree]
    hosts: list[str] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)


@dataclass(slots=True, kw_only=True)
class Listener:
    """One port of a load balancer."""

    arn: str
    load_balancer: str
    port: int
    protocol: str
    rules: list[Rule]


@dataclass(slots=True, kw_only=True)
class LoadBalancer:
    """An application load balancer."""

    arn: str
    name: str
    host: str
    created_at: datetime
    scheme: str = "internet-facing"


@dataclass(slots=True, kw_only=True)
class LogLine:
    """One event of a log stream."""

    time: datetime
    message: str


@dataclass(slots=True, kw_only=True)
class State:
    """Everything; keys are names or ARNs as AWS uses them."""

    account: str
    region: str
    clusters: list[str] = field(default_factory=list)
    task_definitions: dict[str, TaskDefinition] = field(default_factory=dict)
    services: dict[str, Service] = field(default_factory=dict)
    """By service ARN."""
    tasks: dict[str, Task] = field(default_factory=dict)
    service_deployments: dict[str, ServiceDeployment] = field(default_factory=dict)
    revisions: dict[str, Revision] = field(default_factory=dict)
    repositories: dict[str, Repository] = field(default_factory=dict)
    elsewhere: dict[str, dict[str, Repository]] = field(default_factory=dict)
    """Host to the repositories of other registries: of another account or region, or public."""
    target_groups: dict[str, TargetGroup] = field(default_factory=dict)
    load_balancers: dict[str, LoadBalancer] = field(default_factory=dict)
    listeners: dict[str, Listener] = field(default_factory=dict)
    logs: dict[str, dict[str, list[LogLine]]] = field(default_factory=dict)
    """Log group to log stream to lines."""
    alarms: dict[str, str] = field(default_factory=dict)
    """Alarm name to its state."""
    composite_alarms: set[str] = field(default_factory=set)
    """Names of those that are made of others."""
    secrets: dict[str, datetime | None] = field(default_factory=dict)
    """Secret ARN to its deletion date, None when it is not going to be deleted."""
    secret_values: dict[str, str] = field(default_factory=dict)
    """Secret ARN to its value; one without an entry has none yet."""
    topics: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """SNS topic ARN to the subjects and messages that were published."""
    objects: set[str] = field(default_factory=set)
    """`bucket/key` of everything in S3."""
    pull_through_prefixes: list[str] = field(default_factory=list)
    """Of repositories that ECR fills from another registry."""
    parameters: dict[str, str] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    """Role name to the service its trust policy names."""
    run_task_problem: str | None = None
    """Reason with which RunTask places nothing, such as `RESOURCE:MEMORY`."""
    denied: set[str] = field(default_factory=set)
    """Actions (`ecs:UpdateService`) that IAM refuses."""
    policy: Tree | None = None
    """The policy of the caller; without one everything is allowed."""
    asked: set[str] = field(default_factory=set)
    """Actions that were looked up in the policy."""
    subnets: dict[str, int] = field(default_factory=dict)
    """Subnet id to its free addresses."""
    scalable_targets: dict[str, tuple[int, int]] = field(default_factory=dict)
    """`service/<cluster>/<service>` to minimum and maximum."""
    registry_passwords: dict[str, datetime] = field(default_factory=dict)
    """Issued registry passwords and when each expires."""

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"

    @property
    def registry(self) -> str:
        return f"{self.account}.dkr.ecr.{self.region}.amazonaws.com"

    def repositories_at(self, host: str) -> dict[str, Repository] | None:
        """None for a registry that nothing is known of."""
        return self.repositories if host == self.registry else self.elsewhere.get(host)

    def service(self, name: str) -> Service:
        """The service of that name in any cluster; for tests, which name each only once."""
        return next(each for each in self.services.values() if each.name == name)

    def tasks_of(self, service: Service) -> list[Task]:
        return [task for task in self.tasks.values() if task.service == service.arn]
