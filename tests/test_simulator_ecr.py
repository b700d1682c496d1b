"""The simulated registry, builder and endpoints: what ECR refuses, pushes, pulls and answers."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest
from botocore.exceptions import ClientError

from deploy_action.ports import (
    Answer,
    Build,
    BuildError,
    BuildStep,
    NoAnswer,
    RegistryLogin,
    Silence,
)
from tests.simulator import Behaviour, World

if TYPE_CHECKING:
    from mypy_boto3_ecr.client import ECRClient

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


@pytest.fixture
def world() -> Iterator[World]:
    world = World(seed=3)
    with world.simulated_time():
        yield world


@pytest.fixture
def ecr(world: World) -> ECRClient:
    return world.session().client("ecr")


def retag(ecr: ECRClient, old: str, new: str) -> str:
    image = ecr.batch_get_image(repositoryName="web", imageIds=[{"imageTag": old}])["images"][0]
    answer = ecr.put_image(
        repositoryName="web",
        imageManifest=image["imageManifest"],
        imageManifestMediaType=image["imageManifestMediaType"],
        imageTag=new,
    )
    return answer["image"]["imageId"]["imageDigest"]


def build(tag: str, platform: str = "linux/amd64") -> Build:
    return Build(
        context=".",
        dockerfile=None,
        target=None,
        platform=platform,
        tag=tag,
        build_args={},
        secrets={},
        labels={"revision": "abc"},
        cache=None,
    )


def login(ecr: ECRClient) -> RegistryLogin:
    token = ecr.get_authorization_token()["authorizationData"][0]["authorizationToken"]
    user, _, password = base64.b64decode(token).decode().partition(":")
    return RegistryLogin(host=HOST, user=user, password=password)


def test_a_manifest_hashes_to_the_digest_it_is_stored_under(world: World, ecr: ECRClient) -> None:
    world.repository("web")
    image = world.image("web", tag="v1", platforms=["linux/amd64", "linux/arm64"])

    found = ecr.batch_get_image(repositoryName="web", imageIds=[{"imageTag": "v1"}])["images"][0]

    text = found["imageManifest"]
    assert f"sha256:{hashlib.sha256(text.encode()).hexdigest()}" == image.digest
    assert [each["platform"]["architecture"] for each in json.loads(text)["manifests"]] == [
        "amd64",
        "arm64",
    ]


def test_retagging_moves_a_mutable_tag_and_says_when_it_is_already_there(
    world: World, ecr: ECRClient
) -> None:
    world.repository("web")
    v1, v2 = world.image("web", tag="v1"), world.image("web", tag="v2")

    assert retag(ecr, "v1", "latest") == v1.digest
    assert retag(ecr, "v2", "latest") == v2.digest
    with pytest.raises(ecr.exceptions.ImageAlreadyExistsException):
        retag(ecr, "v2", "latest")

    assert world.tag_digest("web", "latest") == v2.digest
    assert [each.detail["before"] for each in world.tag_moves("web", "latest")] == [None, v1.digest]


@pytest.mark.parametrize(
    ("mutability", "exclusions", "is_refused"),
    [
        ("IMMUTABLE", [], True),
        ("IMMUTABLE_WITH_EXCLUSION", ["latest*"], False),
        ("IMMUTABLE_WITH_EXCLUSION", ["dev*"], True),
        ("MUTABLE_WITH_EXCLUSION", ["lat*"], True),
        ("MUTABLE_WITH_EXCLUSION", ["v*"], False),
    ],
)
def test_an_immutable_tag_stays_where_it_is(
    world: World,
    ecr: ECRClient,
    mutability: str,
    exclusions: list[str],
    is_refused: bool,  # noqa: FBT001
) -> None:
    world.repository("web", mutability=mutability, exclusions=exclusions)
    v1 = world.image("web", tag="latest")
    v2 = world.image("web", tag="v2")

    try:
        retag(ecr, "v2", "latest")
        refusal = ""
    except ClientError as error:
        refusal = error.response["Error"]["Code"]

    assert refusal == ("ImageTagAlreadyExistsException" if is_refused else "")
    assert world.tag_digest("web", "latest") == (v1.digest if is_refused else v2.digest)


def test_an_image_that_is_not_there_is_an_error_or_a_failure(world: World, ecr: ECRClient) -> None:
    world.repository("web")

    with pytest.raises(ecr.exceptions.ImageNotFoundException):
        ecr.describe_images(repositoryName="web", imageIds=[{"imageTag": "v1"}])
    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.describe_images(repositoryName="other")
    got = ecr.batch_get_image(repositoryName="web", imageIds=[{"imageTag": "v1"}])

    assert got["failures"][0]["failureCode"] == "ImageNotFound"


def test_a_new_repository_keeps_the_settings_it_was_made_with(world: World, ecr: ECRClient) -> None:
    ecr.create_repository(
        repositoryName="web",
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[{"filterType": "WILDCARD", "filter": "latest"}],
        imageScanningConfiguration={"scanOnPush": True},
    )

    found = ecr.describe_repositories(repositoryNames=["web"])["repositories"][0]

    assert found["repositoryUri"] == f"{HOST}/web"
    assert found["imageTagMutabilityExclusionFilters"][0]["filter"] == "latest"
    with pytest.raises(ecr.exceptions.RepositoryAlreadyExistsException):
        ecr.create_repository(repositoryName="web")


def test_a_build_pushes_an_image_whose_config_can_be_downloaded(
    world: World, ecr: ECRClient
) -> None:
    world.repository("web")
    steps: list[BuildStep] = []

    digest = world.builder.build_and_push(build(f"{HOST}/web:abc"), login(ecr), steps.append)

    assert world.tag_digest("web", "abc") == digest
    assert steps[0].name.startswith("[1/3] FROM")
    assert world.clock.monotonic() > 30
    images = ecr.batch_get_image(repositoryName="web", imageIds=[{"imageDigest": digest}])
    config = json.loads(images["images"][0]["imageManifest"])["config"]["digest"]
    url = ecr.get_download_url_for_layer(repositoryName="web", layerDigest=config)["downloadUrl"]
    blob = world.http.get(url, headers={}, timeout_seconds=5).body
    assert json.loads(blob)["config"]["Labels"] == {"revision": "abc"}


def test_a_build_of_the_same_commit_is_another_image_and_needs_a_mutable_tag(
    world: World, ecr: ECRClient
) -> None:
    world.repository("web", mutability="IMMUTABLE")
    world.builder.build_and_push(build(f"{HOST}/web:abc"), login(ecr), lambda _: None)

    with pytest.raises(BuildError, match="tag is immutable"):
        world.builder.build_and_push(build(f"{HOST}/web:abc"), login(ecr), lambda _: None)

    assert len(world.builder.builds) == 2


def test_a_push_needs_a_fresh_login(world: World, ecr: ECRClient) -> None:
    world.repository("web")
    old = login(ecr)
    world.clock.sleep(13 * 3600)

    with pytest.raises(BuildError, match="expired"):
        world.builder.build_and_push(build(f"{HOST}/web:abc"), old, lambda _: None)
    stranger = RegistryLogin(host=HOST, user="AWS", password="guess")
    with pytest.raises(BuildError, match="no basic auth"):
        world.builder.build_and_push(build(f"{HOST}/web:abc"), stranger, lambda _: None)


def test_a_failing_build_pushes_nothing(world: World, ecr: ECRClient) -> None:
    world.repository("web")
    world.builder.failure = BuildError("exit code 1", step="[3/3] RUN pip install .")
    steps: list[BuildStep] = []

    with pytest.raises(BuildError):
        world.builder.build_and_push(build(f"{HOST}/web:abc"), login(ecr), steps.append)

    assert [step.failed for step in steps] == [False, False, True]
    assert world.state.repositories["web"].manifests == {}


def test_a_page_can_tell_which_image_and_environment_answers(world: World) -> None:
    world.repository("web")
    v1 = world.image(
        "web",
        labels={"revision": "abc"},
        behaviour=Behaviour(
            json={"version": "{label:revision}", "stage": "{env:STAGE}", "digest": "{digest}"},
            paths={"/private": (401, "no")},
        ),
    )
    world.service("web", image=v1, load_balanced=True, environment={"STAGE": "live"})
    url = f"http://{world.host('web')}"

    answer = world.http.get(f"{url}/version", headers={}, timeout_seconds=5)

    assert json.loads(answer.body) == {"version": "abc", "stage": "live", "digest": v1.digest}
    assert answer.headers["content-type"] == "application/json"
    assert world.http.get(f"{url}/private", headers={}, timeout_seconds=5).status == 401


@pytest.mark.parametrize("silence", list(Silence))
def test_a_host_can_be_silent_in_every_way(world: World, silence: Silence) -> None:
    world.http.silences["app.example.com"] = silence

    with pytest.raises(NoAnswer) as caught:
        world.http.get("https://app.example.com/", headers={}, timeout_seconds=5)

    assert caught.value.silence is silence
    assert (world.clock.monotonic() >= 5) == (silence is Silence.TIMEOUT)


def test_a_url_can_answer_something_of_its_own(world: World) -> None:
    said = iter(["starting", "ready"])
    world.http.pages["https://status.example.com/"] = lambda: Answer(
        status=200, body=next(said), headers={}
    )

    bodies = [
        world.http.get("https://status.example.com/", headers={}, timeout_seconds=4).body
        for _ in range(2)
    ]

    assert bodies == ["starting", "ready"]


def test_a_slow_page_uses_up_the_timeout(world: World) -> None:
    world.repository("web")
    world.service("web", image=world.image("web"), load_balanced=True)
    world.set_behaviour(
        next(iter(world.state.repositories["web"].manifests)), Behaviour(response_seconds=30)
    )
    started = world.clock.monotonic()

    with pytest.raises(NoAnswer) as caught:
        world.http.get(f"http://{world.host('web')}/", headers={}, timeout_seconds=4)

    assert caught.value.silence is Silence.TIMEOUT
    assert 4 <= world.clock.monotonic() - started < 5


def test_without_healthy_targets_the_load_balancer_says_503(world: World) -> None:
    world.repository("web")
    world.service("web", image=world.image("web"), load_balanced=True)
    world.set_desired("web", 0)
    world.clock.sleep(60)

    answer = world.http.get(f"http://{world.host('web')}/", headers={}, timeout_seconds=4)

    assert answer.status == 503


def test_a_listener_with_tls_needs_the_name_on_its_certificate(world: World) -> None:
    world.repository("web")
    group = world.load_balancer("web", protocol="HTTPS", host="app.example.com")
    world.service("web", image=world.image("web"), target_group=group)
    world.http.aliases["app.example.com"] = world.host("web")

    good = world.http.get("https://app.example.com/", headers={}, timeout_seconds=4)
    with pytest.raises(NoAnswer) as caught:
        world.http.get(f"https://{world.host('web')}/", headers={}, timeout_seconds=4)

    assert good.body == "ok"
    assert caught.value.silence is Silence.TLS
