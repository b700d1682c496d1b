"""What a service is before anything changes: found, fit, settled, and asked how it answers."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING

from deploy_action import health, settings, task_definition
from deploy_action.duration import Target, at_most
from deploy_action.errors import AwsError, Blocked, Refusal
from deploy_action.health import Endpoint, Expectation, Probe, probe
from deploy_action.model import (
    Baseline,
    Deployment,
    Json,
    Service,
    revision_of,
)
from deploy_action.ports import Silence
from deploy_action.rollout import convict
from deploy_action.situation import Situation
from deploy_action.watch import Look, watch

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal

SHORTEST_LIMIT, LONGEST_LIMIT = 600.0, 3600.0


def survey(inputs: Inputs, gateways: Gateways, journal: Journal) -> Situation:
    """What the service is now, or Blocked where it can take no deployment."""
    service = find_service(inputs, gateways)
    _check_kind(service)
    service = _settle(service, inputs, gateways, journal)
    primary = service.primary
    if primary is None:
        raise Blocked(
            f"The service {service.name!r} shows no PRIMARY deployment.",
            why="ECS lists none, so there is nothing to compare with or to go back to.",
            fix="Run the workflow again in a minute; if it stays, look at the service in ECS.",
        )
    running = gateways.ecs.definition(primary.task_definition)
    # Its tasks may print their environment, and a release shows what they print.
    journal.redact.hide_environment(task_definition.environment_values(running.body))
    endpoint = find_endpoint(inputs, service, gateways, journal)
    expected = expectation(inputs) if endpoint else None
    before = probe(gateways.http, endpoint, expected) if endpoint and expected else None
    targets = _targets(service, gateways, journal)
    return Situation(
        service=service,
        baseline=_baseline(service, primary),
        running=running,
        endpoint=endpoint,
        expectation=expected,
        old_expectation=_before(endpoint, expected, before, journal),
        limit_seconds=_limit(
            inputs, settings.in_force(service, inputs), running.body, targets, journal
        ),
        targets=targets,
        unresolvable=_unresolvable(before),
    )


def find_service(inputs: Inputs, gateways: Gateways) -> Service:
    """The service as it is, or Blocked with what may have been meant."""
    try:
        return gateways.ecs.service(inputs.name)
    except AwsError as error:
        if error.refusal is Refusal.DENIED:
            raise _denied(inputs.name, error, gateways) from error
        if error.refusal is not Refusal.MISSING:
            raise
        identity = gateways.identity
        where = f"account {identity.account}, {identity.region}, cluster {inputs.cluster!r}"
        if "Cluster" in error.code:
            raise Blocked(
                f"There is no cluster {inputs.cluster!r}.",
                why=f"ECS knows none of that name in account {identity.account}, "
                f"{identity.region}.",
                fix="Correct `cluster`, or the region and the credentials.",
            ) from error
        raise Blocked(
            f"There is no service {inputs.name!r}.",
            why=f"ECS knows none of that name in {where}.",
            fix=_near(inputs.name, _service_names(gateways)),
        ) from error


def _denied(name: str, error: AwsError, gateways: Gateways) -> AwsError | Blocked:
    """A policy for one service also refuses a name that is misspelt."""
    names = _service_names(gateways)
    if not names or name in names:
        return error
    return Blocked(
        f"The service {name!r} cannot be read.",
        why=f"{error}. The cluster lists no such service, and a policy that names its services "
        "refuses all others, whether they exist or not.",
        fix=f"{_near(name, names)} If the name is right: {error.brief_fix}",
    )


def _service_names(gateways: Gateways) -> list[str]:
    try:
        return gateways.ecs.service_names()
    except AwsError:
        return []


def _near(name: str, names: Sequence[str]) -> str:
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    if near:
        return f"Correct `service`: did you mean {' or '.join(map(repr, near))}?"
    return "Correct `service`, `cluster` or `aws-region`."


def _check_kind(service: Service) -> None:
    if service.status != "ACTIVE":
        raise Blocked(
            f"The service {service.name!r} is {service.status}.",
            why="A service that is being deleted takes no deployment.",
            fix="Create the service again, or correct `service`.",
        )
    if service.controller != "ECS":
        raise Blocked(
            f"The service {service.name!r} has the deployment controller {service.controller}.",
            why="Only services that ECS itself deploys can be followed and rolled back here.",
            fix="Set `deploymentController` to `ECS`; AWS allows that for a running service.",
        )
    if service.strategy != "ROLLING":
        raise Blocked(
            f"The service {service.name!r} deploys with the strategy {service.strategy}.",
            why="Only rolling deployments can be followed and rolled back here.",
            fix="Set `deploymentConfiguration.strategy` to `ROLLING`.",
        )


def _settle(service: Service, inputs: Inputs, gateways: Gateways, journal: Journal) -> Service:
    """Wait for a deployment that is already on its way.

    A third deployment started while ECS rolls back can stall the service, and
    somebody else's release is not ours to replace. But a deployment whose tasks
    only fail would never settle, and replacing it is why people push a fix.
    """
    if not _is_moving(service):
        return service
    first = service.primary
    if inputs.when_busy == "fail":
        raise Blocked(
            f"Another deployment of {service.name!r} is on its way.",
            why="It was not started here, and `when-busy` is `fail`.",
            fix="Run the workflow again when it has settled, or set `when-busy: wait`.",
        )
    journal.say(
        f"a deployment of {revision_of(first.task_definition) if first else 'another revision'} "
        "is already on its way; waiting for it"
    )

    def look() -> Look[Service]:
        latest = gateways.ecs.service(inputs.name)
        primary = latest.primary
        if primary is None or not _is_moving(latest):
            return Look("it has settled", latest)
        line = f"{primary.running}/{primary.desired} running, {primary.failed_tasks} failed"
        return Look(line, latest if _is_failing(latest, primary, inputs, gateways) else None)

    limit = (inputs.rollout_timeout_minutes or SHORTEST_LIMIT / 60) * 60
    settled = watch(look, clock=gateways.clock, journal=journal, limit_seconds=limit)
    if settled is None:
        raise Blocked(
            f"Another deployment of {service.name!r} is still on its way.",
            why=f"It did not settle within {limit / 60:.0f} minutes, and it was not started here.",
            fix="Wait for it or stop it in ECS, then run the workflow again.",
        )
    if _is_moving(settled):
        journal.note(
            "The deployment that was on its way only fails; this release replaces it. "
            "A rollback would go to the last revision that worked."
        )
    return settled


def _is_moving(service: Service) -> bool:
    primary = service.primary
    return primary is not None and primary.rollout_state == "IN_PROGRESS"


def _is_failing(service: Service, primary: Deployment, inputs: Inputs, gateways: Gateways) -> bool:
    """Whether the deployment in flight is beyond hope. One that is a rollback never counts."""
    if "rolling back" in primary.reason.lower():
        return False
    try:
        tasks = gateways.ecs.tasks(gateways.ecs.task_arns(service.name, stopped=True))
    except AwsError:
        return primary.failed_tasks >= inputs.fail_after_stopped_tasks
    own = tuple(t for t in tasks if t.started_by == primary.id)
    return convict(own, inputs.fail_after_stopped_tasks) is not None


def _baseline(service: Service, primary: Deployment) -> Baseline:
    """What to go back to: the PRIMARY revision, unless it never worked and an older one did."""
    good = primary
    if primary.rollout_state != "COMPLETED":
        older = [d for d in service.deployments if d.rollout_state == "COMPLETED"]
        good = older[0] if older else primary
    return Baseline(
        task_definition=good.task_definition,
        deployment_ids=frozenset(d.id for d in service.deployments),
        service_deployment=service.current_service_deployment,
        desired=service.desired,
        configuration=service.configuration,
    )


def find_endpoint(
    inputs: Inputs, service: Service, gateways: Gateways, journal: Journal
) -> Endpoint | None:
    headers = dict(health.parse_header(line) for line in inputs.health_headers)
    if inputs.health_url:
        return Endpoint(url=inputs.health_url, headers=headers)
    if not inputs.health_path:
        return None
    groups = [lb.target_group_arn for lb in service.load_balancing if lb.target_group_arn]
    for arn in groups:
        if address := gateways.elbv2.address(arn):
            if address.internal:
                journal.note(
                    f"The load balancer {address.load_balancer} is internal: the runner must be "
                    "inside its network to reach it."
                )
            return Endpoint(
                url=address.base_url + inputs.health_path,
                headers=headers,
                found=f"`health-path` on load balancer {address.load_balancer}",
            )
    if inputs.has_partners and not groups:
        journal.note(f"{service.name} has no load balancer, so `health-path` is not asked of it.")
        return None
    raise Blocked(
        "`health-path` has no host to be asked from.",
        why="The service has no load balancer."
        if not groups
        else "No HTTP or HTTPS listener leads to the target group of the service.",
        fix="Set `health-url` to a full address, or remove `health-path`.",
    )


def expectation(inputs: Inputs) -> Expectation:
    """What the `health-*` inputs ask of an answer."""
    return Expectation(
        statuses=tuple(health.parse_status(s) for s in inputs.health_status),
        body=health.parse_body(inputs.health_body) if inputs.health_body else None,
        json=tuple(health.parse_json(line) for line in inputs.health_json),
    )


def _before(
    endpoint: Endpoint | None, expected: Expectation | None, before: Probe | None, journal: Journal
) -> Expectation | None:
    """Asked once before anything changes, to know what "as it was" means."""
    if endpoint is None or expected is None or before is None:
        return None
    was = expected.as_before(before.answer)
    if was is None and not _unresolvable(before):
        journal.note(
            f"The endpoint {endpoint.url} did not answer well before this release either "
            f"({before.problem}), so a rollback can only be verified by its tasks."
        )
    return was


def _unresolvable(before: Probe | None) -> str:
    """What the look-up of the name said, where it failed; the checks tell about it."""
    silence = before.silence if before else None
    return silence.detail if silence and silence.silence is Silence.DNS else ""


def _targets(service: Service, gateways: Gateways, journal: Journal) -> tuple[Target, ...]:
    """The settings of the target groups; AWS's defaults where they cannot be read."""
    found = []
    for balanced in service.load_balancing:
        target = Target()
        if balanced.target_group_arn is not None:
            try:
                timing = gateways.elbv2.timing(balanced.target_group_arn)
                target = Target(
                    check_interval=timing.check_interval,
                    deregistration_delay=timing.deregistration_delay,
                )
            except AwsError as error:
                journal.say(f"the target group's settings could not be read: {error}")
        found.append(target)
    return tuple(found)


def _limit(
    inputs: Inputs, service: Service, body: Json, targets: Sequence[Target], journal: Journal
) -> float:
    """Seconds that the rollout may take: the user's word, or twice what its settings add up to."""
    if inputs.rollout_timeout_minutes is not None:
        return inputs.rollout_timeout_minutes * 60
    expected = at_most(service, body, targets)
    limit = min(max(2 * expected, SHORTEST_LIMIT), LONGEST_LIMIT)
    journal.say(
        f"by its settings the rollout may take up to {expected / 60:.0f} min; "
        f"the limit is {limit / 60:.0f} min"
    )
    return limit
