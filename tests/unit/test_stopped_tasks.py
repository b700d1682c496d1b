"""What a stopped task says about the revision: the texts of the failure catalogue."""

from __future__ import annotations

import pytest

from deploy_action.model import Task
from deploy_action.rollout import (
    Broken,
    convict,
    describe_stop,
    failed_container,
    is_deterministic,
    is_fatal,
    is_own,
)
from tests.unit.builders import (
    FOREIGN_ID,
    NEW_REVISION,
    OLD_REVISION,
    after,
    container,
    could_not_start,
    crashed,
    rollout,
    task,
)

RESOURCES = "ResourceInitializationError: unable to pull secrets or registry auth: "
LOGGER = "ResourceInitializationError: failed to validate logger args: "

EVERY_TASK_WOULD_REPEAT_IT = {
    "19 the tag was never pushed": could_not_start(
        "CannotPullContainerError: pull image manifest has been retried 5 time(s): failed to "
        "resolve ref 1.dkr.ecr.eu-west-1.amazonaws.com/web:2: 1.dkr.ecr/web:2: not found"
    ),
    "19 the manifest is unknown": could_not_start(
        "CannotPullContainerError: Error response from daemon: manifest unknown"
    ),
    "20 the image is of another platform": could_not_start(
        "CannotPullContainerError: pull image manifest has been retried 7 time(s): image Manifest "
        "does not contain descriptor matching platform 'linux/amd64'"
    ),
    "22 the pull is denied": could_not_start(
        "CannotPullContainerError: pull access denied for web, repository does not exist or may "
        "require 'docker login'"
    ),
    "22 the role may not read the image": could_not_start(
        "CannotPullContainerError: AccessDeniedException: not authorized to perform: "
        "ecr:BatchGetImage"
    ),
    "25 the image does not fit": could_not_start(
        "CannotPullContainerError: write /var/lib/x: no space left on device"
    ),
    "26 the digest cannot be resolved": could_not_start(
        "CannotPullImageManifestError: Error response from daemon: manifest unknown"
    ),
    "27 another account's registry refuses": could_not_start(
        "CannotPullECRContainerError: AccessDeniedException: User is not authorized"
    ),
    "27 the registry credentials are wrong": could_not_start(
        "CannotPullContainerAuthError: unable to get registry auth from credentials secret"
    ),
    "28 the key of the repository is disabled": could_not_start(
        "CannotPullECRContainerError: KmsException: the key is disabled"
    ),
    "44 the role may not read the secret": could_not_start(
        f"{RESOURCES}execution resource retrieval failed: unable to retrieve secret: "
        "AccessDeniedException: not authorized to perform: secretsmanager:GetSecretValue"
    ),
    "45 the secret does not exist": could_not_start(
        f"{RESOURCES}ResourceNotFoundException: Secrets Manager can't find the specified secret."
    ),
    "45 the parameter does not exist": could_not_start(
        f"{RESOURCES}invalid ssm parameters: /web/db"
    ),
    "46 the secret is about to be deleted": could_not_start(
        f"{RESOURCES}InvalidRequestException: You can't perform this operation on the secret "
        "because it was marked for deletion."
    ),
    "47 the secret lacks the key": could_not_start(
        f"{RESOURCES}retrieved secret from Secrets Manager did not contain json key url"
    ),
    "49 the log group does not exist": could_not_start(
        f"{LOGGER}create stream has been retried 1 times: The specified log group does not exist."
    ),
    "50 the role may not create the stream": could_not_start(
        f"{LOGGER}AccessDeniedException: not authorized to perform: logs:CreateLogStream"
    ),
    "52 the file system refuses": could_not_start(
        "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: "
        "access point does not exist"
    ),
    "53 the environment file is missing": could_not_start(
        "ResourceInitializationError: failed to download env files: file download command: non "
        "empty error stream"
    ),
    "57 the command is not in the image": could_not_start(
        'CannotStartContainerError: OCI runtime create failed: exec: "serve": executable file '
        "not found in $PATH"
    ),
    "57 the command is not executable": could_not_start(
        "CannotStartContainerError: OCI runtime create failed: permission denied"
    ),
    "58 the container cannot be created": could_not_start("CannotCreateContainerError: bad mount"),
    "58 the volume is invalid": could_not_start("InvalidVolumeError: no such volume"),
    "58 the volume cannot be created": could_not_start("CannotCreateVolumeError: driver failed"),
    "58 the host options are wrong": could_not_start("HostConfigError: bad option"),
    "83 the command was found and cannot be run": crashed(126),
    "83 the command was not found by the shell": crashed(127),
}

IT_TAKES_A_SECOND_ONE = {
    "21 the entry point has the wrong format, which only the log tells": crashed(255),
    "23 the registry does not answer": could_not_start(
        "CannotPullContainerError: dial tcp 10.0.0.1:443: i/o timeout"
    ),
    "23 the connection was given up": could_not_start(
        "CannotPullContainerError: net/http: request canceled while waiting for connection"
    ),
    "23 the pull took too long": could_not_start(
        "CannotPullContainerError: context deadline exceeded"
    ),
    "24 the registry limits pulls": could_not_start(
        "CannotPullContainerError: toomanyrequests: You have reached your pull rate limit"
    ),
    "44 the secret store is throttled": could_not_start(
        f"{RESOURCES}ThrottlingException: Rate exceeded"
    ),
    "48 the secret store does not answer": could_not_start(
        f"{RESOURCES}unable to retrieve ecr registry auth: RequestError: send request failed "
        "caused by: dial tcp 10.0.0.1:443: i/o timeout"
    ),
    "51 the log service does not answer": could_not_start(f"{LOGGER}signal: killed"),
    "52 the file system does not answer": could_not_start(
        "ResourceInitializationError: failed to invoke EFS utils commands to set up EFS volumes: "
        "mount.nfs4: Connection timed out"
    ),
    "59 the host is overloaded": could_not_start("CannotInspectContainerError: no answer"),
    "59 Docker hangs": could_not_start(
        "DockerTimeoutError: Could not transition to created; timed out after waiting 4m0s"
    ),
    "60 the container it depends on did not start": could_not_start(
        "TaskDependencyError: dependency 'init' did not start"
    ),
    "77 an exception at the start": crashed(1),
    "78 the process put itself into the background": crashed(0),
    "79 the memory did not suffice": crashed(
        137, "OutOfMemoryError: Container killed due to memory usage"
    ),
    "82 a crash in native code": crashed(139),
    "84 no log at all": crashed(255),
    "85 the container never started": task(
        container(reason="CannotPullContainerError: i/o timeout"), stop_code="TaskFailedToStart"
    ),
    "87 the container's own check fails": task(
        stop_code="ServiceSchedulerInitiated",
        stopped_reason="Task failed container health checks",
    ),
    "80 the load balancer's check fails and the container is killed": task(
        container(exit_code=137),
        stop_code="ServiceSchedulerInitiated",
        stopped_reason="Task failed ELB health checks in (target-group arn:aws:t)",
    ),
}

NOT_THE_REVISIONS_FAULT = {
    "54 the network interface did not come": could_not_start(
        "Timeout waiting for network interface provisioning to complete."
    ),
    "55 the subnet is full": could_not_start(
        "The subnet subnet-1 does not have enough free addresses to satisfy the request."
    ),
    "69 Fargate has no capacity": could_not_start(
        "Capacity is unavailable at this time. Please try again later or in a different "
        "availability zone"
    ),
    "70 the account's limit is reached": could_not_start(
        "You've reached the limit on the number of vCPUs you can run concurrently"
    ),
    "76 the spot instance was taken": task(stop_code="SpotInterruption"),
    "76 the instance is to be retired": task(stop_code="TerminationNotice"),
    "76 the hardware is sick": task(stop_code="InfrastructureHealth"),
    "81 the scheduler scaled in, and the container obeyed": task(
        container(exit_code=143),
        stop_code="ServiceSchedulerInitiated",
        stopped_reason="Scaling activity initiated by (deployment ecs-svc/2)",
    ),
    "101 somebody stopped it": task(stop_code="UserInitiated", stopped_reason="by hand"),
    "102 another deployment took over": task(
        stop_code="ServiceSchedulerInitiated",
        stopped_reason="Scaling activity initiated by (deployment ecs-svc/3)",
    ),
    "a code newer than this program": task(stop_code="MoonPhase", stopped_reason="full"),
}


@pytest.mark.parametrize(
    "stopped",
    EVERY_TASK_WOULD_REPEAT_IT.values(),
    ids=EVERY_TASK_WOULD_REPEAT_IT.keys(),
)
def test_one_task_convicts_where_every_task_would_repeat_it(stopped: Task) -> None:
    assert is_fatal(stopped)
    assert is_deterministic(stopped)
    assert isinstance(convict((stopped,), fail_after=2), Broken)


@pytest.mark.parametrize(
    "stopped", IT_TAKES_A_SECOND_ONE.values(), ids=IT_TAKES_A_SECOND_ONE.keys()
)
def test_a_second_task_is_needed_where_the_first_may_have_been_bad_luck(stopped: Task) -> None:
    assert is_fatal(stopped)
    assert convict((stopped,), fail_after=2) is None
    assert isinstance(convict((stopped, stopped), fail_after=2), Broken)


@pytest.mark.parametrize(
    "stopped", NOT_THE_REVISIONS_FAULT.values(), ids=NOT_THE_REVISIONS_FAULT.keys()
)
def test_no_number_of_tasks_convicts_where_the_revision_is_not_at_fault(stopped: Task) -> None:
    assert not is_fatal(stopped)
    assert convict((stopped,) * 5, fail_after=2) is None


def test_the_stop_that_convicts_is_the_one_that_is_told() -> None:
    verdict = convict((crashed(1), could_not_start("manifest unknown")), fail_after=2)

    assert verdict == Broken("a task could not start: manifest unknown")


DESCRIPTIONS = {
    "an exit code and what ECS says": (
        crashed(1),
        "container 'app' exited with code 1 - Essential container in task exited",
    ),
    "the container's own reason": (
        crashed(137, "OutOfMemoryError: Container killed due to memory usage"),
        (
            "container 'app' exited with code 137 - Essential container in task exited "
            "OutOfMemoryError: Container killed due to memory usage"
        ),
    ),
    "a reason that task and container share is told once": (
        task(container(reason="no image"), stopped_reason="no image"),
        "no image",
    ),
    "only a code": (task(stop_code="SpotInterruption"), "SpotInterruption"),
    "nothing at all": (task(), ""),
}


@pytest.mark.parametrize(("stopped", "words"), DESCRIPTIONS.values(), ids=DESCRIPTIONS.keys())
def test_a_stop_is_described_in_one_line(stopped: Task, words: str) -> None:
    assert describe_stop(stopped) == words


CULPRITS = {
    "the one that ended with an error": (
        [{"name": "sidecar", "exit_code": 0}, {"name": "app", "exit_code": 1}],
        "app",
    ),
    "not the sidecar that was killed because of it": (
        [{"name": "sidecar", "exit_code": 137}, {"name": "app", "exit_code": 1}],
        "app",
    ),
    "not the sidecar that ended obediently because of it": (
        [{"name": "sidecar", "exit_code": 143}, {"name": "app", "exit_code": 2}],
        "app",
    ),
    "the one that ran out of memory, although it was killed too": (
        [
            {"name": "sidecar", "exit_code": 143},
            {"name": "app", "exit_code": 137, "reason": "OutOfMemoryError: killed"},
        ],
        "app",
    ),
    "the one that never started and says why": (
        [{"name": "sidecar"}, {"name": "app", "reason": "CannotStartContainerError"}],
        "app",
    ),
    "the essential one that ended without an error": (
        [{"name": "sidecar", "exit_code": 143}, {"name": "app", "exit_code": 0}],
        "app",
    ),
    "the only one": ([{"name": "app"}], "app"),
}


@pytest.mark.parametrize(("parts", "name"), CULPRITS.values(), ids=CULPRITS.keys())
def test_the_container_to_blame_is(parts: list[dict[str, object]], name: str) -> None:
    stopped = task(
        *(container(**part) for part in parts),
        stop_code="EssentialContainerExited",
    )

    assert failed_container(stopped) == name


def test_the_unhealthy_container_is_to_blame_when_all_were_killed_for_it() -> None:
    stopped = task(
        container(name="init", exit_code=0),
        container(name="sidecar", exit_code=143),
        container(name="app", exit_code=143, health="UNHEALTHY"),
        stop_code="ServiceSchedulerInitiated",
        stopped_reason="Task failed container health checks",
    )

    assert failed_container(stopped) == "app"


def test_a_task_without_containers_has_nobody_to_blame() -> None:
    stopped = task(containers=())

    assert failed_container(stopped) == ""


OWNERSHIP = {
    "started by our deployment": (task(), True),
    "started by another deployment of the same revision": (task(started_by=FOREIGN_ID), False),
    "no deployment named, our revision, begun after us": (
        task(started_by="web", created_at=after(1)),
        True,
    ),
    "no deployment named, and a clock that is a little behind": (
        task(started_by="web", created_at=after(-4)),
        True,
    ),
    "no deployment named, our revision, begun before us": (
        task(started_by="web", created_at=after(-60)),
        False,
    ),
    "no deployment named, the old revision": (
        task(started_by="web", task_definition=OLD_REVISION),
        False,
    ),
    "our own one-off task": (
        task(started_by="ecs-deploy/7c1d", task_definition=NEW_REVISION, created_at=after(1)),
        False,
    ),
    "no deployment named and no date": (
        task(started_by="", task_definition=NEW_REVISION, created_at=None),
        False,
    ),
}


@pytest.mark.parametrize(("some_task", "own"), OWNERSHIP.values(), ids=OWNERSHIP.keys())
def test_a_task_is_ours_by_the_deployment_that_started_it(some_task: Task, *, own: bool) -> None:
    assert is_own(rollout(), some_task) is own
