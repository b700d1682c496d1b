"""The service scheduler: which tasks to start and stop, and when a deployment is done or lost."""

from __future__ import annotations

from datetime import timedelta

from . import breaker
from .core import Core
from .ecs_records import Container, Deployment, Service, Task, TaskDefinition
from .rollouts import Rollouts
from .targets import Targets
from .task_life import TaskLife

_NOT_A_FAILURE = (
    "ServiceSchedulerInitiated",
    "UserInitiated",
    "SpotInterruption",
    "TerminationNotice",
    "InfrastructureHealth",
)
_COMPLAIN_EVERY = 300.0
"""A service that cannot move says so again and again, but not at every look."""


class Scheduler:
    """Looks at a service whenever something about it changed, and does the next step."""

    def __init__(self, core: Core, rollouts: Rollouts, life: TaskLife, targets: Targets) -> None:
        self._core = core
        self._rollouts = rollouts
        self._life = life
        self._targets = targets
        rollouts.wake = self.wake
        life.on_pulled = self._task_pulled
        life.on_running = self._task_running
        life.on_health_changed = self._task_health_changed
        life.on_stopped = self._task_stopped
        targets.on_health_changed = self._task_health_changed

    def wake(self, service: Service, seconds: float | None = None) -> None:
        """Look at the service soon."""
        delay = self._core.timings.scheduler if seconds is None else seconds
        self._core.later(delay, lambda: self._look(service))

    def alarm_changed(self, name: str) -> None:
        """A CloudWatch alarm went off: deployments that watch it fail."""
        for service in self._core.state.services.values():
            if service.status != "ACTIVE" or self._core.state.alarms[name] != "ALARM":
                continue
            deployment = service.primary
            if deployment.rollout_state == "IN_PROGRESS" and name in deployment.armed_alarms:
                record = self._rollouts.record_of(deployment)
                record.alarms = {
                    "status": "TRIGGERED",
                    "triggeredAlarmNames": [name],
                    "alarmNames": service.configuration["alarms"]["alarmNames"],
                }
                rollback = service.configuration["alarms"]["rollback"]
                self._rollouts.fail(service, deployment, "alarm: alarm detected", rollback=rollback)

    def new_task(self, service: Service, deployment: Deployment) -> Task:
        """A task record of this deployment, not yet launched."""
        definition = self._core.state.task_definitions[deployment.task_definition]
        arn = self._core.state.arn(
            "ecs", f"task/{service.cluster}/{self._core.names.hexadecimal()}"
        )
        subnets = (
            (service.network or {}).get("awsvpcConfiguration", {}).get("subnets", ["subnet-1"])
        )
        return Task(
            arn=arn,
            cluster=service.cluster,
            group=f"service:{service.name}",
            task_definition=definition.arn,
            containers=make_containers(definition, arn, deployment.digests),
            created_at=self._core.clock.now(),
            launch_type=service.launch_type,
            address=self._core.names.address(),
            subnet=subnets[0],
            started_by=deployment.id,
            service=service.arn,
            deployment=deployment.id,
        )

    def _task_running(self, task: Task) -> None:
        found = self._deployment_of(task)
        if found is not None:
            self._register(found[0], task)

    def _register(self, service: Service, task: Task) -> None:
        for entry in service.load_balancers:
            group = self._core.state.target_groups.get(entry["targetGroupArn"])
            if group is None:
                self._rollouts.say(
                    service,
                    "(task-set) failed to register targets in "
                    f"(target-group {entry['targetGroupArn']}): not found",
                )
                continue
            self._targets.register(group, task, entry["containerName"], entry["containerPort"])
            self._rollouts.say(service, f"registered 1 targets in (target-group {group.arn})")

    def _look(self, service: Service) -> None:
        if service.status != "ACTIVE":
            return
        primary = service.primary
        if not primary.started:
            self._rollouts.start(primary)
        tasks = [task for task in self._core.state.tasks_of(service) if task.is_alive]
        own = [t for t in tasks if t.deployment == primary.id and not t.is_stopping]
        self._scale_in(service, primary, own)
        started = self._start_tasks(service, primary, tasks, own)
        stopped = self._stop_old(service, primary, tasks)
        self._note_deadlock(service, primary, tasks, own, moved=started + stopped > 0)
        self._forget_empty(service, tasks)
        self._finish_when_done(service, primary)

    def _scale_in(self, service: Service, primary: Deployment, own: list[Task]) -> None:
        surplus = own[service.desired :] if primary.rollout_state != "FAILED" else []
        for task in surplus:
            self._stop(service, task, f"Scaling activity initiated by (deployment {primary.id})")

    def _start_tasks(
        self, service: Service, primary: Deployment, tasks: list[Task], own: list[Task]
    ) -> int:
        wanted = service.desired - len(own)
        if wanted <= 0 or primary.rollout_state == "FAILED":
            return 0
        now = self._core.clock.now()
        if primary.next_start_at is not None and now < primary.next_start_at:
            return 0
        number = min(wanted, self._room(service, tasks))
        if not self._is_pinned(primary):
            # The first task alone resolves tags to digests; the others wait for it.
            number = min(number, 1 - len(own))
        if number <= 0:
            return 0
        if service.placement_problem is not None:
            self._complain(
                service, f"was unable to place a task because {service.placement_problem}"
            )
            self.wake(service, self._core.timings.place_again)
            return 0
        launched = [self.new_task(service, primary) for _ in range(number)]
        for task in launched:
            self._life.launch(task)
        names = " ".join(f"(task {task.id})." for task in launched)
        self._rollouts.say(service, f"has started {number} tasks: {names}")
        return number

    def _room(self, service: Service, tasks: list[Task]) -> int:
        """How many more tasks maximumPercent lets the service have."""
        counts_draining = self._core.quirks.draining_counts
        taken = [task for task in tasks if counts_draining or not task.is_stopping]
        return breaker.most(service) - len(taken)

    def _stop_old(self, service: Service, primary: Deployment, tasks: list[Task]) -> int:
        """Stop tasks of older deployments as far as enough healthy ones remain."""
        is_over = primary.rollout_state == "FAILED" or (
            primary.rollout_state == "COMPLETED" and breaker.keeps_old_tasks(service)
        )
        if is_over:
            return 0
        standing = [task for task in tasks if not task.is_stopping]
        old = [task for task in standing if task.deployment != primary.id]
        sick = [task for task in old if not task.is_healthy]
        healthy_old = [task for task in old if task.is_healthy]
        healthy = [task for task in standing if task.is_healthy]
        new = [task for task in standing if task.deployment == primary.id]
        number = 0 if breaker.keeps_old_tasks(service) else len(healthy) - service.desired
        if len(new) < service.desired and self._room(service, tasks) <= 0:
            # Nothing more can be started: make room, down to the minimum.
            number = max(number, len(healthy) - breaker.fewest(service))
        leaving = sick + healthy_old[: max(0, number)]
        for task in leaving:
            self._stop(service, task, f"Scaling activity initiated by (deployment {primary.id})")
        if leaving:
            names = " ".join(f"(task {task.id})." for task in leaving)
            self._rollouts.say(service, f"has stopped {len(leaving)} running tasks: {names}")
        return len(leaving)

    def _note_deadlock(
        self,
        service: Service,
        primary: Deployment,
        tasks: list[Task],
        own: list[Task],
        *,
        moved: bool,
    ) -> None:
        waits = any(task.is_stopping or not task.is_healthy for task in tasks)
        if moved or waits or len(own) >= service.desired or primary.rollout_state != "IN_PROGRESS":
            return
        if service.placement_problem is None and primary.next_start_at is None:
            self._complain(
                service,
                "was unable to stop or start tasks during a deployment because "
                "of the service deployment configuration. Update the "
                "minimumHealthyPercent or maximumPercent value and try again.",
            )
            self.wake(service, _COMPLAIN_EVERY)

    def _forget_empty(self, service: Service, tasks: list[Task]) -> None:
        """Old deployments leave the list once their last task is gone."""
        alive = {task.deployment for task in tasks}
        is_moving = service.primary.rollout_state == "IN_PROGRESS"
        service.deployments = [
            each
            for each in service.deployments
            if each.status == "PRIMARY"
            or each.id in alive
            or (is_moving and each.rollout_state == "FAILED")
        ]

    def _finish_when_done(self, service: Service, primary: Deployment) -> None:
        if primary.rollout_state != "IN_PROGRESS" or not self._is_done(service, primary):
            return
        now, bake = self._core.clock.now(), self._core.timings.alarm_bake
        if primary.armed_alarms and primary.baked_at is None:
            primary.baked_at = now + timedelta(seconds=bake)
            self.wake(service, bake)
        elif primary.baked_at is None or now >= primary.baked_at:
            self._rollouts.complete(service, primary)
            self.wake(service)

    def _is_done(self, service: Service, primary: Deployment) -> bool:
        if self._rollouts.record_of(primary).status not in ("IN_PROGRESS", "ROLLBACK_IN_PROGRESS"):
            return False
        tasks = [task for task in self._core.state.tasks_of(service) if task.is_alive]
        healthy = [t for t in tasks if t.deployment == primary.id and t.is_healthy]
        others = [t for t in tasks if t.deployment != primary.id]
        early = breaker.early_success_count(service)
        needed = service.desired if early is None else early
        may_linger = early is not None and breaker.keeps_old_tasks(service)
        return len(healthy) >= needed and (may_linger or not others)

    def _is_pinned(self, deployment: Deployment) -> bool:
        containers = self._core.state.task_definitions[deployment.task_definition].containers
        return all(each["name"] in deployment.digests for each in containers)

    def _deployment_of(self, task: Task) -> tuple[Service, Deployment] | None:
        service = self._core.state.services.get(task.service or "")
        if service is None:
            return None
        found = next((each for each in service.deployments if each.id == task.deployment), None)
        return (service, found) if found is not None else None

    def _task_pulled(self, task: Task) -> None:
        found = self._deployment_of(task)
        if found is not None and not self._is_pinned(found[1]):
            digests = {each.name: each.digest for each in task.containers if each.digest}
            self._rollouts.pin(found[1], digests)
            self.wake(found[0], self._core.timings.complete)

    def _task_health_changed(self, task: Task) -> None:
        found = self._deployment_of(task)
        if found is None or task.status != "RUNNING" or task.is_stopping:
            return
        service, deployment = found
        was_healthy, task.is_healthy = task.is_healthy, self._is_healthy(service, task)
        if task.is_healthy and not was_healthy:
            task.was_healthy = True
            deployment.failed_tasks = 0
            deployment.next_start_at = None
            record = self._rollouts.record_of(deployment)
            if record.breaker_status == "MONITORING":
                record.failure_count = breaker.counted_failures(service, deployment)
            self.wake(service, self._core.timings.complete)
        self._watch_sick(service, task)

    def _is_healthy(self, service: Service, task: Task) -> bool:
        checked = [each for each in task.containers if each.has_check]
        if any(each.health != "HEALTHY" for each in checked):
            return False
        if service.load_balancers:
            groups = self._targets.groups_of(task)
            return len(groups) == len(service.load_balancers) and self._targets.is_healthy(task)
        return bool(checked) or task.settled

    def _watch_sick(self, service: Service, task: Task) -> None:
        group = self._targets.sick_group(task)
        container = next((each for each in task.containers if each.health == "UNHEALTHY"), None)
        if task.is_stopping or (group is None and container is None):
            return
        assert task.started_at is not None
        grace_ends = task.started_at + timedelta(seconds=service.grace_seconds or 0)
        left = (grace_ends - self._core.clock.now()).total_seconds()
        delay = max(left, self._core.timings.notice)
        self._core.later(delay, lambda: self._stop_if_still_sick(service, task))

    def _stop_if_still_sick(self, service: Service, task: Task) -> None:
        group = self._targets.sick_group(task)
        container = next((each for each in task.containers if each.health == "UNHEALTHY"), None)
        if task.is_stopping or (group is None and container is None):
            return
        if group is not None:
            target = group.targets[task.arn]
            self._rollouts.say(
                service,
                f"(port {target.port}) is unhealthy in (target-group {group.arn}) due to "
                f"(reason {target.description}).",
            )
            reason = f"Task failed ELB health checks in (target-group {group.arn})"
        else:
            reason = "Task failed container health checks"
        self._stop(service, task, reason)

    def _stop(self, service: Service, task: Task, reason: str) -> None:
        groups = self._targets.groups_of(task)
        if groups:
            self._rollouts.say(service, "has begun draining connections on 1 tasks.")
        for group in groups:
            self._rollouts.say(service, f"deregistered 1 targets in (target-group {group.arn})")
        self._life.stop(task, "ServiceSchedulerInitiated", reason)

    def _task_stopped(self, task: Task) -> None:
        found = self._deployment_of(task)
        if found is None:
            return
        service, deployment = found
        if task.stop_code == "TaskFailedToStart":
            reason = task.stopped_reason
            self._rollouts.say(service, f"was unable to place a task. Reason: {reason}.")
        if deployment.status == "PRIMARY" and _has_failed(task):
            self._count_failure(service, deployment)
        self.wake(service, self._core.timings.complete)

    def _count_failure(self, service: Service, deployment: Deployment) -> None:
        deployment.failed_tasks += 1
        deployment.failures += 1
        deployment.updated_at = self._core.clock.now()
        if deployment.rollout_state != "IN_PROGRESS":
            return
        if breaker.breaker_of(service)["enable"]:
            record = self._rollouts.record_of(deployment)
            if not deployment.is_rollback:
                record.failure_count = breaker.counted_failures(service, deployment)
            record.threshold = breaker.threshold(service)
            if breaker.is_tripped(service, deployment):
                record.breaker_status = "TRIGGERED"
                rollback = breaker.breaker_of(service)["rollback"]
                what = "circuit breaker: tasks failed to start"
                self._rollouts.fail(service, deployment, what, rollback=rollback)
                return
        pause = breaker.pause_before_start(service, deployment)
        if pause > 0:
            deployment.next_start_at = self._core.clock.now() + timedelta(seconds=pause)
            self._complain(
                service,
                "is unable to consistently start tasks successfully. For more "
                "information, see the Troubleshooting section of the Amazon ECS "
                "Developer Guide.",
            )
            self.wake(service, pause)

    def _complain(self, service: Service, text: str) -> None:
        now, last = self._core.clock.now(), service.last_complaint
        if last is None or (now - last).total_seconds() >= _COMPLAIN_EVERY:
            service.last_complaint = now
            self._rollouts.say(service, text)


def make_containers(
    definition: TaskDefinition, task_arn: str, digests: dict[str, str]
) -> list[Container]:
    prefix = task_arn.replace(":task/", ":container/")
    return [
        Container(
            name=each["name"],
            arn=f"{prefix}/{number}",
            image=each["image"],
            essential=each.get("essential", True),
            digest=digests.get(each["name"]),
            has_check="healthCheck" in each,
        )
        for number, each in enumerate(definition.containers, 1)
    ]


def _has_failed(task: Task) -> bool:
    """Whether the end of the task speaks against its deployment."""
    if task.was_healthy:
        return False
    was_sick = (task.stopped_reason or "").startswith("Task failed ")
    return was_sick or task.stop_code not in _NOT_A_FAILURE
