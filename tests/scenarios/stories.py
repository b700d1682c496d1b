"""Runs that together make every call the program can make, each with the end it must have."""

from __future__ import annotations

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from deploy_action.policy import DECLARED, Names, generate
from tests.scenarios.stage import CRASHING, GOOD, SHA, Outcome, Stage
from tests.simulator import Behaviour, OneOff, Quirks, World, faults
from tests.simulator.given import EXECUTION_ROLE, TASK_ROLE

NAMES = Names(
    region="eu-west-1",
    account="123456789012",
    cluster="prod",
    services=("web",),
    families=("web",),
    repositories=("web", "mirror/*"),
    log_groups=("/ecs/web",),
    roles=(EXECUTION_ROLE, TASK_ROLE),
    topics=("arn:aws:sns:eu-west-1:123456789012:releases",),
    secrets=("arn:aws:secretsmanager:eu-west-1:123456789012:secret:token-*",),
    sources=("staging",),
    inputs=tuple({permission.only_with for permission in DECLARED.values()} - {""}),
)
POLICY = generate(NAMES)
READS_ONLY = generate(NAMES, reads_only=True)

INTERRUPTED = 128 + signal.SIGINT
Story = Callable[[Stage], Outcome]


LATE = Quirks(service_deployment_visible_after=8.0)
"""The service does not name its record at once, so it has to be looked for."""


def tell(story: Story, folder: Path, policy: dict[str, Any]) -> tuple[Outcome, Stage]:
    """Run a story where IAM obeys this policy."""
    folder.mkdir()
    world = World(snapshots=False, quirks=LATE)
    stage = Stage(folder, world=world)
    world.obey(policy)
    return story(stage), stage


def release(stage: Stage) -> Outcome:
    return stage.deploy()


def again(stage: Stage) -> Outcome:
    """What the first run built is found and used."""
    stage.deploy()
    return stage.deploy()


def scale(stage: Stage) -> Outcome:
    stage.deploy()
    return stage.deploy(desired_count="2")


def given_image(stage: Stage) -> Outcome:
    image = stage.world.image("web", tag="v7", behaviour=GOOD)
    return stage.deploy(image=image.by_tag, ecr_repository="")


def promotion(stage: Stage) -> Outcome:
    """From a repository that may only be read."""
    stage.world.repository("staging")
    image = stage.world.image("staging", tag="v7", behaviour=GOOD)
    return stage.deploy(image=image.by_tag)


def new_repository(stage: Stage) -> Outcome:
    return stage.deploy(ecr_repository="mirror/web", create_repository="true")


def scanned(stage: Stage) -> Outcome:
    """No push begins a scan, so it is asked for."""
    stage.world.state.repositories["web"].scan_on_push = False
    return stage.deploy(scan_severity="high")


def from_file(stage: Stage) -> Outcome:
    definition = {
        "family": "web",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": f"arn:aws:iam::123456789012:role/{EXECUTION_ROLE}",
        "containerDefinitions": [
            {"name": "web", "image": "x", "portMappings": [{"containerPort": 8080}]}
        ],
    }
    (stage.workspace / "task.json").write_text(json.dumps(definition))
    return stage.deploy(task_definition="task.json")


def by_targets(stage: Stage) -> Outcome:
    return stage.deploy(health_path="", health_json="")


def crash(stage: Stage) -> Outcome:
    stage.world.builder.behaviour = CRASHING
    return stage.deploy()


def wrong_answer(stage: Stage) -> Outcome:
    stage.world.builder.behaviour = Behaviour(
        json={"version": SHA}, paths={"/health": (200, '{"version": "another"}')}
    )
    return stage.deploy()


def migrated(stage: Stage) -> Outcome:
    return stage.deploy(pre_deploy_command="./migrate")


def cut_off_migration(stage: Stage) -> Outcome:
    """Killed while the command ran, and stopped by the post step."""
    stage.world.builder.behaviour = replace(GOOD, one_off=OneOff(seconds=500))
    stage.world.faults.append(faults.on("logs:GetLogEvents", faults.killed_before()))
    try:
        return stage.deploy(pre_deploy_command="./migrate")
    except faults.Killed:
        return stage.finish()


def secret(stage: Stage) -> Outcome:
    return stage.deploy(secrets=f"TOKEN={stage.world.secret('token')}")


def pull_through(stage: Stage) -> Outcome:
    """A sidecar whose image ECR would fetch at the first pull."""
    stage.world.state.pull_through_prefixes.append("mirror")
    sidecar = {"name": "envoy", "image": stage.old.by_tag.replace("/web:", "/mirror/envoy:")}
    patch = json.dumps({"containerDefinitions": [sidecar]})
    return stage.deploy(operation="plan", task_definition_patch=patch)


def rollback(stage: Stage) -> Outcome:
    stage.deploy()
    return stage.deploy(operation="rollback", ecr_repository="")


def rollback_to_nothing(stage: Stage) -> Outcome:
    """What there is instead is named."""
    return stage.deploy(operation="rollback", ecr_repository="", rollback_to="99")


def restart(stage: Stage) -> Outcome:
    return stage.deploy(operation="restart", ecr_repository="", health_json="")


def alarms(stage: Stage) -> Outcome:
    stage.world.alarm("errors")
    return stage.deploy(alarms="errors")


def notice(stage: Stage) -> Outcome:
    return stage.deploy(notify=stage.world.topic("releases"))


def check(stage: Stage) -> Outcome:
    stage.deploy()
    return stage.deploy(operation="verify")


def misspelt(stage: Stage) -> Outcome:
    return stage.deploy(service="wep")


def cancelled(stage: Stage) -> Outcome:
    """Cut off in mid-rollout, and finished by the post step."""
    stage.world.at(60, lambda: signal.raise_signal(signal.SIGINT))
    first = stage.deploy()
    return stage.finish() if first.code == INTERRUPTED else first


STORIES: dict[str, tuple[Story, str]] = {
    "release": (release, "deployed"),
    "again": (again, "unchanged"),
    "scale": (scale, "unchanged"),
    "given image": (given_image, "deployed"),
    "promotion": (promotion, "deployed"),
    "new repository": (new_repository, "deployed"),
    "scanned": (scanned, "deployed"),
    "from file": (from_file, "deployed"),
    "by targets": (by_targets, "deployed"),
    "crash": (crash, "rolled-back"),
    "wrong answer": (wrong_answer, "unhealthy"),
    "migrated": (migrated, "deployed"),
    "cut off migration": (cut_off_migration, ""),
    "secret": (secret, "deployed"),
    "pull through": (pull_through, "planned"),
    "rollback": (rollback, "deployed"),
    "rollback to nothing": (rollback_to_nothing, "blocked"),
    "restart": (restart, "restarted"),
    "alarms": (alarms, "deployed"),
    "notice": (notice, "deployed"),
    "check": (check, "verified"),
    "misspelt": (misspelt, "blocked"),
    "cancelled": (cancelled, ""),
}
"""Name to the story and its verdict; a post step that put the service back has none."""
