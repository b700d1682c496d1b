"""One trial: the action against one world under faults, every step of it kept for judgement."""

from __future__ import annotations

import copy
import signal
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deploy_action import app
from deploy_action.ports import Answer
from tests.scenarios.stage import GOOD, OLD, SHA, Outcome, Stage
from tests.simulator import Behaviour, Call, FaultRule, World, faults
from tests.simulator.core import Timings
from tests.storms.plug import SECRET_KEY, plugged_into

QUICK = Timings(
    scheduler=1,
    provision=2,
    pull=1,
    start=0.5,
    deprovision=1,
    register=0.5,
    notice=1,
    settle=6,
    complete=0.5,
    place_again=4,
    build=3,
)
"""A service of seconds: the same story as with real times, in fewer polls."""
CANARIES = {
    "build secret": "canary-build-c0ffee-1",
    "health header": "canary-header-c0ffee-2",
    "environment value": "postgres://canary:c0ffee-3@db/shop",
    "AWS secret key": SECRET_KEY,
    "AWS session token": "canary-session-token-c0ffee-5",
}
"""Planted secrets: none of them may be seen anywhere but in a masking command."""
WRITES = {"ecs:UpdateService", "ecs:StopServiceDeployment"}
SETTLE_SECONDS = 2400.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """One question to the endpoint, and whether the answer was that of the version asked for."""

    call: int
    changes: int
    url: str
    good: bool


@dataclass(slots=True, kw_only=True)
class Run:
    """One step as it went; `code` is None where the process died."""

    step: str
    code: int | None
    outcome: Outcome
    state: str
    calls: range
    changes: range
    running: tuple[tuple[str, str], ...]
    """Revision and digest of every task that ran when the step ended."""
    started: float
    ended: float
    cancelled_at: float | None = None
    unrecorded: list[int] = field(default_factory=list)
    """Calls that wrote before the state file knew what to go back to."""

    @property
    def verdict(self) -> str:
        return self.outcome.verdict

    @property
    def is_cut_off(self) -> bool:
        """Whether the step ended in any way before it came to a verdict."""
        return self.code != 0 and not self.verdict


class _Listener:
    """The Http port of the world, remembering what was answered."""

    def __init__(self, world: World, asked: list[Asked], body: str) -> None:
        """`body` is what a good answer holds."""
        self._world = world
        self._asked = asked
        self._body = body

    def get(self, url: str, *, headers: Mapping[str, str], timeout_seconds: float) -> Answer:
        answer = self._world.http.get(url, headers=headers, timeout_seconds=timeout_seconds)
        history = self._world.history
        self._asked.append(
            Asked(
                call=len(history.calls) - 1,
                changes=len(history.changes),
                url=url,
                good=answer.status == 200 and self._body in answer.body,
            )
        )
        return answer


class Trial(Stage):
    """A stage whose runs may be cut off, and that remembers all of them."""

    def __init__(
        self,
        folder: Path,
        world: World,
        *,
        name: str,
        behaviour: Behaviour = GOOD,
        inputs: Mapping[str, str] | None = None,
        load_balanced: bool = True,
        probed: bool = True,
        **service: Any,  # noqa: ANN401 - as World.service
    ) -> None:
        if load_balanced:
            group = world.target_group("web", interval=5, drain_seconds=2)
            service["target_group"] = world.load_balancer("web", group=group)
        environment = {"DATABASE_URL": CANARIES["environment value"], "MODE": "plain"}
        super().__init__(
            folder, world=world, load_balanced=load_balanced, environment=environment, **service
        )
        neighbour = world.image("web", tag="neighbour", behaviour=OLD)
        self.neighbour = world.service("api", image=neighbour).primary.id
        """The deployment of another service in the same cluster, which nobody is to touch."""
        self.name = name
        self.has_endpoint = load_balanced and probed
        self.inputs = dict(inputs or {})
        self.operation = "deploy"
        self.runs: list[Run] = []
        self.asked: list[Asked] = []
        self.struck: list[str] = []
        """What the faults did, in words."""
        self.expected: set[str] | None = None
        """Verdicts that the faults leave possible, where that is known."""
        self.struck_run = 0
        """Which of the runs the faults strike first."""
        self.ends_well: bool | None = None
        """Whether a run without faults ends well now, where that is known."""
        self.may_build_twice = False
        self.may_leave = False
        """Whether the inputs say that a bad release is left where it is."""
        self.first_primary = world.primary("web").id
        self.service_before = copy.deepcopy(world.state.service("web"))
        self.body_before = world.state.task_definitions[self.before].body
        self._step = ""
        self._signalled: float | None = None
        self._unrecorded: list[int] = []
        world.builder.behaviour = behaviour
        world.faults.append(self._observe)

    # ---- verbs ----

    def fault(self, *rules: FaultRule) -> None:
        self.world.faults.extend(rules)

    def calm(self) -> None:
        """From now on nothing goes wrong any more."""
        del self.world.faults[1:]

    def cancel(self, number: int = signal.SIGINT) -> None:
        """The runner asks the running step to stop: once, again after 7.5 s, and then kills it."""
        if not self._step or self._signalled is not None:
            return
        self._signalled, run = self.world.clock.monotonic(), len(self.runs)
        self.world.at(7.5, lambda: self._insist(run, lambda: signal.raise_signal(signal.SIGTERM)))
        self.world.at(10.0, lambda: self._insist(run, _die))
        signal.raise_signal(number)

    def _insist(self, run: int, act: Callable[[], object]) -> None:
        if self._step and len(self.runs) == run:
            act()

    def main(self) -> Run:
        """The main step."""
        chosen = {
            "build_secrets": f"npm={CANARIES['build secret']}",
            "health_headers": f"X-Api-Key: {CANARIES['health header']}",
            **self.inputs,
            "operation": self.operation,
        }
        if self.operation in {"rollback", "restart"}:
            chosen.update(ecr_repository="", build_secrets="")
        if not self.has_endpoint:
            chosen.update(health_path="", health_headers="", health_json="")
        return self._keep("main", lambda: self.deploy(env=_credentials(), **chosen))

    def post(self) -> Run:
        """The post step."""
        return self._keep("post", self.finish)

    def settle(self) -> None:
        """Let the world come to rest without us."""
        clock, waited = self.world.clock, 0.0
        while waited < SETTLE_SECONDS and self.is_moving():
            clock.advance(20)
            waited += 20

    def is_moving(self) -> bool:
        service = self.world.state.service("web")
        if service.status != "ACTIVE":
            return any(task.is_alive for task in self.world.state.tasks_of(service))
        tasks = [t for t in self.world.state.tasks_of(service) if t.is_alive]
        return (
            service.primary.rollout_state == "IN_PROGRESS"
            or any(task.is_stopping for task in tasks)
            or (service.primary.rollout_state == "COMPLETED" and len(tasks) != service.desired)
        )

    def outside(self) -> app.Outside:
        session = plugged_into(self.world)
        return app.Outside(
            session=lambda _: session,
            http=_Listener(self.world, self.asked, "" if self.operation == "rollback" else SHA),
            builder=self.world.builder,
            engine=self.engine,
            clock=self.world.clock,
        )

    # ---- what is kept ----

    def _keep(self, step: str, run: Callable[[], Outcome]) -> Run:
        history, clock = self.world.history, self.world.clock
        first_call, first_change = len(history.calls), len(history.changes)
        started = clock.monotonic()
        self._step, self._signalled, self._unrecorded = step, None, []
        code: int | None = None
        try:
            outcome = run()
            code = outcome.code
        except faults.Killed:
            outcome = self.outcome(-1)
        kept = Run(
            step=step,
            code=code,
            outcome=outcome,
            state=(self.workspace / "state").read_text(),
            calls=range(first_call, len(history.calls)),
            changes=range(first_change, len(history.changes)),
            running=tuple(
                (task.task_definition, task.containers[0].digest or "")
                for task in self.world.running("web")
            ),
            started=started,
            ended=clock.monotonic(),
            cancelled_at=self._signalled,
            unrecorded=self._unrecorded,
        )
        self._step = ""
        self.runs.append(kept)
        return kept

    def _observe(self, call: Call) -> None:
        """Stands first among the faults and never strikes: looks what is on disk at a write."""
        if call.name in WRITES and self._step == "main":
            state = (self.workspace / "state").read_text()
            if '"baseline"' not in state:
                self._unrecorded.append(call.index)


def _die() -> None:
    raise faults.Killed


def _credentials() -> dict[str, str]:
    return {
        "AWS_ACCESS_KEY_ID": "AKIASIMULATED0000001",
        "AWS_SECRET_ACCESS_KEY": CANARIES["AWS secret key"],
        "AWS_SESSION_TOKEN": CANARIES["AWS session token"],
    }
