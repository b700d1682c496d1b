"""Reads what buildx says while it builds: steps as they end, and why a build failed.

Pure: lines come in, `BuildStep`s and one `BuildError` go out. This module must not show
anything before `clean` has taken the secrets out of it.
"""

from __future__ import annotations

import base64
import json
import re
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from typing import Any

from deploy_action.gateways.build_hints import hint
from deploy_action.ports import BuildError, BuildStep

# What fits on a screen and, with its step, into one annotation of 4,096 characters.
LOG_LINES = 30
LINE_LENGTH = 300
DETAIL_LENGTH = 3000
# BuildKit cuts a log at 2 MiB; thirty lines never need more than this of its end.
LOG_BYTES = 64 * 1024

_TERMINAL_SEQUENCE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    vertex: str
    name: str
    error: str


class Transcript:
    """What buildx has said: the steps, the end of each step's log, the text between.

    Records are JSON objects, one on a line since buildx 0.14, indented over
    several lines before. Everything else is plain text.
    """

    def __init__(self, on_step: Callable[[BuildStep], None], clean: Callable[[str], str]) -> None:
        self._on_step = on_step
        self._clean = clean
        self._plain: deque[str] = deque(maxlen=200)
        self._indented: list[str] = []
        self._logs: dict[str, bytes] = {}
        self._failures: list[_Failure] = []
        self._running: dict[str, str] = {}
        self._inputs: set[str] = set()
        self._held: dict[str, BuildStep] = {}
        self._reported: set[str] = set()

    def read(self, line: str) -> None:
        if self._indented or line == "{":
            self._indented.append(line)
            if line != "}":
                return
            line = "\n".join(self._indented)
            self._indented.clear()
        record = _record(line)
        if record is None:
            self._plain.append(line)
            return
        for vertex in record.get("vertexes") or ():
            self._vertex(vertex)
        for log in record.get("logs") or ():
            before = self._logs.get(log["vertex"], b"")
            # One byte more than is used tells that something is missing in front.
            self._logs[log["vertex"]] = (before + base64.b64decode(log["data"]))[-LOG_BYTES - 1 :]

    def close(self) -> None:
        self._plain.extend(self._indented)
        for vertex in list(self._held):
            self._report(vertex)

    def _vertex(self, vertex: Mapping[str, Any]) -> None:
        digest, inputs = vertex["digest"], vertex.get("inputs") or ()
        self._inputs.update(inputs)
        if "started" not in vertex:
            return
        for source in inputs:
            self._report(source)
        if "completed" not in vertex:
            self._running[digest] = vertex["name"]
            return
        self._running.pop(digest, None)
        if vertex.get("error"):
            self._failures.append(
                _Failure(vertex=digest, name=vertex["name"], error=vertex["error"])
            )
        self._held[digest] = self._step(vertex)
        # A base image or a context ends once when it is looked up and again when
        # it is really fetched: such a source is told when the first step uses it.
        if inputs or digest not in self._inputs:
            self._report(digest)

    def _step(self, vertex: Mapping[str, Any]) -> BuildStep:
        started, completed = (
            datetime.fromisoformat(vertex[moment]) for moment in ("started", "completed")
        )
        return BuildStep(
            name=_visible(self._readable(vertex["name"])),
            seconds=max(0.0, (completed - started).total_seconds()),
            cached=bool(vertex.get("cached")),
            # The first build of all finds no cache to import, and goes on.
            failed=bool(vertex.get("error")) and not _is_cache_import(vertex["name"]),
        )

    def _report(self, digest: str) -> None:
        step = self._held.pop(digest, None)
        if step and digest not in self._reported:
            self._reported.add(digest)
            self._on_step(step)

    def failure(self, ending: str, dockerfile: str) -> BuildError:
        """`ending` is how buildx ended, `dockerfile` the text of the Dockerfile."""
        detail = self._detail(ending)
        culprit = self._culprit(detail)
        line = _excerpt_line(list(self._plain), detail)
        if culprit and line is None:
            line = _line_of_step(culprit.name, dockerfile)
        shown = self._readable(detail).split("\n")
        text = "\n".join(_visible(part, DETAIL_LENGTH) for part in shown)
        return BuildError(
            text,
            step=_visible(self._readable(culprit.name)) if culprit else None,
            dockerfile_line=line,
            log=self._log(culprit.vertex) if culprit else (),
            fix=hint(text),
        )

    def _detail(self, ending: str) -> str:
        """The final `ERROR:` text, which may have several lines; else all there is."""
        lines = list(self._plain)
        starts = [number for number, line in enumerate(lines) if line.startswith("ERROR:")]
        if starts:
            return "\n".join(lines[starts[-1] :]).removeprefix("ERROR:").strip()
        return "\n".join([ending, *lines[-LOG_LINES:]]).strip()

    def _culprit(self, detail: str) -> _Failure | None:
        """The step that failed first by itself, not one that was cancelled with it."""
        own = [
            failure
            for failure in self._failures
            if not failure.error.endswith("context canceled") and not _is_cache_import(failure.name)
        ]
        hanging = [
            _Failure(vertex=digest, name=name, error="") for digest, name in self._running.items()
        ]
        named = [failure for failure in own if failure.error in detail]
        return next(iter(named or own or hanging[-1:]), None)

    def _readable(self, text: str) -> str:
        """Colours go first: a secret with one in its middle would not be recognised."""
        return self._clean(_TERMINAL_SEQUENCE.sub("", text))

    def _log(self, vertex: str) -> tuple[str, ...]:
        log = self._logs.get(vertex, b"")
        lines = self._readable(log.decode("utf-8", errors="replace")).split("\n")
        if len(log) > LOG_BYTES:
            # The first line is cut, and so may be a secret in it: too little to recognise.
            lines = lines[1:] or [lines[0][-LINE_LENGTH:]]
        # Of a progress bar drawn over itself only the last state is worth a line.
        lines = [line.rstrip("\r").rpartition("\r")[2] for line in lines]
        return tuple([_visible(line) for line in lines if line.strip()][-LOG_LINES:])


def _record(line: str) -> dict[str, Any] | None:
    try:
        record = json.loads(line) if line.startswith("{") else None
    except ValueError:
        return None
    return record if isinstance(record, dict) else None


def _is_cache_import(name: str) -> bool:
    return name.startswith("importing cache manifest from ")


def _visible(text: str, limit: int = LINE_LENGTH) -> str:
    """One line in which no control character acts on a terminal."""
    plain = text.expandtabs(4).rstrip()
    shown = "".join(
        letter if letter.isprintable() else letter.encode("unicode_escape").decode()
        for letter in plain
    )
    # The end of a long line says more than its middle: it holds the cause.
    half = limit // 2 - 1
    return shown if len(shown) <= limit else f"{shown[:half]} … {shown[-half:]}"


def _excerpt_line(lines: Sequence[str], detail: str) -> int | None:
    """Where BuildKit says the step stands: `Dockerfile:12` above an excerpt, or in words."""
    for place, below in pairwise(lines):
        found = re.fullmatch(r"\S.*:(\d+)", place)
        if found and re.fullmatch(r"-{10,}", below):
            return int(found[1])
    found = re.search(r"dockerfile parse error (?:on )?line (\d+)", detail)
    return int(found[1]) if found else None


def _line_of_step(step: str, dockerfile: str) -> int | None:
    """Count as BuildKit numbers its steps: engines before 23 print no excerpt."""
    wanted = re.match(r"\[(?:(\S+) )?(\d+)/\d+\] (\w+)", step)
    if not wanted:
        return None
    stage, number, instruction = wanted[1], int(wanted[2]), wanted[3]
    stages, names, count, continued = 0, {""}, 0, False
    for line_number, line in enumerate(dockerfile.splitlines(), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        word = words[0].upper()
        if not continued and word == "FROM":
            names = {f"stage-{stages}", words[-1].lower()}
            stages, count = stages + 1, 1
        elif not continued:
            count += word in {"RUN", "COPY", "ADD", "WORKDIR"}
        right_stage = stage is None or stage in names
        if not continued and right_stage and (count, word) == (number, instruction):
            return line_number
        continued = line.rstrip().endswith("\\")
    return None
