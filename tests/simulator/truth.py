"""What is really so: questions that a test asks the simulated account, not the program."""

from __future__ import annotations

from .calls import Change
from .ecs_records import Deployment, ServiceDeployment, Task
from .given import Image
from .parts import Parts


class Truth:
    """Answers about services and tags, by name."""

    def __init__(self, parts: Parts) -> None:
        self._core = parts.core
        self._state = parts.core.state

    def primary(self, service: str) -> Deployment:
        return self._state.service(service).primary

    def running(self, service: str) -> list[Task]:
        """The tasks in RUNNING, oldest first."""
        tasks = self._state.tasks_of(self._state.service(service))
        return [task for task in tasks if task.status == "RUNNING"]

    def running_digests(self, service: str) -> set[str]:
        """The digests of the first container of every running task."""
        return {task.containers[0].digest or "" for task in self.running(service)}

    def is_serving(self, service: str, image: Image) -> bool:
        """The deployment is over, and as many healthy tasks as desired run this image only."""
        record = self._state.service(service)
        tasks = self.running(service)
        return (
            record.primary.rollout_state == "COMPLETED"
            and all(task.containers[0].digest == image.digest for task in tasks)
            and sum(task.is_healthy for task in tasks) == record.desired
        )

    def healthy_count(self, service: str) -> int:
        """How many tasks of any revision are healthy now."""
        return sum(task.is_healthy for task in self.running(service))

    def events(self, service: str) -> list[str]:
        """Messages of the service's events, newest first."""
        return [event["message"] for event in self._state.service(service).events]

    def service_deployments(self, service: str) -> list[ServiceDeployment]:
        """All records of the service, newest first."""
        arn = self._state.service(service).arn
        records = self._state.service_deployments.values()
        return [each for each in reversed(records) if each.service == arn]

    def tag_digest(self, repository: str, tag: str) -> str | None:
        return self._state.repositories[repository].tags.get(tag)

    def tag_moves(self, repository: str, tag: str) -> list[Change]:
        moves = self._core.calls.history.of("tag-moved", subject=repository)
        return [move for move in moves if move.detail["tag"] == tag]

    def updates(self, service: str) -> list[Change]:
        """Updates of the service that took effect, whoever made them."""
        return self._core.calls.history.of("service-updated", subject=service)

    def own_updates(self, service: str) -> list[Change]:
        """Those of the program under test."""
        return [each for each in self.updates(service) if each.actor == "client"]

    def rollbacks(self, service: str) -> list[Change]:
        """Deployments that ECS itself began to go back to an older revision."""
        started = self._core.calls.history.of("deployment-started", subject=service)
        return [each for each in started if each.detail["why"] != "update"]

    def host(self, service: str) -> str:
        """The name of the load balancer in front of the service."""
        entry = self._state.service(service).load_balancers[0]
        listener = next(
            listener
            for listener in self._state.listeners.values()
            for rule in listener.rules
            if any(a.get("TargetGroupArn") == entry["targetGroupArn"] for a in rule.actions)
        )
        return self._state.load_balancers[listener.load_balancer].host
