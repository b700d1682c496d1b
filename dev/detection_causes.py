"""The causes of the detection table: what each does to a release, and the first sign of it."""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final, TextIO

from deploy_action import app
from tests.scenarios.stage import CRASHING, GOOD, Outcome, Stage, Step
from tests.simulator import Behaviour, Change, Fault, World, faults

SECRET: Final = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-abcdef"
ALARMS: Final = {"alarms": {"alarmNames": ["errors"], "enable": True, "rollback": True}}
AT_ONCE: Final = {"thresholdConfiguration": {"type": "COUNT", "value": 1}}
NO_ADDRESS: Final = "the subnet 'subnet-1' does not have enough free addresses"


class Trial(Stage):
    """A stage that knows the new image, and when each line of the log was written."""

    def __init__(self, folder: Path, cause: Cause) -> None:
        super().__init__(folder, world=World(snapshots=False), **cause.service)
        self.image = self.world.image(
            "web", tag="new", behaviour=cause.behaviour, platforms=(cause.platform,)
        )
        self.lines: list[tuple[float, str]] = []
        self._tag, self._secrets = cause.tag, cause.secrets
        cause.before(self)
        after = Fault(after=lambda: cause.after(self))
        self.world.faults.append(faults.on("ecs:UpdateService", after))

    def run(self, variables: dict[str, str], step: Step = app.main) -> Outcome:
        def timed(env: Mapping[str, str], outside: app.Outside, log: TextIO) -> int:
            return step(env, outside, _Dated(log, self))

        return super().run(variables, timed)

    def since_update(self, change: Change) -> float:
        return (change.time - self.world.own_updates("web")[0].time).total_seconds()

    @property
    def now(self) -> float:
        """Seconds since the first update of our own; NaN before it."""
        updates = self.world.own_updates("web")
        if not updates:
            return math.nan
        return (self.world.clock.now() - updates[0].time).total_seconds()

    @property
    def deployment(self) -> str:
        started = self.world.history.of("deployment-started", subject="web")
        return next(str(each.detail["id"]) for each in started if each.actor == "client")

    @property
    def reference(self) -> str:
        """The image that is asked for, which need not be there."""
        return f"{self.image.uri}:{self._tag}"

    def definition(self) -> dict[str, Any]:
        """What a client registers for this release."""
        current = self.world.state.task_definitions[self.before]
        container = current.containers[0] | {"image": self.reference}
        if self._secrets:
            secrets = [{"name": name, "valueFrom": arn} for name, arn in self._secrets.items()]
            container["secrets"] = secrets
        kept = (
            "networkMode",
            "requiresCompatibilities",
            "cpu",
            "memory",
            "executionRoleArn",
            "taskRoleArn",
            "runtimePlatform",
        )
        body = {key: value for key, value in current.body.items() if key in kept}
        return {"family": current.family, "containerDefinitions": [container], **body}

    def stops(self) -> list[float]:
        """When tasks of the new deployment stopped by themselves or for their health."""
        updated = self.world.own_updates("web")[0].time
        return sorted(
            (task.stopping_at - updated).total_seconds()
            for task in self.world.state.tasks.values()
            if task.deployment == self.deployment and task.stopping_at
            if task.stop_code in {"EssentialContainerExited", "TaskFailedToStart"}
            or (task.stopped_reason or "").startswith("Task failed ")
        )


class _Dated(io.StringIO):
    """Passes a log on and notes when each text came."""

    def __init__(self, log: TextIO, trial: Trial) -> None:
        super().__init__()
        self._log, self._trial = log, trial

    def write(self, text: str) -> int:
        self._trial.lines += [(self._trial.now, line) for line in text.splitlines()]
        return self._log.write(text)


def _nothing(_: Trial) -> None:
    """Nobody else does anything."""


def _first_stop(trial: Trial) -> float:
    return trial.stops()[0]


def _second_stop(trial: Trial) -> float:
    return trial.stops()[1]


def _ended(trial: Trial) -> float:
    """When ECS itself ended the new deployment, well or badly."""
    ends = trial.world.history.of("deployment-ended", subject="web")
    return trial.since_update(next(e for e in ends if e.detail["id"] == trial.deployment))


def _foreign(trial: Trial) -> float:
    starts = trial.world.history.of("deployment-started", subject="web")
    return trial.since_update(next(each for each in starts if each.actor == "foreign"))


def _event(trial: Trial) -> float:
    """The first event that tasks cannot be placed."""
    updated = trial.world.own_updates("web")[0].time
    events = trial.world.state.service("web").events
    times = [e["createdAt"] for e in events if "unable to place" in e["message"]]
    return float((min(times) - updated).total_seconds())


def _refused(trial: Trial) -> float:
    """The first poll that IAM refused."""
    updated = trial.world.own_updates("web")[0].time
    calls = trial.world.history.named("ecs:DescribeServices")
    first = next(call for call in calls if call.outcome == "AccessDeniedException")
    return (first.time - updated).total_seconds()


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One way in which a release goes, and the first sign of it."""

    name: str
    sign: str = "second own stopped task"
    known: Callable[[Trial], float] = _second_stop
    behaviour: Behaviour = GOOD
    platform: str = "linux/amd64"
    tag: str = "new"
    is_healthy: bool = False
    """Whether the release would come to a good end if left alone."""
    warning: str = ""
    """What preflight says about it without refusing."""
    secrets: Mapping[str, str] = field(default_factory=dict)
    service: Mapping[str, Any] = field(default_factory=dict)
    before: Callable[[Trial], object] = _nothing
    after: Callable[[Trial], object] = _nothing
    """Just after UpdateService took effect."""


def _no_log_group(trial: Trial) -> None:
    del trial.world.state.logs["/ecs/web"]


def _cannot_place(why: str) -> Callable[[Trial], None]:
    return lambda trial: trial.world.set_placement_problem("web", why)


def _no_room(trial: Trial) -> None:
    trial.world.state.service("web").configuration["maximumPercent"] = 100


def _no_addresses(trial: Trial) -> None:
    trial.world.state.subnets.update({"subnet-1": 0, "subnet-2": 0})


def _ring(trial: Trial) -> None:
    trial.world.at(45, lambda: trial.world.set_alarm("errors", "ALARM"))


def _supersede(trial: Trial) -> None:
    theirs = trial.world.image("web", tag="theirs", behaviour=GOOD)
    trial.world.at(25, lambda: trial.world.deploy("web", theirs))


def _lose_access(trial: Trial) -> None:
    trial.world.at(25, lambda: trial.world.deny("ecs:DescribeServices"))


def _throttle(trial: Trial) -> None:
    reads = ("Describe", "List")
    trial.world.faults.append(
        lambda call: (
            faults.throttled()
            if call.service == "ecs" and call.operation.startswith(reads)
            else None
        )
    )


FIRST, ENDED = "first own stopped task", "ECS fails the deployment"
UNPLACED = "first event; it may still pass"
CAUSES: Final = (
    Cause(name="missing image", sign=FIRST, known=_first_stop, tag="gone"),
    Cause(name="wrong architecture", sign=FIRST, known=_first_stop, platform="linux/arm64"),
    Cause(name="crash on start", behaviour=CRASHING),
    Cause(name="out of memory", behaviour=Behaviour(oom=True)),
    Cause(name="secret missing", sign=FIRST, known=_first_stop, secrets={"DB": SECRET}),
    Cause(name="log group missing", sign=FIRST, known=_first_stop, before=_no_log_group),
    Cause(name="never listens", behaviour=Behaviour(listens=False)),
    Cause(name="wrong health path", behaviour=replace(GOOD, paths={"/health": (404, "")})),
    Cause(name="health check too strict", behaviour=replace(GOOD, start_seconds=90)),
    Cause(name="no capacity", sign=UNPLACED, known=_event, after=_cannot_place("RESOURCE:MEMORY")),
    Cause(name="min/max deadlock", before=_no_room),
    Cause(
        name="subnet without addresses",
        warning="free addresses",
        sign=UNPLACED,
        known=_event,
        before=_no_addresses,
        after=_cannot_place(NO_ADDRESS),
    ),
    Cause(
        name="alarm",
        sign=ENDED,
        known=_ended,
        service={"deployment_configuration": ALARMS},
        before=lambda trial: trial.world.alarm("errors"),
        after=_ring,
    ),
    Cause(
        name="breaker with rollback",
        sign=ENDED,
        known=_ended,
        behaviour=CRASHING,
        service={"breaker": "rollback", "breaker_settings": AT_ONCE},
    ),
    Cause(
        name="breaker without rollback",
        sign=ENDED,
        known=_ended,
        behaviour=CRASHING,
        service={"breaker": "no-rollback", "breaker_settings": AT_ONCE},
    ),
    Cause(name="superseded", sign="foreign deployment", known=_foreign, after=_supersede),
    Cause(
        name="access denied while polling",
        is_healthy=True,
        sign="first refused poll",
        known=_refused,
        after=_lose_access,
    ),
    Cause(
        name="throttled throughout",
        is_healthy=True,
        sign="cannot be known: no read is answered",
        known=lambda _: math.nan,
        after=_throttle,
    ),
    Cause(
        name="slow but healthy",
        is_healthy=True,
        sign="ECS completes it",
        known=_ended,
        behaviour=replace(GOOD, start_seconds=200),
        service={"grace_seconds": 300},
    ),
)
