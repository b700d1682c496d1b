"""Releases that are cut off: how a story is played on the built image, and what it leaves.

A story deploys one version with the command line of the runner, waits for a moment of the
log, ends the main step in its own way, and then runs the post step as the runner does.
"""

import json
import signal
import time
import urllib.request
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from dev import counting_proxy, sample_application, sample_service
from dev.commands import run
from dev.ministack import MiniStack
from dev.runner import Job, Step

IMAGE: Final = "ecs-deploy:e2e"
SHA: Final = "c0ffee" * 6 + "c0ff"
_WRITES: Final = frozenset({"UpdateService", "StopServiceDeployment", "PutImage"})
# Far above what a rollout of the emulator takes.
_SETTLE_LIMIT: Final = 90.0


@dataclass(frozen=True)
class Scene:
    """A service that runs its first version, and a job that is to release another one."""

    service: sample_service.SampleService
    proxy: counting_proxy.Proxy
    job: Job
    old: str
    """The revision that it runs."""
    latest: str | None

    @property
    def is_as_before(self) -> bool:
        """Whether the old revision serves, and `latest` still names its image."""
        return (
            self.service.task_definition() == self.old
            and self.version() == "0"
            and self.service.image_digest("latest") == self.latest
        )

    def version(self) -> str:
        """What a visitor gets."""
        with urllib.request.urlopen(self.service.health_url, timeout=10) as response:
            return str(json.loads(response.read())["version"])

    def wait_for_call(self, operation: str) -> None:
        """Wait until AWS was asked for this."""
        _wait_until(lambda: self.proxy.calls[operation] > 0, f"{operation} was never called")

    def silence(self, operation: str) -> None:
        """Let AWS give no answer to this any more; an empty one ends the silence."""
        self.proxy.silent = operation

    def settle(self) -> None:
        """Wait until nothing is moving any more."""
        _wait_until(lambda: self.service.deployments() == 1, f"{self.service.name} keeps moving")


@dataclass(frozen=True)
class Left:
    """What one step left behind."""

    code: int
    seconds: float
    text: str
    outputs: Mapping[str, str]
    summary: str
    writes: Mapping[str, int]
    """What it asked AWS to change, counted on the wire."""
    process_one: tuple[str, ...]
    """Command line, where the story looked."""


@dataclass(frozen=True)
class Play:
    """A story as it went."""

    main: Left
    """Its seconds count from the moment it was ended."""
    post: Left
    old: str
    now: str
    is_as_before: bool
    post_again: Callable[[], Left]
    """Run the post step once more, now that AWS is out of its reach."""


@dataclass(frozen=True)
class Story:
    """One way to be cut off."""

    at: str
    """The words of the log that tell that the moment has come; empty for the very first one."""
    end: Callable[[Step], None]
    files: Mapping[str, str] = field(default_factory=lambda: sample_application.good("1"))
    inputs: Mapping[str, str] = field(default_factory=dict)
    before: Callable[[Scene], None] = lambda _: None
    """What happens at the moment, just before the end."""
    then: Callable[[Scene], None] = lambda _: None
    """What happens before the post step, after the runner has read the state."""
    looks_inside: bool = False

    def play(self, emulator: MiniStack, name: str, folder: Path) -> Play:
        """Tell it on a service of its own."""
        with _scene(emulator, name, folder, self.inputs) as scene:
            for path, content in self.files.items():
                (scene.job.workspace / path).write_text(content)
            with scene.job.main() as step:
                main = self._main(scene, step)
                state = step.state
                self.then(scene)
                post = self._post(scene, state)
                if step.is_there():
                    raise AssertionError(f"the main container outlived it all:\n{step.text}")
            scene.settle()
            return Play(
                main,
                post,
                scene.old,
                scene.service.task_definition(),
                scene.is_as_before,
                lambda: self._post(scene, state),
            )

    def _main(self, scene: Scene, step: Step) -> Left:
        if self.at:
            step.wait_for(self.at)
        else:
            step.wait_until_it_handles(signal.SIGTERM)
        inside = step.process_one() if self.looks_inside else ()
        self.before(scene)
        ended = time.monotonic()
        self.end(step)
        return _left(scene, step, ended, inside)

    def _post(self, scene: Scene, state: Mapping[str, str]) -> Left:
        with scene.job.post(state) as step:
            if self.looks_inside:
                step.wait_for("::group::")
            inside = step.process_one() if self.looks_inside else ()
            step.wait()
            return _left(scene, step, step.started, inside)


def cancelled(step: Step) -> None:
    """As the runner does it, which a good step does not let come to its second signal."""
    step.cancel()
    if step.is_there():
        raise AssertionError(f"the container is still there:\n{step.text}")


def terminated(step: Step) -> None:
    """SIGTERM alone, as when the machine of the runner goes down."""
    step.process.send_signal(signal.SIGTERM)
    step.wait()


def container_killed(step: Step) -> None:
    """From one moment to the next, client and container are gone."""
    run("docker", "kill", step.name)
    step.wait()


def client_killed(step: Step) -> None:
    """Only the client is gone; the container works on as if nothing had happened."""
    step.process.kill()
    step.wait()


def frozen_and_cancelled(step: Step) -> None:
    """The process in the container answers no signal, so in the end its client is killed."""
    run("docker", "kill", "--signal", "STOP", step.name)
    step.cancel()


def left_in_peace(step: Step) -> None:
    """It ends by itself."""
    step.wait()


def slow_to_build(seconds: int) -> dict[str, str]:
    """A version whose build takes so long, and is in no cache."""
    files = sample_application.good("1")
    pause = f"RUN sleep {seconds} # {uuid.uuid4()}\n"
    return {**files, "Dockerfile": f"{files['Dockerfile']}{pause}"}


@contextmanager
def _scene(
    emulator: MiniStack, name: str, folder: Path, inputs: Mapping[str, str]
) -> Iterator[Scene]:
    service = sample_service.create(emulator, name)
    _give_latest_to_the_first_version(service)
    with counting_proxy.counting("127.0.0.1", emulator.port) as proxy:
        job = Job(
            image=IMAGE,
            folder=folder,
            sha=SHA,
            inputs={
                "cluster": sample_service.CLUSTER,
                "service": name,
                "ecr-repository": name,
                "registry": emulator.registry,
                "build-args": f"COMMIT={SHA}",
                "health-url": service.health_url,
                "health-json": f"/commit={SHA}",
                "health-successes": "2",
                "health-interval-seconds": "1",
                **inputs,
            },
            environment={**emulator.environment(), "AWS_ENDPOINT_URL": proxy.endpoint},
        )
        job.workspace.mkdir(parents=True)
        yield Scene(service, proxy, job, service.task_definition(), service.image_digest("latest"))


def _give_latest_to_the_first_version(service: sample_service.SampleService) -> None:
    """So that it can be seen to stay there."""
    ecr = service.clients.ecr
    found = ecr.batch_get_image(repositoryName=service.name, imageIds=[{"imageTag": "bootstrap"}])
    image = found["images"][0]
    ecr.put_image(
        repositoryName=service.name,
        imageManifest=image["imageManifest"],
        imageManifestMediaType=image["imageManifestMediaType"],
        imageTag="latest",
    )


def _left(scene: Scene, step: Step, since: float, inside: tuple[str, ...]) -> Left:
    code = step.process.returncode
    seconds = time.monotonic() - since
    calls = Counter(scene.proxy.calls)
    scene.proxy.calls.clear()
    writes = {name: count for name, count in calls.items() if name in _WRITES}
    return Left(code, seconds, step.text, step.outputs, step.summary, writes, inside)


def _wait_until(is_so: Callable[[], bool], complaint: str) -> None:
    limit = time.monotonic() + _SETTLE_LIMIT
    while not is_so():
        if time.monotonic() > limit:
            raise TimeoutError(complaint)
        time.sleep(0.1)
