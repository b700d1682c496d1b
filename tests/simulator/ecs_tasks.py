"""The ECS operations about tasks."""

from __future__ import annotations

from datetime import timedelta

from .ask import Ask, Tree, page
from .calls import SimulatedError
from .core import Core
from .ecs_lookup import active_definition, cluster_of, find_service, missing, short
from .ecs_records import Task, TaskDefinition
from .ecs_show import show_task
from .scheduler import make_containers
from .task_life import TaskLife


class EcsTasks:
    """One method per operation, named like the boto3 method."""

    def __init__(self, core: Core, life: TaskLife) -> None:
        self._core = core
        self._life = life

    def list_tasks(self, ask: Ask) -> Tree:
        cluster = cluster_of(ask)
        params = ask.params
        tasks = [task for task in self._kept(ask) if task.cluster == cluster]
        if "serviceName" in params:
            service = find_service(ask.state, cluster, params["serviceName"])
            if service is None:
                raise SimulatedError("ServiceNotFoundException", "Service not found.")
            tasks = [task for task in tasks if task.service == service.arn]
        if "startedBy" in params:
            tasks = [task for task in tasks if task.started_by == params["startedBy"]]
        if "family" in params:
            family = params["family"]
            tasks = [
                task
                for task in tasks
                if ask.state.task_definitions[task.task_definition].family == family
            ]
        if "launchType" in params:
            tasks = [task for task in tasks if task.launch_type == params["launchType"]]
        desired = params.get("desiredStatus", "RUNNING")
        found = [task.arn for task in tasks if task.desired_status == desired]
        return page(ask, "taskArns", found)

    def describe_tasks(self, ask: Ask) -> Tree:
        cluster = cluster_of(ask)
        if len(ask.params["tasks"]) > 100:
            raise SimulatedError("InvalidParameterException", "tasks: 100 at most.")
        kept = {task.id: task for task in self._kept(ask) if task.cluster == cluster}
        with_tags = "TAGS" in ask.params.get("include", [])
        tasks, failures = [], []
        for name in ask.params["tasks"]:
            task = kept.get(short(name))
            if task is None:
                failures.append(missing(ask.state.arn("ecs", f"task/{cluster}/{short(name)}")))
            else:
                tasks.append(show_task(ask.state, task, with_tags=with_tags))
        return {"tasks": tasks, "failures": failures}

    def run_task(self, ask: Ask) -> Tree:
        cluster = cluster_of(ask)
        if ask.state.run_task_problem is not None:
            arn = ask.state.arn("ecs", f"container-instance/{cluster}/1")
            return {"tasks": [], "failures": [{"arn": arn, "reason": ask.state.run_task_problem}]}
        definition = active_definition(ask.state, ask.params["taskDefinition"])
        self._check_overrides(ask, definition)
        token = ask.params.get("clientToken")
        again = [
            task
            for task in ask.state.tasks.values()
            if token is not None and task.client_token == token
        ]
        if any(task.task_definition != definition.arn for task in again):
            raise SimulatedError(
                "ConflictException", "The clientToken is in use with another RunTask request."
            )
        tasks = again or [
            self._run_one(ask, cluster, definition, token)
            for _ in range(ask.params.get("count", 1))
        ]
        return {"tasks": [_shown(ask, task) for task in tasks], "failures": []}

    def stop_task(self, ask: Ask) -> Tree:
        cluster = cluster_of(ask)
        name = short(ask.params["task"])
        found = [task for task in self._kept(ask) if task.cluster == cluster and task.id == name]
        if not found:
            raise SimulatedError("InvalidParameterException", "The referenced task was not found.")
        task = found[0]
        self._core.changed("task-stop-requested", task.arn, group=task.group)
        self._life.stop(task, "UserInitiated", ask.params.get("reason", "Task stopped by user"))
        return {"task": _shown(ask, task)}

    def _check_overrides(self, ask: Ask, definition: TaskDefinition) -> None:
        names = {each["name"] for each in definition.containers}
        for override in ask.params.get("overrides", {}).get("containerOverrides", []):
            if override["name"] not in names:
                raise SimulatedError(
                    "InvalidParameterException",
                    f"Override for container named {override['name']} is not a container in the "
                    "TaskDefinition.",
                )

    def _run_one(
        self, ask: Ask, cluster: str, definition: TaskDefinition, token: str | None
    ) -> Task:
        arn = ask.state.arn("ecs", f"task/{cluster}/{self._core.names.hexadecimal()}")
        propagated = definition.tags if ask.params.get("propagateTags") == "TASK_DEFINITION" else []
        network = ask.params.get("networkConfiguration", {}).get("awsvpcConfiguration", {})
        task = Task(
            arn=arn,
            cluster=cluster,
            group=ask.params.get("group", f"family:{definition.family}"),
            task_definition=definition.arn,
            containers=make_containers(definition, arn, {}),
            created_at=ask.now,
            launch_type=ask.params.get("launchType", "FARGATE"),
            address=self._core.names.address(),
            subnet=network.get("subnets", ["subnet-1"])[0],
            started_by=ask.params.get("startedBy"),
            overrides=ask.params.get("overrides", {}),
            tags=[*propagated, *ask.params.get("tags", [])],
            client_token=token,
        )
        self._core.changed("task-run", task.arn, task_definition=definition.arn)
        self._life.launch(task)
        return task

    def _kept(self, ask: Ask) -> list[Task]:
        """The tasks that ECS still shows: a stopped one disappears after an hour."""
        oldest = ask.now - timedelta(seconds=self._core.timings.stopped_task_retention)
        return [
            task
            for task in ask.state.tasks.values()
            if task.stopped_at is None or task.stopped_at >= oldest
        ]


def _shown(ask: Ask, task: Task) -> Tree:
    return show_task(ask.state, task, with_tags=True)
