"""A boto3 session without a network: requests are kept, answers come from memory."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import botocore.session
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.loaders import create_loader

Json = dict[str, Any]


LOADER = create_loader()
"""Reading the model of a service takes longer than everything else in a test."""


def session() -> boto3.Session:
    """A session with made-up credentials."""
    core = botocore.session.Session()
    core.register_component("data_loader", LOADER)
    return boto3.Session(
        region_name="eu-west-1",
        aws_access_key_id="AKIDEXAMPLE",
        aws_secret_access_key="secret",
        botocore_session=core,
    )


@dataclass(frozen=True)
class Request:
    """One request as it would have left the machine."""

    operation: str
    url: str
    body: Any
    headers: dict[str, str]


@dataclass(frozen=True)
class Reply:
    """One answer as it would have come in."""

    body: str = "{}"
    status: int = 200


class Wire:
    """Answers each operation with what it was told to; without that the test fails."""

    def __init__(self) -> None:
        self.requests: list[Request] = []
        self._replies: dict[str, Callable[[Any], Reply]] = {}
        self.session = session()
        # The stubs say that no handler answers; `before-send` is the event whose handlers may.
        handler: Any = self._answer
        self.session.events.register("before-send", handler)

    def answers(self, operation: str, body: Json | str, *, status: int = 200) -> None:
        """Give this answer from now on."""
        text = body if isinstance(body, str) else json.dumps(body)
        self._replies[operation] = lambda _: Reply(text, status)

    def answers_by(self, operation: str, reply: Callable[[Any], Json]) -> None:
        """Let a function of the request answer."""
        self._replies[operation] = lambda body: Reply(json.dumps(reply(body)))

    def refuses(self, operation: str, code: str, message: str = "no", *, status: int = 400) -> None:
        """Give this error from now on, as the JSON protocols spell it."""
        self.answers(operation, {"__type": code, "message": message}, status=status)

    def sent(self, operation: str) -> list[Any]:
        """The bodies of all requests of this operation."""
        return [request.body for request in self.requests if request.operation == operation]

    def _answer(self, *, request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse:
        operation = event_name.rsplit(".", 1)[-1]
        text = _text(request.body)
        try:
            body = json.loads(text)
        except ValueError:
            body = text
        headers = {name: _text(value) for name, value in request.headers.items()}
        self.requests.append(Request(operation, str(request.url), body, headers))
        reply = self._replies[operation](body)
        stream = _Stream(reply.body.encode())
        return AWSResponse(str(request.url), reply.status, HTTPHeaders(), stream)


def _text(sent: Any) -> str:  # noqa: ANN401 - bytes, text or nothing, as the protocol likes
    return sent.decode() if isinstance(sent, bytes) else str(sent or "")


class _Stream(io.BytesIO):
    def stream(self, **_: object) -> Iterator[bytes]:
        yield self.read()
