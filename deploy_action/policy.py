"""The least policy that the program can work with, made from what the gateways declare.

Pure. `python -m deploy_action.policy --help` prints it for a service of yours.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TextIO

from deploy_action.gateways import (
    cloudwatch,
    ec2,
    ecr,
    ecs,
    elbv2,
    iam,
    logs,
    registries,
    s3,
    scans,
    secrets,
    sns,
)
from deploy_action.permissions import Permissions, Scope

DECLARED: Permissions = {
    **cloudwatch.PERMISSIONS,
    **ec2.PERMISSIONS,
    **ecr.PERMISSIONS,
    **ecr.BEHIND_THE_REGISTRY,
    **ecs.PERMISSIONS,
    **ecs.BEHIND_REGISTRATION,
    **elbv2.PERMISSIONS,
    **iam.PERMISSIONS,
    **logs.PERMISSIONS,
    **registries.PERMISSIONS,
    **s3.PERMISSIONS,
    **scans.PERMISSIONS,
    **secrets.PERMISSIONS,
    **sns.PERMISSIONS,
}
"""All but the calls that need no permission."""
PARTITIONS = (("cn-", "aws-cn"), ("us-gov-", "aws-us-gov"))
TASKS = "ecs-tasks.amazonaws.com"
ACCOUNT = re.compile(r"\d{12}")

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Names:
    """What the policy is narrowed to. Every name may hold the wildcards of IAM."""

    region: str
    account: str
    cluster: str
    services: tuple[str, ...]
    families: tuple[str, ...]
    repositories: tuple[str, ...] = ()
    """Names, or URIs for a registry of another account or region."""
    log_groups: tuple[str, ...] = ()
    roles: tuple[str, ...] = ()
    """Task and execution roles, names or ARNs."""
    secrets: tuple[str, ...] = ()
    """ARNs."""
    topics: tuple[str, ...] = ()
    """ARNs."""
    sources: tuple[str, ...] = ()
    """Repositories that images are only copied from, as `repositories`."""
    inputs: tuple[str, ...] = ()
    """Inputs in use that need calls of their own."""
    partition: str = ""

    @property
    def run_tasks(self) -> bool:
        """Whether one-off tasks are run."""
        return ecs.ONE_OFF_INPUT in self.inputs

    def arn(self, service: str, resource: str) -> str:
        return f"{self._start(service)}:{self.region}:{self.account}:{resource}"

    def repository(self, name: str) -> str:
        host, _, rest = name.partition("/")
        if found := ecr.ECR_HOST.fullmatch(host):
            return f"{self._start('ecr')}:{found[2]}:{found[1]}:repository/{rest}"
        return self.arn("ecr", f"repository/{name}")

    def role(self, name: str) -> str:
        return name if ":" in name else f"{self._start('iam')}::{self.account}:role/{name}"

    def _start(self, service: str) -> str:
        by_region = (partition for start, partition in PARTITIONS if self.region.startswith(start))
        return f"arn:{self.partition or next(by_region, 'aws')}:{service}"


def generate(names: Names, *, reads_only: bool = False) -> Tree:
    """The policy document; with `reads_only` for a role that only plans."""
    statements = [
        statement
        for scope in Scope
        if (statement := _statement(scope, names, _actions(scope, names, reads_only=reads_only)))
    ]
    if names.sources:
        statements.append(
            {
                "Sid": "Source",
                "Effect": "Allow",
                "Action": sorted(ecr.READ_OF_A_SOURCE),
                "Resource": _alone_or_all([names.repository(name) for name in names.sources]),
            }
        )
    return {"Version": "2012-10-17", "Statement": statements}


def text(policy: Tree) -> str:
    """As a file."""
    return json.dumps(policy, indent=2) + "\n"


def _actions(scope: Scope, names: Names, *, reads_only: bool) -> list[str]:
    return sorted(
        action
        for action, permission in DECLARED.items()
        if permission.scope is scope
        and not (permission.writes and reads_only)
        and permission.only_with in {"", *names.inputs}
        and not (action.startswith("ecr:") and not names.repositories)
    )


def _statement(scope: Scope, names: Names, actions: list[str]) -> Tree | None:
    resources = _resources(scope, names)
    if not (actions and resources):
        return None
    condition = _condition(scope, names)
    return {
        "Sid": scope.value.title().replace(" ", ""),
        "Effect": "Allow",
        "Action": _alone_or_all(actions),
        "Resource": _alone_or_all(resources),
        **({"Condition": condition} if condition else {}),
    }


def _alone_or_all(values: list[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else values


def _resources(scope: Scope, names: Names) -> list[str]:
    match scope:
        case Scope.NOTHING | Scope.UNASKED:
            return []
        case Scope.ANYTHING | Scope.CLUSTER:
            return ["*"]
        case Scope.ROLE | Scope.PASSED_ROLE:
            return list(dict.fromkeys(map(names.role, names.roles)))
        case Scope.REPOSITORY:
            return [names.repository(name) for name in names.repositories]
        case Scope.LOG_GROUP:
            return [names.arn("logs", f"log-group:{group}:*") for group in names.log_groups]
        case Scope.SECRET:
            return list(names.secrets)
        case Scope.TOPIC:
            return list(names.topics)
        case _:
            return [names.arn("ecs", resource) for resource in _of_ecs(scope, names)]


def _of_ecs(scope: Scope, names: Names) -> Iterator[str]:
    """Families and tasks; or the services, and their records where the scope has some."""
    if scope in {Scope.FAMILY, Scope.FAMILY_IN_CLUSTER, Scope.CREATION}:
        yield from (f"task-definition/{family}:*" for family in names.families)
    if scope is Scope.TASK or (scope is Scope.CREATION and names.run_tasks):
        yield f"task/{names.cluster}/*"
    if scope in {Scope.FAMILY, Scope.FAMILY_IN_CLUSTER, Scope.CREATION, Scope.TASK}:
        return
    yield from (f"service/{names.cluster}/{name}" for name in names.services)
    if scope is not Scope.SERVICE:
        kind = scope.value.replace(" ", "-")
        yield from (f"{kind}/{names.cluster}/{name}/*" for name in names.services)


def _condition(scope: Scope, names: Names) -> Tree:
    match scope:
        case Scope.CLUSTER | Scope.FAMILY_IN_CLUSTER:
            return {"ArnEquals": {"ecs:cluster": names.arn("ecs", f"cluster/{names.cluster}")}}
        case Scope.CREATION:
            made = ["RegisterTaskDefinition", *(["RunTask"] if names.run_tasks else [])]
            return {"StringEquals": {"ecs:CreateAction": _alone_or_all(made)}}
        case Scope.PASSED_ROLE:
            return {"StringEquals": {"iam:PassedToService": TASKS}}
        case _:
            return {}


def main(arguments: Sequence[str], stream: TextIO) -> int:
    """Print the policy for the names on the command line."""
    given = _parser().parse_args(arguments)
    families = tuple(given.family or given.service)
    names = Names(
        region=given.region,
        account=given.account,
        cluster=given.cluster,
        services=tuple(given.service),
        families=families,
        repositories=tuple(given.repository),
        log_groups=tuple(given.log_group or (f"/ecs/{family}" for family in families)),
        roles=(*given.execution_role, *given.task_role),
        secrets=tuple(given.secret),
        topics=tuple(given.topic),
        sources=tuple(given.source_repository),
        inputs=tuple(given.with_input),
    )
    stream.write(text(generate(names, reads_only=given.read_only)))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m deploy_action.policy",
        description="Print the IAM policy that a deploying role needs, narrowed to these names.",
        epilog="Options that say NAME … take several, and every name may hold `*`.",
    )
    parser.add_argument("--region", required=True)
    parser.add_argument("--account", required=True, type=_account, help="12 digits")
    parser.add_argument("--cluster", default="default", help="name; without it `default`")
    for option, text_, required in (
        ("--service", "services that are deployed", True),
        ("--family", "families of task definitions; without it the names of the services", False),
        ("--repository", "ECR repositories, name or URI; without it no build", False),
        ("--source-repository", "ECR repositories that images are promoted from", False),
        ("--log-group", "log groups of the containers; without it /ecs/FAMILY", False),
        ("--execution-role", "execution roles of the task definitions, name or ARN", False),
        ("--task-role", "task roles of the task definitions, name or ARN", False),
        ("--topic", "ARNs of SNS topics that `notify` names; without it none", False),
        ("--secret", "ARNs of secrets whose existence may be checked; without it none", False),
    ):
        parser.add_argument(
            option, nargs="+", action="extend", metavar="NAME", help=text_, required=required,
            default=[],
        )  # fmt: skip
    parser.add_argument(
        "--with-input", nargs="+", action="extend", metavar="INPUT", default=[],
        choices=sorted({p.only_with for p in DECLARED.values()} - {""}),
        help="inputs in use that need calls of their own: %(choices)s",
    )  # fmt: skip
    parser.add_argument(
        "--read-only", action="store_true", help="only what reads, for `operation: plan`"
    )
    return parser


def _account(value: str) -> str:
    if not ACCOUNT.fullmatch(value):
        msg = f"{value!r} is not an account number: 12 digits"
        raise argparse.ArgumentTypeError(msg)
    return value


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout))
