"""The five systems are there, and each of them plays at least what it has to."""

from __future__ import annotations

import re

import pytest

from deploy_action.errors import SUCCESSES
from dev import systems_case
from tests.contract.repository import failures, read

SYSTEMS = {name: systems_case.load(name) for name in systems_case.names()}
VERDICTS = {*SUCCESSES, *(failure.verdict for failure in failures())}


def test_all_five_are_there() -> None:
    assert set(SYSTEMS) == {"grading", "liveinsight", "llmops", "mclass", "nest-wallet"}


@pytest.mark.parametrize("name", SYSTEMS)
def test_plays_a_good_release_a_rollback_and_two_troubles_with_every_test_run(name: str) -> None:
    tested = [case for case in SYSTEMS[name].cases if case.tested]
    troubles = [case for case in tested if case.verdict not in SUCCESSES]
    good = [case for case in tested if case.verdict == "deployed" and not case.inputs]
    back = [case for case in tested if case.inputs.get("operation") == "rollback"]

    assert good
    assert back
    assert len(troubles) >= 2


@pytest.mark.parametrize("name", SYSTEMS)
def test_names_only_what_there_is(name: str) -> None:
    system = SYSTEMS[name]
    files = system.files()

    for case in system.cases:
        assert case.verdict in VERDICTS
        assert case.stack in system.stacks
        for path, edit in case.edits.items():
            assert edit.old in files[path]


@pytest.mark.parametrize("name", SYSTEMS)
def test_says_which_line_of_their_terraform_stays_out_of_the_way(name: str) -> None:
    assert re.search(r"ignore_changes\s*=\s*\[task_definition", read(f"examples/{name}/README.md"))
