"""Planted defects: bugs of other deploy tools, planted into this one and caught by its tests.

Usage:
    python -m dev.mutants            plant every defect and print the score
    python -m dev.mutants --update   write the score into the README as well
    python -m dev.mutants latest     only those whose name or file contains this
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from dev import readme
from dev.commands import run
from dev.places import ROOT

# Far above any honest run of a few test files: only one that hangs is ended by this.
_HANG_LIMIT: Final = 300.0
_TESTS_FAILED: Final = 1
_FAILED: Final = re.compile(r"^FAILED (\S+?::.+?)(?: - .*)?$", re.MULTILINE)

_CANCELLATION: Final = "tests/scenarios/test_cancellation.py"
_FAILURES: Final = "tests/scenarios/test_failures.py"
_LOST_ANSWERS: Final = "tests/scenarios/test_lost_answers.py"
_RACES: Final = "tests/scenarios/test_races.py"
_REFUSALS: Final = "tests/scenarios/test_refusals.py"
_RELEASE: Final = "tests/scenarios/test_release.py"
_CONSOLE: Final = "tests/unit/test_console.py"
_DEFINITION: Final = "tests/unit/test_task_definition.py"
_HEALTH: Final = "tests/unit/test_health.py"
_JUDGE: Final = "tests/unit/test_rollout.py"
_REDACT: Final = "tests/unit/test_redact.py"
_STOPPED: Final = "tests/unit/test_stopped_tasks.py"
_ECS_DEFINITIONS: Final = "tests/gateways/test_ecs_definitions.py"


@dataclass(frozen=True)
class Mutant:
    """One defect. `name` tells the bug; `old` stands exactly once in `file`."""

    name: str
    file: str
    old: str
    new: str
    tests: tuple[str, ...]


class DoesNotFit(Exception):
    """The code has changed, and the defect must be written anew."""


MUTANTS: Final = (
    # -- how a rollout is judged --
    Mutant(
        "Trusts 'services stable': one deployment with all its tasks is a success",
        "deploy_action/rollout.py",
        "    if state := _by_service_deployment(rollout, seen):\n",
        "    if len(seen.service.deployments) == 1 and seen.service.running >= 1:\n"
        "        return Finished()\n"
        "    if state := _by_service_deployment(rollout, seen):\n",
        (_FAILURES, _JUDGE),
    ),
    Mutant(
        "Compares only task definitions, not the id of the deployment",
        "deploy_action/rollout.py",
        "    if primary.id != rollout.deployment_id:\n",
        "    if primary.task_definition != rollout.task_definition:\n",
        (_JUDGE, _FAILURES, _RELEASE),
    ),
    Mutant(
        "Believes a stale PRIMARY and calls the release replaced",
        "deploy_action/rollout.py",
        "    if primary.id in rollout.baseline.deployment_ids:\n",
        "    if primary.id == rollout.deployment_id:\n",
        (_JUDGE,),
    ),
    Mutant(
        "Takes ROLLBACK_SUCCESSFUL for a success",
        "deploy_action/rollout.py",
        '"ROLLBACK_SUCCESSFUL": EcsRolledBack(_with_reason(ROLLED_BACK, reason)),',
        '"ROLLBACK_SUCCESSFUL": Finished(),',
        (_FAILURES, _JUDGE),
    ),
    Mutant(
        "Takes a failed rollback of ECS for a rollback",
        "deploy_action/rollout.py",
        '"ROLLBACK_FAILED": EcsRollbackFailed(',
        '"ROLLBACK_FAILED": EcsRolledBack(',
        (_JUDGE,),
    ),
    Mutant(
        "Believes a SUCCESSFUL record although the service shows another deployment",
        "deploy_action/rollout.py",
        'record.status in {"SUCCESSFUL", "STOPPED"}',
        'record.status in {"STOPPED"}',
        (_JUDGE,),
    ),
    Mutant(
        "Takes somebody else's deployment for its own failure and undoes it",
        "deploy_action/rollout.py",
        "    return Replaced(\n"
        '        f"deployment {primary.id} ({revision_of(primary.task_definition)})",\n'
        "        certain=newer and ours is not None,\n"
        "    )\n",
        '    return Broken(f"deployment {primary.id} is PRIMARY ({newer}, {ours})")\n',
        (_FAILURES, _JUDGE),
    ),
    Mutant(
        "Counts interruptions of Spot capacity as failures of the revision",
        "deploy_action/rollout.py",
        "    return task.stop_code in FATAL_CODES\n",
        "    return True\n",
        (_JUDGE, _STOPPED),
    ),
    Mutant(
        "Gives up at the first task that stops, whatever the user allows",
        "deploy_action/rollout.py",
        "    if len(fatal) >= fail_after:\n",
        "    if fatal:\n",
        (_JUDGE,),
    ),
    Mutant(
        "Counts the stopped tasks of other deployments",
        "deploy_action/follow.py",
        "            if is_own(self.rollout, task):\n",
        "            if task.arn:\n",
        (_RELEASE, _FAILURES),
    ),
    Mutant(
        "Never looks a second time before it believes a doubtful answer",
        "deploy_action/follow.py",
        "        believed = not doubtful or self._doubt\n",
        "        believed = True\n",
        (_FAILURES, _RACES, _LOST_ANSWERS, _CANCELLATION, _RELEASE),
    ),
    Mutant(
        "Swallows 'access denied' while it polls",
        "deploy_action/follow.py",
        "            if self._refused >= UNREADABLE_LOOKS:\n",
        "            if self._refused < 0:\n",
        (_FAILURES,),
    ),
    Mutant(
        "Takes the loss of access for the end of the deployment",
        "deploy_action/follow.py",
        "                return Unreadable(error)\n",
        '                return Replaced("the service cannot be read", certain=True)\n',
        (_FAILURES,),
    ),
    Mutant(
        "Gives up when AWS throttles a few looks",
        "deploy_action/follow.py",
        "        if error.refusal in {Refusal.DENIED, Refusal.CREDENTIALS}:\n",
        "        if error.refusal is not Refusal.MISSING:\n",
        (_FAILURES,),
    ),
    Mutant(
        "Demands reads that only explain",
        "deploy_action/follow.py",
        "                self._without.add(what)\n",
        "                raise\n",
        (_RELEASE,),
    ),
    # -- how the service is changed --
    Mutant(
        "Indexes services[0], whether the answer names a service or not",
        "deploy_action/gateways/ecs.py",
        '            raw = answer.get("services", [])\n',
        '            raw = [answer["services"][0]]\n',
        (_REFUSALS,),
    ),
    Mutant(
        "Repeats an update whose answer was lost, with force",
        "deploy_action/release.py",
        "            if error.refusal is not Refusal.UNREACHABLE or is_hurried:\n"
        "                raise\n",
        "            if error.refusal:\n                raise\n",
        (_LOST_ANSWERS,),
    ),
    Mutant(
        "Sends a desired count with every update and fights the autoscaler",
        "deploy_action/gateways/ecs.py",
        'wanted = {"taskDefinition": task_definition, **_settings(desired, configuration)}',
        'wanted = {"taskDefinition": task_definition, "desiredCount": 1}',
        (_RELEASE,),
    ),
    Mutant(
        "Replaces a deployment that is still on its way",
        "deploy_action/survey.py",
        "    if not _is_moving(service):\n",
        "    if service.deployments:\n",
        (_RELEASE,),
    ),
    Mutant(
        "Waits in vain for a deployment whose tasks only crash",
        "deploy_action/survey.py",
        "latest if _is_failing(latest, primary, inputs, gateways) else None",
        "None",
        (_RELEASE,),
    ),
    Mutant(
        "Goes back to what was PRIMARY, although that never worked",
        "deploy_action/survey.py",
        "        good = older[0] if older else primary\n",
        "        good = primary if older else primary\n",
        (_RELEASE,),
    ),
    Mutant(
        "Replaces what somebody else deployed while the image was built",
        "deploy_action/launch.py",
        "        if primary is None or primary.id in self._situation.baseline.deployment_ids:\n",
        "        if primary is None or primary.id:\n",
        (_RACES,),
    ),
    # -- images, tags and definitions --
    Mutant(
        "Moves `latest` before the release is verified",
        "deploy_action/deploy.py",
        '        if self._inputs.latest_when == "pushed":\n            images.move_tags(',
        "        if self._inputs.latest_when:\n            images.move_tags(",
        (_RELEASE,),
    ),
    Mutant(
        "Treats the absence of an image as a failure",
        "deploy_action/gateways/ecr.py",
        'failure.get("failureCode") not in {"ImageNotFound", "ImageTagDoesNotMatchDigest"}',
        'failure.get("failureCode")',
        (_RELEASE,),
    ),
    Mutant(
        "Tries to move `latest` in an immutable repository",
        "deploy_action/gateways/ecr.py",
        '        case "IMMUTABLE":\n            return False\n',
        '        case "IMMUTABLE":\n            return True\n',
        (_RELEASE, _REFUSALS),
    ),
    Mutant(
        "Reuses a tag without asking what it was built from",
        "deploy_action/images.py",
        "    if found == build.labels[FINGERPRINT_LABEL] and not inputs.rebuild:\n",
        "    if not inputs.rebuild:\n",
        (_RELEASE,),
    ),
    Mutant(
        "Registers a revision in every run, changed or not",
        "deploy_action/task_definition.py",
        "    return bool(_plain(wanted) == _plain(running))\n",
        "    return wanted is running\n",
        (_RELEASE,),
    ),
    Mutant(
        "Drops the fields that it does not know when it registers",
        "deploy_action/gateways/ecs.py",
        '        body: Json = json.loads(self._raw.body).get("taskDefinition", {})\n',
        '        body: Json = dict(answer["taskDefinition"])\n',
        (_ECS_DEFINITIONS,),
    ),
    Mutant(
        "Replaces the environment where it was asked to add to it",
        "deploy_action/task_definition.py",
        "[] if own and changes.replace_environment else",
        "[] if own else",
        (_DEFINITION, _RELEASE),
    ),
    # -- the proof --
    Mutant(
        "Trusts the revision and never compares the digest that runs",
        "deploy_action/proof.py",
        "            if proof and container.digest and container.digest not in proof:\n",
        "            if proof and not container.name:\n",
        (_RELEASE, _FAILURES, "tests/scenarios/test_verify.py"),
    ),
    Mutant(
        "Accepts the first good answer",
        "deploy_action/proof.py",
        "        if self._good < self._claim.successes:\n",
        "        if self._good < 1:\n",
        (_RELEASE, _FAILURES),
    ),
    Mutant(
        "Takes a redirect for a good answer",
        "deploy_action/health.py",
        "        if not any(answer.status in status for status in self.statuses):\n",
        "        if answer.status >= 400:\n",
        (_HEALTH,),
    ),
    Mutant(
        "Looks only at the status and never at the body",
        "deploy_action/health.py",
        "            if found != wanted:\n",
        "            if found is wanted is None:\n",
        (_FAILURES, _HEALTH),
    ),
    Mutant(
        "Fails a service that has no tasks because nobody wants any",
        "deploy_action/move.py",
        "        if follower.service and follower.service.desired == 0:\n",
        "        if follower.service is None:\n",
        (_RELEASE,),
    ),
    # -- the way back --
    Mutant(
        "Rolls back a deployment that somebody else started",
        "deploy_action/restore.py",
        "            return self._if_back_already() or LeftAlone(by=state.by)\n"
        "        if isinstance(state, Unreadable):\n",
        "            return self._update_back(is_hurried=is_hurried)\n"
        "        if isinstance(state, Unreadable):\n",
        (_CANCELLATION,),
    ),
    Mutant(
        "Starts a rollback of its own on top of that of ECS",
        "deploy_action/restore.py",
        "        if isinstance(state, EcsRolledBack | EcsRollsBack | EcsRollbackFailed):\n",
        "        if isinstance(state, EcsRollbackFailed):\n",
        (_FAILURES,),
    ),
    Mutant(
        "Leaves the desired count that it had set",
        "deploy_action/restore.py",
        "                desired=baseline.desired if self._rollout.sent_desired else None,\n",
        "                desired=None,\n",
        (_FAILURES,),
    ),
    Mutant(
        "Saves no verdict, so that a cancellation undoes a verified release",
        "deploy_action/report/journal.py",
        '        self.save_state("verdict", verdict)\n',
        '        self.console.line("")\n',
        (_CANCELLATION,),
    ),
    # -- what is shown --
    Mutant(
        "Lets foreign output give commands to the runner",
        "deploy_action/report/console.py",
        '        self._write(f"::stop-commands::{fence}")\n',
        '        self._write("")\n',
        (_CONSOLE,),
    ),
    Mutant(
        "Writes text from AWS into its own lines as it came",
        "deploy_action/report/console.py",
        "            self._write(harmless(self._clean(part)))\n",
        "            self._write(self._clean(part))\n",
        (_CONSOLE,),
    ),
    Mutant(
        "Never tells the runner what to mask",
        "deploy_action/report/console.py",
        '                self._write(f"::add-mask::{_escaped(line)}")\n',
        "                self._stream.flush()\n",
        (_CONSOLE,),
    ),
    Mutant(
        "Leaves secrets in its own report and summary",
        "deploy_action/report/redact.py",
        "        return self._pattern.sub(HIDDEN, text) if self._pattern else text\n",
        "        return text\n",
        (_REDACT,),
    ),
)


def main() -> int:
    """Return 1 where a defect survives, does not fit, or the tests fail without any."""
    words = sys.argv[1:]
    update = "--update" in words
    wanted = " ".join(word for word in words if word != "--update").lower()
    chosen = [m for m in MUTANTS if wanted in f"{m.name} {m.file}".lower()]
    with tempfile.TemporaryDirectory(prefix="mutants-") as folder:
        source = Path(folder) / "source"
        _copy_tree(source)
        trouble = [told for mutant in chosen if (told := _misfit(mutant, source))]
        trouble = trouble or _failing(chosen, source)
        if trouble:
            print("\n".join(trouble))
            return 1
        with ThreadPoolExecutor(os.cpu_count()) as pool:
            caught = sum(pool.map(lambda mutant: _is_caught(mutant, source), chosen))
    told = f"`make mutants`: {caught} of {len(chosen)} planted defects are caught."
    print(told)
    if update and chosen == list(MUTANTS):
        readme.write("mutants", told)
    return 0 if caught == len(chosen) else 1


def _copy_tree(target: Path) -> None:
    """What git knows or would add: no environments, no caches."""
    listed = run(*("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"), cwd=ROOT)
    for name in filter(None, listed.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


def _misfit(mutant: Mutant, source: Path) -> str:
    """A sentence where the defect cannot be planted any more; empty where it can."""
    try:
        _planted(mutant, source)
    except DoesNotFit as misfit:
        return str(misfit)
    return ""


def _planted(mutant: Mutant, source: Path) -> str:
    """The text of the file with the defect in it."""
    path = source / mutant.file
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    if (count := text.count(mutant.old)) != 1:
        raise DoesNotFit(
            f"{mutant.name!r} no longer fits the code: {mutant.file} has its text {count} times."
        )
    return text.replace(mutant.old, mutant.new)


def _failing(chosen: Sequence[Mutant], source: Path) -> list[str]:
    """A sentence for each test file that fails without any defect."""
    files = sorted({test for mutant in chosen for test in mutant.tests})
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        ends = list(pool.map(lambda file: _test((file,), source), files))
    return [
        f"{file} fails without any defect: {end.failed or end.output[-2000:]}"
        for file, end in zip(files, ends, strict=True)
        if end.code != 0
    ]


def _is_caught(mutant: Mutant, source: Path) -> bool:
    """Plant the defect into a copy of its own, run the tests, and print how that went."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        copy = Path(folder) / "source"
        shutil.copytree(source, copy)
        (copy / mutant.file).write_text(_planted(mutant, source), encoding="utf-8")
        end = _test(mutant.tests, copy)
    # A defect that only keeps the tests from running proves nothing about them.
    is_caught = end.code == _TESTS_FAILED and bool(end.failed)
    how = f"caught by {end.failed}" if is_caught else "SURVIVED"
    if not is_caught and end.code != 0:
        how += f" (the tests did not run: {end.output[-300:]!r})"
    print(f"{mutant.name}\n    {how}", flush=True)
    return is_caught


@dataclass(frozen=True)
class _End:
    code: int
    failed: str
    output: str


def _test(tests: Sequence[str], folder: Path) -> _End:
    command = [
        *(sys.executable, "-m", "pytest", *tests, "-x", "-q", "--tb=no"),
        *("-p", "no:cacheprovider", "-p", "no:randomly"),
    ]
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "1", "COLUMNS": "500"}
    try:
        done = subprocess.run(
            command,
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
            timeout=_HANG_LIMIT,
        )
    except subprocess.TimeoutExpired:
        return _End(-1, "", f"not done after {_HANG_LIMIT:.0f} s")
    failed = _FAILED.search(done.stdout)
    return _End(done.returncode, failed[1] if failed else "", done.stdout + done.stderr)


if __name__ == "__main__":
    sys.exit(main())
