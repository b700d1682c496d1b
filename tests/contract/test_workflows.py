"""The workflows that a user copies fit the action, and are safe to copy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.contract.repository import DECLARED, FIELDS, ROOT, choices, load, read

OURS = re.compile(r"\./|acme/ecs-deploy@v\d+")
REUSABLE = re.compile(r"acme/ecs-deploy/\.github/workflows/deploy\.yml@v\d+")
PINNED = re.compile(r"uses: [\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+")
ASKED = re.compile(r"\binputs\.([\w-]+)")
FENCES = re.findall(r"```ya?ml\n(.*?)```", read("README.md"), re.DOTALL)

SYSTEMS = [str(path.relative_to(ROOT)) for path in ROOT.glob("examples/*/.github/workflows/*")]
EXAMPLES = [str(path.relative_to(ROOT)) for path in ROOT.glob("examples/*.yml")]
DEMO = [str(path.relative_to(ROOT)) for path in ROOT.glob("demo/*.yml")]
OWN = [str(path.relative_to(ROOT)) for path in ROOT.glob(".github/workflows/*.yml")]
SHOWN = {f"README.md, {number}": fence for number, fence in enumerate(FENCES, 1)}
DOCUMENTS: dict[str, Any] = {
    **{name: load(name) for name in [*EXAMPLES, *SYSTEMS, *DEMO]},
    **{name: yaml.load(fence, Loader=yaml.BaseLoader) for name, fence in SHOWN.items()},
}
WORKFLOWS = {
    name: document
    for name, document in DOCUMENTS.items()
    if isinstance(document, dict) and "jobs" in document
}


def uses_of(used: re.Pattern[str], part: object) -> Iterator[dict[str, str]]:
    """The `with:` block of everything that uses this, wherever it stands."""
    if isinstance(part, dict):
        if used.fullmatch(part.get("uses", "")):
            yield part.get("with", {})
        part = list(part.values())
    if isinstance(part, list):
        for below in part:
            yield from uses_of(used, below)


def uses_of_ours(part: object) -> Iterator[dict[str, str]]:
    return uses_of(OURS, part)


def uses_of_either(part: object) -> Iterator[dict[str, str]]:
    """Of the action, or of the reusable workflow."""
    yield from uses_of_ours(part)
    yield from uses_of(REUSABLE, part)


def questions(workflow: dict[str, Any]) -> dict[str, Any]:
    """What *Run workflow* asks."""
    on = workflow["on"]
    dispatch = on.get("workflow_dispatch") if isinstance(on, dict) else None
    return dict((dispatch or {}).get("inputs", {}))


@pytest.mark.parametrize("name", DOCUMENTS)
def test_gives_only_inputs_that_exist(name: str) -> None:
    given = {key for block in uses_of_ours(DOCUMENTS[name]) for key in block}

    assert given <= set(DECLARED)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_gives_every_input_that_is_required(name: str) -> None:
    required = {name for name in DECLARED if DECLARED[name].get("required") == "true"}
    blocks = list(uses_of_either(WORKFLOWS[name]))

    assert blocks
    assert all(required <= set(block) for block in blocks)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_calls_the_reusable_workflow_as_it_is_declared(name: str) -> None:
    declared = load(".github/workflows/deploy.yml")["on"]["workflow_call"]["inputs"]
    required = {name for name in declared if declared[name].get("required") == "true"}

    for block in uses_of(REUSABLE, WORKFLOWS[name]):
        assert required <= set(block) <= set(declared)


@pytest.mark.parametrize("name", WORKFLOWS)
def test_offers_only_values_that_the_action_takes(name: str) -> None:
    for block in uses_of_either(WORKFLOWS[name]):
        for key, value in block.items():
            # A question that a push does not ask has an answer for it: `inputs.x || 'deploy'`.
            question, _, otherwise = value.strip("${} ").partition(" || ")
            asked = ASKED.fullmatch(question)
            offered = questions(WORKFLOWS[name])[asked[1]].get("options", []) if asked else [value]
            offered += [otherwise.strip("'")] if asked and otherwise else []
            allowed = choices(FIELDS[key].annotation) if key in FIELDS else ()
            is_known = allowed and "vars." not in value
            assert not is_known or set(offered) <= set(allowed), key


@pytest.mark.parametrize("name", WORKFLOWS)
def test_asks_for_nothing_that_it_does_not_use(name: str) -> None:
    rest = yaml.dump({key: part for key, part in WORKFLOWS[name].items() if key != "on"})

    assert set(questions(WORKFLOWS[name])) == set(ASKED.findall(rest))


@pytest.mark.parametrize("name", EXAMPLES)
def test_deploys_to_an_environment_once_at_a_time_and_never_cuts_off(name: str) -> None:
    concurrency = WORKFLOWS[name]["concurrency"]

    assert "inputs.environment" in concurrency["group"]
    assert concurrency["cancel-in-progress"] == "false"


@pytest.mark.parametrize("name", SYSTEMS)
def test_deploys_a_system_once_at_a_time_and_never_cuts_off(name: str) -> None:
    workflow = WORKFLOWS[name]
    # The reusable workflow sees to it by itself.
    if not list(uses_of(REUSABLE, workflow)):
        assert workflow["concurrency"]["cancel-in-progress"] == "false"


@pytest.mark.parametrize("name", WORKFLOWS)
def test_may_assume_a_role_and_read_the_code_and_nothing_else(name: str) -> None:
    workflow = WORKFLOWS[name]
    everywhere = workflow.get("permissions")

    for job in workflow["jobs"].values():
        granted = job.get("permissions", everywhere)
        uses_keys = "AWS_ACCESS_KEY_ID" in yaml.dump(job)
        deploys = bool(list(uses_of_either([job])))
        with_role = {"id-token": "write"} if deploys and not uses_keys else {}
        assert granted == {"contents": "read", **with_role}


@pytest.mark.parametrize("name", [*EXAMPLES, *SYSTEMS, *DEMO, *OWN])
def test_pins_the_actions_of_others_to_a_commit(name: str) -> None:
    uses = [line.strip(" -") for line in read(name).splitlines() if re.match(r"[ -]*uses:", line)]
    foreign = [line for line in uses if not OURS.fullmatch(line.removeprefix("uses: "))]
    foreign = [line for line in foreign if not REUSABLE.fullmatch(line.removeprefix("uses: "))]

    assert [line for line in foreign if not PINNED.fullmatch(line)] == []


def test_the_readme_begins_with_a_workflow_of_at_most_twenty_lines() -> None:
    assert "README.md, 1" in WORKFLOWS
    assert len(FENCES[0].splitlines()) <= 20
