"""Amazon ECS: exactly what is asked, and what becomes of the answers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.ecs import Ecs
from deploy_action.model import Deployment, Event, LoadBalancing
from tests.gateways.wire import Json, Wire

ARN = "arn:aws:ecs:eu-west-1:123456789012"
DEFINITION = f"{ARN}:task-definition/web:42"
RECORD = f"{ARN}:service-deployment/prod/web/abc"
NOON = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def ecs(wire: Wire) -> Ecs:
    return Ecs(wire.session, "prod")


def stamp(moment: datetime) -> float:
    return moment.timestamp()


SERVICE: Json = {
    "serviceArn": f"{ARN}:service/prod/web",
    "serviceName": "web",
    "status": "ACTIVE",
    "schedulingStrategy": "REPLICA",
    "taskDefinition": DEFINITION,
    "desiredCount": 4,
    "runningCount": 3,
    "pendingCount": 1,
    "deploymentController": {"type": "CODE_DEPLOY"},
    "deploymentConfiguration": {
        "minimumHealthyPercent": 50,
        "maximumPercent": 150,
        "strategy": "BLUE_GREEN",
    },
    "healthCheckGracePeriodSeconds": 90,
    "loadBalancers": [
        {"targetGroupArn": "arn:tg", "containerName": "app", "containerPort": 8080},
        {"loadBalancerName": "classic"},
    ],
    "currentServiceDeployment": RECORD,
    "deployments": [
        {
            "id": "ecs-svc/2",
            "status": "PRIMARY",
            "taskDefinition": DEFINITION,
            "rolloutState": "IN_PROGRESS",
            "rolloutStateReason": "in progress",
            "desiredCount": 4,
            "runningCount": 1,
            "pendingCount": 2,
            "failedTasks": 1,
            "createdAt": stamp(NOON),
        },
        {"id": "ecs-svc/1", "status": "DRAINING"},
    ],
    "events": [
        {"id": "e1", "createdAt": stamp(NOON), "message": "has started 1 tasks"},
        {"id": "e2", "message": "without a date"},
    ],
}


# -- the service --


def test_asks_for_one_service_of_the_cluster(wire: Wire, ecs: Ecs) -> None:
    wire.answers("DescribeServices", {"services": [SERVICE]})

    ecs.service("web")

    assert wire.sent("DescribeServices") == [{"cluster": "prod", "services": ["web"]}]


def test_reads_a_service_as_it_is(wire: Wire, ecs: Ecs) -> None:
    wire.answers("DescribeServices", {"services": [SERVICE]})

    found = ecs.service("web")

    assert (found.name, found.status, found.task_definition) == ("web", "ACTIVE", DEFINITION)
    assert (found.controller, found.scheduling) == ("CODE_DEPLOY", "REPLICA")
    assert found.strategy == "BLUE_GREEN"
    assert (found.desired, found.running, found.pending) == (4, 3, 1)
    assert (found.minimum_healthy_percent, found.maximum_percent) == (50, 150)
    assert found.grace_seconds == 90
    assert found.current_service_deployment == RECORD
    assert found.load_balancing == (
        LoadBalancing(target_group_arn="arn:tg", container="app", port=8080),
        LoadBalancing(target_group_arn=None, container=None, port=None),
    )
    assert found.events == (Event(id="e1", at=NOON, message="has started 1 tasks"),)
    assert found.primary == Deployment(
        id="ecs-svc/2",
        status="PRIMARY",
        task_definition=DEFINITION,
        rollout_state="IN_PROGRESS",
        reason="in progress",
        desired=4,
        running=1,
        pending=2,
        failed_tasks=1,
        created_at=NOON,
    )


def test_what_an_answer_leaves_out_has_the_defaults_of_ecs(wire: Wire, ecs: Ecs) -> None:
    wire.answers("DescribeServices", {"services": [{"serviceName": "web"}]})

    found = ecs.service("web")

    assert (found.controller, found.scheduling, found.strategy) == ("ECS", "REPLICA", "ROLLING")
    assert (found.minimum_healthy_percent, found.maximum_percent) == (100, 200)
    assert found.early_success is False
    assert found.primary is None
    assert found.current_service_deployment is None


def test_a_deployment_without_a_rollout_state_has_none(wire: Wire, ecs: Ecs) -> None:
    wire.answers("DescribeServices", {"services": [SERVICE]})

    old = ecs.service("web").deployment("ecs-svc/1")

    assert old is not None
    assert (old.status, old.rollout_state, old.created_at) == ("DRAINING", None, None)


@pytest.mark.parametrize(
    "answer",
    [
        {"services": [], "failures": [{"arn": "x", "reason": "MISSING"}]},
        {"services": [], "failures": []},
        {},
    ],
    ids=["a failure", "nothing", "not even lists"],
)
def test_a_service_that_is_not_there_is_missing(wire: Wire, ecs: Ecs, answer: Json) -> None:
    wire.answers("DescribeServices", answer)

    with pytest.raises(AwsError) as caught:
        ecs.service("web")

    assert caught.value.refusal is Refusal.MISSING
    assert "'web'" in caught.value.message


def test_a_refused_read_names_its_permission(wire: Wire, ecs: Ecs) -> None:
    wire.refuses("DescribeServices", "AccessDeniedException")

    with pytest.raises(AwsError) as caught:
        ecs.service("web")

    assert (caught.value.action, caught.value.refusal) == ("ecs:DescribeServices", Refusal.DENIED)


def test_names_the_services_of_the_cluster(wire: Wire, ecs: Ecs) -> None:
    wire.answers("ListServices", {"serviceArns": [f"{ARN}:service/prod/web", "old-arn/api"]})

    assert ecs.service_names() == ["web", "api"]
    assert wire.sent("ListServices") == [{"cluster": "prod", "maxResults": 100}]


# -- the update --

ASKED: dict[str, tuple[dict[str, Any], Json]] = {
    "only the revision": ({}, {}),
    "a count": ({"desired": 3}, {"desiredCount": 3}),
    "a count of none": ({"desired": 0}, {"desiredCount": 0}),
    "force": ({"force": True}, {"forceNewDeployment": True}),
    "no force": ({"force": False}, {}),
}


@pytest.mark.parametrize(("given", "sent"), ASKED.values(), ids=ASKED.keys())
def test_an_update_sends_nothing_that_was_not_asked_for(
    wire: Wire, ecs: Ecs, given: dict[str, Any], sent: Json
) -> None:
    wire.answers("UpdateService", {"service": SERVICE})

    updated = ecs.update("web", DEFINITION, **given)

    assert wire.sent("UpdateService") == [
        {"cluster": "prod", "service": "web", "taskDefinition": DEFINITION, **sent}
    ]
    assert updated.primary is not None
    assert updated.primary.id == "ecs-svc/2"


UPDATE_ERRORS = {
    "a server error": ("ServerException", 500, Refusal.UNREACHABLE),
    "a throttle": ("ThrottlingException", 400, Refusal.THROTTLED),
    "a server that is not there": ("ServiceUnavailable", 503, Refusal.UNREACHABLE),
    "a denial": ("AccessDeniedException", 400, Refusal.DENIED),
}


@pytest.mark.parametrize(
    ("code", "status", "refusal"), UPDATE_ERRORS.values(), ids=UPDATE_ERRORS.keys()
)
def test_an_update_is_never_repeated_by_botocore_after(
    wire: Wire, ecs: Ecs, code: str, status: int, refusal: Refusal
) -> None:
    wire.refuses("UpdateService", code, status=status)

    with pytest.raises(AwsError) as caught:
        ecs.update("web", DEFINITION, force=True)

    assert caught.value.refusal is refusal
    assert len(wire.sent("UpdateService")) == 1


def test_a_hurried_run_repeats_not_even_a_read(wire: Wire, ecs: Ecs) -> None:
    wire.refuses("DescribeServices", "ServerException", status=500)

    with pytest.raises(AwsError):
        ecs.hurried().service("web")

    assert len(wire.sent("DescribeServices")) == 1


def test_scaling_sends_the_count_and_nothing_else(wire: Wire, ecs: Ecs) -> None:
    wire.answers("UpdateService", {"service": SERVICE})

    ecs.adjust("web", desired=0)

    assert wire.sent("UpdateService") == [{"cluster": "prod", "service": "web", "desiredCount": 0}]


# -- service deployments --


def test_reads_what_a_service_deployment_says(wire: Wire, ecs: Ecs) -> None:
    wire.answers(
        "DescribeServiceDeployments",
        {
            "serviceDeployments": [
                {
                    "serviceDeploymentArn": RECORD,
                    "status": "ROLLBACK_IN_PROGRESS",
                    "statusReason": "going back",
                    "rollback": {"reason": "circuit breaker"},
                    "deploymentCircuitBreaker": {"status": "TRIGGERED"},
                    "alarms": {"triggeredAlarmNames": ["errors"]},
                }
            ]
        },
    )

    found = ecs.service_deployment(RECORD)

    assert found is not None
    assert (found.arn, found.status, found.reason) == (RECORD, "ROLLBACK_IN_PROGRESS", "going back")
    assert (found.rollback_reason, found.breaker) == ("circuit breaker", "TRIGGERED")
    assert found.alarms == ("errors",)


@pytest.mark.parametrize(
    "answer",
    [{}, {"serviceDeployments": [], "failures": [{"arn": RECORD, "reason": "MISSING"}]}],
    ids=["nothing", "a failure"],
)
def test_a_service_deployment_that_is_not_visible_is_none(
    wire: Wire, ecs: Ecs, answer: Json
) -> None:
    wire.answers("DescribeServiceDeployments", answer)

    assert ecs.service_deployment(RECORD) is None


def test_a_bare_service_deployment_says_nothing(wire: Wire, ecs: Ecs) -> None:
    wire.answers("DescribeServiceDeployments", {"serviceDeployments": [{"status": "PENDING"}]})

    found = ecs.service_deployment(RECORD)

    assert found is not None
    assert (found.reason, found.rollback_reason, found.breaker, found.alarms) == ("", "", "", ())


def test_lists_service_deployments_since_then_newest_first(wire: Wire, ecs: Ecs) -> None:
    def brief(name: str, seconds: float) -> Json:
        moment = NOON + timedelta(seconds=seconds)
        return {"serviceDeploymentArn": name, "createdAt": stamp(moment)}

    wire.answers(
        "ListServiceDeployments",
        {
            "serviceDeployments": [
                brief("first", 1),
                brief("third", 30),
                brief("second", 2),
                brief("before, by a clock that is off", -30),
                brief("long before", -90),
                {"serviceDeploymentArn": "without a date"},
            ]
        },
    )

    found = ecs.service_deployments_since("web", NOON)

    assert found == ["third", "second", "first", "before, by a clock that is off"]
    (sent,) = wire.sent("ListServiceDeployments")
    assert (sent["cluster"], sent["service"]) == ("prod", "web")
    assert sent["createdAt"] == {"after": stamp(NOON - timedelta(seconds=60))}


def test_names_the_revisions_that_the_service_completed_newest_first(wire: Wire, ecs: Ecs) -> None:
    def brief(revision: str, seconds: float) -> Json:
        created = stamp(NOON + timedelta(seconds=seconds))
        return {"targetServiceRevisionArn": revision, "createdAt": created}

    wire.answers(
        "ListServiceDeployments",
        {
            "serviceDeployments": [
                brief("older", 1),
                brief("newer", 2),
                brief("gone", 3),
                {"targetServiceRevisionArn": "without a date"},
                {"createdAt": stamp(NOON)},
            ]
        },
    )
    described = [
        {"serviceRevisionArn": "older", "taskDefinition": "web:40"},
        {"serviceRevisionArn": "newer", "taskDefinition": "web:41"},
    ]
    wire.answers("DescribeServiceRevisions", {"serviceRevisions": described})

    assert ecs.completed_revisions("web") == ["web:41", "web:40"]
    (sent,) = wire.sent("ListServiceDeployments")
    assert sent == {"cluster": "prod", "service": "web", "status": ["SUCCESSFUL"]}


def test_a_service_that_completed_nothing_has_no_revisions(wire: Wire, ecs: Ecs) -> None:
    wire.answers("ListServiceDeployments", {"serviceDeployments": []})

    assert ecs.completed_revisions("web") == []


def test_a_stop_asks_for_a_rollback(wire: Wire, ecs: Ecs) -> None:
    wire.answers("StopServiceDeployment", {"serviceDeploymentArn": RECORD})

    ecs.stop_and_roll_back(RECORD)

    assert wire.sent("StopServiceDeployment") == [
        {"serviceDeploymentArn": RECORD, "stopType": "ROLLBACK"}
    ]


def test_a_stop_that_comes_too_late_is_a_conflict(wire: Wire, ecs: Ecs) -> None:
    wire.refuses("StopServiceDeployment", "ConflictException")

    with pytest.raises(AwsError) as caught:
        ecs.stop_and_roll_back(RECORD)

    assert caught.value.refusal is Refusal.CONFLICT


# -- tasks --


@pytest.mark.parametrize(("stopped", "status"), [(True, "STOPPED"), (False, "RUNNING")])
def test_lists_the_tasks_of_a_service_over_all_pages(
    wire: Wire, ecs: Ecs, *, stopped: bool, status: str
) -> None:
    def page(asked: Json) -> Json:
        return (
            {"taskArns": ["b"]} if "nextToken" in asked else {"taskArns": ["a"], "nextToken": "n"}
        )

    wire.answers_by("ListTasks", page)

    assert ecs.task_arns("web", stopped=stopped) == ["a", "b"]
    assert wire.sent("ListTasks")[0] == {
        "cluster": "prod",
        "serviceName": "web",
        "desiredStatus": status,
    }


def test_describes_at_most_a_hundred_tasks_a_call(wire: Wire, ecs: Ecs) -> None:
    wire.answers_by("DescribeTasks", lambda asked: {"tasks": [{"taskArn": asked["tasks"][0]}]})

    found = ecs.tasks([f"task/{n}" for n in range(201)])

    assert [len(sent["tasks"]) for sent in wire.sent("DescribeTasks")] == [100, 100, 1]
    assert [task.id for task in found] == ["0", "100", "200"]


def test_no_tasks_are_not_asked_for(wire: Wire, ecs: Ecs) -> None:
    assert ecs.tasks([]) == []
    assert wire.requests == []


def test_reads_a_task_with_its_containers(wire: Wire, ecs: Ecs) -> None:
    wire.answers(
        "DescribeTasks",
        {
            "tasks": [
                {
                    "taskArn": f"{ARN}:task/prod/7c1d",
                    "startedBy": "ecs-svc/2",
                    "taskDefinitionArn": DEFINITION,
                    "lastStatus": "STOPPED",
                    "healthStatus": "UNHEALTHY",
                    "stopCode": "EssentialContainerExited",
                    "stoppedReason": "Essential container in task exited",
                    "createdAt": stamp(NOON),
                    "stoppedAt": stamp(NOON + timedelta(seconds=9)),
                    "containers": [
                        {"name": "app", "imageDigest": "sha256:1", "exitCode": 0, "reason": "r"},
                        {"name": "side", "image": "s:1", "healthStatus": "HEALTHY"},
                    ],
                }
            ],
            "failures": [{"arn": "gone", "reason": "MISSING"}],
        },
    )

    (task,) = ecs.tasks(["7c1d", "gone"])

    assert (task.id, task.started_by, task.task_definition) == ("7c1d", "ecs-svc/2", DEFINITION)
    assert (task.last_status, task.health) == ("STOPPED", "UNHEALTHY")
    assert task.stop_code == "EssentialContainerExited"
    assert task.stopped_reason == "Essential container in task exited"
    assert (task.created_at, task.started_at) == (NOON, None)
    assert task.stopped_at == NOON + timedelta(seconds=9)
    app, side = task.containers
    assert (app.name, app.digest, app.exit_code, app.reason) == ("app", "sha256:1", 0, "r")
    assert (app.health, side.health) == ("UNKNOWN", "HEALTHY")
    assert (side.image, side.digest, side.exit_code) == ("s:1", None, None)
