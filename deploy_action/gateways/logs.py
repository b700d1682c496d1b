"""CloudWatch Logs in our words: what one container wrote."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy_action.gateways.aws import READS, Clients, answering
from deploy_action.model import Json
from deploy_action.permissions import Permission, Permissions, Scope

if TYPE_CHECKING:
    import boto3

PERMISSIONS: Permissions = {
    "logs:DescribeLogGroups": Permission(scope=Scope.ANYTHING, optional=True),
    "logs:GetLogEvents": Permission(scope=Scope.LOG_GROUP, optional=True),
}


class Logs:
    """The log groups of one region."""

    def __init__(self, session: boto3.Session) -> None:
        self._client = session.client("logs", config=READS)

    def tail(self, group: str, stream: str, lines: int) -> list[str]:
        """The last `lines` messages of a stream, oldest first."""
        with answering("logs:GetLogEvents"):
            answer = self._client.get_log_events(
                logGroupName=group, logStreamName=stream, limit=lines, startFromHead=False
            )
        return [event.get("message", "").rstrip("\n") for event in answer.get("events", [])]

    def after(self, group: str, stream: str, token: str) -> tuple[list[str], str]:
        """The messages behind a token, oldest first, and the token for the next time.

        An empty token stands for the beginning. With the same token as before
        there was nothing more.
        """
        place: Json = {"nextToken": token} if token else {}
        with answering("logs:GetLogEvents"):
            answer = self._client.get_log_events(
                logGroupName=group, logStreamName=stream, startFromHead=True, **place
            )
            token = answer["nextForwardToken"]
        return [event.get("message", "").rstrip("\n") for event in answer.get("events", [])], token


class LogGroups:
    """Whether log groups exist, in any region."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def exists(self, name: str, region: str) -> bool:
        with answering("logs:DescribeLogGroups"):
            answer = self._clients.get("logs", region).describe_log_groups(logGroupNamePrefix=name)
        # Of all names that begin with it, the name itself comes first.
        return any(group.get("logGroupName") == name for group in answer.get("logGroups", []))
