"""What Amazon ECS answers, in our words: each shape is read here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from deploy_action.model import (
    Container,
    Deployment,
    Event,
    LoadBalancing,
    Registration,
    Service,
    ServiceDeployment,
    Task,
)

PLACEMENT = (
    "networkConfiguration",
    "launchType",
    "capacityProviderStrategy",
    "platformVersion",
    "placementConstraints",
    "placementStrategy",
    "enableECSManagedTags",
)
"""What RunTask takes under the name that DescribeServices gives it."""


def service(raw: Any) -> Service:  # noqa: ANN401 - the shape of botocore
    """A service of DescribeServices or UpdateService."""
    configuration = raw.get("deploymentConfiguration", {})
    return Service(
        arn=raw.get("serviceArn", ""),
        name=raw.get("serviceName", ""),
        status=raw.get("status", ""),
        controller=raw.get("deploymentController", {}).get("type", "ECS"),
        scheduling=raw.get("schedulingStrategy", "REPLICA"),
        strategy=configuration.get("strategy") or "ROLLING",
        task_definition=raw.get("taskDefinition", ""),
        desired=raw.get("desiredCount", 0),
        running=raw.get("runningCount", 0),
        pending=raw.get("pendingCount", 0),
        minimum_healthy_percent=configuration.get("minimumHealthyPercent", 100),
        maximum_percent=configuration.get("maximumPercent", 200),
        grace_seconds=raw.get("healthCheckGracePeriodSeconds", 0),
        early_success=bool(configuration.get("earlySuccessCriteria", {}).get("enable")),
        deployments=tuple(_deployment(d) for d in raw.get("deployments", [])),
        load_balancing=tuple(
            LoadBalancing(
                target_group_arn=lb.get("targetGroupArn"),
                container=lb.get("containerName"),
                port=lb.get("containerPort"),
            )
            for lb in raw.get("loadBalancers", [])
        ),
        events=tuple(_events(raw.get("events", []))),
        current_service_deployment=raw.get("currentServiceDeployment") or None,
        registrations=tuple(
            Registration(
                registry_arn=r.get("registryArn", ""),
                container=r.get("containerName"),
                port=r.get("containerPort") or r.get("port"),
            )
            for r in raw.get("serviceRegistries", [])
        ),
        connected_ports=tuple(_connected_ports(raw)),
        has_breaker=bool(configuration.get("deploymentCircuitBreaker", {}).get("enable")),
        subnets=tuple(
            raw.get("networkConfiguration", {}).get("awsvpcConfiguration", {}).get("subnets", [])
        ),
        launch_types=(raw["launchType"],)
        if raw.get("launchType")
        else tuple(p["capacityProvider"] for p in raw.get("capacityProviderStrategy", [])),
        configuration=configuration,
        placement={name: raw[name] for name in PLACEMENT if raw.get(name)},
    )


def _connected_ports(raw: Any) -> Iterator[str]:  # noqa: ANN401 - the shape of botocore
    """ECS shows Service Connect beside each deployment; the PRIMARY's stays in force."""
    for deployment in raw.get("deployments", []):
        if deployment.get("status") == "PRIMARY":
            connect = deployment.get("serviceConnectConfiguration", {})
            yield from (s["portName"] for s in connect.get("services", []))


def _events(raw: Iterable[Any]) -> Iterator[Event]:
    for event in raw:
        if event.get("createdAt"):
            yield Event(
                id=event.get("id", ""), at=event["createdAt"], message=event.get("message", "")
            )


def _deployment(raw: Any) -> Deployment:  # noqa: ANN401 - the shape of botocore
    return Deployment(
        id=raw.get("id", ""),
        status=raw.get("status", ""),
        task_definition=raw.get("taskDefinition", ""),
        rollout_state=raw.get("rolloutState"),
        reason=raw.get("rolloutStateReason", ""),
        desired=raw.get("desiredCount", 0),
        running=raw.get("runningCount", 0),
        pending=raw.get("pendingCount", 0),
        failed_tasks=raw.get("failedTasks", 0),
        created_at=raw.get("createdAt"),
    )


def service_deployment(raw: Any) -> ServiceDeployment:  # noqa: ANN401 - the shape of botocore
    """One of DescribeServiceDeployments."""
    return ServiceDeployment(
        arn=raw.get("serviceDeploymentArn", ""),
        status=raw.get("status", ""),
        created_at=raw.get("createdAt"),
        reason=raw.get("statusReason", ""),
        rollback_reason=raw.get("rollback", {}).get("reason", ""),
        breaker=raw.get("deploymentCircuitBreaker", {}).get("status", ""),
        alarms=tuple(raw.get("alarms", {}).get("triggeredAlarmNames", [])),
    )


def task(raw: Any) -> Task:  # noqa: ANN401 - the shape of botocore
    """A task of DescribeTasks, RunTask or StopTask."""
    return Task(
        arn=raw["taskArn"],
        started_by=raw.get("startedBy", ""),
        group=raw.get("group", ""),
        task_definition=raw.get("taskDefinitionArn", ""),
        last_status=raw.get("lastStatus", ""),
        health=raw.get("healthStatus", "UNKNOWN"),
        stop_code=raw.get("stopCode", ""),
        stopped_reason=raw.get("stoppedReason", ""),
        created_at=raw.get("createdAt"),
        started_at=raw.get("startedAt"),
        stopped_at=raw.get("stoppedAt"),
        containers=tuple(
            Container(
                name=c.get("name", ""),
                image=c.get("image", ""),
                digest=c.get("imageDigest"),
                exit_code=c.get("exitCode"),
                reason=c.get("reason", ""),
                health=c.get("healthStatus", "UNKNOWN"),
            )
            for c in raw.get("containers", [])
        ),
    )
