"""Build an image: what BuildKit is asked, a fingerprint of it, and what the user is told."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from deploy_action.errors import Blocked, BuildFailed
from deploy_action.model import RegistryImage, Repository, Run
from deploy_action.ports import (
    Build,
    BuildError,
    BuildStep,
    Cache,
    EngineInfo,
    NoEngine,
    RegistryLogin,
)
from deploy_action.report.journal import span
from deploy_action.repositories import CACHE_TAG

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways
    from deploy_action.inputs import Inputs
    from deploy_action.prepare import Plan
    from deploy_action.report.journal import Journal

FINGERPRINT_LABEL = "ecs-deploy-action.build-inputs"
"""Label of an image: a hash of everything its build was given."""
ROUTINE = ("[internal]", "importing cache manifest")
"""BuildKit's own steps, such as reading the Dockerfile; a cache that is not there yet is one."""
WORTH_A_LINE_SECONDS = 1.0
"""Routine steps only matter when they are slow."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Where the image comes from, besides the inputs."""

    workspace: Path
    run: Run


@dataclass(frozen=True, slots=True, kw_only=True)
class ToBuild:
    """An image that is not there yet."""

    build: Build
    login: RegistryLogin
    repository: Repository
    tag: str

    @property
    def tagged(self) -> str:
        return self.build.tag

    @property
    def sentence(self) -> str:
        """What would be done."""
        where = "and pushed" if self.repository.exists else "and pushed there, once it is created"
        return f"{self.tagged} would be built for {self.build.platform} {where}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ToCopy:
    """An image that is somewhere else."""

    given: str
    """As the user refers to it."""
    source: str
    """The same by digest."""
    digest: str
    logins: tuple[RegistryLogin, ...]
    repository: Repository
    tag: str
    there: RegistryImage | None
    """The image in the repository, where only its tag is missing."""

    @property
    def tagged(self) -> str:
        return f"{self.repository.uri}:{self.tag}"

    @property
    def sentence(self) -> str:
        """What would be done."""
        if self.there:
            return f"{self.given} is in {self.repository.name} already, and would be tagged there"
        where = "" if self.repository.exists else ", once it is created"
        return f"{self.given} would be copied to {self.tagged}{where}"


def build_of(
    inputs: Inputs, source: Source, plan: Plan, repository: Repository, tagged: str
) -> Build:
    """What BuildKit is going to be asked; Blocked where the workspace lacks a part of it."""
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
    return Build(
        context=str(context),
        dockerfile=str(dockerfile) if dockerfile else None,
        target=inputs.target,
        platform=plan.platform,
        tag=tagged,
        build_args=inputs.build_args,
        secrets={key: value.get_secret_value() for key, value in inputs.build_secrets.items()},
        labels={key: value for key, value in labels.items() if value},
        cache=_cache(inputs, repository),
    )


def _cache(inputs: Inputs, repository: Repository) -> Cache | None:
    match inputs.cache:
        case "inline" if inputs.latest_tag:
            return Cache(kind="inline", place=f"{repository.uri}:{inputs.latest_tag}")
        case "registry":
            return Cache(kind="registry", place=f"{repository.uri}:{CACHE_TAG}")
        case "gha":
            return Cache(kind="gha", place=repository.name)
        case _:
            return None


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


def _check_engine(platform: str, gateways: Gateways, journal: Journal) -> EngineInfo:
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
        f"building for {platform} on Docker Engine {engine.version} ({engine.platform}{store})"
    )
    if engine.platform != platform:
        journal.say(
            f"the engine is {engine.platform}: steps of the Dockerfile run in emulation, if the "
            "runner has it; a runner of the same architecture is much faster"
        )
    return engine


def run_build(wanted: ToBuild, platform: str, gateways: Gateways, journal: Journal) -> str:
    """Build and push; the digest of what was pushed. Raise BuildFailed or Blocked."""
    engine = _check_engine(platform, gateways, journal)
    build = wanted.build
    if build.cache and build.cache.kind != "inline" and not engine.containerd_store:
        journal.say(
            f"`cache: {build.cache.kind}` needs more than the image store of this engine offers: "
            "BuildKit runs in a container of its own, which costs some seconds"
        )
        build = replace(build, in_own_builder=True)
    journal.hide(*wanted.build.secrets.values())

    def tell(step: BuildStep) -> None:
        if step.name.startswith(ROUTINE) and step.seconds < WORTH_A_LINE_SECONDS:
            return
        journal.story.build_steps.append(step)
        mark = "✗" if step.failed else "✓"
        how = "cached" if step.cached else span(step.seconds)
        journal.say(f"{mark} {step.name}  {how}")

    try:
        with _leaving_no_image(build, gateways):
            return gateways.builder.build_and_push(build, wanted.login, tell)
    except BuildError as error:
        raise _build_failed(error, journal) from error


@contextmanager
def _leaving_no_image(build: Build, gateways: Gateways) -> Iterator[None]:
    """What is pushed from the engine stays in it, and fills the disk of a runner that is kept."""
    if build.in_own_builder or _is_in_engine(build.tag, gateways):
        yield
        return
    try:
        yield
    finally:
        with suppress(NoEngine):
            gateways.engine.forget_image(build.tag)


def _is_in_engine(reference: str, gateways: Gateways) -> bool:
    """Where that cannot be told it is as if it were: what is not known to be ours stays."""
    try:
        return gateways.engine.has_image(reference)
    except NoEngine:
        return True


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


def _shown(path: Path, workspace: Path) -> str:
    try:
        return str(path.relative_to(workspace))
    except ValueError:
        return str(path)
