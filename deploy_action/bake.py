"""Keep watching a revision that was proved: its tasks, its place, its endpoint, the alarms."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from deploy_action.health import probe
from deploy_action.proof import Claim, Interrupted, NotProved
from deploy_action.watch import Look, watch

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

EVERY_SECONDS = 10.0
FAILURES_IN_A_ROW = 3
"""Answers that convict; one alone may be the network's fault."""


def bake(
    minutes: float,
    claim: Claim,
    gateways: Gateways,
    journal: Journal,
    still_ours: Callable[[], object | None],
) -> str | NotProved:
    """The sentence that says what was watched, or what went wrong with the endpoint.

    `still_ours` is as for `prove`: a state that it returns ends in Interrupted.
    """
    oven = _Oven(claim, gateways, still_ours)
    problem = watch(
        oven.look,
        clock=gateways.clock,
        journal=journal,
        limit_seconds=minutes * 60,
        every_seconds=EVERY_SECONDS,
    )
    if problem:
        return NotProved(problem=problem, endpoint_is_wrong=True)
    answers = f", {oven.good} of {oven.asked} answers were good" if oven.asked else ""
    return f"Watched for {minutes:g} min more: it stayed in place{answers}."


class _Oven:
    def __init__(
        self, claim: Claim, gateways: Gateways, still_ours: Callable[[], object | None]
    ) -> None:
        self.asked = 0
        self.good = 0
        self._claim = claim
        self._gateways = gateways
        self._still_ours = still_ours
        self._bad_in_a_row = 0

    def look(self) -> Look[str]:
        if (state := self._still_ours()) is not None:
            raise Interrupted(state)
        if not (self._claim.endpoint and self._claim.expectation):
            return Look("all is well", None)
        self.asked += 1
        url = self._claim.endpoint.url
        found = probe(self._gateways.http, self._claim.endpoint, self._claim.expectation)
        if found.problem is None:
            self.good += 1
            self._bad_in_a_row = 0
            return Look("all is well", None)
        self._bad_in_a_row += 1
        if self._bad_in_a_row < FAILURES_IN_A_ROW:
            return Look(f"a bad answer: {found.problem}", None)
        problem = f"{self._bad_in_a_row} bad answers in a row from {url}, the last: {found.problem}"
        return Look(problem, problem)
