"""What AWS asks IAM before it does a call: which action, on which resource, in what context.

By the service authorization reference, as far as the program goes. A call whose checks
are not known here is a mistake of the simulator under a policy, never allowed by chance.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from .calls import denial
from .ecs_lookup import find_definition, short
from .policy import Check, allows, as_list
from .state import State

Tree = Mapping[str, Any]
Context = tuple[tuple[str, str], ...]

_UNCHECKED = frozenset({"sts:GetCallerIdentity", "sts:AssumeRoleWithWebIdentity"})
"""AWS lets anybody ask who he is; the other one is the trust policy's business."""

_ON_ANYTHING = frozenset(
    {
        "application-autoscaling:DescribeScalableTargets",
        "cloudwatch:DescribeAlarms",
        "ec2:DescribeSubnets",
        "ecr:DescribePullThroughCacheRules",
        "ecr:GetAuthorizationToken",
        "ecs:DeregisterTaskDefinition",
        "ecs:DescribeTaskDefinition",
        "ecs:ListTaskDefinitions",
        "elasticloadbalancing:DescribeListeners",
        "elasticloadbalancing:DescribeLoadBalancers",
        "elasticloadbalancing:DescribeRules",
        "elasticloadbalancing:DescribeTargetGroupAttributes",
        "elasticloadbalancing:DescribeTargetGroups",
        "elasticloadbalancing:DescribeTargetHealth",
        "logs:DescribeLogGroups",
    }
)
_ON_A_SERVICE = frozenset(
    {"ecs:DescribeServices", "ecs:ListServiceDeployments", "ecs:UpdateService"}
)
_ON_A_RECORD = {
    "ecs:DescribeServiceDeployments": "serviceDeploymentArns",
    "ecs:DescribeServiceRevisions": "serviceRevisionArns",
    "ecs:StopServiceDeployment": "serviceDeploymentArn",
}
"""AWS checks these on the record and on its service."""
PUSHING = (
    "ecr:BatchCheckLayerAvailability",
    "ecr:InitiateLayerUpload",
    "ecr:UploadLayerPart",
    "ecr:CompleteLayerUpload",
    "ecr:PutImage",
)
"""In the order in which a push needs them."""


def authorize(state: State, action: str, params: Tree) -> None:
    """Raise what AWS answers where the policy of the world does not allow the call."""
    if state.policy is None or action in _UNCHECKED:
        return
    for check in checks(state, action, params):
        demand(state, check)


def demand(state: State, check: Check) -> None:
    """Raise where the policy of the world does not allow this."""
    if state.policy is None:
        return
    state.asked.add(check.action)
    if not allows(state.policy, check):
        raise denial(state, check.action, check.resource)


def on_repository(state: State, action: str, name: str, account: str = "") -> Check:
    arn = f"arn:aws:ecr:{state.region}:{account or state.account}:repository/{name}"
    return Check(action, arn)


def checks(state: State, action: str, params: Tree) -> Iterator[Check]:
    """All that must be allowed for this call."""
    if action in _ON_ANYTHING:
        yield Check(action)
    elif action.startswith("ecr:"):
        for name in params.get("repositoryNames") or [params.get("repositoryName", "*")]:
            yield on_repository(state, action, name, params.get("registryId", ""))
    elif action.startswith("ecs:"):
        yield from _ecs(state, action, params)
    elif action == "logs:GetLogEvents":
        stream = f"{params['logGroupName']}:log-stream:{params['logStreamName']}"
        yield Check(action, state.arn("logs", f"log-group:{stream}"))
    else:
        yield from _looked_at(state, action, params)


def _looked_at(state: State, action: str, params: Tree) -> Iterator[Check]:
    """What is only read before a release."""
    match action:
        case "iam:GetRole":
            yield Check(action, f"arn:aws:iam::{state.account}:role/{params['RoleName']}")
        case "iam:SimulatePrincipalPolicy":
            yield Check(action, params["PolicySourceArn"])
        case "secretsmanager:DescribeSecret" | "secretsmanager:GetSecretValue":
            yield Check(action, params["SecretId"])
        case "ssm:GetParameters":
            for name in params["Names"]:
                path = name.partition(":parameter/")[2] or name.lstrip("/")
                yield Check(action, state.arn("ssm", f"parameter/{path}"))
        case "s3:GetObject":
            yield Check(action, f"arn:aws:s3:::{params['Bucket']}/{params['Key']}")
        case "sns:Publish":
            yield Check(action, params["TopicArn"])
        case _:
            raise AssertionError(f"the simulator does not know on what AWS checks {action}")


def _ecs(state: State, action: str, params: Tree) -> Iterator[Check]:
    cluster = short(params.get("cluster", "default"))
    within = (("ecs:cluster", state.arn("ecs", f"cluster/{cluster}")),)
    if action in _ON_A_SERVICE:
        for name in params.get("services") or [params["service"]]:
            yield Check(action, state.arn("ecs", f"service/{cluster}/{short(name)}"), within)
        return
    if action in _ON_A_RECORD:
        yield from _records(action, as_list(params[_ON_A_RECORD[action]]))
        return
    if action == "ecs:RegisterTaskDefinition":
        yield from _registration(state, params)
        return
    yield from _tasks(state, action, params, cluster, within)


def _tasks(
    state: State, action: str, params: Tree, cluster: str, within: Context
) -> Iterator[Check]:
    match action:
        case "ecs:ListServices" | "ecs:ListTasks":
            # For tasks AWS looks at all container instances, which a policy calls `*` as well.
            yield Check(action, context=within)
        case "ecs:DescribeTasks" | "ecs:StopTask":
            for task in params.get("tasks") or [params["task"]]:
                yield Check(action, state.arn("ecs", f"task/{cluster}/{short(task)}"), within)
        case "ecs:RunTask":
            yield from _one_off(state, params, cluster, within)
        case _:
            raise AssertionError(f"the simulator does not know on what AWS checks {action}")


def _records(action: str, arns: Iterable[str]) -> Iterator[Check]:
    for arn in arns:
        start, kind, cluster, service, _ = _parts(arn)
        within = (("ecs:cluster", f"{start}:cluster/{cluster}"),)
        yield Check(action, f"{start}:service/{cluster}/{service}", within)
        yield Check(action, f"{start}:{kind}/{cluster}/{service}/{short(arn)}", within)


def _parts(arn: str) -> list[str]:
    start, _, resource = arn.rpartition(":")
    return [start, *resource.split("/")]


def _registration(state: State, params: Tree) -> Iterator[Check]:
    """The roles are checked when they are handed over, and the tags when they are put on."""
    family = state.arn("ecs", f"task-definition/{params['family']}:*")
    yield Check("ecs:RegisterTaskDefinition", family)
    if "tags" in params:
        creation = (("ecs:CreateAction", "RegisterTaskDefinition"),)
        yield Check("ecs:TagResource", family, creation)
    yield from _roles(params)


def _one_off(state: State, params: Tree, cluster: str, within: Context) -> Iterator[Check]:
    """On the revision, on the roles that it hands over, and on the tags of the task."""
    definition = find_definition(state, params["taskDefinition"])
    yield Check("ecs:RunTask", definition.arn, within)
    if "tags" in params or "propagateTags" in params:
        creation = (("ecs:CreateAction", "RunTask"),)
        yield Check("ecs:TagResource", state.arn("ecs", f"task/{cluster}/*"), creation)
    yield from _roles(definition.body)


def _roles(definition: Tree) -> Iterator[Check]:
    for key in ("executionRoleArn", "taskRoleArn"):
        if definition.get(key):
            to_tasks = (("iam:PassedToService", "ecs-tasks.amazonaws.com"),)
            yield Check("iam:PassRole", definition[key], to_tasks)
