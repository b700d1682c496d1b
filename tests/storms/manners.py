"""Invariants I9 to I15: how a deployer behaves, whatever its verdict is."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from tests.storms.facts import FATAL, forward, frame, own_definitions
from tests.storms.trial import CANARIES, Trial

MAY_WRITE = {
    "ecs:RegisterTaskDefinition", "ecs:UpdateService", "ecs:StopServiceDeployment",
    "ecr:PutImage", "builder:build_and_push",
}  # fmt: skip
READS = ("Describe", "List", "Get", "BatchGet", "Simulate", "get")
BUDGETS = {
    "ecs:DescribeServices": "service read", "ecs:ListServices": "service read",
    "ecs:UpdateService": "service modify",
    "ecs:ListServiceDeployments": "service deployment",
    "ecs:DescribeServiceDeployments": "service deployment",
    "ecs:StopServiceDeployment": "service deployment",
    "ecs:ListTasks": "cluster read", "ecs:DescribeTasks": "cluster read",
    "ecs:RegisterTaskDefinition": "definition modify",
    "ecs:DescribeTaskDefinition": "definition read",
}  # fmt: skip
BURST, PER_SECOND = 15.0, 2.0
"""Of each bucket of AWS: a tenth of what ten deployments at once may take together."""
EARLY_SECONDS = 12.0


def i9_no_secret(trial: Trial) -> Iterator[str]:
    """No planted secret in anything that is written, but where the runner is told to mask it."""
    secrets = CANARIES | {
        f"ECR password {n}": value for n, value in enumerate(trial.world.state.registry_passwords)
    }
    for run in trial.runs:
        lines = run.outcome.log.splitlines()
        log = "\n".join(line for line in lines if not line.startswith("::add-mask::"))
        written = {
            "log": log,
            "outputs": str(run.outcome.outputs),
            "summary": run.outcome.summary,
            "report": str(run.outcome.report),
            "state": run.state,
        }
        for name, secret in secrets.items():
            for place, text in written.items():
                if secret in text:
                    yield f"the {name} is in the {place} of the {run.step} step"


def i10_converges(trial: Trial) -> Iterator[str]:
    """Running again comes to the same end and builds nothing twice."""
    mains = [run for run in trial.runs if run.step == "main"]
    pushed = trial.world.history.of("image-pushed")
    own = [change for change in pushed if change.actor == "client"]
    if len(mains) > 1 and len(own) > 1 and not trial.may_build_twice:
        yield f"{len(own)} images were built for one commit"
    if len(mains) > 1 and trial.ends_well is not None:
        good = mains[-1].verdict in {"deployed", "restarted", "unchanged"}
        if good is not trial.ends_well:
            yield f"the second run ended with {mains[-1].verdict!r}"


def i11_only_known_writes(trial: Trial) -> Iterator[str]:
    """No call that changes anything but the few that a release is made of; no task is stopped."""
    for call in trial.world.history.calls:
        if not call.operation.startswith(READS) and call.name not in MAY_WRITE:
            yield f"called {call.name}"
        if call.name == "ecs:UpdateService":
            extra = set(call.params) - {
                "cluster", "service", "taskDefinition", "forceNewDeployment",
            }  # fmt: skip
            if extra:
                yield f"UpdateService sent {', '.join(sorted(extra))}"


def i12_early(trial: Trial) -> Iterator[str]:
    """A crash on start is undone within seconds of the second own stopped task."""
    if trial.struck or trial.may_leave:
        return
    ours = forward(trial, trial.runs[0])
    if ours is None:
        return
    stopped = sorted(
        task.stopped_at
        for task in trial.world.state.tasks.values()
        if task.started_by == ours.id and task.stopped_at and task.stop_code in FATAL
    )
    ends = [c.time for c in trial.world.history.of("deployment-ended") if c.detail["id"] == ours.id]
    if len(stopped) > 1 and ends and (ends[0] - stopped[1]).total_seconds() > EARLY_SECONDS:
        yield f"given up {(ends[0] - stopped[1]).total_seconds():.0f} s after the second stop"


def i13_nothing_else_changed(trial: Trial) -> Iterator[str]:
    """Desired count, autoscaling, settings and all other fields of the definition are kept."""
    service, history = trial.world.state.service("web"), trial.world.history
    if history.of("service-deleted"):
        return
    scaled = [change.detail["after"] for change in history.of("desired-changed")]
    desired = [trial.service_before.desired, *scaled][-1]
    if service.desired != desired:
        yield f"desired was {desired} and is {service.desired}"
    if trial.world.state.service("api").primary.id != trial.neighbour:
        yield "another service of the cluster was touched"
    after = frame(service)
    for name, value in frame(trial.service_before).items():
        if after[name] != value:
            yield f"{name} was {value} and is {after[name]}"
    for arn in own_definitions(trial):
        body = trial.world.state.task_definitions[arn].body
        if _without_image(body) != _without_image(trial.body_before):
            yield f"{arn} differs in more than its image"


def _without_image(body: dict[str, Any]) -> dict[str, Any]:
    containers = [{**each, "image": ""} for each in body["containerDefinitions"]]
    return {**body, "containerDefinitions": containers}


def i14_diagnostics_decide_nothing(trial: Trial) -> Iterator[str]:
    """A refused read of mere evidence leaves the verdict as it is without the refusal."""
    verdict = trial.runs[trial.struck_run].verdict
    if trial.expected is not None and verdict not in trial.expected:
        yield f"{verdict!r} instead of {' or '.join(sorted(trial.expected))}"


def i15_in_budget(trial: Trial) -> Iterator[str]:
    """No bucket of AWS is asked faster than a good neighbour may."""
    tokens: dict[str, tuple[float, datetime]] = {}
    for call in trial.world.history.calls:
        bucket = BUDGETS.get(call.name)
        if bucket is None:
            continue
        left, since = tokens.get(bucket, (BURST, call.time))
        left = min(BURST, left + PER_SECOND * (call.time - since).total_seconds()) - 1
        tokens[bucket] = left, call.time
        if left < 0:
            yield f"the bucket {bucket!r} is asked too fast at call {call.index}"
            return


def no_bug(trial: Trial) -> Iterator[str]:
    """The program meets no exception that it does not know."""
    for run in trial.runs:
        if "please report it" in run.outcome.log:
            yield "a check of the preflight crashed"
        if run.code == 1:
            yield f"the {run.step} step crashed: " + run.outcome.log[-1500:]
