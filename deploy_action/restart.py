"""Start new tasks of the revision that runs, for example after a secret changed, and prove them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy_action.build import Source
from deploy_action.deploy import nothing_started
from deploy_action.group import Group
from deploy_action.move import Mover
from deploy_action.prepare import look_over
from deploy_action.report.journal import span
from deploy_action.survey import survey

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal


def restart(
    inputs: Inputs, source: Source, gateways: Gateways, journal: Journal, group: Group
) -> None:
    """Return after a good end; raise ActionError otherwise.

    A restart has no other revision to go back to, so a failure is told and left:
    ECS keeps the old tasks as far as the service's own settings say.
    """
    del source
    with nothing_started(), journal.phase("Check") as phase:
        now = survey(inputs, gateways, journal)
        look_over(now, gateways.ecs.registrable(now.running), inputs, gateways, journal)
        arn = now.running.arn
        journal.record(task_definition_arn=arn, previous_task_definition_arn=arn)
        phase.result = f"{inputs.cluster}/{now.service.name} runs {now.running.revision}"
    proved = Mover(now, {}, inputs, gateways, journal, group).move(now.running, force=True)
    if proved is None:
        journal.succeed(
            "deployed-unverified",
            f"{inputs.name} has a desired count of 0: there was no task to restart.",
        )
        return
    journal.story.verification = list(proved.sentences)
    journal.succeed(
        "restarted",
        f"{inputs.name} runs new tasks of {now.running.revision}, verified, "
        f"after {span(journal.seconds)}.",
    )
