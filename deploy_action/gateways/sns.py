"""Amazon SNS in our words: a message to a topic, with the credentials of the step."""

from __future__ import annotations

from deploy_action.gateways.aws import Clients, answering
from deploy_action.permissions import Permission, Permissions, Scope

PERMISSIONS: Permissions = {
    "sns:Publish": Permission(scope=Scope.TOPIC, writes=True, optional=True),
}
LONGEST_SUBJECT = 100


class Sns:
    """Topics of any region."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def publish(self, topic: str, subject: str, message: str) -> None:
        """Once, within seconds or not at all. SNS wants a subject of ASCII on one line."""
        plain = " ".join(subject.split()).encode("ascii", "replace").decode()
        with answering("sns:Publish"):
            self._clients.get("sns", topic.split(":")[3]).publish(
                TopicArn=topic, Subject=plain[:LONGEST_SUBJECT], Message=message
            )
