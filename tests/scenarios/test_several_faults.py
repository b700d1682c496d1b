"""Faults while several services are released: no lie, and no service in between."""

from __future__ import annotations

import random
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.stage import CRASHING, Outcome, Stage
from tests.simulator import Call, Fault, World, faults
from tests.simulator.core import Timings

NAMES = ("web", "worker", "mailer")
QUICK = Timings(
    scheduler=1, provision=2, pull=1, start=0.5, deprovision=1, register=0.5, notice=1, settle=6,
    complete=0.5, place_again=4, build=3,
)  # fmt: skip
KINDS: tuple[Callable[[], Fault], ...] = (
    faults.throttled,
    faults.server_error,
    faults.unreachable,
    faults.lost_answer,
    faults.timed_out,
    faults.timed_out_unseen,
    faults.emptied,
    faults.access_denied,
    lambda: faults.stale(15),
    lambda: faults.slow(20),
    lambda: faults.meanwhile(lambda: signal.raise_signal(signal.SIGINT)),
    faults.killed_before,
    faults.killed_after,
)
PUT_BACK = {"rolled-back", "timed-out", "unhealthy"}
CALLS = 330
"""About as many as such a release makes."""
SEEDS = 24


@pytest.mark.parametrize("seed", range(SEEDS))
def test_a_storm_over_three_services_leaves_none_in_between(seed: int, tmp_path: Path) -> None:
    dice = random.Random(seed)
    stage = Stage(tmp_path, world=World(seed=seed, timings=QUICK), breaker="rollback")
    world = stage.world
    for name in NAMES[1:]:
        world.service(name, image=stage.old, breaker="rollback")
    bad = world.image("web", tag="bad", behaviour=CRASHING)
    is_bad = dice.random() < 0.4
    struck = {dice.randrange(CALLS): dice.choice(KINDS) for _ in range(dice.randint(1, 3))}
    first = len(world.history.calls)

    def rule(call: Call) -> Fault | None:
        kind = struck.pop(call.index - first, None)
        # What the network does to a probe or a build is not said in AWS's words.
        return kind() if kind and call.service not in {"http", "builder"} else None

    world.faults.append(rule)
    containers = f"web\nworker={bad.by_digest}\nmailer" if is_bad else ""
    try:
        done = stage.deploy(service="\n".join(NAMES), container_name=containers)
    except faults.Killed:
        done = stage.outcome(137)
    struck.clear()
    after = stage.finish()
    world.clock.advance(2400)

    _check(stage, done, after, is_bad=is_bad)


def _check(stage: Stage, done: Outcome, after: Outcome, *, is_bad: bool) -> None:
    world, story = stage.world, f"{done.log}\n--- post step: {after.code}\n{after.log}"
    old = {name for name in NAMES if world.is_serving(name, stage.old)}
    for name in NAMES:
        assert len(world.own_updates(name)) <= 2, f"{name} was updated too often\n{story}"
    if done.verdict == "deployed":
        assert not is_bad, story
        assert not old, f"{old} are not on the new version\n{story}"
        is_moved = stage.latest() == done.outputs["image-digest"]
        assert is_moved or "The tag `latest` was not moved" in done.log, story
        return
    assert stage.latest() is None, story
    if done.verdict in {*PUT_BACK, "blocked", "build-failed"} or (
        not done.verdict and after.code == 0
    ):
        assert old == set(NAMES), f"only {old} are as they were\n{story}"
    else:
        # It says itself that it does not know, or that a human must act.
        loud = {done.verdict, after.verdict}
        assert loud & {"unknown", "rollback-failed", "failed", "superseded"}, story


def test_the_old_version_is_another_than_the_new(tmp_path: Path) -> None:
    """Otherwise the storms would prove nothing."""
    stage = Stage(tmp_path)

    assert stage.deploy().verdict == "deployed"

    assert not stage.world.is_serving("web", stage.old)
    assert stage.old.digest != stage.latest()
