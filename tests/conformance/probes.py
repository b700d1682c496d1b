"""Questions to an AWS account, and what Amazon answers; asked of everything that plays AWS here.

An account that is asked has the cluster `prod` with the service `web`, which wants no task and
runs `web:1`, and the repositories `web` and `fixed` (immutable) with one image, `v1`, each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_ecr.client import ECRClient
    from mypy_boto3_ecs.client import ECSClient

ONCE = Config(retries={"mode": "standard", "total_max_attempts": 1})
FIELDS = ("name", "image", "environment", "logConfiguration", "stopTimeout", "user")


class Account:
    """Clients of one account."""

    def __init__(self, session: boto3.Session, image: str) -> None:
        self.ecs: ECSClient = session.client("ecs", config=ONCE)
        self.ecr: ECRClient = session.client("ecr", config=ONCE)
        self.session = session
        self.container: dict[str, Any] = {
            "name": "web",
            "image": image,
            "essential": True,
            "environment": [{"name": "MODE", "value": "plain"}],
            "stopTimeout": 45,
            "user": "1000",
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {"awslogs-group": "/web", "awslogs-region": "eu-west-1"},
            },
        }

    def register(self, family: str = "web", **fields: Any) -> str:  # noqa: ANN401
        """The ARN of a new revision."""
        registered = self.ecs.register_task_definition(
            family=family,
            containerDefinitions=[self.container],  # type: ignore[list-item]
            cpu="256",
            memory="512",
            networkMode="awsvpc",
            requiresCompatibilities=["FARGATE"],
            executionRoleArn="arn:aws:iam::123456789012:role/ecsTaskExecutionRole",
            **fields,
        )
        return registered["taskDefinition"]["taskDefinitionArn"]

    def service(self) -> Any:  # noqa: ANN401 - as boto3 gives it
        return self.ecs.describe_services(cluster="prod", services=["web"])["services"][0]

    def primary(self) -> Any:  # noqa: ANN401 - as boto3 gives it
        return next(d for d in self.service()["deployments"] if d["status"] == "PRIMARY")

    def manifest(self, repository: str) -> str:
        found = self.ecr.batch_get_image(repositoryName=repository, imageIds=[{"imageTag": "v1"}])
        return found["images"][0]["imageManifest"]


Question = Callable[[Account], object]


@dataclass(frozen=True, slots=True)
class Probe:
    """A question and the answer of AWS."""

    ask: Question
    answer: object


def asked(probe: Probe, account: Account) -> object:
    """The answer; of a refusal its code."""
    try:
        return probe.ask(account)
    except ClientError as error:
        return error.response["Error"]["Code"]
    except (LookupError, NotImplementedError, StopIteration) as error:
        return type(error).__name__


def _strange_cluster(account: Account) -> object:
    return account.ecs.describe_services(cluster="ghost", services=["web"])["services"]


def _strange_service(account: Account) -> object:
    answer = account.ecs.describe_services(cluster="prod", services=["ghost"])
    return answer["services"], [each["reason"] for each in answer["failures"]]


def _several_services(account: Account) -> object:
    answer = account.ecs.describe_services(cluster="prod", services=["web", "ghost"])
    return [s["serviceName"] for s in answer["services"]], len(answer["failures"])


def _strange_definition(account: Account) -> object:
    return account.ecs.describe_task_definition(taskDefinition="ghost:1")["taskDefinition"]


def _newest_revision(account: Account) -> object:
    arn = account.register("counted")
    found = account.ecs.describe_task_definition(taskDefinition="counted")["taskDefinition"]
    return found["taskDefinitionArn"] == arn


def _revisions_count(account: Account) -> object:
    first, second = (int(account.register("counting").rpartition(":")[2]) for _ in range(2))
    return second - first


def _fields_kept(account: Account) -> object:
    arn = account.register("kept")
    found = account.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    container: dict[str, Any] = dict(found["containerDefinitions"][0])
    return [name for name in FIELDS if container.get(name) != account.container[name]]


def _tags_not_asked_for(account: Account) -> object:
    arn = account.register("tagged", tags=[{"key": "a", "value": "b"}])
    return bool(account.ecs.describe_task_definition(taskDefinition=arn).get("tags"))


def _tags_asked_for(account: Account) -> object:
    arn = account.register("tagged", tags=[{"key": "a", "value": "b"}])
    found = account.ecs.describe_task_definition(taskDefinition=arn, include=["TAGS"])
    return found.get("tags")


def _update_starts_a_deployment(account: Account) -> object:
    before, arn = account.primary()["id"], account.register()
    answer = account.ecs.update_service(cluster="prod", service="web", taskDefinition=arn)
    new = next(d for d in answer["service"]["deployments"] if d["status"] == "PRIMARY")
    return new["id"] != before, new["taskDefinition"] == arn, new["id"].startswith("ecs-svc/")


def _same_again_starts_none(account: Account) -> object:
    before = account.primary()
    account.ecs.update_service(
        cluster="prod", service="web", taskDefinition=before["taskDefinition"]
    )
    return account.primary()["id"] == before["id"]


def _force_starts_a_deployment(account: Account) -> object:
    before = account.primary()["id"]
    account.ecs.update_service(cluster="prod", service="web", forceNewDeployment=True)
    return account.primary()["id"] != before


def _update_to_nothing(account: Account) -> object:
    account.ecs.update_service(cluster="prod", service="web", taskDefinition="ghost:1")
    return "accepted"


def _update_to_inactive(account: Account) -> object:
    arn = account.register("gone")
    account.ecs.deregister_task_definition(taskDefinition=arn)
    account.ecs.update_service(cluster="prod", service="web", taskDefinition=arn)
    return "accepted"


def _inactive_is_shown(account: Account) -> object:
    arn = account.register("gone")
    account.ecs.deregister_task_definition(taskDefinition=arn)
    found = account.ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"]
    return found["status"]


def _no_tasks(account: Account) -> object:
    return account.ecs.list_tasks(cluster="prod", serviceName="web")["taskArns"]


def _service_deployments(account: Account) -> object:
    account.ecs.update_service(cluster="prod", service="web", forceNewDeployment=True)
    answer = account.ecs.list_service_deployments(cluster="prod", service="web")
    return bool(answer["serviceDeployments"])


def _strange_repository(account: Account) -> object:
    return account.ecr.describe_repositories(repositoryNames=["ghost"])["repositories"]


def _image_not_there(account: Account) -> object:
    answer = account.ecr.batch_get_image(repositoryName="web", imageIds=[{"imageTag": "ghost"}])
    return answer["images"], [each["failureCode"] for each in answer["failures"]]


def _described_image_not_there(account: Account) -> object:
    answer = account.ecr.describe_images(repositoryName="web", imageIds=[{"imageTag": "ghost"}])
    return answer["imageDetails"]


def _another_tag(account: Account) -> object:
    manifest = account.manifest("web")
    put = account.ecr.put_image(repositoryName="web", imageManifest=manifest, imageTag="latest")
    both = account.ecr.batch_get_image(
        repositoryName="web", imageIds=[{"imageTag": "v1"}, {"imageTag": "latest"}]
    )
    digests = {each["imageId"]["imageDigest"] for each in both["images"]}
    return digests == {put["image"]["imageId"]["imageDigest"]}


def _same_tag_again(account: Account) -> object:
    manifest = account.manifest("web")
    account.ecr.put_image(repositoryName="web", imageManifest=manifest, imageTag="v1")
    return "accepted"


def _same_tag_again_where_fixed(account: Account) -> object:
    manifest = account.manifest("fixed")
    account.ecr.put_image(repositoryName="fixed", imageManifest=manifest, imageTag="v1")
    return "accepted"


def _mutability(account: Account) -> object:
    names = ["web", "fixed"]
    answer = account.ecr.describe_repositories(repositoryNames=names)["repositories"]
    return {each["repositoryName"]: each["imageTagMutability"] for each in answer}


def _identity(account: Account) -> object:
    answer = account.session.client("sts", config=ONCE).get_caller_identity()
    return answer["Account"] in answer["Arn"]


def _strange_log_stream(account: Account) -> object:
    logs = account.session.client("logs", config=ONCE)
    return logs.get_log_events(logGroupName="/ghost", logStreamName="ghost")["events"]


def _strange_target_group(account: Account) -> object:
    arn = "arn:aws:elasticloadbalancing:eu-west-1:123456789012:targetgroup/ghost/0123456789abcdef"
    elbv2 = account.session.client("elbv2", config=ONCE)
    return elbv2.describe_target_groups(TargetGroupArns=[arn])["TargetGroups"]


PROBES = {
    "a cluster that is not there": Probe(_strange_cluster, "ClusterNotFoundException"),
    "a service that is not there": Probe(_strange_service, ([], ["MISSING"])),
    "two services, one of which is not there": Probe(_several_services, (["web"], 1)),
    "a definition that is not there": Probe(_strange_definition, "ClientException"),
    "a family means its newest revision": Probe(_newest_revision, answer=True),
    "revisions count up": Probe(_revisions_count, 1),
    "fields of a container that are lost": Probe(_fields_kept, []),
    "tags of a definition, not asked for": Probe(_tags_not_asked_for, answer=False),
    "tags of a definition": Probe(_tags_asked_for, [{"key": "a", "value": "b"}]),
    "an update starts a deployment": Probe(_update_starts_a_deployment, (True, True, True)),
    "an update to what runs starts none": Probe(_same_again_starts_none, answer=True),
    "force starts a deployment": Probe(_force_starts_a_deployment, answer=True),
    "an update to a definition that is not there": Probe(_update_to_nothing, "ClientException"),
    "an update to an inactive definition": Probe(_update_to_inactive, "ClientException"),
    "an inactive definition is shown": Probe(_inactive_is_shown, "INACTIVE"),
    "tasks of a service that wants none": Probe(_no_tasks, []),
    "service deployments are listed": Probe(_service_deployments, answer=True),
    "a repository that is not there": Probe(_strange_repository, "RepositoryNotFoundException"),
    "an image that is not there": Probe(_image_not_there, ([], ["ImageNotFound"])),
    "an image that is not there, described": Probe(
        _described_image_not_there, "ImageNotFoundException"
    ),
    "a second tag for an image": Probe(_another_tag, answer=True),
    "a tag that the image has": Probe(_same_tag_again, "ImageAlreadyExistsException"),
    "a tag that the image has, immutable": Probe(
        _same_tag_again_where_fixed, "ImageAlreadyExistsException"
    ),
    "who may move tags": Probe(_mutability, {"web": "MUTABLE", "fixed": "IMMUTABLE"}),
    "the caller's account": Probe(_identity, answer=True),
    "a log group that is not there": Probe(_strange_log_stream, "ResourceNotFoundException"),
    "a target group that is not there": Probe(_strange_target_group, "TargetGroupNotFound"),
}
