"""The stack of `bootstrap/` is created as it is meant; here on moto.

It knows tags that may move, but neither scan nor lifecycle policy of a template: those are
looked at on MiniStack (tests/e2e/test_bootstrap.py), which knows it the other way round.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import boto3
import pytest
from moto import mock_aws

from tests.contract.bootstrap import (
    GIVEN,
    REGION,
    Emulated,
    assert_least_policy,
    assert_repository,
    assert_trusts,
)
from tests.contract.policies import load_template
from tests.contract.repository import read

IMMUTABLE = "repo:acme@1234567/shop@7654321"
CLASSIC = "repo:acme/shop"


@pytest.fixture
def emulated() -> Iterator[Emulated]:
    with mock_aws():
        session = boto3.Session("test", "test", region_name=REGION)
        yield Emulated(
            session.client("cloudformation"), session.client("iam"), session.client("ecr")
        )


def test_the_role_trusts_one_branch_in_both_formats(emulated: Emulated) -> None:
    with emulated.stack(GIVEN) as outputs:
        assert_trusts(
            emulated,
            outputs["RoleArn"],
            f"{IMMUTABLE}:ref:refs/heads/main",
            f"{CLASSIC}:ref:refs/heads/main",
        )


def test_with_an_environment_the_branch_is_not_named(emulated: Emulated) -> None:
    with emulated.stack(GIVEN | {"Environment": "production"}) as outputs:
        assert_trusts(
            emulated,
            outputs["RoleArn"],
            f"{IMMUTABLE}:environment:production",
            f"{CLASSIC}:environment:production",
        )


def test_the_classic_format_can_be_refused(emulated: Emulated) -> None:
    given = GIVEN | {"AcceptClassicSubject": "false", "Branch": "release/1"}
    with emulated.stack(given) as outputs:
        assert_trusts(emulated, outputs["RoleArn"], f"{IMMUTABLE}:ref:refs/heads/release/1")


def test_the_role_has_the_generated_policy(emulated: Emulated) -> None:
    with emulated.stack(GIVEN) as outputs:
        assert_least_policy(emulated, outputs["RoleArn"])


def test_the_repository_is_what_the_template_says(emulated: Emulated) -> None:
    with emulated.stack(GIVEN) as outputs:
        assert outputs["RepositoryUri"].endswith("/team/web")
        found = assert_repository(emulated)
        assert found["imageTagMutabilityExclusionFilters"] == [
            {"filterType": "WILDCARD", "filter": "latest"}
        ]


def test_a_repository_that_is_there_is_left_alone(emulated: Emulated) -> None:
    with emulated.stack(GIVEN | {"CreateRepository": "false"}) as outputs:
        assert "RepositoryUri" not in outputs
        assert not emulated.has_repository()
        assert_least_policy(emulated, outputs["RoleArn"])


def test_every_parameter_says_what_it_is() -> None:
    document = load_template()
    parameters = document["Parameters"]
    groups = document["Metadata"]["AWS::CloudFormation::Interface"]["ParameterGroups"]

    assert all(p["Description"].endswith(".") for p in parameters.values())
    assert {name for group in groups for name in group["Parameters"]} == set(parameters)


def test_the_guide_names_every_parameter_without_a_default() -> None:
    document = load_template()
    needed = {name for name, p in document["Parameters"].items() if "Default" not in p}
    command = read("bootstrap/README.md").partition("aws cloudformation deploy")[2]
    given = dict(re.findall(r"(\w+)=(\S+)", command.partition("```")[0]))

    assert needed <= set(given)
    assert set(given) <= set(document["Parameters"])
