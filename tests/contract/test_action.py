"""action.yml is what the user writes, `Inputs` is what the program reads: the same thing twice."""

from __future__ import annotations

import dataclasses
import re
from typing import Any

import pytest

from deploy_action import inputs
from deploy_action.report.journal import Facts
from tests.contract.repository import ACTION, DECLARED, FIELDS, choices

ENOUGH = {
    "INPUT_AWS-REGION": "eu-west-1",
    "INPUT_SERVICE": "web",
    "INPUT_ECR-REPOSITORY": "web",
    "GITHUB_SHA": "3f9c2e1",
}
"""The least that makes a usable request."""

COMMON = [name for name in DECLARED if name in FIELDS]


def as_read(**environ: str) -> dict[str, Any]:
    return inputs.read(ENOUGH | environ).model_dump()


def test_declares_exactly_the_inputs_that_are_read_in_the_same_order() -> None:
    assert list(DECLARED) == list(FIELDS)


def test_spells_every_input_so_that_it_arrives_under_one_variable() -> None:
    """A blank would become an underscore, and a capital would collide."""
    assert [name for name in DECLARED if not re.fullmatch(r"[a-z]+(-[a-z]+)*", name)] == []


def test_declares_exactly_the_outputs_that_are_written_in_the_same_order() -> None:
    written = [field.name.replace("_", "-") for field in dataclasses.fields(Facts)]

    assert list(ACTION["outputs"]) == written


@pytest.mark.parametrize(
    ("kind", "name"),
    [(kind, name) for kind in ("inputs", "outputs") for name in ACTION[kind]],
)
def test_describes_itself_in_sentences(kind: str, name: str) -> None:
    description = ACTION[kind][name]["description"]

    assert description.strip().endswith(".")


@pytest.mark.parametrize("name", COMMON)
def test_requires_what_the_program_requires(name: str) -> None:
    assert DECLARED[name].get("required", "false") == str(FIELDS[name].is_required()).lower()


@pytest.mark.parametrize("name", [name for name in COMMON if DECLARED[name].get("default")])
def test_declared_default_means_the_same_as_leaving_it_out(name: str) -> None:
    given = as_read(**{f"INPUT_{name.upper()}": DECLARED[name]["default"]})

    assert given == as_read()


@pytest.mark.parametrize("name", [name for name in COMMON if not DECLARED[name].get("default")])
def test_without_a_declared_default_the_program_has_none_either(name: str) -> None:
    if not FIELDS[name].is_required():
        assert not FIELDS[name].default


@pytest.mark.parametrize(
    ("name", "value"),
    [(name, value) for name in COMMON for value in choices(FIELDS[name].annotation)],
)
def test_names_every_choice(name: str, value: str) -> None:
    assert f"`{value}`" in DECLARED[name]["description"]


def test_runs_the_image_without_a_shell_or_arguments_in_between() -> None:
    runs = ACTION["runs"]

    assert runs["using"] == "docker"
    assert runs["image"] == "Dockerfile" or "@sha256:" in runs["image"]
    assert not {"args", "entrypoint"} & set(runs)
