"""What really happened in a trial, read from the history of the simulated AWS."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.simulator.calls import Call, Change
from tests.simulator.ecs_records import Service
from tests.storms.trial import Run, Trial

SERVICE_WRITES = ("service-updated", "stop-requested")
FATAL = ("EssentialContainerExited", "TaskFailedToStart")


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """A deployment that became PRIMARY, by whose doing."""

    id: str
    task_definition: str
    actor: str
    why: str
    call: int | None
    position: int


def starts(trial: Trial, until: int | None = None) -> list[Started]:
    """Deployments of the service in order, the first one included."""
    first = Started(
        id=trial.first_primary,
        task_definition=trial.before,
        actor="foreign",
        why="given",
        call=None,
        position=-1,
    )
    changes = trial.world.history.changes[:until]
    return [first] + [
        Started(
            id=c.detail["id"],
            task_definition=c.detail["task_definition"],
            actor=c.actor,
            why=c.detail["why"],
            call=c.call,
            position=n,
        )
        for n, c in enumerate(changes)
        if c.kind == "deployment-started" and c.subject == "web"
    ]


def primary_at(trial: Trial, changes: int) -> Started:
    """Who was PRIMARY when the history held so many changes."""
    return starts(trial, changes)[-1]


def last_completed(trial: Trial, changes: int) -> str:
    """The revision of the last deployment that had completed by then."""
    done = [
        c.detail["task_definition"]
        for c in trial.world.history.changes[:changes]
        if c.kind == "deployment-ended" and c.subject == "web" and c.detail["state"] == "COMPLETED"
    ]
    return str(done[-1]) if done else trial.before


def frame(service: Service) -> dict[str, object]:
    """Everything about the service that a release must leave as it is."""
    return {
        "configuration": service.configuration,
        "load balancers": service.load_balancers,
        "network": service.network,
        "grace": service.grace_seconds,
        "launch type": service.launch_type,
        "extra": service.extra,
        "tags": service.tags,
    }


def main_of(trial: Trial, run: Run) -> Run:
    """The main step that a post step finishes; of a main step itself."""
    earlier = trial.runs[: trial.runs.index(run) + 1]
    return [each for each in earlier if each.step == "main"][-1]


def baseline(trial: Trial, run: Run) -> set[str]:
    """The revisions that count as "as it was": what had completed when our update arrived.

    Whatever completed during the run before that counts too.
    """
    main = main_of(trial, run)
    ours = forward(trial, main)
    until = ours.position if ours else run.changes.stop
    return {last_completed(trial, main.changes.start), last_completed(trial, until)}


def forward(trial: Trial, run: Run) -> Started | None:
    """The deployment that the main step of this run started: its first, before any rollback."""
    main = main_of(trial, run)
    own = (s for s in starts(trial) if s.actor == "client" and s.call in main.calls)
    return next(own, None)


def is_completed(trial: Trial, started: Started, until: int | None = None) -> bool:
    return completed_at(trial, started, until) is not None


def completed_at(trial: Trial, started: Started, until: int | None = None) -> int | None:
    """How long the history was once this deployment had completed."""
    changes = trial.world.history.changes[:until]
    for n in range(started.position + 1, len(changes)):
        change = changes[n]
        if change.kind == "deployment-ended" and change.detail["id"] == started.id:
            return n + 1 if change.detail["state"] == "COMPLETED" else None
    return 0 if started.why == "given" else None


SHOWS_SERVICE = ("ecs:DescribeServices", "ecs:UpdateService")
SHOWS_ROLLOUT = (*SHOWS_SERVICE, "ecs:DescribeServiceDeployments")


def clean_reads(
    trial: Trial, run: Run, before: int | None = None, names: tuple[str, ...] = SHOWS_SERVICE
) -> list[Call]:
    """Calls of this run that showed the service to the program as it was."""
    stop = run.calls.stop if before is None else before
    return [
        call
        for call in trial.world.history.calls[run.calls.start : stop]
        if call.name in names and call.outcome == "answered" and not call.is_distorted
    ]


def own_writes(trial: Trial, run: Run) -> Iterator[Change]:
    """Changes that this run made to the service."""
    for change in trial.world.history.changes[run.changes.start : run.changes.stop]:
        if change.actor == "client" and change.kind in SERVICE_WRITES:
            yield change


def own_definitions(trial: Trial) -> set[str]:
    registered = trial.world.history.of("task-definition-registered")
    return {change.subject for change in registered if change.actor == "client"}


def others_acted(trial: Trial, start: int, stop: int | None = None) -> bool:
    """Whether somebody else deployed or deleted the service in this part of the history."""
    return any(
        change.actor == "foreign" and change.kind in {"service-updated", "service-deleted"}
        for change in trial.world.history.changes[start:stop]
    )


def images(trial: Trial, task_definition: str) -> set[str]:
    """Digests in the revision."""
    containers = trial.world.state.task_definitions[task_definition].containers
    return {each["image"].partition("@")[2] for each in containers}


def only_fails(trial: Trial, started: Started) -> bool:
    """Whether tasks of this deployment failed: then a release may replace it."""
    return any(
        task.started_by == started.id and (task.stop_code in FATAL or not task.was_healthy)
        for task in trial.world.state.tasks.values()
        if task.stopped_at is not None
    )


def story_lines(trial: Trial, last: int = 45) -> Iterator[str]:
    """The end of the history, for a failing test's output."""
    for run in trial.runs:
        yield f"{run.step}: code {run.code}, {run.outcome.outputs}"
    yield from ("struck: " + each for each in trial.struck)
    history = trial.world.history
    calls = [(c.time, f"  [{c.index}] {c.name} {c.effect} {c.outcome}") for c in history.calls]
    changes = [(c.time, f"* {c.actor} {c.kind} {dict(c.detail)}") for c in history.changes]
    merged = sorted(calls + changes, key=lambda pair: pair[0])
    yield from (f"{time:%H:%M:%S.%f} {text}"[:300] for time, text in merged[-last:])
