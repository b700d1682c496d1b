"""The AWS session, and the translation of botocore's exceptions into ours."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import boto3
from botocore.config import Config
from botocore.credentials import (
    AssumeRoleWithWebIdentityCredentialFetcher,
    DeferredRefreshableCredentials,
    RefreshableCredentials,
)
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    CredentialRetrievalError,
    NoCredentialsError,
    ParamValidationError,
    PartialCredentialsError,
)
from botocore.parsers import ResponseParserError

from deploy_action import oidc
from deploy_action.errors import AwsError, Refusal
from deploy_action.model import Identity, Lifetime
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
LOOKS = WRITES.merge(Config(connect_timeout=1, read_timeout=2))
"""For the checks before a release: what fails or takes long is left out."""
ASSUME = "AssumeRoleWithWebIdentity"
SERVER_ERROR = 500
CODES: tuple[tuple[Refusal, tuple[str, ...]], ...] = (
    (
        Refusal.DENIED,
        # S3 answers HEAD without a body, so the status is all there is.
        ("AccessDenied", "UnauthorizedOperation", "NotAuthorized", "Forbidden", "403"),
    ),
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
    (Refusal.MISSING, ("NotFound", "NoSuch", "404")),
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
    tokens: list[str] = []

    def load() -> str:
        tokens[:] = [identity_token()]
        return tokens[0]

    def fetch() -> dict[str, Any]:
        try:
            fetched: dict[str, Any] = fetcher.fetch_credentials()
        except ClientError as error:
            # Whatever call needed the credentials, this goes through it as it is.
            refusal, code, message = _read(error)
            advice = oidc.fix(role, tokens[-1], code, message)
            raise AwsError(f"sts:{ASSUME}", refusal, code, message, advice=advice) from error
        return fetched

    fetcher: Any = AssumeRoleWithWebIdentityCredentialFetcher(
        client_creator=core.create_client,
        web_identity_token_loader=load,
        role_arn=role,
        extra_args={"RoleSessionName": session_name, "DurationSeconds": duration_seconds},
    )
    # Botocore has no public setter for credentials that refresh themselves.
    core._credentials = DeferredRefreshableCredentials(  # noqa: SLF001
        refresh_using=fetch, method="assume-role-with-web-identity"
    )


def identity(session: boto3.Session) -> Identity:
    """Who the credentials belong to."""
    with answering("sts:GetCallerIdentity"):
        answer = session.client("sts", config=READS).get_caller_identity()
        account, arn = answer["Account"], answer["Arn"]
    return Identity(
        account=account,
        arn=arn,
        region=session.region_name,
        credentials=_lifetime(session.get_credentials()),
    )


def _lifetime(credentials: Any) -> Lifetime:  # noqa: ANN401 - one of several classes of botocore
    """What botocore knows of how long the credentials work."""
    if isinstance(credentials, RefreshableCredentials):
        # From the environment they cannot be had again: the step that set them is over.
        is_fixed = credentials.method == "env"
        known: Any = credentials
        expiry = known._expiry_time if is_fixed else None  # noqa: SLF001 - no public way
        return Lifetime(is_renewed=not is_fixed, is_temporary=True, ends_at=expiry)
    return Lifetime(is_renewed=False, is_temporary=bool(getattr(credentials, "token", None)))


class Clients:
    """Clients of one session for any thread, each made when it is first needed."""

    def __init__(self, session: boto3.Session) -> None:
        self._session = session
        # A client may be used by many threads, but a session makes only one at a time.
        self._lock = Lock()
        self._made: dict[tuple[str, str], Any] = {}

    def get(self, service: str, region: str = "") -> Any:  # noqa: ANN401 - a client of boto3
        """The client of that service, in the session's own region where none is named."""
        key = service, region or self._session.region_name
        with self._lock:
            if key not in self._made:
                make: Any = self._session.client
                self._made[key] = make(service, region_name=key[1], config=LOOKS)
            return self._made[key]


@contextmanager
def answering(action: str) -> Iterator[None]:
    """Turn whatever botocore raises inside into an AwsError for `action`."""
    try:
        yield
    except ClientError as error:
        raise AwsError(action, *_read(error)) from error
    except (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError) as error:
        raise AwsError(action, Refusal.CREDENTIALS, type(error).__name__, str(error)) from error
    except ParamValidationError as error:
        raise AwsError(action, Refusal.INVALID, type(error).__name__, str(error)) from error
    except (BotoCoreError, ResponseParserError) as error:
        # What is left are lost connections and answers that cannot be read.
        raise AwsError(action, Refusal.UNREACHABLE, type(error).__name__, str(error)) from error
    except (LookupError, TypeError, ValueError) as error:
        what = f"the answer cannot be read ({type(error).__name__}: {error})"
        raise AwsError(action, Refusal.UNREACHABLE, "UnreadableAnswer", what) from error


def _read(error: ClientError) -> tuple[Refusal, str, str]:
    answer: dict[str, Any] = dict(error.response)
    code = str(answer.get("Error", {}).get("Code", ""))
    message = str(answer.get("Error", {}).get("Message", "")) or str(error)
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    return refusal_of(code, status), code, message


def refusal_of(code: str, status: int = 0) -> Refusal:
    """What kind of no an error code means."""
    for refusal, parts in CODES:
        if any(part in code for part in parts):
            return refusal
    return Refusal.UNREACHABLE if status >= SERVER_ERROR else Refusal.INVALID
