"""Several services in one step: one build, one end, all or nothing."""

from __future__ import annotations

import re
import signal
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tests.scenarios.stage import CRASHING, GOOD, OLD, Stage
from tests.simulator import Behaviour, OneOff, World, faults

BOTH = "web\nworker"
WRITES = {"UpdateService", "StopServiceDeployment"}


@pytest.fixture
def both(tmp_path: Path) -> Stage:
    """The service `web` behind a load balancer, and `worker` without one, of one repository."""
    stage = Stage(tmp_path)
    stage.world.service("worker", image=stage.old, breaker="rollback")
    return stage


def revision(world: World, name: str) -> str:
    return world.primary(name).task_definition.rpartition("/")[2]


def runs_the_old(stage: Stage, name: str) -> bool:
    world = stage.world
    is_settled = world.primary(name).rollout_state == "COMPLETED"
    return is_settled and revision(world, name) == f"{name}:1" and world.is_serving(name, stage.old)


def bad_worker(stage: Stage) -> str:
    """A `container-name` that gives the worker an image that crashes."""
    bad = stage.world.image("web", tag="bad", behaviour=CRASHING)
    return f"web\nworker={bad.by_digest}"


def test_one_build_serves_all_of_them(both: Stage) -> None:
    done = both.deploy(service=BOTH)

    assert (done.code, done.verdict) == (0, "deployed"), done.log
    assert len(both.world.builder.builds) == 1
    assert [revision(both.world, name) for name in ("web", "worker")] == ["web:2", "worker:2"]
    assert both.latest() == done.outputs["image-digest"]


def test_outputs_have_a_line_for_each_service_and_the_report_a_document(both: Stage) -> None:
    done = both.deploy(service=BOTH)

    arns = done.outputs["task-definition-arn"].split("\n")
    assert [arn.rpartition("/")[2] for arn in arns] == ["web:2", "worker:2"]
    assert "\n" not in done.outputs["image"]
    assert done.outputs["url"].split("\n")[1] == ""
    assert [s["service"] for s in done.report["services"]] == ["web", "worker"]
    assert [s["verdict"] for s in done.report["services"]] == ["deployed", "deployed"]
    assert re.search(r"^\| \[`worker`\]\(.*\) \| ✅ deployed \|", done.summary, re.MULTILINE)


def test_updates_start_together_after_everything_is_registered(both: Stage) -> None:
    both.deploy(service=BOTH)

    kinds = [c.name for c in both.world.history.calls if c.name.startswith(("ecs:Reg", "ecs:Upd"))]
    assert kinds == ["ecs:RegisterTaskDefinition"] * 2 + ["ecs:UpdateService"] * 2


def runs(stage: Stage) -> list[str]:
    """The revisions that RunTask started."""
    tasks = stage.world.state.tasks.values()
    return [t.task_definition.rpartition("/")[2] for t in tasks if t.service is None]


def test_a_command_runs_once_for_the_first_when_all_are_registered(both: Stage) -> None:
    done = both.deploy(service=BOTH, pre_deploy_command="./migrate", pre_deploy_container="web")

    assert done.verdict == "deployed", done.log
    assert runs(both) == ["web:2"]
    calls = [c.name for c in both.world.history.calls if c.name.startswith(("ecs:R", "ecs:Upd"))]
    assert calls == [
        *["ecs:RegisterTaskDefinition"] * 2,
        "ecs:RunTask",
        *["ecs:UpdateService"] * 2,
    ]


def test_a_command_that_fails_keeps_all_of_them_from_being_touched(both: Stage) -> None:
    both.world.builder.behaviour = replace(GOOD, one_off=OneOff(exit_code=3))

    done = both.deploy(service=BOTH, pre_deploy_command="./migrate")

    assert (done.code, done.verdict) == (9, "failed"), done.log
    assert "exited with code 3" in done.outputs["failure-cause"]
    assert both.world.own_updates("web") + both.world.own_updates("worker") == []
    assert both.latest() is None


def test_no_command_runs_where_another_service_cannot_be_released(both: Stage) -> None:
    refused = faults.access_denied("to perform: ecs:RegisterTaskDefinition")
    both.world.faults.append(faults.on("ecs:RegisterTaskDefinition", refused, times=None, skip=1))

    done = both.deploy(service=BOTH, pre_deploy_command="./migrate")

    assert done.verdict == "blocked", done.log
    assert runs(both) == []


@pytest.mark.parametrize("again", ["cancelled", "killed"])
def test_a_command_of_several_services_is_stopped_when_cut_off(both: Stage, again: str) -> None:
    both.world.builder.behaviour = replace(GOOD, one_off=OneOff(seconds=500))
    if again == "killed":
        both.world.faults.append(faults.on("logs:GetLogEvents", faults.killed_before()))
        with pytest.raises(faults.Killed):
            both.deploy(service=BOTH, pre_deploy_command="./migrate")
    else:
        both.world.at(100, lambda: signal.raise_signal(signal.SIGINT))
        assert both.deploy(service=BOTH, pre_deploy_command="./migrate").code == 130

    finished = both.finish()

    assert finished.code == 0, finished.log
    assert "web was not touched and does not use web:2" in finished.summary
    assert len(both.world.history.named("ecs:StopTask")) == 1
    assert all(t.stopped_at for t in both.world.state.tasks.values() if t.service is None)
    assert runs_the_old(both, "web")


def test_the_log_has_one_table_of_states(both: Stage) -> None:
    log = both.deploy(service=BOTH).log.splitlines()

    first = log.index(next(line for line in log if line.endswith("the services of this step")))
    assert log[first + 1].split()[:2] == ["web", "web:2:"]
    assert log[first + 2].split()[:2] == ["worker", "worker:2:"]


def test_one_that_fails_takes_the_others_back(both: Stage) -> None:
    done = both.deploy(service=BOTH, container_name=bad_worker(both))

    assert (done.code, done.verdict) == (5, "rolled-back"), done.log
    assert runs_the_old(both, "web")
    assert runs_the_old(both, "worker")
    assert both.latest() is None
    assert done.outputs["rolled-back"] == "true"
    assert "worker" in done.outputs["failure-cause"]
    assert len(done.annotations) == 1
    assert "KeyError: 'DATABASE_URL'" in done.summary
    assert "web goes back because worker failed." in done.summary


def test_one_that_was_verified_already_is_taken_back_too(tmp_path: Path) -> None:
    """The slow one fails long after the quick one was proved."""
    stage = Stage(tmp_path)
    slow = stage.world.image(
        "web", tag="slow", behaviour=Behaviour(crash_exit_code=1, crash_after_seconds=40)
    )
    stage.world.service("worker", image=stage.old, load_balanced=True)
    done = stage.deploy(service=BOTH, container_name=f"web\nworker={slow.by_digest}")

    assert "well, and waits for the others" in done.log
    assert done.verdict == "rolled-back"
    assert runs_the_old(stage, "web")
    assert runs_the_old(stage, "worker")


def test_keep_leaves_those_that_did_well(both: Stage) -> None:
    done = both.deploy(service=BOTH, container_name=bad_worker(both), on_partial_failure="keep")

    assert (done.code, done.verdict) == (5, "rolled-back")
    assert revision(both.world, "web") == "web:2"
    assert runs_the_old(both, "worker")
    assert both.latest() is None
    assert "No tag was moved, because worker did not come to a good end." in done.log
    assert [s["verdict"] for s in done.report["services"]] == ["deployed", "rolled-back"]


def test_a_service_that_is_not_there_stops_all_before_anything_is_built(both: Stage) -> None:
    done = both.deploy(service="web\nwrker")

    assert (done.code, done.verdict) == (3, "blocked")
    assert "did you mean 'worker'" in done.log
    assert both.changes() == []
    assert both.world.builder.builds == []


def test_a_build_that_fails_is_told_once(both: Stage) -> None:
    (both.workspace / "Dockerfile").unlink()

    done = both.deploy(service=BOTH)

    assert done.code != 0
    assert len(done.annotations) == 1
    assert "UpdateService" not in both.changes()


def test_a_container_that_no_service_has_is_a_mistake(both: Stage) -> None:
    done = both.deploy(service=BOTH, container_name="web, worker, wrker")

    assert done.verdict == "blocked"
    assert "No service of this step has a container 'wrker'" in done.log
    assert both.changes() == []


def test_services_of_one_family_share_its_revision(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    family = stage.world.task_definition("shop", stage.old)
    for name in ("front", "back"):
        stage.world.service(name, definition=family)
    done = stage.deploy(service="front\nback", health_path="", health_json="")

    assert done.verdict == "deployed", done.log
    assert [revision(stage.world, n) for n in ("front", "back")] == ["shop:2", "shop:2"]
    registered = [c for c in stage.world.history.calls if c.name == "ecs:RegisterTaskDefinition"]
    assert len(registered) == 1


def test_a_family_goes_on_from_its_newest_running_revision(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    old = stage.world.task_definition("shop", stage.old)
    new = stage.world.task_definition("shop", stage.old, environment={"COLOUR": "green"})
    stage.world.service("front", definition=old)
    stage.world.service("back", definition=new)

    done = stage.deploy(service="front\nback", health_path="", health_json="")

    assert [revision(stage.world, n) for n in ("front", "back")] == ["shop:3", "shop:3"]
    assert "both go on from shop:2" in done.log


def test_only_what_changes_is_deployed(both: Stage) -> None:
    both.deploy(service="web")
    done = both.deploy(service=BOTH)

    assert done.verdict == "deployed"
    assert [s["verdict"] for s in done.report["services"]] == ["unchanged", "deployed"]
    assert both.deploy(service=BOTH).verdict == "unchanged"


def test_somebody_who_takes_one_service_over_leaves_the_others_alone(both: Stage) -> None:
    theirs = both.world.image("web", tag="theirs", behaviour=OLD)
    both.world.at(70, lambda: both.world.deploy("worker", theirs))

    done = both.deploy(service=BOTH)

    assert (done.code, done.verdict) == (10, "superseded")
    assert [s["verdict"] for s in done.report["services"]] == ["deployed", "superseded"]
    assert both.latest() is None


@pytest.mark.parametrize("seconds", [10, 33, 60, 110])
def test_a_cancelled_step_ends_with_all_of_them_on_the_old_revision(
    both: Stage, seconds: float
) -> None:
    both.world.at(seconds, lambda: signal.raise_signal(signal.SIGINT))

    done = both.deploy(service=BOTH)

    assert done.code == 130
    assert done.seconds < seconds + 7
    sent = Counter(
        c.params.get("service") or c.params["serviceDeploymentArn"].split("/")[2]
        for c in both.world.history.calls
        if c.operation in WRITES
    )
    # One forward, one back.
    assert all(times == 2 for times in sent.values()), sent
    assert both.finish().code == 0
    assert runs_the_old(both, "web")
    assert runs_the_old(both, "worker")
    assert both.latest() is None


def test_the_post_step_finishes_all_that_a_killed_step_left(both: Stage) -> None:
    class KilledError(BaseException):
        pass

    def kill() -> None:
        raise KilledError

    both.world.at(60, kill)
    with pytest.raises(KilledError):
        both.deploy(service=BOTH)

    done = both.finish()

    assert done.code == 0, done.log
    assert done.outputs["rolled-back"] == "true"
    assert runs_the_old(both, "web")
    assert runs_the_old(both, "worker")


def test_a_bug_in_one_story_does_not_leave_the_others_in_between(both: Stage) -> None:
    def explode() -> None:
        raise ZeroDivisionError

    both.world.at(60, explode)

    done = both.deploy(service=BOTH)

    assert done.code == 1
    assert both.finish().code == 0
    assert runs_the_old(both, "web")
    assert runs_the_old(both, "worker")


@pytest.mark.parametrize(
    ("operation", "verdict"),
    [("plan", "planned"), ("restart", "restarted"), ("verify", "verified")],
)
def test_the_other_operations_take_several_too(both: Stage, operation: str, verdict: str) -> None:
    both.deploy(service=BOTH)

    done = both.deploy(service=BOTH, operation=operation)

    assert done.verdict == verdict, done.log
    assert [s["verdict"] for s in done.report["services"]] == [verdict, verdict]


def test_a_rollback_takes_all_of_them_back(both: Stage) -> None:
    both.deploy(service=BOTH)

    done = both.deploy(service=BOTH, operation="rollback", health_json="")

    assert done.verdict == "deployed", done.log
    assert runs_the_old(both, "web")
    assert runs_the_old(both, "worker")


def test_a_full_url_belongs_to_the_first_service(both: Stage) -> None:
    done = both.deploy(
        service=BOTH, health_path="", health_url=f"http://{both.host}/health", health_json=""
    )

    assert done.verdict == "deployed"
    assert done.outputs["url"].split("\n") == [f"http://{both.host}/health", ""]


def test_the_calls_grow_far_less_than_the_services(tmp_path: Path) -> None:
    """Fifty services, each with a family of its own, against one."""
    stage = Stage(tmp_path)
    names = ["web", *(f"worker{n}" for n in range(1, 50))]
    for name in names[1:]:
        stage.world.service(name, image=stage.old)
    calls = stage.world.history.calls

    before = len(calls)
    assert stage.deploy(service="web").verdict == "deployed"
    of_one = len(calls) - before
    before = len(calls)
    stage.world.builder.builds.clear()
    done = stage.deploy(service="\n".join(names), image_tag="second")
    of_fifty = len(calls) - before

    assert done.verdict == "deployed", done.log
    assert of_fifty <= 8 * of_one


def test_a_cancelled_step_tells_which_services_were_verified_before(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    slow = stage.world.image(
        "web", tag="slow", behaviour=Behaviour(crash_exit_code=1, crash_after_seconds=40)
    )
    stage.world.service("worker", image=stage.old, load_balanced=True)
    stage.world.at(150, lambda: signal.raise_signal(signal.SIGINT))

    done = stage.deploy(
        service=BOTH, container_name=f"web\nworker={slow.by_digest}", on_partial_failure="keep"
    )

    assert done.code == 130
    assert "web had been verified before (deployed) and stays." in done.summary
    assert stage.finish().code == 0
    assert revision(stage.world, "web") == "web:2"
    assert runs_the_old(stage, "worker")


def test_what_was_asked_while_planning_is_asked_again_by_the_release(both: Stage) -> None:
    """Answers are only remembered while the services of one run are checked."""
    assert both.deploy(service=BOTH, operation="plan").verdict == "planned"
    before = len(both.world.history.named("ecr:DescribeRepositories"))

    assert both.deploy(service=BOTH).verdict == "deployed"

    assert len(both.world.history.named("ecr:DescribeRepositories")) > before
