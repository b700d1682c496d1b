"""What the job's role may do, asked of IAM's simulator. It only ever warns.

The simulator sees neither session policies nor those of resources and endpoints
(AWS: results "might differ from the live environment").
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import partial
from typing import TYPE_CHECKING

from deploy_action.gateways.iam import Question
from deploy_action.preflight import one_off
from deploy_action.preflight.check import Facts, Look, Outcome, Passed, Skipped, Warned

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.gateways.iam import Iam

SESSION = re.compile(r"arn:(?P<partition>[\w-]+):sts::\d+:assumed-role/(?P<role>[^/]+)/")
PUSH = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
)


def looks(facts: Facts, gateways: Gateways) -> list[Look]:
    """One look: who the role is, then a question for each kind of resource."""
    return [partial(_look, facts, gateways.iam)]


def _look(facts: Facts, iam: Iam) -> Iterable[Outcome]:
    principal = _principal(facts.identity.arn, iam)
    if not principal:
        yield Skipped(f"IAM's simulator knows no policies of {facts.identity.arn}")
        return
    denied = [pair for question in questions(facts) for pair in iam.denied(principal, question)]
    for action, resource in denied:
        yield Warned(
            f"IAM says that the job may not do `{action}` on {resource}.",
            f"Allow it to {principal}, unless a policy that IAM's simulator does not see does.",
            is_important=True,
        )
    if not denied:
        yield Passed("IAM allows what the release writes")


def _principal(arn: str, iam: Iam) -> str:
    """The ARN that has the policies. The one of a session has lost the path of its role."""
    session = SESSION.match(arn)
    if session:
        role = iam.role(session["role"])
        return role.arn if role else ""
    return arn if ":user/" in arn else ""


def questions(facts: Facts) -> list[Question]:
    """What the release is going to write, by resource."""
    service, identity = facts.service, facts.identity
    cluster = service.arn.replace(":service/", ":cluster/").rsplit("/", 1)[0]
    in_cluster = {"ecs:cluster": cluster}
    record = service.arn.replace(":service/", ":service-deployment/") + "/any"
    asked = [
        Question(actions=["ecs:UpdateService"], resources=[service.arn], context=in_cluster),
        Question(
            actions=["ecs:StopServiceDeployment"],
            resources=[service.arn, record],
            context=in_cluster,
        ),
        Question(actions=["ecs:RegisterTaskDefinition"], resources=["*"], context={}),
    ]
    if facts.inputs.pre_deploy_command and facts.inputs.operation in one_off.OPERATIONS:
        start = service.arn.partition(":service/")[0]
        revision = f"{start}:task-definition/{facts.body.get('family')}:1"
        task = cluster.replace(":cluster/", ":task/") + "/any"
        asked += [
            Question(actions=["ecs:RunTask"], resources=[revision], context=in_cluster),
            Question(
                actions=["ecs:DescribeTasks", "ecs:StopTask"], resources=[task], context=in_cluster
            ),
        ]
    roles = _roles(facts)
    if roles:
        context = {"iam:PassedToService": "ecs-tasks.amazonaws.com"}
        asked.append(Question(actions=["iam:PassRole"], resources=roles, context=context))
    if facts.repository and facts.pushes and ".dkr.ecr" in facts.repository.host:
        partition = service.arn.split(":")[1]
        account = facts.repository.registry_id or identity.account
        arn = f"arn:{partition}:ecr:{identity.region}:{account}:repository/{facts.repository.name}"
        create = () if facts.repository.exists else ("ecr:CreateRepository",)
        asked.append(Question(actions=(*create, *PUSH), resources=[arn], context={}))
    return asked


def _roles(facts: Facts) -> Sequence[str]:
    named = (facts.body.get(field) for field in ("executionRoleArn", "taskRoleArn"))
    return list(dict.fromkeys(str(role) for role in named if str(role).startswith("arn:")))
