"""The task runs and a check finds it not well: load balancer, container check, our own probe.

Texts: "Target health status" of the ELB user guide, service events of the ECS developer
guide, and for our own probe `health` and `verify` of this program.
"""

from __future__ import annotations

import re
from dataclasses import replace

from deploy_action.diagnosis.crash import crashes
from deploy_action.diagnosis.rule import Finding, Rank, Rule, Says, Where, own_stops, proof, texts
from deploy_action.evidence import Evidence
from deploy_action.model import Task
from deploy_action.rollout import HEALTH_STOPS, describe_stop, stop_text

ELB = Where.TARGET | Where.EVENT | Where.STOP
_UNWELL = re.compile(
    r"unhealthy|failed (?:ELB|container) health"
    r"|health checks? failed",
    re.IGNORECASE,
)
_WELL = re.compile(r"has reached a steady state|deployment completed", re.IGNORECASE)
_LOCAL = re.compile(
    r"(?:listen|runn|serv|start|bound|bind|ready|available|local)\w*.{0,80}?"
    r"(?:127\.0\.0\.1|localhost|\[::1\])(?::\d+)?",
    re.IGNORECASE,
)
_CODE = r"(?:codes?:? ?\[?(?:\d{{3}}, ?)*|answered |status(?: code)?:? )(?P<code>{0})\b"


def is_unwell(evidence: Evidence) -> bool:
    """Whether some check still finds a task not well."""
    unwell = any(task.health == "UNHEALTHY" for task in evidence.running)
    if evidence.targets or evidence.problem or unwell:
        return True
    if any(_is_health_stop(task) for task in own_stops(evidence)):
        return True
    return any(map(_UNWELL.search, evidence.events)) and not _got_well(evidence)


def _is_health_stop(task: Task) -> bool:
    return any(part in stop_text(task).lower() for part in HEALTH_STOPS) or bool(
        re.search(r"is unhealthy in|failed .{0,20}health check", stop_text(task))
    )


def _got_well(evidence: Evidence) -> bool:
    """Whether the service said so after it last called a task unhealthy."""
    unwell = [i for i, event in enumerate(evidence.events) if _UNWELL.search(event)]
    well = [i for i, event in enumerate(evidence.events) if _WELL.search(event)]
    return bool(unwell and well) and well[-1] > unwell[-1]


def current(rule: Rule) -> Rule:
    """The rule, as long as the trouble has not passed."""

    def look(evidence: Evidence) -> Finding | None:
        if evidence.targets or not _got_well(evidence):
            return rule(evidence)
        return rule(replace(evidence, events=()))

    return look


def only_here(evidence: Evidence) -> Finding | None:
    """The application listens on an address that nobody outside its container can reach."""
    if not is_unwell(evidence) or crashes(evidence):
        return None
    for text in texts(evidence, Where.LOG):
        found = _LOCAL.search(text.raw)
        if found and not re.search(
            r"connect|proxy|upstream|database|redis|0\.0\.0\.0", text.raw, re.IGNORECASE
        ):
            return Finding(
                name="listens-on-localhost",
                cause="The application listens on 127.0.0.1, where only its own task reaches it.",
                proof=proof(text.shown, found[0]),
                fix="Listen on 0.0.0.0 (all addresses): an option or variable such as `--host` "
                "or `HOST`.",
                row=88,
                rank=Rank.RUNNING,
                distance=-1,
            )
    return None


def container_check(evidence: Evidence) -> Finding | None:
    """The check in the task definition fails."""
    proofs = [
        f"task {t.id}: {describe_stop(t)}"
        for t in reversed(own_stops(evidence))
        if "failed container health checks" in stop_text(t).lower()
    ]
    for task in evidence.running:
        unwell = [c.name for c in task.containers if c.health == "UNHEALTHY"]
        if unwell or task.health == "UNHEALTHY":
            proofs.append(f"task {task.id}: container {(unwell or ['?'])[0]!r} is UNHEALTHY")
    proofs += [e for e in evidence.events if "failed container health checks" in e.lower()]
    if "says UNHEALTHY" in evidence.problem:
        proofs.append(evidence.problem)
    if not proofs:
        return None
    return Finding(
        name="container-health-check",
        cause="The health check in the task definition finds its container not well.",
        proof=proof(proofs[0], ""),
        fix="Run the command of `healthCheck` in the image: it must exist there (slim images have "
        "no curl or wget), ask the right port and path on localhost, and exit with 0. Give a "
        "slow start a `startPeriod`.",
        row=87,
        rank=Rank.CHECKED,
    )


def _asked(rule: Rule) -> Rule:
    """The rule, with what the load balancer asks added to its cause."""

    def look(evidence: Evidence) -> Finding | None:
        found = rule(evidence)
        if not found or not evidence.checks:
            return found
        check = evidence.checks[0]
        codes = f" and expects {check.codes}" if check.codes else ""
        port = "" if check.port == "traffic-port" else f" on port {check.port}"
        asked = f" The load balancer makes {check.question}{port}{codes}."
        return replace(found, cause=found.cause + asked)

    return current(look)


def _code(name: str, codes: str, cause: str, fix: str, row: int = 89) -> Rule:
    return _asked(
        Says(
            name=name,
            row=row,
            where=ELB | Where.PROBLEM,
            pattern=_CODE.format(codes),
            cause=cause,
            fix=fix,
            rank=Rank.CHECKED,
        )
    )


def passed(evidence: Evidence) -> Finding | None:
    """Once unhealthy, then well: no reason for anything."""
    if evidence.targets or not _got_well(evidence):
        return None
    event = next(e for e in reversed(evidence.events) if _UNWELL.search(e))
    return Finding(
        name="slow-warm-up",
        cause="A task was unhealthy for a moment and became well.",
        proof=proof(f"event: {event}", ""),
        fix="Give the service a health check grace period as long as its start takes.",
        row=94,
        rank=Rank.PASSED,
    )


RULES: tuple[Rule, ...] = (
    only_here,
    container_check,
    _code(
        "health-redirect", r"30[1-378]",
        "The health check is answered with {code}, a redirect, most often to HTTPS or to a login.",
        "Answer the health path directly, without redirect, also over plain HTTP and for any "
        "host; or use the path it redirects to; or let the codes of the target group include it.",
    ),
    _code(
        "health-path", r"404|405|410",
        "The health check asks a path that the application does not have ({code}).",
        "Correct the path of the target group's health check (or `health-path`), or serve it.",
    ),
    _code(
        "health-login", r"401|403|407",
        "The health check is refused for want of a login or right ({code}).",
        "Let the health path be asked without a login, or ask another one.",
    ),
    _code(
        "health-host", r"400|421",
        "The application refuses the health check as a bad request ({code}); most often it does "
        "not accept the host name, which is the task's own address here.",
        "Let the application accept any host on the health path (Django: ALLOWED_HOSTS; Rails: "
        "config.hosts).",
    ),
    _code(
        "health-throttled", r"429",
        "The application limits how often it may be asked, the health check included ({code}).",
        "Take the health path out of the rate limit.",
    ),
    _code(
        "no-healthy-target", r"50[234]",
        "The answer is {code}: the application, or what it depends on, is not ready; from a load "
        "balancer it means that no healthy task stands behind it.",
        "Look at the log of the application. During a rollout: end on SIGTERM only after the "
        "load balancer has let go, with keep-alive longer than its idle timeout.",
        96,
    ),
    _code(
        "health-error", r"5\d\d",
        "The application answers the health check with an error ({code}).",
        "Look at the log of the application: something that it depends on is not there.",
    ),
    _code(
        "health-codes", r"[1-5]\d\d",
        "The health check is answered with {code}, which does not count as healthy.",
        "Correct the path of the health check, or the codes that the target group accepts.",
    ),
    _asked(Says(
        name="health-timeout",
        row=88,
        where=ELB | Where.PROBLEM,
        pattern=r"Target\.Timeout|Request timed out|Connection (?:to target )?timed out"
        r"|no answer within|health check timed out|timed? ?out.{0,40}health check",
        cause="The health check gets no answer in time.",
        fix="Let the security group of the tasks accept the load balancer's on that port; listen "
        "on 0.0.0.0 and on the port of the target; give a slow start a grace period "
        "(`healthCheckGracePeriodSeconds`).",
        rank=Rank.CHECKED,
    )),
    _asked(Says(
        name="target-missing",
        row=92,
        where=ELB | Where.REFUSAL | Where.DEPLOYMENT,
        pattern=r"Target\.NotRegistered|target group.{0,80}(?:not found|does not exist|was deleted)"
        r"|TargetGroupNotFound|does not have an associated load balancer",
        cause="The target group of the service is gone, or the task is not registered in it.",
        fix="Point the service to a target group that exists and belongs to a load balancer.",
        rank=Rank.CHECKED,
    )),
    _asked(Says(
        name="target-unused",
        row=91,
        where=ELB,
        pattern=r"Target\.NotInUse|not configured to receive traffic|unused",
        cause="The target group gets no traffic: no listener leads to it, or the load balancer is "
        "not in the task's zone.",
        fix="Add a listener rule that forwards to the target group, and enable the zones of the "
        "task's subnets on the load balancer.",
        rank=Rank.CHECKED,
    )),
    _asked(Says(
        name="target-unusable",
        row=93,
        where=ELB,
        pattern=r"Target\.IpUnusable|Target\.InvalidState|cannot be used as a target"
        r"|in the stopped state|terminated state",
        cause="The address of the task cannot be a target, or its instance does not run.",
        fix="Start the task on another instance or in another subnet; a new deployment does it.",
        rank=Rank.CHECKED,
    )),
    _asked(Says(
        name="health-failed",
        row=90,
        where=ELB | Where.PROBLEM,
        pattern=r"Target\.FailedHealthChecks|Health checks failed(?! with)|connection was refused"
        r"|connection broke|connection refused|Connection reset",
        unless=r"with these codes",
        cause="The health check is refused or answered by something that is not the application.",
        fix="Compare the port that the application listens on with `containerPort` and the port "
        "of the health check, and HTTP with HTTPS; listen on 0.0.0.0.",
        rank=Rank.CHECKED,
    )),
    Says(
        name="endpoint-name",
        row=95,
        where=Where.PROBLEM,
        pattern=r"name cannot be resolved|TLS handshake failed",
        cause="The endpoint could not be asked by its name.",
        fix="Correct the host in `health-url`: its DNS record, and the certificate for it.",
        rank=Rank.CHECKED,
    ),
    Says(
        name="wrong-version",
        row=95,
        where=Where.PROBLEM,
        pattern=r"(?:expected|is not the image of this release|are not of|does not (?:match"
        r"|contain))",
        cause="The endpoint answers, but not as the new version should.",
        fix="If the answer is the old version's, something stands between: a cache, another "
        "listener rule, DNS. Else correct the application or the `health-*` inputs.",
        rank=Rank.CHECKED,
    ),
    _asked(Says(
        name="health-failed",
        row=90,
        where=Where.STOP | Where.EVENT,
        pattern=r"failed ELB health checks|is unhealthy in",
        cause="The load balancer finds the task not well.",
        fix="Ask the health path from inside the task: port, path, answer. Look at the reason in "
        "the target group, and give a slow start a grace period.",
        rank=Rank.CHECKED,
    )),
    passed,
)  # fmt: skip
