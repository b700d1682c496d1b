"""The doors that are only looked through before a release, and how many go through at once."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime
from typing import Any

import boto3
import botocore.session
import pytest
from botocore.credentials import Credentials, RefreshableCredentials

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.aws import Clients, identity
from deploy_action.gateways.ecs import Ecs
from deploy_action.gateways.iam import Iam
from deploy_action.gateways.s3 import S3
from deploy_action.model import Lifetime
from deploy_action.outside import concurrently
from tests.simulator import Fault, World

END = datetime(2999, 1, 1, tzinfo=UTC)
TASKS = "ecs-tasks.amazonaws.com"


@pytest.fixture
def world() -> World:
    return World()


@pytest.mark.parametrize(
    ("document", "trusted"),
    [
        ({"Principal": {"Service": TASKS}}, True),
        ({"Principal": {"Service": ["ec2.amazonaws.com", TASKS]}}, True),
        ({"Principal": {"Service": TASKS}, "Action": ["sts:AssumeRole", "sts:TagSession"]}, True),
        ({"Principal": {"Service": TASKS}, "Action": "sts:*"}, True),
        ({"Principal": "*"}, True),
        ({"Principal": {"AWS": "*"}}, True),
        ({"Principal": {"AWS": "arn:aws:iam::1:root"}}, False),
        ({"Principal": {"Service": "ec2.amazonaws.com"}}, False),
        ({"Principal": {"Service": TASKS}, "Effect": "Deny"}, False),
        ({"Principal": {"Service": TASKS}, "Action": "sts:TagSession"}, False),
        ({}, False),
    ],
)
def test_who_may_assume_a_role(world: World, document: dict[str, Any], *, trusted: bool) -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", **document}
    world.faults.append(lambda call: _answering(statement) if call.service == "iam" else None)

    role = Iam(Clients(world.session())).role("task")

    assert role is not None
    assert role.trusts(TASKS) is trusted


def _answering(statement: dict[str, Any]) -> Fault:
    def mangle(answer: dict[str, Any]) -> None:
        answer["Role"]["AssumeRolePolicyDocument"] = json.dumps({"Statement": statement})

    return Fault(mangle=mangle)


def test_a_role_that_is_not_there_is_none(world: World) -> None:
    assert Iam(Clients(world.session())).role("gone") is None


def test_an_object_that_may_not_be_seen_is_a_refusal(world: World) -> None:
    door = S3(Clients(world.session()))
    world.env_file("config", "web.env")
    assert door.exists("config", "web.env")
    assert not door.exists("config", "gone.env")
    world.deny("s3:GetObject")

    with pytest.raises(AwsError) as caught:
        door.exists("config", "web.env")

    assert (caught.value.action, caught.value.refusal) == ("s3:GetObject", Refusal.DENIED)


def test_a_client_is_made_once_for_each_region(world: World) -> None:
    clients = Clients(world.session())

    assert clients.get("ssm") is clients.get("ssm", "eu-west-1")
    assert clients.get("ssm") is not clients.get("ssm", "us-east-1")


def session_with(world: World, credentials: Any) -> boto3.Session:  # noqa: ANN401
    core: Any = botocore.session.Session()
    world.attach(core)
    core._credentials = credentials  # noqa: SLF001 - as gateways/aws.py does it
    return boto3.Session(botocore_session=core, region_name="eu-west-1")


def fixed(*, method: str) -> RefreshableCredentials:
    return RefreshableCredentials("AKIA", "secret", "token", END, dict, method)


LIFETIMES = {
    "a key": (Credentials("AKIA", "secret"), Lifetime(is_renewed=False, is_temporary=False)),
    "a session of unknown end": (
        Credentials("ASIA", "secret", "token"),
        Lifetime(is_renewed=False, is_temporary=True),
    ),
    "a session that the environment says the end of": (
        fixed(method="env"),
        Lifetime(is_renewed=False, is_temporary=True, ends_at=END),
    ),
    "a role of the machine": (
        fixed(method="iam-role"),
        Lifetime(is_renewed=True, is_temporary=True),
    ),
}


@pytest.mark.parametrize(("credentials", "lifetime"), LIFETIMES.values(), ids=LIFETIMES.keys())
def test_how_long_credentials_work(world: World, credentials: Any, lifetime: Lifetime) -> None:  # noqa: ANN401
    assert identity(session_with(world, credentials)).credentials == lifetime


def test_calls_run_beside_each_other_and_answer_in_order() -> None:
    together = threading.Barrier(3, timeout=5)

    def call(number: int) -> int:
        together.wait()
        return number

    assert concurrently([lambda n=n: call(n) for n in range(3)]) == [0, 1, 2]  # type: ignore[misc]


def test_what_a_call_raises_is_raised() -> None:
    def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        concurrently([fail, lambda: None])


def test_threads_that_read_definitions_do_not_mix_them_up(world: World) -> None:
    first = world.task_definition("first", "docker.io/acme/first:1")
    second = world.task_definition("second", "docker.io/acme/second:1")
    ecs = Ecs(world.session(), "prod")
    read = threading.Event()

    def between(**_: object) -> None:
        if threading.current_thread().name == "other":
            return
        # Another thread gets its answer between this one's and the reading of it.
        other = threading.Thread(target=ecs.definition, args=(second.arn,), name="other")
        other.start()
        other.join()
        read.set()

    reads: Any = ecs._reads  # noqa: SLF001 - there is no other way between the two steps
    reads.meta.events.register_last("after-call.ecs.DescribeTaskDefinition", between)

    found = ecs.definition(first.arn)

    assert read.is_set()
    assert found.body["family"] == "first"
