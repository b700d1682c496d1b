"""IAM in our words: roles with those who may assume them, and what a principal may do."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.aws import Clients, answering
from deploy_action.permissions import Permission, Permissions, Scope

PERMISSIONS: Permissions = {
    "iam:GetRole": Permission(scope=Scope.ROLE, optional=True),
    "iam:SimulatePrincipalPolicy": Permission(scope=Scope.UNASKED, optional=True),
}

ASSUME = frozenset({"sts:AssumeRole", "sts:*", "*"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role as it is now."""

    arn: str
    trusted: frozenset[str]
    """Services that may assume it; `*` where everybody may."""

    def trusts(self, service: str) -> bool:
        return bool(self.trusted & {service, "*"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """May these actions be done on these resources, under these conditions?"""

    actions: Sequence[str]
    resources: Sequence[str]
    context: Mapping[str, str]


class Iam:
    """The roles of the account."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def role(self, name: str) -> Role | None:
        """The role of this name; None where there is none."""
        try:
            with answering("iam:GetRole"):
                answer = self._clients.get("iam").get_role(RoleName=name)
        except AwsError as error:
            if error.refusal is Refusal.MISSING:
                return None
            raise
        raw = answer["Role"]
        return Role(
            arn=raw["Arn"], trusted=frozenset(_trusted(raw.get("AssumeRolePolicyDocument")))
        )

    def denied(self, principal: str, question: Question) -> list[tuple[str, str]]:
        """(action, resource) of everything that the policies of the principal do not allow."""
        context = [
            {"ContextKeyName": key, "ContextKeyValues": [value], "ContextKeyType": "string"}
            for key, value in question.context.items()
        ]
        with answering("iam:SimulatePrincipalPolicy"):
            answer = self._clients.get("iam").simulate_principal_policy(
                PolicySourceArn=principal,
                ActionNames=list(question.actions),
                ResourceArns=list(question.resources),
                ContextEntries=context,
            )
        return [
            (result["EvalActionName"], result.get("EvalResourceName", "*"))
            for result in answer["EvaluationResults"]
            if result["EvalDecision"] != "allowed"
        ]


def _trusted(document: Any) -> Iterator[str]:  # noqa: ANN401 - any JSON
    """The services of a trust policy. Conditions are not weighed."""
    for statement in _listed((document or {}).get("Statement")):
        if statement.get("Effect") != "Allow" or not ASSUME & set(_listed(statement.get("Action"))):
            continue
        principal = statement.get("Principal")
        if isinstance(principal, str):
            yield principal
            continue
        yield from _listed((principal or {}).get("Service"))
        yield from (each for each in _listed((principal or {}).get("AWS")) if each == "*")


def _listed(value: Any) -> list[Any]:  # noqa: ANN401 - any JSON
    if value is None:
        return []
    return value if isinstance(value, list) else [value]
