"""The command before the release: whether its container is there and can run it. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from deploy_action import task_definition
from deploy_action.model import Json
from deploy_action.preflight.check import Facts, Outcome, Passed, Refused, Warned, listed

if TYPE_CHECKING:
    from deploy_action.inputs import Inputs

OPERATIONS = ("deploy", "plan")
"""That run the command, or say that it would."""


def judge(facts: Facts) -> Iterable[Outcome]:
    """Nothing to say where there is no command."""
    inputs = facts.inputs
    if not inputs.pre_deploy_command or inputs.operation not in OPERATIONS:
        return
    names = [str(container.get("name")) for container in facts.definitions]
    name = container_of(inputs, facts.containers, facts.body)
    if not name:
        yield Refused(
            "It is not clear which container runs `pre-deploy-command`.",
            f"The new revision has {listed(map(repr, names))}, and not exactly one of them gets "
            "the image.",
            "Name it in `pre-deploy-container`.",
        )
    elif name not in names:
        yield Refused(
            f"There is no container {name!r} to run `pre-deploy-command`.",
            f"The new revision has {listed(map(repr, names)) if names else 'none'}.",
            "Correct `pre-deploy-container`.",
        )
    else:
        yield from _container(facts, name)


def _container(facts: Facts, name: str) -> Iterable[Outcome]:
    definition = next(each for each in facts.definitions if each.get("name") == name)
    if definition.get("essential") is False:
        yield Refused(
            f"The container {name!r} is not essential, so its task would run on after "
            "`pre-deploy-command`.",
            "ECS stops a task when an essential container ends.",
            "Name an essential container in `pre-deploy-container`.",
        )
        return
    yield Passed(f"`pre-deploy-command` runs in {name!r} before the service is touched")
    if problem := task_definition.hidden_log(facts.body, name, facts.identity.region):
        yield Warned(
            f"What `pre-deploy-command` writes cannot be shown: {problem}.",
            "Use the log driver `awslogs` with a stream prefix, or look for the log where it goes.",
        )


def container_of(inputs: Inputs, containers: Sequence[str], body: Json) -> str:
    """Who runs the command; empty where that is not clear. `containers` get the image."""
    if inputs.pre_deploy_container:
        return inputs.pre_deploy_container
    candidates = containers or task_definition.container_names(body)
    return candidates[0] if len(candidates) == 1 else ""
