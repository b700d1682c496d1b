"""Start a rollout: the one call that changes the service, made at most once in effect."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

import tenacity

from deploy_action.errors import AwsError, Refusal
from deploy_action.model import Baseline, Rollout, Service

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

TRIES = 4
LOOKS_AFTER_SILENCE = 2
"""Reads may lag behind a write, so a lost answer is looked for twice before asking again."""
WORTH_REPEATING = {Refusal.THROTTLED, Refusal.UNREACHABLE}


class Overtaken(Exception):
    """While our request was in doubt somebody else's deployment appeared."""

    def __init__(self, deployment: str) -> None:
        super().__init__(deployment)
        self.deployment = deployment


class Vanished(Exception):
    """Our request seems to have taken effect, but no look at the service showed its deployment."""

    def __init__(self, service_deployment: str) -> None:
        super().__init__(service_deployment)
        self.service_deployment = service_deployment


class NothingStarted(Exception):
    """ECS accepted the request and yet created no deployment."""


def start(
    service: str,
    task_definition: str,
    baseline: Baseline,
    gateways: Gateways,
    journal: Journal,
    *,
    desired: int | None = None,
    force: bool = False,
    is_hurried: bool = False,
) -> Rollout:
    """Move the service to `task_definition`.

    UpdateService has no token that would make a repetition harmless: repeated
    with force it starts a second deployment. So a lost answer is followed by a
    look, and the request is repeated only if the service shows no trace of it.
    Hurried, it is asked once and that is all.
    """
    started_at = gateways.clock.now()

    def ask() -> Service:
        try:
            return gateways.ecs.update(service, task_definition, desired=desired, force=force)
        except AwsError as error:
            if error.refusal is not Refusal.UNREACHABLE or is_hurried:
                raise
            journal.say(f"the answer was lost ({error}); looking whether it took effect")
            if found := _trace(service, task_definition, baseline, gateways):
                return found
            if over := _record_since(service, started_at, baseline, gateways):
                raise Vanished(over) from error
            raise

    retry: tenacity.Retrying = tenacity.Retrying(
        retry=tenacity.retry_if_exception(
            lambda e: isinstance(e, AwsError) and e.refusal in WORTH_REPEATING
        ),
        wait=tenacity.wait_exponential(multiplier=2, max=15),
        stop=tenacity.stop_after_attempt(1 if is_hurried else TRIES),
        sleep=gateways.clock.sleep,
        reraise=True,
    )
    answer = retry(ask)
    if not _is_begun(answer, task_definition, baseline) and not is_hurried:
        # Perhaps the answer is only not understood: the service itself can tell.
        answer = _trace(service, task_definition, baseline, gateways) or answer
    primary = answer.primary
    if primary is None or not _is_begun(answer, task_definition, baseline):
        raise NothingStarted
    return Rollout(
        service=service,
        task_definition=task_definition,
        deployment_id=primary.id,
        baseline=Baseline(
            task_definition=baseline.task_definition,
            deployment_ids=frozenset(
                baseline.deployment_ids | {d.id for d in answer.deployments if d.id != primary.id}
            ),
            service_deployment=baseline.service_deployment,
            desired=baseline.desired,
        ),
        # The clock of AWS dates the deployment; ours may be off.
        started_at=primary.created_at or started_at,
        sent_desired=desired is not None,
    )


def _record_since(
    service: str, since: datetime, baseline: Baseline, gateways: Gateways
) -> str | None:
    """A service deployment that was made since then, where AWS shows one.

    A fast circuit breaker may have undone our deployment before the first look.
    """
    try:
        found = gateways.ecs.service_deployments_since(service, since)
    except AwsError:
        return None
    return next((arn for arn in found if arn != baseline.service_deployment), None)


def _is_begun(seen: Service, task_definition: str, baseline: Baseline) -> bool:
    """Whether a deployment of the revision is PRIMARY that was not there before."""
    primary = seen.primary
    return (
        primary is not None
        and primary.task_definition == task_definition
        and primary.id not in baseline.deployment_ids
    )


def _trace(
    service: str, task_definition: str, baseline: Baseline, gateways: Gateways
) -> Service | None:
    """The service as the lost request left it; None where it left no trace."""
    for _ in range(LOOKS_AFTER_SILENCE):
        gateways.clock.sleep(3)
        try:
            seen = gateways.ecs.service(service)
        except AwsError:
            continue
        primary = seen.primary
        if primary is None or primary.id in baseline.deployment_ids:
            continue
        if _is_begun(seen, task_definition, baseline):
            return seen
        raise Overtaken(primary.id)
    return None
