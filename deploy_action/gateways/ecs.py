"""Amazon ECS in our words. The only file that knows the shapes of its answers."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from threading import local
from typing import TYPE_CHECKING, Any

from botocore.config import Config
from botocore.validate import ParamValidator

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways import ecs_answers as answers
from deploy_action.gateways.aws import HURRIED, READS, WRITES, answering
from deploy_action.model import (
    Definition,
    Json,
    Service,
    ServiceDeployment,
    Task,
)
from deploy_action.permissions import Permission, Permissions, Scope

if TYPE_CHECKING:
    import boto3

ONE_OFF_INPUT = "pre-deploy-command"
PERMISSIONS: Permissions = {
    "ecs:DescribeServiceDeployments": Permission(scope=Scope.SERVICE_DEPLOYMENT, optional=True),
    "ecs:DescribeServiceRevisions": Permission(scope=Scope.SERVICE_REVISION, optional=True),
    "ecs:DescribeServices": Permission(scope=Scope.SERVICE),
    "ecs:DescribeTaskDefinition": Permission(scope=Scope.ANYTHING),
    "ecs:DescribeTasks": Permission(scope=Scope.CLUSTER, optional=True),
    "ecs:ListServiceDeployments": Permission(scope=Scope.SERVICE, optional=True),
    "ecs:ListServices": Permission(scope=Scope.CLUSTER, optional=True),
    "ecs:ListTaskDefinitions": Permission(scope=Scope.ANYTHING, optional=True),
    "ecs:ListTasks": Permission(scope=Scope.CLUSTER, optional=True),
    "ecs:RegisterTaskDefinition": Permission(scope=Scope.FAMILY, writes=True),
    "ecs:RunTask": Permission(scope=Scope.FAMILY_IN_CLUSTER, writes=True, only_with=ONE_OFF_INPUT),
    "ecs:StopServiceDeployment": Permission(
        scope=Scope.SERVICE_DEPLOYMENT, writes=True, optional=True
    ),
    "ecs:StopTask": Permission(
        scope=Scope.TASK, writes=True, optional=True, only_with=ONE_OFF_INPUT
    ),
    "ecs:UpdateService": Permission(scope=Scope.SERVICE, writes=True),
}
BEHIND_REGISTRATION: Permissions = {
    "ecs:TagResource": Permission(scope=Scope.CREATION, writes=True, optional=True),
    "iam:PassRole": Permission(scope=Scope.PASSED_ROLE, writes=True),
}
"""What RegisterTaskDefinition and RunTask ask IAM for besides themselves."""
TASKS_A_CALL = 100
"""DescribeTasks takes at most this many."""
SERVICE_REVISIONS_A_CALL = 20
"""DescribeServiceRevisions takes at most this many."""
CLOCK_SKEW = timedelta(seconds=60)
"""How far the runner's clock may be off when asking for what was created since."""


class Ecs:
    """One cluster."""

    def __init__(
        self,
        session: boto3.Session,
        cluster: str,
        *,
        reads: Config = READS,
        writes: Config = WRITES,
    ) -> None:
        self._session = session
        self._reads = session.client("ecs", config=reads)
        self._writes = session.client("ecs", config=writes)
        self.cluster = cluster
        self._raw = local()
        # Botocore drops fields that its model does not know. A definition that is
        # registered again must not lose them, so the answer is kept as it came.
        self._reads.meta.events.register("before-parse.ecs.DescribeTaskDefinition", self._keep_raw)

    def hurried(self) -> Ecs:
        """The same cluster for a run that has seconds left: no retries, short timeouts."""
        return Ecs(self._session, self.cluster, reads=HURRIED, writes=HURRIED)

    def service(self, name: str) -> Service:
        """The service as it is now; AwsError with MISSING where there is none."""
        found = self.services([name])[name]
        if isinstance(found, AwsError):
            raise found
        return found

    def services(self, names: Sequence[str]) -> dict[str, Service | AwsError]:
        """Up to ten services, each as it is now, or AwsError with MISSING."""
        with answering("ecs:DescribeServices"):
            answer = self._reads.describe_services(cluster=self.cluster, services=list(names))
            raw = answer.get("services", [])
            # One name, one answer: what it is called in there says nothing more.
            found = (
                dict(zip(names, raw, strict=False))
                if len(names) == 1
                else {each.get("serviceName", ""): each for each in raw}
            )
        failures = answer.get("failures", [])
        reasons = {f.get("arn", "").rpartition("/")[2]: f.get("reason", "") for f in failures}
        return {
            name: answers.service(found[name])
            if name in found
            else AwsError(
                "ecs:DescribeServices",
                Refusal.MISSING,
                reasons.get(name) or next(iter(reasons.values()), "the answer names no service"),
                f"no service {name!r}",
            )
            for name in names
        }

    def service_names(self) -> list[str]:
        """Names of the services in the cluster, at most the first hundred."""
        with answering("ecs:ListServices"):
            answer = self._reads.list_services(cluster=self.cluster, maxResults=100)
        return [arn.rsplit("/", 1)[-1] for arn in answer.get("serviceArns", [])]

    def definition(self, reference: str) -> Definition:
        """A task definition by ARN, `family:revision` or family (its newest ACTIVE one)."""
        with answering("ecs:DescribeTaskDefinition"):
            answer = self._reads.describe_task_definition(
                taskDefinition=reference, include=["TAGS"]
            )
        body: Json = json.loads(self._raw.body).get("taskDefinition", {})
        return Definition(
            arn=answer["taskDefinition"]["taskDefinitionArn"],
            status=answer["taskDefinition"].get("status", "ACTIVE"),
            body=body,
            tags=tuple({k: str(v) for k, v in tag.items()} for tag in answer.get("tags", [])),
        )

    def registrable(self, definition: Definition) -> Json:
        """The fields of a described definition that go into a new one, tags included.

        Only fields that the AWS model calls read-only are left behind. A field
        that the model does not know stays, so that `problems` can name it.
        """
        body = self.writable(definition.body)
        if definition.tags:
            body["tags"] = [dict(tag) for tag in definition.tags]
        return body

    def writable(self, body: Json) -> Json:
        """`body` without the fields that AWS sets itself, and without nulls, which say "unset"."""
        described: Any = self._reads.meta.service_model.shape_for("TaskDefinition")
        accepted = self._registration.members
        kept = {k: v for k, v in body.items() if k in accepted or k not in described.members}
        if kept.get("tags") == []:
            # AWS refuses an empty list of tags.
            del kept["tags"]
        without_nulls: Json = _without_nulls(kept)
        return without_nulls

    def problems(self, body: Json) -> list[str]:
        """What the AWS model has against registering `body`: unknown keys, wrong types."""
        report = ParamValidator().validate(body, self._registration).generate_report()
        return [line for line in report.splitlines() if line]

    def register(self, body: Json) -> Definition:
        """Register a new revision."""
        with _handing_over_roles(body), answering("ecs:RegisterTaskDefinition"):
            answer = self._reads.register_task_definition(**body)
        registered = answer["taskDefinition"]
        return Definition(
            arn=registered["taskDefinitionArn"],
            status=registered.get("status", "ACTIVE"),
            body=dict(registered),
        )

    def update(
        self,
        name: str,
        task_definition: str,
        *,
        desired: int | None = None,
        configuration: Json | None = None,
        force: bool = False,
    ) -> Service:
        """Ask for a rollout, once, without a retry; send nothing that was not asked for."""
        wanted = {"taskDefinition": task_definition, **_settings(desired, configuration)}
        if force:
            wanted["forceNewDeployment"] = True
        with answering("ecs:UpdateService"):
            answer = self._writes.update_service(cluster=self.cluster, service=name, **wanted)
        return answers.service(answer["service"])

    def adjust(
        self, name: str, *, desired: int | None = None, configuration: Json | None = None
    ) -> None:
        """Set the desired count or the deployment configuration, whole.

        Harmless to repeat, and no deployment.
        """
        with answering("ecs:UpdateService"):
            self._reads.update_service(
                cluster=self.cluster, service=name, **_settings(desired, configuration)
            )

    def service_deployment(self, arn: str) -> ServiceDeployment | None:
        """One service deployment; None where it is not (or not yet) visible."""
        return self.service_deployments([arn])[arn]

    def service_deployments(self, arns: Sequence[str]) -> dict[str, ServiceDeployment | None]:
        """Up to twenty service deployments; None for what is not (or not yet) visible."""
        with answering("ecs:DescribeServiceDeployments"):
            answer = self._reads.describe_service_deployments(serviceDeploymentArns=list(arns))
        seen = [answers.service_deployment(each) for each in answer.get("serviceDeployments", [])]
        if len(arns) == 1:
            return {arns[0]: seen[0] if seen else None}
        found = {each.arn: each for each in seen}
        return {arn: found.get(arn) for arn in arns}

    def service_deployments_since(self, name: str, since: datetime) -> list[str]:
        """ARNs of the service deployments created since then, newest first."""
        with answering("ecs:ListServiceDeployments"):
            answer = self._reads.list_service_deployments(
                cluster=self.cluster, service=name, createdAt={"after": since - CLOCK_SKEW}
            )
        briefs = [b for b in answer.get("serviceDeployments", []) if b.get("createdAt")]
        briefs = [b for b in briefs if b["createdAt"] >= since - CLOCK_SKEW]
        briefs.sort(key=lambda b: b["createdAt"], reverse=True)
        return [b["serviceDeploymentArn"] for b in briefs]

    def completed_revisions(self, name: str) -> list[str]:
        """ARNs of the task definitions that the service completed a deployment of, newest first."""
        with answering("ecs:ListServiceDeployments"):
            listed = self._reads.list_service_deployments(
                cluster=self.cluster, service=name, status=["SUCCESSFUL"]
            )
        briefs = [b for b in listed.get("serviceDeployments", []) if b.get("createdAt")]
        briefs.sort(key=lambda b: b["createdAt"], reverse=True)
        targets = [b["targetServiceRevisionArn"] for b in briefs if "targetServiceRevisionArn" in b]
        targets = targets[:SERVICE_REVISIONS_A_CALL]
        if not targets:
            return []
        with answering("ecs:DescribeServiceRevisions"):
            answer = self._reads.describe_service_revisions(serviceRevisionArns=targets)
        found = {
            r["serviceRevisionArn"]: r.get("taskDefinition", "")
            for r in answer.get("serviceRevisions", [])
        }
        return [found[arn] for arn in targets if found.get(arn)]

    def revisions(self, family: str) -> list[str]:
        """ARNs of the newest ACTIVE revisions of a family, newest first."""
        with answering("ecs:ListTaskDefinitions"):
            answer = self._reads.list_task_definitions(
                familyPrefix=family, sort="DESC", status="ACTIVE", maxResults=10
            )
        return [a for a in answer.get("taskDefinitionArns", []) if f"/{family}:" in a]

    def stop_and_roll_back(self, service_deployment: str) -> None:
        """Ask ECS to stop this deployment and to go back; harmless to repeat."""
        with answering("ecs:StopServiceDeployment"):
            self._reads.stop_service_deployment(
                serviceDeploymentArn=service_deployment, stopType="ROLLBACK"
            )

    def run_task(
        self,
        definition: Definition,
        container: str,
        command: Sequence[str],
        *,
        placement: Json,
        token: str,
        started_by: str,
        with_tags: bool,
    ) -> Task:
        """Start one task with a command of its own; asked again with this token, the same one."""
        # Not the task's own tags: it gets those of its definition.
        tags: Json = {"propagateTags": "TASK_DEFINITION"} if with_tags else {}
        with _handing_over_roles(definition.body), answering("ecs:RunTask"):
            answer = self._reads.run_task(
                cluster=self.cluster,
                taskDefinition=definition.arn,
                overrides={"containerOverrides": [{"name": container, "command": list(command)}]},
                clientToken=token,
                startedBy=started_by,
                **placement,
                **tags,
            )
        for started in answer.get("tasks", []):
            return answers.task(started)
        failures = answer.get("failures", [])
        code = failures[0].get("reason", "") if failures else "the answer names no task"
        detail = failures[0].get("detail", "") if failures else ""
        raise AwsError("ecs:RunTask", Refusal.CONFLICT, code, detail or "no task could be placed")

    def stop_task(self, arn: str, reason: str) -> Task:
        """Ask ECS to stop a task; harmless to repeat."""
        with answering("ecs:StopTask"):
            answer = self._reads.stop_task(cluster=self.cluster, task=arn, reason=reason)
        return answers.task(answer["task"])

    def running_arns(self, started_by: str) -> list[str]:
        """ARNs of the tasks with this `startedBy` that nobody has told to stop."""
        with answering("ecs:ListTasks"):
            answer = self._reads.list_tasks(cluster=self.cluster, startedBy=started_by)
        return list(answer.get("taskArns", []))

    def task_arns(self, name: str, *, stopped: bool) -> list[str]:
        """ARNs of the service's tasks, of all its deployments."""
        with answering("ecs:ListTasks"):
            pages = self._reads.get_paginator("list_tasks").paginate(
                cluster=self.cluster,
                serviceName=name,
                desiredStatus="STOPPED" if stopped else "RUNNING",
            )
            return [arn for page in pages for arn in page.get("taskArns", [])]

    def task_arns_in_cluster(self, *, stopped: bool, at_most_pages: int) -> list[str] | None:
        """ARNs of all tasks in the cluster; None where they fill more pages than that."""
        found: list[str] = []
        wanted: Any = {"desiredStatus": "STOPPED" if stopped else "RUNNING"}
        for _ in range(at_most_pages):
            with answering("ecs:ListTasks"):
                answer = self._reads.list_tasks(cluster=self.cluster, **wanted)
            found += answer.get("taskArns", [])
            if not answer.get("nextToken"):
                return found
            wanted["nextToken"] = answer["nextToken"]
        return None

    def tasks(self, arns: Sequence[str]) -> list[Task]:
        """The tasks with these ARNs, as far as ECS still knows them."""
        found: list[Task] = []
        for start in range(0, len(arns), TASKS_A_CALL):
            with answering("ecs:DescribeTasks"):
                answer = self._reads.describe_tasks(
                    cluster=self.cluster, tasks=list(arns[start : start + TASKS_A_CALL])
                )
            found += [answers.task(task) for task in answer.get("tasks", [])]
        return found

    @property
    def _registration(self) -> Any:  # noqa: ANN401 - a shape of botocore
        """What RegisterTaskDefinition takes, as the installed AWS model has it."""
        model = self._reads.meta.service_model
        return model.operation_model("RegisterTaskDefinition").input_shape

    def _keep_raw(self, response_dict: Json, **_: object) -> None:
        # Each thread reads its own: botocore calls this in the thread that asked.
        self._raw.body = response_dict["body"]


def _settings(desired: int | None, configuration: Json | None) -> dict[str, Any]:
    """What of the two was given, as UpdateService calls it."""
    given = {"desiredCount": desired, "deploymentConfiguration": configuration}
    return {name: value for name, value in given.items() if value is not None}


@contextmanager
def _handing_over_roles(body: Json) -> Iterator[None]:
    """AWS names one role that may not be handed over; a policy needs both."""
    try:
        yield
    except AwsError as error:
        roles = (body.get("taskRoleArn"), body.get("executionRoleArn"))
        error.passes = tuple(role for role in roles if role)
        raise


def _without_nulls(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value
