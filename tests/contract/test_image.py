"""What GitHub's runner, act and older engines ask of the action's Dockerfile."""

from __future__ import annotations

import json
import re

import pytest

from tests.contract.repository import read

LINES = re.sub(r"\\\n\s*", " ", read("Dockerfile")).splitlines()


def instructions(name: str) -> list[str]:
    return [line.removeprefix(name).strip() for line in LINES if line.startswith(name + " ")]


def test_entrypoint_is_in_exec_form() -> None:
    """A shell would drop variables with hyphens, and signals with them."""
    (entrypoint,) = instructions("ENTRYPOINT")

    assert json.loads(entrypoint)[0] == "python"


@pytest.mark.parametrize("name", ["USER", "WORKDIR", "CMD", "VOLUME"])
def test_leaves_to_the_runner_what_belongs_to_the_runner(name: str) -> None:
    assert instructions(name) == []


@pytest.mark.parametrize(
    "newer", [r"^\s*#\s*syntax=", r"^RUN\s+--", r"^(COPY|ADD)\s.*--(chmod|link)", r"<<"]
)
def test_the_classic_builder_understands_it(newer: str) -> None:
    assert [line for line in LINES if re.search(newer, line)] == []


def test_every_base_names_one_version() -> None:
    stages = {line.split(" AS ")[1] for line in instructions("FROM") if " AS " in line}
    bases = [line.split()[0] for line in instructions("FROM")]
    copied = [line.split()[0] for line in instructions("COPY --from=") if line]
    sources = re.findall(r"--from=(\S+)", "\n".join(LINES))

    foreign = [name for name in bases + copied + sources if name not in stages]

    assert foreign
    assert all(re.search(r":\d+\.\d+\.\d+|@sha256:", name) for name in foreign)


def test_installs_exactly_the_locked_packages() -> None:
    (install,) = [line for line in LINES if "pip install" in line]

    assert "--require-hashes" in install
