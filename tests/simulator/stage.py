"""The smallest client there is: registers, updates and polls, with no judgement of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .behaviour import Behaviour
from .given import Image
from .world import World

if TYPE_CHECKING:
    from mypy_boto3_ecs.client import ECSClient
    from mypy_boto3_ecs.type_defs import DeploymentTypeDef, ServiceDeploymentTypeDef, TaskTypeDef

_OVER = ("SUCCESSFUL", "STOPPED", "ROLLBACK_SUCCESSFUL", "ROLLBACK_FAILED")


class Stage:
    """A world with one service, `web`, that runs version 1."""

    def __init__(self, world: World, **options: Any) -> None:  # noqa: ANN401 - those of World.service
        self.world = world
        self.ecs: ECSClient = world.session().client("ecs")
        world.repository("web")
        self.v1 = world.image("web", tag="v1", behaviour=Behaviour(body="v1"))
        self.web = world.service("web", **{"image": self.v1, **options})

    def release(self, image: Image, **update: Any) -> str:  # noqa: ANN401 - those of UpdateService
        """Register and deploy the image as a client does; the ARN of the service deployment."""
        family, container = "web", self.definition() | {"image": image.by_digest}
        registered = self.ecs.register_task_definition(
            family=family,
            containerDefinitions=[container],  # type: ignore[list-item]
            cpu="256",
            memory="512",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            executionRoleArn="arn:aws:iam::123456789012:role/ecsTaskExecutionRole",
        )
        arn = registered["taskDefinition"]["taskDefinitionArn"]
        answer = self.ecs.update_service(
            cluster="prod", service="web", taskDefinition=arn, **update
        )
        return answer["service"]["currentServiceDeployment"]

    def definition(self) -> dict[str, Any]:
        current = self.world.state.task_definitions[self.web.task_definition]
        return current.containers[0]

    def follow(self, arn: str, *, limit: float = 1800.0) -> ServiceDeploymentTypeDef:
        """Poll until the service deployment is over, or the limit has passed."""
        start = self.world.clock.monotonic()
        while True:
            answer = self.ecs.describe_service_deployments(serviceDeploymentArns=[arn])
            found = answer["serviceDeployments"][0]
            if found["status"] in _OVER or self.world.clock.monotonic() - start > limit:
                return found
            self.world.clock.sleep(2)

    def primary(self) -> DeploymentTypeDef:
        service = self.ecs.describe_services(cluster="prod", services=["web"])["services"][0]
        return next(each for each in service["deployments"] if each["status"] == "PRIMARY")

    def stopped(self, deployment: str) -> list[TaskTypeDef]:
        arns = self.ecs.list_tasks(cluster="prod", startedBy=deployment, desiredStatus="STOPPED")
        if not arns["taskArns"]:
            return []
        return list(self.ecs.describe_tasks(cluster="prod", tasks=arns["taskArns"])["tasks"])
