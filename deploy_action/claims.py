"""What is to be proved: of the new revision, and of the old one once it is back. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from deploy_action.health import Endpoint, Expectation
from deploy_action.model import Definition
from deploy_action.proof import Claim
from deploy_action.situation import Situation

if TYPE_CHECKING:
    from deploy_action.inputs import Inputs


def claim_of_new(
    now: Situation, definition: Definition, proofs: Mapping[str, frozenset[str]], inputs: Inputs
) -> Claim:
    """`proofs` holds, by container name, the digests that prove its image."""
    return _claim(now, definition, now.endpoint, now.expectation, proofs, inputs)


def claim_of_old(now: Situation, old: Definition, inputs: Inputs) -> Claim:
    """What the old revision owes after a rollback: no more than it gave before."""
    endpoint = now.endpoint if now.old_expectation else None
    return _claim(now, old, endpoint, now.old_expectation, {}, inputs)


def _claim(
    now: Situation,
    definition: Definition,
    endpoint: Endpoint | None,
    expectation: Expectation | None,
    digests: Mapping[str, frozenset[str]],
    inputs: Inputs,
) -> Claim:
    containers = definition.body.get("containerDefinitions") or []
    groups = (lb.target_group_arn for lb in now.service.load_balancing)
    return Claim(
        service=now.service.name,
        task_definition=definition.arn,
        digests=digests,
        endpoint=endpoint,
        expectation=expectation,
        has_container_check=any(c.get("healthCheck") for c in containers),
        old_tasks_may_run=now.service.early_success,
        target_groups=tuple(arn for arn in groups if arn),
        successes=inputs.health_successes,
        interval_seconds=inputs.health_interval_seconds,
        budget_seconds=inputs.health_timeout_seconds,
    )
