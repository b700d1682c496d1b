"""What others do while the program runs: colleagues, autoscalers, AWS itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from .behaviour import Behaviour
from .core import BehaviourRule
from .ecs_lookup import find_definition
from .ecs_records import Task
from .given import Image
from .parts import Parts


class Meanwhile:
    """Verbs that act at once; `at` lets them act later."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._core = parts.core
        self._state = parts.core.state

    def at(self, seconds: float, action: Callable[[], object]) -> None:
        """Let somebody do something in `seconds` from now."""

        def act() -> None:
            with self._core.calls.acting("foreign"):
                action()

        self._core.clock.schedule(seconds, act)

    def deploy(self, service: str, image: Image | str, **params: Any) -> str:  # noqa: ANN401
        """Somebody else deploys another image; the answer is their task definition."""
        record = self._state.service(service)
        current = self._state.task_definitions[record.task_definition]
        first, *others = current.containers
        reference = image.by_digest if isinstance(image, Image) else image
        definition = self._parts.definitions.register(
            {
                **current.body,
                "family": current.family,
                "containerDefinitions": [first | {"image": reference}, *others],
            }
        )
        update = {"taskDefinition": definition.arn, **params}
        self._parts.services.apply_update(record, update, definition)
        return definition.arn

    def update(self, service: str, **params: Any) -> None:  # noqa: ANN401
        """Somebody else calls UpdateService with these parameters."""
        record = self._state.service(service)
        name = params.get("taskDefinition")
        definition = find_definition(self._state, name) if name is not None else None
        self._parts.services.apply_update(record, params, definition)

    def set_desired(self, service: str, count: int) -> None:
        """The autoscaler moves the desired count."""
        record = self._state.service(service)
        self._core.changed("desired-changed", service, before=record.desired, after=count)
        record.desired = count
        self._parts.scheduler.wake(record)

    def delete_service(self, service: str) -> None:
        """DeleteService with force: DRAINING until the last task is gone."""
        record = self._state.service(service)
        record.status = "DRAINING"
        record.desired = 0
        self._core.changed("service-deleted", service)
        for task in self._state.tasks_of(record):
            self._parts.life.stop(task, "ServiceSchedulerInitiated", "Service was deleted")
        self._become_inactive(record.arn)

    def deregister(self, task_definition: str) -> None:
        """Make a revision INACTIVE."""
        self._parts.definitions.deregister(find_definition(self._state, task_definition))

    def delete_image(self, repository: str, reference: str) -> None:
        """Remove the image of this tag or digest, as a lifecycle policy does."""
        store = self._state.repositories[repository]
        self._parts.registry.delete(store, store.tags.get(reference, reference))

    def move_tag(self, repository: str, tag: str, image: Image) -> None:
        self._parts.registry.point(self._state.repositories[repository], tag, image.digest)

    def set_alarm(self, name: str, state: str) -> None:
        self._state.alarms[name] = state
        self._parts.scheduler.alarm_changed(name)

    def set_placement_problem(self, service: str, problem: str | None) -> None:
        """No task can be placed, for this reason, until the problem is None."""
        record = self._state.service(service)
        record.placement_problem = problem
        self._parts.scheduler.wake(record)

    def set_behaviour(self, image: Image | str, behaviour: Behaviour) -> None:
        """From now on the image behaves like this, also where it already runs."""
        self._core.behaviours[image.digest if isinstance(image, Image) else image] = behaviour

    def behave_when(
        self, condition: Callable[[Mapping[str, Any]], bool], behaviour: Behaviour
    ) -> None:
        """Containers whose definition meets the condition behave like this."""
        rule: BehaviourRule = lambda definition, _: behaviour if condition(definition) else None  # noqa: E731
        self._core.behaviour_rules.append(rule)

    def stop_tasks(self, service: str, code: str, reason: str) -> None:
        """Stop every running task of the service, for example with code SpotInterruption."""
        for task in self._state.tasks_of(self._state.service(service)):
            self._parts.life.stop(task, code, reason)

    def stop_task(self, task: Task, code: str, reason: str) -> None:
        """Stop one task, for example one that RunTask started."""
        self._parts.life.stop(task, code, reason)

    def deny(self, *actions: str) -> None:
        """IAM refuses these actions (`ecs:UpdateService`) from now on."""
        self._state.denied.update(actions)

    def obey(self, policy: Mapping[str, Any]) -> None:
        """IAM allows what this policy allows, and nothing else."""
        self._state.policy = dict(policy)

    def allow(self, *actions: str) -> None:
        self._state.denied.difference_update(actions)

    def _become_inactive(self, arn: str) -> None:
        record = self._state.services[arn]
        if any(task.is_alive for task in self._state.tasks_of(record)):
            self._core.later(5.0, lambda: self._become_inactive(arn))
        else:
            record.status = "INACTIVE"
            record.deployments = []
