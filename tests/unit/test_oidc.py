"""The claims of a token that AWS refused, and the trust policy that would accept it."""

from __future__ import annotations

import pytest

from deploy_action import oidc
from tests.unit.tokens import CLASSIC, IMMUTABLE, token

ROLE = "arn:aws:iam::123456789012:role/deploy"
REFUSED = "Not authorized to perform sts:AssumeRoleWithWebIdentity"


def accepted(**claims: object) -> dict[str, object]:
    """The conditions of the statement for a token with these claims."""
    seen = oidc.claims(token(**claims))
    assert seen
    statement = oidc.statement(ROLE, seen)
    condition = statement["Condition"]
    assert isinstance(condition, dict)
    equals: dict[str, object] = condition["StringEquals"]
    return equals


@pytest.mark.parametrize("subject", [CLASSIC, IMMUTABLE], ids=["classic", "immutable"])
def test_the_condition_has_the_subject_in_both_formats(subject: str) -> None:
    subjects = accepted(sub=subject)["token.actions.githubusercontent.com:sub"]

    assert isinstance(subjects, list)
    assert subjects[0] == subject
    assert set(subjects) == {CLASSIC, IMMUTABLE}


def test_an_environment_stands_in_the_subject_as_the_token_has_it() -> None:
    subjects = accepted(sub="repo:acme/shop:environment:prod")

    assert "repo:acme@42/shop@4711:environment:prod" in str(subjects)


def test_a_subject_that_the_organisation_shaped_itself_is_kept_as_it_is() -> None:
    subject = "repository_owner:acme:job_workflow_ref:acme/flows/x.yml@main"

    assert accepted(sub=subject)["token.actions.githubusercontent.com:sub"] == subject


def test_without_ids_only_the_format_of_the_token_is_known() -> None:
    equals = accepted(repository_id="", repository_owner_id="")

    assert equals["token.actions.githubusercontent.com:sub"] == CLASSIC


def test_another_issuer_and_partition_are_followed() -> None:
    seen = oidc.claims(token(iss="https://ghe.example/_services/token", aud=["a", "b"]))
    assert seen

    statement = oidc.statement("arn:aws-us-gov:iam::1:role/x", seen)

    assert "arn:aws-us-gov:iam::1:oidc-provider/ghe.example/_services/token" in str(statement)
    assert seen.audience == "a b"


FIXES = {
    "trust": ("AccessDenied", REFUSED, f"Let the trust policy of {ROLE} accept"),
    "provider": ("InvalidIdentityToken", "No OpenIDConnect provider found", "Create the identity"),
    "audience": ("InvalidIdentityToken", "Incorrect token audience", "Add the audience"),
    "thumbprint": ("InvalidIdentityToken", "configured thumbprint", "Update the thumbprint"),
    "expired": ("ExpiredTokenException", "Token expired", "Run the job again: the token"),
    "keys": ("IDPCommunicationError", "x", "Run the job again: AWS could not"),
    "duration": ("ValidationError", "exceeds the MaxSessionDuration", "Lower `role-duration"),
    "arn": ("ValidationError", "Request ARN is invalid", "Correct `role-to-assume`"),
    "another": ("Throttling", "Rate exceeded", ""),
}


@pytest.mark.parametrize(("code", "message", "start"), FIXES.values(), ids=FIXES.keys())
def test_the_fix_fits_the_refusal(code: str, message: str, start: str) -> None:
    fix = oidc.fix(ROLE, token(), code, message)

    assert fix.startswith(start)
    assert bool(fix) is bool(start)


def test_the_claims_are_shown_and_the_token_is_not() -> None:
    secret = token()

    fix = oidc.fix(ROLE, secret, "AccessDenied", REFUSED)

    for line in ("iss: https://token", "aud: sts.amazonaws.com", f"sub: {CLASSIC}", IMMUTABLE):
        assert line in fix
    assert not any(part in fix for part in secret.split("."))


@pytest.mark.parametrize("text", ["", "a.b", "a.%%%.c", "a.bm90IGpzb24.c", "a.W10.c"])
def test_what_is_no_token_is_said_to_be_none(text: str) -> None:
    assert oidc.claims(text) is None
    assert "could not be read" in oidc.fix(ROLE, text, "AccessDenied", REFUSED)
