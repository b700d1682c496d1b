"""Start a rollout: the one call that changes the service, made at most once in effect."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import tenacity

from deploy_action.errors import AwsError, Refusal
from deploy_action.model import Baseline, Deployment, Json, Rollout, Service

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.report.journal import Journal

TRIES = 4
LOOKS_AFTER_SILENCE = 2
"""Reads may lag behind a write, so a lost answer is looked for twice before asking again."""
CLOCK_SKEW = timedelta(seconds=10)
"""How far the runner's clock may be off when a record is asked whether it is younger."""
WORTH_REPEATING = {Refusal.THROTTLED, Refusal.UNREACHABLE}


class Overtaken(Exception):
    """While our request was in doubt somebody else's deployment appeared."""

    def __init__(self, deployment: str) -> None:
        super().__init__(deployment)
        self.deployment = deployment


class Vanished(Exception):
    """Our request seems to have taken effect, but no look at the service showed its deployment."""

    def __init__(self, by: str) -> None:
        super().__init__(by)
        self.by = by
        """The service deployment, or the deployment that came after, by which it is known."""


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
    configuration: Json | None = None,
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
            return gateways.ecs.update(
                service,
                task_definition,
                desired=desired,
                configuration=configuration,
                force=force,
            )
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
    if _ours(answer, task_definition, baseline) is None and not is_hurried:
        # Perhaps the answer is only not understood: the service itself can tell.
        answer = _trace(service, task_definition, baseline, gateways) or answer
    ours = _ours(answer, task_definition, baseline)
    if ours is None:
        raise NothingStarted
    # What is newer is no part of the past: ECS may be undoing our deployment already.
    older = {d.id for d in answer.deployments if d.id != ours.id and _is_older(d, ours)}
    return Rollout(
        service=service,
        task_definition=task_definition,
        deployment_id=ours.id,
        baseline=replace(baseline, deployment_ids=baseline.deployment_ids | older),
        # The clock of AWS dates the deployment; ours may be off.
        started_at=ours.created_at or started_at,
        sent_desired=desired is not None,
        sent_configuration=configuration is not None,
    )


def _record_since(
    service: str, since: datetime, baseline: Baseline, gateways: Gateways
) -> str | None:
    """A service deployment that was made since then, where AWS shows one.

    A fast circuit breaker may have undone our deployment before the first look.
    """
    try:
        newest = next(iter(gateways.ecs.service_deployments_since(service, since)), None)
        if newest is None or newest == baseline.service_deployment:
            return None
        record = gateways.ecs.service_deployment(newest)
    except AwsError:
        return None
    made_at = record.created_at if record else None
    return newest if made_at and made_at >= since - CLOCK_SKEW else None


def _ours(seen: Service, task_definition: str, baseline: Baseline) -> Deployment | None:
    """The deployment of the revision that was not there before."""
    return next(
        (
            d
            for d in seen.deployments
            if d.task_definition == task_definition and d.id not in baseline.deployment_ids
        ),
        None,
    )


def _is_older(deployment: Deployment, than: Deployment) -> bool:
    made, ours = deployment.created_at, than.created_at
    return made is None or ours is None or made <= ours


def _trace(
    service: str, task_definition: str, baseline: Baseline, gateways: Gateways
) -> Service | None:
    """The service as the lost request left it; None where it left no trace."""
    undone = ""
    for _ in range(LOOKS_AFTER_SILENCE):
        gateways.clock.sleep(3)
        try:
            seen = gateways.ecs.service(service)
        except AwsError:
            continue
        if _ours(seen, task_definition, baseline):
            return seen
        primary = seen.primary
        if primary is None or primary.id in baseline.deployment_ids:
            continue
        if primary.task_definition != baseline.task_definition:
            raise Overtaken(primary.id)
        undone = primary.id
    if undone:
        raise Vanished(undone)
    return None
