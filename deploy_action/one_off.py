"""Run a command once, as a task of the new revision, before the service is touched.

A migration must not run twice, and must not run on unseen. So the request carries
a token that makes its repetition harmless, and what the post step needs to find
the task is saved before the request is sent.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING

import tenacity

from deploy_action import diagnosis
from deploy_action.diagnosis.crash import last_words
from deploy_action.errors import ActionError, AwsError, Cancelled, Failed, Refusal, Unknown
from deploy_action.evidence import Evidence, collect_task
from deploy_action.launch import Launcher
from deploy_action.model import ONE_OFF, Definition, Task
from deploy_action.one_off_log import Log
from deploy_action.one_off_task import (
    STATE,
    STOP_SECONDS,
    Eye,
    OneOff,
    command,
    has_stopped,
    let_go,
)
from deploy_action.preflight.one_off import container_of
from deploy_action.report.journal import Found
from deploy_action.rollout import stop_text

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.prepare import Plan
    from deploy_action.report.journal import Journal

LIMIT_SECONDS = 3600.0
"""No setting of a service tells how long a command takes; the longest computed limit there is."""
TRIES = 4
BY_ITSELF = "EssentialContainerExited"
NOT_STARTED = "TaskFailedToStart"
MEANT_FOR_SERVICES = {"crash", "exited-cleanly", "told-to-stop", "stopped-by-hand"}
"""Findings whose words fit a task that is meant to go on."""


def run(
    definition: Definition, plan: Plan, inputs: Inputs, gateways: Gateways, journal: Journal
) -> None:
    """Return when the command has exited with 0; raise ActionError otherwise."""
    # A command for a release that is not going to be must not run.
    Launcher(plan, inputs, gateways, journal).check_nobody_came()
    _Run(definition, plan, inputs, gateways, journal).run()


def announcement(inputs: Inputs, plan: Plan) -> str:
    """What `run` would do, in one sentence."""
    name = container_of(inputs, plan.containers, plan.base)
    return (
        f"Before that, {_brief(inputs)} would run in {name!r} as a one-off task of that revision "
        "and would have to exit with 0."
    )


class _Run:
    def __init__(
        self,
        definition: Definition,
        plan: Plan,
        inputs: Inputs,
        gateways: Gateways,
        journal: Journal,
    ) -> None:
        self._definition = definition
        self._plan = plan
        self._inputs = inputs
        self._gateways = gateways
        self._journal = journal
        self._container = container_of(inputs, plan.containers, definition.body)
        minutes = inputs.rollout_timeout_minutes
        self._limit = minutes * 60 if minutes else LIMIT_SECONDS
        self._token = _token(definition, self._container, inputs, journal, gateways.clock.now())
        self._one_off = OneOff(
            service=plan.service.name,
            task_definition=definition.arn,
            is_new=definition.arn != plan.running.arn,
            started_by=ONE_OFF + self._token[:32],
        )
        self._log = Log(definition, self._container, gateways, journal)
        self._eye = Eye(gateways, journal)

    def run(self) -> None:
        with self._journal.phase("One-off task") as phase:
            self._journal.save_state(STATE, self._one_off.to_text())
            try:
                task = self._start()
                end = self._follow(task.arn)
                late = None if end else self._stop_late(task.arn)
            except Cancelled:
                let_go(self._one_off, self._gateways, self._journal)
                raise
            self._journal.save_state(STATE, "")
            if self._eye.error:
                raise self._unreadable(task, self._eye.error)
            if isinstance(late, Task) and late.stop_code == BY_ITSELF:
                end = late  # it was faster than our request to stop it
            if end is None:
                raise self._too_late(task, late)
            if not self._is_good(end):
                raise self._failed(end)
            phase.result = f"{_brief(self._inputs)} exited with code 0"

    def _start(self) -> Task:
        """Ask until there is an answer: with the same token there is one task at most."""
        self._journal.say(
            f"running {_brief(self._inputs)} in {self._container!r} of {self._definition.revision}"
        )
        retry: tenacity.Retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(
                lambda e: (
                    isinstance(e, AwsError)
                    and e.refusal in {Refusal.UNREACHABLE, Refusal.THROTTLED}
                )
            ),
            wait=tenacity.wait_exponential(multiplier=2, max=15),
            stop=tenacity.stop_after_attempt(TRIES),
            sleep=self._gateways.clock.sleep,
            reraise=True,
        )
        try:
            task: Task = retry(self._ask)
        except AwsError as error:
            raise self._not_started(error) from error
        self._one_off = replace(self._one_off, arn=task.arn)
        self._journal.save_state(STATE, self._one_off.to_text())
        self._journal.say(f"task {task.id}")
        self._log.announce(task.id)
        return task

    def _ask(self) -> Task:
        ask = partial(
            self._gateways.ecs.run_task,
            self._definition,
            self._container,
            self._inputs.pre_deploy_command,
            placement=self._plan.service.placement,
            token=self._token,
            started_by=self._one_off.started_by,
        )
        try:
            return ask(with_tags=True)
        except AwsError as error:
            if error.refusal is not Refusal.DENIED or "TagResource" not in error.message:
                raise
            self._journal.say(f"starting without tags: {error}")
            return ask(with_tags=False)

    def _follow(self, arn: str) -> Task | None:
        """The ended task; None where the time limit came first, or it cannot be read any more."""
        end = self._eye.watch(arn, self._has_ended, self._limit, self._log.show)
        self._log.show_late()
        return end

    def _has_ended(self, task: Task) -> bool:
        """Whether all is known that decides. The task itself takes longer to be removed."""
        return task.last_status == "STOPPED" or bool(
            task.stop_code and self._exit_code(task) is not None
        )

    def _exit_code(self, task: Task) -> int | None:
        return next((c.exit_code for c in task.containers if c.name == self._container), None)

    def _is_good(self, task: Task) -> bool:
        # Told to stop, a command may exit with 0 before it is done.
        return task.stop_code in {"", BY_ITSELF} and self._exit_code(task) == 0

    def _stop_late(self, arn: str) -> Task | AwsError | None:
        """Stop the task at its time limit: how it ended, or why it did not."""
        if self._eye.error:
            return None
        self._journal.say(f"over its limit of {self._limit / 60:g} min; stopping it")
        try:
            self._gateways.ecs.stop_task(arn, "over the time limit of its deployment")
        except AwsError as error:
            return error
        stopped = self._eye.watch(arn, has_stopped, STOP_SECONDS, self._log.show)
        self._log.show_late()
        return stopped

    # ---- bad ends ----

    def _not_started(self, error: AwsError) -> ActionError:
        self._journal.save_state(STATE, "")
        if error.refusal is Refusal.UNREACHABLE:
            return Unknown(
                f"It is not known whether `pre-deploy-command` runs; {self._one_off.untouched}.",
                why=f"{error}.",
                fix="Look before you run the workflow again, which starts it anew:\n"
                f"{command('list-tasks', self._gateways)} --started-by {self._one_off.started_by}",
            )
        return Failed(
            f"`pre-deploy-command` could not be started; {self._one_off.untouched}.",
            why=diagnosis.because(error),
            fix=diagnosis.refusal(error).fix,
        )

    def _unreadable(self, task: Task, error: AwsError) -> ActionError:
        return Unknown(
            f"`pre-deploy-command` could not be followed to its end; {self._one_off.untouched}.",
            why=f"{error}. Whether its task still runs is not known.",
            fix=f"{error.fix}\n{command('describe-tasks', self._gateways)} --tasks {task.id}",
        )

    def _too_late(self, task: Task, stopped: Task | AwsError | None) -> ActionError:
        minutes = f"{self._limit / 60:g} min"
        if isinstance(stopped, Task):
            evidence = self._evidence(stopped)
            # How it stopped is our own doing; only its log may tell what it waited for.
            findings = self._findings(replace(evidence, stops=()))
            why = f"It had not ended after {minutes} and was stopped."
            fix = "If it is only slow, raise `rollout-timeout-minutes`."
            if findings:
                why, fix = diagnosis.tell(why, fix, findings, evidence, known=True)
            elif said := last_words(evidence):
                why = f"{why} Its log says: {said}"
        else:
            evidence = self._evidence(task)
            how = f"stopping it failed: {stopped}" if stopped else "it did not stop when told to"
            why = f"It had not ended after {minutes}, and {how}."
            stop = command("stop-task", self._gateways)
            fix = f"It may still run. Stop it:\n{stop} --task {task.id}"
        return Failed(
            f"`pre-deploy-command` took too long; {self._one_off.untouched}.",
            why=why,
            fix=fix,
            evidence=evidence.lines if isinstance(stopped, Task) else (),
        )

    def _failed(self, task: Task) -> ActionError:
        evidence = self._evidence(task)
        code = self._exit_code(task)
        findings = self._findings(evidence)
        fix = "Correct what its last lines name, then run the workflow again."
        if task.stop_code == NOT_STARTED:
            why = f"Its task could not start: {stop_text(task)}."
        elif task.stop_code in {"", BY_ITSELF} and code is not None:
            why = f"Container {self._container!r} exited with code {code}."
        else:
            exited = f", and container {self._container!r} exited with code {code}"
            why = (
                f"Its task was stopped before the command had ended ({task.stop_code}: "
                f"{stop_text(task)}){exited if code is not None else ''}."
            )
            fix = "Look whether what it did has to be completed, then run the workflow again."
        if findings:
            known = task.stop_code not in {BY_ITSELF, NOT_STARTED}
            why, fix = diagnosis.tell(why, fix, findings, evidence, known=known)
        elif said := last_words(evidence):
            why = f"{why} Its log says: {said}"
        return Failed(
            f"`pre-deploy-command` did not succeed; {self._one_off.untouched}.",
            why=why,
            fix=fix,
            evidence=evidence.lines,
        )

    def _evidence(self, task: Task) -> Evidence:
        evidence = collect_task(
            task, self._definition, self._inputs.log_tail_lines, self._gateways, self._journal
        )
        self._journal.story.log_tail = list(evidence.log_tail)
        return replace(evidence, main=frozenset({self._container}))

    def _findings(self, evidence: Evidence) -> tuple[diagnosis.Finding, ...]:
        """The causes that fit a command which is meant to end."""
        found = tuple(
            f for f in diagnosis.explain(evidence) if f.row and f.name not in MEANT_FOR_SERVICES
        )
        self._journal.story.findings = [
            Found(name=f.name, row=f.row, cause=f.cause, proof=f.proof, fix=f.fix) for f in found
        ]
        return found


def _token(
    definition: Definition, container: str, inputs: Inputs, journal: Journal, now: datetime
) -> str:
    """The same for every request of this execution of the step, and of no other."""
    # Outside of a runner an execution has no name; the moment has to do.
    execution = journal.story.run.execution or now.isoformat()
    parts = [execution, definition.arn, container, *inputs.pre_deploy_command]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _brief(inputs: Inputs) -> str:
    """The command without its arguments, which may hold what nobody should read in a report."""
    first, *rest = inputs.pre_deploy_command
    return f"`{first} …`" if rest else f"`{first}`"
