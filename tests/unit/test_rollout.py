"""The verdict on a rollout, one row for each thing that AWS can show."""

from __future__ import annotations

from typing import NamedTuple

import pytest

from deploy_action.model import Event, Service
from deploy_action.rollout import (
    Broken,
    EcsRollbackFailed,
    EcsRolledBack,
    EcsRollsBack,
    Finished,
    Moving,
    Observation,
    Replaced,
    State,
    judge,
    progress,
    telling_events,
)
from tests.unit.builders import (
    FOREIGN_ID,
    NEW_REVISION,
    OLD_ID,
    OLD_REVISION,
    OUR_ID,
    after,
    could_not_start,
    crashed,
    deployment,
    event,
    old_deployment,
    record,
    revision,
    rollout,
    seen,
    service,
    task,
)

BREAKER = "ECS deployment circuit breaker: tasks failed to start."
GOING_BACK = f"ECS deployment circuit breaker: rolling back to deploymentId {OLD_ID}."
OURS_FAILED = deployment(status="ACTIVE", rollout_state="FAILED", reason=BREAKER)
BACK = deployment(
    id=FOREIGN_ID, task_definition=OLD_REVISION, reason=GOING_BACK, created_at=after(170)
)
BACK_DONE = deployment(
    id=FOREIGN_ID,
    task_definition=OLD_REVISION,
    rollout_state="COMPLETED",
    reason=GOING_BACK,
    created_at=after(170),
)
FOREIGN = deployment(
    id=FOREIGN_ID,
    task_definition=revision("web:43"),
    created_at=after(60),
    reason="ECS deployment ecs-svc/3 in progress.",
)


class Row(NamedTuple):
    """What a look showed, what that means, and a word that the reason must have."""

    sight: Observation
    state: type[State]
    says: str = ""


ROWS = {
    # -- on its way, or there --
    "ours is PRIMARY and in progress": Row(seen(), Moving),
    "ours is PRIMARY and completed": Row(seen(deployment(rollout_state="COMPLETED")), Finished),
    "ours is completed while old tasks still drain": Row(
        seen(deployment(rollout_state="COMPLETED"), old_deployment(status="DRAINING")), Finished
    ),
    "the service deployment says SUCCESSFUL before the deployment says COMPLETED": Row(
        seen(service_deployment=record("SUCCESSFUL")), Moving
    ),
    "no rollout state is kept, and the service deployment says SUCCESSFUL": Row(
        seen(deployment(rollout_state=None), service_deployment=record("SUCCESSFUL")), Finished
    ),
    "the desired count is 0 and ours is completed": Row(
        seen(deployment(rollout_state="COMPLETED", desired=0), desired=0), Finished
    ),
    "no rollout state is kept, and all tasks of the only deployment run": Row(
        seen(deployment(rollout_state=None, running=2)), Finished
    ),
    "no rollout state is kept, and a task is missing": Row(
        seen(deployment(rollout_state=None, running=1)), Moving
    ),
    "no rollout state is kept, and the old deployment is still there": Row(
        seen(deployment(rollout_state=None, running=2), old_deployment()), Moving
    ),
    "the service deployment is only PENDING": Row(
        seen(service_deployment=record("PENDING")), Moving
    ),
    "the service deployment is IN_PROGRESS": Row(
        seen(service_deployment=record("IN_PROGRESS")), Moving
    ),
    "a stop was asked for and has not happened": Row(
        seen(service_deployment=record("STOP_REQUESTED")), Moving
    ),
    "the service deployment has a status newer than this program": Row(
        seen(service_deployment=record("PAUSED_FOR_TEA")), Moving
    ),
    "a new status word does not hide that ours is completed": Row(
        seen(
            deployment(rollout_state="COMPLETED"),
            service_deployment=record("PAUSED_FOR_TEA"),
        ),
        Finished,
    ),
    "the deployment has a rollout state newer than this program": Row(
        seen(deployment(rollout_state="PONDERING")), Moving
    ),
    # -- stale reads --
    "no deployment is PRIMARY": Row(seen(old_deployment()), Moving),
    "the answer lists no deployment": Row(
        Observation(
            service=service(deployments=()),
            service_deployment=None,
            stopped=(),
        ),
        Moving,
    ),
    "the old deployment is PRIMARY as it was before ours": Row(
        seen(old_deployment(status="PRIMARY")), Moving
    ),
    "a SUCCESSFUL record beside an old read without ours": Row(
        seen(old_deployment(status="PRIMARY"), service_deployment=record("SUCCESSFUL")), Moving
    ),
    # -- convicted --
    "ECS declared ours failed and rolls nothing back": Row(
        seen(deployment(rollout_state="FAILED", reason=BREAKER)), Broken, "circuit breaker"
    ),
    "ECS declared ours failed without a word": Row(
        seen(deployment(rollout_state="FAILED")), Broken, "declared the deployment failed"
    ),
    "STOPPED while ours is PRIMARY leaves the service in between": Row(
        seen(service_deployment=record("STOPPED", reason="Stopped by user.")),
        Broken,
        "Stopped by user",
    ),
    "one crash is a coincidence": Row(seen(stopped=(crashed(1),)), Moving),
    "two crashes are a pattern": Row(
        seen(stopped=(crashed(1), crashed(2))), Broken, "2 tasks of the new revision"
    ),
    "an error that every task would repeat convicts at once": Row(
        seen(stopped=(could_not_start("CannotPullContainerError: manifest unknown"),)),
        Broken,
        "manifest unknown",
    ),
    "two tasks that the platform took are nobody's fault": Row(
        seen(stopped=(task(stop_code="SpotInterruption"), task(stop_code="SpotInterruption"))),
        Moving,
    ),
    "crashes before a completed rollout are history": Row(
        seen(deployment(rollout_state="COMPLETED"), stopped=(crashed(1), crashed(1))), Finished
    ),
    "two crashes convict where no rollout state is kept": Row(
        seen(deployment(rollout_state=None), old_deployment(), stopped=(crashed(1), crashed(1))),
        Broken,
        "exited with code 1",
    ),
    # -- ECS rolls back, with a service deployment to say so --
    "a rollback was requested": Row(
        seen(service_deployment=record("ROLLBACK_REQUESTED", reason="asked by a hook")),
        EcsRollsBack,
        "asked by a hook",
    ),
    "a rollback is under way": Row(
        seen(
            BACK,
            OURS_FAILED,
            service_deployment=record("ROLLBACK_IN_PROGRESS", rollback_reason=BREAKER),
        ),
        EcsRollsBack,
        "circuit breaker",
    ),
    "a rollback succeeded": Row(
        seen(BACK_DONE, service_deployment=record("ROLLBACK_SUCCESSFUL", rollback_reason=BREAKER)),
        EcsRolledBack,
        "circuit breaker",
    ),
    "a rollback succeeded and the answers no longer name it": Row(
        seen(
            deployment(
                id=FOREIGN_ID,
                task_definition=OLD_REVISION,
                rollout_state="COMPLETED",
                reason="ECS deployment ecs-svc/3 completed.",
            ),
            service_deployment=record("ROLLBACK_SUCCESSFUL"),
        ),
        EcsRolledBack,
    ),
    "a rollback failed": Row(
        seen(
            BACK,
            OURS_FAILED,
            service_deployment=record("ROLLBACK_FAILED", reason="the image is gone"),
        ),
        EcsRollbackFailed,
        "the image is gone",
    ),
    "alarms that fired are named": Row(
        seen(service_deployment=record("ROLLBACK_IN_PROGRESS", alarms=("errors", "latency"))),
        EcsRollsBack,
        "alarms: errors, latency",
    ),
    # -- ECS rolls back, and only the deployments tell --
    "the new PRIMARY names the rollback and runs the old revision": Row(
        seen(BACK, OURS_FAILED), EcsRollsBack, "circuit breaker"
    ),
    "ours failed and the old revision is PRIMARY under a new id": Row(
        seen(
            deployment(id=FOREIGN_ID, task_definition=OLD_REVISION, created_at=after(170)),
            OURS_FAILED,
        ),
        EcsRollsBack,
    ),
    "ours failed and the old deployment is PRIMARY again": Row(
        seen(old_deployment(status="PRIMARY", rollout_state="IN_PROGRESS"), OURS_FAILED),
        EcsRollsBack,
    ),
    "the rollback without a record is completed": Row(
        seen(BACK_DONE, OURS_FAILED), EcsRolledBack, "tasks failed to start"
    ),
    "the rollback is completed and ours is no longer listed": Row(
        seen(BACK_DONE), EcsRolledBack, "rolling back"
    ),
    "a STOPPED record does not hide the rollback beside it": Row(
        seen(BACK, OURS_FAILED, service_deployment=record("STOPPED")), EcsRollsBack
    ),
    "ours is shown as DRAINING and failed": Row(
        seen(BACK, deployment(status="DRAINING", rollout_state="FAILED", reason=BREAKER)),
        EcsRollsBack,
        "circuit breaker",
    ),
    # -- somebody else --
    "another revision took our place": Row(
        seen(FOREIGN, deployment(status="ACTIVE")), Replaced, "ecs-svc/3 (web:43)"
    ),
    "somebody deployed the old revision by hand": Row(
        seen(
            deployment(id=FOREIGN_ID, task_definition=OLD_REVISION, created_at=after(60)),
            deployment(status="ACTIVE"),
        ),
        Replaced,
        "web:41",
    ),
    "somebody asked for the old revision where ECS had only stopped ours": Row(
        seen(
            deployment(id=FOREIGN_ID, task_definition=OLD_REVISION, created_at=after(60)),
            OURS_FAILED,
            service_deployment=record("STOPPED"),
        ),
        Replaced,
        "web:41",
    ),
    "a rollback to some other revision is not ours": Row(
        seen(
            deployment(id=FOREIGN_ID, task_definition=revision("web:40"), reason=GOING_BACK),
            deployment(status="ACTIVE"),
        ),
        Replaced,
        "web:40",
    ),
    "a STOPPED record beside a foreign PRIMARY": Row(
        seen(
            FOREIGN,
            deployment(status="ACTIVE"),
            service_deployment=record("STOPPED", reason="replaced"),
        ),
        Replaced,
    ),
    "the service is being deleted": Row(seen(status="DRAINING"), Replaced, "is DRAINING"),
    "the service is deleted": Row(seen(status="INACTIVE"), Replaced, "being deleted"),
}


@pytest.mark.parametrize("row", ROWS.values(), ids=ROWS.keys())
def test_the_state_follows_from_what_was_seen(row: Row) -> None:
    state = judge(rollout(), row.sight, fail_after=2)

    assert type(state) is row.state
    assert row.says in str(getattr(state, "reason", getattr(state, "by", "")))


CERTAINTY = {
    "a newer foreign deployment beside ours is no stale read": (
        seen(FOREIGN, deployment(status="ACTIVE")),
        True,
    ),
    "a foreign deployment without ours beside it may be an old answer": (seen(FOREIGN), False),
    "a foreign deployment older than ours may be an old answer": (
        seen(
            deployment(id=FOREIGN_ID, task_definition=revision("web:40"), created_at=after(-60)),
            deployment(status="ACTIVE"),
        ),
        False,
    ),
    "a foreign deployment without a date may be an old answer": (
        seen(
            deployment(id=FOREIGN_ID, task_definition=revision("web:40"), created_at=None),
            deployment(status="ACTIVE"),
        ),
        False,
    ),
    "a service being deleted does not come back": (seen(status="DRAINING"), True),
}


@pytest.mark.parametrize(("sight", "certain"), CERTAINTY.values(), ids=CERTAINTY.keys())
def test_supersession_is_certain_only_where_no_old_answer_looks_like_it(
    sight: Observation, *, certain: bool
) -> None:
    state = judge(rollout(), sight, fail_after=2)

    assert isinstance(state, Replaced)
    assert state.certain is certain


def test_the_users_number_of_stops_convicts() -> None:
    two = seen(stopped=(crashed(1), crashed(1)))

    assert isinstance(judge(rollout(), two, fail_after=3), Moving)
    assert isinstance(judge(rollout(), seen(stopped=(crashed(1),)), fail_after=1), Broken)


def test_a_single_stop_that_convicts_is_not_told_in_the_plural() -> None:
    state = judge(rollout(), seen(stopped=(crashed(3),)), fail_after=1)

    assert isinstance(state, Broken)
    assert state.reason.startswith("a task stopped: container 'app' exited with code 3")


def with_events(*events: Event) -> Service:
    return service(events=events)


def test_tells_what_went_wrong_since_the_start_oldest_first() -> None:
    told = telling_events(
        with_events(
            event("(service web) has reached a steady state.", after(30)),
            event("(service web) was unable to place a task.", after(20)),
            event("(service web) (port 80) is unhealthy in (target-group t).", after(10)),
            event("(service web) has started 1 tasks.", after(5)),
            event("(service web) deployment failed: of the one before.", after(-5)),
        ),
        after(0),
    )

    assert told == [
        "(service web) (port 80) is unhealthy in (target-group t).",
        "(service web) was unable to place a task.",
    ]


@pytest.mark.parametrize(
    "message",
    [
        "unable to place a task because no container instance met all of its requirements.",
        "unable to place a task because the subnet s does not have enough free addresses",
        "unable to place a task. Reason: Capacity is unavailable at this time.",
        "unable to place a task. Reason: You've reached the limit on the number of vCPUs.",
        "unable to stop or start tasks during a deployment because of its configuration.",
        "is unable to consistently start tasks successfully.",
        "operations are being throttled on elb. Will try again later.",
        "(port 80) is unhealthy in (target-group t) due to (reason Request timed out).",
        "(deployment ecs-svc/2) deployment failed: tasks failed to start.",
    ],
)
def test_tells_each_event_of_the_failure_catalogue(message: str) -> None:
    assert telling_events(with_events(event(message)), after(0)) == [message]


PROGRESS = {
    "nothing runs yet": (seen(deployment()), "web:42: 0/2 running (in progress)"),
    "some tasks are on their way beside the old ones": (
        seen(deployment(running=1, pending=1), old_deployment(running=2)),
        "web:42: 1/2 running, 1 pending, 2 of the previous revision running (in progress)",
    ),
    "tasks stopped": (
        seen(deployment(running=1), stopped=(crashed(1),)),
        "web:42: 1/2 running, 1 stopped (in progress)",
    ),
    "all is done": (
        seen(deployment(running=2, rollout_state="COMPLETED")),
        "web:42: 2/2 running (completed)",
    ),
    "no rollout state is kept": (
        seen(deployment(running=2, rollout_state=None)),
        "web:42: 2/2 running (primary)",
    ),
    "an old answer does not list ours": (
        seen(old_deployment(status="PRIMARY")),
        "our deployment is not visible yet",
    ),
}


@pytest.mark.parametrize(("sight", "line"), PROGRESS.values(), ids=PROGRESS.keys())
def test_the_line_of_progress_counts_ours_and_theirs(sight: Observation, line: str) -> None:
    assert progress(rollout(), sight) == line


def test_ours_is_found_by_its_id_and_not_by_its_revision() -> None:
    again = deployment(id=FOREIGN_ID, task_definition=NEW_REVISION, rollout_state="COMPLETED")

    state = judge(rollout(), seen(again, deployment(status="ACTIVE")), fail_after=2)

    assert OUR_ID != FOREIGN_ID
    assert isinstance(state, Replaced)
