"""The ECS operations about clusters, services, and how their deployments go."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from .ask import Ask, Tree, page
from .calls import SimulatedError
from .core import Core
from .ecs_lookup import active_definition, asked_service, cluster_of, find_service, missing, short
from .ecs_records import Service, ServiceDeployment, TaskDefinition
from .ecs_show import show_brief, show_revision, show_service, show_service_deployment
from .rollouts import UNFINISHED, Rollouts
from .scheduler import Scheduler

_TRIGGERS = (
    "networkConfiguration",
    "platformVersion",
    "loadBalancers",
    "serviceRegistries",
    "serviceConnectConfiguration",
    "volumeConfigurations",
    "vpcLatticeConfigurations",
)
"""Parameters beside taskDefinition and forceNewDeployment whose change starts a deployment."""

_DEFAULTS: Tree = {
    "deploymentCircuitBreaker": {"enable": False, "rollback": False},
    "maximumPercent": 200,
    "minimumHealthyPercent": 100,
    "strategy": "ROLLING",
}

_STORED = (
    "capacityProviderStrategy",
    "availabilityZoneRebalancing",
    "placementConstraints",
    "placementStrategy",
    "platformVersion",
    "enableExecuteCommand",
    "enableECSManagedTags",
    "propagateTags",
    "serviceRegistries",
)


class EcsServices:
    """One method per operation, named like the boto3 method."""

    def __init__(self, core: Core, rollouts: Rollouts, scheduler: Scheduler) -> None:
        self._core = core
        self._rollouts = rollouts
        self._scheduler = scheduler

    def describe_clusters(self, ask: Ask) -> Tree:
        clusters, failures = [], []
        for name in map(short, ask.params.get("clusters", ["default"])):
            arn = ask.state.arn("ecs", f"cluster/{name}")
            if name not in ask.state.clusters:
                failures.append(missing(arn))
                continue
            tasks = [task for task in ask.state.tasks.values() if task.cluster == name]
            services = [each for each in ask.state.services.values() if each.cluster == name]
            clusters.append(
                {
                    "clusterArn": arn,
                    "clusterName": name,
                    "status": "ACTIVE",
                    "registeredContainerInstancesCount": 0,
                    "runningTasksCount": sum(task.status == "RUNNING" for task in tasks),
                    "pendingTasksCount": sum(task.status == "PENDING" for task in tasks),
                    "activeServicesCount": sum(each.status == "ACTIVE" for each in services),
                    "statistics": [],
                    "tags": [],
                    "settings": [],
                    "capacityProviders": ["FARGATE", "FARGATE_SPOT"],
                    "defaultCapacityProviderStrategy": [],
                }
            )
        return {"clusters": clusters, "failures": failures}

    def list_clusters(self, ask: Ask) -> Tree:
        arns = [ask.state.arn("ecs", f"cluster/{name}") for name in ask.state.clusters]
        return page(ask, "clusterArns", arns)

    def list_services(self, ask: Ask) -> Tree:
        cluster = cluster_of(ask)
        found = [
            each.arn
            for each in ask.state.services.values()
            if each.cluster == cluster and each.status != "INACTIVE"
        ]
        return page(
            ask, "serviceArns", found, default=10 if "maxResults" not in ask.params else 100
        )

    def describe_services(self, ask: Ask) -> Tree:
        cluster = cluster_of(ask)
        if len(ask.params["services"]) > 10:
            raise SimulatedError("InvalidParameterException", "services: 10 at most.")
        with_tags = "TAGS" in ask.params.get("include", [])
        services, failures = [], []
        for name in ask.params["services"]:
            service = find_service(ask.state, cluster, name)
            if service is None:
                failures.append(missing(ask.state.arn("ecs", f"service/{cluster}/{short(name)}")))
            else:
                services.append(show_service(ask.state, service, ask.now, with_tags=with_tags))
        return {"services": services, "failures": failures}

    def update_service(self, ask: Ask) -> Tree:
        service = asked_service(ask)
        if service.status != "ACTIVE":
            raise SimulatedError("ServiceNotActiveException", "Service was not ACTIVE.")
        definition = _new_definition(ask, service)
        self.apply_update(service, ask.params, definition)
        return {"service": show_service(ask.state, service, ask.now, with_tags=False)}

    def apply_update(
        self, service: Service, params: Mapping[str, Any], definition: TaskDefinition | None
    ) -> None:
        """The effect of UpdateService, also for actors that do not use the API."""
        _refuse_unmodelled(service, params)
        arn = definition.arn if definition else service.task_definition
        shown = show_service(self._core.state, service, self._core.clock.now(), with_tags=False)
        is_new = (
            arn != service.task_definition
            or params.get("forceNewDeployment", False)
            or any(key in params and params[key] != shown.get(key) for key in _TRIGGERS)
        )
        self._core.changed(
            "service-updated",
            service.name,
            deploys=is_new,
            **{key: value for key, value in params.items() if key not in ("cluster", "service")},
        )
        service.desired = params.get("desiredCount", service.desired)
        service.configuration = self._configured(service, params)
        service.network = params.get("networkConfiguration", service.network)
        service.load_balancers = params.get("loadBalancers", service.load_balancers)
        service.grace_seconds = params.get("healthCheckGracePeriodSeconds", service.grace_seconds)
        service.extra = service.extra | {key: params[key] for key in _STORED if key in params}
        if is_new:
            self._rollouts.begin(service, arn)
        else:
            self._scheduler.wake(service)

    def _configured(self, service: Service, params: Mapping[str, Any]) -> Tree:
        """The deployment configuration after an update: what is left out may be lost."""
        before: Tree = service.configuration
        given: Tree | None = params.get("deploymentConfiguration")
        if given is None:
            return before
        return (before if self._core.quirks.configuration_is_merged else _DEFAULTS) | given

    def list_service_deployments(self, ask: Ask) -> Tree:
        service = asked_service(ask)
        wanted = ask.params.get("status")
        window = ask.params.get("createdAt", {})
        after = window.get("after")
        if after is not None and after < ask.now - timedelta(days=90):
            raise SimulatedError("InvalidParameterException", "createdAt is too long ago.")
        found = [
            record
            for record in reversed(ask.state.service_deployments.values())
            if record.service == service.arn
            and record.visible_at <= ask.now
            and (wanted is None or record.status in wanted)
            and (after is None or record.created_at >= after)
            and ("before" not in window or record.created_at <= window["before"])
        ]
        return page(ask, "serviceDeployments", [show_brief(ask.state, each) for each in found])

    def describe_service_deployments(self, ask: Ask) -> Tree:
        found, failures = [], []
        for arn in ask.params["serviceDeploymentArns"]:
            record = _visible(ask, arn)
            if record is None:
                failures.append(missing(arn))
            else:
                found.append(show_service_deployment(ask.state, record))
        return {"serviceDeployments": found, "failures": failures}

    def describe_service_revisions(self, ask: Ask) -> Tree:
        found, failures = [], []
        for arn in ask.params["serviceRevisionArns"]:
            revision = ask.state.revisions.get(arn)
            if revision is None:
                failures.append(missing(arn))
            else:
                found.append(show_revision(ask.state, revision))
        return {"serviceRevisions": found, "failures": failures}

    def stop_service_deployment(self, ask: Ask) -> Tree:
        arn = ask.params["serviceDeploymentArn"]
        kind = ask.params.get("stopType", "ROLLBACK")
        record = _visible(ask, arn)
        if record is None:
            raise SimulatedError(
                "ServiceDeploymentNotFoundException", "The service deployment does not exist."
            )
        if kind == "ABORT" and not self._core.quirks.abort_accepted:
            raise SimulatedError("InvalidParameterException", "ABORT is not supported.")
        if record.status not in UNFINISHED:
            raise SimulatedError(
                "ConflictException",
                "The service deployment cannot be stopped "
                f"because it is in the {record.status} state.",
            )
        if record.status in ("PENDING", "IN_PROGRESS"):
            name = ask.state.services[record.service].name
            self._core.changed("stop-requested", name, deployment=arn, stop_type=kind)
        self._rollouts.request_stop(record, kind)
        return {"serviceDeploymentArn": arn}


def _visible(ask: Ask, arn: str) -> ServiceDeployment | None:
    record = ask.state.service_deployments.get(arn)
    return record if record is not None and record.visible_at <= ask.now else None


def _new_definition(ask: Ask, service: Service) -> TaskDefinition | None:
    """The task definition that the update asks for, checked as ECS checks it."""
    if "taskDefinition" not in ask.params:
        return None
    if service.controller != "ECS":
        raise SimulatedError(
            "InvalidParameterException",
            "Unable to update task definition on services with a "
            f"{service.controller} deployment controller.",
        )
    definition = active_definition(ask.state, ask.params["taskDefinition"])
    containers = {each["name"]: each for each in definition.containers}
    for entry in ask.params.get("loadBalancers", service.load_balancers):
        name, port = entry["containerName"], entry["containerPort"]
        if name not in containers:
            raise SimulatedError(
                "InvalidParameterException",
                f"The container {name} does not exist in the task definition.",
            )
        ports = {each["containerPort"] for each in containers[name].get("portMappings", [])}
        if port not in ports:
            raise SimulatedError(
                "InvalidParameterException",
                f"The container {name} did not have a container port {port} defined.",
            )
    return definition


def _refuse_unmodelled(service: Service, params: Mapping[str, Any]) -> None:
    strategy = service.configuration.get("strategy", "ROLLING")
    deploys = "taskDefinition" in params or params.get("forceNewDeployment")
    if deploys and (strategy != "ROLLING" or service.scheduling != "REPLICA"):
        msg = (
            f"the simulator does not model {strategy} deployments of {service.scheduling} services"
        )
        raise AssertionError(msg)
