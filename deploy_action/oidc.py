"""What an OIDC token of GitHub claims, and the trust policy that would accept it.

Pure. The token is read, not verified: AWS does that. It is a secret and is never
part of what is returned; its claims are not secret.

GitHub has two formats of the subject: `repo:OWNER/NAME:…`, and since 2026
`repo:OWNER@ID/NAME@ID:…`, which a new owner of an old name cannot forge
(docs.github.com, "OpenID Connect reference").
"""

from __future__ import annotations

import base64
import binascii
import json
import re
from dataclasses import dataclass

GITHUB = "https://token.actions.githubusercontent.com"
_SUBJECT = re.compile(
    r"repo:(?P<owner>[^@/:]+)(?:@(?P<owner_id>\d+))?/(?P<name>[^@/:]+)(?:@(?P<id>\d+))?:(?P<rest>.+)"
)
_ABOUT_TRUST = ("AccessDenied", "InvalidIdentityToken", "Expired", "IDPRejectedClaim")
_RETRY = ("IDPCommunicationError", "verification key")


@dataclass(frozen=True, slots=True, kw_only=True)
class Claims:
    """The claims that a trust policy looks at; empty where the token has none."""

    issuer: str = ""
    audience: str = ""
    subject: str = ""
    owner_id: str = ""
    repository_id: str = ""

    @property
    def subjects(self) -> list[str]:
        """The subject in both formats, as far as the token tells; its own comes first."""
        found = _SUBJECT.fullmatch(self.subject)
        if found is None:
            return [self.subject] if self.subject else []
        owner, name, rest = found["owner"], found["name"], found["rest"]
        owner_id = found["owner_id"] or self.owner_id
        repository_id = found["id"] or self.repository_id
        both = [self.subject, f"repo:{owner}/{name}:{rest}"]
        if owner_id and repository_id:
            both.append(f"repo:{owner}@{owner_id}/{name}@{repository_id}:{rest}")
        return list(dict.fromkeys(both))

    @property
    def lines(self) -> list[str]:
        """One claim a line."""
        claims = (("iss", self.issuer), ("aud", self.audience), ("sub", self.subject))
        return [f"{name}: {value or '(none)'}" for name, value in claims]


def claims(token: str) -> Claims | None:
    """The claims of a token; None where it is not one that can be read."""
    parts = token.split(".")
    if len(parts) != 3:  # noqa: PLR2004 - header, payload, signature
        return None
    try:
        payload = json.loads(base64.urlsafe_b64decode(parts[1] + "=" * (-len(parts[1]) % 4)))
    except (binascii.Error, ValueError):
        return None
    if not isinstance(payload, dict):
        return None
    audience = payload.get("aud", "")
    return Claims(
        issuer=str(payload.get("iss", "")),
        audience=" ".join(map(str, audience)) if isinstance(audience, list) else str(audience),
        subject=str(payload.get("sub", "")),
        owner_id=str(payload.get("repository_owner_id", "")),
        repository_id=str(payload.get("repository_id", "")),
    )


def statement(role: str, seen: Claims) -> dict[str, object]:
    """The statement of the role's trust policy that accepts this token."""
    _, partition, _, _, account, *_ = [*role.split(":"), "", "", "", "", ""]
    provider = (seen.issuer or GITHUB).removeprefix("https://")
    subjects = seen.subjects
    return {
        "Effect": "Allow",
        "Principal": {
            "Federated": f"arn:{partition or 'aws'}:iam::{account}:oidc-provider/{provider}"
        },
        "Action": "sts:AssumeRoleWithWebIdentity",
        "Condition": {
            "StringEquals": {
                f"{provider}:aud": seen.audience,
                f"{provider}:sub": subjects[0] if len(subjects) == 1 else subjects,
            }
        },
    }


def fix(role: str, token: str, code: str, message: str) -> str:
    """What to change where AWS refused this token for this role; empty where it is not that."""
    said, seen = f"{code} {message}", claims(token)
    if any(part in said for part in _RETRY):
        return "Run the job again: AWS could not reach GitHub's key service at that moment."
    if "MaxSessionDuration" in said or "DurationSeconds" in said:
        return "Lower `role-duration-seconds`, or raise the role's maximum session duration."
    if "ARN is invalid" in said or "roleArn" in said:
        return "Correct `role-to-assume`: `arn:aws:iam::ACCOUNT:role/NAME`."
    if not any(part in code for part in _ABOUT_TRUST):
        return ""
    if seen is None:
        return (
            f"Check the trust policy of {role} and the identity provider {GITHUB} of its account. "
            "The token of the job could not be read."
        )
    return "\n".join(
        [
            _first(role, seen, code, message),
            "What the token claims:",
            *(f"  {line}" for line in seen.lines),
            "The statement of the trust policy that accepts it, in both formats of the subject:",
            json.dumps(statement(role, seen), indent=2),
        ]
    )


def _first(role: str, seen: Claims, code: str, message: str) -> str:
    """The sentence that tells what to do first."""
    account = [*role.split(":"), "", "", "", ""][4]
    provider = f"the identity provider {seen.issuer or GITHUB} of account {account}"
    if "No OpenIDConnect provider" in message:
        return f"Create {provider}, with the audience {seen.audience}; then trust it in {role}."
    if "audience" in message:
        return (
            f"Add the audience {seen.audience} to {provider}, or set `audience` to one that it "
            "lists."
        )
    if "thumbprint" in message:
        return f"Update the thumbprint of {provider}."
    if code.startswith("Expired"):
        return "Run the job again: the token had expired before AWS saw it."
    return f"Let the trust policy of {role} accept this token."
