"""The simulated Builder port: builds take time, and what they push or copy is a real image."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from deploy_action.gateways.build_hints import hint
from deploy_action.ports import Build, BuildError, BuildStep, RegistryLogin

from .access import PUSHING, demand, on_repository
from .behaviour import Behaviour
from .calls import SimulatedError
from .core import Core
from .images import make_config, make_manifest
from .registry import Registry
from .state import Repository, Vulnerability

_STEPS = ("[1/3] FROM python:3.13-slim", "[2/3] COPY . .", "[3/3] RUN pip install .")


class SimulatedBuilder:
    """Builds whatever it is asked to, unless the test has told it to fail."""

    def __init__(self, core: Core, registry: Registry) -> None:
        self._core = core
        self._registry = registry
        self.builds: list[Build] = []
        """Every build asked for, in order."""
        self.behaviour = Behaviour()
        """How the images built from now on behave."""
        self.failure: BuildError | None = None
        """Raised by every build while it is set, in the second half of its time."""
        self.copies: list[tuple[str, str]] = []
        """Source and target of every copy asked for, in order."""
        self.findings: Sequence[Vulnerability] = ()
        """What scans find in the images built from now on."""
        self.engine_images: set[str] = set()
        """Names of the images that builds leave in the engine."""

    def build_and_push(
        self, build: Build, login: RegistryLogin, on_step: Callable[[BuildStep], None]
    ) -> str:
        digests: list[str] = []
        self.builds.append(build)

        def effect(_state: object) -> dict[str, object]:
            self._run_steps(on_step)
            digests.append(self._push(build, login))
            return {}

        self._core.calls.perform(
            "builder", "build_and_push", {"tag": build.tag}, effect, region="-", is_read=False
        )
        return digests[0]

    def resolve(self, reference: str, logins: Sequence[RegistryLogin]) -> str:
        found: list[str] = []

        def effect(_state: object) -> dict[str, object]:
            found.append(self._find(reference, logins)[1])
            return {}

        self._core.calls.perform(
            "builder", "get", {"reference": reference}, effect, region="-", is_read=False
        )
        return found[0]

    def copy(self, source: str, target: str, logins: Sequence[RegistryLogin]) -> None:
        self.copies.append((source, target))

        def effect(_state: object) -> dict[str, object]:
            repository, digest = self._find(source, logins, ("ecr:GetDownloadUrlForLayer",))
            host, _, rest = target.partition("/")
            name, _, tag = rest.partition(":")
            self._check_login(host, logins)
            self._check_access(target, name)
            there = self._core.state.repositories.get(name)
            if there is None:
                raise BuildError(f"failed to push {target}: name unknown")
            try:
                self._registry.copy(repository, digest, there, tag)
            except SimulatedError as error:
                raise BuildError(f"failed to push {target}: {error.message}") from error
            return {}

        self._core.calls.perform(
            "builder",
            "copy",
            {"source": source, "target": target},
            effect,
            region="-",
            is_read=False,
        )

    def _find(
        self, reference: str, logins: Sequence[RegistryLogin], besides: Sequence[str] = ()
    ) -> tuple[Repository, str]:
        """What a registry that anybody may read answers; those of ECR want a login."""
        host, _, rest = reference.partition("/")
        name, _, digest = rest.partition("@")
        name, _, tag = name.partition(":")
        if ".dkr.ecr." in host:
            self._check_login(host, logins)
            for action in ("ecr:BatchGetImage", *besides):
                check = on_repository(self._core.state, action, name, host.split(".")[0])
                try:
                    demand(self._core.state, check)
                except SimulatedError as error:
                    detail = f"{reference}: denied: {error.message}"
                    raise BuildError(detail, fix=hint(detail)) from error
        repository = (self._core.state.repositories_at(host) or {}).get(name)
        found = digest or (repository.tags.get(tag or "latest", "") if repository else "")
        if repository is None or found not in repository.manifests:
            raise BuildError(f"{reference}: not found")
        return repository, found

    def _check_login(self, host: str, logins: Sequence[RegistryLogin]) -> None:
        login = next((each for each in logins if each.host == host), None)
        expiry = self._core.state.registry_passwords.get(login.password) if login else None
        if login is None or login.user != "AWS" or expiry is None:
            raise BuildError("no basic auth credentials")
        if expiry <= self._core.clock.now():
            raise BuildError("your authorization token has expired")

    def _run_steps(self, on_step: Callable[[BuildStep], None]) -> None:
        seconds = self._core.timings.build / len(_STEPS)
        for number, name in enumerate(_STEPS, 1):
            self._core.clock.advance(seconds)
            has_failed = self.failure is not None and number == len(_STEPS)
            on_step(BuildStep(name=name, seconds=seconds, cached=False, failed=has_failed))
        if self.failure is not None:
            raise self.failure

    def _push(self, build: Build, login: RegistryLogin) -> str:
        host, _, rest = build.tag.partition("/")
        name, _, tag = rest.partition(":")
        state = self._core.state
        self.engine_images.add(build.tag)
        try:
            self._check_login(host, [login])
        except BuildError as error:
            raise BuildError(f"failed to push: {error.detail}") from error
        self._check_access(build.tag, name)
        repository = state.repositories.get(name)
        if repository is None:
            raise BuildError(
                f"failed to push {build.tag}: name unknown: The repository with name "
                f"'{name}' does not exist in the registry"
            )
        created = self._core.clock.now().isoformat()
        config = make_config(
            content=Path(build.context).name,
            created=created,
            labels=build.labels,
            platform=build.platform,
        )
        manifest = make_manifest(config)
        try:
            digest = self._registry.push(repository, config, manifest, tag)
        except SimulatedError as error:
            raise BuildError(f"failed to push {build.tag}: tag invalid: {error.message}") from error
        self._core.behaviours[digest] = self.behaviour
        repository.findings[digest] = self.findings
        return digest

    def _check_access(self, tag: str, repository: str) -> None:
        """The registry asks IAM at every step of a push, and answers in its own words."""
        for action in PUSHING:
            try:
                demand(self._core.state, on_repository(self._core.state, action, repository))
            except SimulatedError as error:
                said = f"denied: {error.message}"
                if action == PUSHING[0]:
                    # It is asked with HEAD, whose answer has no text.
                    host, _, name = tag.partition("/")
                    url = f"https://{host}/v2/{name.partition(':')[0]}/blobs/sha256:0123"
                    said = f"unexpected status from HEAD request to {url}: 403 Forbidden"
                detail = f"failed to push {tag}: {said}"
                raise BuildError(detail, fix=hint(detail)) from error
