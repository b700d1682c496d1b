"""Two runs at once: each says one true thing, and the service ends on what one of them verified."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scenarios.stage import CRASHING, OLD, Stage
from tests.scenarios.turns import SHAS, Runner, Turns, when
from tests.simulator import Image, World

PHASES = {
    "Check": ("sts:GetCallerIdentity", 0),
    "Image": ("builder:build_and_push", 0),
    "Definition": ("ecs:RegisterTaskDefinition", 0),
    "Release": ("ecs:UpdateService", 0),
    "Follow": ("ecs:DescribeServiceDeployments", 0),
    "Follow, late": ("ecs:DescribeServiceDeployments", 20),
    "Verify": ("http:get", 1),
    "Tags": ("ecr:PutImage", 0),
}
"""The call of the first run at which the second one begins."""
NOT_STARTED = {"blocked"}
PUT_BACK = {"rolled-back", "unhealthy", "timed-out"}


@pytest.fixture
def stage(stage_with: Callable[..., Stage]) -> Stage:
    """In a world whose answers are never old: keeping the past takes time."""
    return stage_with(world=World(snapshots=False))


def runners(folder: Path, stage: Stage) -> tuple[Runner, Runner, Turns]:
    turns = Turns(stage.world)
    first, second = (Runner(name, stage, folder / name, turns) for name in SHAS)
    return first, second, turns


def play(
    stage: Stage,
    first: Runner,
    second: Runner,
    turns: Turns,
    phase: str,
    when_busy: str = "wait",
) -> None:
    name, skip = PHASES[phase]
    given = {"when_busy": when_busy}
    rule = when(name, lambda: turns.begin(lambda: second.go(given)), skip=skip)
    stage.world.faults.append(rule)
    turns.begin(first.go)
    turns.play()
    assert second.ends, f"the first run never came to {phase}"
    stage.world.clock.advance(300)


def assert_true(runner: Runner) -> None:
    """What the run told is what it did."""
    world, end = runner.world, runner.end
    own = end.outputs.get("deployment-id", "")
    updates = [u for u in world.own_updates("web") if u.detail.get("taskDefinition") == _goal(end)]
    if end.verdict in NOT_STARTED:
        assert not own
        assert not updates
    elif end.verdict == "deployed":
        assert runner.primary_at_end == own
    elif end.verdict == "superseded":
        assert runner.primary_at_end != own
    else:
        assert end.verdict in PUT_BACK
        assert end.outputs["rolled-back"] == "true"
    assert len(updates) <= 1


def _goal(end: object) -> str:
    outputs: dict[str, str] = getattr(end, "outputs", {})
    return outputs.get("task-definition-arn", "-")


def serves(world: World, sha: str) -> bool:
    digest = world.state.repositories["web"].tags[sha]
    return world.is_serving("web", Image(uri="", digest=digest, tag=None))


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("when_busy", ["wait", "fail"])
def test_of_two_good_runs_the_last_that_was_verified_serves(
    stage: Stage, tmp_path: Path, phase: str, when_busy: str
) -> None:
    first, second, turns = runners(tmp_path, stage)

    play(stage, first, second, turns, phase, when_busy)

    assert_true(first)
    assert_true(second)
    good = [run for run in (first, second) if run.end.verdict == "deployed"]
    assert good, (first.end.verdict, second.end.verdict)
    assert serves(stage.world, SHAS[good[-1].name])


@pytest.mark.parametrize("phase", [name for name in PHASES if name not in {"Verify", "Tags"}])
def test_a_bad_run_that_was_first_does_not_harm_the_good_one(
    stage: Stage, tmp_path: Path, phase: str
) -> None:
    first, second, turns = runners(tmp_path, stage)
    first.behaviour = CRASHING

    play(stage, first, second, turns, phase)

    assert_true(first)
    assert_true(second)
    assert first.end.verdict != "deployed"
    if second.end.verdict == "deployed":
        assert serves(stage.world, SHAS["second"])
    else:
        assert stage.runs_the_old()


@pytest.mark.parametrize("phase", PHASES)
def test_a_bad_run_that_came_second_does_not_harm_the_good_one(
    stage: Stage, tmp_path: Path, phase: str
) -> None:
    first, second, turns = runners(tmp_path, stage)
    second.behaviour = CRASHING

    play(stage, first, second, turns, phase)

    assert_true(first)
    assert_true(second)
    assert second.end.verdict != "deployed"
    # The second may have waited for the first, and taken its revision for the one to go back to.
    assert serves(stage.world, SHAS["first"])


def test_two_services_of_one_cluster_do_not_meet(stage: Stage, tmp_path: Path) -> None:
    world = stage.world
    world.service("api", image=world.image("web", tag="api", behaviour=OLD), load_balanced=True)
    first, second, turns = runners(tmp_path, stage)
    first.behaviour = CRASHING

    turns.begin(first.go)
    turns.begin(lambda: second.go({"service": "api"}))
    turns.play()

    assert first.end.verdict == "rolled-back"
    assert stage.runs_the_old()
    assert second.end.verdict == "deployed"
    assert world.primary("api").id == second.end.outputs["deployment-id"]
    assert world.running_digests("api") == {second.end.outputs["image-digest"]}
    assert len(world.own_updates("api")) == 1


@pytest.mark.parametrize("seconds", [50, 90, 110, 150])
@pytest.mark.parametrize("when_busy", ["wait", "fail"])
def test_a_run_that_meets_a_rollback_of_ecs(
    stage_with: Callable[..., Stage], seconds: float, when_busy: str
) -> None:
    """The breaker is at a crashing deployment of somebody else, or has just been."""
    settings = {"thresholdConfiguration": {"type": "COUNT", "value": 2}}
    stage = stage_with(breaker="rollback", breaker_settings=settings)
    stage.world.deploy("web", stage.world.image("web", tag="theirs", behaviour=CRASHING))
    stage.world.clock.advance(seconds)
    is_over = stage.world.primary("web").rollout_state == "COMPLETED"

    outcome = stage.deploy(when_busy=when_busy)

    stage.world.clock.advance(300)
    if is_over or (when_busy == "wait" and outcome.verdict != "blocked"):
        assert outcome.verdict == "deployed"
        assert stage.world.primary("web").id == outcome.outputs["deployment-id"]
    else:
        # It was refused at once, or the breaker tripped during the build.
        assert outcome.verdict == "blocked"
        assert when_busy == "fail" or "ECS began to roll web back while" in outcome.log
        assert stage.runs_the_old()


@pytest.mark.parametrize("phase", PHASES)
@pytest.mark.parametrize("is_good", [True, False])
def test_a_run_while_another_tool_deploys(stage: Stage, phase: str, *, is_good: bool) -> None:
    theirs = stage.world.image("web", tag="theirs", behaviour=OLD if is_good else CRASHING)

    def deploy() -> None:
        with stage.world.calls.acting("foreign"):
            stage.world.deploy("web", theirs)

    name, skip = PHASES[phase]
    stage.world.faults.append(when(name, deploy, skip=skip))

    outcome = stage.deploy()

    stage.world.clock.advance(300)
    if outcome.verdict in {"superseded", "blocked"}:
        assert stage.world.is_serving("web", theirs) is is_good
    else:
        # They came before the first look, after the last, or at the very moment of the update,
        # for which UpdateService has no condition.
        assert outcome.verdict == "deployed"
        own = outcome.outputs["deployment-id"]
        assert (stage.world.primary("web").id == own) is (phase in {"Check", "Release"})
    assert len(stage.world.own_updates("web")) <= 1
