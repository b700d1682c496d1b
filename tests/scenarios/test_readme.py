"""The page "When it fails" of the README shows what the program really says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.scenarios.stage import CRASHING, SHA, Stage
from tests.simulator import Behaviour

README = Path(__file__).parents[2] / "README.md"
BEGIN, END = "<!-- begin:failures -->", "<!-- end:failures -->"


def told(log: str) -> str:
    """What stands outside of the folded groups, from the verdict on; lines cut to a page."""
    shown, is_folded = [], False
    for line in log.splitlines():
        if line.startswith(("::group::", "::endgroup::")):
            is_folded = line.startswith("::group::")
        elif not is_folded and not line.startswith("::"):
            shown.append(line.rstrip() if len(line) <= 160 else line[:159].rstrip() + "…")
    return "\n".join(shown[shown.index("") + 1 :])


def refused(stage: Stage) -> str:
    gone = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:token-a1b2c3"
    return told(stage.deploy(secrets=f"TOKEN={gone}", cpu="512", memory="512").log)


def crashed(stage: Stage) -> str:
    stage.world.builder.behaviour = CRASHING
    return told(stage.deploy().log)


def wrong_path(stage: Stage) -> str:
    stage.world.builder.behaviour = Behaviour(
        json={"version": SHA}, paths={"/health": (404, "not found")}
    )
    return told(stage.deploy().log)


def test_three_failures_are_shown_as_they_are_told(
    stage_with: Callable[..., Stage], *, update: bool
) -> None:
    shown = "\n\n".join(
        f"{title}\n\n```text\n{story(stage_with())}\n```"
        for title, story in (
            ("Refused before anything is touched:", refused),
            ("The application does not start:", crashed),
            ("The load balancer asks a path that is not there:", wrong_path),
        )
    )
    head, begin, rest = README.read_text().partition(BEGIN)
    block, end, tail = rest.partition(END)
    assert begin
    assert end
    if update:
        README.write_text(f"{head}{begin}\n{shown}\n{end}{tail}")
    else:
        assert block.strip() == shown, "run `pytest --update tests/scenarios/test_readme.py`"
