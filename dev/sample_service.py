"""The AWS side of a small web service, made on MiniStack for the demo and the tests.

What a team would have before it adds this action to its workflow: a cluster, a repository,
a load balancer with its listener and target group, a log group, and a service that already
runs a first version.
"""

import json
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import boto3

from dev import sample_application
from dev.ministack import ACCOUNT, REGION, MiniStack

if TYPE_CHECKING:
    from mypy_boto3_ecr import ECRClient
    from mypy_boto3_ecs import ECSClient
    from mypy_boto3_ecs.type_defs import DeploymentConfigurationTypeDef, ServiceTypeDef, TaskTypeDef
    from mypy_boto3_elbv2 import ElasticLoadBalancingv2Client
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_logs import CloudWatchLogsClient

CLUSTER: Final = "demo"
PORT: Final = 8080
_SUBNETS: Final = ["subnet-00000001", "subnet-00000002"]
# Room for the old task, a failing new one and the restored one. AWS would do with 200 %;
# MiniStack never looks again at a deployment that once had no room for its first task.
_ROOM: "Final[DeploymentConfigurationTypeDef]" = {
    "maximumPercent": 300,
    "minimumHealthyPercent": 100,
}
# A task needs about a second to start and another to count as stable.
_SETTLE_LIMIT: Final = 60.0


@dataclass(frozen=True)
class Clients:
    """The AWS clients, bound to one emulator."""

    ecs: "ECSClient"
    ecr: "ECRClient"
    elbv2: "ElasticLoadBalancingv2Client"
    logs: "CloudWatchLogsClient"
    iam: "IAMClient"


@dataclass(frozen=True)
class SampleService:
    """A service that runs, and questions about what is really there."""

    name: str
    clients: Clients
    emulator: MiniStack

    @property
    def health_url(self) -> str:
        """The health page behind the load balancer."""
        return f"{self.emulator.balancer(self.name)}/health"

    @property
    def image_repository(self) -> str:
        """The image name without tag, as the engine pulls it."""
        return f"{self.emulator.registry}/{self.name}"

    def task_definition(self) -> str:
        """The revision the service is set to."""
        return self._described()["taskDefinition"]

    def deployments(self) -> int:
        """How many deployments are listed: more than one while something is moving."""
        return len(self._described()["deployments"])

    def image_digest(self, tag: str) -> str | None:
        """What a tag points at, or none when there is no such tag."""
        answer = self.clients.ecr.batch_get_image(
            repositoryName=self.name, imageIds=[{"imageTag": tag}]
        )
        return next((image["imageId"]["imageDigest"] for image in answer["images"]), None)

    def image_count(self) -> int:
        """How many images the repository holds."""
        return len(self.clients.ecr.describe_images(repositoryName=self.name)["imageDetails"])

    def revision_image(self, task_definition: str) -> str:
        """The image the first container of a revision runs."""
        answer = self.clients.ecs.describe_task_definition(taskDefinition=task_definition)
        return answer["taskDefinition"]["containerDefinitions"][0]["image"]

    def one_off_tasks(self) -> "list[TaskTypeDef]":
        """The tasks of its cluster and family that belong to no service."""
        found: list[TaskTypeDef] = []
        for status in ("RUNNING", "STOPPED"):
            arns = self.clients.ecs.list_tasks(
                cluster=CLUSTER, family=self.name, desiredStatus=status
            )["taskArns"]
            if arns:
                found += self.clients.ecs.describe_tasks(cluster=CLUSTER, tasks=arns)["tasks"]
        return [task for task in found if not task.get("group", "").startswith("service:")]

    def _described(self) -> "ServiceTypeDef":
        answer = self.clients.ecs.describe_services(cluster=CLUSTER, services=[self.name])
        return answer["services"][0]


def connect(emulator: MiniStack) -> Clients:
    """Make clients that ignore every AWS setting of the machine."""
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=REGION
    )
    place = emulator.endpoint
    return Clients(
        ecs=session.client("ecs", endpoint_url=place),
        ecr=session.client("ecr", endpoint_url=place),
        elbv2=session.client("elbv2", endpoint_url=place),
        logs=session.client("logs", endpoint_url=place),
        iam=session.client("iam", endpoint_url=place),
    )


def create(emulator: MiniStack, name: str) -> SampleService:
    """Make the service on an image of version 0 and wait until it runs."""
    clients = connect(emulator)
    clients.ecs.create_cluster(clusterName=CLUSTER)
    clients.ecr.create_repository(repositoryName=name)
    image = f"{emulator.registry}/{name}:bootstrap"
    sample_application.build_and_push(sample_application.good("0"), image)
    clients.logs.create_log_group(logGroupName=f"/ecs/{name}")
    target_group = _create_load_balancer(clients, name)
    _create_role(clients, name)
    revision = _register(clients, name, image)
    clients.ecs.create_service(
        cluster=CLUSTER,
        serviceName=name,
        taskDefinition=revision,
        desiredCount=1,
        launchType="FARGATE",
        networkConfiguration={"awsvpcConfiguration": {"subnets": _SUBNETS}},
        loadBalancers=[
            {"targetGroupArn": target_group, "containerName": name, "containerPort": PORT}
        ],
        deploymentConfiguration=_ROOM,
    )
    service = SampleService(name, clients, emulator)
    _wait_until_running(service)
    return service


def _create_load_balancer(clients: Clients, name: str) -> str:
    group = clients.elbv2.create_target_group(
        Name=name,
        Protocol="HTTP",
        Port=PORT,
        TargetType="ip",
        VpcId="vpc-00000001",
        HealthCheckPath="/health",
    )["TargetGroups"][0]["TargetGroupArn"]
    balancer = clients.elbv2.create_load_balancer(Name=name, Subnets=_SUBNETS)
    clients.elbv2.create_listener(
        LoadBalancerArn=balancer["LoadBalancers"][0]["LoadBalancerArn"],
        Protocol="HTTP",
        Port=80,
        DefaultActions=[{"Type": "forward", "TargetGroupArn": group}],
    )
    return group


def _create_role(clients: Clients, name: str) -> None:
    """What ECS pulls the image and writes the log as."""
    trust = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "ecs-tasks.amazonaws.com"},
                "Action": "sts:AssumeRole",
            }
        ],
    }
    clients.iam.create_role(
        RoleName=f"{name}-execution", AssumeRolePolicyDocument=json.dumps(trust)
    )


def _register(clients: Clients, name: str, image: str) -> str:
    answer = clients.ecs.register_task_definition(
        family=name,
        requiresCompatibilities=["FARGATE"],
        networkMode="awsvpc",
        cpu="256",
        memory="512",
        executionRoleArn=f"arn:aws:iam::{ACCOUNT}:role/{name}-execution",
        runtimePlatform={"cpuArchitecture": "X86_64", "operatingSystemFamily": "LINUX"},
        containerDefinitions=[
            {
                "name": name,
                "image": image,
                "essential": True,
                "portMappings": [{"containerPort": PORT, "protocol": "tcp"}],
                "environment": [{"name": "PORT", "value": str(PORT)}],
                "logConfiguration": {
                    "logDriver": "awslogs",
                    "options": {
                        "awslogs-group": f"/ecs/{name}",
                        "awslogs-region": REGION,
                        "awslogs-stream-prefix": "ecs",
                    },
                },
            }
        ],
    )
    return answer["taskDefinition"]["taskDefinitionArn"]


def _wait_until_running(service: SampleService) -> None:
    limit = time.monotonic() + _SETTLE_LIMIT
    while time.monotonic() < limit:
        described = service._described()  # noqa: SLF001 - the same module
        if described["runningCount"] == described["desiredCount"]:
            return
        time.sleep(0.2)
    raise TimeoutError(f"{service.name} did not start; see {service.emulator.log}")
