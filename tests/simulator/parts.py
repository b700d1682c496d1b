"""The working parts of one simulated world, put together once."""

from __future__ import annotations

from dataclasses import dataclass

from .core import Core
from .ecr import Ecr
from .ecs_definitions import EcsDefinitions
from .ecs_services import EcsServices
from .ecs_tasks import EcsTasks
from .elbv2 import Elbv2
from .logs import Logs
from .registry import Registry
from .rollouts import Rollouts
from .scheduler import Scheduler
from .small_services import (
    S3,
    ApplicationAutoscaling,
    CloudWatch,
    Ec2,
    Iam,
    SecretsManager,
    Sns,
    Ssm,
    Sts,
)
from .targets import Targets
from .task_life import TaskLife
from .wire import Service


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What the world's verbs work with."""

    core: Core
    registry: Registry
    targets: Targets
    life: TaskLife
    rollouts: Rollouts
    scheduler: Scheduler
    services: EcsServices
    definitions: EcsDefinitions


def assemble(core: Core) -> Parts:
    targets = Targets(core)
    life = TaskLife(core, targets)
    rollouts = Rollouts(core)
    scheduler = Scheduler(core, rollouts, life, targets)
    return Parts(
        core=core,
        registry=Registry(core),
        targets=targets,
        life=life,
        rollouts=rollouts,
        scheduler=scheduler,
        services=EcsServices(core, rollouts, scheduler),
        definitions=EcsDefinitions(core),
    )


def services_of(parts: Parts) -> dict[str, Service]:
    """Every simulated service, by the service id that botocore's events carry."""
    core = parts.core
    ecs = (parts.services, parts.definitions, EcsTasks(core, parts.life))
    return {
        "ecs": Service("ecs", ecs),
        "ecr": Service("ecr", (Ecr(parts.registry),)),
        "elastic-load-balancing-v2": Service("elbv2", (Elbv2(),)),
        "cloudwatch-logs": Service("logs", (Logs(),)),
        "sts": Service("sts", (Sts(core),)),
        "cloudwatch": Service("cloudwatch", (CloudWatch(),)),
        "iam": Service("iam", (Iam(),)),
        "secrets-manager": Service("secretsmanager", (SecretsManager(),)),
        "sns": Service("sns", (Sns(),)),
        "ssm": Service("ssm", (Ssm(),)),
        "s3": Service("s3", (S3(),)),
        "ec2": Service("ec2", (Ec2(),)),
        "application-auto-scaling": Service("application-autoscaling", (ApplicationAutoscaling(),)),
    }
