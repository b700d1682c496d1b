"""Get the image of this release: reuse what was built before, build it, or take the one given."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_action.errors import AwsError, Blocked, BuildFailed
from deploy_action.gateways.ecr import digests, may_move
from deploy_action.model import RegistryImage, ReleaseImage, Repository, Run
from deploy_action.ports import Build, BuildError, BuildStep, NoEngine, RegistryLogin
from deploy_action.report.journal import span

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.prepare import Plan
    from deploy_action.report.journal import Journal

FINGERPRINT_LABEL = "ecs-deploy-action.build-inputs"
"""Label of an image: a hash of everything its build was given."""
WORTH_A_LINE_SECONDS = 1.0
"""BuildKit's own steps, such as reading the Dockerfile, only matter when they are slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the image comes from, besides the inputs."""

    workspace: Path
    run: Run
    container: str = ""
    """Id of the container that the step runs in; empty outside of one."""


def obtain(
    inputs: Inputs, source: Source, plan: Plan, gateways: Gateways, journal: Journal
) -> ReleaseImage:
    """The image that the containers of this release will run."""
    if inputs.image:
        return resolve(inputs.image, gateways, journal)
    if plan.repository is None:
        raise Blocked(
            "There is no image for this release.",
            why="Neither `image` nor `ecr-repository` is given.",
            fix="Give one of the two.",
        )
    return _built(inputs, source, plan, plan.repository, gateways, journal)


def resolve(reference: str, gateways: Gateways, journal: Journal) -> ReleaseImage:
    """An existing image. In ECR its digest is looked up; elsewhere the reference stays as it is."""
    host, slash, rest = reference.partition("/")
    if not slash or not gateways.ecr.owns(host):
        if "@" not in reference:
            journal.say(f"{reference} is not in ECR: ECS itself will look up its digest")
        digest = reference.partition("@")[2]
        known = frozenset({digest} if digest else ())
        return ReleaseImage(reference=reference, tagged=reference, digests=known)
    name, _, digest = rest.partition("@")
    name, _, tag = name.partition(":")
    repository = gateways.ecr.repository(name)
    image = gateways.ecr.image(repository, digest or tag or "latest")
    if image is None:
        raise Blocked(
            f"There is no image {reference!r}.",
            why=f"The repository {repository.uri} has no such {'digest' if digest else 'tag'}.",
            fix="Correct `image`, or push the image first.",
        )
    journal.say(f"{reference} is {image.digest}")
    return _release_image(image, reference, ours=False)


def move_tags(
    inputs: Inputs, image: ReleaseImage, gateways: Gateways, journal: Journal
) -> list[str]:
    """Let `latest` and the extra tags point at the image; return those that moved.

    The release stands whether or not a tag can move, so this only notes problems.
    """
    if image.stored is None:
        return []
    moved = []
    for tag in dict.fromkeys([inputs.latest_tag, *inputs.extra_tags]):
        if not tag:
            continue
        try:
            if _move_tag(image.stored, tag, gateways, journal):
                moved.append(tag)
        except AwsError as error:
            journal.note(f"The tag `{tag}` was not moved: {error}. {error.fix}")
    return moved


def _move_tag(image: RegistryImage, tag: str, gateways: Gateways, journal: Journal) -> bool:
    there = gateways.ecr.image(image.repository, tag)
    if there is not None and there.digest == image.digest:
        return True
    if there is not None and not may_move(image.repository, tag):
        journal.note(
            f"The tag `{tag}` was not moved: {image.repository.name} is "
            f"{image.repository.mutability} and the tag exists. Exclude it with "
            f"`IMMUTABLE_WITH_EXCLUSION`, or set `latest-tag` to nothing."
        )
        return False
    gateways.ecr.put_tag(image, tag)
    return True


def _built(
    inputs: Inputs,
    source: Source,
    plan: Plan,
    repository: Repository,
    gateways: Gateways,
    journal: Journal,
) -> ReleaseImage:
    tag = inputs.image_tag or source.run.sha
    tagged = f"{repository.uri}:{tag}"
    login = gateways.ecr.login(repository.host)
    journal.hide(login.password)
    build = _build(inputs, source, plan, repository, tagged)
    existing = gateways.ecr.image(repository, tag)
    if existing and _is_reusable(existing, tag, build, inputs, login, gateways, journal):
        journal.say(f"{tagged} is there already and is used again: {existing.digest}")
        return _release_image(existing, tagged)
    _check_engine(plan, gateways, journal)
    digest = _run_build(build, login, gateways, journal)
    pushed = gateways.ecr.image(repository, tag)
    if pushed is None or pushed.digest != digest:
        raise BuildFailed(
            f"{tagged} is not what was pushed.",
            why=f"The push ended with {digest}, and ECR says "
            f"{pushed.digest if pushed else 'that there is no such tag'}: something else pushed "
            "the same tag at the same time.",
            fix="Let one workflow at a time push a tag (`concurrency:`), then run it again.",
        )
    return _release_image(pushed, tagged)


def _build(
    inputs: Inputs, source: Source, plan: Plan, repository: Repository, tagged: str
) -> Build:
    context = source.workspace / inputs.context
    dockerfile = source.workspace / inputs.dockerfile if inputs.dockerfile else None
    for path, name, is_there in (
        (context, "context", context.is_dir()),
        (
            dockerfile or context / "Dockerfile",
            "dockerfile",
            (dockerfile or context / "Dockerfile").is_file(),
        ),
    ):
        if not is_there:
            raise Blocked(
                f"The {name} of the build is not there: {_shown(path, source.workspace)}.",
                why="The workspace has no such " + ("folder." if name == "context" else "file."),
                fix=f"Correct `{name}`, or run actions/checkout before this step.",
            )
    labels = {
        FINGERPRINT_LABEL: fingerprint(
            inputs, source.run.sha, plan.platform, dockerfile or context / "Dockerfile"
        ),
        "org.opencontainers.image.revision": source.run.sha,
        "org.opencontainers.image.source": source.run.url.partition("/actions/")[0],
    }
    inline = inputs.cache == "inline" and inputs.latest_tag
    return Build(
        context=str(context),
        dockerfile=str(dockerfile) if dockerfile else None,
        target=inputs.target,
        platform=plan.platform,
        tag=tagged,
        build_args=inputs.build_args,
        secrets={key: value.get_secret_value() for key, value in inputs.build_secrets.items()},
        labels={key: value for key, value in labels.items() if value},
        cache_from=f"{repository.uri}:{inputs.latest_tag}" if inline else None,
    )


def fingerprint(inputs: Inputs, sha: str, platform: str, dockerfile: Path) -> str:
    """A hash of what the build was given. Of the secrets only the names count: a hash of a
    short secret in a public label could be guessed back.
    """
    given = {
        "sha": sha,
        "context": inputs.context,
        "dockerfile": dockerfile.read_text(encoding="utf-8", errors="replace"),
        "target": inputs.target,
        "platform": platform,
        "build_args": inputs.build_args,
        "secrets": sorted(inputs.build_secrets),
    }
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()


def _is_reusable(
    existing: RegistryImage,
    tag: str,
    build: Build,
    inputs: Inputs,
    login: RegistryLogin,
    gateways: Gateways,
    journal: Journal,
) -> bool:
    """Whether the tag already holds what this build would make; BuildFailed where it blocks it."""
    movable = may_move(existing.repository, tag)
    if inputs.rebuild and movable:
        return False
    found = gateways.ecr.labels(existing, login).get(FINGERPRINT_LABEL)
    if found == build.labels[FINGERPRINT_LABEL] and not inputs.rebuild:
        return True
    if movable:
        journal.say(
            f"the tag {tag} is there, but "
            + ("was built from other inputs" if found else "does not say what it was built from")
            + "; building again"
        )
        return False
    if found is None and not inputs.rebuild:
        journal.note(
            f"The tag `{tag}` is there and cannot be replaced ({existing.repository.mutability}). "
            "It is used as it is; it does not say what it was built from."
        )
        return True
    raise BuildFailed(
        f"The tag {tag!r} cannot be pushed again.",
        why=f"The repository {existing.repository.name} is {existing.repository.mutability}, and "
        + ("`rebuild` is set." if inputs.rebuild else "the tag was built from other inputs."),
        fix="Choose another `image-tag`"
        + (", or remove `rebuild`." if inputs.rebuild else ", or build the same inputs as before."),
    )


def _check_engine(plan: Plan, gateways: Gateways, journal: Journal) -> None:
    try:
        engine = gateways.engine.info()
    except NoEngine as error:
        raise Blocked(
            "The image cannot be built: no Docker Engine answers.",
            why=f"{error}.",
            fix="Run the job on a runner with Docker (`ubuntu-latest`; `ubuntu-slim` has none), "
            "or build elsewhere and give the result as `image`.",
        ) from error
    store = ", containerd store" if engine.containerd_store else ""
    journal.say(
        f"building for {plan.platform} on Docker Engine {engine.version} ({engine.platform}{store})"
    )
    if engine.platform != plan.platform:
        journal.say(
            f"the engine is {engine.platform}: steps of the Dockerfile run in emulation, if the "
            "runner has it; a runner of the same architecture is much faster"
        )


def _run_build(build: Build, login: RegistryLogin, gateways: Gateways, journal: Journal) -> str:
    journal.hide(*build.secrets.values())

    def tell(step: BuildStep) -> None:
        if step.name.startswith("[internal]") and step.seconds < WORTH_A_LINE_SECONDS:
            return
        journal.story.build_steps.append(step)
        mark = "✗" if step.failed else "✓"
        how = "cached" if step.cached else span(step.seconds)
        journal.say(f"{mark} {step.name}  {how}")

    try:
        return gateways.builder.build_and_push(build, login, tell)
    except BuildError as error:
        raise _build_failed(error, journal) from error


def _build_failed(error: BuildError, journal: Journal) -> BuildFailed:
    where = f"the step {error.step!r}" if error.step else "the build"
    if error.dockerfile_line:
        where += f" (line {error.dockerfile_line} of the Dockerfile)"
    if error.log:
        journal.foreign(f"Last lines of {where}:", error.log)
    return BuildFailed(
        "The image was not built.",
        why=f"In {where}: {error.detail}",
        fix=error.fix
        or "Correct the step; the same build fails on any machine with `docker build`.",
        evidence=error.log,
    )


def _release_image(image: RegistryImage, tagged: str, *, ours: bool = True) -> ReleaseImage:
    return ReleaseImage(
        reference=image.uri,
        tagged=tagged,
        digests=digests(image),
        stored=image if ours else None,
    )


def _shown(path: Path, workspace: Path) -> str:
    try:
        return str(path.relative_to(workspace))
    except ValueError:
        return str(path)
