"""The whole action against an emulated AWS: real images, real containers, a real registry.

One emulator and one act for the session; every test gets a service and a repository of its
own, so that what a test finds there was left by nobody else.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest

from dev import act, base_images, engine, ministack, sample_service, scratch_repository

ACTION: Final = "acme/ecs-deploy@v1"
_STEP: Final = "deploy"


@dataclass(frozen=True)
class Team:
    """A repository with a workflow, and the service that it deploys."""

    service: sample_service.SampleService
    repository: Path
    action: Path

    def deploy(self, files: Mapping[str, str], **differences: str) -> "Release":
        """Commit these files and run the workflow; `differences` change the step's inputs."""
        inputs = {**self._usual_inputs(), **_kebab(differences)}
        workflow = {".github/workflows/deploy.yml": _workflow(inputs)}
        commit = scratch_repository.commit(self.repository, "change", {**files, **workflow})
        return Release(commit, self.run())

    def run(self) -> act.Step:
        """Run the workflow on the commit that is checked out."""
        done = act.run_workflow(
            self.repository,
            "deploy.yml",
            environment=self.service.emulator.environment(),
            actions={ACTION: self.action},
        )
        return done.step(_STEP)

    def _usual_inputs(self) -> dict[str, str]:
        return {
            "cluster": sample_service.CLUSTER,
            "service": self.service.name,
            "ecr-repository": self.service.name,
            "registry": self.service.emulator.registry,
            "build-args": "COMMIT=${{ github.sha }}",
            "health-url": self.service.health_url,
            "health-json": "/commit=${{ github.sha }}",
            "rollout-timeout-minutes": "5",
        }


@dataclass(frozen=True)
class Release:
    """A commit and what the workflow made of it."""

    commit: str
    step: act.Step

    @property
    def verdict(self) -> str:
        return self.step.outputs.get("verdict", "none")

    @property
    def annotations(self) -> list[str]:
        """The errors a person sees at the top of the run."""
        return [line for line in self.step.lines if line.startswith("::error")]


@pytest.fixture(scope="session")
def emulator() -> Iterator[ministack.MiniStack]:
    """The session's AWS, with an engine and base images below it."""
    with engine.running():
        base_images.prepare()
        with ministack.running() as running:
            yield running


@pytest.fixture(scope="session")
def action(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The action as another repository gets it: its own files and nothing else."""
    return scratch_repository.export_action(tmp_path_factory.mktemp("action") / "ecs-deploy")


@pytest.fixture
def team(
    emulator: ministack.MiniStack,
    action: Path,
    tmp_path: Path,
    new_name: Callable[[], str],
) -> Team:
    """A repository and a running service that nobody else uses."""
    name = new_name()
    repository = scratch_repository.create(tmp_path / name, name=f"acme/{name}")
    return Team(sample_service.create(emulator, name), repository, action)


@pytest.fixture(scope="session")
def new_name() -> Callable[[], str]:
    """Names that are used once."""
    taken: list[str] = []

    def name() -> str:
        taken.append(f"web-{len(taken) + 1}")
        return taken[-1]

    return name


def _kebab(differences: Mapping[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in differences.items()}


def _workflow(inputs: Mapping[str, str]) -> str:
    lines = "\n".join(f'          {name}: "{value}"' for name, value in inputs.items() if value)
    return f"""\
name: Deploy
on: workflow_dispatch
jobs:
  deploy:
    runs-on: ubuntu-latest
    steps:
      - uses: actions/checkout@v7
      - uses: {ACTION}
        id: {_STEP}
        with:
{lines}
"""
