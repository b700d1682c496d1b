"""Ordinary facts about a release, the doors of a simulated world, and what a check says."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from deploy_action.duration import Target
from deploy_action.gateways import Gateways
from deploy_action.gateways.aws import Clients
from deploy_action.gateways.cloudwatch import CloudWatch
from deploy_action.gateways.ec2 import Ec2
from deploy_action.gateways.ecr import Ecr
from deploy_action.gateways.ecs import Ecs
from deploy_action.gateways.elbv2 import Elbv2
from deploy_action.gateways.iam import Iam
from deploy_action.gateways.logs import LogGroups, Logs
from deploy_action.gateways.registries import Registries
from deploy_action.gateways.s3 import S3
from deploy_action.gateways.scans import Scans
from deploy_action.gateways.secrets import Secrets
from deploy_action.gateways.sns import Sns
from deploy_action.model import Baseline, Definition, Identity, Json, Lifetime, Service
from deploy_action.ports import in_turn
from deploy_action.preflight.check import PLACEHOLDER, Facts, Look, Outcome
from tests.scenarios.stage import SimulatedEngine
from tests.simulator import World
from tests.unit.builders import OLD_REVISION, SHA, START, old_deployment, read
from tests.unit.builders import service as ordinary_service

ACCOUNT, REGION = "123456789012", "eu-west-1"
REGISTRY = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
ROLES = f"arn:aws:iam::{ACCOUNT}:role/"
SECRET = f"arn:aws:secretsmanager:{REGION}:{ACCOUNT}:secret:"


def container(name: str = "web", **fields: Any) -> Json:  # noqa: ANN401 - as ECS has it
    return {
        "name": name, "image": PLACEHOLDER, "portMappings": [{"containerPort": 8080}], **fields,
    }  # fmt: skip


def body(*containers: Json, **fields: Any) -> Json:  # noqa: ANN401 - as ECS has it
    """A small Fargate definition."""
    return {
        "family": "web",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
        "cpu": "256",
        "memory": "512",
        "executionRoleArn": ROLES + "ecsTaskExecutionRole",
        "containerDefinitions": list(containers) or [container()],
        **fields,
    }


def service(**differences: Any) -> Service:  # noqa: ANN401 - as the dataclass
    """A service on Fargate that is at rest."""
    settled = old_deployment(status="PRIMARY")
    return ordinary_service(settled, **{"launch_types": ("FARGATE",), **differences})


def facts(
    *,
    given: Mapping[str, str] | None = None,
    **differences: Any,  # noqa: ANN401 - as Facts
) -> Facts:
    """A release of a new image to two tasks; `given` are inputs."""
    ordinary: dict[str, Any] = {
        "inputs": read(**(given or {})),
        "identity": Identity(
            account=ACCOUNT,
            arn=f"arn:aws:sts::{ACCOUNT}:assumed-role/deploy/session",
            region=REGION,
            credentials=Lifetime(is_renewed=True, is_temporary=True),
        ),
        "now": START,
        "service": service(),
        "running": Definition(arn=OLD_REVISION, status="ACTIVE", body=body()),
        "baseline": Baseline(
            task_definition=OLD_REVISION,
            deployment_ids=frozenset(),
            service_deployment=None,
            desired=2,
        ),
        "body": body(),
        "containers": ("web",),
        "repository": None,
        "tag": SHA,
        "platform": "linux/amd64",
        "targets": (Target(),),
        "limit_seconds": 900.0,
    }
    return Facts(**{**ordinary, **differences})


def doors(world: World) -> Gateways:
    """Real gateways, with the simulated AWS behind them."""
    session = world.session()
    clients = Clients(session)
    return Gateways(
        identity=facts().identity,
        ecs=Ecs(session, "prod"),
        ecr=Ecr(session, None, world.http),
        scans=Scans(session, None),
        elbv2=Elbv2(session),
        logs=Logs(session),
        http=world.http,
        builder=world.builder,
        engine=SimulatedEngine(),
        clock=world.clock,
        concurrently=in_turn,
        cloudwatch=CloudWatch(clients),
        sns=Sns(clients),
        registries=Registries(clients, world.http, None),
        iam=Iam(clients),
        secrets=Secrets(clients),
        log_groups=LogGroups(clients),
        s3=S3(clients),
        ec2=Ec2(clients),
    )


def said(looks: Iterable[Look]) -> list[Outcome]:
    """What all looks of a check find."""
    return [outcome for look in looks for outcome in look()]


def words(outcomes: Iterable[Outcome]) -> list[str]:
    """`Passed: …`: each outcome in one line, with everything that a user reads."""
    return [
        f"{type(o).__name__}: " + " ".join(str(getattr(o, f)) for f in o.__slots__)
        for o in outcomes
    ]


def kinds(outcomes: Iterable[Outcome]) -> list[str]:
    return [type(outcome).__name__ for outcome in outcomes]
