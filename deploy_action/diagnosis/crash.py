"""A container ended: what its exit code, its reason and its place in the task tell.

Exit codes above 128 are 128 plus the signal; 125 to 127 come from Docker and the shell
("Exit status" of the Docker reference). `log` knows what applications write.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from deploy_action.diagnosis.rule import Finding, Rank, Rule, own_stops, proof, shortened
from deploy_action.evidence import Evidence
from deploy_action.model import Container, Task
from deploy_action.rollout import HEALTH_STOPS, describe_stop, failed_container, stop_text

LOG_SHOWN = 300
SIGNALS = {132: "SIGILL, an instruction this processor lacks", 133: "SIGTRAP", 134: "SIGABRT",
           135: "SIGBUS", 136: "SIGFPE", 139: "SIGSEGV, a segmentation fault"}  # fmt: skip
NO_WORDS = 255
LOOKS_WRONG = re.compile(
    r"error|exception|fatal|panic|fail|cannot|could not|unable|denied|refused|missing|not found"
    r"|undefined|invalid|traceback|critical|emerg|abort",
    re.IGNORECASE,
)


def crashes(evidence: Evidence) -> list[Task]:
    """Tasks whose container ended by itself, newest last."""
    found = []
    for task in own_stops(evidence):
        reason = stop_text(task).lower()
        by_itself = task.stop_code == "EssentialContainerExited" or (
            not task.stop_code and "essential container" in reason
        )
        if by_itself and not any(part in reason for part in HEALTH_STOPS):
            found.append(task)
    return found


def failed(task: Task) -> Container | None:
    name = failed_container(task)
    return next((c for c in task.containers if c.name == name), None)


def ended(evidence: Evidence) -> Iterator[tuple[Task, Container]]:
    """The container that took its task down, of the newest task first."""
    for task in reversed(crashes(evidence)):
        if container := failed(task):
            yield task, container


def last_words(evidence: Evidence) -> str:
    """The last line of the log that looks like a fault; else its last line."""
    lines = [line.strip() for line in evidence.log_tail if line.strip()]
    wrong = [line for line in lines if LOOKS_WRONG.search(line) and line[:3] != "at "]
    return shortened((wrong or lines or [""])[-1], LOG_SHOWN)


def shown(evidence: Evidence, task: Task) -> str:
    line = f"task {task.id}: {describe_stop(task)}"
    said = last_words(evidence)
    return f"{said} (the log of {line})" if said else proof(line, "")


def out_of_memory(evidence: Evidence) -> Finding | None:
    for task in reversed(own_stops(evidence)):
        for container in task.containers:
            if re.search(r"OutOfMemory|OOM ?Killed|memory usage", container.reason, re.IGNORECASE):
                code = f" (exit code {container.exit_code})" if container.exit_code else ""
                return Finding(
                    name="out-of-memory",
                    cause=f"Container {container.name!r} was killed because it used more memory "
                    f"than it may{code}.",
                    proof=proof(f"task {task.id}: {container.reason}", ""),
                    fix="Raise `memory` of the container or of the task, or make the application "
                    "use less (heap size, number of workers).",
                    row=79,
                    rank=Rank.NAMED,
                    distance=-1,
                )
    return None


def sidecar(evidence: Evidence) -> Finding | None:
    """Another container than the one behind the load balancer took the task down."""
    if not evidence.main:
        return None
    for task, container in ended(evidence):
        if container.name in evidence.main or container.exit_code is None:
            continue
        return Finding(
            name="sidecar-exited",
            cause=f"Not the application but container {container.name!r} exited with code "
            f"{container.exit_code}, and it took the task down.",
            proof=shown(evidence, task) if evidence.log_container == container.name
            else proof(f"task {task.id}: {describe_stop(task)}", ""),
            fix="Look at the log of that container. If the task can do without it, set "
            "`essential: false`; if it only prepares something, let the others wait for it with "
            "`dependsOn`.",
            row=86,
            rank=Rank.ENDED,
            distance=-1,
        )  # fmt: skip
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What an exit code says where nothing names the cause."""

    name: str
    row: int
    what: str
    fix: str
    rank: Rank = Rank.ENDED


CLEAN = Meaning(
    name="exited-cleanly",
    row=78,
    what=", that is without an error: it had nothing more to do",
    fix="A service must stay in the foreground. Correct `command`: no daemon mode, no shell or "
    "job that ends; a job belongs into a one-off task.",
)
TOLD = Meaning(
    name="told-to-stop",
    row=81,
    what=": it was told to stop",
    fix="Nothing speaks against the revision: somebody or something else stopped the task. Look "
    "for who sent the signal if it happens again.",
    rank=Rank.AROUND,
)
SHOT = Meaning(
    name="killed",
    row=80,
    what=": it was killed, for its memory or because it did not end when told to",
    fix="Raise `memory` of the task and look at its memory metrics. If it was stopping: end on "
    "SIGTERM within `stopTimeout`, with `exec` in shell scripts.",
)
NOT_THERE = Meaning(
    name="command",
    row=83,
    what=": its command is not in the image",
    fix="Correct `command` or `entryPoint`, or the image: PATH, first line of a script, line ends.",
)
NOT_RUNNABLE = Meaning(
    name="command",
    row=83,
    what=": its command cannot be executed",
    fix="Make it executable in the image (`chmod +x`), or correct `command` or `entryPoint`.",
)
SILENT = Meaning(
    name="no-words",
    row=84,
    what=" and wrote nothing",
    fix="Most often the entry point cannot run: another processor architecture, or a script "
    "without its first line. Run the image in the workflow.",
)
FAULT = Meaning(
    name="crash",
    row=77,
    what=" soon after its start",
    fix="Correct what its last lines name: configuration, environment, a service it needs, a "
    "migration. Run the image with the same environment to see it.",
)
MEANINGS = {0: CLEAN, 125: NOT_RUNNABLE, 126: NOT_RUNNABLE, 127: NOT_THERE, 130: TOLD, 137: SHOT,
            143: TOLD}  # fmt: skip


def exit_code(evidence: Evidence) -> Finding | None:
    """The exit code, where nothing names the cause."""
    for task, container in ended(evidence):
        code = container.exit_code
        if code is None:
            continue
        meaning = _meaning(code, spoke=bool(evidence.log_tail))
        return Finding(
            name=meaning.name,
            cause=f"Container {container.name!r} exited with code {code}{meaning.what}.",
            proof=shown(evidence, task),
            fix=meaning.fix,
            row=meaning.row,
            rank=meaning.rank,
        )
    return None


def _meaning(code: int, *, spoke: bool) -> Meaning:
    if code in SIGNALS:
        return Meaning(
            name="signal",
            row=82,
            what=f": it crashed ({SIGNALS[code]})",
            fix="Look for native code that does not fit: processor, libc (Alpine or not), versions "
            "of libraries. Rebuild it for the task's platform.",
        )
    if code == NO_WORDS and not spoke:
        return SILENT
    return MEANINGS.get(code, FAULT)


def never_started(evidence: Evidence) -> Finding | None:
    for task in reversed(own_stops(evidence)):
        container = failed(task)
        if container and container.exit_code is None and container.reason:
            return Finding(
                name="never-started",
                cause=f"Container {container.name!r} was never started.",
                proof=proof(f"task {task.id}: {describe_stop(task)}", ""),
                fix="Correct what the reason of the container names, then run the workflow again.",
                row=85,
                rank=Rank.ENDED,
                distance=1,
            )
    return None


def helper_exited(evidence: Evidence) -> Finding | None:
    """A container that is not essential ended while its task went on."""
    for task in evidence.running:
        for container in task.containers:
            if container.name in evidence.helpers and container.exit_code:
                return Finding(
                    name="helper-exited",
                    cause=f"Container {container.name!r} exited with code {container.exit_code}; "
                    "it is not essential, so its task runs on.",
                    proof=proof(f"task {task.id}: {describe_stop(task)}", ""),
                    fix="Look at the log of that container.",
                    row=86,
                    rank=Rank.AROUND,
                )
    return None


RULES: tuple[Rule, ...] = (
    out_of_memory, sidecar, exit_code, never_started, helper_exited,
)  # fmt: skip
