"""Amazon S3 in our words: whether an object is there."""

from __future__ import annotations

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.aws import Clients, answering
from deploy_action.permissions import Permission, Permissions, Scope

PERMISSIONS: Permissions = {
    "s3:GetObject": Permission(scope=Scope.UNASKED, optional=True),
}


class S3:
    """Objects of any bucket."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def exists(self, bucket: str, key: str) -> bool:
        """Whether the object is there. Who may not list the bucket is refused instead."""
        try:
            # HeadObject has no permission of its own.
            with answering("s3:GetObject"):
                self._clients.get("s3").head_object(Bucket=bucket, Key=key)
        except AwsError as error:
            if error.refusal is Refusal.MISSING:
                return False
            raise
        return True
