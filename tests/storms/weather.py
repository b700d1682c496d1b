"""Random worlds with random faults: one seed, one storm, one judgement."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from tests.scenarios.stage import GOOD, OLD, SHA
from tests.simulator import Behaviour, Call, Fault, FaultRule, Quirks, Timings, World
from tests.storms.facts import others_acted, story_lines
from tests.storms.invariants import violations
from tests.storms.stories import CRASHING, WRONG, scratch
from tests.storms.strikes import STRIKES, Strike
from tests.storms.trial import QUICK, WRITES, Trial

BEHAVIOURS: dict[str, Behaviour] = {
    "good": GOOD,
    "slow": replace(GOOD, start_seconds=7.0),
    "crash": CRASHING,
    "late crash": replace(CRASHING, crash_after_seconds=12.0),
    "oom": Behaviour(oom=True, crash_after_seconds=2.0, json={"version": SHA}),
    "deaf": replace(GOOD, listens=False, start_seconds=3600.0),
    "sick": replace(GOOD, health_status=500),
    "wrong": WRONG,
    "no image": Behaviour(pull_error="manifest unknown: not found", pull_error_seconds=6.0),
    "flapping": replace(GOOD, later=((25.0, replace(GOOD, health_status=503)), (40.0, GOOD))),
}
WEIGHTS = (34, 8, 12, 6, 5, 6, 6, 12, 6, 5)
NEVER_GREEN = {"crash", "oom", "no image"}
"""No task of these ever becomes healthy, so `deployed` is a lie whatever else happens."""
NEVER_ANSWERS = {"wrong", "sick", "deaf"}
"""The same, where the endpoint is asked."""
ALWAYS_GREEN = {"good", "slow"}
SINGLE = [strike for strike in STRIKES if not strike.skips_post]
PASSING = [strike for strike in STRIKES if strike.is_passing and strike.name != "scaled"]
BAD_ENDS = {"rolled-back", "timed-out", "unhealthy", "rollback-failed", "failed", "unknown"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What became of one storm."""

    seed: int
    verdict: str
    """Of the first run."""
    behaviour: str
    faults: int
    complaints: tuple[str, ...]
    history: tuple[str, ...]
    false_green: bool = False
    false_failure: bool = False

    @classmethod
    def broken(cls, seed: int, complaint: str) -> Result:
        """Of a storm that could not be played to its end."""
        return cls(
            seed=seed,
            verdict="",
            behaviour="",
            faults=0,
            complaints=(complaint,),
            history=(),
        )


def storm(seed: int, *, keep_history: bool = False) -> Result:
    """Play one storm from its seed; the same seed gives the same result, to the last call."""
    with scratch() as folder:
        weather = _Weather(seed, folder)
        trial = weather.play()
        complaints = tuple(violations(trial)) + tuple(weather.lies())
        return Result(
            seed=seed,
            verdict=trial.runs[0].verdict
            or ("killed" if trial.runs[0].code is None else "cancelled"),
            behaviour=weather.behaviour,
            faults=len(trial.struck),
            complaints=complaints,
            history=tuple(story_lines(trial, 400 if keep_history else 0)),
            false_green=any("green" in complaint for complaint in weather.lies()),
            false_failure=any("failure" in complaint for complaint in weather.lies()),
        )


class _Weather:
    def __init__(self, seed: int, folder: Path) -> None:
        self._dice = random.Random(seed)
        dice = self._dice
        self.behaviour = dice.choices(list(BEHAVIOURS), WEIGHTS)[0]
        self._kind = dice.choices(("calm", "passing", "rough"), (1, 3, 6))[0]
        load_balanced = dice.random() < 0.7
        self._strikes = self._draw_strikes()
        self._is_quick = dice.random() < 0.92
        world = World(
            seed=seed,
            timings=QUICK if self._is_quick else Timings(),
            quirks=self._draw_quirks(),
            snapshots=any(strike.is_stale for strike in self._strikes),
            validated=seed % 16 == 0,
        )
        self._trial = Trial(
            folder,
            world,
            name=f"storm {seed}",
            behaviour=BEHAVIOURS[self.behaviour],
            inputs=self._draw_inputs(),
            load_balanced=load_balanced,
            probed=dice.random() < 0.85,
            **self._draw_service(load_balanced=load_balanced),
        )
        self._disturb()

    def play(self) -> Trial:
        trial = self._trial
        run = trial.main()
        trial.calm()
        if run.is_cut_off and self._dice.random() < 0.9:
            trial.post()
        if self._dice.random() < 0.2:
            if self._dice.random() < 0.5:
                trial.settle()
            trial.may_build_twice = True
            trial.main()
        trial.settle()
        return trial

    def lies(self) -> list[str]:
        """Verdicts that this behaviour of the application makes impossible."""
        trial, run = self._trial, self._trial.runs[0]
        never = self.behaviour in NEVER_GREEN
        if trial.has_endpoint:
            never = never or self.behaviour in NEVER_ANSWERS
        desired = trial.service_before.desired
        if never and run.verdict == "deployed" and desired:
            return [f"false green: {self.behaviour!r} was called deployed"]
        is_mild = self._kind != "rough" and not self._is_disturbed
        failed = self.behaviour in ALWAYS_GREEN and run.verdict in BAD_ENDS
        if is_mild and failed and not others_acted(trial, 0):
            return [f"false failure: {self.behaviour!r} ended as {run.verdict}"]
        return []

    # ---- what is drawn ----

    def _draw_strikes(self) -> list[Strike]:
        dice = self._dice
        if self._kind == "calm":
            return []
        pool = PASSING if self._kind == "passing" else SINGLE
        return [dice.choice(pool) for _ in range(dice.randint(2, 7))]

    def _draw_quirks(self) -> Quirks:
        dice = self._dice
        return Quirks(
            service_deployment_visible_after=dice.choice((0.0, 0.0, 5.0, 40.0)),
            draining_counts=dice.random() < 0.5,
            rollback_reuses_deployment=dice.random() < 0.2,
            superseded_status=dice.choice(("STOPPED", "STOPPED", "SUCCESSFUL")),
            failed_deployment_status=dice.choice(("ACTIVE", "ACTIVE", "DRAINING")),
        )

    def _draw_inputs(self) -> dict[str, str]:
        dice = self._dice
        inputs = {
            "rollout_timeout_minutes": dice.choice(("2", "3")) if self._is_quick else "12",
            "health_timeout_seconds": dice.choice(("12", "30")),
            "when_busy": dice.choice(("wait", "wait", "wait", "fail")),
        }
        if dice.random() < 0.08:
            inputs["rollback_on_failure"] = "false"
        if dice.random() < 0.08:
            inputs["on_cancel"] = "leave"
        if dice.random() < 0.08:
            inputs["force_new_deployment"] = "true"
        return inputs

    def _draw_service(self, *, load_balanced: bool) -> dict[str, Any]:
        dice = self._dice
        service: dict[str, Any] = {
            "desired": dice.choices((0, 1, 2, 3, 4), (1, 8, 5, 3, 3))[0],
            "breaker": dice.choice((None, None, "rollback", "rollback", "no-rollback")),
        }
        if service["breaker"] and dice.random() < 0.5:
            threshold = {"type": "COUNT", "value": dice.randint(1, 3)}
            service["breaker_settings"] = {"thresholdConfiguration": threshold}
        minimum, maximum = dice.choice(((100, 200), (100, 200), (50, 150), (0, 100), (100, 150)))
        if service["desired"] > 1 or maximum == 200:
            service |= {"minimum_percent": minimum, "maximum_percent": maximum}
        if dice.random() < 0.2:
            service["health_check"] = {"interval": 5, "timeout": 2, "retries": 2}
        if load_balanced and dice.random() < 0.2:
            service["grace_seconds"] = 10
        return service

    # ---- what happens meanwhile ----

    def _disturb(self) -> None:
        trial, dice = self._trial, self._dice
        trial.may_leave = bool({"rollback_on_failure", "on_cancel"} & set(trial.inputs))
        for strike in self._strikes:
            trial.fault(self._aimed(strike))
        self._is_disturbed = False
        if self._kind != "rough":
            return
        chances: tuple[tuple[float, Callable[[], object]], ...] = (
            (0.10, lambda: self._sometime(self._somebody_deploys)),
            (0.10, lambda: self._sometime(self._another_run)),
            (0.10, self._begin_busy),
            (0.15, lambda: self._sometime(self._scale)),
            (0.10, lambda: self._sometime(self._scale)),
            (0.15, lambda: self._sometime(lambda: trial.cancel(self._number()))),
            (0.05, lambda: self._sometime(self._spot)),
        )
        for chance, act in chances:
            if dice.random() < chance:
                self._is_disturbed = True
                act()

    def _sometime(self, act: Callable[[], object]) -> None:
        def go() -> None:
            if self._trial.world.state.service("web").status == "ACTIVE":
                act()

        self._trial.world.at(self._dice.uniform(0.0, 90.0), go)

    def _number(self) -> int:
        return self._dice.choice((signal.SIGINT, signal.SIGTERM))

    def _somebody_deploys(self) -> None:
        """With an image that works, or one that does not."""
        behaviour = self._dice.choice((OLD, OLD, CRASHING))
        world = self._trial.world
        world.deploy("web", world.image("web", tag="theirs", behaviour=behaviour))

    def _another_run(self) -> None:
        """Somebody else's run of this action: it deploys, and goes back where that is no good."""
        world = self._trial.world
        before = world.primary("web").task_definition
        self._somebody_deploys()
        theirs = world.primary("web").id

        def go_back() -> None:
            service = world.state.service("web")
            if service.status == "ACTIVE" and service.primary.id == theirs:
                world.update("web", taskDefinition=before)

        if self._dice.random() < 0.5:
            world.at(self._dice.uniform(5.0, 30.0), go_back)

    def _begin_busy(self) -> None:
        """Their deployment is on its way, or being rolled back, when the step begins."""
        with self._trial.world.calls.acting("foreign"):
            self._somebody_deploys()
        self._trial.world.clock.advance(self._dice.uniform(0.0, 20.0))

    def _scale(self) -> None:
        self._trial.world.set_desired("web", self._dice.randint(1, 5))

    def _spot(self) -> None:
        self._trial.world.stop_tasks("web", "SpotInterruption", "Your Spot Task was interrupted.")

    def _aimed(self, strike: Strike) -> FaultRule:
        """The strike at the first call that it fits from somewhere on, or at a write there."""
        dice = self._dice
        at_write = dice.random() < 0.3
        earliest = int(dice.triangular(0, 110, 30))
        rule: FaultRule | None = None

        def strike_when_due(call: Call) -> Fault | None:
            nonlocal rule
            is_due = strike.fits(call.name) and call.index >= earliest
            if rule is None and is_due and (call.name in WRITES or not at_write):
                rule = strike.rule(self._trial, call.index, call.name)
            return rule(call) if rule is not None else None

        return strike_when_due
