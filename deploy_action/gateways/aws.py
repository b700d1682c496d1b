"""The AWS session, and the translation of botocore's exceptions into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleWithWebIdentityCredentialFetcher,
    DeferredRefreshableCredentials,
)
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)

from deploy_action.errors import AwsError, Refusal
from deploy_action.model import Identity
from deploy_action.permissions import Permission, Permissions, Scope

PERMISSIONS: Permissions = {
    "sts:GetCallerIdentity": Permission(scope=Scope.NOTHING),
}

READS = Config(
    retries={"mode": "standard", "total_max_attempts": 4},
    connect_timeout=5,
    read_timeout=15,
    user_agent_extra="ecs-deploy-action",
)
"""For calls that may be repeated. Four tries ride out a throttle without eating a time limit."""
WRITES = READS.merge(Config(retries={"mode": "standard", "total_max_attempts": 1}))
"""For UpdateService, whose lost answer must be followed by a look, not by a second call."""

HURRIED = WRITES.merge(Config(connect_timeout=1, read_timeout=2))
"""For the seconds between the runner's first signal and its last."""
ASSUME = "AssumeRoleWithWebIdentity"
SERVER_ERROR = 500
CODES: tuple[tuple[Refusal, tuple[str, ...]], ...] = (
    (Refusal.DENIED, ("AccessDenied", "UnauthorizedOperation", "NotAuthorized")),
    (
        Refusal.CREDENTIALS,
        (
            "ExpiredToken", "UnrecognizedClient", "InvalidClientTokenId", "SignatureDoesNotMatch",
            "InvalidSignature", "IncompleteSignature", "MissingAuthenticationToken",
            "RequestExpired", "InvalidIdentityToken", "AuthFailure",
        ),
    ),
    (
        Refusal.THROTTLED,
        ("Throttl", "TooManyRequests", "RequestLimitExceeded", "RateExceeded", "SlowDown"),
    ),
    (
        Refusal.UNSUPPORTED,
        ("UnknownOperation", "InvalidAction", "UnsupportedOperation", "NotImplemented"),
    ),
    (Refusal.MISSING, ("NotFound",)),
    (Refusal.CONFLICT, ("Conflict", "AlreadyExists")),
)  # fmt: skip
"""Which refusal an error code means, by a part of it; first match wins."""


def use_role(
    session: boto3.Session,
    *,
    role: str,
    session_name: str,
    duration_seconds: int,
    identity_token: Callable[[], str],
) -> None:
    """Give the session the credentials of `role`, assumed with the job's OIDC token.

    `identity_token` is asked for a fresh token whenever the credentials are about
    to expire, so that a long rollout may outlive one session of the role.
    """
    core: Any = session._session  # noqa: SLF001 - boto3 hides its core
    fetcher = AssumeRoleWithWebIdentityCredentialFetcher(
        client_creator=core.create_client,
        web_identity_token_loader=identity_token,
        role_arn=role,
        extra_args={"RoleSessionName": session_name, "DurationSeconds": duration_seconds},
    )
    # Botocore has no public setter for credentials that refresh themselves.
    core._credentials = DeferredRefreshableCredentials(  # noqa: SLF001
        refresh_using=fetcher.fetch_credentials, method="assume-role-with-web-identity"
    )


def identity(session: boto3.Session) -> Identity:
    """Who the credentials belong to."""
    with answering("sts:GetCallerIdentity"):
        answer = session.client("sts", config=READS).get_caller_identity()
    return Identity(account=answer["Account"], arn=answer["Arn"], region=session.region_name)


@contextmanager
def answering(action: str) -> Iterator[None]:
    """Turn whatever botocore raises inside into an AwsError for `action`."""
    try:
        yield
    except ClientError as error:
        # Any call may first have to assume the role, and then it is that which was refused.
        if error.operation_name == ASSUME:
            action = f"sts:{ASSUME}"
        raise AwsError(action, *_read(error)) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        raise AwsError(action, Refusal.CREDENTIALS, type(error).__name__, str(error)) from error
    except ParamValidationError as error:
        raise AwsError(action, Refusal.INVALID, type(error).__name__, str(error)) from error
    except BotoCoreError as error:
        # What is left are lost connections and answers that cannot be read.
        raise AwsError(action, Refusal.UNREACHABLE, type(error).__name__, str(error)) from error


def _read(error: ClientError) -> tuple[Refusal, str, str]:
    answer: dict[str, Any] = dict(error.response)
    code = str(answer.get("Error", {}).get("Code", ""))
    message = str(answer.get("Error", {}).get("Message", "")) or str(error)
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    for refusal, parts in CODES:
        if any(part in code for part in parts):
            return refusal, code, message
    if status >= SERVER_ERROR:
        return Refusal.UNREACHABLE, code, message
    return Refusal.INVALID, code, message
