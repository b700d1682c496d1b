"""The files that have to agree, read once, and the tables that the README shows of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args, get_origin

import yaml

from deploy_action.errors import SUCCESSES, ActionError
from deploy_action.inputs import Inputs

ROOT = Path(__file__).resolve().parents[2]


def load(name: str) -> Any:  # noqa: ANN401 - whatever the YAML file holds
    """A YAML file of the repository, every scalar as the text that the runner sees."""
    return yaml.load((ROOT / name).read_text("utf-8"), Loader=yaml.BaseLoader)


def read(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


ACTION = load("action.yml")
DECLARED: dict[str, dict[str, str]] = ACTION["inputs"]
FIELDS = {name.replace("_", "-"): field for name, field in Inputs.model_fields.items()}


def choices(annotation: object) -> tuple[str, ...]:
    """The values that a Literal inside of an annotation allows."""
    if get_origin(annotation) is Literal:
        return get_args(annotation)
    return tuple(value for part in get_args(annotation) for value in choices(part))


def failures() -> list[type[ActionError]]:
    """Every way to end badly, in the order of the exit codes."""
    found: list[type[ActionError]] = []
    todo = [ActionError]
    while todo:
        below = todo.pop().__subclasses__()
        found += below
        todo += below
    return sorted(found, key=lambda error: error.exit_code)


def inputs_table() -> str:
    rows = []
    for name, told in DECLARED.items():
        default = told.get("default", "")
        shown = "required" if told.get("required") == "true" else f"`{default}`" if default else ""
        rows.append((f"`{name}`", shown, told["description"]))
    return table(("input", "default", "meaning"), rows)


def outputs_table() -> str:
    rows = [(f"`{name}`", told["description"]) for name, told in ACTION["outputs"].items()]
    return table(("output", "meaning"), rows)


def verdicts_table() -> str:
    rows = [(f"`{verdict}`", "0", meaning) for verdict, meaning in SUCCESSES.items()]
    rows.append(("", "1", "a bug in the action; the log ends with a report to paste"))
    rows += [(f"`{end.verdict}`", str(end.exit_code), end.meaning) for end in failures()]
    rows.append(("", "130, 143", "cancelled; the log says what was started and what was undone"))
    return table(("verdict", "exit code", "meaning"), rows)


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    lines = [head, tuple("---" for _ in head), *rows]
    return "\n".join("| " + " | ".join(map(_cell, line)) + " |" for line in lines)


def _cell(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")
