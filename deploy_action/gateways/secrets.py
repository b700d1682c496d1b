"""Secrets Manager and Parameter Store in our words: what is there. No value leaves this file."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.aws import Clients, answering
from deploy_action.permissions import Permission, Permissions, Scope

PERMISSIONS: Permissions = {
    "secretsmanager:DescribeSecret": Permission(scope=Scope.SECRET, optional=True),
    "secretsmanager:GetSecretValue": Permission(scope=Scope.UNASKED, optional=True),
    "ssm:GetParameters": Permission(scope=Scope.UNASKED, optional=True),
}

PARAMETERS_A_CALL = 10
"""GetParameters takes at most this many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret as it is now, without its value."""

    is_being_deleted: bool
    stages: frozenset[str] | None
    """Labels of its versions (`AWSCURRENT`); None where the answer does not tell."""
    versions: frozenset[str] | None


class Secrets:
    """The secrets and parameters of the account, in any region."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def secret(self, arn: str, region: str) -> Secret | None:
        """The secret; None where there is none."""
        try:
            with answering("secretsmanager:DescribeSecret"):
                answer = self._clients.get("secretsmanager", region).describe_secret(SecretId=arn)
        except AwsError as error:
            if error.refusal is Refusal.MISSING:
                return None
            raise
        versions = answer.get("VersionIdsToStages")
        return Secret(
            is_being_deleted=answer.get("DeletedDate") is not None,
            versions=None if versions is None else frozenset(versions),
            stages=None
            if versions is None
            else frozenset(stage for stages in versions.values() for stage in stages),
        )

    def keys(self, arn: str, region: str, version: dict[str, str]) -> frozenset[str] | None:
        """The keys of a secret that is a JSON object; None where it is something else."""
        with answering("secretsmanager:GetSecretValue"):
            answer = self._clients.get("secretsmanager", region).get_secret_value(
                SecretId=arn, **version
            )
        try:
            document: Any = json.loads(answer.get("SecretString") or "")
        except ValueError:
            return None
        return frozenset(document) if isinstance(document, dict) else None

    def missing_parameters(self, names: Sequence[str], region: str) -> list[str]:
        """Those of at most ten names or ARNs that Parameter Store does not know."""
        with answering("ssm:GetParameters"):
            # Not decrypted: whether it exists is all that is asked.
            answer = self._clients.get("ssm", region).get_parameters(
                Names=list(names), WithDecryption=False
            )
        return list(answer.get("InvalidParameters", []))
