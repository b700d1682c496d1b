"""How fast the action is beside the usual ways to deploy: `make bench`.

All of them move the same service between the same two images, one after the other, on one
emulator. The emulator is quick, so what is compared is what a tool adds to a rollout, not
how long a rollout takes on AWS. Nothing here fails because it is slow; a deployment that
does not succeed ends the benchmark.
"""

import argparse
import contextlib
import math
import re
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from dev import (
    bench_report,
    calls,
    completion,
    counting_proxy,
    environments,
    ministack,
    readme,
    rivals,
    runner,
    sample_application,
    sample_service,
)
from dev.commands import MissingPrerequisite, attempt, run, say
from dev.places import CACHE, ROOT

IMAGE: Final = "ecs-deploy:bench"
_SERVICE: Final = "web"
_COMMIT: Final = "5eed" * 10
_SETTLE_LIMIT: Final = 60.0
# The image of each round takes so much longer to pull. The tools look every 1, 2 or 15
# seconds; with this step completion falls now early, now late between two looks of each.
_PULL_STEP: Final = 3.5
# The engine gives a registry 15 seconds for its first answer.
_LONGEST_PULL: Final = 14.0


@dataclass(frozen=True)
class Stage:
    """Where everything takes place."""

    service: sample_service.SampleService
    proxy: counting_proxy.Proxy
    folder: Path
    images: tuple[str, str]

    def environment(self) -> dict[str, str]:
        """What makes a tool talk to the emulator through the proxy that counts."""
        return {**self.service.emulator.environment(), "AWS_ENDPOINT_URL": self.proxy.endpoint}


@dataclass(frozen=True)
class Done:
    """One run of the action."""

    first_line: float
    """Seconds from the start of the container."""
    ended: float
    job: runner.Job
    state: Mapping[str, str]


@dataclass(frozen=True)
class Contender:
    """One way to deploy an image, and what its runs measured."""

    title: str
    deploy: Callable[[Stage, str], Done | None]
    samples: list[bench_report.Sample] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=4, help="measured runs of each tool")
    parser.add_argument("--update", action="store_true", help="write the result into README.md")
    given = parser.parse_args(arguments)
    try:
        text = _measure(given.runs)
    except MissingPrerequisite as missing:
        say(str(missing))
        return 1
    grown = calls.sentence()
    print(f"\n{text}\n\n{grown}")
    if given.update:
        readme.write("bench", text)
        readme.write("calls", grown)
    return 0


def _measure(runs: int) -> str:
    started = time.monotonic()
    environments.prepare_bench()
    say(f"building the action's image as {IMAGE}")
    run("docker", "build", "--quiet", "--tag", IMAGE, ROOT)
    with _stage() as stage:
        contenders = _contenders()
        # The first time of each fills the caches of the machine.
        _play(stage, contenders, 1)
        for contender in contenders:
            contender.samples.clear()
        _play(stage, contenders, runs)
        again = _deploy_again(stage, runs)
    rows = [bench_report.Row(contender.title, contender.samples) for contender in contenders]
    made = bench_report.Made(runs, time.monotonic() - started, f"{datetime.now(UTC):%Y-%m-%d}")
    return bench_report.render(rows, again, rivals.versions(), made)


@contextlib.contextmanager
def _stage() -> Iterator[Stage]:
    """A service that runs, and two images of it that the registry already has."""
    CACHE.mkdir(exist_ok=True)
    with (
        # The container is root and leaves files that another user may not remove.
        tempfile.TemporaryDirectory(dir=CACHE, prefix="bench-", ignore_cleanup_errors=True) as home,
        ministack.running() as emulator,
        counting_proxy.counting("127.0.0.1", emulator.port) as proxy,
    ):
        service = sample_service.create(emulator, _SERVICE)
        images = (_push(service, proxy, "1"), _push(service, proxy, "2"))
        yield Stage(service, proxy, Path(home), images)


def _push(service: sample_service.SampleService, proxy: counting_proxy.Proxy, version: str) -> str:
    """The image by its digest, to be pulled through the proxy."""
    tag = f"version-{version}"
    files = sample_application.good(version)
    sample_application.build_and_push(files, f"{service.image_repository}:{tag}")
    return f"{proxy.host}/{service.name}@{service.image_digest(tag)}"


def _contenders() -> list[Contender]:
    return [
        Contender("this action", _ours),
        Contender("this action, `health-successes: 1`", _impatiently),
        Contender(
            "`ecs deploy` (ecs-deploy)",
            lambda stage, image: rivals.ecs_deploy(
                sample_service.CLUSTER, _SERVICE, image, stage.environment()
            ),
        ),
        Contender(
            "`aws ecs update-service`, `aws ecs wait services-stable` (awscli)",
            lambda stage, image: rivals.aws_cli(
                sample_service.CLUSTER, _SERVICE, image, stage.environment()
            ),
        ),
    ]


def _ours(stage: Stage, image: str) -> Done:
    given = {"image": image, "registry": stage.proxy.host}
    return _run(_job(stage, "image", given), verdict="deployed")


def _impatiently(stage: Stage, image: str) -> Done:
    """Closest to what the others do, which ask nothing at all."""
    given = {"image": image, "registry": stage.proxy.host, "health-successes": "1"}
    return _run(_job(stage, "image", given), verdict="deployed")


def _job(stage: Stage, folder: str, given: Mapping[str, str]) -> runner.Job:
    return runner.Job(
        image=IMAGE,
        folder=stage.folder / folder,
        sha=_COMMIT,
        inputs={
            "cluster": sample_service.CLUSTER,
            "service": _SERVICE,
            "health-url": stage.service.health_url,
            **given,
        },
        environment=stage.environment(),
    )


def _run(job: runner.Job, *, verdict: str) -> Done:
    with job.main() as step:
        step.wait_for("")
        container_started = _started_at(step.name)
        code = step.wait()
        ended = time.monotonic()
        if code != 0 or step.outputs.get("verdict") != verdict:
            raise RuntimeError(f"the action did not end as {verdict}:\n{step.text}")
        return Done(step.first_line_at - container_started, ended, job, step.state)


def _started_at(container: str) -> float:
    """When the engine started this container, on the clock of this machine."""
    asked = attempt("docker", "inspect", "--format", "{{.State.StartedAt}}", container)
    if asked.returncode != 0:
        return math.nan  # a step that failed at once is gone, and says why itself
    text = asked.stdout.strip()
    # The engine tells nanoseconds, of which Python reads six digits.
    return datetime.fromisoformat(re.sub(r"\.(\d{1,6})\d*Z", r".\1+00:00", text)).timestamp()


def _finish(done: Done) -> float:
    """Seconds that the post step takes, which the runner starts when the job ends."""
    started = time.monotonic()
    with done.job.post(done.state) as step:
        if step.wait() != 0:
            raise RuntimeError(f"the post step failed:\n{step.text}")
        return time.monotonic() - started


def _play(stage: Stage, contenders: Sequence[Contender], rounds: int) -> None:
    """In turns, so that whatever changes on the machine meanwhile hits all of them."""
    for number in range(rounds):
        for contender in contenders:
            _settle(stage.service)
            stage.proxy.next_pull_takes = number * _PULL_STEP % _LONGEST_PULL
            sample = _sample(stage, contender)
            contender.samples.append(sample)
            print(f"  {contender.title}: {sample}", flush=True)


def _sample(stage: Stage, contender: Contender) -> bench_report.Sample:
    current = stage.service.revision_image(stage.service.task_definition())
    image = next(image for image in stage.images if image != current)
    with completion.Watcher(stage.service) as watcher:
        stage.proxy.calls.clear()
        started = time.monotonic()
        done = contender.deploy(stage, image)
        ended = done.ended if done else time.monotonic()
        calls = Counter(stage.proxy.calls)
        completed = watcher.completed_at()
    return bench_report.Sample(
        rollout=completed - started,
        tail=ended - completed,
        whole=ended - started,
        calls=calls,
        first_line=done.first_line if done else None,
    )


def _deploy_again(stage: Stage, runs: int) -> list[bench_report.Again]:
    """The same commit again, with everything a build would need: nothing may be built."""
    given = {"ecr-repository": _SERVICE, "registry": stage.service.emulator.registry}
    job = _job(stage, "build", given)
    job.workspace.mkdir(parents=True)
    for name, content in sample_application.good("3").items():
        (job.workspace / name).write_text(content)
    print(f"  post step: {_finish(_run(job, verdict='deployed')):.2f} s", flush=True)
    found = []
    for _ in range(runs):
        _settle(stage.service)
        started = time.monotonic()
        done = _run(job, verdict="unchanged")
        whole = done.ended - started
        found.append(bench_report.Again(whole, done.first_line, _finish(done)))
        print(f"  the same commit again: {found[-1]}", flush=True)
    return found


def _settle(service: sample_service.SampleService) -> None:
    """Nothing of the run before may still be moving."""
    limit = time.monotonic() + _SETTLE_LIMIT
    while service.deployments() > 1:
        if time.monotonic() > limit:
            raise TimeoutError(f"{service.name} does not settle; see {service.emulator.log}")
        time.sleep(0.2)
    time.sleep(0.5)


if __name__ == "__main__":
    sys.exit(main())
