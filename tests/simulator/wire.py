"""Between boto3 and the simulator: requests in, checked and serialised answers out.

Every client of an attached session is answered from `before-send`; nothing reaches a network.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from typing import Any

import botocore.endpoint
import botocore.session
from botocore import xform_name
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.compat import HTTPHeaders
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, OperationModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

from .access import authorize
from .ask import Ask, Handler
from .calls import Calls, SimulatedError, denial
from .clock import SimClock
from .protocols import Payload, Request, protocol_of
from .state import State

Tree = dict[str, Any]

_IAM_NAMES = {"elbv2": "elasticloadbalancing"}

_ACTIONS = {"s3:HeadObject": "s3:GetObject"}
"""Operations that have no action of their own."""

_READS = ("Describe", "List", "Get", "Head", "BatchGet", "Filter", "Simulate")

COMMON_ERRORS = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "InternalFailure",
        "InternalServerError",
        "InvalidClientTokenId",
        "InvalidSubnetID.NotFound",
        "RequestExpired",
        "ServiceUnavailable",
        "SignatureDoesNotMatch",
        "Throttling",
        "ThrottlingException",
        "UnrecognizedClientException",
        "ValidationError",
        "ValidationException",
    }
)
"""Errors every operation can answer with, although models do not list them."""


@dataclass(frozen=True, slots=True)
class Service:
    """A simulated service: its botocore name and the objects whose methods answer it."""

    name: str
    parts: tuple[object, ...]

    def handler(self, operation: str) -> Handler:
        method = xform_name(operation)
        for part in self.parts:
            found: Handler | None = getattr(part, method, None)
            if found is not None:
                return found
        raise AssertionError(f"the simulator does not know {self.name}:{operation}")


class Wire:
    """Answers the requests of every attached session."""

    def __init__(
        self,
        state: State,
        clock: SimClock,
        calls: Calls,
        services: Mapping[str, Service],
        *,
        validated: bool,
    ) -> None:
        self._state = state
        self._clock = clock
        self._calls = calls
        self._services = services
        self._validated = validated
        self.defects: list[AssertionError] = []
        """Mistakes of the simulator or of the test; code under test may have caught the raise."""

    def attach(self, session: botocore.session.Session) -> None:
        session.register_component("data_loader", shared_loader())
        # The stubs say that no handler answers; `before-send` is the event whose handlers may.
        handler: Any = self.answer
        session.register("before-send", handler)

    def answer(self, *, request: AWSPreparedRequest, event_name: str, **_: object) -> AWSResponse:
        try:
            payload = self._respond(request, event_name)
        except AssertionError as defect:
            self.defects.append(defect)
            raise
        return _Response(request.url, payload)

    def _respond(self, request: AWSPreparedRequest, event_name: str) -> Payload:
        _, service_id, name = event_name.split(".")
        service = self._services.get(service_id)
        if service is None:
            raise AssertionError(f"the simulator has no service {service_id}")
        operation = _service_model(service.name).operation_model(name)
        protocol = protocol_of(operation)
        params = protocol.read(operation, Request(_body(request), request.url))
        handler = service.handler(name)
        region = _region(request)
        try:
            answer = self._calls.perform(
                service.name,
                name,
                params,
                lambda state: self._checked(handler, operation, params, state, region),
                region=region,
                is_read=name.startswith(_READS),
                patience=_patience(request),
            )
        except SimulatedError as error:
            return protocol.write_error(operation, error.http_status, error.code, error.message)
        return protocol.write(operation, answer)

    def _checked(
        self, handler: Handler, operation: OperationModel, params: Tree, state: State, region: str
    ) -> Tree:
        action = _action(operation)
        if action in self._state.denied:
            raise denial(self._state, action)
        authorize(self._state, action, params)
        if region not in (self._state.region, "aws-global"):
            # Nothing of this world is there: every name is unknown.
            state = State(
                account=self._state.account, region=region, elsewhere=self._state.elsewhere
            )
        try:
            answer = handler(Ask(params, state, self._clock.now()))
        except SimulatedError as error:
            _check_error(operation, error)
            raise
        if self._validated:
            _check_answer(operation, answer)
        return answer


@contextmanager
def redirected_sleep(sleep: Callable[[float], None]) -> Iterator[None]:
    """Let botocore's own retries sleep by `sleep` instead of `time.sleep`."""
    module: Any = botocore.endpoint
    original = module.time
    module.time = _Time(sleep)
    try:
        yield
    finally:
        module.time = original


@dataclass(frozen=True, slots=True)
class _Time:
    """The one function that `botocore.endpoint` uses of the module `time`."""

    sleep: Callable[[float], None]


class _Response(AWSResponse):
    """An answer that needs no socket."""

    def __init__(self, url: str, payload: Payload) -> None:
        super().__init__(
            url, payload.status, HTTPHeaders.from_dict(payload.headers), _Raw(payload.body)
        )


class _Raw(io.BytesIO):
    def stream(self) -> Iterator[bytes]:
        yield self.read()


@cache
def shared_loader() -> Loader:
    """Shared by all sessions: reading the service models is what makes clients slow."""
    loader: Loader = botocore.session.Session().get_component("data_loader")
    return loader


@cache
def _service_model(name: str) -> Any:  # noqa: ANN401
    session = botocore.session.Session()
    session.register_component("data_loader", shared_loader())
    return session.get_service_model(name)


def _body(request: AWSPreparedRequest) -> bytes:
    body = request.body or b""
    assert isinstance(body, str | bytes | bytearray), "none of the services takes a stream"
    return body.encode() if isinstance(body, str) else bytes(body)


def _region(request: AWSPreparedRequest) -> str:
    context: Mapping[str, Any] = getattr(request, "context", None) or {}
    return str(context.get("client_region", "unknown"))


def _patience(request: AWSPreparedRequest) -> float:
    """Seconds that the client waits for an answer."""
    context: Mapping[str, Any] = getattr(request, "context", None) or {}
    config = context.get("client_config")
    return float(getattr(config, "read_timeout", None) or 60)


def _action(operation: OperationModel) -> str:
    """What IAM policies call the operation."""
    name = operation.service_model.service_name
    action = f"{_IAM_NAMES.get(name, name)}:{operation.name}"
    return _ACTIONS.get(action, action)


def _check_error(operation: OperationModel, error: SimulatedError) -> None:
    shapes = [each for each in operation.error_shapes if isinstance(each, StructureShape)]
    known = {shape.error_code for shape in shapes} | COMMON_ERRORS
    if error.code not in known:
        raise AssertionError(f"{operation.name} cannot answer {error.code}")


def _check_answer(operation: OperationModel, answer: Tree) -> None:
    """The answer must fit the model of the operation, or the simulator is wrong."""
    shape = operation.output_shape
    if shape is None:
        problems = f"{operation.name} has no answer" if answer else ""
    else:
        problems = ParamValidator().validate(answer, shape).generate_report()
        problems = problems or "\n".join(_wrong_enums(shape, answer, operation.name))
    if problems:
        raise AssertionError(f"wrong answer of {operation.name}: {problems}")


def _wrong_enums(shape: Shape, value: Any, where: str) -> Iterator[str]:  # noqa: ANN401
    match shape:
        case StructureShape():
            for name, item in value.items():
                yield from _wrong_enums(shape.members[name], item, f"{where}.{name}")
        case ListShape():
            for item in value:
                yield from _wrong_enums(shape.member, item, where)
        case MapShape():
            for item in value.values():
                yield from _wrong_enums(shape.value, item, where)
        case StringShape() if shape.enum and value not in shape.enum:
            yield f"{where} is {value!r}"
        case _:
            pass
