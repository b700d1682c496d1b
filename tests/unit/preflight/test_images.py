"""Images that exist before the release, looked up in a simulated ECR."""

from __future__ import annotations

from typing import Any

import pytest

from deploy_action.errors import AwsError
from deploy_action.model import Definition, Json, Repository
from deploy_action.preflight import images, rollback
from deploy_action.preflight.check import Outcome
from tests.simulator import Fault, FaultRule, World
from tests.unit.builders import OLD_REVISION
from tests.unit.preflight.facts import (
    REGISTRY,
    body,
    container,
    doors,
    facts,
    kinds,
    said,
    service,
    words,
)


@pytest.fixture
def world() -> World:
    world = World()
    world.repository("web")
    world.repository("proxy")
    return world


def look(world: World, *references: str, **differences: Any) -> list[Outcome]:  # noqa: ANN401
    containers = [container(f"c{n}", image=image) for n, image in enumerate(references)]
    found = facts(**{"body": body(*containers), **differences})
    return said(images.looks(found, doors(world)))


def test_the_image_that_is_yet_to_be_built_is_not_looked_for(world: World) -> None:
    assert said(images.looks(facts(), doors(world))) == []
    assert world.history.calls == []


def test_a_given_image_is_looked_for_in_its_place(world: World) -> None:
    image = world.image("web", tag="v1")

    found = facts(given={"image": image.by_tag, "ecr_repository": ""})
    (text,) = words(said(images.looks(found, doors(world))))

    assert text == f"Passed: {image.by_tag} is there for linux/amd64"


@pytest.mark.parametrize(
    "platforms", [("linux/amd64",), ("linux/amd64", "linux/arm64")], ids=["one", "an index"]
)
def test_an_image_for_the_platform_passes(world: World, platforms: tuple[str, ...]) -> None:
    image = world.image("proxy", tag="1", platforms=platforms)

    assert words(look(world, image.by_digest)) == [
        f"Passed: {image.by_digest} is there for linux/amd64"
    ]


@pytest.mark.parametrize(
    "platforms", [("linux/arm64",), ("linux/arm64", "windows/amd64")], ids=["one", "an index"]
)
def test_an_image_for_another_platform_refuses(world: World, platforms: tuple[str, ...]) -> None:
    image = world.image("proxy", tag="1", platforms=platforms)

    (text,) = words(look(world, image.by_tag))

    assert text.startswith(f"Refused: The image {image.by_tag} is not for linux/amd64.")
    assert f"It is for {', '.join(platforms)}, and the tasks run on linux/amd64." in text


def test_a_windows_task_needs_a_windows_image(world: World) -> None:
    image = world.image("proxy", tag="1", platforms=("windows/amd64",))
    windows = body(
        container(image=image.by_tag),
        runtimePlatform={"operatingSystemFamily": "WINDOWS_SERVER_2022_CORE"},
    )

    assert kinds(look(world, body=windows)) == ["Passed"]


def test_on_instances_only_they_know_the_platform(world: World) -> None:
    image = world.image("proxy", tag="1", platforms=("linux/arm64",))

    outcomes = look(world, image.by_tag, service=service(launch_types=("EC2",)))

    assert words(outcomes) == [f"Passed: {image.by_tag} is there"]


def test_an_image_that_does_not_say_its_platform_is_not_doubted(world: World) -> None:
    image = world.image("proxy", tag="1", platforms=("linux/arm64",))
    world.deny("ecr:GetDownloadUrlForLayer")

    assert words(look(world, image.by_tag)) == [f"Passed: {image.by_tag} is there"]


def test_an_archived_image_refuses(world: World) -> None:
    image = world.image("proxy", tag="1")
    world.state.repositories["proxy"].archived.add(image.digest)

    (text,) = words(look(world, image.by_tag))

    assert text.startswith(f"Refused: The image {image.by_tag} is archived.")


@pytest.mark.parametrize(
    ("reference", "why"),
    [
        (f"{REGISTRY}/proxy:gone", "The repository proxy has no such tag."),
        (f"{REGISTRY}/proxy@sha256:{'0' * 64}", "The repository proxy has no such digest."),
        (f"{REGISTRY}/gone:1", "ECR has no repository 'gone'."),
    ],
    ids=["tag", "digest", "repository"],
)
def test_an_image_that_is_not_there_refuses(world: World, reference: str, why: str) -> None:
    (text,) = words(look(world, reference))

    assert text.startswith(f"Refused: There is no image {reference!r}. {why}")


def test_a_pull_through_cache_may_still_fetch_it(world: World) -> None:
    world.state.pull_through_prefixes.append("public")

    (text,) = words(look(world, f"{REGISTRY}/public/nginx:1"))

    assert text.startswith("Passed: ")
    assert kinds(look(world, f"{REGISTRY}/publicity/nginx:1")) == ["Refused"]


@pytest.mark.parametrize(
    ("name", "kind"), [("public/nginx", "Warned"), ("nginx", "Refused")], ids=["may", "can not"]
)
def test_without_a_look_at_the_cache_only_its_names_are_doubted(
    world: World, name: str, kind: str
) -> None:
    world.deny("ecr:DescribePullThroughCacheRules")

    assert kinds(look(world, f"{REGISTRY}/{name}:1")) == [kind]


def test_images_outside_ecr_are_skipped_with_the_reason(world: World) -> None:
    assert words(look(world, "docker.io/library/envoy:1", "nginx")) == [
        "Skipped: docker.io/library/envoy:1 is not in ECR, so ECS alone can tell",
        "Skipped: nginx is not in ECR, so ECS alone can tell",
    ]


def test_an_image_that_is_copied_from_outside_ecr_is_read_by_the_copy(world: World) -> None:
    repo = Repository(
        name="web", uri=f"{REGISTRY}/web", registry_id="", mutability="MUTABLE", exclusions=()
    )
    found = facts(repository=repo, given={"image": "ghcr.io/acme/web:1"})

    assert words(said(images.looks(found, doors(world)))) == [
        "Skipped: ghcr.io/acme/web:1 is not in ECR; its copy will be"
    ]


def test_each_image_is_looked_at_once(world: World) -> None:
    image = world.image("proxy", tag="1")

    look(world, image.by_tag, image.by_tag)

    assert len(world.history.named("ecr:DescribeImages")) == 1


def test_an_image_of_another_account_and_region_is_asked_for_there(world: World) -> None:
    elsewhere = "210987654321.dkr.ecr.us-east-1.amazonaws.com"

    look(world, f"{elsewhere}/proxy:1")

    (call, *_) = world.history.named("ecr:DescribeImages")
    assert (call.region, call.params["registryId"]) == ("us-east-1", "210987654321")


def test_an_image_whose_manifest_cannot_be_read_is_not_doubted(world: World) -> None:
    image = world.image("proxy", tag="1")
    world.faults.append(_without("images", "ecr:BatchGetImage"))

    assert words(look(world, image.by_tag)) == [f"Passed: {image.by_tag} is there"]


def test_a_manifest_without_a_config_is_not_doubted(world: World) -> None:
    image = world.image("proxy", tag="1")

    def plain(answer: Json) -> None:
        answer["images"][0]["imageManifest"] = "{}"

    world.faults.append(
        lambda call: Fault(mangle=plain) if call.name == "ecr:BatchGetImage" else None
    )

    assert words(look(world, image.by_tag)) == [f"Passed: {image.by_tag} is there"]


def test_a_tag_that_the_own_repository_lacks_needs_no_look_at_the_cache(world: World) -> None:
    own = Repository(
        name="web", uri=f"{REGISTRY}/web", registry_id="", mutability="MUTABLE", exclusions=()
    )

    assert kinds(look(world, f"{REGISTRY}/web:gone", repository=own)) == ["Refused"]
    assert world.history.named("ecr:DescribePullThroughCacheRules") == []


def test_an_image_that_may_not_be_looked_at_is_a_refusal_of_the_look(world: World) -> None:
    world.deny("ecr:DescribeImages")

    for looking in (look, way_back):
        with pytest.raises(AwsError):
            looking(world, f"{REGISTRY}/web:1")


def _without(key: str, name: str) -> FaultRule:
    return lambda call: Fault(mangle=lambda a: a.update({key: []})) if call.name == name else None


# ---- the way back ----


def way_back(world: World, image: str, *, status: str = "ACTIVE") -> list[Outcome]:
    old = Definition(arn=OLD_REVISION, status=status, body=body(container(image=image)))
    return said(rollback.looks(facts(running=old), doors(world)))


def test_a_revision_that_can_start_again_passes(world: World) -> None:
    image = world.image("web", tag="v1")

    assert words(way_back(world, image.by_digest)) == [
        "Passed: web:41 is ACTIVE and its images are there to go back to"
    ]
    assert kinds(way_back(world, "docker.io/acme/web:1")) == ["Passed"]


def test_an_inactive_revision_is_warned_about(world: World) -> None:
    (text,) = words(way_back(world, "docker.io/acme/web:1", status="INACTIVE"))

    assert text.startswith("Warned: The revision to go back to, web:41, is INACTIVE")


def test_an_image_that_a_rollback_would_miss_is_warned_about(world: World) -> None:
    image = world.image("web", tag="v1")
    world.state.repositories["web"].archived.add(image.digest)

    for reference in (image.by_digest, f"{REGISTRY}/web@sha256:{'0' * 64}"):
        (text,) = words(way_back(world, reference))
        assert text.startswith("Warned: The image of the revision to go back to is gone")
        assert reference in text


def test_what_both_revisions_run_is_looked_at_once(world: World) -> None:
    image = world.image("proxy", tag="1")
    both = body(container(image=image.by_tag))
    old = Definition(arn=OLD_REVISION, status="ACTIVE", body=both)

    said(rollback.looks(facts(running=old, body=both), doors(world)))

    assert world.history.named("ecr:DescribeImages") == []


def test_an_older_baseline_is_read(world: World) -> None:
    image = world.image("web", tag="v1")
    good = world.task_definition("web", image)
    world.task_definition("web", image)
    baseline = facts().baseline.__class__(
        task_definition=good.arn, deployment_ids=frozenset(), service_deployment=None, desired=2
    )

    assert words(said(rollback.looks(facts(baseline=baseline), doors(world)))) == [
        "Passed: web:1 is ACTIVE and its images are there to go back to"
    ]
