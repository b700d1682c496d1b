"""A release before it is one: checked, decided, rendered. `plan` shows it, `deploy` does it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deploy_action import images, task_definition
from deploy_action.build import Source, ToBuild, ToCopy
from deploy_action.model import Json, ReleaseImage
from deploy_action.prepare import Plan, changes, prepare

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Pictures:
    """The images of a release. `release` is None where `container-name` spells all of them out."""

    release: ReleaseImage | ToBuild | ToCopy | None
    others: Mapping[str, ReleaseImage]


class Drafter:
    """Turns inputs into what would be released. Reads only."""

    def __init__(
        self, inputs: Inputs, source: Source, gateways: Gateways, journal: Journal
    ) -> None:
        self._inputs = inputs
        self._source = source
        self._gateways = gateways
        self._journal = journal

    def check(self) -> Plan:
        """The first phase of every operation that releases."""
        with self._journal.phase("Check") as phase:
            identity = self._gateways.identity
            self._journal.say(f"account {identity.account}, {identity.region}, as {identity.arn}")
            plan = prepare(self._inputs, self._source.workspace, self._gateways, self._journal)
            environment = task_definition.environment_values(plan.base)
            self._journal.redact.hide_environment(environment)
            self._journal.record(
                previous_task_definition_arn=plan.baseline.task_definition,
                url=plan.endpoint.url if plan.endpoint else "",
            )
            service = plan.service
            phase.result = (
                f"{self._inputs.cluster}/{service.name} runs {plan.running.revision} "
                f"({service.running}/{service.desired} tasks)"
            )
        return plan

    def choose(self, plan: Plan) -> Pictures:
        """The images that are there, and the one that has to be built."""
        others = {
            name: images.resolve(reference, self._gateways, self._journal)
            for name, reference in plan.other_images.items()
        }
        release = (
            images.decide(self._inputs, self._source, plan, self._gateways, self._journal)
            if plan.containers
            else None
        )
        return Pictures(release=release, others=others)

    def render(self, plan: Plan, references: Mapping[str, str]) -> Json:
        """The new definition with these images by container name."""
        containers = plan.containers or tuple(plan.other_images)
        body = task_definition.render(plan.base, changes(self._inputs, references, containers))
        self._journal.redact.hide_environment(task_definition.environment_values(body))
        return body

    def compare(self, plan: Plan, body: Json) -> list[str]:
        """One line for each way in which `body` differs from what runs."""
        running = self._gateways.ecs.registrable(plan.running)
        if task_definition.is_same(body, running):
            return []
        return task_definition.differences(running, body)

    def is_unchanged(self, plan: Plan, body: Json) -> bool:
        """Whether the service already completed a deployment of exactly this."""
        primary = plan.service.primary
        return (
            not self._inputs.force_new_deployment
            and primary is not None
            and primary.rollout_state in (None, "COMPLETED")
            and task_definition.is_same(body, self._gateways.ecs.registrable(plan.running))
        )
