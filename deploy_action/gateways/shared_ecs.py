"""Amazon ECS for several services at once: what all of them want to know is asked in one call.

To one service it looks like `Ecs`. The calls grow with the services by tens,
where ECS takes ten at a time, and not one by one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError
from deploy_action.gateways.ecs import Ecs
from deploy_action.model import Definition, Service, ServiceDeployment, Task
from deploy_action.ports import Ask

if TYPE_CHECKING:
    import boto3

SERVICES_A_CALL = 10
"""DescribeServices takes at most this many."""
SERVICE_DEPLOYMENTS_A_CALL = 20
"""DescribeServiceDeployments takes at most this many."""


class SharedEcs(Ecs):
    """One cluster, read by the stories of several services side by side."""

    def __init__(self, session: boto3.Session, cluster: str, ask: Ask) -> None:
        super().__init__(session, cluster)
        self._ask = ask
        self._definitions: dict[str, Definition] = {}
        self._owners: dict[str, str] = {}
        """Task to its group, which is `service:NAME`."""
        self._is_crowded = False

    def service(self, name: str) -> Service:
        return self._ask(self._services, name)

    def service_deployment(self, arn: str) -> ServiceDeployment | None:
        return self._ask(self._service_deployments, arn)

    def definition(self, reference: str) -> Definition:
        """A revision never changes, so one that was read is not read again."""
        if reference not in self._definitions:
            found = super().definition(reference)
            if reference != found.arn:
                # A family names another revision tomorrow.
                return found
            self._definitions[reference] = found
        return self._definitions[reference]

    def task_arns(self, name: str, *, stopped: bool) -> list[str]:
        return self._ask(self._stopped if stopped else self._running, name)

    def tasks(self, arns: Sequence[str]) -> list[Task]:
        return self._ask(self._described, tuple(arns)) if arns else []

    # ---- the same for many ----

    def _services(self, names: Sequence[str]) -> Mapping[str, Service | Exception]:
        found: dict[str, Service | Exception] = {}
        for start in range(0, len(names), SERVICES_A_CALL):
            part = names[start : start + SERVICES_A_CALL]
            try:
                found.update(self.services(part))
            except AwsError as error:
                found.update(dict.fromkeys(part, error))
        return found

    def _service_deployments(
        self, arns: Sequence[str]
    ) -> Mapping[str, ServiceDeployment | Exception | None]:
        found: dict[str, ServiceDeployment | Exception | None] = {}
        for start in range(0, len(arns), SERVICE_DEPLOYMENTS_A_CALL):
            part = arns[start : start + SERVICE_DEPLOYMENTS_A_CALL]
            try:
                found.update(self.service_deployments(part))
            except AwsError as error:
                found.update(dict.fromkeys(part, error))
        return found

    def _stopped(self, names: Sequence[str]) -> Mapping[str, list[str] | Exception]:
        return self._task_arns(names, stopped=True)

    def _running(self, names: Sequence[str]) -> Mapping[str, list[str] | Exception]:
        return self._task_arns(names, stopped=False)

    def _task_arns(
        self, names: Sequence[str], *, stopped: bool
    ) -> Mapping[str, list[str] | Exception]:
        """From a list of the whole cluster, as long as that is shorter than one for each."""
        if len(names) > 1 and not self._is_crowded:
            everywhere = self.task_arns_in_cluster(stopped=stopped, at_most_pages=len(names))
            if everywhere is not None:
                return self._by_service(names, everywhere)
            self._is_crowded = True
        found: dict[str, list[str] | Exception] = {}
        for name in names:
            try:
                found[name] = super().task_arns(name, stopped=stopped)
            except AwsError as error:
                found[name] = error
        return found

    def _by_service(
        self, names: Sequence[str], arns: Sequence[str]
    ) -> Mapping[str, list[str] | Exception]:
        # A task that is seen for the first time is looked at once, to know whose it is.
        for task in super().tasks([arn for arn in arns if arn not in self._owners]):
            self._owners[task.arn] = task.group
        found: dict[str, list[str]] = {name: [] for name in names}
        for arn in arns:
            owner = self._owners.get(arn, "").removeprefix("service:")
            if owner in found:
                found[owner].append(arn)
        return dict(found)

    def _described(
        self, keys: Sequence[tuple[str, ...]]
    ) -> Mapping[tuple[str, ...], list[Task] | Exception]:
        wanted = list(dict.fromkeys(arn for key in keys for arn in key))
        try:
            found = {task.arn: task for task in super().tasks(wanted)}
        except AwsError as error:
            return dict.fromkeys(keys, error)
        return {key: [found[arn] for arn in key if arn in found] for key in keys}
