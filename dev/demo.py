"""The main job from end to end on this machine: `make demo`.

A team's repository gets three versions of a small service. Its own workflow deploys them
through act onto MiniStack: the first, the second, a broken third that is rolled back, and
the second again, whose image is already there.
"""

import argparse
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev import act, ministack, sample_application, sample_service, scratch_repository
from dev.places import ROOT

_WORKFLOW: Final = ROOT / "demo" / "deploy.yml"
_SERVICE: Final = "web"
_ACTION: Final = "acme/ecs-deploy@v1"
_RULE: Final = "─" * 78
_COMMAND: Final = re.compile(r"::(?P<name>[\w-]+)(?: [^:]*)?::(?P<data>.*)")


@dataclass(frozen=True)
class Chapter:
    """One run of the workflow and how it must end."""

    title: str
    version: str
    verdicts: frozenset[str]


@dataclass(frozen=True)
class Ending:
    """How a chapter went."""

    chapter: Chapter
    step: act.Step
    seconds: float

    @property
    def verdict(self) -> str:
        return self.step.outputs.get("verdict", "none")

    @property
    def is_as_expected(self) -> bool:
        return self.verdict in self.chapter.verdicts


_VERSIONS: Final[dict[str, Callable[[str], dict[str, str]]]] = {
    "1": sample_application.good,
    "2": sample_application.good,
    "3": sample_application.crashing,
}
_STORY: Final = (
    Chapter("Version 1 is deployed", "1", frozenset({"deployed"})),
    Chapter("Version 2 replaces it", "2", frozenset({"deployed"})),
    Chapter("Version 3 is broken and is rolled back", "3", frozenset({"rolled-back"})),
    Chapter("Version 2 again, without a build", "2", frozenset({"deployed", "unchanged"})),
)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--action", type=Path, default=ROOT, help="the action's folder")
    parser.add_argument("--update", action="store_true", help="put two logs into the README")
    options = parser.parse_args(arguments)
    action: Path = options.action
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="demo-") as folder, ministack.running() as emulator:
        _heading("A cluster, a repository, a load balancer and a service on version 0")
        service = sample_service.create(emulator, _SERVICE)
        endings = _play(Path(folder), service, action)
        _show_summaries(endings)
        _show_health(service)
    if options.update:
        _write_logs(endings)
    print(f"\nThe demo took {time.monotonic() - started:.0f}s.")
    return 0 if all(ending.is_as_expected for ending in endings) else 1


def _play(folder: Path, service: sample_service.SampleService, source: Path) -> list[Ending]:
    action = scratch_repository.export_action(folder / "action", source=source)
    repository = scratch_repository.create(folder / "shop", name="acme/shop")
    commits = {version: _commit(repository, version) for version in _VERSIONS}
    endings = []
    for chapter in _STORY:
        scratch_repository.check_out(repository, commits[chapter.version])
        endings.append(_tell(chapter, repository, service, action))
    return endings


def _commit(repository: Path, version: str) -> str:
    files = _VERSIONS[version](version)
    files[".github/workflows/deploy.yml"] = _WORKFLOW.read_text()
    return scratch_repository.commit(repository, f"Version {version}", files)


def _tell(
    chapter: Chapter,
    repository: Path,
    service: sample_service.SampleService,
    action: Path,
) -> Ending:
    _heading(chapter.title)
    started = time.monotonic()
    done = act.run_workflow(
        repository,
        "deploy.yml",
        inputs={"service": service.name},
        variables={
            "REGISTRY": service.emulator.registry,
            "ADDRESS": service.emulator.balancer(service.name),
        },
        environment=service.emulator.environment(),
        actions={_ACTION: action},
        heard=_show,
    )
    ending = Ending(chapter, done.step("deploy"), time.monotonic() - started)
    if not ending.is_as_expected:
        print(done.trouble, file=sys.stderr)
    return ending


def _show(line: str) -> None:
    """Print a log line as GitHub shows it: commands to the runner become what they cause."""
    command = _COMMAND.match(line)
    if command is None:
        print(f"  {line}", flush=True)
    elif command["name"] == "group":
        print(f"  ▾ {command['data']}", flush=True)
    elif command["name"] in ("error", "warning", "notice"):
        text = command["data"].replace("%0A", "\n    ").replace("%25", "%")
        print(f"  {command['name'].title()}: {text}", flush=True)


def _show_summaries(endings: Sequence[Ending]) -> None:
    for ending in endings:
        _heading(f"Summary: {ending.chapter.title}")
        print(ending.step.summary.strip())
    _heading("The four runs")
    for ending in endings:
        mark = "✓" if ending.is_as_expected else "✗ not the expected end"
        title = f"{ending.chapter.title:<40}"
        print(f"  {title} {ending.verdict:<12} {ending.seconds:5.1f}s  {mark}")


def _write_logs(endings: Sequence[Ending]) -> None:
    """Show in the README what the second and the third run said, as GitHub folds it."""
    readme = ROOT / "README.md"
    text = readme.read_text()
    for name, ending in (("log-good", endings[1]), ("log-rolled-back", endings[2])):
        head, begin, rest = text.partition(f"<!-- begin:{name} -->")
        _, end, tail = rest.partition(f"<!-- end:{name} -->")
        log = "\n".join(_unfolded(ending.step.lines))
        text = f"{head}{begin}\n```text\n{log}\n```\n{end}{tail}"
    readme.write_text(text)


def _unfolded(lines: Sequence[str]) -> list[str]:
    """The lines that stand outside of groups, and no commands to the runner."""
    shown, is_folded = [], False
    for line in lines:
        command = _COMMAND.match(line)
        if command and command["name"] in ("group", "endgroup"):
            is_folded = command["name"] == "group"
        elif not is_folded and not command:
            shown.append(line.rstrip())
    return shown


def _show_health(service: sample_service.SampleService) -> None:
    with urllib.request.urlopen(service.health_url, timeout=10) as answer:
        print(f"\n  GET {service.health_url}\n  {answer.status} {answer.read().decode()}")


def _heading(text: str) -> None:
    print(f"\n{_RULE}\n{text}\n{_RULE}", flush=True)


if __name__ == "__main__":
    sys.exit(main())
