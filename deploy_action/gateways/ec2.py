"""Amazon VPC in our words: how many addresses the subnets have left."""

from __future__ import annotations

from collections.abc import Sequence

from deploy_action.gateways.aws import Clients, answering
from deploy_action.permissions import Permission, Permissions, Scope

PERMISSIONS: Permissions = {
    "ec2:DescribeSubnets": Permission(scope=Scope.ANYTHING, optional=True),
}


class Ec2:
    """The subnets of one region."""

    def __init__(self, clients: Clients) -> None:
        self._clients = clients

    def free_addresses(self, subnets: Sequence[str]) -> dict[str, int]:
        """Subnet to the number of its free addresses; AwsError with MISSING where one is not."""
        with answering("ec2:DescribeSubnets"):
            answer = self._clients.get("ec2").describe_subnets(SubnetIds=list(subnets))
        return {
            subnet["SubnetId"]: subnet["AvailableIpAddressCount"]
            for subnet in answer.get("Subnets", [])
        }
