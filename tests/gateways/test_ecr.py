"""Amazon ECR: what is there, which tags may move, and how they do."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from moto import mock_aws

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.ecr import (
    MEDIA_TYPES,
    Ecr,
    digests,
    is_kept_in,
    may_move,
    source_of,
)
from deploy_action.model import Identity, RegistryImage, Repository
from deploy_action.ports import Answer, NoAnswer, RegistryLogin, Silence
from deploy_action.repositories import lifecycle_policy
from tests.gateways.wire import Json, Wire, session
from tests.unit.builders import FakeHttp, answer

ACCOUNT = "123456789012"
HOST = f"{ACCOUNT}.dkr.ecr.eu-west-1.amazonaws.com"
OTHER_HOST = "999999999999.dkr.ecr.us-east-1.amazonaws.com"
DOCKER, OCI, _, INDEX = MEDIA_TYPES
NOBODY = FakeHttp(NoAnswer(Silence.BROKEN, "nobody is asked here"))
CONFIG = "sha256:" + "c0" * 32


def repository(**differences: Any) -> Repository:  # noqa: ANN401 - as the dataclass
    ordinary: Json = {
        "name": "web",
        "uri": f"{HOST}/web",
        "registry_id": ACCOUNT,
        "mutability": "MUTABLE",
        "exclusions": (),
    }
    return Repository(**{**ordinary, **differences})


def manifest(content: str) -> str:
    """An image that differs by its content."""
    layer = {"mediaType": "layer", "size": len(content), "digest": f"sha256:{content:0>64}"}
    config = {"mediaType": "config", "size": 2, "digest": CONFIG}
    return json.dumps(
        {"schemaVersion": 2, "mediaType": DOCKER, "config": config, "layers": [layer]}
    )


def image(**differences: Any) -> RegistryImage:  # noqa: ANN401 - as the dataclass
    ordinary: Json = {
        "repository": repository(),
        "digest": "sha256:77ab",
        "manifest": manifest("1"),
        "media_type": DOCKER,
    }
    return RegistryImage(**{**ordinary, **differences})


class Moto:
    """A registry that moto keeps, and our gateway to it."""

    def __init__(self) -> None:
        self.session = boto3.Session(
            region_name="eu-west-1", aws_access_key_id="AKIDEXAMPLE", aws_secret_access_key="secret"
        )
        self.client = self.session.client("ecr")
        self.ecr = Ecr(self.session, None, NOBODY)

    def holds(self, name: str = "web", **settings: Any) -> Repository:  # noqa: ANN401
        self.client.create_repository(repositoryName=name, **settings)
        return self.ecr.repository(name)

    def push(self, tag: str, content: str) -> None:
        self.client.put_image(repositoryName="web", imageManifest=manifest(content), imageTag=tag)


@pytest.fixture
def moto() -> Iterator[Moto]:
    with mock_aws():
        yield Moto()


@pytest.fixture
def wire() -> Wire:
    return Wire()


def over(wire: Wire, registry: str | None = None) -> Ecr:
    return Ecr(wire.session, registry, NOBODY)


# -- repositories --


def test_reads_a_repository_with_its_rules(moto: Moto) -> None:
    exclusion = {"filterType": "WILDCARD", "filter": "latest*"}
    found = moto.holds(
        imageTagMutability="IMMUTABLE_WITH_EXCLUSION",
        imageTagMutabilityExclusionFilters=[exclusion],
    )

    assert (found.name, found.host) == ("web", HOST)
    assert found.uri == f"{HOST}/web"
    assert found.registry_id == ACCOUNT
    assert (found.mutability, found.exclusions) == ("IMMUTABLE_WITH_EXCLUSION", ("latest*",))


def test_a_repository_that_is_not_there_is_missing(moto: Moto) -> None:
    with pytest.raises(AwsError) as caught:
        moto.ecr.repository("nothing")

    assert caught.value.refusal is Refusal.MISSING
    assert caught.value.action == "ecr:DescribeRepositories"


def test_a_repository_says_nothing_of_mutability_and_is_mutable(wire: Wire) -> None:
    raw = {"repositoryName": "web", "repositoryUri": f"{HOST}/web"}
    wire.answers("DescribeRepositories", {"repositories": [raw]})

    found = over(wire).repository("web")

    assert (found.mutability, found.exclusions, found.registry_id) == ("MUTABLE", (), "")


def test_a_registry_of_another_account_is_asked_there(wire: Wire) -> None:
    raw = {"repositoryName": "web", "repositoryUri": f"{OTHER_HOST}/web"}
    wire.answers("DescribeRepositories", {"repositories": [raw]})

    found = over(wire, OTHER_HOST).repository("web")

    assert found.uri == f"{OTHER_HOST}/web"
    assert wire.sent("DescribeRepositories") == [
        {"repositoryNames": ["web"], "registryId": "999999999999"}
    ]
    assert "us-east-1" in wire.requests[0].url


def test_the_own_registry_is_asked_without_an_account(wire: Wire) -> None:
    raw = {"repositoryName": "web", "repositoryUri": f"{HOST}/web"}
    wire.answers("DescribeRepositories", {"repositories": [raw]})

    over(wire).repository("web")

    assert wire.sent("DescribeRepositories") == [{"repositoryNames": ["web"]}]
    assert "eu-west-1" in wire.requests[0].url


def test_an_emulator_is_reached_by_the_name_that_the_user_gave(wire: Wire) -> None:
    raw = {"repositoryName": "web", "repositoryUri": "emulator.internal/web"}
    wire.answers("DescribeRepositories", {"repositories": [raw]})

    found = over(wire, "localhost:4566").repository("web")

    assert (found.uri, found.host) == ("localhost:4566/web", "localhost:4566")


def test_makes_a_repository_as_planned(moto: Moto) -> None:
    planned = moto.ecr.future_repository("shop", ("latest", "buildcache"))
    assert (planned.uri, planned.exists) == (f"{HOST}/shop", False)

    made = moto.ecr.create_repository(planned)

    assert made == replace(planned, exists=True, registry_id=ACCOUNT)
    assert made == moto.ecr.repository("shop")
    (raw,) = moto.client.describe_repositories(repositoryNames=["shop"])["repositories"]
    assert raw["imageScanningConfiguration"] == {"scanOnPush": True}


def test_without_a_tag_that_moves_every_tag_stays(moto: Moto) -> None:
    made = moto.ecr.create_repository(moto.ecr.future_repository("shop", ()))

    assert (made.mutability, made.exclusions) == ("IMMUTABLE", ())


def test_a_repository_that_somebody_made_first_is_taken_as_it_is(moto: Moto) -> None:
    planned = moto.ecr.future_repository("web", ("latest",))
    there = moto.holds()

    assert moto.ecr.create_repository(planned) == there


def test_a_repository_of_a_named_registry_is_reached_by_that_name(wire: Wire) -> None:
    ecr = over(wire, "localhost:4566")

    assert ecr.future_repository("shop", ()).uri == "localhost:4566/shop"
    assert wire.requests == []


def test_the_lifecycle_policy_is_one_that_ecr_takes(moto: Moto) -> None:
    web = moto.holds()
    policy = lifecycle_policy(("latest", "buildcache"))

    moto.ecr.put_lifecycle_policy(web, policy)

    kept = moto.client.get_lifecycle_policy(repositoryName="web")["lifecyclePolicyText"]
    assert json.loads(kept) == policy
    assert [rule["rulePriority"] for rule in policy["rules"]] == [1, 2, 3, 4]


def test_another_registry_is_asked_in_its_region_by_its_account(wire: Wire) -> None:
    wire.answers("BatchGetImage", {"images": []})
    source, tag = source_of(f"{OTHER_HOST}/team/web:v1")

    over(wire).at(OTHER_HOST).image(source, tag)

    (request,) = wire.requests
    assert "us-east-1" in request.url
    assert request.body["registryId"] == "999999999999"
    assert request.body["repositoryName"] == "team/web"
    assert request.body["imageIds"] == [{"imageTag": "v1"}]


KEPT = {
    f"{HOST}/web:v1": True,
    f"{HOST}/web@sha256:77ab": True,
    f"{HOST}/web": True,
    f"{HOST}/webs:v1": False,
    f"{OTHER_HOST}/web:v1": False,
    "web:v1": False,
}


@pytest.mark.parametrize(("reference", "is_kept"), KEPT.items())
def test_an_image_is_kept_in_the_repository(reference: str, *, is_kept: bool) -> None:
    assert is_kept_in(reference, repository()) is is_kept


# -- whose images --

IDENTITY = Identity(account=ACCOUNT, arn="arn", region="eu-west-1")
HOSTS = {
    "the own registry": (None, HOST, True),
    "another account, where the same names mean other images": (
        None,
        "999999999999.dkr.ecr.eu-west-1.amazonaws.com",
        False,
    ),
    "another region": (None, f"{ACCOUNT}.dkr.ecr.us-east-1.amazonaws.com", False),
    "Docker Hub": (None, "docker.io", False),
    "a name that only looks like one": (None, f"{HOST}.evil.example/", False),
    "the registry that the user named": (OTHER_HOST, OTHER_HOST, True),
    "the own registry where the user named another": (OTHER_HOST, HOST, False),
    "an emulator that the user named": ("localhost:4566", "localhost:4566", True),
}


@pytest.mark.parametrize(("registry", "host", "ours"), HOSTS.values(), ids=HOSTS.keys())
def test_images_can_be_read_from(registry: str | None, host: str, *, ours: bool) -> None:
    assert Ecr(session(), registry, NOBODY).owns(host, IDENTITY) is ours


# -- images --


def test_finds_an_image_by_tag_and_by_digest(moto: Moto) -> None:
    web = moto.holds()
    moto.push("v1", "1")

    by_tag = moto.ecr.image(web, "v1")
    assert by_tag is not None
    by_digest = moto.ecr.image(web, by_tag.digest)

    assert by_tag == by_digest
    assert by_tag.uri == f"{HOST}/web@{by_tag.digest}"
    assert by_tag.media_type == DOCKER
    assert json.loads(by_tag.manifest)["config"]["digest"] == CONFIG


@pytest.mark.parametrize("wanted", ["v2", "sha256:" + "00" * 32])
def test_an_image_that_is_not_there_is_none(moto: Moto, wanted: str) -> None:
    web = moto.holds()
    moto.push("v1", "1")

    assert moto.ecr.image(web, wanted) is None


def test_all_kinds_of_manifest_are_accepted_because_a_converted_one_has_another_digest(
    wire: Wire,
) -> None:
    wire.answers("BatchGetImage", {"images": []})

    over(wire).image(repository(), "v1")

    assert wire.sent("BatchGetImage") == [
        {
            "repositoryName": "web",
            "imageIds": [{"imageTag": "v1"}],
            "acceptedMediaTypes": MEDIA_TYPES,
        }
    ]


FOUND: dict[str, tuple[Json, str]] = {
    "ECR says it": ({"imageManifestMediaType": OCI, "imageManifest": "{}"}, OCI),
    "only the manifest says it": ({"imageManifest": json.dumps({"mediaType": OCI})}, OCI),
    "nobody says it": ({"imageManifest": "{}"}, ""),
}


@pytest.mark.parametrize(("found", "media_type"), FOUND.values(), ids=FOUND.keys())
def test_the_media_type_is_known_where(wire: Wire, found: Json, media_type: str) -> None:
    wire.answers("BatchGetImage", {"images": [{"imageId": {"imageDigest": "sha256:1"}, **found}]})

    read = over(wire).image(repository(), "v1")

    assert read is not None
    assert read.media_type == media_type


@pytest.mark.parametrize("code", ["ImageNotFound", "ImageTagDoesNotMatchDigest"])
def test_a_failure_that_means_absence_is_none(wire: Wire, code: str) -> None:
    wire.answers("BatchGetImage", {"images": [], "failures": [{"failureCode": code}]})

    assert over(wire).image(repository(), "v1") is None


@pytest.mark.parametrize("code", ["ImageReferencedByManifestList", "KmsError", "ImageInaccessible"])
def test_an_image_that_is_archived_or_cannot_be_read_is_not_absent(wire: Wire, code: str) -> None:
    failure = {"failureCode": code, "failureReason": "the reason"}
    wire.answers("BatchGetImage", {"images": [], "failures": [failure]})

    with pytest.raises(AwsError) as caught:
        over(wire).image(repository(), "v1")

    assert (caught.value.refusal, caught.value.code) == (Refusal.INVALID, code)
    assert caught.value.message == "the reason"


def test_no_answer_at_all_is_no_image(wire: Wire) -> None:
    wire.answers("BatchGetImage", {})

    assert over(wire).image(repository(), "v1") is None


def test_an_image_proves_itself_and_an_index_what_is_in_it() -> None:
    children = {"manifests": [{"digest": "sha256:a"}, {"digest": "sha256:b"}]}
    index = image(manifest=json.dumps(children), media_type=INDEX)

    assert digests(image()) == {"sha256:77ab"}
    assert digests(index) == {"sha256:77ab", "sha256:a", "sha256:b"}


# -- tags --

MOVES = [
    ("MUTABLE", (), "v1", True),
    ("IMMUTABLE", (), "latest", False),
    ("IMMUTABLE_WITH_EXCLUSION", ("latest",), "latest", True),
    ("IMMUTABLE_WITH_EXCLUSION", ("latest",), "latest-1", False),
    ("IMMUTABLE_WITH_EXCLUSION", ("dev-*", "latest*"), "latest-1", True),
    ("IMMUTABLE_WITH_EXCLUSION", ("latest",), "LATEST", False),
    ("IMMUTABLE_WITH_EXCLUSION", (), "latest", False),
    ("MUTABLE_WITH_EXCLUSION", ("v*",), "v1", False),
    ("MUTABLE_WITH_EXCLUSION", ("v*",), "latest", True),
    ("A_WORD_OF_TOMORROW", (), "v1", True),
]


@pytest.mark.parametrize(("mutability", "exclusions", "tag", "may"), MOVES)
def test_a_tag_may_move(
    mutability: str, exclusions: tuple[str, ...], tag: str, *, may: bool
) -> None:
    rules = repository(mutability=mutability, exclusions=exclusions)

    assert may_move(rules, tag) is may


def both(moto: Moto, web: Repository) -> tuple[RegistryImage, RegistryImage]:
    moto.push("v1", "1")
    moto.push("v2", "2")
    one, two = moto.ecr.image(web, "v1"), moto.ecr.image(web, "v2")
    assert one is not None
    assert two is not None
    return one, two


def points_at(moto: Moto, web: Repository, tag: str) -> str:
    found = moto.ecr.image(web, tag)
    return found.digest if found else ""


def test_a_new_tag_is_put_on_an_image(moto: Moto) -> None:
    web = moto.holds()
    one, _ = both(moto, web)

    moto.ecr.put_tag(one, "latest")

    assert points_at(moto, web, "latest") == one.digest


def test_a_tag_moves_from_one_image_to_another_and_back(moto: Moto) -> None:
    web = moto.holds()
    one, two = both(moto, web)

    for target in (one, two, one):
        moto.ecr.put_tag(target, "latest")
        assert points_at(moto, web, "latest") == target.digest


def test_a_tag_that_is_there_already_is_put_there_again(moto: Moto) -> None:
    web = moto.holds(imageTagMutability="IMMUTABLE")
    one, _ = both(moto, web)

    moto.ecr.put_tag(one, "v1")

    assert points_at(moto, web, "v1") == one.digest


def test_a_tag_that_may_not_move_is_a_conflict_and_stays(moto: Moto) -> None:
    web = moto.holds(imageTagMutability="IMMUTABLE")
    one, two = both(moto, web)

    with pytest.raises(AwsError) as caught:
        moto.ecr.put_tag(two, "v1")

    assert caught.value.refusal is Refusal.CONFLICT
    assert "'v1'" in caught.value.message
    assert one.digest in caught.value.message
    assert points_at(moto, web, "v1") == one.digest


def test_the_conflict_as_aws_itself_says_it(wire: Wire) -> None:
    wire.refuses("PutImage", "ImageTagAlreadyExistsException", "it is immutable")

    with pytest.raises(AwsError) as caught:
        over(wire).put_tag(image(), "v1")

    assert caught.value.refusal is Refusal.CONFLICT
    assert caught.value.message == "it is immutable"


def test_a_tag_that_cannot_be_seen_after_it_was_put_is_a_conflict(wire: Wire) -> None:
    wire.answers("PutImage", {"image": {}})
    wire.answers("BatchGetImage", {"images": []})

    with pytest.raises(AwsError, match="still points at nothing"):
        over(wire).put_tag(image(), "v1")


def test_a_tag_is_put_with_the_manifest_as_it_is(wire: Wire) -> None:
    wire.answers("PutImage", {"image": {}})
    there = {"imageId": {"imageDigest": "sha256:77ab"}, "imageManifest": "{}"}
    wire.answers("BatchGetImage", {"images": [there]})

    over(wire, OTHER_HOST).put_tag(image(media_type=INDEX), "latest")

    assert wire.sent("PutImage") == [
        {
            "registryId": "999999999999",
            "repositoryName": "web",
            "imageManifest": manifest("1"),
            "imageManifestMediaType": INDEX,
            "imageTag": "latest",
        }
    ]


# -- the login --


def test_logs_in_with_a_password_that_no_repr_shows(wire: Wire) -> None:
    token = base64.b64encode(b"AWS:pass:word").decode()
    wire.answers("GetAuthorizationToken", {"authorizationData": [{"authorizationToken": token}]})

    login = over(wire).login(HOST)

    assert (login.host, login.user, login.password) == (HOST, "AWS", "pass:word")
    assert "pass:word" not in repr(login)


# -- labels, over the registry's own protocol --

LOGIN = RegistryLogin(host=HOST, user="AWS", password="hunter22")
BASIC = "Basic " + base64.b64encode(b"AWS:hunter22").decode()
BLOB = f"https://{HOST}/v2/web/blobs/{CONFIG}"
LABELS = json.dumps({"config": {"Labels": {"a": "1"}}})


def labels(http: FakeHttp, **differences: Any) -> dict[str, str]:  # noqa: ANN401 - as image
    return Ecr(session(), None, http).labels(image(**differences), LOGIN)


def test_the_password_stays_with_the_registry_and_does_not_follow_a_redirect() -> None:
    elsewhere = "https://bucket.s3.amazonaws.com/x?signature=y"
    http = FakeHttp(answer(307, location=elsewhere), answer(200, LABELS))

    assert labels(http) == {"a": "1"}
    assert http.asked == [(BLOB, {"Authorization": BASIC}), (elsewhere, {})]


def test_labels_that_the_registry_gives_itself() -> None:
    http = FakeHttp(answer(200, LABELS))

    assert labels(http) == {"a": "1"}
    assert len(http.asked) == 1


@pytest.mark.parametrize(
    ("host", "scheme"),
    [
        (HOST, "https"),
        ("localhost:5000", "http"),
        ("127.0.0.1:5000", "http"),
        ("127.0.0.1", "http"),
        ("10.0.0.1:5000", "https"),
        ("registry.localhost.example:5000", "https"),
    ],
)
def test_only_a_registry_on_this_machine_is_asked_without_tls(host: str, scheme: str) -> None:
    http = FakeHttp(answer(200, LABELS))

    labels(http, repository=repository(uri=f"{host}/web"))

    assert http.asked[0][0] == f"{scheme}://{host}/v2/web/blobs/{CONFIG}"


NO_LABELS: dict[str, tuple[Answer | NoAnswer, ...]] = {
    "the registry does not answer": (NoAnswer(Silence.TIMEOUT, "x"),),
    "it refuses": (answer(401),),
    "the redirect leads nowhere": (
        answer(307, location="https://x"),
        NoAnswer(Silence.DNS, "x"),
    ),
    "the redirect is refused": (answer(307, location="https://x"), answer(403)),
    "the redirect leads to another one": (answer(307, location="https://x"),),
    "the answer is no JSON": (answer(200, "<html>"),),
    "the answer was cut": (answer(200, LABELS[:-5]),),
    "the image has none": (answer(200, '{"config": {"Labels": null}}'),),
    "the image has no configuration": (answer(200, '{"config": null}'),),
    "the answer is empty": (answer(200, "{}"),),
}


@pytest.mark.parametrize("answers", NO_LABELS.values(), ids=NO_LABELS.keys())
def test_there_are_no_labels_where(answers: tuple[Answer | NoAnswer, ...]) -> None:
    assert labels(FakeHttp(*answers)) == {}


def test_an_index_has_no_labels_and_nobody_is_asked() -> None:
    http = FakeHttp(answer(200, LABELS))

    assert labels(http, manifest='{"manifests": []}', media_type=INDEX) == {}
    assert http.asked == []
