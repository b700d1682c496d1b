"""The reusable workflow takes every input of the action; `pytest --update` writes them."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.contract.repository import ACTION, DECLARED, ROOT, load, read

WORKFLOW = ".github/workflows/deploy.yml"
SECRET = {"build-secrets": "BUILD_SECRETS", "notify": "NOTIFY"}
"""Inputs that hold secrets, which a workflow hands over by themselves."""

OF_THE_ENVIRONMENT = {
    "aws-region": "AWS_REGION",
    "role-to-assume": "AWS_ROLE",
    "cluster": "ECS_CLUSTER",
    "ecr-repository": "ECR_REPOSITORY",
}
"""Inputs that a variable of the GitHub environment may give instead."""


def declared() -> str:
    lines = []
    for name, told in DECLARED.items():
        if name in SECRET:
            continue
        default = "" if name in OF_THE_ENVIRONMENT else told.get("default", "")
        lines += [f"{name}:", f"  description: {json.dumps(told['description'])}", "  type: string"]
        lines += [f"  default: {json.dumps(default)}"] if default else []
        lines += ["  required: true"] if told.get("required") == "true" else []
    return "\n".join(" " * 6 + line for line in lines)


def passed() -> str:
    lines = []
    for name in DECLARED:
        if name in SECRET:
            continue
        variable = OF_THE_ENVIRONMENT.get(name)
        value = f"inputs.{name} || vars.{variable}" if variable else f"inputs.{name}"
        lines.append(f"{name}: ${{{{ {value} }}}}")
    return "\n".join(" " * 10 + line for line in lines)


@pytest.mark.parametrize(("name", "text"), [("inputs", declared()), ("passed", passed())])
def test_hands_over_every_input_of_the_action(name: str, text: str, *, update: bool) -> None:
    block = re.compile(rf"(# begin:{name}.*?\n).*?( *# end:{name}\n)", re.DOTALL)
    before = read(WORKFLOW)
    after = block.sub(lambda found: f"{found[1]}{text}\n{found[2]}", before)
    assert block.search(before), f"{WORKFLOW} has no # begin:{name} … # end:{name}"

    if update:
        (ROOT / WORKFLOW).write_text(after, "utf-8")
        return

    assert after == before, "run `pytest --update tests/contract`"


def test_takes_each_secret_by_name() -> None:
    workflow = load(WORKFLOW)
    secrets = set(workflow["on"]["workflow_call"]["secrets"])
    step = deploying_step(workflow)

    assert set(SECRET.values()) <= secrets
    for name, secret in SECRET.items():
        assert step["with"][name] == f"${{{{ secrets.{secret} }}}}"


def test_gives_only_outputs_that_the_action_has() -> None:
    workflow = load(WORKFLOW)

    assert set(workflow["on"]["workflow_call"]["outputs"]) <= set(ACTION["outputs"])


def test_runs_the_tests_of_the_caller_before_it_deploys() -> None:
    jobs = load(WORKFLOW)["jobs"]

    assert jobs["deploy"]["needs"] == "test"
    assert jobs["deploy"]["if"] == "${{ !failure() && !cancelled() }}"
    assert "id-token" not in jobs["test"]["permissions"]


def deploying_step(workflow: dict[str, Any]) -> dict[str, Any]:
    steps = workflow["jobs"]["deploy"]["steps"]
    return next(step for step in steps if step.get("id") == "deploy")
