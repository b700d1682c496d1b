"""How a deployment begins, ends, is rolled back or is replaced by another."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta

from . import breaker
from .core import Core
from .ecs_records import Deployment, Revision, Service, ServiceDeployment
from .registry import PullError, resolve

PENDING = ("PENDING",)
ONGOING = ("IN_PROGRESS", "STOP_REQUESTED", "ROLLBACK_REQUESTED", "ROLLBACK_IN_PROGRESS")
UNFINISHED = PENDING + ONGOING


class Rollouts:
    """The records of deployments; the scheduler decides about tasks."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.wake: Callable[[Service], None] = lambda _service: None

    def begin(self, service: Service, task_definition: str) -> Deployment:
        """A new PRIMARY deployment of this task definition; what ran before is superseded."""
        sources = [each.revision for each in service.deployments if each.status == "PRIMARY"]
        service.task_definition = task_definition
        revision = self._snapshot(service)
        record = self._record(service, revision, sources)
        deployment = self._make_primary(service, revision, record, reason=None)
        self._core.changed(
            "deployment-started",
            service.name,
            id=deployment.id,
            task_definition=task_definition,
            why="update",
        )
        self.wake(service)
        return deployment

    def start(self, deployment: Deployment) -> None:
        """The scheduler takes the deployment up."""
        deployment.started = True
        record = self.record_of(deployment)
        if record.status == "PENDING":
            record.status = "IN_PROGRESS"
            record.started_at = self._core.clock.now()

    def complete(self, service: Service, deployment: Deployment) -> None:
        now = self._core.clock.now()
        deployment.rollout_state = "COMPLETED"
        deployment.updated_at = now
        deployment.reason = f"ECS deployment {deployment.id} completed."
        service.completed = deployment.revision
        service.completed_deployment = deployment.id
        record = self.record_of(deployment)
        self._finish(
            service, record, "ROLLBACK_SUCCESSFUL" if deployment.is_rollback else "SUCCESSFUL"
        )
        self.say(service, f"(deployment {deployment.id}) deployment completed.")
        self._say_steady(service, deployment)
        self._core.changed(
            "deployment-ended",
            service.name,
            id=deployment.id,
            state="COMPLETED",
            task_definition=deployment.task_definition,
        )

    def fail(self, service: Service, deployment: Deployment, what: str, *, rollback: bool) -> None:
        """ECS gives the deployment up, and goes back when asked to and able to."""
        self._mark_failed(service, deployment, f"ECS deployment {what}.")
        self.say(service, f"(deployment {deployment.id}) deployment failed: {_after_colon(what)}.")
        record = self.record_of(deployment)
        record.status_reason = f"Service deployment failed because the {what}."
        if deployment.is_rollback:
            self._finish(service, record, "ROLLBACK_FAILED")
        elif rollback and service.completed is not None:
            self.roll_back(service, deployment, f"ECS deployment {what.partition(':')[0]}")
        else:
            self._finish(service, record, "STOPPED")

    def roll_back(self, service: Service, failed: Deployment, because: str) -> None:
        """Make the last completed revision PRIMARY again, under the same service deployment."""
        record = self.record_of(failed)
        assert service.completed is not None
        revision = self._core.state.revisions[service.completed]
        goal = service.completed_deployment
        reason = f"{because}: rolling back to deploymentId {goal}."
        record.status = "ROLLBACK_IN_PROGRESS"
        record.updated_at = self._core.clock.now()
        record.rollback = {
            "reason": reason,
            "startedAt": self._core.clock.now(),
            "serviceRevisionArn": revision.arn,
        }
        self.say(service, f"rolling back to deployment {goal}.")
        revived = self._revive(service, goal)
        # While it rolls back, the service has no completed deployment to return to.
        service.completed = service.completed_deployment = None
        service.task_definition = revision.task_definition
        deployment = revived or self._make_primary(service, revision, record, reason=reason)
        deployment.is_rollback = True
        deployment.reason = reason
        deployment.service_deployment = record.arn
        failed.status = self._core.quirks.failed_deployment_status
        self._core.changed(
            "deployment-started",
            service.name,
            id=deployment.id,
            task_definition=revision.task_definition,
            why=because,
        )
        self.wake(service)

    def request_stop(self, record: ServiceDeployment, kind: str) -> None:
        """StopServiceDeployment on an unfinished deployment."""
        if record.status not in ("PENDING", "IN_PROGRESS"):
            return
        service = self._core.state.services[record.service]
        record.status = "ROLLBACK_REQUESTED" if kind == "ROLLBACK" else "STOP_REQUESTED"
        record.updated_at = self._core.clock.now()
        seconds = self._core.timings.scheduler
        self._core.later(seconds, lambda: self._obey_stop(service, record))

    def record_of(self, deployment: Deployment) -> ServiceDeployment:
        return self._core.state.service_deployments[deployment.service_deployment]

    def say(self, service: Service, text: str) -> None:
        """An event in the service's list, which ECS cuts at 100."""
        event = {
            "id": self._core.names.identifier(),
            "createdAt": self._core.clock.now(),
            "message": f"(service {service.name}) {text}",
        }
        service.events = [event, *service.events[:99]]

    def _say_steady(self, service: Service, deployment: Deployment) -> None:
        is_current = service.status == "ACTIVE" and service.primary is deployment
        if is_current and deployment.rollout_state == "COMPLETED":
            self.say(service, "has reached a steady state.")
            again = self._core.timings.steady_again
            self._core.later(again, lambda: self._say_steady(service, deployment))

    def _obey_stop(self, service: Service, record: ServiceDeployment) -> None:
        if record.status not in ("ROLLBACK_REQUESTED", "STOP_REQUESTED"):
            return
        deployment = service.primary
        because = "Service deployment was stopped"
        self._mark_failed(service, deployment, f"{because} by request.")
        record.status_reason = f"{because} by request."
        record.stopped_at = self._core.clock.now()
        if record.status == "STOP_REQUESTED":
            self._finish(service, record, "STOPPED")
        elif service.completed is None:
            self._finish(service, record, "ROLLBACK_FAILED")
        else:
            self.roll_back(service, deployment, because)

    def _mark_failed(self, service: Service, deployment: Deployment, reason: str) -> None:
        deployment.rollout_state = "FAILED"
        deployment.reason = reason
        deployment.updated_at = self._core.clock.now()
        self._core.changed(
            "deployment-ended",
            service.name,
            id=deployment.id,
            state="FAILED",
            task_definition=deployment.task_definition,
        )

    def _make_primary(
        self, service: Service, revision: Revision, record: ServiceDeployment, reason: str | None
    ) -> Deployment:
        now = self._core.clock.now()
        deployment = Deployment(
            id=self._core.names.deployment(),
            status="PRIMARY",
            task_definition=revision.task_definition,
            revision=revision.arn,
            desired=service.desired,
            created_at=now,
            updated_at=now,
            service_deployment=record.arn,
            digests={
                each["containerName"]: each["imageDigest"]
                for each in revision.images
                if "imageDigest" in each
            },
        )
        deployment.reason = reason or f"ECS deployment {deployment.id} in progress."
        alarms = service.configuration.get("alarms", {})
        if alarms.get("enable"):
            # An alarm that is on before the deployment begins is left out of it.
            deployment.armed_alarms = [
                name
                for name in alarms["alarmNames"]
                if self._core.state.alarms.get(name) != "ALARM"
            ]
        for other in service.deployments:
            self._step_down(service, other, deployment)
        service.deployments.insert(0, deployment)
        return deployment

    def _step_down(self, service: Service, old: Deployment, successor: Deployment) -> None:
        if old.status != "PRIMARY":
            return
        old.status = "ACTIVE"
        old.updated_at = self._core.clock.now()
        record = self.record_of(old)
        is_own_rollback = record.status == "ROLLBACK_IN_PROGRESS" and not old.is_rollback
        if record.status in UNFINISHED and not is_own_rollback:
            record.status_reason = "Service deployment was replaced by a newer one."
            self._finish(service, record, self._core.quirks.superseded_status)
            self._core.changed(
                "deployment-ended",
                service.name,
                id=old.id,
                state="SUPERSEDED",
                task_definition=old.task_definition,
                by=successor.id,
            )

    def _revive(self, service: Service, goal: str | None) -> Deployment | None:
        """Under that quirk, the old deployment itself becomes PRIMARY again."""
        if not self._core.quirks.rollback_reuses_deployment:
            return None
        old = next((each for each in service.deployments if each.id == goal), None)
        if old is None:
            return None
        service.primary.status = "ACTIVE"
        old.status, old.rollout_state, old.started = "PRIMARY", "IN_PROGRESS", False
        old.updated_at = self._core.clock.now()
        service.deployments.remove(old)
        service.deployments.insert(0, old)
        return old

    def _record(
        self, service: Service, revision: Revision, sources: list[str]
    ) -> ServiceDeployment:
        state, now = self._core.state, self._core.clock.now()
        path = f"{service.cluster}/{service.name}/{self._core.names.hexadecimal(20)}"
        alarms = service.configuration.get("alarms", {})
        has_breaker = breaker.breaker_of(service)["enable"]
        record = ServiceDeployment(
            arn=state.arn("ecs", f"service-deployment/{path}"),
            service=service.arn,
            target=revision.arn,
            sources=sources,
            status="PENDING",
            created_at=now,
            updated_at=now,
            visible_at=now + timedelta(seconds=self._core.quirks.service_deployment_visible_after),
            configuration=dict(service.configuration),
            breaker_status="MONITORING" if has_breaker else "DISABLED",
            threshold=breaker.threshold(service) if has_breaker else 0,
            alarms={"status": "MONITORING", "alarmNames": alarms["alarmNames"]}
            if alarms.get("enable")
            else None,
        )
        state.service_deployments[record.arn] = record
        return record

    def _finish(self, service: Service, record: ServiceDeployment, status: str) -> None:
        now = self._core.clock.now()
        record.status = status
        record.finished_at = record.updated_at = now
        record.frozen_counts = revision_counts(self._core, service)
        if record.breaker_status == "MONITORING":
            record.breaker_status = "MONITORING_COMPLETE"
        if record.alarms is not None and record.alarms["status"] == "MONITORING":
            record.alarms = record.alarms | {"status": "MONITORING_COMPLETE"}
        self._core.changed("service-deployment-ended", service.name, arn=record.arn, status=status)

    def _snapshot(self, service: Service) -> Revision:
        state = self._core.state
        path = f"{service.cluster}/{service.name}/{self._core.names.number()}"
        images = []
        for container in state.task_definitions[service.task_definition].containers:
            image = {"containerName": container["name"], "image": container["image"]}
            if "@" in container["image"]:
                image["imageDigest"] = container["image"].partition("@")[2]
            images.append(image)
        revision = Revision(
            arn=state.arn("ecs", f"service-revision/{path}"),
            service=service.arn,
            task_definition=service.task_definition,
            load_balancers=list(service.load_balancers),
            network=service.network,
            launch_type=service.launch_type,
            images=images,
            created_at=self._core.clock.now(),
        )
        state.revisions[revision.arn] = revision
        return revision

    def pin(self, deployment: Deployment, digests: dict[str, str]) -> None:
        """The first task has resolved the tags: all later ones run the same digests."""
        deployment.digests.update(digests)
        for image in self._core.state.revisions[deployment.revision].images:
            image["imageDigest"] = deployment.digests[image["containerName"]]

    def pin_now(self, deployment: Deployment) -> None:
        """As `pin`, for a deployment that the test world starts out with."""
        images = self._core.state.revisions[deployment.revision].images
        digests = {}
        for image in images:
            try:
                digests[image["containerName"]] = resolve(self._core.state, image["image"])
            except PullError:
                return
        self.pin(deployment, digests)


def revision_counts(core: Core, service: Service) -> dict[str, dict[str, int]]:
    """Task counts of every revision of the service that still has a deployment."""
    tasks = [task for task in core.state.tasks_of(service) if task.is_alive]
    counts: dict[str, dict[str, int]] = {}
    for deployment in service.deployments:
        own = [task for task in tasks if task.deployment == deployment.id]
        count = counts.setdefault(deployment.revision, {"requested": 0, "running": 0, "pending": 0})
        if deployment.status == "PRIMARY":
            count["requested"] = service.desired
        count["running"] += sum(task.status == "RUNNING" for task in own)
        count["pending"] += sum(task.status in ("PROVISIONING", "PENDING") for task in own)
    return counts


def _after_colon(what: str) -> str:
    return what.partition(": ")[2] or what
