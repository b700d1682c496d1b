"""What AWS has against a request: names that are not there, a definition it does not take.

Texts: the error lists of the ECS API reference, and for RegisterTaskDefinition and
UpdateService what users report, because their texts are not documented.
"""

from __future__ import annotations

from deploy_action.diagnosis.rule import Rank, Rule, Says, Where

_SIZES = (
    "Pairs for Fargate (CPU units: MiB): 256: 512, 1024, 2048; 512: 1024 to 4096; 1024: 2048 to "
    "8192; 2048: 4096 to 16384; 4096: 8192 to 30720, in steps of 1024; 8192: 16384 to 61440 in "
    "steps of 4096; 16384: 32768 to 122880 in steps of 8192."
)


def _no(row: int, name: str, pattern: str, cause: str, fix: str) -> Rule:
    return Says(
        name=name,
        row=row,
        where=Where.REFUSAL | Where.PROBLEM,
        pattern=pattern,
        cause=cause,
        fix=fix,
        rank=Rank.REFUSED,
    )


RULES: tuple[Rule, ...] = (
    _no(
        7, "cluster-missing", r"ClusterNotFound|no cluster",
        "There is no such cluster in this account and region.",
        "Correct `cluster` or `aws-region`, or the role: it decides the account.",
    ),
    _no(
        40, "definition-inactive", r"TaskDefinition is inactive"
        r"|task ?definition.{0,60}(?:inactive|not active)"
        r"|Unable to describe task definition|TaskDefinition ?(?:is )?Not ?Found"
        r"|task definition .{0,60}does not exist",
        "The revision of the task definition was deregistered, or there is none of that name.",
        "Register it again: set `task-definition` to a file, or to a revision that is ACTIVE. "
        "Terraform and CloudFormation deregister old revisions unless told to keep them.",
    ),
    _no(
        8, "service-inactive", r"ServiceNotActive|Service was not ACTIVE"
        r"|service.{0,80}(?:DRAINING|INACTIVE)"
        r"|being deleted",
        "The service is being deleted.",
        "Create the service again, or correct `service`.",
    ),
    _no(
        6, "service-missing", r"\bMISSING\b|ServiceNotFound|no service",
        "There is no such service in this cluster, account and region.",
        "Correct `service`, `cluster` or `aws-region`, or the role: it decides the account.",
    ),
    _no(
        31, "fargate-size", r"No Fargate configuration exists|invalid (?:CPU"
        r"|memory) (?:or memory )?value"
        r"|Invalid 'cpu' setting|Invalid 'memory' setting",
        "Fargate does not have this pair of CPU and memory.",
        f"Choose another `cpu` and `memory`. {_SIZES}",
    ),
    _no(
        32, "execution-role-missing",
        r"requires? (?:a )?task definitions? to have (?:an )?execution role"
        r"|execution role ARN to support|executionRoleArn.{0,80}(?:required|must be specified)",
        "The task definition has no execution role, and needs one for ECR, logs or secrets.",
        "Set `executionRoleArn`, a role with AmazonECSTaskExecutionRolePolicy.",
    ),
    _no(
        33, "network-mode", r"network ?mode.{0,80}(?:not supported|only supports?|awsvpc)"
        r"|only supports? (?:the )?network ?mode"
        r"|Fargate compatible task definitions do not support",
        "The task definition has something that Fargate does not support, such as its network "
        "mode.",
        "Set `networkMode: awsvpc`, and remove what the message names.",
    ),
    _no(
        35, "definition-too-large", r"Max allowed length|(?:exceed|over|maximum|limit"
        r"|too large).{0,80}(?:64 ?KiB|65536|65,536|size)"
        r"|size.{0,60}exceed|member must have length less than",
        "The task definition is larger than 64 KiB.",
        "Move environment variables to an environment file in S3 or to parameters.",
    ),
    _no(
        34, "definition-field", r"Tags can not be empty|Parameter validation failed"
        r"|ParamValidationError"
        r"|Unknown parameter|Invalid type for parameter|is not a valid value|must not be null"
        r"|should not be null or empty",
        "A field of the task definition is not accepted.",
        "Correct the field that the message names.",
    ),
    _no(
        37, "load-balancer-port", r"container (?P<c>\S+) does not exist in the task definition"
        r"|did not have a container port|containerPort .{0,60}not"
        r"|container name .{0,60}not (?:found|exist)",
        "The load balancer of the service points to a container or port that the task "
        "definition does not have.",
        "Keep name and `containerPort` as in the service's load balancer, or change the service.",
    ),
    _no(
        38, "platform-version", r"PlatformTaskDefinitionIncompatibility|PlatformUnknown"
        r"|platform version",
        "The platform version of the service does not support what the task definition asks for.",
        "Set the platform version of the service to LATEST.",
    ),
    _no(
        39, "controller", r"(?:CODE_DEPLOY|EXTERNAL) deployment controller|deployment controller",
        "The service is deployed by another controller (CodeDeploy or an external one).",
        "Deploy it through that controller, or make the service anew with the ECS controller.",
    ),
    _no(
        41, "quota", r"LimitExceeded|quota (?:is |was )?(?:exceeded|reached)"
        r"|exceeded the (?:limit|quota)",
        "A quota of the account is reached.",
        "Ask for a higher quota (Service Quotas), or remove what is not needed.",
    ),
    _no(
        43, "unsupported", r"UnsupportedFeature|not supported in this (?:region|service)"
        r"|unsupported feature",
        "This region or launch type does not have the feature that is asked for.",
        "Remove the feature from service or task definition, or use another region.",
    ),
    _no(
        56, "network-gone", r"InvalidSubnet|InvalidGroup|InvalidSecurityGroup|(?:subnet"
        r"|security group).{0,80}"
        r"(?:does not exist|do not exist|not found)",
        "A subnet or security group of the service does not exist.",
        "Correct the network configuration of the service.",
    ),
)  # fmt: skip
