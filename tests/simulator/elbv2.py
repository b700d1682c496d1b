"""The operations of Elastic Load Balancing v2."""

from __future__ import annotations

from .ask import Ask, Tree, page_by, present
from .calls import SimulatedError
from .state import Listener, LoadBalancer, Rule, State, TargetGroup


class Elbv2:
    """One method per operation, named like the boto3 method."""

    def describe_target_groups(self, ask: Ask) -> Tree:
        groups = list(ask.state.target_groups.values())
        arns, names = ask.params.get("TargetGroupArns"), ask.params.get("Names")
        if arns is not None:
            groups = [_group(ask.state, arn) for arn in arns]
        if names is not None:
            groups = [each for each in groups if each.name in names]
            if not groups:
                raise _missing_group()
        balancer = ask.params.get("LoadBalancerArn")
        if balancer is not None:
            groups = [each for each in groups if balancer in _balancers_of(ask.state, each)]
        return _page(ask, "TargetGroups", [_show_group(ask.state, each) for each in groups])

    def describe_target_group_attributes(self, ask: Ask) -> Tree:
        group = _group(ask.state, ask.params["TargetGroupArn"])
        attributes = {
            "deregistration_delay.timeout_seconds": str(group.drain_seconds),
            "slow_start.duration_seconds": "0",
            "stickiness.enabled": "false",
            "load_balancing.algorithm.type": "round_robin",
        }
        return {"Attributes": [{"Key": key, "Value": value} for key, value in attributes.items()]}

    def describe_target_health(self, ask: Ask) -> Tree:
        group = _group(ask.state, ask.params["TargetGroupArn"])
        wanted = {each["Id"] for each in ask.params.get("Targets", [])}
        return {
            "TargetHealthDescriptions": [
                {
                    "Target": {"Id": each.address, "Port": each.port},
                    "HealthCheckPort": str(each.port),
                    "TargetHealth": present(
                        State=each.state, Reason=each.reason, Description=each.description
                    ),
                }
                for each in group.targets.values()
                if not wanted or each.address in wanted
            ]
        }

    def describe_load_balancers(self, ask: Ask) -> Tree:
        balancers = list(ask.state.load_balancers.values())
        arns, names = ask.params.get("LoadBalancerArns"), ask.params.get("Names")
        if arns is not None:
            balancers = [each for each in balancers if each.arn in arns]
        if names is not None:
            balancers = [each for each in balancers if each.name in names]
        if (arns or names) and not balancers:
            raise SimulatedError("LoadBalancerNotFound", "One or more load balancers not found")
        return _page(ask, "LoadBalancers", [_show_balancer(each) for each in balancers])

    def describe_listeners(self, ask: Ask) -> Tree:
        listeners = list(ask.state.listeners.values())
        arns, balancer = ask.params.get("ListenerArns"), ask.params.get("LoadBalancerArn")
        if balancer is not None:
            if balancer not in ask.state.load_balancers:
                raise SimulatedError("LoadBalancerNotFound", "One or more load balancers not found")
            listeners = [each for each in listeners if each.load_balancer == balancer]
        if arns is not None:
            listeners = [each for each in listeners if each.arn in arns]
            if not listeners:
                raise SimulatedError("ListenerNotFound", "One or more listeners not found")
        return _page(ask, "Listeners", [_show_listener(each) for each in listeners])

    def describe_rules(self, ask: Ask) -> Tree:
        arn = ask.params.get("ListenerArn")
        listener = ask.state.listeners.get(arn or "")
        if arn is not None and listener is None:
            raise SimulatedError("ListenerNotFound", "One or more listeners not found")
        listeners = [listener] if listener else list(ask.state.listeners.values())
        rules = [rule for each in listeners for rule in each.rules]
        wanted = ask.params.get("RuleArns")
        if wanted is not None:
            rules = [rule for rule in rules if rule.arn in wanted]
        return _page(ask, "Rules", [_show_rule(rule) for rule in rules])


def _page(ask: Ask, key: str, items: list[Tree]) -> Tree:
    return page_by(ask, key, items, "Marker", "NextMarker", "PageSize", 400)


def _group(state: State, arn: str) -> TargetGroup:
    if arn not in state.target_groups:
        raise _missing_group()
    return state.target_groups[arn]


def _missing_group() -> SimulatedError:
    return SimulatedError("TargetGroupNotFound", "One or more target groups not found")


def _balancers_of(state: State, group: TargetGroup) -> list[str]:
    found = {
        listener.load_balancer: None
        for listener in state.listeners.values()
        for rule in listener.rules
        for action in rule.actions
        if action.get("TargetGroupArn") == group.arn
    }
    return list(found)


def _show_group(state: State, group: TargetGroup) -> Tree:
    return {
        "TargetGroupArn": group.arn,
        "TargetGroupName": group.name,
        "Protocol": "HTTP",
        "Port": group.port,
        "VpcId": "vpc-0a1b2c3d",
        "HealthCheckProtocol": "HTTP",
        "HealthCheckPort": "traffic-port",
        "HealthCheckEnabled": True,
        "HealthCheckIntervalSeconds": group.interval,
        "HealthCheckTimeoutSeconds": group.timeout,
        "HealthyThresholdCount": group.healthy_threshold,
        "UnhealthyThresholdCount": group.unhealthy_threshold,
        "HealthCheckPath": group.path,
        "Matcher": {"HttpCode": group.matcher},
        "LoadBalancerArns": _balancers_of(state, group),
        "TargetType": "ip",
        "ProtocolVersion": "HTTP1",
        "IpAddressType": "ipv4",
    }


def _show_balancer(balancer: LoadBalancer) -> Tree:
    return {
        "LoadBalancerArn": balancer.arn,
        "DNSName": balancer.host,
        "CanonicalHostedZoneId": "Z32O12XQLNTSW2",
        "CreatedTime": balancer.created_at,
        "LoadBalancerName": balancer.name,
        "Scheme": balancer.scheme,
        "VpcId": "vpc-0a1b2c3d",
        "State": {"Code": "active"},
        "Type": "application",
        "AvailabilityZones": [{"ZoneName": "eu-west-1a", "SubnetId": "subnet-1"}],
        "SecurityGroups": ["sg-1"],
        "IpAddressType": "ipv4",
    }


def _show_listener(listener: Listener) -> Tree:
    default = next(rule for rule in listener.rules if rule.priority == "default")
    certificates = [{"CertificateArn": "arn:aws:acm:eu-west-1:123456789012:certificate/1"}]
    return present(
        ListenerArn=listener.arn,
        LoadBalancerArn=listener.load_balancer,
        Port=listener.port,
        Protocol=listener.protocol,
        Certificates=certificates if listener.protocol == "HTTPS" else None,
        DefaultActions=default.actions,
    )


def _show_rule(rule: Rule) -> Tree:
    conditions: list[Tree] = []
    for field, config, values in (
        ("host-header", "HostHeaderConfig", rule.hosts),
        ("path-pattern", "PathPatternConfig", rule.paths),
    ):
        if values:
            conditions.append({"Field": field, "Values": values, config: {"Values": values}})
    return {
        "RuleArn": rule.arn,
        "Priority": rule.priority,
        "Conditions": conditions,
        "Actions": rule.actions,
        "IsDefault": rule.priority == "default",
    }
