"""How deployments go in the simulator: the facts of ecs.md, seen through real boto3 clients."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from botocore.exceptions import ClientError

from tests.simulator import Behaviour, World
from tests.simulator.stage import Stage

CRASHES = Behaviour(crash_exit_code=1, crash_log_lines=("KeyError: 'DATABASE_URL'",))
Make = Callable[..., Stage]


@pytest.fixture
def make() -> Iterator[Make]:
    world = World(seed=7)
    with world.simulated_time():
        yield lambda **options: Stage(world, **options)


def test_a_good_release_replaces_every_task_and_ends_successful(make: Make) -> None:
    stage = make(desired=2, load_balanced=True)
    v2 = stage.world.image("web", tag="v2", behaviour=Behaviour(body="v2"))

    deployment = stage.follow(stage.release(v2))

    assert deployment["status"] == "SUCCESSFUL"
    assert stage.world.is_serving("web", v2)
    revision = stage.ecs.describe_service_revisions(
        serviceRevisionArns=[deployment["targetServiceRevision"]["arn"]]
    )["serviceRevisions"][0]
    assert revision["containerImages"][0]["imageDigest"] == v2.digest
    assert "has reached a steady state" in stage.world.events("web")[0]


def test_the_slowest_part_of_a_release_is_draining_the_old_tasks(make: Make) -> None:
    stage = make(desired=1, load_balanced=True)
    group = next(iter(stage.world.state.target_groups.values()))
    group.drain_seconds = 300
    started = stage.world.clock.monotonic()

    stage.follow(stage.release(stage.world.image("web", tag="v2")))

    assert 300 < stage.world.clock.monotonic() - started < 400


def test_a_task_lives_through_its_states_in_order(make: Make) -> None:
    stage = make()
    stage.release(stage.world.image("web", tag="v2"))
    stage.world.clock.sleep(3)
    deployment = stage.primary()["id"]
    listed = stage.ecs.list_tasks(cluster="prod", startedBy=deployment)["taskArns"]
    seen = []

    for _ in range(100):
        seen.append(stage.ecs.describe_tasks(cluster="prod", tasks=listed)["tasks"][0])
        stage.world.clock.sleep(1)

    states = list(dict.fromkeys(task["lastStatus"] for task in seen))
    assert states == ["PROVISIONING", "PENDING", "RUNNING"]


def test_the_load_balancer_answers_with_both_versions_while_they_overlap(make: Make) -> None:
    stage = make(desired=1, load_balanced=True)
    stage.release(stage.world.image("web", tag="v2", behaviour=Behaviour(body="v2")))
    url = f"http://{stage.world.host('web')}/"
    bodies = []

    for _ in range(90):
        bodies.append(stage.world.http.get(url, headers={}, timeout_seconds=5).body)
        stage.world.clock.sleep(1)

    assert bodies[0] == "v1"
    assert bodies[-1] == "v2"
    assert set(bodies) == {"v1", "v2"}


def test_a_newer_deployment_supersedes_ours(make: Make) -> None:
    stage = make(desired=2)
    v2, v3 = stage.world.image("web", tag="v2"), stage.world.image("web", tag="v3")
    stage.world.at(30, lambda: stage.world.deploy("web", v3))

    ours = stage.release(v2)
    deployment = stage.follow(ours)
    stage.world.clock.sleep(300)

    assert deployment["status"] == "STOPPED"
    assert stage.world.is_serving("web", v3)
    assert [each.actor for each in stage.world.updates("web")] == ["client", "foreign"]


def test_the_same_task_definition_without_force_starts_nothing(make: Make) -> None:
    stage = make()
    before = stage.primary()["id"]
    arn = stage.web.task_definition

    stage.ecs.update_service(cluster="prod", service="web", taskDefinition=arn)
    unchanged = stage.primary()["id"]
    stage.ecs.update_service(cluster="prod", service="web", forceNewDeployment=True)

    assert unchanged == before
    assert stage.primary()["id"] != before


def test_a_service_cannot_move_to_an_inactive_revision(make: Make) -> None:
    stage = make()
    stage.world.deploy("web", stage.world.image("web", tag="v2"))
    stage.ecs.deregister_task_definition(taskDefinition="web:1")

    with pytest.raises(ClientError, match="TaskDefinition is inactive"):
        stage.ecs.update_service(cluster="prod", service="web", taskDefinition="web:1")


def test_a_service_with_no_tasks_is_done_at_once(make: Make) -> None:
    stage = make(desired=0)

    deployment = stage.follow(stage.release(stage.world.image("web", tag="v2")))

    assert deployment["status"] == "SUCCESSFUL"
    assert deployment["targetServiceRevision"]["runningTaskCount"] == 0


def test_a_tag_is_resolved_by_the_first_task_alone(make: Make) -> None:
    stage = make(desired=3)
    v2, v3 = stage.world.image("web", tag="live"), stage.world.image("web", tag="v3")
    stage.world.deploy("web", v2.by_tag)
    stage.world.at(30, lambda: stage.world.move_tag("web", "live", v3))

    stage.world.clock.sleep(10)
    first = len(stage.world.state.tasks_of(stage.web)) - 3
    stage.world.clock.sleep(300)

    assert first == 1
    assert stage.world.is_serving("web", v2)


def test_minimum_and_maximum_percent_make_waves(make: Make) -> None:
    stage = make(desired=4, load_balanced=True, minimum_percent=50, maximum_percent=100)
    v2 = stage.world.image("web", tag="v2")
    stage.release(v2)
    alive, healthy = [], []

    while not stage.world.is_serving("web", v2):
        tasks = stage.world.state.tasks_of(stage.web)
        alive.append(sum(task.is_alive for task in tasks))
        healthy.append(stage.world.healthy_count("web"))
        stage.world.clock.sleep(1)

    assert max(alive) == 4
    assert min(healthy) == 2


def test_percents_that_allow_no_step_are_said_in_an_event(make: Make) -> None:
    stage = make(maximum_percent=100)

    deployment = stage.follow(stage.release(stage.world.image("web", tag="v2")), limit=120)

    assert deployment["status"] == "IN_PROGRESS"
    assert "unable to stop or start tasks during a deployment" in stage.world.events("web")[0]


def test_a_task_without_place_fails_nothing_and_is_said_in_an_event(make: Make) -> None:
    stage = make()
    problem = "Capacity is unavailable at this time."
    stage.world.set_placement_problem("web", problem)
    stage.world.at(400, lambda: stage.world.set_placement_problem("web", None))
    arn = stage.release(stage.world.image("web", tag="v2"))

    stage.world.clock.sleep(300)
    during = stage.primary()
    deployment = stage.follow(arn)

    assert during["failedTasks"] == 0
    assert during["pendingCount"] == 0
    assert any(problem in text for text in stage.world.events("web"))
    assert deployment["status"] == "SUCCESSFUL"


def test_early_success_lets_old_tasks_linger(make: Make) -> None:
    stage = make(
        desired=2,
        load_balanced=True,
        deployment_configuration={
            "earlySuccessCriteria": {
                "enable": True,
                "healthyPercent": 100,
                "sourceServiceRevisionCleanup": "DEFERRED",
            }
        },
    )
    v2 = stage.world.image("web", tag="v2")

    deployment = stage.follow(stage.release(v2))

    assert deployment["status"] == "SUCCESSFUL"
    assert stage.world.running_digests("web") == {stage.v1.digest, v2.digest}


def test_stopped_tasks_disappear_after_an_hour(make: Make) -> None:
    stage = make(breaker="no-rollback")
    arn = stage.release(stage.world.image("web", behaviour=CRASHES))
    deployment = stage.primary()["id"]
    stage.follow(arn)

    before = len(stage.stopped(deployment))
    stage.world.clock.sleep(3600)

    assert before == 3
    assert stage.stopped(deployment) == []


def test_the_autoscaler_moves_the_desired_count_during_a_deployment(make: Make) -> None:
    stage = make(desired=1)
    v2 = stage.world.image("web", tag="v2")
    stage.world.at(20, lambda: stage.world.set_desired("web", 3))

    stage.follow(stage.release(v2))

    assert len(stage.world.running("web")) == 3


def test_a_deleted_service_drains_and_refuses_updates(make: Make) -> None:
    stage = make()
    stage.world.delete_service("web")

    with pytest.raises(stage.ecs.exceptions.ServiceNotActiveException):
        stage.ecs.update_service(cluster="prod", service="web", forceNewDeployment=True)
    stage.world.clock.sleep(120)

    service = stage.ecs.describe_services(cluster="prod", services=["web"])["services"][0]
    assert service["status"] == "INACTIVE"
