"""Prove that the service runs what it should: the tasks, their digest, then the endpoint.

The same proof serves a new release, an unchanged service and a revision that
was put back; they differ only in what is expected.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError
from deploy_action.health import PROBE_SECONDS, Endpoint, Expectation, probe
from deploy_action.model import Task, revision_of
from deploy_action.watch import Look, watch

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

SETTLE_SECONDS = 20.0
"""How long tasks without any health check must stay up; ECS itself already waited 40 s."""
STATE_EVERY_SECONDS = 5.0
"""The endpoint may be asked more often than AWS wants to be."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What is to be proved of a service."""

    service: str
    task_definition: str
    digests: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Container name to the digests that prove its image; no entry: any digest will do."""
    endpoint: Endpoint | None = None
    expectation: Expectation | None = None
    has_container_check: bool = False
    old_tasks_may_run: bool = False
    """Only with early success; otherwise a task of another revision could answer the probe."""
    target_groups: tuple[str, ...] = ()
    successes: int = 3
    interval_seconds: float = 2.0
    budget_seconds: float = 120.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Proved:
    """The claim holds. `sentences` say how that is known, and what is not."""

    sentences: tuple[str, ...]
    digest: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class NotProved:
    """The budget ran out; `problem` is what stood in the way last."""

    problem: str
    endpoint_is_wrong: bool


class Interrupted(Exception):
    """The state of the service changed while it was being verified; `state` says to what."""

    def __init__(self, state: object) -> None:
        super().__init__(state)
        self.state = state


def prove(
    claim: Claim, gateways: Gateways, journal: Journal, still_ours: Callable[[], object | None]
) -> Proved | NotProved:
    """Prove the claim within its budget.

    `still_ours` returns None while the service is where it should be, and
    otherwise the state that it fell into, which then ends in Interrupted.
    """
    prover = _Prover(claim, gateways, still_ours)
    if claim.endpoint:
        journal.say(f"asking {claim.endpoint.url} ({claim.endpoint.found})")
    look = partial(
        watch,
        prover.look,
        clock=gateways.clock,
        journal=journal,
        every_seconds=claim.interval_seconds if claim.endpoint else STATE_EVERY_SECONDS,
    )
    # Tasks that are only watched need their time, however short a probe may take.
    shortest = 0.0 if claim.endpoint else SETTLE_SECONDS + STATE_EVERY_SECONDS
    proved = look(limit_seconds=max(claim.budget_seconds, shortest))
    if proved is None and prover.is_cut_short:
        # Time ran out while it was asked, perhaps because AWS was slow: let it finish.
        more = claim.successes * (claim.interval_seconds + PROBE_SECONDS)
        proved = look(limit_seconds=more)
    if proved is None:
        return NotProved(
            problem=prover.problem,
            endpoint_is_wrong=prover.tasks_are_right and claim.endpoint is not None,
        )
    # The last word: nobody took our place while we asked.
    prover.check_state(now=True)
    return proved


class _Prover:
    def __init__(
        self, claim: Claim, gateways: Gateways, still_ours: Callable[[], object | None]
    ) -> None:
        self.problem = ""
        self.tasks_are_right = False
        self._claim = claim
        self._gateways = gateways
        self._still_ours = still_ours
        self._started = gateways.clock.monotonic()
        self._state_at = -STATE_EVERY_SECONDS
        self._good = 0
        self._asked = 0
        self._task_sentence = ""
        self._digest = ""
        self._tasks: list[Task] = []

    def look(self) -> Look[Proved]:
        self.check_state()
        if not self._check_tasks():
            self._good = 0
            return Look(self.problem, None)
        if self._claim.endpoint and self._claim.expectation:
            return self._ask(self._claim.endpoint, self._claim.expectation)
        return self._without_endpoint()

    @property
    def is_cut_short(self) -> bool:
        """Whether the last answer was a good one, or there were too few to tell."""
        return self._good > 0 or 0 < self._asked < self._claim.successes

    def check_state(self, *, now: bool = False) -> None:
        clock = self._gateways.clock.monotonic()
        if not now and clock - self._state_at < STATE_EVERY_SECONDS:
            return
        self._state_at = clock
        if (state := self._still_ours()) is not None:
            raise Interrupted(state)

    def _ask(self, endpoint: Endpoint, expectation: Expectation) -> Look[Proved]:
        self._asked += 1
        result = probe(self._gateways.http, endpoint, expectation)
        if result.problem:
            self._good = 0
            self.problem = f"{endpoint.url}: {result.problem}"
            return Look(f"not good yet: {result.problem}", None)
        self._good += 1
        line = f"good answer {self._good} of {self._claim.successes}"
        if self._good < self._claim.successes:
            self.problem = f"only {self._good} good answers in a row from {endpoint.url}"
            return Look(line, None)
        sentence = f"{endpoint.url} gave {self._good} good answers in a row."
        return Look(line, self._proved(sentence))

    def _without_endpoint(self) -> Look[Proved]:
        up = self._gateways.clock.monotonic() - self._started
        if self._claim.has_container_check:
            bad = [t for t in self._tasks if t.health == "UNHEALTHY"]
            if bad:
                self.problem = f"the container health check of task {bad[0].id} says UNHEALTHY"
                return Look(self.problem, None)
            if all(t.health == "HEALTHY" for t in self._tasks):
                sentence = "The container health check of every task says HEALTHY."
                return Look("every task is HEALTHY", self._proved(sentence))
        if self._claim.target_groups and (sentence := self._targets()):
            return Look("every target is healthy", self._proved(sentence))
        if up < SETTLE_SECONDS:
            self.problem = "the tasks had not been up for long enough"
            return Look("waiting whether the tasks stay up", None)
        silent = (
            "The container health check gave no answer. " if self._claim.has_container_check else ""
        )
        sentence = (
            f"No endpoint was probed: neither `health-url` nor `health-path` is set. {silent}"
            f"The tasks stayed up for {SETTLE_SECONDS:.0f} s after ECS called it done."
        )
        return Look("the tasks stayed up", self._proved(sentence))

    def _targets(self) -> str:
        """A sentence if the load balancer finds all targets healthy; empty while it does not."""
        count = 0
        for arn in self._claim.target_groups:
            try:
                targets = self._gateways.elbv2.target_health(arn)
            except AwsError:
                return ""
            settled = [t for t in targets if t.state != "draining"]
            if not settled or any(t.state != "healthy" for t in settled):
                return ""
            count += len(settled)
        return (
            "No endpoint was probed: neither `health-url` nor `health-path` is set. "
            f"The load balancer finds all {count} targets healthy."
        )

    def _check_tasks(self) -> bool:
        """Whether every running task of the revision runs the right image."""
        try:
            arns = self._gateways.ecs.task_arns(self._claim.service, stopped=False)
            tasks = self._gateways.ecs.tasks(arns)
        except AwsError as error:
            self._task_sentence = f"The running tasks could not be read: {error}"
            self.tasks_are_right = True
            return True
        running = [t for t in tasks if t.last_status == "RUNNING"]
        ours = [t for t in running if t.task_definition == self._claim.task_definition]
        revision = revision_of(self._claim.task_definition)
        if not ours:
            self.problem = f"no running task of {revision} is visible yet"
            return False
        others = len(running) - len(ours)
        if others and not self._claim.old_tasks_may_run:
            self.problem = f"{others} running task(s) are not of {revision}"
            return False
        for task in ours:
            if wrong := self._wrong_image(task):
                self.problem = wrong
                return False
        self._tasks = ours
        self._digest = self._common_digest(ours)
        self._task_sentence = _task_sentence(ours, others, revision, self._digest)
        self.tasks_are_right = True
        return True

    def _wrong_image(self, task: Task) -> str:
        for container in task.containers:
            proof = self._claim.digests.get(container.name)
            if proof and container.digest and container.digest not in proof:
                return (
                    f"container {container.name!r} of task {task.id} runs {container.digest}, "
                    f"which is not the image of this release"
                )
        return ""

    def _common_digest(self, tasks: list[Task]) -> str:
        """The one digest that the released containers run, where ECS tells it."""
        seen = {
            c.digest
            for task in tasks
            for c in task.containers
            if c.name in self._claim.digests and c.digest
        }
        return seen.pop() if len(seen) == 1 else ""

    def _proved(self, sentence: str) -> Proved:
        return Proved(sentences=(self._task_sentence, sentence), digest=self._digest)


def _task_sentence(ours: list[Task], others: int, revision: str, digest: str) -> str:
    tasks = "1 task runs" if len(ours) == 1 else f"{len(ours)} tasks run"
    sentence = f"{tasks} {revision}" + (f" with {digest}." if digest else ".")
    if others:
        sentence += (
            f" {others} of another revision still run{'s' if others == 1 else ''}, and may have "
            "given some of the answers."
        )
    return sentence
