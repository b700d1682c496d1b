"""What a test starts from: repositories, images, services and what surrounds them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from .behaviour import Behaviour
from .ecs_records import Service, TaskDefinition
from .images import make_config, make_index, make_manifest
from .parts import Parts
from .state import Listener, LoadBalancer, Repository, Rule, TargetGroup

Tree = dict[str, Any]

_SETTLE_LIMIT = 3600.0
EXECUTION_ROLE = "ecsTaskExecutionRole"
TASK_ROLE = "task"


@dataclass(frozen=True, slots=True)
class Image:
    """A pushed image, and the ways to refer to it."""

    uri: str
    """`host/repository`"""
    digest: str
    tag: str | None

    @property
    def by_digest(self) -> str:
        return f"{self.uri}@{self.digest}"

    @property
    def by_tag(self) -> str:
        return f"{self.uri}:{self.tag}"


class Given:
    """The verbs that build a world; all have defaults that make a small Fargate service."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._core = parts.core
        self._state = parts.core.state

    def repository(
        self, name: str, *, mutability: str = "MUTABLE", exclusions: Sequence[str] = ()
    ) -> Repository:
        return self._parts.registry.create(name, mutability=mutability, exclusions=list(exclusions))

    def repository_elsewhere(self, host: str, name: str) -> Repository:
        """A repository of another registry: another account's, another region's, a public one."""
        repository = Repository(
            name=name, mutability="MUTABLE", exclusions=[], created_at=self._core.clock.now()
        )
        self._state.elsewhere.setdefault(host, {})[name] = repository
        return repository

    def image(
        self,
        repository: str,
        *,
        tag: str | None = None,
        behaviour: Behaviour | None = None,
        labels: Mapping[str, str] | None = None,
        platforms: Sequence[str] = ("linux/amd64",),
        content: str | None = None,
        host: str | None = None,
    ) -> Image:
        """Push an image; with several platforms it is an index. `host` is another registry."""
        host = host or self._state.registry
        store = (self._state.repositories_at(host) or {})[repository]
        created = self._core.clock.now().isoformat()
        content = content or f"{tag}{len(store.manifests)}"
        children = {}
        for platform in platforms:
            config = make_config(
                content=content, created=created, labels=labels or {}, platform=platform
            )
            children[platform] = make_manifest(config)
            is_alone = len(platforms) == 1
            self._parts.registry.push(store, config, children[platform], tag if is_alone else None)
        digest = children[platforms[0]].digest
        if len(platforms) > 1:
            index = make_index(children)
            self._parts.registry.put(store, index, tag)
            digest = index.digest
        self._core.behaviours[digest] = behaviour or Behaviour()
        return Image(f"{host}/{repository}", digest, tag)

    def public_image(self, reference: str, behaviour: Behaviour | None = None) -> str:
        """An image outside the simulated ECR; one that is not declared behaves well."""
        self._core.behaviours[reference] = behaviour or Behaviour()
        return reference

    def task_definition(
        self,
        family: str,
        image: Image | str,
        *,
        container: str | None = None,
        port: int = 8080,
        health_check: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        secrets: Mapping[str, str] | None = None,
        sidecars: Sequence[Mapping[str, Any]] = (),
        architecture: Literal["X86_64", "ARM64"] = "X86_64",
        tags: Mapping[str, str] | None = None,
        **fields: Any,  # noqa: ANN401
    ) -> TaskDefinition:
        """Register a revision with one main container and perhaps some sidecars."""
        main: Tree = {
            "name": container or family,
            "image": image.by_digest if isinstance(image, Image) else image,
            "portMappings": [{"containerPort": port}],
            "environment": _pairs(environment, "value"),
            "secrets": _pairs(secrets, "valueFrom"),
            "logConfiguration": {
                "logDriver": "awslogs",
                "options": {
                    "awslogs-group": f"/ecs/{family}",
                    "awslogs-region": self._state.region,
                    "awslogs-stream-prefix": "ecs",
                },
            },
        }
        if health_check is not None:
            main["healthCheck"] = {"command": ["CMD-SHELL", "curl -f localhost"], **health_check}
        self._state.logs.setdefault(f"/ecs/{family}", {})
        role = f"arn:aws:iam::{self._state.account}:role/"
        document: Tree = {
            "family": family,
            "containerDefinitions": [main, *map(dict, sidecars)],
            "networkMode": "awsvpc",
            "requiresCompatibilities": ["FARGATE"],
            "cpu": "256",
            "memory": "512",
            "executionRoleArn": role + EXECUTION_ROLE,
            "taskRoleArn": role + TASK_ROLE,
            "runtimePlatform": {"cpuArchitecture": architecture, "operatingSystemFamily": "LINUX"},
            **fields,
        }
        if tags:
            document["tags"] = [{"key": key, "value": value} for key, value in tags.items()]
        return self._parts.definitions.register(document)

    def service(  # noqa: PLR0913 - a service has that many sides, all with a default
        self,
        name: str,
        *,
        image: Image | str = "",
        definition: TaskDefinition | None = None,
        cluster: str = "prod",
        desired: int = 1,
        load_balanced: bool = False,
        target_group: TargetGroup | None = None,
        breaker: Literal["rollback", "no-rollback"] | None = None,
        breaker_settings: Mapping[str, Any] | None = None,
        minimum_percent: int = 100,
        maximum_percent: int = 200,
        deployment_configuration: Mapping[str, Any] | None = None,
        grace_seconds: int | None = None,
        launch_type: str = "FARGATE",
        controller: str = "ECS",
        scheduling: str = "REPLICA",
        settled: bool = True,
        **fields: Any,  # noqa: ANN401
    ) -> Service:
        """Create a service and let it reach its steady state, which takes simulated time.

        `fields` go to `task_definition`, whose family and container have the service's name.
        """
        changes = len(self._core.calls.history.changes)
        definition = definition or self.task_definition(name, image, **fields)
        if load_balanced and target_group is None:
            target_group = self.load_balancer(name)
        container = definition.containers[0]
        service = Service(
            arn=self._state.arn("ecs", f"service/{cluster}/{name}"),
            name=name,
            cluster=cluster,
            task_definition=definition.arn,
            desired=desired,
            configuration={
                "deploymentCircuitBreaker": {
                    "enable": breaker is not None,
                    "rollback": breaker == "rollback",
                    **(breaker_settings or {}),
                },
                "maximumPercent": maximum_percent,
                "minimumHealthyPercent": minimum_percent,
                "strategy": "ROLLING",
                **(deployment_configuration or {}),
            },
            load_balancers=[]
            if target_group is None
            else [
                {
                    "targetGroupArn": target_group.arn,
                    "containerName": container["name"],
                    "containerPort": container["portMappings"][0]["containerPort"],
                }
            ],
            network={
                "awsvpcConfiguration": {
                    "subnets": ["subnet-1", "subnet-2"],
                    "securityGroups": ["sg-1"],
                    "assignPublicIp": "DISABLED",
                }
            },
            grace_seconds=grace_seconds,
            created_at=self._core.clock.now(),
            launch_type=launch_type,
            controller=controller,
            scheduling=scheduling,
        )
        self.cluster(cluster)
        self._state.services[service.arn] = service
        deployment = self._parts.rollouts.begin(service, definition.arn)
        if settled:
            self._parts.rollouts.pin_now(deployment)
            self._settle(service)
            del self._core.calls.history.changes[changes:]
        return service

    def cluster(self, name: str) -> None:
        if name not in self._state.clusters:
            self._state.clusters.append(name)

    def load_balancer(
        self,
        name: str,
        *,
        protocol: Literal["HTTP", "HTTPS"] = "HTTP",
        port: int | None = None,
        host: str | None = None,
        path: str | None = None,
        redirect_http_to: str | None = None,
        scheme: str = "internet-facing",
        group: TargetGroup | None = None,
    ) -> TargetGroup:
        """A load balancer with one listener that forwards to a target group.

        With `host` or `path` only a rule with that condition forwards, everything else is 404.
        """
        group = group or self.target_group(name)
        suffix = self._core.names.hexadecimal(16)
        balancer = LoadBalancer(
            arn=self._state.arn("elasticloadbalancing", f"loadbalancer/app/{name}/{suffix}"),
            name=name,
            host=f"{name}-{suffix[:9]}.{self._state.region}.elb.amazonaws.com",
            created_at=self._core.clock.now(),
            scheme=scheme,
        )
        self._state.load_balancers[balancer.arn] = balancer
        forward: list[Tree] = [{"Type": "forward", "TargetGroupArn": group.arn, "Order": 1}]
        not_found: list[Tree] = [
            {
                "Type": "fixed-response",
                "FixedResponseConfig": {"StatusCode": "404", "ContentType": "text/plain"},
            }
        ]
        listener = self._listener(balancer, protocol, port or (443 if protocol == "HTTPS" else 80))
        if host or path:
            self._rule(listener, "1", forward, host=host, path=path)
        self._rule(listener, "default", not_found if host or path else forward)
        if redirect_http_to is not None:
            plain = self._listener(balancer, "HTTP", 80)
            self._rule(
                plain,
                "default",
                [
                    {
                        "Type": "redirect",
                        "RedirectConfig": {
                            "Host": redirect_http_to,
                            "Protocol": "HTTPS",
                            "Port": "443",
                            "StatusCode": "HTTP_301",
                        },
                    }
                ],
            )
        return group

    def target_group(
        self,
        name: str,
        *,
        port: int = 8080,
        path: str = "/health",
        matcher: str = "200",
        interval: int = 10,
        timeout: int = 5,
        healthy_threshold: int = 5,
        unhealthy_threshold: int = 2,
        drain_seconds: int = 30,
    ) -> TargetGroup:
        """A target group that no listener forwards to yet."""
        suffix = self._core.names.hexadecimal(16)
        group = TargetGroup(
            arn=self._state.arn("elasticloadbalancing", f"targetgroup/{name}/{suffix}"),
            name=name,
            port=port,
            path=path,
            matcher=matcher,
            interval=interval,
            timeout=timeout,
            healthy_threshold=healthy_threshold,
            unhealthy_threshold=unhealthy_threshold,
            drain_seconds=drain_seconds,
        )
        self._state.target_groups[group.arn] = group
        return group

    def secret(
        self, name: str, *, deletion: datetime | None = None, value: str | None = None
    ) -> str:
        """The ARN of a secret in Secrets Manager."""
        suffix = self._core.names.hexadecimal(6)
        arn = self._state.arn("secretsmanager", f"secret:{name}-{suffix}")
        self._state.secrets[arn] = deletion
        if value is not None:
            self._state.secret_values[arn] = value
        return arn

    def topic(self, name: str) -> str:
        """The ARN of an SNS topic."""
        arn = self._state.arn("sns", name)
        self._state.topics[arn] = []
        return arn

    def parameter(self, name: str, value: str = "value") -> str:
        """The ARN of a parameter in SSM."""
        self._state.parameters[name] = value
        return self._state.arn("ssm", f"parameter/{name.lstrip('/')}")

    def env_file(self, bucket: str, key: str) -> str:
        """The ARN of an object in S3."""
        self._state.objects.add(f"{bucket}/{key}")
        return f"arn:aws:s3:::{bucket}/{key}"

    def alarm(self, name: str, state: str = "OK", *, is_composite: bool = False) -> None:
        self._state.alarms[name] = state
        if is_composite:
            self._state.composite_alarms.add(name)

    def _listener(self, balancer: LoadBalancer, protocol: str, port: int) -> Listener:
        path = balancer.arn.rpartition("loadbalancer/")[2]
        suffix = self._core.names.hexadecimal(16)
        arn = self._state.arn("elasticloadbalancing", f"listener/{path}/{suffix}")
        listener = Listener(
            arn=arn, load_balancer=balancer.arn, port=port, protocol=protocol, rules=[]
        )
        self._state.listeners[arn] = listener
        return listener

    def _rule(
        self,
        listener: Listener,
        priority: str,
        actions: list[Tree],
        *,
        host: str | None = None,
        path: str | None = None,
    ) -> None:
        arn = listener.arn.replace(":listener/", ":listener-rule/")
        listener.rules.append(
            Rule(
                arn=f"{arn}/{self._core.names.hexadecimal(16)}",
                priority=priority,
                actions=actions,
                hosts=[host] if host else [],
                paths=[path] if path else [],
            )
        )

    def _settle(self, service: Service) -> None:
        start = self._core.clock.monotonic()
        while service.primary.rollout_state != "COMPLETED":
            self._core.clock.advance(1.0)
            if self._core.clock.monotonic() - start > _SETTLE_LIMIT:
                raise AssertionError(f"the given service {service.name} does not become stable")


def _pairs(values: Mapping[str, str] | None, name: str) -> list[Tree]:
    return [{"name": key, name: value} for key, value in (values or {}).items()]
