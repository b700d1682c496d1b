"""The simulated Builder port: builds take time, and what they push is a real image."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from deploy_action.gateways.build_hints import hint
from deploy_action.ports import Build, BuildError, BuildStep, RegistryLogin

from .access import PUSHING, demand, on_repository
from .behaviour import Behaviour
from .calls import SimulatedError
from .core import Core
from .images import make_config, make_manifest
from .registry import Registry

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
        expiry = state.registry_passwords.get(login.password)
        if host != state.registry or login.host != host or login.user != "AWS" or expiry is None:
            raise BuildError("failed to push: no basic auth credentials")
        if expiry <= self._core.clock.now():
            raise BuildError("failed to push: your authorization token has expired")
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
