"""A cancelled run: undo what is in flight with the one call there is time for.

The runner leaves 7.5 s between its first signal and its second, and 2.5 s more.
Whether the undoing comes to a good end is looked at by the post step.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError
from deploy_action.follow import Follower
from deploy_action.intent import Intent
from deploy_action.model import revision_of
from deploy_action.proof import Claim
from deploy_action.restore import LeftAlone, NotRestored, Restorer, undo_commands

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal


def let_go(intent: Intent, inputs: Inputs, gateways: Gateways, journal: Journal) -> None:
    """Start to undo, or leave the deployment, as `on-cancel` says; record which."""
    # Stands if the last second comes first.
    journal.story.rollback = (
        f"{intent.service} may still move to {revision_of(intent.task_definition)}: there was no "
        "time to see whether that is undone. The post step of this action looks after it."
    )
    journal.story.rollback = _let_go(intent, inputs, gateways, journal)
    journal.console.line(f"cancelled: {journal.story.rollback}")


def _let_go(intent: Intent, inputs: Inputs, gateways: Gateways, journal: Journal) -> str:
    hurried = replace(gateways, ecs=gateways.ecs.hurried())
    revision = revision_of(intent.task_definition)
    try:
        rollout = intent.rollout(hurried.ecs.service(intent.service))
    except AwsError as error:
        return f"whether {intent.service} moves to {revision} could not be read ({error})."
    if rollout is None:
        return f"the release of {intent.service} had not begun."
    journal.record(deployment_id=rollout.deployment_id)
    moving = f"{intent.service} was moving to {revision} (deployment {rollout.deployment_id})"
    if inputs.on_cancel == "leave":
        commands = undo_commands(rollout, inputs.cluster, gateways.identity.region)
        return f"{moving}; it goes on, as `on-cancel: leave` says. To undo it: {commands[1]}"
    follower = Follower(rollout, hurried.ecs, journal, inputs.fail_after_stopped_tasks)
    claim = Claim(service=intent.service, task_definition=intent.baseline.task_definition)
    begun = Restorer(follower, claim, 0, hurried, journal).begin(is_hurried=True)
    if isinstance(begun, LeftAlone):
        return f"{intent.service} was taken over by {begun.by}; nothing was undone."
    if isinstance(begun, NotRestored):
        return f"{moving}, and could not be undone: {begun.problem}."
    return f"{moving}; {begun.sentence}. The post step of this action follows it to its end."
