"""The simulator's wire: protocols, paging, faults, and that a seed decides everything."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from botocore.config import Config
from botocore.exceptions import (
    ClientError,
    EndpointConnectionError,
    ReadTimeoutError,
)

from deploy_action.ports import NoAnswer, Silence
from tests.simulator import Fault, OneOff, SimulatedError, World, faults
from tests.simulator.behaviour import Behaviour

if TYPE_CHECKING:
    from mypy_boto3_ecs.client import ECSClient


@pytest.fixture
def world() -> Iterator[World]:
    world = World(seed=5)
    world.repository("web")
    world.service("web", image=world.image("web", tag="v1"), load_balanced=True)
    with world.simulated_time():
        yield world


@pytest.fixture
def ecs(world: World) -> ECSClient:
    return world.session().client("ecs")


@pytest.fixture
def once(world: World) -> ECSClient:
    """A client without retries."""
    config = Config(retries={"mode": "standard", "total_max_attempts": 1})
    return world.session().client("ecs", config=config)


def desired(client: ECSClient) -> int:
    found = client.describe_services(cluster="prod", services=["web"])["services"]
    return found[0]["desiredCount"]


def set_desired(client: ECSClient, count: int) -> None:
    client.update_service(cluster="prod", service="web", desiredCount=count)


def test_a_throttled_read_is_repeated_by_botocore_on_the_simulated_clock(
    world: World, ecs: ECSClient
) -> None:
    world.faults.append(faults.on("ecs:DescribeServices", faults.throttled(), times=2))

    assert desired(ecs) == 1

    calls = world.history.named("ecs:DescribeServices")
    assert [call.outcome for call in calls] == ["ThrottlingException"] * 2 + ["answered"]
    assert len(world.clock.sleeps) == 2


def test_an_error_before_the_effect_leaves_everything_as_it_was(
    world: World, once: ECSClient
) -> None:
    world.faults.append(faults.on("ecs:UpdateService", faults.unreachable()))

    with pytest.raises(EndpointConnectionError):
        set_desired(once, 3)

    assert world.updates("web") == []
    assert world.history.calls[-1].effect == "none"


def test_a_lost_answer_hides_an_effect_that_took_place(world: World, once: ECSClient) -> None:
    world.faults.append(faults.on("ecs:UpdateService", faults.timed_out(60)))
    started = world.clock.monotonic()

    with pytest.raises(ReadTimeoutError):
        set_desired(once, 3)

    assert len(world.own_updates("web")) == 1
    assert world.history.calls[-1].effect == "applied"
    assert world.clock.monotonic() - started >= 60
    assert desired(once) == 3


def test_a_stale_read_does_not_see_the_last_write(world: World, ecs: ECSClient) -> None:
    world.clock.sleep(10)
    set_desired(ecs, 3)
    world.faults.append(faults.on("ecs:DescribeServices", faults.stale(5)))

    assert desired(ecs) == 1
    assert desired(ecs) == 3


def test_an_answer_can_be_mangled_after_it_was_checked(world: World, ecs: ECSClient) -> None:
    def change(answer: dict[str, Any]) -> None:
        answer["services"][0]["status"] = "MELTING"
        del answer["services"][0]["deployments"]

    world.faults.append(faults.on("ecs:DescribeServices", faults.mangled(change)))
    world.faults.append(faults.on("ecs:ListServices", faults.emptied()))

    service = ecs.describe_services(cluster="prod", services=["web"])["services"][0]

    assert service["status"] == "MELTING"
    assert "deployments" not in service
    assert ecs.list_services(cluster="prod")["serviceArns"] == []


def test_somebody_can_act_between_two_calls(world: World, ecs: ECSClient) -> None:
    index = len(world.history.calls) + 1
    world.faults.append(
        faults.at_call(index, faults.meanwhile(lambda: world.set_desired("web", 7)))
    )

    assert [desired(ecs), desired(ecs)] == [1, 7]
    assert world.history.of("desired-changed")[0].actor == "foreign"


def test_the_process_can_die_after_an_effect(world: World, ecs: ECSClient) -> None:
    world.faults.append(faults.on("ecs:UpdateService", faults.killed_after()))

    with pytest.raises(faults.Killed):
        set_desired(ecs, 3)

    assert len(world.own_updates("web")) == 1


def test_calls_of_the_http_port_take_faults_too(world: World) -> None:
    world.faults.append(faults.on("http:get", faults.silent(Silence.REFUSED)))

    with pytest.raises(NoAnswer):
        world.http.get("http://nowhere.invalid/", headers={}, timeout_seconds=1)


def test_what_iam_denies_has_no_effect(world: World, ecs: ECSClient) -> None:
    world.deny("ecs:UpdateService", "elasticloadbalancing:DescribeTargetGroups")

    with pytest.raises(ClientError, match="AccessDeniedException"):
        set_desired(ecs, 3)
    with pytest.raises(ClientError, match="AccessDenied"):
        world.session().client("elbv2").describe_target_groups()

    assert world.updates("web") == []


@pytest.mark.parametrize("code", ["ServerException", "ServiceNotFoundException"])
def test_an_error_arrives_as_the_exception_of_the_model(
    world: World, once: ECSClient, code: str
) -> None:
    world.faults.append(faults.on("ecs:*", Fault(error=SimulatedError(code, "why"))))

    with pytest.raises(ClientError) as caught:
        set_desired(once, 1)

    assert caught.value.response["Error"] == {"Code": code, "Message": "why"}
    assert type(caught.value).__name__ == code


def test_a_wrong_answer_of_the_simulator_cannot_be_swallowed() -> None:
    world = World()

    def run() -> None:
        with world.simulated_time():
            ecs = world.session().client("ecs")
            world.state.alarms["broken"] = "MELTING"
            with contextlib.suppress(AssertionError):
                world.session().client("cloudwatch").describe_alarms()
            ecs.describe_clusters()

    with pytest.raises(AssertionError, match="StateValue is 'MELTING'"):
        run()


def test_an_operation_that_is_not_simulated_is_a_defect(world: World) -> None:
    sqs = world.session().client("sqs")

    with pytest.raises(AssertionError, match="no service sqs"):
        sqs.list_queues()

    world.defects.clear()


def test_another_region_is_empty(world: World) -> None:
    ecr = world.session().client("ecr", region_name="us-east-1")

    with pytest.raises(ecr.exceptions.RepositoryNotFoundException):
        ecr.describe_images(repositoryName="web")


def test_long_lists_come_in_pages(world: World, ecs: ECSClient) -> None:
    image = world.image("web", tag="many")
    for number in range(25):
        world.service(f"worker-{number}", image=image, settled=False)
    world.set_desired("web", 12)
    world.clock.sleep(60)

    pages = list(ecs.get_paginator("list_services").paginate(cluster="prod"))
    tasks = ecs.get_paginator("list_tasks").paginate(
        cluster="prod", serviceName="web", PaginationConfig={"PageSize": 5}
    )

    assert [len(page["serviceArns"]) for page in pages] == [10, 10, 6]
    assert [len(page["taskArns"]) for page in tasks] == [5, 5, 2]


def test_a_wrong_name_is_a_failure_entry_for_services_and_an_error_for_clusters(
    ecs: ECSClient,
) -> None:
    found = ecs.describe_services(cluster="prod", services=["wbe"])

    assert found["services"] == []
    assert found["failures"][0]["reason"] == "MISSING"
    with pytest.raises(ecs.exceptions.ClusterNotFoundException):
        ecs.describe_services(cluster="prd", services=["web"])


def test_every_protocol_carries_its_answers(world: World) -> None:
    session = world.session()
    world.alarm("errors", "ALARM")
    world.parameter("/web/url", "https://example.com")
    secret = world.secret("db")
    world.state.scalable_targets["service/prod/web"] = (1, 4)
    group = next(iter(world.state.target_groups))

    alarms = session.client("cloudwatch").describe_alarms(AlarmNames=["errors"], MaxRecords=5)
    identity = session.client("sts").get_caller_identity()
    groups = session.client("elbv2").describe_target_groups(TargetGroupArns=[group])
    subnets = session.client("ec2").describe_subnets(SubnetIds=["subnet-1"])
    parameters = session.client("ssm").get_parameters(Names=["/web/url", "/web/none"])
    scaling = session.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="ecs", ResourceIds=["service/prod/web"]
    )
    role = session.client("iam").get_role(RoleName="task")["Role"]
    verdicts = session.client("iam").simulate_principal_policy(
        PolicySourceArn=role["Arn"], ActionNames=["ecs:UpdateService"]
    )

    assert alarms["MetricAlarms"][0]["StateValue"] == "ALARM"
    assert alarms["MetricAlarms"][0]["StateUpdatedTimestamp"] <= world.clock.now()
    assert identity["Account"] == "123456789012"
    assert groups["TargetGroups"][0]["HealthCheckIntervalSeconds"] == 10
    assert subnets["Subnets"][0]["AvailableIpAddressCount"] == 4000
    assert parameters["InvalidParameters"] == ["/web/none"]
    assert scaling["ScalableTargets"][0]["MaxCapacity"] == 4
    assert "ecs-tasks" in str(role["AssumeRolePolicyDocument"])
    assert verdicts["EvaluationResults"][0]["EvalDecision"] == "allowed"
    found = session.client("secretsmanager").describe_secret(SecretId=secret)
    assert found["Name"] == "db"


def test_a_role_is_assumed_with_the_token_of_the_job(world: World) -> None:
    sts = world.session().client("sts")
    arn = "arn:aws:iam::123456789012:role/"

    answer = sts.assume_role_with_web_identity(
        RoleArn=f"{arn}deploy", RoleSessionName="run", WebIdentityToken="jwt.jwt.jwt"
    )

    lifetime = answer["Credentials"]["Expiration"] - world.clock.now()
    assert lifetime.total_seconds() == pytest.approx(3600, abs=1)
    with pytest.raises(ClientError, match="Not authorized to perform"):
        sts.assume_role_with_web_identity(
            RoleArn=f"{arn}task", RoleSessionName="run", WebIdentityToken="jwt.jwt.jwt"
        )


def test_a_one_off_task_runs_its_command_and_ends(world: World, ecs: ECSClient) -> None:
    one_off = OneOff(seconds=20, exit_code=3, log_lines=("migrating", "failed"))
    world.set_behaviour(world.image("web", tag="v1"), Behaviour(one_off=one_off))
    world.behave_when(lambda definition: definition["name"] == "web", Behaviour(one_off=one_off))
    overrides: Any = {"containerOverrides": [{"name": "web", "command": ["migrate"]}]}

    first = ecs.run_task(
        cluster="prod", taskDefinition="web", overrides=overrides, clientToken="token"
    )["tasks"][0]["taskArn"]
    again = ecs.run_task(
        cluster="prod", taskDefinition="web", overrides=overrides, clientToken="token"
    )["tasks"][0]["taskArn"]
    world.clock.sleep(90)

    task = ecs.describe_tasks(cluster="prod", tasks=[first])["tasks"][0]
    assert first == again
    assert task["lastStatus"] == "STOPPED"
    assert task["containers"][0]["exitCode"] == 3
    found = world.session().client("logs").filter_log_events(logGroupName="/ecs/web")
    assert [event["message"] for event in found["events"]] == ["migrating", "failed"]


def test_a_one_off_task_keeps_its_token_and_the_tags_of_its_definition(
    world: World, ecs: ECSClient
) -> None:
    image = world.image("web")
    first, second = (
        world.task_definition("web", image, tags={"run": str(number)}).arn for number in (1, 2)
    )
    asked: Any = {"clientToken": "token", "propagateTags": "TASK_DEFINITION"}
    task = ecs.run_task(cluster="prod", taskDefinition=first, **asked)["tasks"][0]

    assert task["tags"] == [{"key": "run", "value": "1"}]
    with pytest.raises(ClientError, match="ConflictException"):
        ecs.run_task(cluster="prod", taskDefinition=second, **asked)


def test_a_one_off_task_needs_a_container_of_its_definition(world: World, ecs: ECSClient) -> None:
    overrides: Any = {"containerOverrides": [{"name": "wep", "command": ["migrate"]}]}

    with pytest.raises(ClientError, match="Override for container named wep"):
        ecs.run_task(cluster="prod", taskDefinition="web", overrides=overrides)


def test_missing_secrets_and_log_groups_keep_a_task_from_starting(
    world: World, ecs: ECSClient
) -> None:
    gone = world.secret("gone")
    del world.state.secrets[gone]
    definition = world.task_definition("web", world.image("web"), secrets={"KEY": gone})

    task = ecs.run_task(cluster="prod", taskDefinition=definition.arn)["tasks"][0]["taskArn"]
    world.clock.sleep(60)

    found = ecs.describe_tasks(cluster="prod", tasks=[task])["tasks"][0]
    assert found["stopCode"] == "TaskFailedToStart"
    assert "can't find the specified secret" in found["stoppedReason"]


def story(seed: int) -> list[str]:
    """A run with retries, a crash and a rollback."""
    world = World(seed=seed)
    world.repository("web")
    world.service("web", image=world.image("web", tag="v1"), breaker="rollback")
    world.faults.append(faults.on("ecs:DescribeServices", faults.throttled(), times=2, skip=3))
    bad = world.image("web", behaviour=Behaviour(crash_exit_code=1))
    world.at(5, lambda: world.deploy("web", bad))
    with world.simulated_time():
        ecs = world.session().client("ecs")
        for _ in range(100):
            desired(ecs)
            world.clock.sleep(4)
    return world.history.lines()


def test_the_same_seed_gives_the_same_history() -> None:
    assert story(11) == story(11)
    assert story(11) != story(12)
