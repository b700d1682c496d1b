"""Load balancers in our words: where a service answers, and what slows its rollout."""

from __future__ import annotations

import fnmatch
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deploy_action.gateways.aws import READS, answering
from deploy_action.model import TargetCheck, TargetHealth
from deploy_action.permissions import Permission, Permissions, Scope

if TYPE_CHECKING:
    import boto3

PERMISSIONS: Permissions = {
    "elasticloadbalancing:DescribeListeners": Permission(scope=Scope.ANYTHING),
    "elasticloadbalancing:DescribeLoadBalancers": Permission(scope=Scope.ANYTHING),
    "elasticloadbalancing:DescribeRules": Permission(scope=Scope.ANYTHING),
    "elasticloadbalancing:DescribeTargetGroupAttributes": Permission(
        scope=Scope.ANYTHING, optional=True
    ),
    "elasticloadbalancing:DescribeTargetGroups": Permission(scope=Scope.ANYTHING),
    "elasticloadbalancing:DescribeTargetHealth": Permission(scope=Scope.ANYTHING, optional=True),
}
"""Where they are not optional, `health-path` needs them; with `health-url` none is."""

WILDCARD = re.compile(r"[*?]")
WEB_PROTOCOLS = {"HTTP": 80, "HTTPS": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Address:
    """A way in from outside: one listener of the load balancer."""

    base_url: str
    """`scheme://host[:port]`, without a path."""
    internal: bool
    load_balancer: str


@dataclass(frozen=True, slots=True, kw_only=True)
class TargetTiming:
    """The settings of a target group that a rollout waits for, in seconds."""

    check_interval: float
    deregistration_delay: float


class Elbv2:
    """The load-balancing API of one region."""

    def __init__(self, session: boto3.Session) -> None:
        self._client = session.client("elbv2", config=READS)

    def address(self, target_group_arn: str) -> Address | None:
        """The listener that leads to this target group; None where none does.

        Plain HTTP is preferred: its name needs no certificate. A host condition
        of the listener's rule gives the name to ask for.
        """
        with answering("elasticloadbalancing:DescribeTargetGroups"):
            groups = self._client.describe_target_groups(TargetGroupArns=[target_group_arn])
            balancer_arns = groups["TargetGroups"][0].get("LoadBalancerArns", [])
        found: list[tuple[bool, Address]] = []
        for arn in balancer_arns:
            with answering("elasticloadbalancing:DescribeLoadBalancers"):
                balancers = self._client.describe_load_balancers(LoadBalancerArns=[arn])
                balancer: Any = balancers["LoadBalancers"][0]
            with answering("elasticloadbalancing:DescribeListeners"):
                listeners = self._client.describe_listeners(LoadBalancerArn=arn)["Listeners"]
            for listener in listeners:
                protocol = listener.get("Protocol", "")
                if protocol not in WEB_PROTOCOLS:
                    continue
                leads, host = self._route(listener, target_group_arn, balancer["DNSName"])
                if leads:
                    address = _address(balancer, listener, host)
                    found.append((protocol != "HTTP", address))
        return min(found, key=lambda pair: pair[0])[1] if found else None

    def timing(self, target_group_arn: str) -> TargetTiming:
        """How fast the target group notices and lets go."""
        with answering("elasticloadbalancing:DescribeTargetGroups"):
            groups = self._client.describe_target_groups(TargetGroupArns=[target_group_arn])
            check_interval = groups["TargetGroups"][0].get("HealthCheckIntervalSeconds", 30)
        with answering("elasticloadbalancing:DescribeTargetGroupAttributes"):
            attributes = self._client.describe_target_group_attributes(
                TargetGroupArn=target_group_arn
            )
            values = {a.get("Key"): a.get("Value") for a in attributes["Attributes"]}
        return TargetTiming(
            check_interval=check_interval,
            deregistration_delay=float(values.get("deregistration_delay.timeout_seconds") or 300),
        )

    def target_check(self, target_group_arn: str) -> TargetCheck:
        """How the group asks its targets whether they are well."""
        with answering("elasticloadbalancing:DescribeTargetGroups"):
            groups = self._client.describe_target_groups(TargetGroupArns=[target_group_arn])
            group = groups["TargetGroups"][0]
        return TargetCheck(
            protocol=group.get("HealthCheckProtocol", ""),
            port=group.get("HealthCheckPort", "traffic-port"),
            path=group.get("HealthCheckPath", ""),
            codes=group.get("Matcher", {}).get("HttpCode", ""),
        )

    def target_health(self, target_group_arn: str) -> list[TargetHealth]:
        """The state of every registered target."""
        with answering("elasticloadbalancing:DescribeTargetHealth"):
            answer = self._client.describe_target_health(TargetGroupArn=target_group_arn)
        return [
            TargetHealth(
                target=f"{t['Target']['Id']}:{t['Target'].get('Port', '?')}",
                state=t.get("TargetHealth", {}).get("State", ""),
                reason=t.get("TargetHealth", {}).get("Reason", ""),
                description=t.get("TargetHealth", {}).get("Description", ""),
            )
            for t in answer.get("TargetHealthDescriptions", [])
        ]

    def _route(
        self,
        listener: Any,  # noqa: ANN401 - the shape of botocore
        target_group_arn: str,
        own_name: str,
    ) -> tuple[bool, str | None]:
        """Whether the listener leads to the group, and the host it wants to be asked for.

        None is the load balancer's own name. A rule that only takes names of a
        pattern leads nowhere that could be asked: nobody knows which of them exist.
        """
        with answering("elasticloadbalancing:DescribeRules"):
            rules = self._client.describe_rules(ListenerArn=listener["ListenerArn"])["Rules"]
        leading = [
            _hosts(rule)
            for rule in rules
            if any(_forwards(action, target_group_arn) for action in rule.get("Actions", []))
        ]
        if any(_forwards(a, target_group_arn) for a in listener.get("DefaultActions", [])):
            leading.append([])
        if any(not hosts or _takes(hosts, own_name) for hosts in leading):
            return True, None
        plain = [host for hosts in leading for host in hosts if not WILDCARD.search(host)]
        return bool(plain), plain[0] if plain else None


def _forwards(action: Any, target_group_arn: str) -> bool:  # noqa: ANN401 - the shape of botocore
    if action.get("TargetGroupArn") == target_group_arn:
        return True
    groups = action.get("ForwardConfig", {}).get("TargetGroups", [])
    return any(group.get("TargetGroupArn") == target_group_arn for group in groups)


def _hosts(rule: Any) -> list[str]:  # noqa: ANN401 - the shape of botocore
    """The host names and patterns that a rule takes; none where it takes any."""
    for condition in rule.get("Conditions", []):
        if condition.get("Field") == "host-header":
            values = condition.get("HostHeaderConfig", {}).get("Values")
            return list(values or condition.get("Values") or [])
    return []


def _takes(patterns: list[str], name: str) -> bool:
    return any(fnmatch.fnmatchcase(name.lower(), pattern.lower()) for pattern in patterns)


def _address(balancer: Any, listener: Any, host: str | None) -> Address:  # noqa: ANN401
    protocol, port = listener["Protocol"], listener.get("Port")
    shown = "" if port == WEB_PROTOCOLS[protocol] else f":{port}"
    return Address(
        base_url=f"{protocol.lower()}://{host or balancer['DNSName']}{shown}",
        internal=balancer.get("Scheme") == "internal",
        load_balancer=balancer.get("LoadBalancerName", ""),
    )
