"""What was called and what changed: the server-side history that invariants are checked on.

Every call of the program, to AWS, to an endpoint or to the builder, passes through
`Calls.perform`, so a fault can be put before, inside or after any of them.
"""

from __future__ import annotations

import copy
import math
import pickle
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from botocore.exceptions import ReadTimeoutError

from .clock import SimClock
from .state import State

Tree = dict[str, Any]
Actor = Literal["client", "ecs", "foreign"]

_KEPT_SECONDS = 900.0
"""How far back a stale answer can reach."""

_CALL_LIMIT = 20_000
"""A run under test makes some hundred calls; this many is an endless loop without sleep."""


class SimulatedError(Exception):
    """An error that AWS answers with; it arrives at the client as a ClientError."""

    def __init__(self, code: str, message: str = "", http_status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.http_status = http_status


def denial(state: State, action: str, resource: str = "") -> SimulatedError:
    """What IAM answers to an action that no policy allows."""
    on_resource = f" on resource: {resource}" if resource else ""
    is_old = action.startswith(("sts:", "iam:Get", "iam:Simulate", "elasticloadbalancing:", "s3:"))
    return SimulatedError(
        "AccessDenied" if is_old else "AccessDeniedException",
        f"User: arn:aws:sts::{state.account}:assumed-role/deploy/session is not authorized to "
        f"perform: {action}{on_resource} because no identity-based policy allows the {action} "
        "action",
        403 if is_old else 400,
    )


@dataclass(slots=True, kw_only=True)
class Call:
    """One attempt on the wire; botocore's retries count as calls of their own."""

    index: int
    time: datetime
    service: str
    operation: str
    params: Mapping[str, Any]
    region: str
    effect: Literal["none", "applied"] = "none"
    outcome: str = "pending"
    """`answered`, or the code of the error the client saw."""
    changes: int = 0
    """How many changes the history held when the call took effect: what its answer may show."""
    is_distorted: bool = False
    """Whether the answer is older than that, or was changed on its way."""

    @property
    def name(self) -> str:
        return f"{self.service}:{self.operation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One effective change of the simulated account: the ground truth."""

    time: datetime
    actor: Actor
    kind: str
    subject: str
    detail: Mapping[str, Any]
    call: int | None
    """Index of the call that caused it, when a client did."""


@dataclass(slots=True)
class History:
    """Everything that happened, in order."""

    calls: list[Call] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)

    def of(self, *kinds: str, subject: str | None = None) -> list[Change]:
        """Changes of these kinds (all kinds without any), about `subject` when given."""
        return [
            change
            for change in self.changes
            if (not kinds or change.kind in kinds) and subject in (None, change.subject)
        ]

    def named(self, name: str) -> list[Call]:
        """Calls of one operation, for example `ecs:UpdateService`."""
        return [call for call in self.calls if call.name == name]

    def lines(self) -> list[str]:
        """Both lists as text, for comparing runs and for a failing test's output."""
        calls = [f"{c.time:%H:%M:%S.%f} {c.name} {c.effect} {c.outcome}" for c in self.calls]
        changes = [
            f"{c.time:%H:%M:%S.%f} {c.actor} {c.kind} {c.subject} {dict(c.detail)}"
            for c in self.changes
        ]
        return calls + changes


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """What goes wrong with one call; the fields are in the order in which they strike."""

    before: Callable[[], object] | None = None
    """Somebody else acts just before the call; a BaseException kills the program there."""
    error: Exception | None = None
    """The call has no effect: a SimulatedError is answered, any other error is raised."""
    stale_seconds: float = 0.0
    """A read answers what was true so many seconds ago."""
    mangle: Callable[[Tree], object] | None = None
    """Changes the valid answer in place, after it was checked against the model."""
    slow_seconds: float = 0.0
    after: Callable[[], object] | None = None
    """Somebody else acts after the effect and before the client hears of it."""
    lose: Exception | None = None
    """The effect took place, the client sees this error instead of the answer."""


FaultRule = Callable[[Call], Fault | None]
"""Consulted at every call; the first rule that returns a fault decides."""

Effect = Callable[[State], Tree]


class Calls:
    """Performs calls under the installed faults and records them."""

    def __init__(self, state: State, clock: SimClock, *, latency: float, snapshots: bool) -> None:
        self.history = History()
        self.faults: list[FaultRule] = []
        self._state = state
        self._clock = clock
        self._latency = latency
        self._keep_snapshots = snapshots
        self._snapshots: list[tuple[float, bytes]] = []
        self._actor: Actor = "foreign"
        self._call: int | None = None

    @contextmanager
    def acting(self, actor: Actor, call: int | None = None) -> Iterator[None]:
        """Blame `actor` for the changes made inside."""
        previous = self._actor, self._call
        self._actor, self._call = actor, call
        try:
            yield
        finally:
            self._actor, self._call = previous

    def changed(self, kind: str, subject: str, **detail: Any) -> None:  # noqa: ANN401
        """Note an effective change, blamed on whoever acts now."""
        self.history.changes.append(
            Change(
                time=self._clock.now(),
                actor=self._actor,
                kind=kind,
                subject=subject,
                detail=detail,
                call=self._call,
            )
        )

    def perform(
        self,
        service: str,
        operation: str,
        params: Mapping[str, Any],
        effect: Effect,
        *,
        region: str,
        is_read: bool,
        latency: float | None = None,
        patience: float = math.inf,
    ) -> Tree:
        """Run one call of the client with everything that the faults do to it.

        `patience` is how many seconds the client waits for an answer.
        """
        call = self._begin(service, operation, params, region)
        try:
            fault = self._fault(call)
            self._clock.advance(self._latency if latency is None else latency)
            answer = self._strike(call, fault, effect, is_read=is_read, patience=patience)
        except SimulatedError as error:
            call.outcome = error.code
            raise
        except BaseException as error:
            call.outcome = type(error).__name__
            raise
        call.outcome = "answered"
        return answer

    def _begin(self, service: str, operation: str, params: Mapping[str, Any], region: str) -> Call:
        calls = self.history.calls
        if len(calls) >= _CALL_LIMIT:
            raise AssertionError(f"more than {_CALL_LIMIT} calls: an endless loop?")
        self._remember()
        call = Call(
            index=len(calls),
            time=self._clock.now(),
            service=service,
            operation=operation,
            params=params,
            region=region,
        )
        calls.append(call)
        return call

    def _fault(self, call: Call) -> Fault:
        faults = (rule(call) for rule in list(self.faults))
        return next((fault for fault in faults if fault is not None), Fault())

    def _strike(
        self, call: Call, fault: Fault, effect: Effect, *, is_read: bool, patience: float
    ) -> Tree:
        if fault.before is not None:
            fault.before()
        if fault.error is not None:
            self._clock.advance(min(fault.slow_seconds, patience))
            raise fault.error
        is_stale = is_read and fault.stale_seconds > 0
        state = self._snapshot(fault.stale_seconds) if is_stale else self._state
        changes = call.changes = len(self.history.changes)
        call.is_distorted = is_stale or fault.mangle is not None
        try:
            with self.acting("client", call.index):
                answer = effect(state)
        finally:
            if any(change.call == call.index for change in self.history.changes[changes:]):
                call.effect = "applied"
                self._remember()
        if fault.mangle is not None:
            # Parts of an answer may be parts of the state, which stays as it is.
            answer = copy.deepcopy(answer)
            fault.mangle(answer)
        self._clock.advance(min(fault.slow_seconds, patience))
        if fault.after is not None:
            fault.after()
        if fault.lose is not None:
            raise fault.lose
        if fault.slow_seconds > patience:
            raise ReadTimeoutError(endpoint_url=call.name)
        return answer

    def _remember(self) -> None:
        if self._keep_snapshots:
            moment = self._clock.monotonic()
            while self._snapshots and self._snapshots[0][0] < moment - _KEPT_SECONDS:
                self._snapshots.pop(0)
            self._snapshots.append((moment, pickle.dumps(self._state, pickle.HIGHEST_PROTOCOL)))

    def _snapshot(self, seconds: float) -> State:
        if not self._keep_snapshots:
            raise AssertionError("stale answers need a World with snapshots")
        moment = self._clock.monotonic() - seconds
        earlier = [data for taken, data in self._snapshots if taken <= moment]
        state: State = pickle.loads(earlier[-1] if earlier else self._snapshots[0][1])
        return state
