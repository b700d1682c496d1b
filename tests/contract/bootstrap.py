"""The stack of `bootstrap/`, created on an emulator, and what has to be there then."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

import yaml

from deploy_action.policy import Names, generate
from tests.contract.policies import TEMPLATE, statements
from tests.contract.repository import read

GITHUB = "token.actions.githubusercontent.com"
ACCOUNT, REGION = "123456789012", "eu-west-1"
GIVEN = {
    "GitHubOwner": "acme",
    "GitHubOwnerId": "1234567",
    "GitHubRepository": "shop",
    "GitHubRepositoryId": "7654321",
    "Cluster": "prod",
    "Service": "web",
    "Family": "web-family",
    "ExecutionRole": "web-execution",
    "TaskRole": "web-task",
    "LogGroup": "/ecs/web",
    "Repository": "team/web",
    "CreateProvider": "false",
}
NAMES = Names(
    region=REGION,
    account=ACCOUNT,
    cluster="prod",
    services=("web",),
    families=("web-family",),
    repositories=("team/web",),
    log_groups=("/ecs/web",),
    roles=("web-execution", "web-task"),
)
STACK = "deploy-web"


@dataclass(frozen=True, slots=True)
class Emulated:
    """The clients of one emulated account."""

    cloudformation: Any
    iam: Any
    ecr: Any

    @contextmanager
    def stack(self, given: Mapping[str, str], name: str = STACK) -> Iterator[dict[str, str]]:
        """Have the stack for the length of a block; its outputs."""
        parameters = [{"ParameterKey": k, "ParameterValue": v} for k, v in given.items()]
        self.cloudformation.create_stack(
            StackName=name,
            TemplateBody=read(TEMPLATE),
            Parameters=parameters,
            Capabilities=["CAPABILITY_IAM"],
        )
        try:
            waiter = self.cloudformation.get_waiter("stack_create_complete")
            waiter.wait(StackName=name, WaiterConfig={"Delay": 0.2, "MaxAttempts": 50})
            stack = self.cloudformation.describe_stacks(StackName=name)["Stacks"][0]
            yield {o["OutputKey"]: o["OutputValue"] for o in stack.get("Outputs", [])}
        finally:
            self.cloudformation.delete_stack(StackName=name)

    def role(self, arn: str) -> dict[str, Any]:
        found: dict[str, Any] = self.iam.get_role(RoleName=arn.rpartition("/")[2])["Role"]
        return found

    def policy(self, arn: str) -> Any:  # noqa: ANN401 - a policy document
        found = self.iam.get_role_policy(RoleName=arn.rpartition("/")[2], PolicyName="deploy")
        return document(found["PolicyDocument"])

    def has_repository(self) -> bool:
        try:
            self.ecr.describe_repositories(repositoryNames=[GIVEN["Repository"]])
        except self.ecr.exceptions.RepositoryNotFoundException:
            return False
        return True


def document(value: Any) -> Any:  # noqa: ANN401 - a policy document
    """As AWS gives it; moto writes a template's documents as Python does, which YAML reads too."""
    return yaml.safe_load(unquote(value)) if isinstance(value, str) else value


def assert_least_policy(emulated: Emulated, arn: str) -> None:
    assert statements(emulated.policy(arn)) == statements(generate(NAMES))


def assert_trusts(emulated: Emulated, arn: str, *subjects: str) -> None:
    (statement,) = document(emulated.role(arn)["AssumeRolePolicyDocument"])["Statement"]
    conditions = statement.pop("Condition")["StringEquals"]
    assert statement == {
        "Effect": "Allow",
        "Principal": {"Federated": f"arn:aws:iam::{ACCOUNT}:oidc-provider/{GITHUB}"},
        "Action": "sts:AssumeRoleWithWebIdentity",
    }
    assert set(conditions) == {f"{GITHUB}:aud", f"{GITHUB}:sub"}
    assert conditions[f"{GITHUB}:aud"] == "sts.amazonaws.com"
    # Where CloudFormation drops an item that has no value, moto leaves a null.
    assert [s for s in conditions[f"{GITHUB}:sub"] if s is not None] == list(subjects)


def assert_repository(emulated: Emulated) -> dict[str, Any]:
    found: dict[str, Any] = emulated.ecr.describe_repositories(
        repositoryNames=[GIVEN["Repository"]]
    )["repositories"][0]
    assert found["imageTagMutability"] == "IMMUTABLE_WITH_EXCLUSION"
    assert found["encryptionConfiguration"]["encryptionType"] == "AES256"
    return found
