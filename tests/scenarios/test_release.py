"""Releases that end well, and what they must not touch on the way."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

import pytest

from tests.scenarios.stage import GOOD, SHA, Stage
from tests.scenarios.stories import POLICY
from tests.simulator import Behaviour, faults
from tests.simulator.policy import without


def calls(stage: Stage, name: str) -> list[Mapping[str, object]]:
    """The parameters of every call of this operation, as AWS received them."""
    return [c.params for c in stage.world.history.calls if f"{c.service}:{c.operation}" == name]


def test_a_commit_becomes_a_verified_release(stage: Stage) -> None:
    outcome = stage.deploy()

    assert (outcome.code, outcome.verdict) == (0, "deployed")
    built = stage.world.tag_digest("web", SHA)
    assert outcome.outputs["image-digest"] == built
    assert outcome.outputs["image"].endswith(f"/web@{built}")
    assert outcome.outputs["image-uri"].endswith(f"/web:{SHA}")
    assert outcome.outputs["task-definition-arn"] == stage.world.primary("web").task_definition
    assert outcome.outputs["previous-task-definition-arn"] == stage.before
    assert outcome.outputs["deployment-id"] == stage.world.primary("web").id
    assert "/prod/web/" in outcome.outputs["service-deployment-arn"]
    assert outcome.outputs["url"] == f"http://{stage.host}/health"
    assert stage.world.running_digests("web") == {built}
    assert stage.latest() == built


def test_one_update_goes_out_and_carries_only_the_new_revision(stage: Stage) -> None:
    outcome = stage.deploy()

    assert calls(stage, "ecs:UpdateService") == [
        {
            "cluster": "prod",
            "service": "web",
            "taskDefinition": outcome.outputs["task-definition-arn"],
        }
    ]


def test_latest_moves_only_after_the_last_good_answer(stage: Stage) -> None:
    stage.deploy()

    names = [f"{c.service}:{c.operation}" for c in stage.world.history.calls]
    last_answer = max(i for i, name in enumerate(names) if name == "http:get")
    assert names.index("ecr:PutImage") > last_answer


def test_the_report_and_the_summary_tell_the_same_story(stage: Stage) -> None:
    outcome = stage.deploy()

    assert outcome.report["verdict"] == "deployed"
    assert outcome.report["run"]["sha"] == SHA
    assert [p["title"] for p in outcome.report["phases"]] == [
        "Check", "Image", "Definition", "Release", "Follow", "Verify", "Tags",
    ]  # fmt: skip
    assert outcome.summary.startswith("## ✅ `web`: deployed")
    assert "web:1` → **`web:2`**" in outcome.summary
    assert outcome.annotations == []


def test_a_second_run_of_the_commit_builds_and_changes_nothing(stage: Stage) -> None:
    stage.deploy()
    changes = len(stage.world.history.changes)

    outcome = stage.deploy()

    assert (outcome.code, outcome.verdict) == (0, "unchanged")
    assert len(stage.world.builder.builds) == 1
    assert stage.world.history.changes[changes:] == []
    assert outcome.seconds < 8


def test_a_second_run_reuses_the_image_in_an_immutable_repository(stage: Stage) -> None:
    stage.world.state.repositories["web"].mutability = "IMMUTABLE"
    stage.deploy(latest_tag="")

    outcome = stage.deploy(latest_tag="")

    assert outcome.verdict == "unchanged"
    assert len(stage.world.builder.builds) == 1


def test_other_inputs_of_the_build_build_again(stage: Stage) -> None:
    stage.deploy()

    outcome = stage.deploy(build_args="COLOUR=blue")

    assert outcome.verdict == "deployed"
    assert len(stage.world.builder.builds) == 2


def test_a_build_leaves_no_image_in_the_engine(stage: Stage) -> None:
    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert stage.engine.images == set()


def test_a_build_that_fails_leaves_no_image_in_the_engine_either(stage: Stage) -> None:
    stage.world.obey(without(POLICY, "ecr:PutImage"))

    assert stage.deploy().verdict == "build-failed"
    assert stage.engine.images == set()


def test_an_image_of_that_name_that_was_in_the_engine_before_stays(stage: Stage) -> None:
    name = f"{stage.old.uri}:{SHA}"
    stage.engine.images.add(name)

    stage.deploy()

    assert stage.engine.images == {name}


def test_where_the_engine_does_not_say_what_it_has_nothing_is_taken_from_it(stage: Stage) -> None:
    stage.engine.is_secretive = True

    assert stage.deploy().verdict == "deployed"
    assert stage.engine.images == {f"{stage.old.uri}:{SHA}"}


@pytest.mark.parametrize(("cache", "is_alone"), [("inline", False), ("registry", True)])
def test_what_the_image_store_cannot_do_is_done_in_a_builder_of_its_own(
    stage: Stage, cache: str, *, is_alone: bool
) -> None:
    stage.deploy(cache=cache)
    stage.engine.has_containerd_store = True
    stage.deploy(cache=cache, rebuild="true")

    first, second = stage.world.builder.builds
    assert first.cache is not None
    assert first.cache.kind == cache
    assert (first.in_own_builder, second.in_own_builder) == (is_alone, False)


def test_the_cache_in_the_registry_has_a_tag_of_its_own(stage: Stage) -> None:
    stage.deploy(cache="registry")

    (build,) = stage.world.builder.builds
    assert build.cache is not None
    assert build.cache.place == f"{stage.old.uri}:buildcache"


def test_the_cache_of_github_is_apart_for_each_repository(stage: Stage) -> None:
    stage.deploy(cache="gha", env={"ACTIONS_RUNTIME_TOKEN": "token-of-this-job"})

    (build,) = stage.world.builder.builds
    assert build.cache is not None
    assert (build.cache.kind, build.cache.place) == ("gha", "web")


def test_rebuild_builds_again(stage: Stage) -> None:
    stage.deploy()

    stage.deploy(rebuild="true")

    assert len(stage.world.builder.builds) == 2


def test_a_given_image_is_deployed_without_an_engine_and_moves_no_tag(stage: Stage) -> None:
    stage.engine.is_there = False
    image = stage.world.image("web", tag="v7", behaviour=GOOD)

    outcome = stage.deploy(image=image.by_tag, ecr_repository="")

    assert outcome.verdict == "deployed"
    assert stage.world.running_digests("web") == {image.digest}
    assert stage.world.builder.builds == []
    assert stage.latest() is None


def test_an_image_from_elsewhere_is_deployed_by_its_tag(stage: Stage) -> None:
    image = stage.world.public_image("docker.io/acme/web:7", GOOD)

    outcome = stage.deploy(image=image, ecr_repository="")

    assert outcome.verdict == "deployed"
    assert outcome.outputs["image"] == image
    assert outcome.outputs["image-digest"].startswith("sha256:")


def test_an_index_is_proved_by_the_digests_in_it(stage: Stage) -> None:
    image = stage.world.image(
        "web", tag="v7", behaviour=GOOD, platforms=("linux/amd64", "linux/arm64")
    )

    outcome = stage.deploy(image=image.by_tag, ecr_repository="")

    assert outcome.verdict == "deployed"
    assert outcome.outputs["image-digest"] == image.digest


def test_tags_can_move_as_soon_as_the_image_is_pushed(stage: Stage) -> None:
    stage.world.builder.behaviour = Behaviour(crash_exit_code=1)

    outcome = stage.deploy(latest_when="pushed", extra_tags="edge")

    assert outcome.verdict == "rolled-back"
    built = stage.world.tag_digest("web", SHA)
    assert stage.latest() == built
    assert stage.world.tag_digest("web", "edge") == built


def test_a_tag_that_cannot_move_does_not_spoil_the_release(stage: Stage) -> None:
    stage.world.image("web", tag="latest")
    stage.world.state.repositories["web"].mutability = "IMMUTABLE"

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert "The tag `latest` was not moved" in outcome.log
    assert "IMMUTABLE_WITH_EXCLUSION" in outcome.summary


def test_inputs_change_the_definition_and_nothing_else_does(
    stage_with: Callable[..., Stage],
) -> None:
    stage = stage_with(
        environment={"PORT": "8080", "OLD": "1"},
        tags={"team": "shop"},
        ephemeralStorage={"sizeInGiB": 30},
    )
    old = stage.world.state.task_definitions[stage.before]

    token = stage.world.parameter("/token")
    outcome = stage.deploy(
        environment_variables="PORT=9090\nNEW=a,b=c",
        secrets=f"TOKEN={token}",
        cpu="512",
        memory="1024",
        task_definition_patch=json.dumps(
            {"containerDefinitions": [{"name": "web", "stopTimeout": 20}]}
        ),
    )

    new = stage.world.state.task_definitions[outcome.outputs["task-definition-arn"]]
    container = dict(new.containers[0])
    assert container["environment"] == [
        {"name": "PORT", "value": "9090"},
        {"name": "OLD", "value": "1"},
        {"name": "NEW", "value": "a,b=c"},
    ]
    assert container["secrets"] == [{"name": "TOKEN", "valueFrom": token}]
    assert container["stopTimeout"] == 20
    kept = {"environment", "image", "secrets", "stopTimeout"}
    assert {k: v for k, v in container.items() if k not in kept} == {
        k: v for k, v in old.containers[0].items() if k not in kept
    }
    touched = {"containerDefinitions", "cpu", "memory", "revision", "taskDefinitionArn"}
    stamped = {"registeredAt", "registeredBy"}
    assert {k: v for k, v in new.body.items() if k not in touched | stamped} == {
        k: v for k, v in old.body.items() if k not in touched | stamped
    }


def test_the_new_revision_leads_to_its_run_and_to_the_one_before(
    stage_with: Callable[..., Stage],
) -> None:
    stage = stage_with(tags={"team": "shop"})

    outcome = stage.deploy()

    new = stage.world.state.task_definitions[outcome.outputs["task-definition-arn"]]
    assert {tag["key"]: tag["value"] for tag in new.tags} == {
        "team": "shop",
        "ecs-deploy:commit": SHA,
        "ecs-deploy:run": "https://github.com/acme/shop/actions/runs/4711",
        "ecs-deploy:previous": "web:1",
    }


def test_a_role_that_may_not_tag_registers_without_tags(stage: Stage) -> None:
    stage.world.deny("ecs:TagResource")

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert "registering without tags of this run" in outcome.log


def test_a_definition_from_a_file_is_unchanged_on_the_second_run(stage: Stage) -> None:
    definition = {
        "family": "web",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": "arn:aws:iam::123456789012:role/ecsTaskExecutionRole",
        "containerDefinitions": [
            {
                "name": "web",
                "image": "set-by-the-pipeline",
                "portMappings": [{"containerPort": 8080}],
            }
        ],
    }
    (stage.workspace / "task.json").write_text(json.dumps(definition, indent="\t"))

    first = stage.deploy(task_definition="task.json")
    second = stage.deploy(task_definition="task.json")

    assert (first.verdict, second.verdict) == ("deployed", "unchanged")


def test_desired_count_is_sent_only_when_it_is_given(stage: Stage) -> None:
    stage.deploy(desired_count="2")

    assert calls(stage, "ecs:UpdateService")[0]["desiredCount"] == 2
    assert len(stage.world.running("web")) == 2


def test_a_second_run_with_another_count_only_scales(stage: Stage) -> None:
    stage.deploy()
    before = stage.world.primary("web").id

    outcome = stage.deploy(desired_count="3")

    assert outcome.verdict == "unchanged"
    assert "only the desired count was set, from 1 to 3" in outcome.log
    assert stage.world.primary("web").id == before
    assert len(stage.world.running("web")) == 3


def test_an_autoscaler_that_scales_out_meanwhile_is_left_alone(stage: Stage) -> None:
    stage.world.at(70, lambda: stage.world.set_desired("web", 3))

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert len(stage.world.running("web")) == 3


def test_a_service_with_no_tasks_is_not_called_verified(
    stage_with: Callable[..., Stage],
) -> None:
    stage = stage_with(desired=0)

    outcome = stage.deploy()

    assert (outcome.code, outcome.verdict) == (0, "deployed-unverified")
    assert "desired count is 0" in outcome.log
    assert stage.latest() is None


def test_a_forced_deployment_of_the_same_revision_is_followed(stage: Stage) -> None:
    stage.deploy()
    before = stage.world.primary("web").id

    outcome = stage.deploy(force_new_deployment="true")

    assert outcome.verdict == "deployed"
    assert stage.world.primary("web").id not in {before, ""}
    assert outcome.outputs["deployment-id"] == stage.world.primary("web").id


def test_a_worker_is_verified_by_its_container_check(stage_with: Callable[..., Stage]) -> None:
    stage = stage_with(load_balanced=False, health_check={"interval": 10})

    outcome = stage.deploy(health_path="", health_json="")

    assert outcome.verdict == "deployed"
    assert "container health check of every task says HEALTHY" in outcome.log


def test_a_container_check_that_gives_no_answer_is_told(
    stage_with: Callable[..., Stage],
) -> None:
    def forget(answer: dict[str, Any]) -> None:
        for task in answer["tasks"]:
            task["healthStatus"] = "UNKNOWN"

    stage = stage_with(load_balanced=False, health_check={"interval": 10})
    stage.world.faults.append(faults.on("ecs:DescribeTasks", faults.mangled(forget), times=None))

    outcome = stage.deploy(health_path="", health_json="")

    assert outcome.verdict == "deployed"
    assert "The container health check gave no answer. The tasks stayed up" in outcome.log


def test_a_worker_without_any_check_is_verified_by_staying_up(
    stage_with: Callable[..., Stage],
) -> None:
    stage = stage_with(load_balanced=False)

    outcome = stage.deploy(health_path="", health_json="")

    assert outcome.verdict == "deployed"
    assert "No endpoint was probed" in outcome.summary
    assert "stayed up for 20 s" in outcome.summary


def test_a_web_service_without_health_inputs_is_verified_by_its_targets(stage: Stage) -> None:
    outcome = stage.deploy(health_path="", health_json="")

    assert outcome.verdict == "deployed"
    assert "The load balancer finds all 1 targets healthy" in outcome.summary


def test_a_deployment_in_flight_is_waited_for(stage: Stage) -> None:
    other = stage.world.image("web", tag="other", behaviour=Behaviour(json={"version": "other"}))
    theirs = stage.world.deploy("web", other)

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert outcome.outputs["previous-task-definition-arn"] == theirs
    assert "already on its way; waiting for it" in outcome.log


def test_a_deployment_in_flight_that_only_crashes_is_replaced_by_the_fix(stage: Stage) -> None:
    broken = stage.world.image("web", tag="broken", behaviour=Behaviour(crash_exit_code=1))
    stage.world.deploy("web", broken)

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert outcome.outputs["previous-task-definition-arn"] == stage.before


def test_a_slow_but_healthy_release_is_not_failed(stage: Stage) -> None:
    stage.world.builder.behaviour = Behaviour(start_seconds=200, json={"version": SHA})
    stage.world.state.services[next(iter(stage.world.state.services))].grace_seconds = 300

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"


def test_the_action_goes_on_without_service_deployments(stage: Stage) -> None:
    stage.world.deny("ecs:ListServiceDeployments", "ecs:DescribeServiceDeployments")

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"


def test_reads_that_only_explain_may_be_denied(stage: Stage) -> None:
    stage.world.deny(
        "elasticloadbalancing:DescribeTargetHealth",
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        "logs:GetLogEvents",
        "ecs:ListTasks",
        "ecs:DescribeTasks",
    )

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert "could not be read" in outcome.summary


def test_throttled_reads_are_ridden_out(stage: Stage) -> None:
    stage.world.faults.append(
        faults.on("ecs:DescribeServices", faults.throttled(), times=9, skip=2)
    )

    assert stage.deploy().verdict == "deployed"
