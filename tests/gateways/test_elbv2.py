"""Load balancers: which address leads to a target group, and how fast it notices."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from moto import mock_aws

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.elbv2 import Address, Elbv2
from tests.gateways.wire import Json, session

HTTPS = {"Protocol": "HTTPS", "Port": 443}
HTTP = {"Protocol": "HTTP", "Port": 80}
ELSEWHERE: list[Json] = [{"Type": "fixed-response", "FixedResponseConfig": {"StatusCode": "404"}}]


NAMES = itertools.count()
"""All tests share one account, so each gives its things names of their own."""


@dataclass(frozen=True)
class Ground:
    """What every load balancer stands on."""

    session: boto3.Session
    network: str
    subnets: list[str]
    certificate: str


@pytest.fixture(scope="module")
def ground() -> Iterator[Ground]:
    with mock_aws():
        account = session()
        ec2 = account.client("ec2")
        network = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
        subnets = [
            ec2.create_subnet(
                VpcId=network, CidrBlock=f"10.0.{n}.0/24", AvailabilityZone=f"eu-west-1{zone}"
            )["Subnet"]["SubnetId"]
            for n, zone in enumerate("ab")
        ]
        acm: Any = account.client("acm")
        certificate = acm.request_certificate(DomainName="example.com")["CertificateArn"]
        yield Ground(account, network, subnets, certificate)


class Moto:
    """A load balancer that moto keeps, and our gateway to it."""

    def __init__(self, ground: Ground) -> None:
        self.client: Any = ground.session.client("elbv2")
        self.elbv2 = Elbv2(ground.session)
        self._ground = ground
        self._rules = 0
        self.group = self.target_group()
        self.balancer = self.load_balancer()

    def target_group(self) -> str:
        made = self.client.create_target_group(
            Name=f"group-{next(NAMES)}",
            Protocol="HTTP",
            Port=8080,
            VpcId=self._ground.network,
            TargetType="ip",
        )
        arn: str = made["TargetGroups"][0]["TargetGroupArn"]
        return arn

    def load_balancer(self, **settings: Any) -> Json:  # noqa: ANN401 - as boto3
        made = self.client.create_load_balancer(
            Name=f"shop-{next(NAMES)}", Subnets=self._ground.subnets, **settings
        )
        balancer: Json = made["LoadBalancers"][0]
        return balancer

    def listens(self, on: Json, actions: list[Json], balancer: Json | None = None) -> str:
        certificate = {"Certificates": [{"CertificateArn": self._ground.certificate}]}
        made = self.client.create_listener(
            LoadBalancerArn=(balancer or self.balancer)["LoadBalancerArn"],
            DefaultActions=actions,
            **on,
            **(certificate if on["Protocol"] == "HTTPS" else {}),
        )
        arn: str = made["Listeners"][0]["ListenerArn"]
        return arn

    def rule(self, listener: str, actions: list[Json], *conditions: Json) -> None:
        self._rules += 1
        self.client.create_rule(
            ListenerArn=listener,
            Priority=self._rules,
            Conditions=list(conditions),
            Actions=actions,
        )

    @property
    def forward(self) -> list[Json]:
        return [{"Type": "forward", "TargetGroupArn": self.group}]

    @property
    def name(self) -> str:
        """The load balancer's own."""
        return str(self.balancer["DNSName"])

    @property
    def url(self) -> str | None:
        found = self.elbv2.address(self.group)
        return found.base_url if found else None


@pytest.fixture
def moto(ground: Ground) -> Moto:
    return Moto(ground)


def hosts(*names: str) -> Json:
    return {"Field": "host-header", "HostHeaderConfig": {"Values": list(names)}}


def paths(*patterns: str) -> Json:
    return {"Field": "path-pattern", "PathPatternConfig": {"Values": list(patterns)}}


# -- no address --


def test_a_group_without_a_load_balancer_has_no_address(moto: Moto) -> None:
    assert moto.url is None


def test_a_listener_that_leads_elsewhere_is_no_address(moto: Moto) -> None:
    other = [{"Type": "forward", "TargetGroupArn": moto.target_group()}]
    moto.listens(HTTP, other)
    listener = moto.listens({"Protocol": "HTTP", "Port": 8080}, ELSEWHERE)
    moto.rule(listener, moto.forward, hosts("*.example.com"))

    assert moto.url is None


def test_a_group_that_is_not_there_is_missing(moto: Moto) -> None:
    with pytest.raises(AwsError) as caught:
        moto.elbv2.address(moto.group[:-4] + "gone")

    assert caught.value.refusal is Refusal.MISSING
    assert caught.value.action == "elasticloadbalancing:DescribeTargetGroups"


# -- one listener --


def test_the_address_is_the_listener_that_leads_to_the_group(moto: Moto) -> None:
    moto.listens(HTTP, moto.forward)

    name = moto.balancer["LoadBalancerName"]

    assert moto.elbv2.address(moto.group) == Address(
        base_url=f"http://{moto.name}", internal=False, load_balancer=name
    )


@pytest.mark.parametrize(
    ("on", "shown"),
    [
        (HTTP, "http://{}"),
        (HTTPS, "https://{}"),
        ({"Protocol": "HTTP", "Port": 8080}, "http://{}:8080"),
        ({"Protocol": "HTTPS", "Port": 80}, "https://{}:80"),
    ],
)
def test_a_port_is_shown_where_it_is_not_the_usual_one(moto: Moto, on: Json, shown: str) -> None:
    moto.listens(on, moto.forward)

    assert moto.url == shown.format(moto.name)


def test_an_internal_load_balancer_says_so(moto: Moto) -> None:
    inside = moto.load_balancer(Scheme="internal")
    moto.listens(HTTP, moto.forward, inside)

    found = moto.elbv2.address(moto.group)

    assert found is not None
    assert (found.internal, found.load_balancer) == (True, inside["LoadBalancerName"])


def test_weighted_groups_lead_to_each_of_them(moto: Moto) -> None:
    weighted = {
        "Type": "forward",
        "ForwardConfig": {
            "TargetGroups": [
                {"TargetGroupArn": moto.target_group(), "Weight": 9},
                {"TargetGroupArn": moto.group, "Weight": 1},
            ]
        },
    }
    moto.listens(HTTP, [weighted])

    assert moto.url == f"http://{moto.name}"


# -- rules --

RULES: dict[str, tuple[list[Json], str]] = {
    "a rule for a host": ([hosts("web.example.com")], "http://web.example.com"),
    "a rule for two hosts": ([hosts("web.example.com", "www.example.com")], "http://web."),
    "a rule for a pattern and a host": ([hosts("*.example.com", "web.example.org")], "http://web."),
    "a rule for a path": ([paths("/api/*")], "http://{}"),
    "a rule for a host and a path": (
        [hosts("web.example.com"), paths("/api/*")],
        "http://web.example.com",
    ),
    "a rule for every host": ([hosts("*")], "http://{}"),
    "a rule for the names of Amazon": ([hosts("*.ELB.amazonaws.com")], "http://{}"),
}


@pytest.mark.parametrize(("conditions", "url"), RULES.values(), ids=RULES.keys())
def test_the_host_is_one_that_the_listener_takes(
    moto: Moto, conditions: list[Json], url: str
) -> None:
    listener = moto.listens(HTTP, ELSEWHERE)
    moto.rule(listener, moto.forward, *conditions)

    assert moto.url is not None
    assert moto.url.startswith(url.format(moto.name))


@pytest.mark.parametrize("pattern", ["*.example.com", "we?.example.com"])
def test_a_host_that_is_only_a_pattern_cannot_be_asked(moto: Moto, pattern: str) -> None:
    listener = moto.listens(HTTP, ELSEWHERE)
    moto.rule(listener, moto.forward, hosts(pattern))

    assert moto.url is None


def test_the_own_name_is_enough_where_the_default_leads_there_too(moto: Moto) -> None:
    listener = moto.listens(HTTP, moto.forward)
    moto.rule(listener, moto.forward, hosts("web.example.com"))

    assert moto.url == f"http://{moto.name}"


def test_a_host_of_a_rule_that_leads_elsewhere_is_not_taken(moto: Moto) -> None:
    listener = moto.listens(HTTP, moto.forward)
    moto.rule(listener, ELSEWHERE, hosts("other.example.com"))

    assert moto.url == f"http://{moto.name}"


# -- several listeners --

REDIRECT: list[Json] = [
    {"Type": "redirect", "RedirectConfig": {"Protocol": "HTTPS", "StatusCode": "HTTP_301"}}
]


@pytest.mark.parametrize("order", [(HTTP, HTTPS), (HTTPS, HTTP)], ids=["first", "last"])
def test_plain_http_is_preferred_whether_it_comes(moto: Moto, order: tuple[Json, ...]) -> None:
    for on in order:
        moto.listens(on, moto.forward)

    assert moto.url == f"http://{moto.name}"


def test_a_listener_that_only_redirects_is_not_taken(moto: Moto) -> None:
    moto.listens(HTTP, REDIRECT)
    moto.listens(HTTPS, moto.forward)

    assert moto.url == f"https://{moto.name}"


def test_the_first_of_two_equal_listeners_is_taken(moto: Moto) -> None:
    moto.listens(HTTP, moto.forward)
    moto.listens({"Protocol": "HTTP", "Port": 8080}, moto.forward)

    assert moto.url == f"http://{moto.name}"


# -- timing --


def test_the_timing_of_a_group_is_its_own(moto: Moto) -> None:
    moto.client.modify_target_group(
        TargetGroupArn=moto.group, HealthCheckIntervalSeconds=7, HealthCheckTimeoutSeconds=5
    )
    moto.client.modify_target_group_attributes(
        TargetGroupArn=moto.group,
        Attributes=[{"Key": "deregistration_delay.timeout_seconds", "Value": "0"}],
    )

    found = moto.elbv2.timing(moto.group)

    assert (found.check_interval, found.deregistration_delay) == (7, 0)
