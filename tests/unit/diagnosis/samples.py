"""Recorded evidence, read from YAML: `samples/` by area, `unseen/` by where the texts come from.

An entry names the finding that must come first and its row in the failure catalogue.
Short forms: `start: TEXT` is a task that could not start, `crash: CODE` one whose
container ended with that code; `stops` spells tasks out.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from deploy_action.errors import AwsError
from deploy_action.evidence import Evidence
from deploy_action.gateways import aws
from deploy_action.model import Container, TargetHealth, Task
from tests.unit import builders

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Sample:
    """What AWS showed, and what must be made of it."""

    id: str
    row: int
    finding: str
    evidence: Evidence


def read(folder: str) -> list[Sample]:
    return [sample for path in sorted((HERE / folder).glob("*.yaml")) for sample in _file(path)]


def _file(path: Path) -> Iterator[Sample]:
    for number, entry in enumerate(yaml.safe_load(path.read_text()), 1):
        yield Sample(
            id=f"{path.stem}-{number}-{entry['finding']}",
            row=entry["row"],
            finding=entry["finding"],
            evidence=_evidence(entry),
        )


def _evidence(entry: dict[str, Any]) -> Evidence:
    stops = [_stop(n, stop) for n, stop in enumerate(entry.get("stops", []))]
    if "start" in entry:
        stops.append(_stop(8, {"code": "TaskFailedToStart", "reason": entry["start"]}))
    if "crash" in entry:
        stops.append(
            _stop(
                9,
                {
                    "code": "EssentialContainerExited",
                    "reason": "Essential container in task exited",
                    "containers": [{"exit": entry["crash"], "reason": entry.get("because", "")}],
                },
            )
        )
    return Evidence(
        stops=tuple(stops),
        running=tuple(_stop(n, task, "RUNNING") for n, task in enumerate(entry.get("running", []))),
        events=tuple(entry.get("events", [])),
        targets=tuple(_target(target) for target in entry.get("targets", [])),
        deployment=tuple(entry.get("deployment", [])),
        alarms=tuple(entry.get("alarms", [])),
        problem=entry.get("problem", ""),
        refusal=_refusal(entry["refusal"]) if "refusal" in entry else None,
        log_container=entry.get("log-container", "web" if "log" in entry else ""),
        log_tail=tuple(entry.get("log", "").splitlines()),
        main=frozenset(entry.get("main", [])),
        helpers=frozenset(entry.get("helpers", [])),
    )


def _stop(number: int, stop: dict[str, Any], status: str = "STOPPED") -> Task:
    containers: list[Container] = [
        builders.container(
            name=c.get("name", "web"),
            exit_code=c.get("exit"),
            reason=c.get("reason", ""),
            health=c.get("health", "UNKNOWN"),
        )
        for c in stop.get("containers", [{}])
    ]
    return builders.task(
        *containers,
        arn=f"arn:aws:ecs:eu-west-1:123456789012:task/prod/7c1d{number}",
        last_status=status,
        stop_code=stop.get("code", ""),
        stopped_reason=stop.get("reason", ""),
    )


def _target(target: list[str]) -> TargetHealth:
    reason, description = target
    return TargetHealth(
        target="10.0.1.17:8080", state="unhealthy", reason=reason, description=description
    )


def _refusal(said: dict[str, Any]) -> AwsError:
    """As the gateway would translate it."""
    code = said["code"]
    return AwsError(said["action"], aws.refusal_of(code), code, said["text"])
