"""Answers of the load-balancing API that moto does not give, as AWS gives them."""

from __future__ import annotations

from deploy_action.gateways.elbv2 import Elbv2
from deploy_action.model import TargetHealth
from tests.gateways.wire import Wire


def xml(operation: str, inner: str) -> str:
    return (
        f"<{operation}Response><{operation}Result>{inner}</{operation}Result></{operation}Response>"
    )


def test_a_network_load_balancer_is_no_web_address() -> None:
    wire = Wire()
    wire.answers(
        "DescribeTargetGroups",
        xml(
            "DescribeTargetGroups",
            "<TargetGroups><member><LoadBalancerArns><member>lb</member></LoadBalancerArns>"
            "</member></TargetGroups>",
        ),
    )
    wire.answers(
        "DescribeLoadBalancers",
        xml(
            "DescribeLoadBalancers",
            "<LoadBalancers><member><DNSName>n</DNSName></member></LoadBalancers>",
        ),
    )
    wire.answers(
        "DescribeListeners",
        xml(
            "DescribeListeners",
            "<Listeners><member><Protocol>TCP</Protocol><Port>80</Port></member></Listeners>",
        ),
    )

    assert Elbv2(wire.session).address("tg") is None


def test_the_state_of_each_target_is_read_with_its_reason() -> None:
    wire = Wire()
    wire.answers(
        "DescribeTargetHealth",
        xml(
            "DescribeTargetHealth",
            "<TargetHealthDescriptions>"
            "<member><Target><Id>10.0.0.1</Id><Port>8080</Port></Target>"
            "<TargetHealth><State>unhealthy</State><Reason>Target.ResponseCodeMismatch</Reason>"
            "<Description>Health checks failed with these codes: [404]</Description>"
            "</TargetHealth></member>"
            "<member><Target><Id>10.0.0.2</Id></Target></member>"
            "</TargetHealthDescriptions>",
        ),
    )

    assert Elbv2(wire.session).target_health("tg") == [
        TargetHealth(
            target="10.0.0.1:8080",
            state="unhealthy",
            reason="Target.ResponseCodeMismatch",
            description="Health checks failed with these codes: [404]",
        ),
        TargetHealth(target="10.0.0.2:?", state="", reason="", description=""),
    ]


def test_a_group_that_says_nothing_has_the_defaults_of_aws() -> None:
    wire = Wire()
    for operation, inner in (
        ("DescribeTargetGroups", "<TargetGroups><member></member></TargetGroups>"),
        ("DescribeTargetGroupAttributes", "<Attributes></Attributes>"),
    ):
        wire.answers(operation, xml(operation, inner))

    found = Elbv2(wire.session).timing("tg")

    assert (found.check_interval, found.deregistration_delay) == (30, 300)
