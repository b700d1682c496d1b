"""An image that was built elsewhere: copied into the service's repository, byte for byte."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.scenarios.stage import CRASHING, GOOD, Outcome, Stage
from tests.scenarios.stories import POLICY
from tests.simulator import Behaviour, Fault, Image, SimulatedError, faults
from tests.simulator.policy import without

OTHER_ACCOUNT = "999999999999.dkr.ecr.eu-west-1.amazonaws.com"
OTHER_REGION = "123456789012.dkr.ecr.us-east-1.amazonaws.com"
PUBLIC = "ghcr.io"
PLATFORMS = ("linux/amd64", "linux/arm64")


def beside(stage: Stage, tag: str = "v7", behaviour: Behaviour = GOOD) -> Image:
    """An image of another repository of the same registry."""
    stage.world.repository("staging")
    return stage.world.image("staging", tag=tag, behaviour=behaviour)


def far(host: str) -> Callable[[Stage], Image]:
    """An image of another registry."""

    def push(stage: Stage) -> Image:
        stage.world.repository_elsewhere(host, "staging")
        return stage.world.image("staging", tag="v7", behaviour=GOOD, host=host)

    return push


def promote(stage: Stage, image: Image, **given: Any) -> Outcome:  # noqa: ANN401 - as Stage.deploy
    return stage.deploy(image=image.by_tag, **given)


@pytest.mark.parametrize(
    "push",
    [beside, far(OTHER_ACCOUNT), far(OTHER_REGION), far(PUBLIC)],
    ids=["another repository", "another account", "another region", "another registry"],
)
def test_an_image_from_elsewhere_is_copied_and_deployed_without_an_engine(
    stage: Stage, push: Callable[[Stage], Image]
) -> None:
    stage.engine.is_there = False
    image = push(stage)

    outcome = promote(stage, image)

    assert outcome.verdict == "deployed", outcome.log
    assert stage.world.builder.builds == []
    assert stage.world.builder.copies == [(image.by_digest, f"{stage.old.uri}:v7")]
    assert outcome.outputs["image"] == f"{stage.old.uri}@{image.digest}"
    assert outcome.outputs["image-uri"] == f"{stage.old.uri}:v7"
    assert stage.world.running_digests("web") == {image.digest}
    assert stage.latest() == image.digest


def test_an_index_keeps_its_digest_and_all_that_is_in_it(stage: Stage) -> None:
    stage.world.repository("staging")
    image = stage.world.image("staging", tag="v7", behaviour=GOOD, platforms=PLATFORMS)

    outcome = promote(stage, image)

    assert outcome.verdict == "deployed"
    assert outcome.outputs["image-digest"] == image.digest
    assert set(stage.world.state.repositories["staging"].manifests) <= set(
        stage.world.state.repositories["web"].manifests
    )


def test_a_second_promotion_copies_nothing(stage: Stage) -> None:
    image = beside(stage)
    promote(stage, image)

    outcome = promote(stage, image)

    assert outcome.verdict == "unchanged"
    assert len(stage.world.builder.copies) == 1


def test_an_image_that_is_there_under_another_tag_is_only_tagged(stage: Stage) -> None:
    image = beside(stage)
    promote(stage, image)

    outcome = promote(stage, image, image_tag="release-7")

    assert outcome.verdict == "unchanged"
    assert len(stage.world.builder.copies) == 1
    assert stage.world.tag_digest("web", "release-7") == image.digest


def test_a_given_digest_is_copied_under_a_tag_of_its_own(stage: Stage) -> None:
    image = beside(stage)

    outcome = stage.deploy(image=image.by_digest)

    assert outcome.verdict == "deployed"
    assert outcome.outputs["image-uri"].endswith(f":digest-{image.digest[7:19]}")


def test_the_tag_of_the_verified_release_is_never_set_by_a_copy(stage: Stage) -> None:
    """`latest` of another environment says nothing of this one."""
    image = beside(stage, "latest", CRASHING)

    outcome = promote(stage, image)

    assert outcome.verdict == "rolled-back"
    assert outcome.outputs["image-uri"].endswith(f":digest-{image.digest[7:19]}")
    assert stage.latest() is None


def test_a_tag_that_another_image_has_for_ever_is_refused(stage: Stage) -> None:
    stage.world.state.repositories["web"].mutability = "IMMUTABLE"
    image = beside(stage, "old")

    outcome = promote(stage, image, latest_tag="")

    assert (outcome.code, outcome.verdict) == (3, "blocked")
    assert "cannot be copied" in outcome.log
    assert "Choose another `image-tag`." in outcome.log
    assert stage.world.builder.copies == []


@pytest.mark.parametrize(
    ("host", "fix"),
    [(OTHER_ACCOUNT, "push the image first"), (PUBLIC, "let everybody read it")],
    ids=["ECR", "another registry"],
)
def test_an_image_that_is_not_there_is_named(stage: Stage, host: str, fix: str) -> None:
    stage.world.repository_elsewhere(host, "staging")

    outcome = stage.deploy(image=f"{host}/staging:v8")

    assert (outcome.code, outcome.verdict) == (3, "blocked")
    assert f"{host}/staging:v8" in outcome.outputs["failure-cause"] + outcome.log
    assert fix in outcome.log
    assert stage.runs_the_old()


def test_a_copy_that_fails_leaves_the_service_alone(stage: Stage) -> None:
    image = beside(stage)
    stage.world.obey(without(POLICY, "ecr:UploadLayerPart"))

    outcome = promote(stage, image)

    assert (outcome.code, outcome.verdict) == (4, "build-failed")
    assert "Fix:   Allow `ecr:UploadLayerPart`" in outcome.log
    assert stage.runs_the_old()


def test_a_plan_says_what_would_be_copied_and_copies_nothing(stage: Stage) -> None:
    image = beside(stage)

    outcome = promote(stage, image, operation="plan")

    assert outcome.verdict == "planned"
    assert f"{image.by_tag} would be copied to {stage.old.uri}:v7" in outcome.log
    assert stage.changes() == ["repository-created", "image-pushed", "tag-moved"]


def test_an_image_of_the_repository_itself_is_not_copied_and_moves_no_tag(stage: Stage) -> None:
    image = stage.world.image("web", tag="v7", behaviour=GOOD)

    outcome = promote(stage, image)

    assert outcome.verdict == "deployed"
    assert stage.world.builder.copies == []
    assert stage.latest() is None


def test_tags_can_follow_the_copy_at_once(stage: Stage) -> None:
    image = beside(stage, behaviour=CRASHING)

    outcome = promote(stage, image, latest_when="pushed")

    assert outcome.verdict == "rolled-back"
    assert stage.latest() == image.digest


# -- without a repository of its own --


@pytest.mark.parametrize("host", [OTHER_ACCOUNT, OTHER_REGION], ids=["account", "region"])
def test_without_a_repository_it_is_deployed_by_digest_from_where_it_is(
    stage: Stage, host: str
) -> None:
    image = far(host)(stage)

    outcome = promote(stage, image, ecr_repository="")

    assert outcome.verdict == "deployed", outcome.log
    assert outcome.outputs["image"] == image.by_digest
    assert stage.world.builder.copies == []
    assert stage.latest() is None


def test_what_only_the_tasks_may_read_is_deployed_as_it_is_given(stage: Stage) -> None:
    image = far(OTHER_ACCOUNT)(stage)
    stage.world.deny("ecr:BatchGetImage")

    outcome = promote(stage, image, ecr_repository="")

    assert outcome.verdict == "deployed", outcome.log
    assert outcome.outputs["image"] == image.by_tag


def test_what_is_not_there_is_refused_before_ecs_finds_out(stage: Stage) -> None:
    stage.world.repository_elsewhere(OTHER_ACCOUNT, "staging")

    outcome = stage.deploy(image=f"{OTHER_ACCOUNT}/staging:v8", ecr_repository="")

    assert (outcome.code, outcome.verdict) == (3, "blocked")
    assert stage.runs_the_old()


# -- a repository that is not there yet --


def test_a_missing_repository_is_made_scanned_kept_and_tidied(stage: Stage) -> None:
    outcome = stage.deploy(
        ecr_repository="shop", create_repository="true", container_name="web", extra_tags="stable"
    )

    assert outcome.verdict == "deployed", outcome.log
    made = stage.world.state.repositories["shop"]
    assert made.scan_on_push
    assert made.mutability == "IMMUTABLE_WITH_EXCLUSION"
    assert made.exclusions == ["latest", "stable"]
    assert made.lifecycle_policy is not None
    assert stage.world.tag_digest("shop", "latest") == outcome.outputs["image-digest"]
    assert "created the repository" in outcome.log


def test_a_missing_repository_is_made_for_a_copy_too(stage: Stage) -> None:
    image = beside(stage)

    outcome = promote(stage, image, ecr_repository="shop", create_repository="true")

    assert outcome.verdict == "deployed", outcome.log
    assert stage.world.tag_digest("shop", "v7") == image.digest


def test_without_the_input_a_missing_repository_is_refused_naming_it(stage: Stage) -> None:
    outcome = stage.deploy(ecr_repository="shop")

    assert (outcome.code, outcome.verdict) == (3, "blocked")
    assert "`create-repository: true`" in outcome.log
    assert "shop" not in stage.world.state.repositories


def test_a_plan_says_that_a_repository_would_be_made_and_makes_none(stage: Stage) -> None:
    outcome = stage.deploy(operation="plan", ecr_repository="shop", create_repository="true")

    assert outcome.verdict == "planned"
    assert "shop is not there and will be created: scan on push, immutable tags" in outcome.log
    assert "once it is created" in outcome.log
    assert stage.changes() == []


def test_the_cache_tag_of_a_new_repository_can_move(stage: Stage) -> None:
    stage.deploy(ecr_repository="shop", create_repository="true", cache="registry")

    assert stage.world.state.repositories["shop"].exclusions == ["latest", "buildcache"]


def test_a_repository_that_is_there_is_left_as_it_is(stage: Stage) -> None:
    outcome = stage.deploy(create_repository="true")

    assert outcome.verdict == "deployed"
    assert stage.world.state.repositories["web"].mutability == "MUTABLE"
    assert stage.world.state.repositories["web"].lifecycle_policy is None


def test_a_registry_that_does_not_know_such_tags_gets_mutable_ones_and_that_is_said(
    stage: Stage,
) -> None:
    refused = Fault(error=SimulatedError("InvalidParameterException", "unknown mutability"))
    stage.world.faults.append(faults.on("ecr:CreateRepository", refused))

    outcome = stage.deploy(ecr_repository="shop", create_repository="true")

    assert outcome.verdict == "deployed"
    assert stage.world.state.repositories["shop"].mutability == "MUTABLE"
    assert "::warning::The repository shop has mutable tags" in outcome.log


def test_a_repository_without_a_lifecycle_policy_is_still_one(stage: Stage) -> None:
    stage.world.deny("ecr:PutLifecyclePolicy")

    outcome = stage.deploy(ecr_repository="shop", create_repository="true")

    assert outcome.verdict == "deployed"
    assert "::warning::The repository shop keeps every image for ever" in outcome.log
    assert "`ecr:PutLifecyclePolicy`" in outcome.log


def test_somebody_else_may_make_it_in_between(stage: Stage) -> None:
    plan = stage.deploy(operation="plan", ecr_repository="shop", create_repository="true")
    assert plan.verdict == "planned"
    stage.world.at(1, lambda: stage.world.repository("shop"))

    assert stage.deploy(ecr_repository="shop", create_repository="true").verdict == "deployed"
