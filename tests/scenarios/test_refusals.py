"""What is refused before anything is touched."""

from __future__ import annotations

import json
from collections.abc import Callable

import pytest

from tests.scenarios.stage import Outcome, Stage


def assert_blocked(stage: Stage, outcome: Outcome, *words: str) -> None:
    assert (outcome.code, outcome.verdict) == (3, "blocked")
    for word in words:
        assert word in outcome.log
    assert stage.changes() == []
    assert stage.runs_the_old()
    assert len(outcome.annotations) == 1


def test_bad_inputs_are_told_together_and_nothing_is_called(stage: Stage) -> None:
    outcome = stage.deploy(desired_count="two", health_status="2xx", ecr_repository="")

    assert (outcome.code, outcome.verdict) == (2, "invalid")
    for name in ("`desired-count`", "`health-status`", "`ecr-repository`"):
        assert name in outcome.log
        assert name in outcome.summary
    assert stage.world.history.calls == []


def test_a_misspelt_service_gets_a_suggestion(stage: Stage) -> None:
    assert_blocked(stage, stage.deploy(service="wep"), "no service 'wep'", "did you mean 'web'?")


def test_a_missing_cluster_is_named(stage: Stage) -> None:
    assert_blocked(stage, stage.deploy(cluster="production"), "no cluster 'production'")


def test_a_missing_repository_is_named(stage: Stage) -> None:
    assert_blocked(stage, stage.deploy(ecr_repository="shop"), "no ECR repository 'shop'")


def test_a_missing_image_is_named(stage: Stage) -> None:
    image = stage.old.by_tag.replace(":old", ":gone")

    outcome = stage.deploy(image=image, ecr_repository="")

    assert_blocked(stage, outcome, "There is no image", ":gone")


def test_a_missing_dockerfile_is_named(stage: Stage) -> None:
    outcome = stage.deploy(dockerfile="docker/Dockerfile.prod")

    assert_blocked(stage, outcome, "dockerfile of the build is not there")


def test_no_engine_is_said_with_the_runner_to_use(stage: Stage) -> None:
    stage.engine.is_there = False

    assert_blocked(stage, stage.deploy(), "no Docker Engine answers", "ubuntu-latest")


@pytest.mark.parametrize(
    ("service", "words"),
    [
        ({"controller": "CODE_DEPLOY"}, "CODE_DEPLOY"),
        ({"controller": "EXTERNAL"}, "EXTERNAL"),
    ],
    ids=["CodeDeploy", "external"],
)
def test_services_that_cannot_be_followed_are_refused(
    stage_with: Callable[..., Stage], service: dict[str, str], words: str
) -> None:
    stage = stage_with()
    stage.world.state.service("web").controller = service["controller"]

    assert_blocked(stage, stage.deploy(), words)


def test_an_unknown_key_of_a_definition_is_named_with_its_path(stage: Stage) -> None:
    container = {"name": "web", "image": "x", "memroy": 5}
    (stage.workspace / "task.json").write_text(
        json.dumps({"family": "web", "containerDefinitions": [container]})
    )

    outcome = stage.deploy(task_definition="task.json")

    assert_blocked(stage, outcome, "memroy", "containerDefinitions[0]")


def test_a_definition_file_that_is_not_there_is_named(stage: Stage) -> None:
    assert_blocked(stage, stage.deploy(task_definition="td.json"), "'td.json' cannot be read")


def test_an_ambiguous_container_is_asked_for(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(
        load_balanced=False, sidecars=({"name": "proxy", "image": "docker.io/envoy:1"},)
    )

    outcome = stage.deploy(
        health_path="", health_json="", ecr_repository="", image="docker.io/acme/web:1"
    )

    assert_blocked(stage, outcome, "web, proxy", "`container-name`")


def test_a_container_that_is_not_there_is_named(stage: Stage) -> None:
    assert_blocked(stage, stage.deploy(container_name="app"), "no container 'app'", "it has web")


def test_a_health_path_without_a_load_balancer_is_refused(
    stage_with: Callable[..., Stage],
) -> None:
    stage = stage_with(load_balanced=False)

    assert_blocked(stage, stage.deploy(), "`health-path` has no host")


def test_denied_registration_touches_nothing(stage: Stage) -> None:
    stage.world.deny("ecs:RegisterTaskDefinition")

    outcome = stage.deploy(image=stage.old.by_tag, ecr_repository="", cpu="512", memory="1024")

    assert_blocked(stage, outcome, "Allow `ecs:RegisterTaskDefinition`")


def test_a_denied_update_says_that_the_service_is_as_it_was(stage: Stage) -> None:
    stage.world.deny("ecs:UpdateService")

    outcome = stage.deploy()

    assert (outcome.code, outcome.verdict) == (9, "failed")
    assert "it runs web:1 as before" in outcome.log
    assert "Allow `ecs:UpdateService`" in outcome.log
    assert stage.runs_the_old()


def test_wrong_credentials_are_said_first(stage: Stage) -> None:
    stage.world.deny("sts:GetCallerIdentity")

    assert_blocked(stage, stage.deploy(), "does not accept the credentials")


def test_a_role_without_the_permission_for_a_token_names_the_permission(stage: Stage) -> None:
    outcome = stage.deploy(role_to_assume="arn:aws:iam::123456789012:role/deploy")

    assert outcome.verdict == "invalid"
    assert "id-token: write" in outcome.log


def test_a_tag_built_from_other_inputs_blocks_an_immutable_repository(stage: Stage) -> None:
    stage.world.state.repositories["web"].mutability = "IMMUTABLE"
    stage.deploy(latest_tag="")

    outcome = stage.deploy(latest_tag="", build_args="COLOUR=blue")

    assert outcome.verdict == "build-failed"
    assert "built from other inputs" in outcome.log
