"""IAM policies as far as the generated one goes: who allows what on which resource.

Allow and Deny; wildcards in actions and resources; the two kinds of condition below.
Anything else in a policy is a mistake of the test and says so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_KEYS = {"Sid", "Effect", "Action", "Resource", "Condition"}
_OPERATORS = {"ArnEquals", "StringEquals"}


@dataclass(frozen=True, slots=True)
class Check:
    """One question of AWS to IAM; a call may need several of them answered with yes."""

    action: str
    resource: str = "*"
    context: tuple[tuple[str, str], ...] = ()
    """Condition keys that the request carries."""


def allows(policy: Mapping[str, Any], check: Check) -> bool:
    """A Deny that fits decides; without one it takes an Allow that fits."""
    effects = {s["Effect"] for s in statements(policy) if _fits(s, check)}
    return effects == {"Allow"}


def statements(policy: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    for statement in policy["Statement"]:
        if unknown := set(statement) - _KEYS:
            raise AssertionError(f"this evaluator does not know {unknown}")
        yield statement


def without(policy: Mapping[str, Any], action: str) -> dict[str, Any]:
    """The policy with one action struck out of every statement."""
    kept = []
    for statement in statements(policy):
        actions = [each for each in as_list(statement["Action"]) if each != action]
        if actions:
            kept.append({**statement, "Action": actions})
    return {**policy, "Statement": kept}


def as_list(value: str | Sequence[str]) -> list[str]:
    return [value] if isinstance(value, str) else list(value)


def _fits(statement: Mapping[str, Any], check: Check) -> bool:
    return (
        _matches(as_list(statement["Action"]), check.action, flags=re.IGNORECASE)
        and _matches(as_list(statement["Resource"]), check.resource)
        and _holds(statement.get("Condition", {}), dict(check.context))
    )


def _holds(condition: Mapping[str, Mapping[str, Any]], context: Mapping[str, str]) -> bool:
    """Every key must be there and equal; ArnEquals takes wildcards, StringEquals does not."""
    for operator, wanted in condition.items():
        if operator not in _OPERATORS:
            raise AssertionError(f"this evaluator does not know {operator}")
        for key, values in wanted.items():
            given = context.get(key)
            if given is None:
                return False
            if operator == "StringEquals" and given not in as_list(values):
                return False
            if operator == "ArnEquals" and not _matches(as_list(values), given):
                return False
    return True


def _matches(patterns: list[str], text: str, *, flags: int = 0) -> bool:
    return any(re.fullmatch(_regex(pattern), text, flags) for pattern in patterns)


def _regex(pattern: str) -> str:
    """Of IAM's wildcards; brackets mean themselves, other than in fnmatch."""
    return re.escape(pattern).replace(r"\*", ".*").replace(r"\?", ".")
