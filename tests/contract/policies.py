"""The generated policy in its three written forms: README, plain JSON, CloudFormation."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from deploy_action.policy import DECLARED, Names, generate, text
from tests.contract.repository import read

README = Names(
    region="eu-west-1",
    account="123456789012",
    cluster="prod",
    services=("web",),
    families=("web",),
    repositories=("web",),
    log_groups=("/ecs/web",),
    roles=("web-execution", "web-task"),
)
PLACEHOLDERS = Names(
    region="<REGION>",
    account="<ACCOUNT>",
    cluster="<CLUSTER>",
    services=("<SERVICE>",),
    families=("<FAMILY>",),
    repositories=("<REPOSITORY>",),
    log_groups=("<LOG_GROUP>",),
    roles=("<EXECUTION_ROLE>", "<TASK_ROLE>"),
)
PARAMETERS = Names(
    region="${AWS::Region}",
    account="${AWS::AccountId}",
    partition="${AWS::Partition}",
    cluster="${Cluster}",
    services=("${Service}",),
    families=("${Family}",),
    repositories=("${Repository}",),
    log_groups=("${LogGroup}",),
    roles=("${ExecutionRole}", "${TaskRole}"),
)


class _Loader(yaml.SafeLoader):
    """Reads the short forms of CloudFormation's functions."""


def _function(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    key = name if name in {"Ref", "Condition"} else f"Fn::{name}"
    match node:
        case yaml.ScalarNode():
            return {key: loader.construct_scalar(node)}
        case yaml.SequenceNode():
            return {key: loader.construct_sequence(node, deep=True)}
        case _:
            raise AssertionError(f"{name} of what?")


_Loader.add_multi_constructor("!", _function)
JSON_FILE, TEMPLATE = "bootstrap/policy.json", "bootstrap/template.yml"
BLOCK = re.compile(r"( *)# begin:policy\n.*?# end:policy\n", re.DOTALL)


def readme_block() -> str:
    """The policy, and which of its actions may be left out."""
    policy = generate(README)
    asked = {a for s in statements(policy) for a in s["Action"]}
    optional = [f"`{a}`" for a in sorted(asked) if DECLARED[a].optional]
    sentence = (
        "Without these the report gets poorer or the way longer, and the verdict stays true: "
        f"{', '.join(optional)}."
    )
    return f"```json\n{text(policy)}```\n\n{sentence}\n\n{_only_with()}"


def _only_with() -> str:
    """What an input needs besides."""
    names = sorted({permission.only_with for permission in DECLARED.values()} - {""})
    needs = {
        name: ", ".join(f"`{a}`" for a, need in sorted(DECLARED.items()) if need.only_with == name)
        for name in names
    }
    rows = [
        f"- `{name}` needs {actions} as well (`--with-input {name}`)."
        for name, actions in needs.items()
    ]
    return "\n".join(rows)


def json_file() -> str:
    return text(generate(PLACEHOLDERS))


def template() -> str:
    """The template with the statements of the policy between its two marks."""

    def written(found: re.Match[str]) -> str:
        lines = [f"{found[1]}{line}" for line in _yaml(generate(PARAMETERS))]
        return "\n".join([f"{found[1]}# begin:policy", *lines, f"{found[1]}# end:policy", ""])

    return BLOCK.sub(written, read(TEMPLATE))


def load_template() -> Any:  # noqa: ANN401 - whatever the template holds
    """The template, with `!Sub text` as {"Fn::Sub": text} and so on."""
    return yaml.load(read(TEMPLATE), Loader=_Loader)


def statements(policy: Any) -> list[dict[str, Any]]:  # noqa: ANN401 - a policy document
    """With every action and resource as a list, so that policies can be compared."""
    return [
        {**s, **{key: _list(s[key]) for key in ("Action", "Resource")}} for s in policy["Statement"]
    ]


def _list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _yaml(policy: dict[str, object]) -> Iterator[str]:
    for statement in statements(policy):
        yield f"- Sid: {statement['Sid']}"
        yield f"  Effect: {statement['Effect']}"
        for key in ("Action", "Resource"):
            yield f"  {key}:"
            yield from (f"    - {_scalar(value)}" for value in statement[key])
        for operator, wanted in statement.get("Condition", {}).items():
            yield "  Condition:"
            yield f"    {operator}:"
            yield from (f"      {key}: {_scalar(value)}" for key, value in wanted.items())


def _scalar(value: str) -> str:
    if value == "*":
        return '"*"'
    return f"!Sub {value}" if "${" in value else value
