"""A stage for stories: a simulated AWS, one verb to run the action, and what came of it."""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO

from deploy_action import app
from deploy_action.ports import EngineInfo, NoEngine, Notice
from tests.simulator import Behaviour, Image, World

SHA = "3f9c2e1d0b7a4c5e8f60718293a4b5c6d7e8f901"
OLD = Behaviour(json={"status": "ok", "version": "old"}, log_lines=("the old version listens",))
GOOD = Behaviour(json={"status": "ok", "version": SHA}, log_lines=("the new version listens",))
CRASHING = Behaviour(
    crash_exit_code=1,
    crash_after_seconds=1.0,
    crash_log_lines=("Traceback (most recent call last):", "KeyError: 'DATABASE_URL'"),
)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of the action left behind."""

    code: int
    log: str
    outputs: dict[str, str]
    summary: str
    report: dict[str, Any]
    seconds: float
    """Simulated."""

    @property
    def verdict(self) -> str:
        return self.outputs.get("verdict", "")

    @property
    def annotations(self) -> list[str]:
        return [line for line in self.log.splitlines() if line.startswith("::error")]


Step = Callable[[Mapping[str, str], app.Outside, TextIO], int]


class SimulatedEngine:
    """An engine that is there, unless the test takes it away."""

    def __init__(self) -> None:
        self.is_there = True
        self.has_containerd_store = False
        self.is_secretive = False
        """Whether it does not say what images it has."""
        self.container = "0123456789ab" * 5 + "0123"
        self.stopped: list[str] = []
        self.images: set[str] = set()
        """Names that it holds; those of builds come and go."""

    def own_container(self) -> str:
        return self.container

    def stop_container(self, container: str) -> bool:
        self.stopped.append(container)
        return True

    def has_image(self, reference: str) -> bool:
        if self.is_secretive:
            raise NoEngine("500 Server Error")
        return reference in self.images

    def forget_image(self, reference: str) -> None:
        self.images.discard(reference)

    def info(self) -> EngineInfo:
        if not self.is_there:
            raise NoEngine("no such file or directory: /var/run/docker.sock")
        return EngineInfo(
            version="28.0.4", platform="linux/amd64", containerd_store=self.has_containerd_store
        )


class RecordedNotices:
    """Takes every message, unless the test says why not."""

    def __init__(self) -> None:
        self.sent: list[tuple[str, Notice]] = []
        self.problem: str | None = None
        self.seconds: list[float] = []
        """How long each sending was allowed to take."""

    def send(
        self, urls: Sequence[str], notice: Notice, *, timeout_seconds: float
    ) -> list[str | None]:
        self.seconds.append(timeout_seconds)
        self.sent += [(url, notice) for url in urls]
        return [self.problem for _ in urls]


class Stage:
    """A service `web` in the cluster `prod` that runs a good old version."""

    def __init__(
        self,
        folder: Path,
        *,
        seed: int = 1,
        world: World | None = None,
        **service: Any,  # noqa: ANN401 - as World.service
    ) -> None:
        self.world = world or World(seed=seed)
        self.log = io.StringIO()
        self.engine = SimulatedEngine()
        self.notices = RecordedNotices()
        self.engine.images = self.world.builder.engine_images
        self.workspace = folder
        (folder / "Dockerfile").write_text("FROM scratch\n")
        self.world.repository("web")
        self.old: Image = self.world.image("web", tag="old", behaviour=OLD)
        self.world.service("web", **{"image": self.old, "load_balanced": True, **service})
        self.world.builder.behaviour = GOOD
        self.before = self.world.primary("web").task_definition
        self.last: dict[str, str] = {}
        self.started = 0.0
        self._given = len(self.world.history.changes)

    @property
    def host(self) -> str:
        """The load balancer's own name."""
        return next(iter(self.world.state.load_balancers.values())).host

    def deploy(self, *, env: dict[str, str] | None = None, **given: str) -> Outcome:
        """Run the action with these inputs over sensible ones; an empty text unsets one."""
        chosen = {
            "cluster": "prod",
            "service": "web",
            "ecr_repository": "web",
            "health_path": "/health",
            "health_json": f"/version={SHA}",
            **given,
        }
        variables = {f"INPUT_{k.upper().replace('_', '-')}": v for k, v in chosen.items()}
        return self.run({**variables, **(env or {})})

    def finish(self) -> Outcome:
        """Run the post step with what the last run saved."""
        saved = read_outputs((self.workspace / "state").read_text())
        return self.run({**self.last, **{f"STATE_{k}": v for k, v in saved.items()}}, app.post)

    def run(self, variables: dict[str, str], step: Step = app.main) -> Outcome:
        files = {name: self.workspace / name for name in ("output", "summary", "state")}
        for file in files.values():
            file.write_text("")
        self.last = variables
        self.log = io.StringIO()
        self.started = self.world.clock.monotonic()
        environ = {
            "AWS_REGION": "eu-west-1",
            "GITHUB_SHA": SHA,
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "4711",
            "GITHUB_WORKSPACE": str(self.workspace),
            "GITHUB_OUTPUT": str(files["output"]),
            "GITHUB_STEP_SUMMARY": str(files["summary"]),
            "GITHUB_STATE": str(files["state"]),
            **variables,
        }
        with self.world.simulated_time():
            code = step(environ, self.outside(), self.log)
        return self.outcome(code)

    def outcome(self, code: int) -> Outcome:
        """What the last run left behind, also where it did not live to return its code."""
        outputs = read_outputs((self.workspace / "output").read_text())
        report = self.workspace / outputs.get("report", "")
        return Outcome(
            code=code,
            log=self.log.getvalue(),
            outputs=outputs,
            summary=(self.workspace / "summary").read_text(),
            report=json.loads(report.read_text()) if report.is_file() else {},
            seconds=self.world.clock.monotonic() - self.started,
        )

    def outside(self) -> app.Outside:
        return app.Outside(
            session=lambda _: self.world.session(),
            http=self.world.http,
            builder=self.world.builder,
            engine=self.engine,
            clock=self.world.clock,
            notices=self.notices,
        )

    def changes(self) -> list[str]:
        """What really changed in the account since the stage was set."""
        return [change.kind for change in self.world.history.changes[self._given :]]

    def latest(self) -> str | None:
        """The digest that `latest` points at."""
        return self.world.state.repositories["web"].tags.get("latest")

    def runs_the_old(self) -> bool:
        """Whether the service is as it was: same revision, only old tasks, nothing moving."""
        primary = self.world.primary("web")
        return (
            primary.task_definition == self.before
            and primary.rollout_state == "COMPLETED"
            and self.world.is_serving("web", self.old)
        )


def read_outputs(text: str) -> dict[str, str]:
    """The runner's reading of GITHUB_OUTPUT: the last value of a name wins."""
    outputs: dict[str, str] = {}
    lines = iter(text.splitlines())
    for line in lines:
        name, _, delimiter = line.partition("<<")
        value = []
        for part in lines:
            if part == delimiter:
                break
            value.append(part)
        outputs[name] = "\n".join(value)
    return outputs
