"""One simulated AWS account with everything around it, behind real boto3 clients."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import botocore.session

from .builder import SimulatedBuilder
from .calls import Calls, FaultRule, History
from .clock import SimClock
from .core import Core, Quirks, Timings
from .given import EXECUTION_ROLE, TASK_ROLE, Given
from .http import SimulatedHttp
from .meanwhile import Meanwhile
from .parts import Parts, assemble, services_of
from .state import State
from .truth import Truth
from .wire import Wire, redirected_sleep

_DAY = 24 * 3600.0


class World(Given, Meanwhile, Truth):
    """Build it with the verbs of Given, disturb it with Meanwhile, ask it with Truth.

    The same seed and the same calls give the same history, to the last identifier.
    """

    def __init__(
        self,
        seed: int = 1,
        *,
        region: str = "eu-west-1",
        account: str = "123456789012",
        timings: Timings | None = None,
        quirks: Quirks | None = None,
        snapshots: bool = True,
        validated: bool = True,
        limit_seconds: float = _DAY,
    ) -> None:
        """Without `snapshots` no answer can be stale; `validated` is off only for speed."""
        timings = timings or Timings()
        self.seed = seed
        self.state = State(account=account, region=region)
        self.clock = SimClock(limit_seconds=limit_seconds)
        self.calls = Calls(self.state, self.clock, latency=timings.call, snapshots=snapshots)
        core = Core(
            self.state,
            self.clock,
            self.calls,
            timings=timings,
            quirks=quirks or Quirks(),
            seed=seed,
        )
        parts = assemble(core)
        for verbs in (Given, Meanwhile, Truth):
            verbs.__init__(self, parts)
        self.http = SimulatedHttp(core)
        self.builder = SimulatedBuilder(core, parts.registry)
        self._wire = Wire(
            self.state, self.clock, self.calls, services_of(parts), validated=validated
        )
        self._session: boto3.Session | None = None
        self._furnish(parts)

    @property
    def history(self) -> History:
        return self.calls.history

    @property
    def faults(self) -> list[FaultRule]:
        """Rules consulted at every call; append to it."""
        return self.calls.faults

    @property
    def defects(self) -> list[AssertionError]:
        """Mistakes of the simulator or in its use, even if the program swallowed them."""
        return self._wire.defects

    def session(self) -> boto3.Session:
        """The session whose clients live in this world."""
        if self._session is None:
            core = botocore.session.Session()
            self._wire.attach(core)
            self._session = boto3.Session(
                aws_access_key_id="AKIASIMULATED0000001",
                aws_secret_access_key="simulated",
                region_name=self.state.region,
                botocore_session=core,
            )
        return self._session

    def attach(self, session: botocore.session.Session) -> None:
        """Answer the clients of a session that the program makes for itself."""
        self._wire.attach(session)

    def answer(self, **event: Any) -> object:  # noqa: ANN401 - what botocore hands over
        """Answer one `before-send` event, for a session that several worlds share."""
        return self._wire.answer(**event)

    @contextmanager
    def simulated_time(self) -> Iterator[World]:
        """Retries inside botocore sleep on the simulated clock, with the jitter of the seed.

        On the way out, a defect that the program swallowed is raised again.
        """
        jitter = random.getstate()
        random.seed(self.seed)
        try:
            with redirected_sleep(self.clock.sleep):
                yield self
        finally:
            random.setstate(jitter)
        if self.defects:
            raise self.defects[0]

    def _furnish(self, parts: Parts) -> None:
        """What every account has."""
        del parts
        self.state.clusters.append("default")
        self.state.subnets.update({"subnet-1": 4000, "subnet-2": 4000})
        self.state.roles.update(
            {
                EXECUTION_ROLE: "ecs-tasks.amazonaws.com",
                TASK_ROLE: "ecs-tasks.amazonaws.com",
                "deploy": "token.actions.githubusercontent.com",
            }
        )
