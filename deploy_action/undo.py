"""What follows a failed release: evidence, the service put back, the error that tells it all."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deploy_action import diagnosis
from deploy_action.claims import claim_of_old
from deploy_action.errors import (
    ActionError,
    AwsError,
    Failed,
    RollbackFailed,
    RolledBack,
    Unhealthy,
)
from deploy_action.evidence import Evidence, collect
from deploy_action.follow import Follower
from deploy_action.launch import superseded
from deploy_action.model import Definition, revision_of
from deploy_action.report.journal import Found
from deploy_action.restore import LeftAlone, Restored, Restorer, undo_commands
from deploy_action.rollout import EcsRollbackFailed, EcsRolledBack, EcsRollsBack
from deploy_action.situation import Situation
from deploy_action.trouble import Trouble

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal


class Undoer:
    """Puts one service back."""

    def __init__(
        self, situation: Situation, inputs: Inputs, gateways: Gateways, journal: Journal
    ) -> None:
        self._situation = situation
        self._inputs = inputs
        self._gateways = gateways
        self._journal = journal

    def undone(self, trouble: Trouble, definition: Definition, follower: Follower) -> ActionError:
        """Evidence before undo; then the error that tells the true end."""
        evidence = Evidence()
        try:
            if trouble.is_own:
                evidence = self._evidence(definition, follower)
                trouble = self._explained(trouble, evidence)
        except Exception as error:  # noqa: BLE001 - what explains must not keep us from undoing
            self._journal.say(f"going on without an explanation: {type(error).__name__}: {error}")
        name = self._situation.service.name
        if not self._inputs.rollback_on_failure and not _is_ecs_undoing(follower):
            return Failed(
                f"{trouble.what} It was left there, because `rollback-on-failure` is false.",
                why=trouble.why,
                fix=trouble.fix,
                evidence=evidence.lines,
            )
        with self._journal.phase("Roll back") as phase:
            restorer = Restorer(
                follower,
                claim_of_old(self._situation, self._old_definition(), self._inputs),
                self._situation.limit_seconds,
                self._gateways,
                self._journal,
            )
            result = restorer.restore()
            if isinstance(result, Restored):
                phase.result = result.sentence
            else:
                phase.failed = True
        if isinstance(result, LeftAlone):
            return superseded(name, result.by, first=trouble.why)
        old = revision_of(self._situation.baseline.task_definition)
        if isinstance(result, Restored):
            self._journal.record(rolled_back="true")
            self._journal.story.rollback = result.sentence
            what, why, fix = f"{trouble.what} {name} is back on {old}.", trouble.why, trouble.fix
            return trouble.end(what, why=why, fix=fix, evidence=evidence.lines)
        if result.nothing_to_go_back_to:
            what = f"{trouble.what} Nothing was rolled back: {result.problem}."
            return Failed(what, why=trouble.why, fix=trouble.fix, evidence=evidence.lines)
        region = self._gateways.identity.region
        commands = undo_commands(follower.rollout, self._inputs.cluster, region)
        return RollbackFailed(
            f"{trouble.what} {name} could NOT be put back on {old}.",
            why=f"{trouble.why}. Then, rolling back: {result.problem}.",
            fix="Act now, by hand:\n" + "\n".join(commands),
            evidence=evidence.lines,
        )

    def _old_definition(self) -> Definition:
        if self._situation.running.arn == self._situation.baseline.task_definition:
            return self._situation.running
        arn = self._situation.baseline.task_definition
        try:
            return self._gateways.ecs.definition(arn)
        except AwsError as error:
            # Without it the proof is weaker; going back matters more.
            self._journal.say(f"going on without the old definition: {error}")
            return Definition(arn=arn, status="", body={})

    def _evidence(self, definition: Definition, follower: Follower) -> Evidence:
        with self._journal.phase("Evidence") as phase:
            evidence = collect(
                definition,
                follower,
                self._inputs.log_tail_lines,
                self._gateways,
                self._journal,
            )
            self._journal.story.log_tail = list(evidence.log_tail)
            phase.result = f"{len(evidence.lines)} facts, {len(evidence.log_tail)} log lines"
        return evidence

    def _explained(self, trouble: Trouble, evidence: Evidence) -> Trouble:
        """The trouble with its cause, its proof and its fix, as far as the evidence tells."""
        own_look = trouble.end is Unhealthy and not trouble.is_known
        findings = diagnosis.explain(replace(evidence, problem=trouble.why if own_look else ""))
        self._journal.story.findings = [
            Found(name=f.name, row=f.row, cause=f.cause, proof=f.proof, fix=f.fix) for f in findings
        ]
        known = trouble.end is not RolledBack or trouble.is_known
        why, fix = diagnosis.tell(trouble.why, trouble.fix, findings, evidence, known=known)
        return replace(trouble, why=why, fix=fix)


def _is_ecs_undoing(follower: Follower) -> bool:
    return isinstance(follower.state(), EcsRollsBack | EcsRolledBack | EcsRollbackFailed)
