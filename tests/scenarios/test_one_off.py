"""`pre-deploy-command`: a migration runs once on the new revision, or nothing else happens."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from tests.scenarios.stage import GOOD, Outcome, Stage
from tests.scenarios.test_lost_answers import SILENCES
from tests.simulator import Behaviour, Fault, OneOff, faults
from tests.simulator.ecs_records import Task

LINES = tuple(f"migration {number} applied" for number in range(1, 6))
COMMAND = "python manage.py migrate --noinput"


def migrating(stage: Stage, one_off: OneOff, **differences: Any) -> None:  # noqa: ANN401
    """The image that is going to be built runs its command like this."""
    stage.world.builder.behaviour = replace(GOOD, one_off=one_off, **differences)


def migrate(stage: Stage, *, env: dict[str, str] | None = None, **given: str) -> Outcome:
    return stage.deploy(env=env, pre_deploy_command=COMMAND, **given)


def runs(stage: Stage) -> list[Task]:
    """The tasks that RunTask started."""
    return [task for task in stage.world.state.tasks.values() if task.service is None]


def stops(stage: Stage) -> int:
    return len(stage.world.history.named("ecs:StopTask"))


def assert_nothing_released(stage: Stage) -> None:
    assert stage.runs_the_old()
    assert stage.latest() is None
    assert stage.world.own_updates("web") == []


# -- a command that ends well --


def test_runs_on_the_new_revision_before_the_service_is_touched(stage: Stage) -> None:
    migrating(stage, OneOff(seconds=40, log_lines=LINES))

    outcome = migrate(stage)

    assert outcome.verdict == "deployed"
    assert stage.changes().count("task-run") == 1
    assert stage.changes().index("task-run") < stage.changes().index("service-updated")
    (task,) = runs(stage)
    assert task.task_definition == outcome.outputs["task-definition-arn"]
    assert task.stopped_at is not None
    assert "✓ 4 One-off task: `python …` exited with code 0" in outcome.log
    assert "--noinput" not in outcome.log + outcome.summary + str(outcome.report)


def test_asks_for_what_the_service_has(stage: Stage) -> None:
    migrate(stage)

    (call,) = stage.world.history.named("ecs:RunTask")
    service = stage.world.state.service("web")
    assert call.params["networkConfiguration"] == service.network
    assert call.params["launchType"] == "FARGATE"
    assert call.params["platformVersion"] == "LATEST"
    assert "capacityProviderStrategy" not in call.params
    assert call.params["startedBy"].startswith("ecs-deploy/")
    assert call.params["overrides"] == {
        "containerOverrides": [
            {"name": "web", "command": ["python", "manage.py", "migrate", "--noinput"]}
        ]
    }


def test_asks_for_the_capacity_providers_of_the_service(stage: Stage) -> None:
    service = stage.world.state.service("web")
    strategy = [{"capacityProvider": "FARGATE_SPOT", "weight": 1, "base": 0}]
    service.launch_type = ""
    service.extra["capacityProviderStrategy"] = strategy

    assert migrate(stage).verdict == "deployed"

    (call,) = stage.world.history.named("ecs:RunTask")
    assert call.params["capacityProviderStrategy"] == strategy
    assert "launchType" not in call.params


def test_the_task_gets_the_tags_of_its_revision(stage: Stage) -> None:
    migrate(stage)

    tags = {tag["key"]: tag["value"] for tag in runs(stage)[0].tags}
    assert tags["ecs-deploy:run"] == "https://github.com/acme/shop/actions/runs/4711"


def test_without_the_right_to_tag_it_runs_all_the_same(stage: Stage) -> None:
    refused = faults.access_denied("to perform: ecs:TagResource")
    stage.world.faults.append(faults.on("ecs:RunTask", refused))

    assert migrate(stage).verdict == "deployed"
    assert runs(stage)[0].tags == []


def test_the_log_is_shown_while_the_command_runs(stage: Stage) -> None:
    migrating(stage, OneOff(seconds=100, log_lines=LINES))
    seen: dict[float, int] = {}

    def look(seconds: float) -> None:
        seen[seconds] = sum(line in stage.log.getvalue() for line in LINES)

    for seconds in (95, 125):
        stage.world.at(seconds, partial(look, seconds))

    outcome = migrate(stage)

    # Build, start and pull take about a minute; then a line comes every 20 s.
    assert 0 < seen[95] < seen[125] < len(LINES)
    assert [outcome.log.count(f"    {line}\n") for line in LINES] == [1] * len(LINES)


def test_lines_that_come_after_the_end_are_shown_too(stage: Stage) -> None:
    migrating(stage, OneOff(seconds=10, log_lines=LINES))
    stage.world.faults.append(faults.on("logs:GetLogEvents", faults.stale(5), times=None))

    outcome = migrate(stage)

    assert outcome.verdict == "deployed"
    assert [outcome.log.count(f"    {line}\n") for line in LINES] == [1] * len(LINES)


def test_lines_cannot_give_orders_to_the_runner(stage: Stage) -> None:
    migrating(stage, OneOff(log_lines=("::set-output name=verdict::deployed",)))

    log = migrate(stage).log.splitlines()

    at = log.index("    ::set-output name=verdict::deployed")
    assert log[at - 1].startswith("::stop-commands::")


def test_does_not_run_for_a_service_that_stays_as_it_is(stage: Stage) -> None:
    stage.deploy()

    outcome = migrate(stage)

    assert outcome.verdict == "unchanged"
    assert runs(stage) == []


def test_runs_on_the_running_revision_where_that_is_deployed_again(stage: Stage) -> None:
    first = migrate(stage)

    again = migrate(stage, force_new_deployment="true", env={"GITHUB_RUN_ATTEMPT": "2"})

    assert again.verdict == "deployed"
    assert {task.task_definition for task in runs(stage)} == {first.outputs["task-definition-arn"]}
    assert len(runs(stage)) == 2


@pytest.mark.parametrize("operation", ["restart", "rollback", "verify"])
def test_other_operations_run_nothing(stage: Stage, operation: str) -> None:
    stage.deploy()

    outcome = migrate(stage, operation=operation)

    assert outcome.code == 0
    assert runs(stage) == []


def test_a_plan_says_that_it_would_run(stage: Stage) -> None:
    outcome = migrate(stage, operation="plan")

    assert outcome.verdict == "planned"
    assert "Before that, `python …` would run in 'web' as a one-off task" in outcome.log
    assert runs(stage) == []


def test_a_plan_for_an_unchanged_service_does_not(stage: Stage) -> None:
    stage.deploy()

    assert "one-off" not in migrate(stage, operation="plan").log


# -- before anything is built --


def sidecar(**fields: Any) -> dict[str, Any]:  # noqa: ANN401 - as ECS has it
    return {"name": "proxy", "image": "envoy:1", **fields}


@pytest.mark.parametrize(
    ("service", "given", "words"),
    [
        ({}, {"pre_deploy_container": "wep"}, "There is no container 'wep' to run"),
        (
            {"sidecars": [sidecar()]},
            {"container_name": "web,proxy"},
            "It is not clear which container runs `pre-deploy-command`",
        ),
        (
            {"sidecars": [sidecar(essential=False)]},
            {"pre_deploy_container": "proxy"},
            "The container 'proxy' is not essential",
        ),
    ],
    ids=["unknown", "unclear", "not essential"],
)
def test_a_wrong_container_is_refused_before_the_build(
    stage_with: Callable[..., Stage],
    service: dict[str, Any],
    given: dict[str, Any],
    words: str,
) -> None:
    stage = stage_with(**service)

    outcome = migrate(stage, **given)

    assert outcome.verdict == "blocked"
    assert words in outcome.log
    assert stage.world.builder.builds == []


def test_a_missing_permission_is_told_before_the_build(stage: Stage) -> None:
    stage.world.deny("ecs:RunTask")

    outcome = migrate(stage)

    warned = outcome.log.index("IAM says that the job may not do `ecs:RunTask`")
    assert warned < outcome.log.index("2 Image")
    assert outcome.verdict == "failed"
    assert "`pre-deploy-command` could not be started; web was not touched" in outcome.log
    assert_nothing_released(stage)


def test_a_log_that_goes_elsewhere_is_told_in_words(stage: Stage) -> None:
    patch = {"containerDefinitions": [{"name": "web", "logConfiguration": {"logDriver": "splunk"}}]}

    outcome = migrate(stage, task_definition_patch=json.dumps(patch))

    assert outcome.verdict == "deployed"
    assert "container 'web' has the log driver 'splunk', and only `awslogs` can be read" in (
        outcome.log
    )


# -- a command that does not end well --


def test_a_command_that_fails_stops_the_release_and_says_why(stage: Stage) -> None:
    lines = ("applying 0042_add_index", "KeyError: 'DATABASE_URL'")
    migrating(stage, OneOff(seconds=20, exit_code=3, log_lines=lines))

    outcome = migrate(stage)

    assert (outcome.code, outcome.verdict) == (9, "failed")
    assert "web was not touched and does not use web:2, which stays registered" in outcome.log
    assert "exited with code 3: the setting DATABASE_URL is missing" in outcome.log
    assert outcome.report["log_tail"] == list(lines)
    assert any("exited with code 3" in line for line in outcome.report["evidence"])
    assert outcome.report["findings"][0]["name"] == "environment-missing"
    assert "KeyError: 'DATABASE_URL'" in outcome.summary
    assert len(outcome.annotations) == 1
    assert stops(stage) == 0
    assert_nothing_released(stage)


def test_a_failure_without_a_known_cause_has_code_and_last_words(stage: Stage) -> None:
    migrating(stage, OneOff(exit_code=7, log_lines=("step 3 went wrong somehow",)))

    outcome = migrate(stage)

    cause = outcome.outputs["failure-cause"]
    assert cause == "Container 'web' exited with code 7. Its log says: step 3 went wrong somehow"


def test_a_task_that_cannot_start_is_a_failure(stage: Stage) -> None:
    migrating(stage, OneOff(), pull_error="pull image manifest has been retried: toomanyrequests")

    outcome = migrate(stage)

    assert outcome.verdict == "failed"
    assert "CannotPullContainerError" in outcome.outputs["failure-cause"]
    assert_nothing_released(stage)


def test_a_task_that_finds_no_place_is_a_failure(stage: Stage) -> None:
    stage.world.state.run_task_problem = "RESOURCE:MEMORY"

    outcome = migrate(stage)

    assert outcome.verdict == "failed"
    assert "RESOURCE:MEMORY" in outcome.outputs["failure-cause"]
    assert_nothing_released(stage)


@pytest.mark.parametrize("code", [0, 143])
def test_a_command_that_somebody_else_stopped_is_a_failure(stage: Stage, code: int) -> None:
    migrating(stage, OneOff(seconds=300), sigterm_exit_code=code)

    def stop() -> None:
        reason = "Your Spot Task was interrupted."
        stage.world.stop_task(runs(stage)[0], "SpotInterruption", reason)

    stage.world.at(120, stop)

    outcome = migrate(stage)

    assert outcome.verdict == "failed"
    cause = outcome.outputs["failure-cause"]
    assert "was stopped before the command had ended (SpotInterruption: Your Spot Task" in cause
    assert f"exited with code {code}" in cause
    assert_nothing_released(stage)


def test_a_command_over_its_limit_is_stopped_once(stage: Stage) -> None:
    migrating(stage, OneOff(seconds=3000, log_lines=("waiting for a lock",)), sigterm_exit_code=143)

    outcome = migrate(stage, rollout_timeout_minutes="5")

    assert outcome.verdict == "failed"
    cause = outcome.outputs["failure-cause"]
    assert cause.startswith("It had not ended after 5 min and was stopped.")
    assert "waiting for a lock" in cause
    assert runs(stage)[0].stopped_at is not None
    assert stops(stage) == 1
    assert_nothing_released(stage)


def test_without_a_limit_of_its_own_a_command_has_an_hour(stage: Stage) -> None:
    migrating(stage, OneOff(seconds=3000))

    assert migrate(stage).verdict == "deployed"


def test_a_task_that_may_not_be_stopped_is_named_with_the_command(stage: Stage) -> None:
    migrating(stage, OneOff(seconds=3000))
    stage.world.deny("ecs:StopTask")

    outcome = migrate(stage, rollout_timeout_minutes="5")

    assert outcome.verdict == "failed"
    (task,) = runs(stage)
    assert f"aws ecs stop-task --region eu-west-1 --cluster prod --task {task.id}" in outcome.log


def test_a_task_that_may_not_be_read_is_no_success(stage: Stage) -> None:
    stage.world.deny("ecs:DescribeTasks")

    outcome = migrate(stage)

    assert outcome.verdict == "unknown"
    assert "aws ecs describe-tasks" in outcome.log
    assert_nothing_released(stage)


def test_a_log_that_may_not_be_read_decides_nothing(stage: Stage) -> None:
    stage.world.deny("logs:GetLogEvents")

    outcome = migrate(stage)

    assert outcome.verdict == "deployed"
    assert outcome.log.count("what it writes cannot be shown: logs:GetLogEvents") == 1


def test_a_sidecar_that_is_killed_with_it_says_nothing(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(sidecars=[sidecar()])
    migrating(stage, OneOff())

    assert migrate(stage).verdict == "deployed"
    assert [c.exit_code for c in runs(stage)[0].containers] == [0, 137]


def test_a_release_that_somebody_forestalled_runs_no_command(stage: Stage) -> None:
    theirs = stage.world.image("web", tag="theirs", behaviour=Behaviour(json={"version": "x"}))
    interfere = faults.meanwhile(lambda: stage.world.deploy("web", theirs))
    stage.world.faults.append(faults.on("ecs:RegisterTaskDefinition", interfere))

    assert migrate(stage).verdict == "blocked"
    assert runs(stage) == []


# -- lost answers --


@pytest.mark.parametrize("fault", SILENCES.values(), ids=SILENCES.keys())
def test_a_lost_answer_never_starts_a_second_task(stage: Stage, fault: Callable[[], Fault]) -> None:
    stage.world.faults.append(faults.on("ecs:RunTask", fault(), times=6))

    outcome = migrate(stage)

    assert outcome.verdict == "deployed"
    assert len(runs(stage)) == 1


def test_an_answer_that_never_comes_claims_nothing(stage: Stage) -> None:
    stage.world.faults.append(faults.on("ecs:RunTask", faults.lost_answer(), times=None))

    outcome = migrate(stage)

    assert outcome.verdict == "unknown"
    assert f"--started-by {runs(stage)[0].started_by}" in outcome.log
    assert len(runs(stage)) == 1
    assert_nothing_released(stage)


def test_the_next_attempt_of_a_run_starts_the_command_anew(stage: Stage) -> None:
    migrating(stage, OneOff(exit_code=1))
    migrate(stage, env={"GITHUB_RUN_ATTEMPT": "1"})
    migrate(stage, env={"GITHUB_RUN_ATTEMPT": "2"})

    assert len({task.client_token for task in runs(stage)}) == 2


# -- runs that are cut off --


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_cancelled_run_stops_the_task_with_one_call(stage: Stage, number: int, code: int) -> None:
    migrating(stage, OneOff(seconds=500), sigterm_exit_code=143)
    stage.world.at(100, lambda: signal.raise_signal(number))

    outcome = migrate(stage)

    assert outcome.code == code
    assert outcome.seconds < 100 + 7
    assert "was told to stop; web was not touched" in outcome.log
    assert runs(stage)[0].stop_code == "UserInitiated"

    finished = stage.finish()

    assert finished.code == 0
    assert "ended (container 'web' exited with code 143" in finished.summary
    assert "web was not touched and does not use web:2" in finished.summary
    assert runs(stage)[0].stopped_at is not None
    assert stops(stage) == 1
    assert_nothing_released(stage)


@pytest.mark.parametrize("fault", [faults.killed_before, faults.killed_after])
@pytest.mark.parametrize("call", ["ecs:RunTask", "logs:GetLogEvents", "ecs:DescribeTasks"])
def test_the_post_step_stops_the_task_of_a_killed_run(
    stage: Stage, call: str, fault: Callable[[], Fault]
) -> None:
    migrating(stage, OneOff(seconds=500, log_lines=LINES))
    stage.world.faults.append(faults.on(call, fault(), times=None))
    with pytest.raises(faults.Killed):
        migrate(stage)
    stage.world.faults.clear()

    finished = stage.finish()

    had_begun = (call, fault) != ("ecs:RunTask", faults.killed_before)
    assert finished.code == 0
    assert [task.stop_code for task in runs(stage)] == ["UserInitiated"] * had_begun
    assert all(task.stopped_at is not None for task in runs(stage))
    assert stops(stage) == had_begun
    assert_nothing_released(stage)


@pytest.mark.parametrize(
    ("moment", "words", "number"),
    [
        (lambda act: Fault(before=act), "was not seen to run", 0),
        (lambda act: Fault(after=act), "was told to stop", 1),
    ],
    ids=["before it began", "before it had a name"],
)
def test_a_run_that_is_cancelled_while_it_asks_looks_for_its_task(
    stage: Stage, moment: Callable[[Callable[[], object]], Fault], words: str, number: int
) -> None:
    migrating(stage, OneOff(seconds=500))
    fault = moment(lambda: signal.raise_signal(signal.SIGINT))
    stage.world.faults.append(faults.on("ecs:RunTask", fault))

    outcome = migrate(stage)

    assert outcome.code == 130
    assert words in outcome.log
    assert stage.finish().code == 0
    assert len(runs(stage)) == stops(stage) == number
    assert_nothing_released(stage)


def test_what_a_cancelled_run_may_not_stop_is_told(stage: Stage) -> None:
    migrating(stage, OneOff(seconds=500))
    stage.world.deny("ecs:StopTask")
    stage.world.at(100, lambda: signal.raise_signal(signal.SIGINT))

    outcome = migrate(stage)

    assert outcome.code == 130
    assert "`pre-deploy-command` may still run: ecs:StopTask" in outcome.log


def test_a_task_that_is_not_seen_to_end_is_told(stage: Stage) -> None:
    migrating(stage, OneOff(seconds=500), sigterm_exit_code=0)
    stage.world.at(100, lambda: signal.raise_signal(signal.SIGINT))
    migrate(stage)
    stage.world.deny("ecs:DescribeTasks")

    finished = stage.finish()

    assert "was told to stop, and was not seen to end" in finished.summary


def test_a_command_that_ends_before_it_is_stopped_has_done_its_work(stage: Stage) -> None:
    migrating(stage, OneOff(seconds=250))
    # Its end comes after the last look and before the request to stop it.
    stage.world.faults.append(faults.on("ecs:DescribeTasks", faults.stale(60), times=None))
    stage.world.at(340, stage.world.faults.clear)

    outcome = migrate(stage, rollout_timeout_minutes="5")

    assert stops(stage) == 1
    assert outcome.verdict == "deployed"


def test_a_killed_run_that_may_not_be_finished_says_how(stage: Stage) -> None:
    migrating(stage, OneOff(seconds=500))
    stage.world.faults.append(faults.on("logs:GetLogEvents", faults.killed_before()))
    with pytest.raises(faults.Killed):
        migrate(stage)
    stage.world.deny("ecs:StopTask")

    finished = stage.finish()

    assert finished.verdict == "unknown"
    assert "aws ecs list-tasks --region eu-west-1 --cluster prod --started-by " in finished.log


def test_a_run_that_is_cut_off_after_the_command_only_undoes_the_release(stage: Stage) -> None:
    stage.world.faults.append(faults.on("ecs:UpdateService", faults.killed_after()))
    with pytest.raises(faults.Killed):
        migrate(stage)

    finished = stage.finish()

    assert "is back on web:1" in finished.summary
    assert stops(stage) == 0
    assert stage.runs_the_old()


def test_its_end_never_speaks_against_the_rollout(stage: Stage) -> None:
    migrating(stage, OneOff(seconds=1))

    outcome = migrate(stage, fail_after_stopped_tasks="1")

    assert outcome.verdict == "deployed"
