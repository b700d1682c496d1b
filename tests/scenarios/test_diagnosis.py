"""What a failed release says of its cause: in the log, the outputs, the summary, the report."""

from __future__ import annotations

from collections.abc import Callable

from tests.scenarios.stage import CRASHING, Stage
from tests.simulator import Behaviour, faults
from tests.simulator.calls import Fault, SimulatedError


def test_the_cause_stands_in_words_before_its_proof(stage: Stage) -> None:
    stage.world.builder.behaviour = CRASHING

    outcome = stage.deploy()

    cause = outcome.outputs["failure-cause"]
    assert cause.startswith(
        "Container 'web' exited with code 1: the setting DATABASE_URL is missing"
    )
    assert cause.endswith("Proof: KeyError: 'DATABASE_URL'")
    assert "Fix:   Add it to `environment-variables` or `secrets`" in outcome.log


def test_the_report_has_all_findings_best_first(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(breaker="rollback")
    stage.world.builder.behaviour = CRASHING

    outcome = stage.deploy(fail_after_stopped_tasks="50")

    first, *others = outcome.report["findings"]
    assert (first["name"], first["row"]) == ("environment-missing", 77)
    assert set(first) == {"name", "row", "cause", "proof", "fix"}
    assert [finding["name"] for finding in others] == ["circuit-breaker"]
    assert "Also seen" in outcome.summary


def test_a_missing_secret_gets_its_own_fix(stage: Stage) -> None:
    stage.world.builder.behaviour = Behaviour(
        init_error="unable to pull secrets or registry auth: retrieved secret from Secrets "
        "Manager did not contain json key password"
    )

    outcome = stage.deploy()

    assert "The secret has no JSON key password" in outcome.outputs["failure-cause"]


def test_a_health_path_that_is_not_there_is_named_with_what_is_asked(stage: Stage) -> None:
    stage.world.builder.behaviour = Behaviour(health_status=404)

    outcome = stage.deploy(rollout_timeout_minutes="5")

    assert outcome.verdict != "deployed"
    assert "asks a path that the application does not have (404)" in outcome.log


def test_an_unhealthy_endpoint_keeps_its_own_words_and_gets_a_cause(stage: Stage) -> None:
    stage.world.builder.behaviour = Behaviour(paths={"/health": (503, "")}, health_status=200)

    outcome = stage.deploy()

    assert outcome.verdict != "deployed"
    assert "503" in outcome.outputs["failure-cause"]


def test_an_application_cannot_forge_a_command_of_the_runner(stage: Stage) -> None:
    stage.world.builder.behaviour = Behaviour(
        crash_exit_code=1,
        crash_log_lines=("::error::KeyError: 'HARMLESS_NAME'", "##[error]fatal error"),
    )

    outcome = stage.deploy()

    ours = [line for line in outcome.log.splitlines() if not line.startswith("    ")]
    assert not any(line.lstrip().startswith("::error::Key") for line in ours)
    assert not any("##[error]" in line for line in ours if not line.startswith("::error"))


def test_a_role_that_may_not_be_handed_over_gets_its_statement(stage: Stage) -> None:
    role = "arn:aws:iam::123456789012:role/web-task"
    said = (
        "User: arn:aws:sts::123456789012:assumed-role/deploy/run is not authorized to perform: "
        f"iam:PassRole on resource: {role} because no identity-based policy allows it"
    )
    refused = Fault(error=SimulatedError("AccessDeniedException", said))
    stage.world.faults.append(faults.on("ecs:RegisterTaskDefinition", refused))

    outcome = stage.deploy()

    assert outcome.verdict == "blocked"
    assert "The role deploy may not hand over the role web-task" in outcome.outputs["failure-cause"]
    assert f"Allow `iam:PassRole` on {role} for the role deploy." in outcome.log
    for text in (outcome.log, outcome.summary):
        assert '"iam:PassedToService": "ecs-tasks.amazonaws.com"' in text
