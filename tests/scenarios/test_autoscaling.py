"""An autoscaler goes on working while a release does, and whatever it decides stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import pytest

from tests.scenarios.stage import CRASHING, GOOD, OLD, Stage
from tests.simulator import Behaviour

RELEASES: Mapping[str, tuple[Behaviour, str]] = {
    "good": (GOOD, "deployed"),
    "crashing": (CRASHING, "rolled-back"),
    "wrong version": (OLD, "unhealthy"),
}
"""What the new version does, and how its release ends."""


def scaled(stage: Stage) -> list[int]:
    """Every desired count that the autoscaler set."""
    return [change.detail["after"] for change in stage.world.history.of("desired-changed")]


@pytest.mark.parametrize(("behaviour", "verdict"), RELEASES.values(), ids=RELEASES.keys())
@pytest.mark.parametrize("denied", [[], ["ecs:StopServiceDeployment"]], ids=["by ECS", "by update"])
def test_nothing_but_the_autoscaler_writes_the_desired_count(
    stage_with: Callable[..., Stage], behaviour: Behaviour, verdict: str, denied: list[str]
) -> None:
    stage = stage_with(desired=2)
    world = stage.world
    world.builder.behaviour = behaviour
    world.deny(*denied)
    # Out while the release moves, in and out again while it is verified or taken back.
    for seconds, count in ((50, 4), (100, 3), (130, 5), (180, 2), (230, 4)):
        world.at(seconds, lambda count=count: world.set_desired("web", count))  # type: ignore[misc]

    outcome = stage.deploy(fail_after_stopped_tasks="3")

    assert outcome.verdict == verdict
    assert len(scaled(stage)) >= 3
    sent = [call.params for call in world.history.named("ecs:UpdateService")]
    assert sent
    assert not any("desiredCount" in params for params in sent)
    assert world.state.service("web").desired == scaled(stage)[-1]
    world.clock.advance(600)
    assert len(world.running("web")) == 4
