"""Judge what runs now, and write nothing. Exit 0, or `failed` with everything that is wrong."""

from __future__ import annotations

from typing import TYPE_CHECKING

from deploy_action import images
from deploy_action.build import Source
from deploy_action.deploy import nothing_started
from deploy_action.errors import AwsError, Failed
from deploy_action.gateways.ecr import digests
from deploy_action.group import Group
from deploy_action.model import Definition, Service, revision_of, short_digest
from deploy_action.proof import Claim, NotProved, prove
from deploy_action.rollout import describe_stop, is_fatal
from deploy_action.survey import expectation, find_endpoint, find_service
from deploy_action.task_definition import environment_values

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal

STOPS_SHOWN = 3


def verify(
    inputs: Inputs, source: Source, gateways: Gateways, journal: Journal, group: Group
) -> None:
    """Return if the service is well; raise Failed with every problem otherwise."""
    del group
    with nothing_started():
        with journal.phase("Check") as phase:
            service = find_service(inputs, gateways)
            running = gateways.ecs.definition(service.task_definition)
            journal.redact.hide_environment(environment_values(running.body))
            journal.record(task_definition_arn=running.arn)
            problems = _about_deployment(service)
            expected = _expected(inputs, source, gateways, journal, problems)
            phase.result = (
                f"{inputs.cluster}/{service.name} is set to {running.revision} "
                f"({service.running}/{service.desired} tasks)"
            )
        with journal.phase("Verify") as phase:
            problems += _about_tasks(inputs, service, running, expected, gateways, journal)
            phase.failed = bool(problems)
            phase.result = f"{running.revision} is what runs"
        _note_drift(inputs, running, gateways, journal)
        _note_stops(service, gateways, journal)
    if problems:
        raise Failed(
            f"{service.name} is not well.",
            why="\n".join(f"- {problem}" for problem in problems),
            fix="Look at the service; nothing was changed by this check.",
            evidence=tuple(journal.story.notes),
        )
    journal.succeed("verified", f"{service.name} runs {running.revision} and is well.")


def _about_deployment(service: Service) -> list[str]:
    primary = service.primary
    if service.status != "ACTIVE":
        return [f"the service is {service.status}"]
    if primary is None or primary.rollout_state in (None, "COMPLETED"):
        return []
    state = "is still on its way" if primary.rollout_state == "IN_PROGRESS" else "failed"
    reason = f": {primary.reason}" if primary.reason else ""
    return [f"the deployment of {revision_of(primary.task_definition)} {state}{reason}"]


def _expected(
    inputs: Inputs, source: Source, gateways: Gateways, journal: Journal, problems: list[str]
) -> frozenset[str]:
    """The digests that should run, where the inputs name an image or a tag; else none."""
    if inputs.image:
        release = images.resolve(inputs.image, gateways, journal)
        journal.record(image=release.reference, image_digest=release.digest)
        return release.digests
    tag = inputs.image_tag or source.run.sha
    if not (inputs.ecr_repository and tag):
        return frozenset()
    repository = gateways.ecr.repository(inputs.ecr_repository)
    image = gateways.ecr.image(repository, tag)
    if image is None:
        problems.append(f"{repository.uri} has no image with the tag {tag}")
        return frozenset()
    journal.record(image=image.uri, image_digest=image.digest, image_uri=f"{repository.uri}:{tag}")
    return digests(image)


def _about_tasks(
    inputs: Inputs,
    service: Service,
    running: Definition,
    expected: frozenset[str],
    gateways: Gateways,
    journal: Journal,
) -> list[str]:
    """What stands between the service and a proof; the sentences of the proof go into the story."""
    if service.desired == 0:
        journal.story.verification = ["The desired count is 0: no task runs."]
        return ["no task runs, so the image cannot be compared"] if expected else []
    endpoint = find_endpoint(inputs, service, gateways, journal)
    containers = running.body.get("containerDefinitions") or []
    groups = (lb.target_group_arn for lb in service.load_balancing)
    named = [item.partition("=")[0] for item in inputs.container_name]
    released = named or _of_repository(containers, inputs, gateways)
    proved = prove(
        Claim(
            service=service.name,
            task_definition=running.arn,
            digests=dict.fromkeys(released, expected),
            endpoint=endpoint,
            expectation=expectation(inputs) if endpoint else None,
            has_container_check=any(c.get("healthCheck") for c in containers),
            old_tasks_may_run=service.early_success,
            target_groups=tuple(arn for arn in groups if arn),
            successes=inputs.health_successes,
            interval_seconds=inputs.health_interval_seconds,
            budget_seconds=inputs.health_timeout_seconds,
        ),
        gateways,
        journal,
        lambda: None,
    )
    if isinstance(proved, NotProved):
        return [proved.problem]
    journal.story.verification = list(proved.sentences)
    return []


def _of_repository(
    containers: list[dict[str, str]], inputs: Inputs, gateways: Gateways
) -> list[str]:
    """The containers whose image is to be compared: those of the repository, else all."""
    names = [c["name"] for c in containers]
    if not inputs.ecr_repository or len(names) == 1:
        return names
    uri = gateways.ecr.repository(inputs.ecr_repository).uri
    return [c["name"] for c in containers if c["image"].startswith((f"{uri}@", f"{uri}:"))]


def _note_drift(inputs: Inputs, running: Definition, gateways: Gateways, journal: Journal) -> None:
    """Say where the next release would not grow from what runs."""
    family = running.revision.rpartition(":")[0]
    try:
        newest = gateways.ecs.definition(family).revision
        if newest != running.revision:
            journal.note(f"The family's newest revision is {newest}, not {running.revision}.")
        if not (inputs.ecr_repository and inputs.latest_tag):
            return
        repository = gateways.ecr.repository(inputs.ecr_repository)
        latest = gateways.ecr.image(repository, inputs.latest_tag)
        images_of_running = str(running.body.get("containerDefinitions"))
        if latest and latest.digest not in images_of_running:
            journal.note(
                f"The tag {inputs.latest_tag} points at {short_digest(latest.digest)}, which is "
                "not the image of the running revision."
            )
    except AwsError as error:
        journal.say(f"going on without looking for drift: {error}")


def _note_stops(service: Service, gateways: Gateways, journal: Journal) -> None:
    """Say which tasks stopped lately for a reason of their own; ECS remembers about an hour."""
    try:
        tasks = gateways.ecs.tasks(gateways.ecs.task_arns(service.name, stopped=True))
    except AwsError as error:
        journal.say(f"going on without the stopped tasks: {error}")
        return
    fatal = [task for task in tasks if is_fatal(task)]
    for task in fatal[-STOPS_SHOWN:]:
        journal.note(f"Task {task.id} stopped lately: {describe_stop(task)}.")
