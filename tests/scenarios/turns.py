"""Two runs of the action side by side in one simulated account: who waits lets the other go on."""

from __future__ import annotations

import heapq
import itertools
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path

from greenlet import getcurrent, greenlet

from deploy_action import app
from tests.scenarios.stage import Outcome, Stage
from tests.simulator import Behaviour, Fault, World, faults
from tests.simulator.calls import Call

SHAS = {"first": "1" * 40, "second": "2" * 40}
VERSION = {"version": "{label:org.opencontainers.image.revision}"}
WELL = Behaviour(json=VERSION)


class Turns:
    """The Clock port of several runs: time passes when all of them wait."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._hub = getcurrent()
        self._order = itertools.count()
        self._waiting: list[tuple[float, int, greenlet]] = []

    def monotonic(self) -> float:
        return self._world.clock.monotonic()

    def now(self) -> datetime:
        return self._world.clock.now()

    def sleep(self, seconds: float) -> None:
        self._wait(getcurrent(), seconds)
        self._hub.switch()

    def begin(self, work: Callable[[], object]) -> None:
        """Let `work` begin as soon as whoever runs now waits."""
        self._wait(greenlet(work, parent=self._hub), 0.0)

    def play(self) -> None:
        """Return when all of them are done."""
        handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
        # Each run ends its own simulated time; the one around them is the last to end.
        with self._world.simulated_time():
            while self._waiting:
                due, _, body = heapq.heappop(self._waiting)
                self._world.clock.advance(max(0.0, due - self.monotonic()))
                body.switch()
        for number, handler in handlers.items():
            signal.signal(number, handler)

    def _wait(self, body: greenlet, seconds: float) -> None:
        due = self.monotonic() + seconds
        heapq.heappush(self._waiting, (due, next(self._order), body))


class Runner(Stage):
    """A machine of its own that deploys a commit of its own to the service of a stage."""

    def __init__(self, name: str, stage: Stage, folder: Path, turns: Turns) -> None:
        folder.mkdir()
        vars(self).update(vars(stage))
        (folder / "Dockerfile").write_text("FROM scratch\n")
        self.name, self.workspace, self.turns = name, folder, turns
        self.behaviour = WELL
        self.ends: list[Outcome] = []
        self.primary_at_end = ""

    def go(self, given: Mapping[str, str] | None = None) -> None:
        sha = SHAS[self.name]
        inputs = {"health_json": f"/version={sha}", **(given or {})}
        self.ends.append(self.deploy(env={"GITHUB_SHA": sha}, **inputs))
        self.primary_at_end = self.world.primary("web").id

    @property
    def end(self) -> Outcome:
        """Its one end."""
        (end,) = self.ends
        return end

    def outside(self) -> app.Outside:
        outside = super().outside()
        return replace(outside, clock=self.turns, builder=_Builder(self.world, self))


class _Builder:
    """The builder of the world, whose images behave as the runner says."""

    def __init__(self, world: World, runner: Runner) -> None:
        self.resolve, self.copy = world.builder.resolve, world.builder.copy
        self._builder, self._runner = world.builder, runner

    def build_and_push(self, *given: object) -> str:
        self._builder.behaviour = self._runner.behaviour
        build: Callable[..., str] = self._builder.build_and_push
        return build(*given)


def when(name: str, act: Callable[[], object], *, skip: int = 0) -> Callable[[Call], Fault | None]:
    """Act just before the first call of that name, or a later one."""
    return faults.on(name, faults.meanwhile(act), skip=skip)
