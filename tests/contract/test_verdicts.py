"""Every end has one verdict and one exit code, and both are told where people look for them."""

from __future__ import annotations

import ast
import inspect
import re
import signal

import pytest

from deploy_action import errors
from deploy_action.errors import SUCCESSES, ActionError, Cancelled
from tests.contract.repository import ROOT, failures

RESERVED = {0, 1, 130, 143}
"""Success, a bug in the action, and the two signals of a cancelled run."""


def test_every_failure_has_an_exit_code_of_its_own() -> None:
    codes = [end.exit_code for end in failures()]

    assert len(codes) == len(set(codes))
    assert not RESERVED & set(codes)


def test_every_end_has_a_verdict_of_its_own() -> None:
    verdicts = [*SUCCESSES, *(end.verdict for end in failures())]

    assert len(verdicts) == len(set(verdicts))
    assert all(re.fullmatch(r"[a-z]+(-[a-z]+)*", verdict) for verdict in verdicts)


@pytest.mark.parametrize("end", failures())
def test_the_map_of_the_errors_shows_it(end: type[ActionError]) -> None:
    assert end.meaning
    assert re.search(rf"\b{end.__name__}\s+{end.exit_code}\b", inspect.getdoc(errors) or "")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_cancelled_run_exits_as_shells_count(number: int) -> None:
    assert Cancelled(number).exit_code in RESERVED


@pytest.mark.parametrize("missing", ["what", "why", "fix"])
def test_an_error_without_all_three_sentences_cannot_be_made(missing: str) -> None:
    told = {"what": "It failed.", "why": "It had to.", "fix": "Mend it."} | {missing: ""}

    with pytest.raises(ValueError, match="how to fix it"):
        ActionError(told["what"], why=told["why"], fix=told["fix"])


def test_the_program_claims_exactly_the_successes_of_the_table() -> None:
    claimed = set()
    for path in (ROOT / "deploy_action").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith(".succeed"):
                claimed |= {
                    part.value
                    for part in ast.walk(node.args[0])
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                }

    assert claimed == set(SUCCESSES)
