"""The alarms: on moto for what it knows, on a Stubber for the composite ones that it lacks."""

from __future__ import annotations

from collections.abc import Iterator

import boto3
import pytest
from botocore.stub import Stubber
from moto import mock_aws

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.aws import Clients
from deploy_action.gateways.cloudwatch import Alarm, CloudWatch


@pytest.fixture
def clients() -> Iterator[Clients]:
    with mock_aws():
        yield Clients(
            boto3.Session(
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
                region_name="eu-west-1",
            )
        )


def put(clients: Clients, name: str, state: str) -> None:
    client = clients.get("cloudwatch")
    client.put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/ECS",
        MetricName="CPUUtilization",
        ComparisonOperator="GreaterThanThreshold",
        EvaluationPeriods=2,
        Period=60,
        Statistic="Average",
        Threshold=80.0,
    )
    client.set_alarm_state(AlarmName=name, StateValue=state, StateReason="because")


def test_finds_the_named_alarms_and_their_states(clients: Clients) -> None:
    put(clients, "cpu", "ALARM")
    put(clients, "memory", "OK")
    put(clients, "another", "ALARM")

    found = CloudWatch(clients).alarms(["cpu", "memory", "none"])

    assert found == {
        "cpu": Alarm(name="cpu", state="ALARM", reason="because"),
        "memory": Alarm(name="memory", state="OK", reason="because"),
    }


def test_asks_for_a_hundred_at_once(clients: Clients) -> None:
    names = [f"cpu-{number}" for number in range(101)]
    for name in names:
        put(clients, name, "OK")

    assert sorted(CloudWatch(clients).alarms(names)) == sorted(names)


def test_composite_alarms_are_alarms(clients: Clients) -> None:
    with Stubber(clients.get("cloudwatch")) as stubber:
        stubber.add_response(
            "describe_alarms",
            {
                "CompositeAlarms": [
                    {"AlarmName": "service", "StateValue": "ALARM", "StateReason": "cpu or memory"}
                ]
            },
            {
                "AlarmNames": ["service"],
                "AlarmTypes": ["MetricAlarm", "CompositeAlarm"],
                "MaxRecords": 100,
            },
        )

        found = CloudWatch(clients).alarms(["service"])

    assert found["service"].reason == "cpu or memory"


def test_a_refusal_names_the_action(clients: Clients) -> None:
    with Stubber(clients.get("cloudwatch")) as stubber:
        stubber.add_client_error("describe_alarms", "AccessDenied", "no", 403)

        with pytest.raises(AwsError) as caught:
            CloudWatch(clients).alarms(["cpu"])

    assert caught.value.action == "cloudwatch:DescribeAlarms"
    assert caught.value.refusal is Refusal.DENIED
