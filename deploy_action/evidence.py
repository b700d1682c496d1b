"""Collect why a rollout failed, before anything is undone. Reads only, bounded, all optional."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, TypeVar

from deploy_action.errors import AwsError
from deploy_action.model import Definition, Task
from deploy_action.rollout import describe_stop, failed_container, is_fatal, telling_events
from deploy_action.task_definition import container_names, log_destination

if TYPE_CHECKING:
    from deploy_action.follow import Follower
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

TASKS_SHOWN = 3
EVENTS_SHOWN = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evidence:
    """Raw facts about a failure, newest last."""

    stops: tuple[str, ...]
    events: tuple[str, ...]
    targets: tuple[str, ...]
    log_tail: tuple[str, ...]

    @property
    def lines(self) -> tuple[str, ...]:
        """All but the log, one fact a line."""
        return (*self.stops, *self.targets, *self.events)


def collect(
    definition: Definition,
    follower: Follower,
    log_lines: int,
    gateways: Gateways,
    journal: Journal,
) -> Evidence:
    """What AWS can still say about the failure of `definition`."""
    since = follower.rollout.started_at
    stopped = [t for t in follower.stopped.values() if is_fatal(t)][-TASKS_SHOWN:]
    service = follower.service
    events = telling_events(service, since)[-EVENTS_SHOWN:] if service else []
    groups = [lb.target_group_arn for lb in service.load_balancing] if service else []
    tasks = stopped or _running(definition, follower, gateways, journal)
    return Evidence(
        stops=tuple(f"task {t.id}: {describe_stop(t)}" for t in stopped),
        events=tuple(f"event: {message}" for message in events),
        targets=tuple(_unhealthy([g for g in groups if g], gateways, journal)),
        log_tail=tuple(_log_tail(definition, tasks, log_lines, gateways, journal)),
    )


def _running(
    definition: Definition, follower: Follower, gateways: Gateways, journal: Journal
) -> list[Task]:
    """Tasks of the revision that still run: they hold the log where none stopped."""

    def read() -> list[Task]:
        arns = gateways.ecs.task_arns(follower.rollout.service, stopped=False)
        return gateways.ecs.tasks(arns)

    found = _read(read, journal) or []
    return [t for t in found if t.task_definition == definition.arn][-TASKS_SHOWN:]


def _unhealthy(groups: list[str], gateways: Gateways, journal: Journal) -> list[str]:
    lines = []
    for group in groups:
        for target in _read(partial(gateways.elbv2.target_health, group), journal) or []:
            if target.state not in {"healthy", "draining"}:
                said = f"{target.reason} {target.description}".strip()
                lines.append(f"target {target.target} is {target.state}: {said}".rstrip(": "))
    return list(dict.fromkeys(lines))


def _log_tail(
    definition: Definition, tasks: list[Task], lines: int, gateways: Gateways, journal: Journal
) -> list[str]:
    """The last lines of the container that failed, in the newest task that says anything."""
    if not lines:
        return []
    for task in reversed(tasks):
        names = dict.fromkeys([failed_container(task), *container_names(definition.body)])
        for name in names:
            place = log_destination(definition.body, name)
            if place is None:
                continue
            stream = f"{place[1]}/{name}/{task.id}"
            found = _read(partial(gateways.logs.tail, place[0], stream, lines), journal)
            if found:
                return found
    return []


def _read(read: Callable[[], T], journal: Journal) -> T | None:
    try:
        return read()
    except AwsError as error:
        journal.say(f"going on without: {error}")
        return None
