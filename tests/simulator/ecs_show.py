"""How ECS shows its records in answers."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from .ask import present
from .ecs_records import (
    Container,
    Deployment,
    Revision,
    Service,
    ServiceDeployment,
    Task,
    TaskDefinition,
)
from .state import State

Tree = dict[str, Any]

_NO_COUNTS = {"requested": 0, "running": 0, "pending": 0}


def counts_of(state: State, service: Service, deployment: Deployment) -> dict[str, int]:
    """Task counts of one deployment; tasks on their way out count as neither."""
    tasks = [task for task in state.tasks_of(service) if task.deployment == deployment.id]
    return {
        "requested": service.desired if deployment.status == "PRIMARY" else 0,
        "running": sum(task.status == "RUNNING" for task in tasks),
        "pending": sum(
            task.status in ("PROVISIONING", "PENDING", "ACTIVATING") and not task.is_stopping
            for task in tasks
        ),
    }


def show_service(state: State, service: Service, now: datetime, *, with_tags: bool) -> Tree:
    counts = [counts_of(state, service, each) for each in service.deployments]
    current = _current_deployment(state, service, now)
    revisions = [
        {"arn": deployment.revision} | _count_fields(count)
        for deployment, count in zip(service.deployments, counts, strict=True)
    ]
    has_ecs_controller = service.controller == "ECS"
    deployments = [
        show_deployment(service, deployment, count)
        for deployment, count in zip(service.deployments, counts, strict=True)
    ]
    return service.extra | present(
        serviceArn=service.arn,
        serviceName=service.name,
        clusterArn=state.arn("ecs", f"cluster/{service.cluster}"),
        loadBalancers=service.load_balancers,
        serviceRegistries=[],
        status=service.status,
        desiredCount=service.desired,
        runningCount=sum(count["running"] for count in counts),
        pendingCount=sum(count["pending"] for count in counts),
        launchType=service.launch_type or None,
        platformVersion="LATEST" if service.launch_type == "FARGATE" else None,
        taskDefinition=service.task_definition,
        deploymentConfiguration=service.configuration,
        deployments=deployments if has_ecs_controller else [],
        events=list(service.events),
        createdAt=service.created_at,
        currentServiceDeployment=current if has_ecs_controller else None,
        currentServiceRevisions=revisions if current is not None else None,
        placementConstraints=[],
        placementStrategy=[],
        networkConfiguration=service.network,
        healthCheckGracePeriodSeconds=service.grace_seconds,
        schedulingStrategy=service.scheduling,
        deploymentController={"type": service.controller},
        tags=service.tags if with_tags else None,
        enableECSManagedTags=False,
        propagateTags="NONE",
        enableExecuteCommand=False,
        availabilityZoneRebalancing="DISABLED",
    )


def show_deployment(service: Service, deployment: Deployment, count: dict[str, int]) -> Tree:
    return present(
        id=deployment.id,
        status=deployment.status,
        taskDefinition=deployment.task_definition,
        desiredCount=count["requested"],
        pendingCount=count["pending"],
        runningCount=count["running"],
        failedTasks=deployment.failed_tasks,
        createdAt=deployment.created_at,
        updatedAt=deployment.updated_at,
        launchType=service.launch_type or None,
        networkConfiguration=service.network,
        rolloutState=deployment.rollout_state,
        rolloutStateReason=deployment.reason,
    )


def show_service_deployment(state: State, record: ServiceDeployment) -> Tree:
    service = state.services[record.service]
    live = {each.revision: counts_of(state, service, each) for each in service.deployments}
    counts = live if record.frozen_counts is None else record.frozen_counts

    def summary(arn: str) -> Tree:
        return {"arn": arn} | _count_fields(counts.get(arn, _NO_COUNTS))

    return present(
        serviceDeploymentArn=record.arn,
        serviceArn=record.service,
        clusterArn=state.arn("ecs", f"cluster/{service.cluster}"),
        createdAt=record.created_at,
        startedAt=record.started_at,
        finishedAt=record.finished_at,
        stoppedAt=record.stopped_at,
        updatedAt=record.updated_at,
        sourceServiceRevisions=[summary(arn) for arn in record.sources],
        targetServiceRevision=summary(record.target),
        status=record.status,
        statusReason=record.status_reason,
        deploymentConfiguration=record.configuration,
        rollback=record.rollback,
        deploymentCircuitBreaker={
            "status": record.breaker_status,
            "failureCount": record.failure_count,
            "threshold": record.threshold,
        },
        alarms=record.alarms,
    )


def show_brief(state: State, record: ServiceDeployment) -> Tree:
    service = state.services[record.service]
    return present(
        serviceDeploymentArn=record.arn,
        serviceArn=record.service,
        clusterArn=state.arn("ecs", f"cluster/{service.cluster}"),
        startedAt=record.started_at,
        createdAt=record.created_at,
        finishedAt=record.finished_at,
        targetServiceRevisionArn=record.target,
        status=record.status,
        statusReason=record.status_reason,
    )


def show_revision(state: State, revision: Revision) -> Tree:
    service = state.services[revision.service]
    return present(
        serviceRevisionArn=revision.arn,
        serviceArn=revision.service,
        clusterArn=state.arn("ecs", f"cluster/{service.cluster}"),
        taskDefinition=revision.task_definition,
        launchType=revision.launch_type,
        loadBalancers=revision.load_balancers or None,
        networkConfiguration=revision.network,
        containerImages=revision.images,
        createdAt=revision.created_at,
    )


def show_task_definition(definition: TaskDefinition) -> Tree:
    return definition.body | present(
        taskDefinitionArn=definition.arn,
        family=definition.family,
        revision=definition.revision,
        status=definition.status,
        registeredAt=definition.registered_at,
        deregisteredAt=definition.deregistered_at,
    )


def show_task(state: State, task: Task, *, with_tags: bool) -> Tree:
    definition = state.task_definitions[task.task_definition]
    return present(
        taskArn=task.arn,
        clusterArn=state.arn("ecs", f"cluster/{task.cluster}"),
        taskDefinitionArn=task.task_definition,
        group=task.group,
        startedBy=task.started_by,
        launchType=task.launch_type or None,
        lastStatus=task.status,
        desiredStatus=task.desired_status,
        healthStatus=_health_of(task),
        containers=[_show_container(task, each) for each in task.containers],
        attachments=[_attachment(task)],
        overrides=task.overrides or {"containerOverrides": []},
        cpu=definition.body.get("cpu"),
        memory=definition.body.get("memory"),
        availabilityZone="eu-west-1a",
        connectivity="CONNECTED" if task.started_at else None,
        createdAt=task.created_at,
        pullStartedAt=task.pull_started_at,
        pullStoppedAt=task.pull_stopped_at,
        startedAt=task.started_at,
        stoppingAt=task.stopping_at,
        executionStoppedAt=task.execution_stopped_at,
        stoppedAt=task.stopped_at,
        stopCode=task.stop_code,
        stoppedReason=task.stopped_reason,
        tags=task.tags if with_tags else None,
        version=task.version,
    )


def _current_deployment(state: State, service: Service, now: datetime) -> str | None:
    """The newest service deployment that is visible by now."""
    visible = [
        record.arn
        for record in state.service_deployments.values()
        if record.service == service.arn and record.visible_at <= now
    ]
    return visible[-1] if visible else None


def _count_fields(count: dict[str, int]) -> Tree:
    return {
        "requestedTaskCount": count["requested"],
        "runningTaskCount": count["running"],
        "pendingTaskCount": count["pending"],
    }


def _show_container(task: Task, container: Container) -> Tree:
    return present(
        containerArn=container.arn,
        taskArn=task.arn,
        name=container.name,
        image=container.image,
        imageDigest=container.digest if task.pull_stopped_at else None,
        runtimeId=f"{task.id}-{container.name}" if container.ran_at else None,
        lastStatus=container.status,
        exitCode=container.exit_code,
        reason=container.reason,
        healthStatus=container.health,
        networkBindings=[],
        networkInterfaces=[{"attachmentId": task.id, "privateIpv4Address": task.address}],
    )


def _attachment(task: Task) -> Tree:
    details = {"subnetId": task.subnet, "privateIPv4Address": task.address}
    return {
        "id": task.id,
        "type": "ElasticNetworkInterface",
        "status": "ATTACHED" if task.is_alive else "DELETED",
        "details": [{"name": name, "value": value} for name, value in details.items()],
    }


def _health_of(task: Task) -> str:
    states = {each.health for each in task.containers if each.has_check and each.essential}
    if "UNHEALTHY" in states:
        return "UNHEALTHY"
    return "HEALTHY" if states == {"HEALTHY"} else "UNKNOWN"
