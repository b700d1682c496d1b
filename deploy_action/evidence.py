"""Collect why a rollout failed, before anything is undone. Reads only, bounded, all optional."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

from deploy_action.errors import AwsError
from deploy_action.model import Definition, Json, Service, TargetCheck, TargetHealth, Task
from deploy_action.rollout import TELLING, describe_stop, failed_container, is_fatal
from deploy_action.task_definition import container_names, log_destination

if TYPE_CHECKING:
    from deploy_action.follow import Follower
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

TASKS_KEPT = 3
"""Of each kind: those that speak against the revision, those that do not, those that run."""
EVENTS_KEPT, EVENTS_SHOWN = 30, 5
TARGETS_KEPT = 10
LOG_LINE = 2000
"""Characters kept of a line that the application wrote."""
ROUTINE = ("in progress.", "completed.")
"""How reasons of a deployment end that tell nothing of a failure."""
LOOKS_WELL = {"healthy", "draining"}
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Raw facts about a failure, each newest last. Whatever could not be read is empty."""

    stops: tuple[Task, ...] = ()
    """Stopped tasks of our own deployment, also those that nobody is to blame for."""
    running: tuple[Task, ...] = ()
    """Tasks of the revision that still ran."""
    events: tuple[str, ...] = ()
    """What the service said since the update, good news included."""
    targets: tuple[TargetHealth, ...] = ()
    """Targets that the load balancer does not find healthy."""
    checks: tuple[TargetCheck, ...] = ()
    """How the load balancer asks them."""
    deployment: tuple[str, ...] = ()
    """Reasons of the deployment: of its roll-out, of its record, of its rollback."""
    alarms: tuple[str, ...] = ()
    problem: str = ""
    """What our own look at the endpoint found."""
    refusal: AwsError | None = None
    """The call that AWS refused, where that is the failure."""
    log_container: str = ""
    log_tail: tuple[str, ...] = ()
    """Written by the application: never to be trusted."""
    main: frozenset[str] = frozenset()
    """Containers behind the load balancer; empty where there is none."""
    helpers: frozenset[str] = frozenset()
    """Containers that are not essential."""
    execution_role: str = ""
    task_role: str = ""

    @property
    def lines(self) -> tuple[str, ...]:
        """All but the log, one fact a line, the routine left out."""
        fatal = [task for task in self.stops if is_fatal(task)][-TASKS_KEPT:]
        telling = [e for e in self.events if any(part in e for part in TELLING)]
        return (
            *(f"task {task.id}: {describe_stop(task)}" for task in fatal or self.stops),
            *(describe_target(target) for target in self.targets),
            *(f"event: {message}" for message in telling[-EVENTS_SHOWN:]),
            *(f"deployment: {reason}" for reason in self.deployment),
        )


def collect(
    definition: Definition,
    follower: Follower,
    log_lines: int,
    gateways: Gateways,
    journal: Journal,
    problem: str = "",
) -> Evidence:
    """What AWS can still say about the failure of `definition`."""
    reader = _Reader(gateways, journal)
    service, since = follower.service, follower.rollout.started_at
    stops = _kept(follower.stopped.values())
    fatal = [task for task in stops if is_fatal(task)]
    running = reader.running(follower.rollout.service, definition.arn)
    groups = [lb.target_group_arn for lb in service.load_balancing] if service else []
    known = [group for group in groups if group]
    container, log_tail = reader.log(definition, fatal or running or stops, log_lines)
    reasons, alarms = reader.reasons(follower)
    return Evidence(
        stops=tuple(stops),
        running=tuple(running),
        events=tuple(_messages(service, since) if service else ()),
        targets=tuple(reader.targets(known)),
        checks=tuple(reader.checks(known)),
        deployment=reasons,
        alarms=alarms,
        problem=problem,
        log_container=container,
        log_tail=log_tail,
        main=frozenset(lb.container for lb in service.load_balancing if lb.container)
        if service
        else frozenset(),
        **_about(definition),
    )


def collect_task(
    task: Task, definition: Definition, log_lines: int, gateways: Gateways, journal: Journal
) -> Evidence:
    """What is known of one task that was started by itself, without a service."""
    container, log_tail = _Reader(gateways, journal).log(definition, [task], log_lines)
    return Evidence(stops=(task,), log_container=container, log_tail=log_tail, **_about(definition))


def describe_target(target: TargetHealth) -> str:
    """One line about one target."""
    said = f"{target.reason} {target.description}".strip()
    return f"target {target.target} is {target.state}: {said}".rstrip(": ")


def _about(definition: Definition) -> dict[str, Any]:
    body = definition.body
    helpers = (c.get("name") for c in body.get("containerDefinitions") or [] if not _essential(c))
    return {
        "helpers": frozenset(map(str, helpers)),
        "execution_role": str(body.get("executionRoleArn") or ""),
        "task_role": str(body.get("taskRoleArn") or ""),
    }


def _essential(container: Json) -> bool:
    return container.get("essential") is not False


def _kept(stopped: Iterable[Task]) -> list[Task]:
    """The newest of those that speak against the revision, after the newest of the others."""
    tasks = list(stopped)
    fatal = [task for task in tasks if is_fatal(task)]
    others = [task for task in tasks if not is_fatal(task)]
    return [*others[-TASKS_KEPT:], *fatal[-TASKS_KEPT:]]


def _messages(service: Service, since: datetime) -> list[str]:
    fresh = sorted((e for e in service.events if e.at >= since), key=lambda e: e.at)
    return [event.message for event in fresh][-EVENTS_KEPT:]


class _Reader:
    """Reads that may fail: each one that does only makes the explanation poorer."""

    def __init__(self, gateways: Gateways, journal: Journal) -> None:
        self._gateways = gateways
        self._journal = journal

    def running(self, service: str, revision: str) -> list[Task]:
        ecs = self._gateways.ecs
        found = self._read(lambda: ecs.tasks(ecs.task_arns(service, stopped=False))) or []
        return [task for task in found if task.task_definition == revision][-TASKS_KEPT:]

    def targets(self, groups: list[str]) -> list[TargetHealth]:
        """Each that is not well, once."""
        found = []
        for group in groups:
            answer = self._read(partial(self._gateways.elbv2.target_health, group)) or []
            found += [target for target in answer if target.state not in LOOKS_WELL]
        return list(dict.fromkeys(found))[:TARGETS_KEPT]

    def checks(self, groups: list[str]) -> list[TargetCheck]:
        found = [self._read(partial(self._gateways.elbv2.target_check, g)) for g in groups]
        return [check for check in found if check]

    def reasons(self, follower: Follower) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Why ECS says that the deployment failed, and the alarms that it saw."""
        rollout, service = follower.rollout, follower.service
        ours = service.deployment(rollout.deployment_id) if service else None
        arn = follower.service_deployment
        record = self._read(partial(self._gateways.ecs.service_deployment, arn)) if arn else None
        said = [ours.reason if ours else ""]
        if record:
            said += [record.reason, record.rollback_reason]
        reasons = dict.fromkeys(text for text in said if text and not text.endswith(ROUTINE))
        return tuple(reasons), record.alarms if record else ()

    def log(
        self, definition: Definition, tasks: list[Task], lines: int
    ) -> tuple[str, tuple[str, ...]]:
        """The container that failed and its last lines, of the newest task that says anything."""
        if not lines:
            return "", ()
        for task in reversed(tasks):
            names = dict.fromkeys([failed_container(task), *container_names(definition.body)])
            for name in names:
                place = log_destination(definition.body, name)
                if place is None:
                    continue
                stream = f"{place[1]}/{name}/{task.id}"
                found = self._read(partial(self._gateways.logs.tail, place[0], stream, lines))
                if found:
                    split = [line for message in found for line in message.splitlines()]
                    return name, tuple(line[:LOG_LINE] for line in split[-lines:])
        return "", ()

    def _read(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except AwsError as error:
            self._journal.say(f"going on without: {error}")
            return None
