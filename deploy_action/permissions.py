"""What AWS must allow for a call: the words in which every gateway declares its calls."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum


class Scope(Enum):
    """What a policy can narrow an action to, by the AWS service authorization reference."""

    NOTHING = "nothing"
    """AWS asks for no permission and cannot refuse the call."""
    UNASKED = "unasked"
    """Tried, and used where it happens to be allowed. The policy does not ask for it: it would
    open more than a deployment needs, such as the value of a secret."""
    ANYTHING = "anything"
    """The action knows no resource, so the policy can only say `*`."""
    CLUSTER = "cluster"
    """No resource of ours either, but a condition on the cluster."""
    SERVICE = "service"
    SERVICE_DEPLOYMENT = "service deployment"
    """The service and its service deployments: AWS checks both."""
    SERVICE_REVISION = "service revision"
    """The service and its service revisions: AWS checks both."""
    FAMILY = "family"
    FAMILY_IN_CLUSTER = "family in cluster"
    """The family, and a condition on the cluster."""
    TASK = "task"
    """Every task of the cluster: their names are not known before they are there."""
    CREATION = "creation"
    """What is made with tags: revisions of the family, tasks of the cluster."""
    REPOSITORY = "repository"
    LOG_GROUP = "log group"
    SECRET = "secret"  # noqa: S105 - a kind of resource
    """Secrets that task definitions refer to; that they exist, not what is in them."""
    TOPIC = "topic"
    """SNS topics that are told how a run ended."""
    ROLE = "role"
    """The roles of the tasks."""
    PASSED_ROLE = "passed role"
    """The same, and only to hand them to tasks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Permission:
    """How one action is allowed, and whether it has to be."""

    scope: Scope
    writes: bool = False
    optional: bool = False
    """Without it the report gets poorer or the way longer, and the verdict stays true."""
    only_with: str = ""
    """The input without which the call is not made; the policy asks for it on request."""


Permissions = Mapping[str, Permission]
"""By the action, as IAM spells it: `ecs:UpdateService`."""
