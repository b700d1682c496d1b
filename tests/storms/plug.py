"""One botocore session for all worlds of a process: making clients is what takes the time.

What is left of botocore is what a storm is about: the checks of parameters, the serialisers,
the retries with their quota, the parsers. What is left out: signatures, and the handlers that
no call of this program needs. An answer that was parsed before is not parsed again. The other
tests go through a session as it comes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

import boto3
import botocore
import botocore.session
from botocore.config import Config
from botocore.handlers import json_decode_policies
from botocore.model import OperationModel, Shape
from botocore.parsers import ResponseParserFactory
from botocore.utils import parse_timestamp

from tests.simulator import World
from tests.simulator.wire import shared_loader

SECRET_KEY = "canarycanarycanarycanarycanarycanarykey4"
_MOST_KEPT = 4000
"""Answers; a story has some hundred, and its cases share what comes before the fault."""


class _Session(boto3.Session):
    """Answered by the world that it is plugged into; clients are kept from one to the next."""

    def __init__(self) -> None:
        core = botocore.session.Session(include_builtin_handlers=False)
        core.register_component("data_loader", shared_loader())
        core.register_component("response_parser_factory", _Parsers())
        unsigned: Any = lambda **_: botocore.UNSIGNED  # noqa: E731
        core.register("choose-signer", unsigned)
        # The one builtin handler that the program needs: IAM writes policies as texts.
        decode: Any = json_decode_policies
        core.register("after-call.iam", decode)
        answer: Any = self._answer
        core.register("before-send", answer)
        core.set_default_client_config(Config(user_agent="storm"))
        super().__init__(
            aws_access_key_id="AKIASIMULATED0000001",
            aws_secret_access_key=SECRET_KEY,
            region_name="eu-west-1",
            botocore_session=core,
        )
        self.world: World = World()
        self._kept: dict[tuple[str, str | None, Config], _Kept] = {}

    def client(  # type: ignore[override] # one for all services
        self, service_name: str, region_name: str | None = None, *, config: Config
    ) -> Any:  # noqa: ANN401
        make: Any = super().client
        key = service_name, region_name, config
        if key not in self._kept:
            self._kept[key] = _Kept(make(service_name, region_name=region_name, config=config))
        return self._kept[key].client

    def _answer(self, **event: Any) -> object:  # noqa: ANN401 - what botocore hands over
        return self.world.answer(**event)

    def plug_into(self, world: World) -> None:
        self.world = world
        for kept in self._kept.values():
            kept.renew()


def plugged_into(world: World) -> boto3.Session:
    """The session of this process, whose clients live in this world from now on."""
    session = _session()
    session.plug_into(world)
    return session


@cache
def _session() -> _Session:
    return _Session()


class _Kept:
    """A client that can be made as new."""

    def __init__(self, client: Any) -> None:  # noqa: ANN401
        self.client = client
        self._events: Any = client.meta.events
        self._register: Callable[..., None] = self._events.register
        self._listeners: list[tuple[str, Callable[..., object]]] = []
        self._events.register = self._listen
        service = client.meta.service_model.service_id.hyphenize()
        # Botocore hides its handlers, and the quota of retries behind one of them.
        handlers = self._events._emitter._handlers  # noqa: SLF001
        found = handlers.prefix_search(f"needs-retry.{service}")
        if service != "S3":
            # Only there the endpoint depends on what is asked.
            _find_endpoints_once(client._ruleset_resolver)  # noqa: SLF001
        self._quotas = [each.__self__._retry_quota._quota for each in found]  # noqa: SLF001

    def _listen(self, event: str, handler: Callable[..., object]) -> None:
        self._listeners.append((event, handler))
        self._register(event, handler)

    def renew(self) -> None:
        """Forget who listened, and give all retries back."""
        while self._listeners:
            self._events.unregister(*self._listeners.pop())
        for quota in self._quotas:
            quota._available_capacity = quota._max_capacity  # noqa: SLF001


def _find_endpoints_once(resolver: Any) -> None:  # noqa: ANN401
    found: dict[str, Any] = {}
    find: Callable[..., Any] = resolver.construct_endpoint

    def construct_endpoint(operation_model: OperationModel, **context: Any) -> Any:  # noqa: ANN401
        if operation_model.name not in found:
            found[operation_model.name] = find(operation_model, **context)
        return found[operation_model.name]

    resolver.construct_endpoint = construct_endpoint


class _Parsers(ResponseParserFactory):
    """The parsers of botocore, which remember what they parsed."""

    def __init__(self) -> None:
        super().__init__()
        self.set_parser_defaults(timestamp_parser=_timestamp)
        self._made: dict[str, _Parser] = {}

    def create_parser(self, protocol_name: str) -> Any:  # noqa: ANN401
        if protocol_name not in self._made:
            self._made[protocol_name] = _Parser(super().create_parser(protocol_name))
        return self._made[protocol_name]


class _Parser:
    def __init__(self, parser: Any) -> None:  # noqa: ANN401
        self._parser = parser
        self._kept: dict[tuple[object, ...], bytes] = {}

    def parse(self, response: Mapping[str, Any], shape: Shape | None) -> Any:  # noqa: ANN401
        """A copy of its own for every call: a caller may change what it gets."""
        body = response["body"]
        if not isinstance(body, bytes):
            return self._parser.parse(response, shape)
        key = shape, response["status_code"], tuple(response["headers"].items()), body
        kept = self._kept.get(key)
        if kept is not None:
            return pickle.loads(kept)
        parsed = self._parser.parse(response, shape)
        if len(self._kept) >= _MOST_KEPT:
            self._kept.clear()
        self._kept[key] = pickle.dumps(parsed, pickle.HIGHEST_PROTOCOL)
        return parsed


def _timestamp(value: Any) -> datetime:  # noqa: ANN401 - a number in JSON, a text in XML
    """As botocore does it, without asking for the time zone of this machine each time."""
    if isinstance(value, int | float):
        return datetime.fromtimestamp(value, UTC)
    return parse_timestamp(value)
