"""A system's infrastructure on MiniStack, and questions about what is really there."""

import functools
import json
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import boto3
from cfnlint.decode import cfn_yaml  # type: ignore[import-untyped]

from dev import sample_application
from dev.ministack import MiniStack
from dev.systems_case import Call, System
from dev.systems_neighbours import Neighbours

# The emulator makes a stack in less than a second and starts a task in about one.
_LIMIT: Final = 90.0


@dataclass(frozen=True)
class Stack:
    """One environment of a system: a service that runs its first image."""

    name: str
    system: System
    emulator: MiniStack
    neighbours: Neighbours
    repository: str
    outputs: Mapping[str, str]
    _resources: Mapping[str, str]
    """Physical id by resource type."""

    @property
    def cluster(self) -> str:
        return self._service_arn().split("/")[-2]

    @property
    def service(self) -> str:
        return self._service_arn().split("/")[-1]

    def client(self, name: str) -> Any:  # noqa: ANN401 - a client of any service
        """A boto3 client that ignores every AWS setting of this machine."""
        return _client(self.emulator, name)

    def call(self, call: Call) -> None:
        """Do what somebody else does to this AWS, and let the service come to rest."""
        getattr(self.client(call.client), call.operation)(**call.arguments)
        self.wait_until_running()

    def described(self) -> Mapping[str, Any]:
        """The service as ECS tells it."""
        asked = self.client("ecs").describe_services(cluster=self.cluster, services=[self.service])
        found: Mapping[str, Any] = asked["services"][0]
        return found

    def digest(self, tag: str) -> str | None:
        """What a tag points at, or none."""
        images = self.client("ecr").batch_get_image(
            repositoryName=self.repository, imageIds=[{"imageTag": tag}]
        )["images"]
        return next((str(image["imageId"]["imageDigest"]) for image in images), None)

    def notices(self) -> list[str]:
        """Takes the messages out of the team's mailbox; without one out of the chat."""
        if queue := self._resources.get("AWS::SQS::Queue"):
            sqs = self.client("sqs")
            found = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10).get("Messages", [])
            for message in found:
                sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
            return [message["Body"] for message in found]
        heard = list(self.neighbours.heard)
        self.neighbours.heard.clear()
        return heard

    def hosts(self) -> dict[str, str]:
        """Names of load balancers, which only AWS's own DNS knows."""
        balancers = self.client("elbv2").describe_load_balancers()["LoadBalancers"]
        return {balancer["DNSName"]: "127.0.0.1" for balancer in balancers}

    def answer(self) -> tuple[int, str]:
        """Status and body of the health page; 0 where there is none to ask."""
        if not self.system.health:
            return 0, ""
        arn = self._resources["AWS::ElasticLoadBalancingV2::LoadBalancer"]
        url = self.emulator.balancer(arn.split("/")[-2]) + self.system.health
        try:
            with urllib.request.urlopen(url, timeout=10) as response:
                return response.status, response.read().decode()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read().decode(errors="replace")

    def wait_until_running(self) -> None:
        """Until as many tasks run as are wanted, and the first of them answers."""
        limit = time.monotonic() + _LIMIT
        while time.monotonic() < limit:
            now = self.described()
            wanted = now["desiredCount"]
            # The emulator sends visitors to a task that runs but does not listen yet.
            if now["runningCount"] == wanted and (not wanted or self.answer()[0] in {0, 200}):
                return
            time.sleep(0.2)
        raise TimeoutError(f"{self.service} did not start; see {self.emulator.log}")

    def _service_arn(self) -> str:
        return self._resources["AWS::ECS::Service"]


def create(system: System, emulator: MiniStack, neighbours: Neighbours) -> dict[str, Stack]:
    """Make every environment of a system. All of them share one repository."""
    given = {
        "Registry": emulator.registry,
        "ListenerPort": str(emulator.port),
        "DatabaseAddress": neighbours.store,
        "BrokerAddress": neighbours.store,
    }
    found: dict[str, Stack] = {}
    repository = ""
    for name, own in system.stacks.items():
        parameters = {**given, **own}
        # No task can start before there is an image, and no image before there is a repository.
        _apply(emulator, "create_stack", system, name, {**parameters, "HasImage": "false"})
        if not repository:
            resources = _resources(emulator, _stack_name(system, name))
            repository = resources["AWS::ECR::Repository"]
            _push_first_image(system, f"{emulator.registry}/{repository}:first")
        _apply(emulator, "update_stack", system, name, parameters)
        found[name] = _found(system, emulator, neighbours, name, repository)
    for stack in found.values():
        stack.wait_until_running()
    return found


def _push_first_image(system: System, image: str) -> None:
    source = system.folder / system.source
    files = {path.name: path.read_text() for path in source.iterdir() if path.is_file()}
    sample_application.build_and_push(files, image)


def _found(
    system: System, emulator: MiniStack, neighbours: Neighbours, name: str, repository: str
) -> Stack:
    described = _client(emulator, "cloudformation").describe_stacks(
        StackName=_stack_name(system, name)
    )["Stacks"][0]
    outputs = {out["OutputKey"]: out["OutputValue"] for out in described.get("Outputs", [])}
    outputs["NoticeUrl"] = neighbours.chat
    resources = _resources(emulator, _stack_name(system, name))
    if user := resources.get("AWS::IAM::User"):
        # The emulator's CloudFormation makes no keys.
        key = _client(emulator, "iam").create_access_key(UserName=user)["AccessKey"]
        outputs |= {"AccessKey": key["AccessKeyId"], "SecretKey": key["SecretAccessKey"]}
    return Stack(name, system, emulator, neighbours, repository, outputs, resources)


def _apply(
    emulator: MiniStack, how: str, system: System, name: str, parameters: Mapping[str, str]
) -> None:
    formation = _client(emulator, "cloudformation")
    stack = _stack_name(system, name)
    template = _for_emulator(cfn_yaml.load(str(system.template)))
    getattr(formation, how)(
        StackName=stack,
        TemplateBody=json.dumps(template),
        Parameters=[
            {"ParameterKey": key, "ParameterValue": value}
            for key, value in parameters.items()
            if key in template["Parameters"]
        ],
        Capabilities=["CAPABILITY_NAMED_IAM"],
    )
    limit = time.monotonic() + _LIMIT
    state = "IN_PROGRESS"
    while state.endswith("IN_PROGRESS") and time.monotonic() < limit:
        time.sleep(0.1)
        state = formation.describe_stacks(StackName=stack)["Stacks"][0]["StackStatus"]
    if state not in {"CREATE_COMPLETE", "UPDATE_COMPLETE"}:
        raise RuntimeError(f"{stack} ended as {state}; see {emulator.log}")


def _for_emulator(template: dict[str, Any]) -> dict[str, Any]:
    """Its CloudFormation hands some parts of a container to ECS without spelling them anew."""
    for resource in template["Resources"].values():
        for container in resource["Properties"].get("ContainerDefinitions", []):
            for name in ("Secrets", "HealthCheck"):
                if name in container:
                    container[name] = _camel(container[name])
    return template


def _camel(part: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(part, list):
        return [_camel(below) for below in part]
    if isinstance(part, dict) and not any(key.startswith("Fn::") for key in part):
        return {key[0].lower() + key[1:]: value for key, value in part.items()}
    return part


def _resources(emulator: MiniStack, stack: str) -> dict[str, str]:
    answer = _client(emulator, "cloudformation").describe_stack_resources(StackName=stack)
    return {r["ResourceType"]: r["PhysicalResourceId"] for r in answer["StackResources"]}


def _stack_name(system: System, name: str) -> str:
    return f"{system.name}-{name}"


@functools.cache
def _client(emulator: MiniStack, name: str) -> Any:  # noqa: ANN401 - a client of any service
    session = boto3.Session(
        aws_access_key_id="test", aws_secret_access_key="test", region_name=emulator.region
    )
    client: Any = session.client(name, endpoint_url=emulator.endpoint)  # type: ignore[call-overload]
    return client
