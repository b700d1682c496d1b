"""The simulator answers as Amazon does; moto and MiniStack too, but for what the table says.

An entry that is no longer true fails: then the emulator has learned it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from dev import ministack
from tests.conformance.probes import PROBES, Account, asked
from tests.simulator import World

MANIFEST = json.dumps(
    {
        "schemaVersion": 2,
        "mediaType": "application/vnd.docker.distribution.manifest.v2+json",
        "config": {
            "mediaType": "application/vnd.docker.container.image.v1+json",
            "size": 2,
            "digest": "sha256:44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a",
        },
        "layers": [],
    }
)

DIFFERENCES: dict[tuple[str, str], object] = {
    ("moto", "an update starts a deployment"): (False, False, True),
    ("moto", "an update to an inactive definition"): "accepted",
    ("moto", "service deployments are listed"): "NotImplementedError",
    ("MiniStack", "tags of a definition, not asked for"): True,
    ("MiniStack", "an update to a definition that is not there"): "accepted",
    ("MiniStack", "an update to an inactive definition"): "accepted",
    ("MiniStack", "service deployments are listed"): False,
    ("MiniStack", "an image that is not there, described"): [],
    ("MiniStack", "a tag that the image has"): "accepted",
    ("MiniStack", "a tag that the image has, immutable"): "ImageTagAlreadyExistsException",
}
"""By emulator and question: the answer that is not Amazon's."""


@pytest.fixture
def simulator() -> Account:
    world = World()
    world.repository("web")
    world.repository("fixed", mutability="IMMUTABLE")
    world.image("fixed", tag="v1")
    image = world.image("web", tag="v1")
    world.service("web", image=image, desired=0)
    return Account(world.session(), image.by_digest)


@pytest.fixture
def moto() -> Iterator[Account]:
    with mock_aws():
        session = boto3.Session("test", "test", region_name="eu-west-1")
        yield furnished(session)


@pytest.fixture
def emulator() -> Iterator[Account]:
    with ministack.running() as running:
        session = boto3.Session("test", "test", region_name=running.region)
        make = session.client
        session.client = lambda name, **given: make(  # type: ignore[method-assign, assignment]
            name, endpoint_url=running.endpoint, **given
        )
        yield furnished(session)


def furnished(session: boto3.Session) -> Account:
    """The account that the questions are about, made by calls."""
    account = Account(session, "docker.invalid/web:1")
    account.ecs.create_cluster(clusterName="prod")
    account.ecs.create_service(
        cluster="prod", serviceName="web", taskDefinition=account.register(), desiredCount=0
    )
    account.ecr.create_repository(repositoryName="web")
    account.ecr.create_repository(repositoryName="fixed", imageTagMutability="IMMUTABLE")
    for name in ("web", "fixed"):
        account.ecr.put_image(repositoryName=name, imageManifest=MANIFEST, imageTag="v1")
    return account


@pytest.mark.parametrize("question", PROBES)
def test_the_simulator_answers_as_amazon_does(simulator: Account, question: str) -> None:
    assert asked(PROBES[question], simulator) == PROBES[question].answer


@pytest.mark.parametrize("question", PROBES)
def test_moto_too_but_for_the_known_differences(moto: Account, question: str) -> None:
    assert asked(PROBES[question], moto) == known("moto", question)


@pytest.mark.e2e
def test_ministack_too_but_for_the_known_differences(emulator: Account) -> None:
    answers = {question: asked(probe, emulator) for question, probe in PROBES.items()}

    assert answers == {question: known("MiniStack", question) for question in PROBES}


def known(emulator: str, question: str) -> object:
    return DIFFERENCES.get((emulator, question), PROBES[question].answer)
