"""Judge a rollout: given what AWS says right now, how is it going?

Pure. One observation in, one state out; `watch` does the asking and waiting.
The identity of a rollout is its deployment id: "the service is stable" and "the
task definition is ours" are both true in cases that are not our success.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from deploy_action.model import (
    ONE_OFF,
    Container,
    Deployment,
    Rollout,
    Service,
    ServiceDeployment,
    Task,
    revision_of,
)

DETERMINISTIC = (
    "not found", "manifest unknown", "does not contain descriptor matching platform",
    "pull access denied", "no space left on device", "exec format error",
    "unable to pull secrets", "can't find the specified secret", "invalid ssm parameters",
    "marked for deletion", "did not contain json key", "failed to validate logger args",
    "failed to invoke efs", "failed to download env files", "executable file not found",
    "cannotcreatecontainererror", "cannotstartcontainererror", "invalidvolumeerror",
    "hostconfigerror", "no such file or directory", "accessdenied", "cannotcreatevolumeerror",
    "cannotpullcontainerauth", "kmsexception",
)  # fmt: skip
"""Parts of a stop reason (lower case) that a second task would only repeat."""
MAY_PASS = (
    "timeout",
    "timed out",
    "deadline exceeded",
    "canceled while waiting",
    "signal: killed",
    "connection reset",
    "throttl",
    "rate exceeded",
    "toomanyrequests",
)
"""Parts that mean a slow, closed or busy network: one task is not enough to convict."""
CANNOT_RUN = (126, 127)
"""What a shell exits with when it cannot run the command it was given, or cannot find it."""
KILLED = (130, 137, 143)
"""What a container exits with that was told to stop, mostly because another one had ended."""
FATAL_CODES = ("EssentialContainerExited", "TaskFailedToStart")
HEALTH_STOPS = ("failed elb health checks", "failed container health checks")
ON_ITS_WAY_OUT = {"DRAINING", "INACTIVE"}
"""States of a service that is being deleted; a word newer than this program says nothing."""
ROLLING_BACK = "ECS is rolling the deployment back"
ROLLED_BACK = "ECS rolled the deployment back"
TELLING = ("unable", "unhealthy", "failed", "throttled", "insufficient", "capacity", "not ")
"""Parts of service events that are worth a line; the rest is routine."""
ENVIRONMENTAL = (
    "timeout waiting for network interface provisioning",
    "capacity is unavailable",
    "enough free addresses",
    "limit on the number of vcpus",
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Observation:
    """Everything one look at AWS brought."""

    service: Service
    service_deployment: ServiceDeployment | None
    stopped: tuple[Task, ...]
    """Stopped tasks of our deployment so far."""


@dataclass(frozen=True, slots=True)
class Moving:
    """Not decided yet."""


@dataclass(frozen=True, slots=True)
class Finished:
    """ECS completed our deployment and it is PRIMARY."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Our deployment cannot succeed, and nobody has started to undo it."""

    reason: str
    is_over: bool = False
    """Whether ECS itself has ended it: a rollback that was asked for does not come any more."""


@dataclass(frozen=True, slots=True)
class EcsRollsBack:
    """ECS is undoing our deployment; nothing for us to start."""

    reason: str


@dataclass(frozen=True, slots=True)
class EcsRolledBack:
    """ECS undid our deployment."""

    reason: str


@dataclass(frozen=True, slots=True)
class EcsRollbackFailed:
    """ECS tried to undo our deployment and could not."""

    reason: str


@dataclass(frozen=True, slots=True)
class Replaced:
    """Somebody else's deployment took our place, or the service is gone."""

    by: str
    certain: bool
    """False where a stale read could look the same: look again before believing it."""


State = Moving | Finished | Broken | EcsRollsBack | EcsRolledBack | EcsRollbackFailed | Replaced


def judge(rollout: Rollout, seen: Observation, fail_after: int) -> State:
    """The state of `rollout`. `fail_after` own fatal stops convict it."""
    if seen.service.status in ON_ITS_WAY_OUT:
        return Replaced(f"the service is {seen.service.status}: it is being deleted", certain=True)
    if state := _by_service_deployment(rollout, seen):
        return state
    primary = seen.service.primary
    if primary is None:
        return Moving()
    if primary.id != rollout.deployment_id:
        return _not_primary(rollout, seen, primary)
    if primary.rollout_state == "COMPLETED":
        return Finished()
    if primary.rollout_state == "FAILED":
        return Broken(_with_reason("ECS declared the deployment failed", primary.reason))
    if primary.rollout_state is None and _has_settled(seen.service, primary):
        return Finished()
    return convict(seen.stopped, fail_after) or Moving()


def _by_service_deployment(rollout: Rollout, seen: Observation) -> State | None:
    """What the record that has words for a rollback says; None where it leaves it open."""
    record, primary = seen.service_deployment, seen.service.primary
    if record is None or primary is None:
        return None
    is_primary = primary.id == rollout.deployment_id
    reason = record.rollback_reason or record.reason
    if record.alarms:
        reason = f"{reason} (alarms: {', '.join(record.alarms)})".strip()
    if record.status in {"SUCCESSFUL", "STOPPED"} and not is_primary:
        return None
    if record.status == "SUCCESSFUL" and primary.rollout_state == "IN_PROGRESS":
        # The two do not agree yet, or the record is somebody else's: green can wait.
        return None
    states: dict[str, State] = {
        "SUCCESSFUL": Finished(),
        "STOPPED": Broken(_with_reason("ECS stopped the deployment", reason), is_over=True),
        "ROLLBACK_REQUESTED": EcsRollsBack(_with_reason(ROLLING_BACK, reason)),
        "ROLLBACK_IN_PROGRESS": EcsRollsBack(_with_reason(ROLLING_BACK, reason)),
        "ROLLBACK_SUCCESSFUL": EcsRolledBack(_with_reason(ROLLED_BACK, reason)),
        "ROLLBACK_FAILED": EcsRollbackFailed(
            _with_reason("ECS could not roll the deployment back", reason)
        ),
    }
    # PENDING, IN_PROGRESS, STOP_REQUESTED and words newer than this program leave it open.
    return states.get(record.status)


def _not_primary(rollout: Rollout, seen: Observation, primary: Deployment) -> State:
    """Rolled back, superseded, or only an old answer?"""
    ours, record = seen.service.deployment(rollout.deployment_id), seen.service_deployment
    back = primary.task_definition == rollout.baseline.task_definition
    has_failed = ours is not None and ours.rollout_state == "FAILED"
    # What ECS only stopped it did not roll back: then somebody asked for the old revision.
    is_only_stopped = record is not None and record.status == "STOPPED"
    names_rollback = "rolling back" in primary.reason.lower()
    if back and (names_rollback or (has_failed and not is_only_stopped)):
        reason = ours.reason if ours else primary.reason
        if primary.rollout_state == "COMPLETED":
            return EcsRolledBack(_with_reason(ROLLED_BACK, reason))
        return EcsRollsBack(_with_reason(ROLLING_BACK, reason))
    if primary.id in rollout.baseline.deployment_ids:
        # Known from before the update: the answer is older than our deployment.
        return Moving()
    newer = primary.created_at is not None and primary.created_at > rollout.started_at
    return Replaced(
        f"deployment {primary.id} ({revision_of(primary.task_definition)})",
        certain=newer and ours is not None,
    )


def convict(stopped: tuple[Task, ...], fail_after: int) -> Broken | None:
    """Whether our own stopped tasks prove that the revision does not work."""
    fatal = [task for task in stopped if is_fatal(task)]
    sure = [task for task in fatal if is_deterministic(task)]
    if sure:
        return Broken(f"a task could not start: {describe_stop(sure[0])}")
    if len(fatal) >= fail_after:
        count = f"{len(fatal)} tasks of the new revision" if len(fatal) > 1 else "a task"
        return Broken(f"{count} stopped: {describe_stop(fatal[-1])}")
    return None


def is_own(rollout: Rollout, task: Task) -> bool:
    """Whether the task belongs to our deployment.

    ECS writes the deployment id into `startedBy`. Where something else stands
    there, the revision and the time of creation decide.
    """
    if task.started_by.startswith(ONE_OFF):
        return False
    if task.started_by.startswith("ecs-svc/"):
        return task.started_by == rollout.deployment_id
    return (
        task.task_definition == rollout.task_definition
        and task.created_at is not None
        and task.created_at >= rollout.started_at - timedelta(seconds=5)
    )


def is_fatal(task: Task) -> bool:
    """Whether this stop speaks against the revision, and not against its surroundings."""
    reason = stop_text(task).lower()
    if any(part in reason for part in ENVIRONMENTAL):
        return False
    if any(part in reason for part in HEALTH_STOPS):
        return True
    return task.stop_code in FATAL_CODES


def is_deterministic(task: Task) -> bool:
    """Whether a second task could only fail in the same way."""
    reason = stop_text(task).lower()
    if task.stop_code == "EssentialContainerExited":
        return _exit_code(task) in CANNOT_RUN
    if task.stop_code != "TaskFailedToStart" or any(part in reason for part in MAY_PASS):
        return False
    return any(part in reason for part in DETERMINISTIC)


def stop_text(task: Task) -> str:
    """All reasons that a stopped task carries, its own and its containers'."""
    reasons = [task.stopped_reason, *(c.reason for c in task.containers)]
    return " ".join(dict.fromkeys(r for r in reasons if r))


def describe_stop(task: Task) -> str:
    """One line: which container ended how, and what ECS says of it."""
    failed, exit_code = failed_container(task), _exit_code(task)
    how = f"container {failed!r} exited with code {exit_code}" if exit_code is not None else ""
    return " - ".join(part for part in (how, stop_text(task) or task.stop_code) if part)


def failed_container(task: Task) -> str:
    """The container that brought the task down, as far as the answer tells."""
    failed = min(task.containers, key=lambda c: _innocence(c, task), default=None)
    return failed.name if failed else ""


def _exit_code(task: Task) -> int | None:
    failed = failed_container(task)
    return next((c.exit_code for c in task.containers if c.name == failed), None)


def _innocence(container: Container, task: Task) -> int:
    """The lower, the more likely this container ended first and took the others with it."""
    code, reason = container.exit_code, container.reason
    if code is not None and code != 0 and (code not in KILLED or reason):
        return 0
    if code is None and reason:
        return 1
    if container.health == "UNHEALTHY":
        return 2
    if code == 0 and task.stop_code == "EssentialContainerExited":
        return 3
    return 4 if code else 5


def telling_events(service: Service, since: datetime) -> list[str]:
    """Messages of the service since then that say that something is wrong, oldest first."""
    fresh = [
        e for e in service.events if e.at >= since and any(part in e.message for part in TELLING)
    ]
    return [event.message for event in sorted(fresh, key=lambda e: e.at)]


def progress(rollout: Rollout, seen: Observation) -> str:
    """One line that changes when something changed."""
    ours = seen.service.deployment(rollout.deployment_id)
    if ours is None:
        return "our deployment is not visible yet"
    parts = [f"{ours.running}/{ours.desired} running"]
    if ours.pending:
        parts.append(f"{ours.pending} pending")
    if stopped := len(seen.stopped):
        parts.append(f"{stopped} stopped")
    old = sum(d.running for d in seen.service.deployments if d.id != rollout.deployment_id)
    if old:
        parts.append(f"{old} of the previous revision running")
    state = (ours.rollout_state or ours.status).lower().replace("_", " ")
    return f"{revision_of(rollout.task_definition)}: {', '.join(parts)} ({state})"


def _has_settled(service: Service, primary: Deployment) -> bool:
    """Completion where ECS tracks no rollout state (a Classic Load Balancer)."""
    return len(service.deployments) == 1 and primary.running >= primary.desired > 0


def _with_reason(what: str, reason: str) -> str:
    return f"{what}: {reason}" if reason else what
