"""The words of the domain as values: what AWS said at one moment, in our shape.

Pure data and small questions about it. Nothing here calls anything.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

Json = dict[str, Any]
"""A JSON object whose shape AWS owns, kept whole so that no field is lost."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """The workflow run that this step belongs to."""

    sha: str
    repository: str
    url: str
    execution: str = ""
    """What no other execution of any step has: run, attempt, job, step. Empty outside a runner."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifetime:
    """How long the credentials of the job work, as far as that is known."""

    is_renewed: bool
    """Whether they are had again by themselves before they end."""
    is_temporary: bool
    ends_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who calls AWS, and where."""

    account: str
    arn: str
    region: str
    credentials: Lifetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One entry of `deployments[]` of a service."""

    id: str
    status: str
    """PRIMARY, ACTIVE, INACTIVE; unknown values happen and mean "not primary"."""
    task_definition: str
    rollout_state: str | None
    """IN_PROGRESS, COMPLETED, FAILED, or None where ECS does not track it."""
    reason: str
    desired: int
    running: int
    pending: int
    failed_tasks: int
    created_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadBalancing:
    """One entry of `loadBalancers[]` of a service."""

    target_group_arn: str | None
    container: str | None
    port: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Registration:
    """One entry of `serviceRegistries[]`: what Cloud Map is told of a task."""

    registry_arn: str
    container: str | None
    port: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One service event."""

    id: str
    at: datetime
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service as DescribeServices or UpdateService showed it once."""

    arn: str
    name: str
    status: str
    controller: str
    scheduling: str
    strategy: str
    task_definition: str
    desired: int
    running: int
    pending: int
    minimum_healthy_percent: int
    maximum_percent: int
    grace_seconds: int
    early_success: bool
    """Whether ECS may call a deployment done while tasks of the old revision still run."""
    deployments: tuple[Deployment, ...]
    load_balancing: tuple[LoadBalancing, ...]
    events: tuple[Event, ...]
    current_service_deployment: str | None
    registrations: tuple[Registration, ...] = ()
    connected_ports: tuple[str, ...] = ()
    """Names of the ports that Service Connect offers to others."""
    has_breaker: bool = True
    subnets: tuple[str, ...] = ()
    """Where its tasks get an address of their own; empty without the mode `awsvpc`."""
    launch_types: tuple[str, ...] = ()
    """The launch type, or the capacity providers."""
    configuration: Json = field(default_factory=dict)
    """`deploymentConfiguration` as the answer had it."""
    placement: Json = field(default_factory=dict)
    """What RunTask has to be told for a task to run where those of the service do."""

    @property
    def is_on_fargate(self) -> bool:
        return any(kind.startswith("FARGATE") for kind in self.launch_types)

    @property
    def primary(self) -> Deployment | None:
        """The deployment that ECS is moving to or has reached."""
        return next((d for d in self.deployments if d.status == "PRIMARY"), None)

    def deployment(self, deployment_id: str) -> Deployment | None:
        """The entry with this id, if the answer still lists it."""
        return next((d for d in self.deployments if d.id == deployment_id), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceDeployment:
    """A service deployment: the record that says "rolled back" in so many words."""

    arn: str
    status: str
    created_at: datetime | None = None
    reason: str
    rollback_reason: str
    breaker: str
    alarms: tuple[str, ...]
    """Names of the alarms that stopped it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Container:
    """One container of a task."""

    name: str
    image: str
    digest: str | None
    exit_code: int | None
    reason: str
    health: str
    """HEALTHY, UNHEALTHY or UNKNOWN; UNKNOWN also where no check is defined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One task, of a service or by itself."""

    arn: str
    started_by: str
    task_definition: str
    last_status: str
    health: str
    stop_code: str
    stopped_reason: str
    created_at: datetime | None
    started_at: datetime | None
    stopped_at: datetime | None
    containers: tuple[Container, ...]
    group: str = ""
    """`service:NAME` for a task of a service."""

    @property
    def id(self) -> str:
        """The last part of the ARN."""
        return self.arn.rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetHealth:
    """One target of a target group."""

    target: str
    """Address or instance, and port."""
    state: str
    reason: str
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetCheck:
    """How a load balancer asks the targets of one group."""

    protocol: str
    port: str
    """A number, or `traffic-port`."""
    path: str
    """Empty where it only connects."""
    codes: str
    """What counts as healthy, as AWS writes it: `200`, `200-399`."""

    @property
    def question(self) -> str:
        """`GET /health`, or how else it asks."""
        return f"GET {self.path}" if self.path else f"a {self.protocol} connection"


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A registered task definition, whole."""

    arn: str
    status: str
    body: Json
    """`taskDefinition` exactly as the answer had it, unknown fields included."""
    tags: tuple[Mapping[str, str], ...] = ()

    @property
    def revision(self) -> str:
        """`family:number`."""
        return revision_of(self.arn)


@dataclass(frozen=True, slots=True, kw_only=True)
class Repository:
    """An ECR repository."""

    name: str
    uri: str
    """`host/name`, as AWS gives it; never put together from parts."""
    registry_id: str
    mutability: str
    exclusions: tuple[str, ...]
    """Wildcard filters of tags for which the opposite of `mutability` holds."""
    exists: bool = True
    """False for one that is going to be created."""

    @property
    def host(self) -> str:
        """The registry's host, with port where it has one."""
        return self.uri.split("/", 1)[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryImage:
    """An image in ECR, with the manifest that a tag needs to move."""

    repository: Repository
    digest: str
    manifest: str
    media_type: str

    @property
    def uri(self) -> str:
        """Reference by digest."""
        return f"{self.repository.uri}@{self.digest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """A known vulnerability that a scan found."""

    name: str
    """As it is known: `CVE-2026-1234`."""
    severity: str
    package: str
    installed: str
    fixed: str
    """Version without it; empty where none is known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What ECR says of the scan of an image."""

    status: str
    description: str
    counts: Mapping[str, int]
    """Findings by severity."""
    findings: tuple[Finding, ...]
    is_filled: bool
    """Whether results were there: a scan may be over a moment before it shows any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReleaseImage:
    """What a container is going to run."""

    reference: str
    """Goes into the task definition: by digest wherever the digest is known."""
    tagged: str
    """The same image by tag, for people."""
    digests: frozenset[str]
    """Digests that prove it: its own and, of an index, those of its children. Empty if unknown."""
    record: RegistryImage | None = None
    """What ECR says of it, where it can be read."""
    is_ours: bool = False
    """Whether its tags are ours to move."""

    @property
    def stored(self) -> RegistryImage | None:
        """The ECR record, if its tags are ours to move."""
        return self.record if self.is_ours else None

    @property
    def digest(self) -> str:
        """The digest in the reference, or an empty string."""
        return self.reference.partition("@")[2]


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """What the service was before our first write; what "as it was" means."""

    task_definition: str
    """The revision to go back to."""
    deployment_ids: frozenset[str]
    """Every deployment id seen before ours existed: seeing one again is a stale read."""
    service_deployment: str | None
    desired: int
    configuration: Json = field(default_factory=dict)
    """`deploymentConfiguration`, to be put back where we changed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """A service on its way to a revision, by our doing."""

    service: str
    task_definition: str
    deployment_id: str
    baseline: Baseline
    started_at: datetime
    sent_desired: bool = False
    """Whether we set the desired count, so that undoing has to set it back."""
    sent_configuration: bool = False
    """The same of the deployment configuration."""


ONE_OFF = "ecs-deploy/"
"""What `startedBy` of our one-off tasks begins with; those of services have a deployment there."""


def revision_of(arn: str) -> str:
    """`family:number` of a task-definition ARN."""
    return arn.rsplit("/", 1)[-1]


def short_digest(text: str) -> str:
    """The text with every digest cut to the length that people compare."""
    return re.sub(r"(sha256:[0-9a-f]{12})[0-9a-f]{52}", r"\1…", text)
