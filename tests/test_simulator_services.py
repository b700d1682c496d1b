"""What the simulated services answer besides the way of a deployment."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import TYPE_CHECKING, Any

import pytest
from botocore.exceptions import ClientError

from tests.simulator import Behaviour, Quirks, Vulnerability, World
from tests.simulator.stage import Stage

if TYPE_CHECKING:
    from mypy_boto3_ecs.client import ECSClient


@pytest.fixture
def world() -> Iterator[World]:
    world = World(seed=9)
    with world.simulated_time():
        yield world


@pytest.fixture
def stage(world: World) -> Stage:
    return Stage(world, load_balanced=True)


@pytest.fixture
def ecs(stage: Stage) -> ECSClient:
    return stage.ecs


def test_the_way_from_a_target_group_to_the_host_and_path_that_reach_it(world: World) -> None:
    world.repository("web")
    group = world.load_balancer(
        "web", protocol="HTTPS", path="/shop/*", redirect_http_to="app.example.com"
    )
    world.service("web", image=world.image("web"), target_group=group)
    elbv2 = world.session().client("elbv2")

    found = elbv2.describe_target_groups(TargetGroupArns=[group.arn])["TargetGroups"][0]
    balancer = elbv2.describe_load_balancers(LoadBalancerArns=found["LoadBalancerArns"])
    listeners = elbv2.describe_listeners(LoadBalancerArn=found["LoadBalancerArns"][0])["Listeners"]
    rules = elbv2.describe_rules(ListenerArn=listeners[0]["ListenerArn"])["Rules"]

    assert balancer["LoadBalancers"][0]["DNSName"] == world.host("web")
    assert [(each["Protocol"], each["Port"]) for each in listeners] == [
        ("HTTPS", 443),
        ("HTTP", 80),
    ]
    assert rules[0]["Conditions"][0]["PathPatternConfig"]["Values"] == ["/shop/*"]
    assert [rule["IsDefault"] for rule in rules] == [False, True]


def test_a_load_balancer_obeys_its_rules(world: World) -> None:
    world.repository("web")
    group = world.load_balancer(
        "web", protocol="HTTPS", path="/shop/*", redirect_http_to="app.example.com"
    )
    world.service("web", image=world.image("web"), target_group=group)
    world.http.aliases["app.example.com"] = world.host("web")

    def status(url: str) -> int:
        return world.http.get(url, headers={}, timeout_seconds=3).status

    assert status("https://app.example.com/shop/cart") == 200
    assert status("https://app.example.com/other") == 404
    assert status("http://app.example.com/shop/cart") == 301


@pytest.mark.parametrize(
    "call",
    [
        lambda it: it.describe_target_health(TargetGroupArn="arn:none"),
        lambda it: it.describe_target_groups(Names=["none"]),
        lambda it: it.describe_load_balancers(Names=["none"]),
        lambda it: it.describe_listeners(ListenerArns=["arn:none"]),
        lambda it: it.describe_rules(ListenerArn="arn:none"),
    ],
    ids=["health", "target group", "load balancer", "listener", "rules"],
)
def test_what_a_load_balancer_does_not_have_is_an_error(world: World, call: Any) -> None:  # noqa: ANN401
    with pytest.raises(ClientError, match="NotFound"):
        call(world.session().client("elbv2"))


def test_the_attributes_tell_how_long_a_target_drains(stage: Stage) -> None:
    group = next(iter(stage.world.state.target_groups))

    answer = (
        stage.world.session().client("elbv2").describe_target_group_attributes(TargetGroupArn=group)
    )

    attributes = {each["Key"]: each["Value"] for each in answer["Attributes"]}
    assert attributes["deregistration_delay.timeout_seconds"] == "30"


def test_a_target_group_without_listener_is_not_used(world: World) -> None:
    world.repository("web")
    group = world.target_group("web")
    world.service("web", image=world.image("web"), target_group=group, settled=False)
    world.clock.sleep(120)

    health = world.session().client("elbv2").describe_target_health(TargetGroupArn=group.arn)

    assert health["TargetHealthDescriptions"][0]["TargetHealth"].get("Reason") == "Target.NotInUse"
    assert world.primary("web").rollout_state == "IN_PROGRESS"


def test_an_image_can_turn_bad_some_time_after_its_start(world: World) -> None:
    world.repository("web")
    sick = Behaviour(later=((300.0, Behaviour(health_status=500)),))
    world.service("web", image=world.image("web", behaviour=sick), load_balanced=True)

    before = world.healthy_count("web")
    world.clock.sleep(330)

    assert before == 1
    assert any("unhealthy in (target-group" in text for text in world.events("web"))


def test_a_task_that_aws_takes_away_is_replaced_and_speaks_against_nobody(stage: Stage) -> None:
    stage.release(stage.world.image("web", tag="v2"))
    stage.world.clock.sleep(20)
    stage.world.stop_tasks("web", "SpotInterruption", "Your Spot Task was interrupted.")
    stage.world.clock.sleep(300)

    assert stage.primary()["failedTasks"] == 0
    assert stage.primary()["rolloutState"] == "COMPLETED"
    assert stage.world.healthy_count("web") == 1


def test_a_stopped_task_is_replaced_too(stage: Stage, ecs: ECSClient) -> None:
    listed = ecs.list_tasks(cluster="prod", serviceName="web")["taskArns"]
    ecs.stop_task(cluster="prod", task=listed[0], reason="by hand")
    stage.world.clock.sleep(200)

    task = ecs.describe_tasks(cluster="prod", tasks=listed)["tasks"][0]
    assert (task["stopCode"], task["stoppedReason"]) == ("UserInitiated", "by hand")
    assert ecs.list_tasks(cluster="prod", family="web")["taskArns"] != listed


def test_a_changed_setting_starts_a_deployment_only_when_it_touches_tasks(
    stage: Stage, ecs: ECSClient
) -> None:
    before = stage.primary()["id"]

    ecs.update_service(cluster="prod", service="web", healthCheckGracePeriodSeconds=60)
    unchanged = stage.primary()["id"]
    network: Any = {"awsvpcConfiguration": {"subnets": ["subnet-2"]}}
    ecs.update_service(cluster="prod", service="web", networkConfiguration=network)

    assert unchanged == before
    assert stage.primary()["id"] != before


def test_the_load_balancer_must_find_its_container_in_the_new_definition(
    stage: Stage, ecs: ECSClient
) -> None:
    world = stage.world
    other_name = world.task_definition("web", stage.v1, container="app").arn
    other_port = world.task_definition("web", stage.v1, port=9000).arn

    with pytest.raises(ClientError, match="container web does not exist"):
        ecs.update_service(cluster="prod", service="web", taskDefinition=other_name)
    with pytest.raises(ClientError, match="did not have a container port 8080"):
        ecs.update_service(cluster="prod", service="web", taskDefinition=other_port)


def test_a_service_of_another_controller_takes_no_task_definition(
    stage: Stage, ecs: ECSClient
) -> None:
    stage.web.controller = "CODE_DEPLOY"

    with pytest.raises(ClientError, match="CODE_DEPLOY deployment controller"):
        ecs.update_service(cluster="prod", service="web", taskDefinition="web:1")

    service = ecs.describe_services(cluster="prod", services=["web"])["services"][0]
    assert service["deployments"] == []
    assert "currentServiceDeployment" not in service


def test_a_service_deployment_can_be_late_to_appear() -> None:
    world = World(quirks=Quirks(service_deployment_visible_after=20))
    with world.simulated_time():
        stage = Stage(world)
        world.clock.sleep(60)
        before = stage.release(world.image("web", tag="v2"))
        since: Any = {"after": world.clock.now() - timedelta(seconds=60)}

        first = stage.ecs.list_service_deployments(cluster="prod", service="web", createdAt=since)
        world.clock.sleep(30)
        then = stage.ecs.list_service_deployments(cluster="prod", service="web", createdAt=since)

    assert first["serviceDeployments"] == []
    assert then["serviceDeployments"][0]["serviceDeploymentArn"] != before
    assert then["serviceDeployments"][0]["status"] == "IN_PROGRESS"


def test_an_abort_leaves_the_service_in_between(stage: Stage, ecs: ECSClient) -> None:
    arn = stage.release(stage.world.image("web", tag="v2"))

    ecs.stop_service_deployment(serviceDeploymentArn=arn, stopType="ABORT")
    deployment = stage.follow(arn)

    assert deployment["status"] == "STOPPED"
    assert stage.primary()["taskDefinition"].endswith("web:2")


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"cpu": "256", "memory": "4096"}, "No Fargate configuration exists"),
        ({"networkMode": "bridge"}, "network mode"),
        ({"tags": []}, "Tags can not be empty"),
        ({"containerDefinitions": []}, "Container list cannot be empty"),
    ],
)
def test_a_wrong_task_definition_is_refused(
    ecs: ECSClient, fields: dict[str, Any], text: str
) -> None:
    good: dict[str, Any] = {
        "family": "web",
        "containerDefinitions": [{"name": "web", "image": "nginx"}],
        "cpu": "256",
        "memory": "512",
        "networkMode": "awsvpc",
        "requiresCompatibilities": ["FARGATE"],
    }

    with pytest.raises(ClientError, match=text):
        ecs.register_task_definition(**(good | fields))


def test_passing_a_role_and_setting_tags_need_their_own_rights(
    stage: Stage, ecs: ECSClient
) -> None:
    container: Any = {"name": "web", "image": "nginx"}
    stage.world.deny("iam:PassRole", "ecs:TagResource")

    with pytest.raises(ClientError, match="iam:PassRole"):
        ecs.register_task_definition(
            family="web", containerDefinitions=[container], taskRoleArn="arn:aws:iam::1:role/task"
        )
    with pytest.raises(ClientError, match="ecs:TagResource"):
        ecs.register_task_definition(
            family="web", containerDefinitions=[container], tags=[{"key": "commit", "value": "1"}]
        )

    stage.world.allow("iam:PassRole")


def test_a_revision_keeps_its_tags_and_its_number(stage: Stage, ecs: ECSClient) -> None:
    made = stage.world.task_definition("web", stage.v1, tags={"commit": "abc"})
    ecs.deregister_task_definition(taskDefinition=made.arn)

    found = ecs.describe_task_definition(taskDefinition=made.arn, include=["TAGS"])
    listed = ecs.list_task_definitions(familyPrefix="web", sort="DESC", status="INACTIVE")

    assert found["tags"] == [{"key": "commit", "value": "abc"}]
    assert found["taskDefinition"]["revision"] == 2
    assert listed["taskDefinitionArns"] == [made.arn]


def test_run_task_can_find_no_place(stage: Stage, ecs: ECSClient) -> None:
    stage.world.state.run_task_problem = "RESOURCE:MEMORY"

    answer = ecs.run_task(cluster="prod", taskDefinition="web")

    assert answer["tasks"] == []
    assert answer["failures"][0]["reason"] == "RESOURCE:MEMORY"


def test_parameters_and_log_groups_must_exist(world: World) -> None:
    world.repository("web")
    missing = world.state.arn("ssm", "parameter/web/key")
    first = world.task_definition("web", world.image("web"), secrets={"KEY": missing})
    second = world.task_definition("job", world.image("web"))
    del world.state.logs["/ecs/job"]
    ecs = world.session().client("ecs")

    tasks = [ecs.run_task(taskDefinition=each.arn)["tasks"][0] for each in (first, second)]
    world.clock.sleep(90)

    found = ecs.describe_tasks(tasks=[task["taskArn"] for task in tasks])["tasks"]
    assert "invalid ssm parameters: web/key" in found[0]["stoppedReason"]
    assert "log group does not exist" in found[1]["stoppedReason"]


def test_logs_can_be_listed_and_are_missing_with_an_error(stage: Stage) -> None:
    logs = stage.world.session().client("logs")

    groups = logs.describe_log_groups(logGroupNamePrefix="/ecs/")["logGroups"]
    streams = logs.describe_log_streams(
        logGroupName="/ecs/web", orderBy="LastEventTime", descending=True
    )

    assert [group["logGroupName"] for group in groups] == ["/ecs/web"]
    assert streams["logStreams"][0]["logStreamName"].startswith("ecs/web/")
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.get_log_events(logGroupName="/ecs/none", logStreamName="x")
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.get_log_events(logGroupName="/ecs/web", logStreamName="x")


def test_a_quiet_service_repeats_its_steady_state(stage: Stage) -> None:
    stage.world.clock.sleep(13 * 3600)

    steady = [text for text in stage.world.events("web") if "steady state" in text]

    assert len(steady) == 3


def test_a_wrong_cluster_is_a_failure_entry(ecs: ECSClient) -> None:
    answer = ecs.describe_clusters(clusters=["prod", "none"])

    assert answer["clusters"][0]["runningTasksCount"] == 1
    assert answer["failures"][0]["reason"] == "MISSING"


def test_scan_findings_and_sizes_are_told(stage: Stage) -> None:
    ecr = stage.world.session().client("ecr")
    stage.world.state.repositories["web"].findings[stage.v1.digest] = [
        Vulnerability(severity="CRITICAL"),
        Vulnerability(severity="CRITICAL"),
    ]
    stage.world.clock.advance(10)

    image: Any = {"imageTag": "v1"}
    found = ecr.describe_image_scan_findings(repositoryName="web", imageId=image)
    detail = ecr.describe_images(repositoryName="web", filter={"tagStatus": "TAGGED"})

    assert found["imageScanFindings"]["findingSeverityCounts"] == {"CRITICAL": 2}
    assert detail["imageDetails"][0]["imageTags"] == ["v1"]


def test_an_unmodelled_strategy_is_a_defect_and_not_a_guess(stage: Stage, ecs: ECSClient) -> None:
    stage.web.configuration["strategy"] = "BLUE_GREEN"

    with pytest.raises(AssertionError, match="does not model BLUE_GREEN"):
        ecs.update_service(cluster="prod", service="web", forceNewDeployment=True)

    stage.world.defects.clear()


def test_objects_are_there_or_not_and_head_says_no_more(world: World) -> None:
    s3: Any = world.session().client("s3")
    world.env_file("config", "web/prod env.env")
    world.env_file("with.dots", "a.env")

    assert s3.head_object(Bucket="config", Key="web/prod env.env")
    assert s3.head_object(Bucket="with.dots", Key="a.env")
    with pytest.raises(ClientError) as missing:
        s3.head_object(Bucket="config", Key="gone.env")
    world.deny("s3:GetObject")
    with pytest.raises(ClientError) as denied:
        s3.head_object(Bucket="config", Key="web/prod env.env")

    assert missing.value.response["Error"]["Code"] == "404"
    assert denied.value.response["Error"]["Code"] == "403"


def test_a_secret_has_a_value_when_it_was_given_one(world: World) -> None:
    secrets: Any = world.session().client("secretsmanager")
    full, empty = world.secret("full", value="x"), world.secret("empty")

    assert secrets.get_secret_value(SecretId=full)["SecretString"] == "x"
    assert list(secrets.describe_secret(SecretId=full)["VersionIdsToStages"].values()) == [
        ["AWSCURRENT"]
    ]
    for wanted in ({"SecretId": empty}, {"SecretId": full, "VersionStage": "AWSPENDING"}):
        with pytest.raises(ClientError, match="staging label"):
            secrets.get_secret_value(**wanted)


def test_archived_images_are_told_of_only_when_they_are_asked_for(stage: Stage) -> None:
    ecr = stage.world.session().client("ecr")
    stage.world.state.repositories["web"].archived.add(stage.v1.digest)

    def told(status: Any) -> list[str]:  # noqa: ANN401
        answer = ecr.describe_images(repositoryName="web", filter={"imageStatus": status})
        return [detail["imageDigest"] for detail in answer["imageDetails"]]

    assert ecr.describe_images(repositoryName="web")["imageDetails"] == []
    assert told("ACTIVE") == []
    assert told("ARCHIVED") == told("ANY") == [stage.v1.digest]
    assert ecr.describe_pull_through_cache_rules()["pullThroughCacheRules"] == []


def test_composite_alarms_are_only_shown_to_who_asks_for_them(world: World) -> None:
    world.alarm("cpu")
    world.alarm("service", "ALARM", is_composite=True)
    client = world.session().client("cloudwatch")

    plain = client.describe_alarms()
    both = client.describe_alarms(AlarmTypes=["MetricAlarm", "CompositeAlarm"])

    assert [each["AlarmName"] for each in plain["MetricAlarms"]] == ["cpu"]
    assert not plain.get("CompositeAlarms")
    assert [each["StateValue"] for each in both["CompositeAlarms"]] == ["ALARM"]


def test_a_topic_keeps_what_is_published_and_wants_a_plain_subject(world: World) -> None:
    topic = world.topic("releases")
    client = world.session().client("sns")

    client.publish(TopicArn=topic, Subject="deployed", Message="web")

    assert world.state.topics[topic] == [("deployed", "web")]
    with pytest.raises(ClientError, match="Subject"):
        client.publish(TopicArn=topic, Subject="x" * 101, Message="web")
    with pytest.raises(ClientError, match="does not exist"):
        client.publish(TopicArn=topic + "-not", Message="web")


@pytest.mark.parametrize("is_merged", [False, True])
def test_an_update_may_lose_the_settings_that_it_leaves_out(*, is_merged: bool) -> None:
    world = World(quirks=Quirks(configuration_is_merged=is_merged))
    stage = Stage(world, maximum_percent=150)

    stage.ecs.update_service(
        cluster="prod", service="web", deploymentConfiguration={"minimumHealthyPercent": 0}
    )

    configuration = world.state.service("web").configuration
    assert configuration["minimumHealthyPercent"] == 0
    assert configuration["maximumPercent"] == (150 if is_merged else 200)
