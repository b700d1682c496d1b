"""The outside world. Only this folder may touch boto3, docker, sockets, processes or the clock."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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
    from deploy_action.model import Identity
    from deploy_action.ports import Builder, Clock, Concurrently, Engine, Http


@dataclass(frozen=True, slots=True, kw_only=True)
class Gateways:
    """Every door, built once by `app` and handed to the operation."""

    identity: Identity
    ecs: Ecs
    ecr: Ecr
    scans: Scans
    elbv2: Elbv2
    logs: Logs
    http: Http
    builder: Builder
    engine: Engine
    clock: Clock
    concurrently: Concurrently
    cloudwatch: CloudWatch
    sns: Sns
    # What follows is only looked through before a release.
    registries: Registries
    iam: Iam
    secrets: Secrets
    log_groups: LogGroups
    s3: S3
    ec2: Ec2
