"""The service: whether its tasks can move at all, and what its settings ask of the definition."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from deploy_action.duration import room
from deploy_action.model import Json
from deploy_action.preflight.check import Facts, Outcome, Passed, Refused, Warned, listed


def movement(facts: Facts) -> Iterable[Outcome]:
    """Whether a deployment can exchange the tasks."""
    service, desired = facts.service, facts.desired
    low, high = service.minimum_healthy_percent, service.maximum_percent
    primary = service.primary
    if primary is not None and primary.rollout_state == "IN_PROGRESS":
        yield Warned(
            "A deployment that only fails is in flight; this release replaces it.",
            "Nothing, if that is what you want.",
        )
    if desired == 0:
        yield Warned(
            f"{service.name} wants 0 tasks: nothing will run, so nothing can be verified.",
            "Set `desired-count`, or scale the service before the release.",
        )
        return
    if service.scheduling == "REPLICA" and room(service, desired) < 1:
        yield _stuck(facts)
        return
    if service.running < service.desired:
        yield Warned(
            f"Only {service.running} of {service.desired} tasks run before this release.",
            "Look at the events of the service: a rollback would bring this state back.",
        )
    yield Passed(
        f"ACTIVE, {service.running}/{service.desired} tasks run; between {low} % and {high} % of "
        f"{desired} while it moves"
    )


def _stuck(facts: Facts) -> Refused:
    service, desired = facts.service, facts.desired
    low, high = service.minimum_healthy_percent, service.maximum_percent
    return Refused(
        f"{service.name} can never exchange its tasks.",
        f"With {desired} task{'s' if desired > 1 else ''} wanted, `minimumHealthyPercent` {low} "
        f"and `maximumPercent` {high} let ECS neither stop nor start one.",
        f"Set `maximum-percent` to {_enough(facts)} or more, or `minimum-healthy-percent` lower; "
        "without these inputs the service's own settings count.",
    )


def _enough(facts: Facts) -> int:
    """The lowest maximum that makes room for one task."""
    tried = range(100, 201)
    return next(
        (p for p in tried if room(replace(facts.service, maximum_percent=p), facts.desired) > 0),
        200,
    )


def breaker(facts: Facts) -> Iterable[Outcome]:
    """Whether ECS itself would stop a deployment whose tasks fail."""
    if facts.service.has_breaker:
        yield Passed("the deployment circuit breaker is on")
        return
    yield Warned(
        "The deployment circuit breaker is off: should this job be lost, ECS would start failing "
        "tasks for ever.",
        "Set `circuit-breaker: rollback`.",
    )


def mappings(facts: Facts) -> Iterable[Outcome]:
    """Whether the new revision still has the containers and ports that others are led to."""
    service = facts.service
    wanted = [("load balancer", lb.container, lb.port) for lb in service.load_balancing]
    wanted += [("service registry", r.container, r.port) for r in service.registrations]
    by_name = {str(d.get("name")): d for d in facts.definitions}
    found = []
    for kind, name, port in wanted:
        if name is None:
            continue
        if name not in by_name:
            yield Refused(
                f"The {kind} leads to the container {name!r}, which the new revision lacks.",
                f"It has {listed(map(repr, by_name)) if by_name else 'none'}.",
                f"Name the container {name!r} again, or change the {kind} of the service.",
            )
        elif port is not None and not _has_port(by_name[name], port):
            yield Refused(
                f"The {kind} leads to port {port} of {name!r}, which the new revision lacks.",
                f"Its `portMappings` hold {_ports(by_name[name])}.",
                f"Add `containerPort: {port}` to {name!r}, or change the {kind} of the service.",
            )
        else:
            found.append(f"{name}:{port}" if port else name)
    named = {p.get("name") for d in facts.definitions for p in d.get("portMappings") or []}
    for port_name in service.connected_ports:
        if port_name not in named:
            yield Refused(
                f"Service Connect offers the port {port_name!r}, which the new revision lacks.",
                "No entry of its `portMappings` has that name.",
                f"Give the port the name {port_name!r} again, or change Service Connect.",
            )
    if found:
        yield Passed(f"leads to {listed(dict.fromkeys(found))}, which the new revision has")


def _has_port(container: Json, port: int) -> bool:
    for mapping in container.get("portMappings") or []:
        first, dash, last = str(mapping.get("containerPortRange") or "").partition("-")
        if mapping.get("containerPort") == port:
            return True
        if dash and int(first) <= port <= int(last):
            return True
    return False


def _ports(container: Json) -> str:
    mappings = container.get("portMappings") or []
    shown = [str(m.get("containerPort") or m.get("containerPortRange")) for m in mappings]
    return listed(shown) if shown else "none"
