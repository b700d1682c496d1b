"""Target groups at work: registration, health checks, draining, and whose turn it is to answer."""

from __future__ import annotations

from collections.abc import Callable

from .core import Core
from .ecs_records import Container, Task
from .state import Target, TargetGroup

Notify = Callable[[Task], None]


class Targets:
    """Registers tasks with target groups and checks their health until they leave."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self.on_health_changed: Notify = lambda _task: None

    def register(self, group: TargetGroup, task: Task, container: str, port: int) -> None:
        target = Target(address=task.address, port=port, task=task.arn, container=container)
        group.targets[task.arn] = target
        if not is_attached(self._core, group):
            self._set(
                target,
                "unused",
                "Target.NotInUse",
                "Target group is not configured to receive traffic from the load balancer",
            )
            return
        self._core.later(self._core.timings.register, lambda: self._begin_checks(group, target))

    def deregister(self, group: TargetGroup, task: Task) -> float:
        """Start to drain; the answer is how many seconds that takes."""
        target = group.targets.get(task.arn)
        if target is None:
            return 0.0
        was_unused = target.state == "unused"
        self._set(
            target,
            "draining",
            "Target.DeregistrationInProgress",
            "Target deregistration is in progress",
        )
        seconds = 0.0 if was_unused else float(group.drain_seconds)
        self._core.later(seconds, lambda: self._remove(group, task))
        return seconds

    def groups_of(self, task: Task) -> list[TargetGroup]:
        return [
            group for group in self._core.state.target_groups.values() if task.arn in group.targets
        ]

    def is_healthy(self, task: Task) -> bool:
        """Healthy in every target group it is registered with."""
        return all(group.targets[task.arn].state == "healthy" for group in self.groups_of(task))

    def sick_group(self, task: Task) -> TargetGroup | None:
        """The target group that found the task unhealthy, if any."""
        groups = self.groups_of(task)
        return next((each for each in groups if each.targets[task.arn].state == "unhealthy"), None)

    def _remove(self, group: TargetGroup, task: Task) -> None:
        group.targets.pop(task.arn, None)

    def _begin_checks(self, group: TargetGroup, target: Target) -> None:
        if target.state != "initial":
            return
        self._set(
            target, "initial", "Elb.InitialHealthChecking", "Initial health checks in progress"
        )
        self._core.later(group.interval, lambda: self._check(group, target))

    def _check(self, group: TargetGroup, target: Target) -> None:
        if group.targets.get(target.task) is not target or target.state == "draining":
            return
        problem = self._probe(group, target)
        before = target.state
        if problem is None:
            self._pass(group, target)
        else:
            self._fail(group, target, *problem)
        if target.state != before:
            self.on_health_changed(self._core.state.tasks[target.task])
        self._core.later(group.interval, lambda: self._check(group, target))

    def _pass(self, group: TargetGroup, target: Target) -> None:
        target.failed = 0
        target.passed += 1
        # A new target needs one good answer only, whatever the threshold says.
        needed = 1 if target.state == "initial" else group.healthy_threshold
        if target.state != "healthy" and target.passed >= needed:
            self._set(target, "healthy", None, None)

    def _fail(self, group: TargetGroup, target: Target, reason: str, description: str) -> None:
        target.passed = 0
        target.failed += 1
        if target.failed >= group.unhealthy_threshold:
            self._set(target, "unhealthy", reason, description)

    def _probe(self, group: TargetGroup, target: Target) -> tuple[str, str] | None:
        """What a health check finds wrong: a reason code and its description."""
        task = self._core.state.tasks[target.task]
        container = find(task, target.container)
        if container is None or container.status != "RUNNING":
            return "Target.FailedHealthChecks", "Health checks failed"
        behaviour = self._core.behaviour(task, container)
        if not behaviour.listens or behaviour.response_seconds > group.timeout:
            return "Target.Timeout", "Request timed out"
        if self._core.seconds_running(container) < behaviour.start_seconds:
            return "Target.FailedHealthChecks", "Health checks failed"
        status = (behaviour.paths or {}).get(group.path, (behaviour.health_status, ""))[0]
        if not matches(group.matcher, status):
            return (
                "Target.ResponseCodeMismatch",
                f"Health checks failed with these codes: [{status}]",
            )
        return None

    def _set(self, target: Target, state: str, reason: str | None, description: str | None) -> None:
        target.state, target.reason, target.description = state, reason, description


def is_attached(core: Core, group: TargetGroup) -> bool:
    """Some listener rule forwards to the group."""
    rules = (rule for each in core.state.listeners.values() for rule in each.rules)
    return any(a.get("TargetGroupArn") == group.arn for rule in rules for a in rule.actions)


def find(task: Task, container: str) -> Container | None:
    return next((each for each in task.containers if each.name == container), None)


def matches(matcher: str, status: int) -> bool:
    """Whether a matcher such as `200,301-302` accepts the status."""
    for part in matcher.split(","):
        low, _, high = part.partition("-")
        if int(low) <= status <= int(high or low):
            return True
    return False
