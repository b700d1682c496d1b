"""Runs that are cut off: what they undo themselves, and what the post step brings to its end."""

from __future__ import annotations

import io
import signal
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from deploy_action import app
from tests.scenarios.stage import GOOD, Outcome, Stage, read_outputs
from tests.simulator import Behaviour, Fault, Quirks, World, faults


def cancel(stage: Stage, seconds: float, number: int = signal.SIGINT) -> None:
    """Let the runner signal the process when so much simulated time has passed."""
    stage.world.at(seconds, lambda: signal.raise_signal(number))


MOMENTS = {"before the build ends": 10, "at the start": 33, "in mid-rollout": 60, "late": 110}


@pytest.mark.parametrize("seconds", MOMENTS.values(), ids=MOMENTS.keys())
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_cancelled_run_ends_on_the_old_revision(
    stage: Stage, seconds: float, number: int, code: int
) -> None:
    cancel(stage, seconds, number)

    outcome = stage.deploy()
    assert outcome.code == code
    assert "cancelled" in outcome.log
    assert stage.finish().code == 0

    assert stage.runs_the_old()
    assert stage.latest() is None


def test_one_call_goes_out_and_the_step_ends_within_seconds(stage: Stage) -> None:
    cancel(stage, 60)

    outcome = stage.deploy()

    writes = {"UpdateService", "StopServiceDeployment"}
    sent = [c.operation for c in stage.world.history.calls if c.operation in writes]
    assert sent == ["UpdateService", "StopServiceDeployment"]
    assert outcome.seconds < 60 + 7
    assert outcome.outputs["deployment-id"]
    assert "asked ECS to stop the deployment and to roll back" in outcome.summary


def test_the_post_step_follows_what_the_main_step_began(stage: Stage) -> None:
    cancel(stage, 60)
    stage.deploy()

    outcome = stage.finish()

    assert outcome.code == 0
    assert outcome.outputs["rolled-back"] == "true"
    assert "is back on web:1" in outcome.summary
    assert stage.engine.stopped == [stage.engine.container]
    assert stage.runs_the_old()


def test_without_service_deployments_the_post_step_follows_our_update(stage: Stage) -> None:
    stage.world.deny(
        "ecs:StopServiceDeployment",
        "ecs:ListServiceDeployments",
        "ecs:DescribeServiceDeployments",
    )
    cancel(stage, 60)
    stage.deploy()

    outcome = stage.finish()

    assert outcome.code == 0
    assert len(stage.world.own_updates("web")) == 2
    assert stage.runs_the_old()


@pytest.mark.parametrize("seconds", [0.0, 8.0])
def test_without_the_right_to_stop_the_post_step_follows_our_update(
    tmp_path: Path, seconds: float
) -> None:
    """The record of our own deployment is there too, and says that it was stopped."""
    quirks = Quirks(service_deployment_visible_after=seconds)
    stage = Stage(tmp_path, world=World(quirks=quirks))
    stage.world.deny("ecs:StopServiceDeployment")
    cancel(stage, 60)
    stage.deploy()

    outcome = stage.finish()

    assert outcome.code == 0
    assert stage.runs_the_old()


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize(
    "call", ["ecs:UpdateService", "ecs:DescribeServices", "ecs:ListTasks", "http:get"]
)
def test_a_killed_run_is_brought_to_its_end(stage: Stage, call: str, when: str) -> None:
    fault = faults.killed_before if when == "before" else faults.killed_after
    skip = {"ecs:DescribeServices": 9, "http:get": 2}.get(call, 0)
    # The first question to the endpoint is asked before anything changes.
    stage.world.faults.append(faults.on(call, fault(), skip=skip))
    with pytest.raises(faults.Killed):
        stage.deploy()

    outcome = stage.finish()

    assert outcome.code == 0
    assert stage.runs_the_old()


@pytest.mark.parametrize("fault", [faults.killed_before, faults.killed_after])
def test_a_release_that_was_verified_stays(stage: Stage, fault: Callable[[], Fault]) -> None:
    stage.world.faults.append(faults.on("ecr:PutImage", fault()))
    with pytest.raises(faults.Killed):
        stage.deploy()

    outcome = stage.finish()

    assert outcome.log == "nothing to finish: deployed\n"
    assert stage.world.primary("web").task_definition != stage.before


def test_a_run_that_is_cancelled_after_its_verdict_says_so(stage: Stage) -> None:
    interrupt = faults.meanwhile(lambda: signal.raise_signal(signal.SIGINT))
    stage.world.faults.append(faults.on("ecr:PutImage", interrupt))

    outcome = stage.deploy()

    assert (outcome.code, outcome.verdict) == (130, "deployed")
    assert "had been verified before (deployed) and stays" in outcome.log


def test_a_cancellation_is_not_lost_while_python_finalizes_an_object(stage: Stage) -> None:
    class Answer(io.RawIOBase):
        """Like every HTTP answer: closed when nobody needs it any more."""

        def close(self) -> None:
            if not self.closed:
                super().close()
                signal.raise_signal(signal.SIGINT)

    def drop() -> None:
        Answer()
        threading.Event().wait(30)

    stage.world.at(60, drop)

    outcome = stage.deploy()

    assert outcome.code == 130
    assert stage.finish().code == 0
    assert stage.runs_the_old()


def test_a_cancelled_post_step_says_that_the_end_is_not_known(stage: Stage) -> None:
    stage.world.faults.append(faults.on("ecs:UpdateService", faults.killed_after()))
    with pytest.raises(faults.Killed):
        stage.deploy()
    interrupt = faults.meanwhile(lambda: signal.raise_signal(signal.SIGINT))
    stage.world.faults.append(faults.on("ecs:StopServiceDeployment", interrupt))

    outcome = stage.finish()

    assert outcome.code == 130
    assert "Whether web is back on web:1 is not known" in outcome.summary
    assert "rolled-back" not in outcome.outputs


def test_an_orphan_is_stopped_before_anything_else(stage: Stage) -> None:
    cancel(stage, 60)
    stage.deploy()
    stage.world.faults.append(faults.on("sts:*", faults.access_denied(), times=None))

    outcome = stage.finish()

    assert stage.engine.stopped == [stage.engine.container]
    assert outcome.log.startswith("stopped the main step, which still ran (0123456789ab)")
    assert outcome.verdict == "blocked"


def test_an_orphan_that_had_begun_nothing_is_stopped_too(stage: Stage) -> None:
    cancel(stage, 10)
    stage.deploy()

    outcome = stage.finish()

    assert stage.engine.stopped == [stage.engine.container]
    assert outcome.log.endswith("nothing to finish: no release was under way\n")


def test_an_orphan_that_began_a_release_without_the_runner_is_undone(stage: Stage) -> None:
    stage.world.faults.append(faults.on("ecs:UpdateService", faults.killed_after()))
    with pytest.raises(faults.Killed):
        stage.deploy(env={"RUNNER_TEMP": str(stage.workspace)})

    outcome = finish_without_the_runner(stage)

    assert outcome.outputs["rolled-back"] == "true"
    assert stage.runs_the_old()


def test_an_orphan_that_came_to_its_verdict_without_the_runner_is_believed(stage: Stage) -> None:
    stage.deploy(env={"RUNNER_TEMP": str(stage.workspace)})

    outcome = finish_without_the_runner(stage)

    assert outcome.log.endswith("nothing to finish: deployed\n")
    assert stage.world.primary("web").task_definition != stage.before


def finish_without_the_runner(stage: Stage) -> Outcome:
    """Run the post step as if the runner had read the state when the main step began."""
    saved = read_outputs((stage.workspace / "state").read_text())
    early = {f"STATE_{name}": saved[name] for name in ("file", "container")}
    return stage.run({**stage.last, **early}, app.post)


def test_the_post_step_does_nothing_after_a_verdict(stage: Stage) -> None:
    stage.deploy()
    calls = len(stage.world.history.calls)

    outcome = stage.finish()

    assert outcome.code == 0
    assert outcome.log == "nothing to finish: deployed\n"
    assert len(stage.world.history.calls) == calls


def test_on_cancel_leave_lets_the_deployment_go_on_and_says_so(stage: Stage) -> None:
    cancel(stage, 60)

    outcome = stage.deploy(on_cancel="leave")
    finished = stage.finish()

    assert outcome.code == 130
    assert "it goes on, as `on-cancel: leave` says" in outcome.log
    assert "aws ecs update-service" in outcome.summary
    assert finished.code == 9
    assert len(stage.world.own_updates("web")) == 1


def test_a_cancelled_run_leaves_another_deployment_alone(stage: Stage) -> None:
    theirs = stage.world.image("web", tag="theirs", behaviour=Behaviour(json={"version": "x"}))
    stage.world.at(50, lambda: stage.world.deploy("web", theirs))
    cancel(stage, 50)

    stage.deploy()
    outcome = stage.finish()

    assert outcome.verdict == "superseded"
    assert len(stage.world.own_updates("web")) == 1


def test_a_cancelled_rollback_is_finished_by_the_post_step(stage: Stage) -> None:
    stage.world.builder.behaviour = Behaviour(crash_exit_code=1)
    cancel(stage, 150)

    outcome = stage.deploy()
    assert outcome.code == 130

    assert stage.finish().code == 0
    assert stage.runs_the_old()


def test_a_busy_service_can_fail_the_step_at_once(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with()
    stage.world.deploy("web", stage.world.image("web", tag="other", behaviour=GOOD))

    outcome = stage.deploy(when_busy="fail")

    assert outcome.verdict == "blocked"
    assert "`when-busy` is `fail`" in outcome.log
