"""Exceptions of botocore in our words, and a role that is assumed with the job's token."""

from __future__ import annotations

import urllib.parse
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import (
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    EndpointConnectionError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ReadTimeoutError,
)
from botocore.parsers import ResponseParserError

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.aws import answering, identity, use_role
from tests.gateways.wire import Wire
from tests.unit.tokens import CLASSIC, token

ROLE = "arn:aws:iam::123456789012:role/deploy"


def refused(code: str, status: int = 400, operation: str = "UpdateService") -> AwsError:
    """What an answer with this error becomes."""
    answer = {
        "Error": {"Code": code, "Message": "the message"},
        "ResponseMetadata": {"HTTPStatusCode": status},
    }
    with pytest.raises(AwsError) as caught, answering("ecs:UpdateService"):
        raise ClientError(answer, operation)  # type: ignore[arg-type]
    return caught.value


CODES = {
    "AccessDeniedException": Refusal.DENIED,
    "AccessDenied": Refusal.DENIED,
    "UnauthorizedOperation": Refusal.DENIED,
    "NotAuthorized": Refusal.DENIED,
    "ExpiredTokenException": Refusal.CREDENTIALS,
    "ExpiredToken": Refusal.CREDENTIALS,
    "UnrecognizedClientException": Refusal.CREDENTIALS,
    "InvalidClientTokenId": Refusal.CREDENTIALS,
    "SignatureDoesNotMatch": Refusal.CREDENTIALS,
    "InvalidSignatureException": Refusal.CREDENTIALS,
    "IncompleteSignature": Refusal.CREDENTIALS,
    "MissingAuthenticationToken": Refusal.CREDENTIALS,
    "RequestExpired": Refusal.CREDENTIALS,
    "InvalidIdentityToken": Refusal.CREDENTIALS,
    "AuthFailure": Refusal.CREDENTIALS,
    "ThrottlingException": Refusal.THROTTLED,
    "Throttling": Refusal.THROTTLED,
    "TooManyRequestsException": Refusal.THROTTLED,
    "RequestLimitExceeded": Refusal.THROTTLED,
    "SlowDown": Refusal.THROTTLED,
    "UnknownOperationException": Refusal.UNSUPPORTED,
    "InvalidAction": Refusal.UNSUPPORTED,
    "UnsupportedOperationException": Refusal.UNSUPPORTED,
    "NotImplemented": Refusal.UNSUPPORTED,
    "ClusterNotFoundException": Refusal.MISSING,
    "ServiceNotFoundException": Refusal.MISSING,
    "RepositoryNotFoundException": Refusal.MISSING,
    "TargetGroupNotFound": Refusal.MISSING,
    "ResourceNotFoundException": Refusal.MISSING,
    "ConflictException": Refusal.CONFLICT,
    "ImageTagAlreadyExistsException": Refusal.CONFLICT,
    "InvalidParameterException": Refusal.INVALID,
    "ClientException": Refusal.INVALID,
    "ServiceNotActiveException": Refusal.INVALID,
    "LimitExceededException": Refusal.INVALID,
    "": Refusal.INVALID,
}


@pytest.mark.parametrize(("code", "refusal"), CODES.items(), ids=[c or "none" for c in CODES])
def test_an_error_code_becomes_a_refusal(code: str, refusal: Refusal) -> None:
    error = refused(code)

    assert (error.refusal, error.code, error.message) == (refusal, code, "the message")
    assert error.action == "ecs:UpdateService"


@pytest.mark.parametrize("code", ["ServerException", "InternalFailure", "ServiceUnavailable", ""])
@pytest.mark.parametrize("status", [500, 502, 503])
def test_a_server_error_may_have_taken_effect(code: str, status: int) -> None:
    assert refused(code, status).refusal is Refusal.UNREACHABLE


def test_a_throttle_stays_one_whatever_its_status() -> None:
    assert refused("ThrottlingException", 503).refusal is Refusal.THROTTLED


def test_an_error_without_a_message_has_the_text_of_botocore() -> None:
    with pytest.raises(AwsError) as caught, answering("ecs:UpdateService"):
        raise ClientError({}, "UpdateService")

    assert "UpdateService" in caught.value.message


EXCEPTIONS: dict[str, tuple[Exception, Refusal]] = {
    "no credentials": (NoCredentialsError(), Refusal.CREDENTIALS),
    "half of the credentials": (
        PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
        Refusal.CREDENTIALS,
    ),
    "credentials that cannot be fetched": (
        CredentialRetrievalError(provider="x", error_msg="y"),
        Refusal.CREDENTIALS,
    ),
    "a parameter that AWS does not know": (ParamValidationError(report="x"), Refusal.INVALID),
    "no connection": (EndpointConnectionError(endpoint_url="https://x"), Refusal.UNREACHABLE),
    "no connection in time": (ConnectTimeoutError(endpoint_url="https://x"), Refusal.UNREACHABLE),
    "no answer in time": (ReadTimeoutError(endpoint_url="https://x"), Refusal.UNREACHABLE),
    "an answer that cannot be read": (ResponseParserError("x"), Refusal.UNREACHABLE),
    "no region": (NoRegionError(), Refusal.UNREACHABLE),
}


@pytest.mark.parametrize(("raised", "refusal"), EXCEPTIONS.values(), ids=EXCEPTIONS.keys())
def test_an_exception_of_botocore_becomes_a_refusal(raised: Exception, refusal: Refusal) -> None:
    with pytest.raises(AwsError) as caught, answering("ecs:DescribeServices"):
        raise raised

    assert caught.value.refusal is refusal
    assert caught.value.code == type(raised).__name__


def test_a_mistake_of_ours_is_not_blamed_on_aws() -> None:
    with pytest.raises(ZeroDivisionError), answering("ecs:DescribeServices"):
        raise ZeroDivisionError


@pytest.mark.parametrize("refusal", Refusal)
def test_every_refusal_has_a_fix(refusal: Refusal) -> None:
    assert (
        AwsError("ecs:UpdateService", refusal, "Code", "message")
        .fix.partition("\n")[0]
        .endswith(".")
    )


def test_a_denial_names_the_permission() -> None:
    assert "`ecs:UpdateService`" in refused("AccessDeniedException").fix


# -- the role --


def assumed(key: str, expires_in: float) -> str:
    """The answer of STS, with credentials that expire then."""
    expiry = datetime.now(UTC) + timedelta(seconds=expires_in)  # noqa: TID251 - botocore's clock
    return (
        "<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>"
        f"<AccessKeyId>{key}</AccessKeyId><SecretAccessKey>s</SecretAccessKey>"
        f"<SessionToken>t</SessionToken><Expiration>{expiry.isoformat()}</Expiration>"
        "</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>"
    )


WHO = (
    "<GetCallerIdentityResponse><GetCallerIdentityResult><Account>123456789012</Account>"
    f"<Arn>{ROLE}</Arn><UserId>u</UserId></GetCallerIdentityResult></GetCallerIdentityResponse>"
)
DENIED = (
    "<ErrorResponse><Error><Code>AccessDenied</Code><Message>Not authorized to perform "
    "sts:AssumeRoleWithWebIdentity</Message></Error></ErrorResponse>"
)


class Tokens:
    """The job's tokens, each different."""

    def __init__(self) -> None:
        self.given = 0

    def __call__(self) -> str:
        self.given += 1
        return f"token-{self.given}"


def with_role(wire: Wire, tokens: Tokens) -> None:
    use_role(
        wire.session,
        role=ROLE,
        session_name="acme-shop-4711",
        duration_seconds=1800,
        identity_token=tokens,
    )


def signers(wire: Wire) -> list[str]:
    """Whose key signed each call of GetCallerIdentity."""
    signed = [r.headers["Authorization"] for r in wire.requests if r.operation.startswith("Get")]
    return [text.partition("Credential=")[2].partition("/")[0] for text in signed]


def test_says_who_the_credentials_belong_to() -> None:
    wire = Wire()
    wire.answers("GetCallerIdentity", WHO)

    who = identity(wire.session)

    assert (who.account, who.arn, who.region) == ("123456789012", ROLE, "eu-west-1")


def test_the_role_is_assumed_with_the_token_of_the_job_and_without_a_signature() -> None:
    wire, tokens = Wire(), Tokens()
    wire.answers("AssumeRoleWithWebIdentity", assumed("ASIAONE", 3600))
    wire.answers("GetCallerIdentity", WHO)
    with_role(wire, tokens)

    identity(wire.session)

    (request,) = [r for r in wire.requests if r.operation == "AssumeRoleWithWebIdentity"]
    sent = dict(urllib.parse.parse_qsl(request.body))
    assert sent["RoleArn"] == ROLE
    assert sent["RoleSessionName"] == "acme-shop-4711"
    assert sent["DurationSeconds"] == "1800"
    assert sent["WebIdentityToken"] == "token-1"
    assert "eu-west-1" in request.url
    assert "Authorization" not in request.headers
    assert signers(wire) == ["ASIAONE"]


def test_no_token_is_asked_for_before_a_call_needs_one() -> None:
    wire, tokens = Wire(), Tokens()

    with_role(wire, tokens)
    wire.session.client("ecs")

    assert tokens.given == 0
    assert wire.requests == []


def test_credentials_that_last_are_used_again() -> None:
    wire, tokens = Wire(), Tokens()
    wire.answers("AssumeRoleWithWebIdentity", assumed("ASIAONE", 3600))
    wire.answers("GetCallerIdentity", WHO)
    with_role(wire, tokens)

    identity(wire.session)
    identity(wire.session)

    assert tokens.given == 1


def test_credentials_about_to_expire_are_renewed_with_a_fresh_token() -> None:
    wire, tokens = Wire(), Tokens()
    wire.answers("AssumeRoleWithWebIdentity", assumed("ASIAONE", 30))
    wire.answers("GetCallerIdentity", WHO)
    with_role(wire, tokens)
    identity(wire.session)

    wire.answers("AssumeRoleWithWebIdentity", assumed("ASIATWO", 3600))
    identity(wire.session)

    assert tokens.given == 2
    assert signers(wire)[-1] == "ASIATWO"


def test_a_role_that_cannot_be_assumed_is_blamed_on_its_trust_policy() -> None:
    wire = Wire()
    wire.answers("AssumeRoleWithWebIdentity", DENIED, status=403)
    with_role(wire, Tokens())

    with pytest.raises(AwsError) as caught:
        identity(wire.session)

    assert caught.value.action == "sts:AssumeRoleWithWebIdentity"
    assert caught.value.refusal is Refusal.DENIED
    assert "trust policy" in caught.value.fix


def test_a_renewal_that_is_refused_shows_the_claims_in_whatever_call_needed_it() -> None:
    wire = Wire()
    wire.answers("AssumeRoleWithWebIdentity", assumed("ASIAONE", 30))
    wire.answers("GetCallerIdentity", WHO)
    use_role(
        wire.session, role=ROLE, session_name="run", duration_seconds=900, identity_token=token
    )
    identity(wire.session)

    wire.answers("AssumeRoleWithWebIdentity", DENIED, status=403)
    with pytest.raises(AwsError) as caught:
        identity(wire.session)

    assert caught.value.action == "sts:AssumeRoleWithWebIdentity"
    assert f"sub: {CLASSIC}" in caught.value.fix
    assert token() not in str(caught.value) + caught.value.fix


def test_a_token_that_cannot_be_had_in_mid_run_is_a_refusal_of_the_call() -> None:
    wire = Wire()
    wire.answers("GetCallerIdentity", WHO)

    def no_token() -> str:
        raise AwsError("sts:AssumeRoleWithWebIdentity", Refusal.UNREACHABLE, "NoToken", "none")

    use_role(
        wire.session, role=ROLE, session_name="s", duration_seconds=900, identity_token=no_token
    )

    with pytest.raises(AwsError) as caught:
        identity(wire.session)

    assert caught.value.refusal is Refusal.UNREACHABLE
