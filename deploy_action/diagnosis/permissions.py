"""Who may not do what: refused calls, roles that cannot be assumed, tokens and keys.

Texts: "Troubleshoot access denied error messages" of the IAM user guide, the errors of
AWS STS, and the ECS developer guide on service-linked and task roles.
"""

from __future__ import annotations

import re

from deploy_action.access import Denial
from deploy_action.diagnosis.rule import (
    Finding,
    Rank,
    Rule,
    Says,
    Text,
    Where,
    proof,
    short,
    texts,
)
from deploy_action.errors import Refusal
from deploy_action.evidence import Evidence

_DENIED = re.compile(
    r"(?:is|are) not authorized to perform|not authorized to perform:|AccessDenied\w*:"
    r"|UnauthorizedOperation|not authorized to access this resource",
    re.IGNORECASE,
)
_ROWS = (
    ("iam:PassRole", 11), ("ecr:", 22), ("secretsmanager:", 44), ("ssm:", 44), ("kms:", 44),
    ("logs:", 50), ("elasticfilesystem:", 52), ("s3:", 53),
)  # fmt: skip
_PUSH = (
    "ecr:InitiateLayerUpload", "ecr:UploadLayerPart", "ecr:CompleteLayerUpload", "ecr:PutImage",
    "ecr:BatchCheckLayerAvailability",
)  # fmt: skip
_GUARDRAILS = ("service control policy", "resource control policy", "permissions boundary")


def call_denied(evidence: Evidence) -> Finding | None:
    """The call of the job itself was refused."""
    error = evidence.refusal
    if error is None or error.refusal is not Refusal.DENIED:
        return None
    denial = Denial.read(error.message, error.action)
    guardrail = denial.policy in _GUARDRAILS
    row = 11 if denial.action == "iam:PassRole" else 10 if guardrail else 9
    if denial.action in _PUSH:
        row = 18
    who = denial.principal or "the role or user of this job"
    cause = f"{who[0].upper()}{who[1:]} may not call {denial.action}"
    if denial.action == "iam:PassRole" and denial.resource != "*":
        cause = f"{who[0].upper()}{who[1:]} may not hand over the role {short(denial.resource)}"
    return Finding(
        name="access-denied",
        cause=cause + _by(denial) + ".",
        proof=proof(str(error), ""),
        fix=error.fix,
        row=row,
        rank=Rank.REFUSED,
    )


def task_denied(evidence: Evidence) -> Finding | None:
    """A task could not start, because its role may not do something that is named."""
    for text in texts(evidence, Where.STOP | Where.EVENT):
        denial = Denial.read(text.raw)
        if _DENIED.search(text.raw) and denial.action and denial.action != "sts:AssumeRole":
            whom = f"the execution role {short(evidence.execution_role)}"
            return _of_task(denial, text, whom if evidence.execution_role else "", Rank.START)
    return None


def application_denied(evidence: Evidence) -> Finding | None:
    """The application writes that AWS refused one of its calls."""
    for text in texts(evidence, Where.LOG):
        denial = Denial.read(text.raw)
        if _DENIED.search(text.raw) and denial.action:
            whom = f"the task role {short(evidence.task_role)}" if evidence.task_role else ""
            ended = any(t.stop_code == "EssentialContainerExited" for t in evidence.stops)
            rank = Rank.NAMED if ended else Rank.RUNNING
            return _of_task(denial, text, whom or "the task role", rank)
    return None


def _of_task(denial: Denial, text: Text, whom: str, rank: Rank) -> Finding:
    who = denial.principal or whom or "The role of the task"
    row = next((row for start, row in _ROWS if denial.action.startswith(start)), 9)
    return Finding(
        name="application-access-denied" if text.where is Where.LOG else "task-access-denied",
        cause=f"{who[0].upper()}{who[1:]} may not call {denial.action}{_by(denial)}.",
        proof=proof(text.shown, denial.action),
        fix=denial.fix(whom=whom),
        row=9 if text.where is Where.LOG else row,
        rank=rank,
        distance=text.distance,
    )


def _by(denial: Denial) -> str:
    if not denial.policy:
        return ""
    kind = "an" if denial.policy[0] in "aeiou" else "a"
    return (
        f": {kind} {denial.policy} denies it"
        if denial.is_explicit
        else f": no {denial.policy} allows it"
    )


def token_refused(evidence: Evidence) -> Finding | None:
    """STS does not accept the job's OIDC token; the fix that came with the error says more."""
    error = evidence.refusal
    if error is None or error.action != "sts:AssumeRoleWithWebIdentity":
        return None
    if error.refusal not in (Refusal.DENIED, Refusal.CREDENTIALS):
        return None
    missing = "InvalidIdentityToken" in error.code or "provider" in error.message
    return Finding(
        name="token-refused",
        cause="AWS does not accept the OIDC token of the job: "
        + ("its identity provider or audience is not known there." if missing else "")
        + ("" if missing else "the trust policy of the role does not fit its claims."),
        proof=proof(str(error), ""),
        fix=error.fix,
        row=2 if missing else 1,
        rank=Rank.REFUSED,
    )


RULES: tuple[Rule, ...] = (
    token_refused,
    Says(
        name="token-missing",
        row=3,
        where=Where.REFUSAL | Where.PROBLEM,
        pattern=r"ACTIONS_ID_TOKEN_REQUEST_(?:URL|TOKEN)|no OIDC token|id-token",
        cause="The job has no OIDC token.",
        fix="Add `permissions: {{id-token: write, contents: read}}` to the job.",
        rank=Rank.REFUSED,
    ),
    Says(
        name="token-refused",
        row=1,
        where=Where.REFUSAL | Where.PROBLEM,
        pattern=r"Not authorized to perform:? sts:AssumeRoleWithWebIdentity",
        cause="AWS does not accept the OIDC token of the job: the trust policy of the role does "
        "not fit its claims.",
        fix="Compare `sub` and `aud` of the token with the conditions of the role's trust policy; "
        "set `role-to-assume` to have both printed.",
        rank=Rank.REFUSED,
    ),
    call_denied,
    Says(
        name="role-not-assumable",
        row=13,
        where=Where.STOP | Where.EVENT | Where.REFUSAL,
        pattern=r"unable to assume (?:the )?role,? ?'?(?P<role>arn:[^\s'\"]+)?"
        r"|cannot be assumed|not authorized to perform:? sts:AssumeRole\b"
        r"|Role is not valid|invalid .{0,40}role.{0,40}trust",
        unless=r"service.linked role",
        cause="ECS may not assume a role of the task definition{role}.",
        otherwise=(("role", ""),),
        fix="Let the trust policy of {execution_role} and of {task_role} name the principal "
        '`{{"Service": "ecs-tasks.amazonaws.com"}}`. A role that was deleted and made anew needs '
        "a new deployment.",
        rank=Rank.START,
    ),
    Says(
        name="service-linked-role",
        row=14,
        where=Where.EVENT | Where.REFUSAL | Where.STOP | Where.DEPLOYMENT,
        pattern=r"service.linked role",
        cause="The service-linked role of ECS is missing, or so new that it is not known "
        "everywhere yet.",
        fix="`aws iam create-service-linked-role --aws-service-name ecs.amazonaws.com`, then run "
        "the workflow again after a minute.",
        rank=Rank.REFUSED,
    ),
    task_denied,
    application_denied,
    Says(
        name="credentials-expired",
        row=4,
        where=Where.REFUSAL | Where.PROBLEM,
        pattern=r"Expired ?Token|token (?:included in the request )?(?:is|has) expired"
        r"|RequestExpired|credentials? (?:have|has) expired",
        cause="The credentials of the job ran out while it worked.",
        fix="Set `role-to-assume` in this step, which renews them; or ask for a longer session "
        "(`role-duration-seconds`, and the role's maximum). Whether the release was completed "
        "is not known: look at the service in ECS.",
        rank=Rank.REFUSED,
    ),
    Says(
        name="credentials-wrong",
        row=5,
        where=Where.REFUSAL | Where.PROBLEM,
        pattern=r"UnrecognizedClient|InvalidClientTokenId|SignatureDoesNotMatch|InvalidSignature"
        r"|IncompleteSignature|MissingAuthenticationToken|AuthFailure|security token.{0,60}invalid"
        r"|NoCredentials|Unable to locate credentials|PartialCredentials|InvalidAccessKeyId",
        cause="AWS does not know these credentials, or the request is not signed with them.",
        fix="Set the secrets anew, without a space or line break at their end, and check that "
        "key, secret and session token belong together and that the runner's clock is right. "
        "Better: use `role-to-assume` and no keys.",
        rank=Rank.REFUSED,
    ),
    Says(
        name="throttled",
        row=12,
        where=Where.REFUSAL | Where.PROBLEM,
        pattern=r"Throttl|Rate exceeded|TooManyRequests|RequestLimitExceeded",
        cause="AWS limits how often this account may call it, and the limit is reached.",
        fix="Run the workflow again later, or start fewer deployments at once.",
        rank=Rank.CAPACITY,
    ),
)
