"""Several services in one step: one build, one end, all or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.scenarios.stage import Stage

BOTH = "web\nworker"


@pytest.fixture
def both(tmp_path: Path) -> Stage:
    """The service `web` behind a load balancer, and `worker` without one, of one repository."""
    stage = Stage(tmp_path)
    stage.world.service("worker", image=stage.old)
    return stage


def test_one_build_serves_all_of_them(both: Stage) -> None:
    done = both.deploy(service=BOTH)

    assert (done.code, done.verdict) == (0, "deployed"), done.log
    assert len(both.world.builder.builds) == 1
    web, worker = both.world.primary("web"), both.world.primary("worker")
    assert (web.rollout_state, worker.rollout_state) == ("COMPLETED", "COMPLETED")
    assert both.latest() == done.outputs["image-digest"]
