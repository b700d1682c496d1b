"""The stack of `bootstrap/` on an emulated AWS that asks IAM, as far as it does that right.

It computes the resource of most ECS calls, of DescribeRepositories and of GetLogEvents
otherwise than AWS does, and looks at no PassRole: those are tested in
tests/scenarios/test_permissions.py.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from dev import engine, ministack
from tests.contract.bootstrap import (
    GITHUB,
    GIVEN,
    Emulated,
    assert_least_policy,
    assert_repository,
    assert_trusts,
)

pytestmark = pytest.mark.e2e

IMMUTABLE = "repo:acme@1234567/shop@7654321"
CLASSIC = "repo:acme/shop"
MAIN = "ref:refs/heads/main"
AUDIENCE = "sts.amazonaws.com"

Clients = Callable[..., Any]


@pytest.fixture(scope="module")
def clients() -> Iterator[Clients]:
    """Clients of an emulator that checks access; without credentials those of its root."""
    with engine.running(), ministack.running(checks_access=True) as running:

        def client(service: str, credentials: Mapping[str, str] | None = None) -> Any:  # noqa: ANN401
            held = credentials or {"AccessKeyId": "test", "SecretAccessKey": "test"}
            session = boto3.Session(
                held["AccessKeyId"],
                held["SecretAccessKey"],
                held.get("SessionToken"),
                region_name=ministack.REGION,
            )
            return session.client(service, endpoint_url=running.endpoint)  # type: ignore[call-overload]

        yield client


@pytest.fixture(scope="module")
def emulated(clients: Clients) -> Emulated:
    return Emulated(*(clients(name) for name in ("cloudformation", "iam", "ecr")))


@pytest.fixture(scope="module")
def role(emulated: Emulated) -> Iterator[str]:
    """The role of a stack with everything but the provider, whose type is not known there."""
    with emulated.stack(GIVEN) as outputs:
        yield outputs["RoleArn"]


def test_role_and_repository_are_what_the_template_says(emulated: Emulated, role: str) -> None:
    assert_trusts(emulated, role, f"{IMMUTABLE}:{MAIN}", f"{CLASSIC}:{MAIN}")
    assert_least_policy(emulated, role)
    found = assert_repository(emulated)
    assert found["imageScanningConfiguration"] == {"scanOnPush": True}
    policy = emulated.ecr.get_lifecycle_policy(repositoryName=found["repositoryName"])
    rules = json.loads(policy["lifecyclePolicyText"])["rules"]
    assert [rule["selection"]["countNumber"] for rule in rules] == [1, 14, 100]
    assert rules[0]["selection"]["tagPatternList"] == ["latest"]


@pytest.mark.parametrize("subject", [f"{IMMUTABLE}:{MAIN}", f"{CLASSIC}:{MAIN}"])
def test_a_job_on_the_branch_gets_the_role(clients: Clients, role: str, subject: str) -> None:
    assert assume(clients, role, subject)


@pytest.mark.parametrize(
    ("subject", "audience"),
    [
        (f"{CLASSIC}:ref:refs/heads/feature", AUDIENCE),
        (f"{CLASSIC}:ref:refs/heads/main-2", AUDIENCE),
        (f"{CLASSIC}:pull_request", AUDIENCE),
        (f"{CLASSIC}:environment:production", AUDIENCE),
        (f"repo:acme/shop-2:{MAIN}", AUDIENCE),
        (f"repo:acme@666/shop@7654321:{MAIN}", AUDIENCE),
        (f"repo:acme@1234567/shop@666:{MAIN}", AUDIENCE),
        (f"{CLASSIC}:{MAIN}", "https://github.com/acme"),
    ],
)
def test_another_job_does_not(clients: Clients, role: str, subject: str, audience: str) -> None:
    with pytest.raises(ClientError, match="Not authorized to perform"):
        assume(clients, role, subject, audience)


def test_the_classic_format_can_be_refused(clients: Clients, emulated: Emulated) -> None:
    given = GIVEN | {"AcceptClassicSubject": "false", "CreateRepository": "false"}
    with emulated.stack({**given, "Environment": "production"}, "deploy-strict") as outputs:
        assert assume(clients, outputs["RoleArn"], f"{IMMUTABLE}:environment:production")
        for subject in (f"{CLASSIC}:environment:production", f"{IMMUTABLE}:{MAIN}"):
            with pytest.raises(ClientError, match="Not authorized to perform"):
                assume(clients, outputs["RoleArn"], subject)


def test_the_role_may_use_its_repository_and_no_other(clients: Clients, role: str) -> None:
    ecr = clients("ecr", assume(clients, role, f"{CLASSIC}:{MAIN}"))
    image = {"imageIds": [{"imageTag": "v1"}]}

    ecr.get_authorization_token()
    ecr.batch_get_image(repositoryName="team/web", **image)
    ecr.initiate_layer_upload(repositoryName="team/web")
    refused: list[Callable[[], object]] = [
        lambda: ecr.batch_get_image(repositoryName="team/api", **image),
        lambda: ecr.initiate_layer_upload(repositoryName="team/api"),
        lambda: ecr.batch_delete_image(repositoryName="team/web", **image),
        lambda: ecr.set_repository_policy(repositoryName="team/web", policyText="{}"),
    ]
    for call in refused:
        with pytest.raises(ClientError, match="not authorized to perform"):
            call()


def test_the_role_may_do_nothing_else(clients: Clients, role: str) -> None:
    held = assume(clients, role, f"{CLASSIC}:{MAIN}")

    clients("elbv2", held).describe_target_groups()
    refused: list[Callable[[], object]] = [
        lambda: clients("iam", held).list_roles(),
        lambda: clients("iam", held).put_role_policy(
            RoleName=role.rpartition("/")[2], PolicyName="more", PolicyDocument="{}"
        ),
        lambda: clients("s3", held).list_buckets(),
        lambda: clients("ecs", held).delete_service(cluster="prod", service="web"),
        lambda: clients("secretsmanager", held).get_secret_value(SecretId="web"),
    ]
    for call in refused:
        with pytest.raises(ClientError, match="not authorized to perform"):
            call()


def test_without_its_statement_the_repository_is_refused(
    clients: Clients, emulated: Emulated, role: str
) -> None:
    name = role.rpartition("/")[2]
    before = emulated.policy(role)
    less = [s for s in before["Statement"] if s["Sid"] != "Repository"]
    put_policy(emulated, name, {**before, "Statement": less})
    try:
        ecr = clients("ecr", assume(clients, role, f"{CLASSIC}:{MAIN}"))
        with pytest.raises(ClientError, match="not authorized to perform: ecr:BatchGetImage"):
            ecr.batch_get_image(repositoryName="team/web", imageIds=[{"imageTag": "v1"}])
    finally:
        put_policy(emulated, name, before)


def put_policy(emulated: Emulated, role: str, policy: Mapping[str, Any]) -> None:
    emulated.iam.put_role_policy(
        RoleName=role, PolicyName="deploy", PolicyDocument=json.dumps(policy)
    )


def assume(
    clients: Clients, role: str, subject: str, audience: str = AUDIENCE
) -> Mapping[str, str]:
    """The credentials that a job with this token gets. Nobody checks its signature."""
    claims = {"iss": f"https://{GITHUB}", "sub": subject, "aud": audience}
    parts = ({"alg": "RS256"}, claims)
    token = ".".join(base64.urlsafe_b64encode(json.dumps(p).encode()).decode() for p in parts)
    answer = clients("sts").assume_role_with_web_identity(
        RoleArn=role, RoleSessionName="job", WebIdentityToken=f"{token}.c2lnbmF0dXJl"
    )
    credentials: Mapping[str, str] = answer["Credentials"]
    return credentials
