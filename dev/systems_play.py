"""Playing the cases of the systems: the team's workflow through act, and what is there after.

The systems are played beside each other, the cases of one in their order. All of them use
one copy of the action, in which two things are not as in a release: the image is the one that
was built here, and the registry is the emulator's.
"""

import contextlib
import fcntl
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import yaml

from deploy_action.errors import SUCCESSES
from dev import act, ministack, scratch_repository, systems_neighbours, systems_stack
from dev.commands import run
from dev.places import CACHE, ROOT
from dev.systems_case import Case, System
from dev.systems_neighbours import Neighbours
from dev.systems_stack import Stack

IMAGE: Final = "ecs-deploy:systems"
_ACTION: Final = "acme/ecs-deploy@v1"
_REUSABLE: Final = ".github/workflows/deploy.yml"
_WORKFLOW: Final = "deploy.yml"
_STEP: Final = "deploy"
_OK: Final = 200


@dataclass(frozen=True)
class Outcome:
    """How a case went; without `problems` it went as it has to."""

    system: str
    case: Case
    verdict: str
    seconds: float
    text: str
    problems: tuple[str, ...]


@dataclass(frozen=True)
class _Seen:
    """What is there between two runs."""

    definition: str
    desired: int
    latest: str | None
    answer: tuple[int, str]

    @classmethod
    def of(cls, stack: Stack) -> "_Seen":
        service = stack.described()
        return cls(
            service["taskDefinition"],
            service["desiredCount"],
            stack.digest("latest"),
            stack.answer(),
        )


def play(
    systems: Sequence[System],
    *,
    chosen: Callable[[Case], bool] = lambda _: True,
    told: Callable[[Outcome], None] = lambda _: None,
    source: Path = ROOT,
) -> list[Outcome]:
    """Play the chosen cases of all systems; `told` hears of each as it ends.

    `source` is the folder of the action.
    """
    is_over = threading.Event()

    def one(system: System, place: _Place) -> list[Outcome]:
        outcomes = []
        for outcome in _play_one(system, place, chosen):
            told(outcome)
            outcomes.append(outcome)
            if is_over.is_set():
                break
        return outcomes

    with _places(systems, source) as places, ThreadPoolExecutor(len(systems)) as pool:
        try:
            return [outcome for played in pool.map(one, systems, places) for outcome in played]
        except BaseException:  # a Ctrl-C too: the others need not play to their end
            is_over.set()
            raise


@dataclass(frozen=True)
class _Place:
    """What systems are played on: all of one region have it in common."""

    emulator: ministack.MiniStack
    neighbours: Neighbours
    action: Path
    folder: Path


@contextlib.contextmanager
def _places(systems: Sequence[System], source: Path) -> Iterator[list[_Place]]:
    """Have a place for each of the systems, in their order."""
    with _alone(), contextlib.ExitStack() as open_until_the_end:
        run("docker", "build", "--quiet", "--tag", IMAGE, source)
        folder = Path(open_until_the_end.enter_context(tempfile.TemporaryDirectory()))
        neighbours = open_until_the_end.enter_context(systems_neighbours.running())
        found = {}
        for region, checks_access in {(system.region, system.checks_access) for system in systems}:
            running = ministack.running(region=region, checks_access=checks_access)
            emulator = open_until_the_end.enter_context(running)
            action = _export_action(folder / str(emulator.port), emulator.registry, source)
            found[region, checks_access] = _Place(emulator, neighbours, action, folder)
        yield [found[system.region, system.checks_access] for system in systems]


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Two plays would take each other's image, and act's containers have the same names."""
    CACHE.mkdir(exist_ok=True)
    with (CACHE / "systems.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _play_one(system: System, place: _Place, chosen: Callable[[Case], bool]) -> Iterator[Outcome]:
    stacks = systems_stack.create(system, place.emulator, place.neighbours)
    repository = scratch_repository.create(place.folder / system.name, name=f"acme/{system.name}")
    scratch_repository.commit(repository, "Everything", system.files())
    for case in filter(chosen, system.cases):
        yield _Player(system, stacks[case.stack], repository, place.action).play(case)


def _export_action(folder: Path, registry: str, source: Path) -> Path:
    """The action and its reusable workflow, as another repository finds them."""
    scratch_repository.export_action(folder, source=source)
    declared = yaml.safe_load((folder / "action.yml").read_text())
    declared["runs"]["image"] = f"docker://{IMAGE}"
    declared["inputs"]["registry"]["default"] = registry
    reusable = _for_registry((source / _REUSABLE).read_text(), registry)
    files = {"action.yml": yaml.safe_dump(declared), _REUSABLE: reusable}
    scratch_repository.commit(folder, "For the emulator", files)
    return folder


def _for_registry(text: str, registry: str) -> str:
    """The reusable workflow hands every input over, so there the default is an empty text."""
    passed = "registry: ${{ inputs.registry }}"
    if passed not in text:
        raise LookupError(f"{_REUSABLE} no longer contains {passed!r}")
    return text.replace(passed, f"registry: ${{{{ inputs.registry || '{registry}' }}}}")


@dataclass(frozen=True)
class _Player:
    system: System
    stack: Stack
    repository: Path
    action: Path

    def play(self, case: Case) -> Outcome:
        """Run the workflow once and look at what it left."""
        for call in case.before:
            self.stack.call(call)
        before = _Seen.of(self.stack)
        if case.commits:
            self._commit(case)
        else:
            run("git", "checkout", "--quiet", case.branch, cwd=self.repository)
        started = time.monotonic()
        done = self._run(case)
        try:
            step = done.step(_STEP)
        except LookupError as silence:
            seconds = time.monotonic() - started
            return Outcome(self.system.name, case, "none", seconds, str(silence), ("did not run",))
        seconds = time.monotonic() - started
        problems = tuple(self._problems(case, before, step))
        if done.succeeded != (step.exit_code == 0):
            problems = (*problems, f"another job of the workflow failed: {done.trouble}")
        verdict = step.outputs.get("verdict", "none")
        return Outcome(self.system.name, case, verdict, seconds, step.text, problems)

    def _commit(self, case: Case) -> None:
        run("git", "checkout", "--quiet", "-B", case.branch, cwd=self.repository)
        files = self.system.files()
        for name, edit in case.edits.items():
            if edit.old not in files[name]:
                raise LookupError(f"{self.system.name}/{name} does not contain {edit.old!r}")
            files[name] = files[name].replace(edit.old, edit.new, 1)
        scratch_repository.commit(self.repository, case.title, files)

    def _run(self, case: Case) -> act.Run:
        outputs = self.stack.outputs
        from_stack = {name: outputs[key] for name, key in self.system.variables.items()}
        return act.run_workflow(
            self.repository,
            _WORKFLOW,
            event="workflow_dispatch" if case.inputs else "push",
            inputs=case.inputs,
            variables={
                "ECR_REGISTRY": self.stack.emulator.registry,
                **self.system.environment_variables(self.stack.name),
                **self.system.instead,
                **from_stack,
            },
            secrets={name: outputs[key] for name, key in self.system.secrets.items()},
            environment=self._environment(),
            actions={_ACTION: self.action},
            hosts=self.stack.hosts(),
        )

    def _environment(self) -> Mapping[str, str]:
        """What every job has; no credentials, which are the workflow's own affair."""
        return {
            "AWS_ENDPOINT_URL": self.stack.emulator.endpoint,
            **({} if self.system.secrets else self.stack.neighbours.environment()),
        }

    def _problems(self, case: Case, before: _Seen, step: act.Step) -> Iterator[str]:
        verdict = step.outputs.get("verdict", "none")
        if verdict != case.verdict:
            yield f"ended as {verdict}, not as {case.verdict}"
        if (step.exit_code == 0) != (verdict in SUCCESSES):
            yield f"ended as {verdict} with exit code {step.exit_code}"
        if case.says not in step.text:
            yield f"did not say {case.says!r}"
        if self.system.tells and not any(verdict in notice for notice in self.stack.notices()):
            yield f"nobody was told that it ended as {verdict}"
        yield from self._differences(case, before, step)

    def _differences(self, case: Case, before: _Seen, step: act.Step) -> Iterator[str]:
        """What is not as it has to be after this end."""
        try:
            self.stack.wait_until_running()
        except TimeoutError as late:
            yield str(late)
            return
        after = _Seen.of(self.stack)
        new = step.outputs.get("task-definition-arn")
        is_new = case.verdict in {"deployed", "deployed-unverified"}
        wanted = new if is_new else before.definition
        if after.definition != wanted:
            yield f"the service is on {after.definition}, not on {wanted}"
        if after.desired != before.desired:
            yield f"{after.desired} tasks are wanted, before it were {before.desired}"
        released = step.outputs.get("image-digest") if self._releases(case) else before.latest
        if after.latest != released:
            yield f"`latest` is {after.latest}, not {released}"
        if self.system.health and after.answer[0] != _OK:
            yield f"the service answers {after.answer}"
        if case.answer and (after.answer != before.answer) != (case.answer == "changed"):
            yield f"the service answers {after.answer}, before it was {before.answer}"

    def _releases(self, case: Case) -> bool:
        is_deploy = case.inputs.get("operation", "deploy") == "deploy"
        return is_deploy and case.verdict == "deployed"
