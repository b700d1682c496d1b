"""Everything that a release decides before the first write. Reads only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_action import repositories, settings, task_definition
from deploy_action.errors import AwsError, Blocked, Refusal
from deploy_action.gateways.ecr import ECR_HOST
from deploy_action.model import (
    Definition,
    Json,
    Repository,
    Service,
)
from deploy_action.preflight import PLACEHOLDER, Facts, run_checks
from deploy_action.situation import Situation
from deploy_action.survey import survey
from deploy_action.task_definition import Changes, DefinitionProblem

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.report.journal import Journal


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan(Situation):
    """What is going to be released, and to what."""

    base: Json
    """The registrable body that the new revision grows from."""
    containers: tuple[str, ...]
    """Containers that get the image of this release."""
    other_images: Mapping[str, str]
    """Container name to image, where `container-name` gives one."""
    repository: Repository | None
    platform: str


def prepare(inputs: Inputs, workspace: Path, gateways: Gateways, journal: Journal) -> Plan:
    """The plan of a release, or Blocked: nothing was touched."""
    now = survey(inputs, gateways, journal)
    base = _base(inputs, workspace, now.running, gateways)
    _check_body(gateways, base, "the task definition")
    repository = _repository(inputs, gateways)
    containers, others = _containers(inputs, base, now.service, repository)
    body = _check_render(inputs, gateways, base, containers, others)
    _check_platform(inputs, base, journal)
    look_over(now, body, inputs, gateways, journal, containers=containers, repository=repository)
    return Plan(
        **{each.name: getattr(now, each.name) for each in fields(now)},
        base=base,
        containers=containers,
        other_images=others,
        repository=repository,
        platform=inputs.platform or task_definition.platform(base),
    )


def look_over(
    now: Situation,
    body: Json,
    inputs: Inputs,
    gateways: Gateways,
    journal: Journal,
    *,
    containers: tuple[str, ...] = (),
    repository: Repository | None = None,
) -> None:
    """Check what the service is going to run; `containers` are those that get a new image."""
    facts = Facts(
        inputs=inputs,
        identity=gateways.identity,
        now=gateways.clock.now(),
        service=settings.in_force(now.service, inputs),
        running=now.running,
        baseline=now.baseline,
        body=body,
        containers=containers,
        repository=repository,
        tag=inputs.image_tag or journal.story.run.sha,
        platform=task_definition.platform(body),
        targets=now.targets,
        limit_seconds=now.limit_seconds,
        unresolvable=now.unresolvable,
    )
    journal.story.log_groups = task_definition.log_groups(body, gateways.identity.region)
    journal.story.alarms = list(inputs.alarms)
    run_checks(facts, gateways, journal, gateways.concurrently)


def changes(inputs: Inputs, images: Mapping[str, str], containers: Sequence[str]) -> Changes:
    """The inputs as changes of a task definition."""
    patch = inputs.task_definition_patch
    return Changes(
        images=images,
        containers=containers,
        environment=inputs.environment_variables,
        secrets=inputs.secrets,
        replace_environment=inputs.environment_mode == "replace",
        cpu=inputs.cpu,
        memory=inputs.memory,
        patch=task_definition.parse_patch(patch) if patch else {},
    )


def _base(inputs: Inputs, workspace: Path, running: Definition, gateways: Gateways) -> Json:
    """The body that the new revision grows from."""
    reference = inputs.task_definition
    if reference is None:
        return gateways.ecs.registrable(running)
    path = workspace / reference
    if path.suffix.lower() in {".json", ".yml", ".yaml"} or path.is_file():
        return _from_file(path, reference, gateways)
    try:
        return gateways.ecs.registrable(gateways.ecs.definition(reference))
    except AwsError as error:
        if error.refusal not in {Refusal.INVALID, Refusal.MISSING}:
            raise
        raise Blocked(
            f"The task definition {reference!r} cannot be read.",
            why=f"There is no such file in the workspace, and ECS says: {error.message}",
            fix="Correct `task-definition`: a file, a family, `family:revision` or an ARN.",
        ) from error


def _from_file(path: Path, reference: str, gateways: Gateways) -> Json:
    try:
        text = path.read_text(encoding="utf-8")
        return gateways.ecs.writable(task_definition.parse(text))
    except OSError as error:
        raise Blocked(
            f"The task definition {reference!r} cannot be read.",
            why=f"{error.strerror or error}.",
            fix="Check the path (it starts at the workspace), and that the job ran "
            "actions/checkout before this step.",
        ) from error
    except ValueError as error:
        raise Blocked(
            f"The task definition {reference!r} cannot be used.",
            why=f"{error}.",
            fix="Correct the file; it is what `aws ecs register-task-definition` takes.",
        ) from error


def _check_body(gateways: Gateways, body: Json, what: str) -> None:
    problems = gateways.ecs.problems(body)
    if problems:
        raise Blocked(
            f"{what[0].upper()}{what[1:]} would lose or bend something.",
            why="The model of the AWS API does not know it like this:\n"
            + "\n".join(f"- {problem}" for problem in problems),
            fix="Correct the named keys. If AWS added such a field lately, use a newer version "
            "of this action.",
        )


def _containers(
    inputs: Inputs, base: Json, service: Service, repository: Repository | None
) -> tuple[tuple[str, ...], dict[str, str]]:
    """Who gets the image of this release, and who gets one that `container-name` spells out."""
    others: dict[str, str] = {}
    plain: list[str] = []
    for item in inputs.container_name:
        name, equals, image = item.partition("=")
        if equals:
            others[name.strip()] = image.strip()
        else:
            plain.append(name)
    if inputs.has_partners:
        # A name may be meant for another service; one that fits none is found out later.
        names = task_definition.container_names(base)
        plain = [name for name in plain if name in names]
        others = {name: image for name, image in others.items() if name in names}
    if plain or (others and not (inputs.image or inputs.ecr_repository)):
        return tuple(plain), others
    behind = [lb.container for lb in service.load_balancing if lb.container]
    try:
        name = task_definition.choose_container(
            base, behind, repository.uri if repository else None
        )
    except DefinitionProblem as problem:
        raise _misfit(problem) from problem
    return (() if name in others else (name,)), others


def _check_render(
    inputs: Inputs,
    gateways: Gateways,
    base: Json,
    containers: Sequence[str],
    others: Mapping[str, str],
) -> Json:
    """Render once with a stand-in for the image, so that no build is wasted on a bad input."""
    images = {**dict.fromkeys(containers, PLACEHOLDER), **others}
    try:
        body = task_definition.render(base, changes(inputs, images, containers))
    except DefinitionProblem as problem:
        raise _misfit(problem) from problem
    _check_body(gateways, body, "the new task definition")
    return body


def _misfit(problem: DefinitionProblem) -> Blocked:
    return Blocked(
        "The inputs do not fit the task definition.",
        why=f"{problem}.",
        fix="Correct `container-name`, or the task definition.",
    )


def _repository(inputs: Inputs, gateways: Gateways) -> Repository | None:
    name = inputs.ecr_repository
    if name is None:
        return None
    host, slash, rest = name.partition("/")
    if slash and ("." in host or ":" in host):
        name = rest
        foreign = ECR_HOST.fullmatch(host) and not host.startswith(gateways.identity.account)
        if foreign and inputs.registry != host:
            raise Blocked(
                f"The repository {inputs.ecr_repository!r} belongs to another account.",
                why=f"The job runs in account {gateways.identity.account}.",
                fix=f"Set `registry: {host}` to use the registry of that account.",
            )
    try:
        return gateways.ecr.repository(name)
    except AwsError as error:
        if error.refusal is not Refusal.MISSING:
            raise
        if inputs.create_repository:
            return gateways.ecr.future_repository(name, repositories.movable_tags(inputs))
        raise Blocked(
            f"There is no ECR repository {name!r}.",
            why=f"ECR says: {error.message}",
            fix="Correct `ecr-repository`, `registry` or the region; or set `create-repository: "
            "true`, and it is made.",
        ) from error


def _check_platform(inputs: Inputs, base: Json, journal: Journal) -> None:
    wanted = task_definition.platform(base)
    if inputs.platform and inputs.platform != wanted:
        journal.note(
            f"`platform` is {inputs.platform}, but the task definition runs on {wanted}; "
            "its tasks will not start."
        )
