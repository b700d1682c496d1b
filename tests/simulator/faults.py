"""Ready-made faults, and the rules that decide which call they strike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from botocore.exceptions import (
    ConnectionClosedError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from deploy_action.ports import NoAnswer, Silence

from .calls import Call, Fault, FaultRule, SimulatedError

_URL = "https://simulated.amazonaws.com/"


class Killed(BaseException):
    """The process dies here: no handler of the program may run on."""


def at_call(index: int, fault: Fault) -> FaultRule:
    """Strike the one call with this index in `world.history.calls`."""
    return lambda call: fault if call.index == index else None


def on(name: str, fault: Fault, *, times: int | None = 1, skip: int = 0) -> FaultRule:
    """Strike calls such as `ecs:UpdateService` (`ecs:*` and `*` too), `times` of them or all."""
    service, _, operation = name.partition(":")
    seen = 0

    def rule(call: Call) -> Fault | None:
        nonlocal seen
        if service not in ("*", call.service) or operation not in ("*", "", call.operation):
            return None
        seen += 1
        is_due = seen > skip and (times is None or seen <= skip + times)
        return fault if is_due else None

    return rule


def throttled() -> Fault:
    return Fault(error=SimulatedError("ThrottlingException", "Rate exceeded"))


def server_error() -> Fault:
    return Fault(error=SimulatedError("InternalFailure", "Internal error", 500))


def access_denied(why: str = "because no identity-based policy allows it") -> Fault:
    return Fault(error=SimulatedError("AccessDeniedException", f"User is not authorized {why}"))


def expired_token() -> Fault:
    error = SimulatedError("ExpiredTokenException", "The security token is expired", 400)
    return Fault(error=error)


def unreachable() -> Fault:
    """Nothing was sent."""
    return Fault(error=EndpointConnectionError(endpoint_url=_URL))


def lost_answer() -> Fault:
    """It took place, and the connection broke before the answer came."""
    return Fault(lose=ConnectionClosedError(endpoint_url=_URL))


def timed_out(seconds: float = 60.0) -> Fault:
    """It took place, and the answer did not come within the read timeout."""
    return Fault(slow_seconds=seconds, lose=ReadTimeoutError(endpoint_url=_URL))


def timed_out_unseen(seconds: float = 60.0) -> Fault:
    """It never arrived, which looks the same as `timed_out` to the client."""
    return Fault(slow_seconds=seconds, error=ReadTimeoutError(endpoint_url=_URL))


def slow(seconds: float) -> Fault:
    return Fault(slow_seconds=seconds)


def stale(seconds: float) -> Fault:
    """A read answers as of so long ago, as far as the kept snapshots reach."""
    return Fault(stale_seconds=seconds)


def mangled(change: Callable[[dict[str, Any]], object]) -> Fault:
    """The valid answer is changed in place."""
    return Fault(mangle=change)


def emptied() -> Fault:
    """Every list of the answer comes back empty."""

    def clear(answer: dict[str, Any]) -> None:
        for value in answer.values():
            if isinstance(value, list):
                value.clear()

    return Fault(mangle=clear)


def meanwhile(action: Callable[[], object]) -> Fault:
    """Somebody else acts just before the call arrives."""
    return Fault(before=action)


def killed_before() -> Fault:
    return Fault(before=_die)


def killed_after() -> Fault:
    """The effect took place; the program never learns of it."""
    return Fault(after=_die)


def silent(silence: Silence) -> Fault:
    """For calls of the Http port."""
    return Fault(error=NoAnswer(silence, "simulated"))


def _die() -> None:
    raise Killed
