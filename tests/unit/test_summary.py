"""The summary of a step: whole pages as golden files, and that nothing foreign acts in them.

`pytest --update tests/unit/test_summary.py` rewrites the golden files.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from deploy_action.ports import BuildStep
from deploy_action.report.journal import Facts, Phase, Story
from deploy_action.report.summary import STEPS_SHOWN, render
from tests.unit.builders import NEW_REVISION, OLD_REVISION, OUR_ID, RECORD_ARN, story

GOLDEN = Path(__file__).parent / "golden"
HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
DIGEST = "sha256:77ab" + "0" * 60


def facts(verdict: str, **known: str) -> Facts:
    """What is known after a release."""
    return Facts(
        **{
            "verdict": verdict,
            "image": f"{HOST}/web@{DIGEST}",
            "image_digest": DIGEST,
            "image_uri": f"{HOST}/web:3f9c2e1",
            "task_definition_arn": NEW_REVISION,
            "previous_task_definition_arn": OLD_REVISION,
            "deployment_id": OUR_ID,
            "service_deployment_arn": RECORD_ARN,
            "url": "https://web.example.com/health?deep=1&v=2",
            "duration_seconds": "185.0",
            **known,
        }
    )


def phase(
    number: int, title: str, seconds: float, result: str = "", *, failed: bool = False
) -> Phase:
    return Phase(number=number, title=title, seconds=seconds, result=result, failed=failed)


BEFORE = [
    phase(1, "Check", 1.2, "prod/web runs web:41 (2/2 tasks)"),
    phase(2, "Image", 48, f"{HOST}/web@{DIGEST[:12]}…"),
    phase(3, "Definition", 0.6, "web:42"),
    phase(4, "Release", 0.4, "web moves from web:41 to web:42"),
]
STEPS = [
    BuildStep(name="[1/2] FROM python:3.13-slim", seconds=0.1, cached=True),
    BuildStep(name="[2/2] RUN pip install -r requirements.txt", seconds=31.4, cached=False),
]
CRASH = {
    "why": "2 tasks of the new revision stopped: container 'app' exited with code 1",
    "fix": "Correct what the proof below names, then push again.",
    "evidence": [
        "task 7c1d: container 'app' exited with code 1 - Essential container in task exited",
        "event: (service web) is unable to consistently start tasks successfully.",
    ],
    "log_tail": ["Traceback (most recent call last):", "KeyError: 'DATABASE_URL'"],
}

STORIES: dict[str, Story] = {
    "deployed": story(
        facts=facts("deployed"),
        what="web runs web:42, verified, after 3 min 05 s.",
        phases=[*BEFORE, phase(5, "Follow", 90), phase(6, "Verify", 6.0)],
        build_steps=STEPS,
        changes=["containerDefinitions.app.image: web:1 → web:2"],
        verification=[
            f"2 tasks run web:42 with {DIGEST}.",
            "https://web.example.com/health?deep=1&v=2 gave 3 good answers in a row.",
        ],
        notes=["The tag `v1` was not moved: the repository is IMMUTABLE and the tag exists."],
    ),
    "unchanged": story(
        facts=facts("unchanged", task_definition_arn=OLD_REVISION, deployment_id="", url=""),
        what="web already runs this image and definition (web:41); nothing was changed.",
        phases=[BEFORE[0], phase(2, "Verify", 20)],
        verification=["2 tasks run web:41.", "No endpoint was probed."],
    ),
    "deployed-unverified": story(
        facts=facts("deployed-unverified", url=""),
        what="web is set to web:42, but its desired count is 0.",
    ),
    "rolled-back": story(
        facts=facts("rolled-back", rolled_back="true"),
        what="The new revision of web failed. web is back on web:41.",
        rollback="ECS rolled back to web:41. 2 tasks run web:41.",
        phases=[*BEFORE, phase(5, "Follow", 63, failed=True), phase(6, "Roll back", 38)],
        changes=["containerDefinitions.app.image: web:1 → web:2"],
        **CRASH,
    ),
    "rollback-failed": story(
        facts=facts("rollback-failed"),
        what="The new revision of web failed. web could NOT be put back on web:41.",
        **{
            **CRASH,
            "why": "A task could not start. Then, rolling back: it did not finish in 10 minutes.",
            "fix": "Act now, by hand:\naws ecs describe-services --cluster prod --services web\n"
            "aws ecs update-service --cluster prod --service web --task-definition web:41",
        },
    ),
    "superseded": story(
        facts=facts("superseded"),
        what="The release of web was replaced by deployment ecs-svc/3 (web:43).",
        why="Somebody else changed the service.",
        fix="If that was a newer run of this workflow, nothing is to be done.",
    ),
    "unknown": story(
        facts=facts("unknown"),
        what="The release of web could not be followed to its end.",
        why="ecs:DescribeServices: ExpiredTokenException: expired.",
        fix="Ask for a longer session.",
    ),
    "blocked": story(
        facts=Facts(verdict="blocked", previous_task_definition_arn=OLD_REVISION),
        what="The inputs do not fit the task definition.",
        why="The model of the AWS API does not know it like this:\n- `a` is unknown\n- `b` is, too",
        fix="Correct the named keys.",
        phases=[phase(1, "Check", 1.2, failed=True)],
    ),
    "build-failed": story(
        facts=Facts(verdict="build-failed", previous_task_definition_arn=OLD_REVISION),
        what="The image was not built.",
        why="In the step '[2/2] RUN make' (line 2 of the Dockerfile): exit code: 2",
        fix="Correct the step; the same build fails on any machine with `docker build`.",
        evidence=["make: *** [all] Error 2"],
        build_steps=[
            STEPS[0],
            BuildStep(name="[2/2] RUN make", seconds=3.2, cached=False, failed=True),
        ],
        phases=[BEFORE[0], phase(2, "Image", 4.1, failed=True)],
    ),
    "cancelled": story(
        facts=Facts(previous_task_definition_arn=OLD_REVISION, duration_seconds="12.0"),
        ending="cancelled",
        what="The run was cancelled.",
        rollback="No release had been started; the service was not touched.",
    ),
}


@pytest.mark.parametrize("name", STORIES)
def test_the_page_is_the_golden_one(name: str, *, update: bool) -> None:
    page, golden = render(STORIES[name]), GOLDEN / f"{name}.md"
    if update:
        golden.write_text(page, encoding="utf-8")

    assert page == golden.read_text("utf-8")


def test_every_golden_page_has_its_story() -> None:
    assert {path.stem for path in GOLDEN.iterdir()} == set(STORIES)


def test_only_the_last_build_steps_are_shown() -> None:
    steps = [BuildStep(name=f"step {n};", seconds=1, cached=False) for n in range(100)]

    page = render(story(facts=facts("deployed"), build_steps=steps))

    assert f"step {100 - STEPS_SHOWN - 1};" not in page
    assert f"step {100 - STEPS_SHOWN};" in page
    assert "step 99;" in page


# -- nothing foreign acts --

HOSTILE = {
    "HTML": "<img src=x onerror=y><script>z</script>",
    "the end of a fold": "</details></details>\n\n## taken over",
    "a link": "[click](https://evil.example)",
    "a link behind a backslash": "\\[click](https://evil.example)",
    "an image": "![x](https://evil.example/pixel)",
    "the end of a code block": "```\n# taken over\n```",
    "the end of a longer code block": "`````\n# taken over",
    "the end of code in a line": "a` <b>bold</b> `b",
    "another cell and another row": "a | b | c\n| d | e |",
    "a bar behind a backslash": "a \\| b",
    "an entity": "&lt;b&gt;",
    "headings": "# one\n## two\nthree\n===\nfour\n---",
    "a fence of the other kind": "~~~\nx",
    "a quote": "> taken over",
    "colours and bells": "\x1b[31mred\x1b[0m\x07",
    "text that turns around": "user\u202etxt.exe",
}


def everywhere(text: str) -> Story:
    """A story with this text wherever something foreign can stand."""
    known: Any = dict.fromkeys(("image_uri", "image_digest", "deployment_id", "url"), text)
    return story(
        service=text,
        cluster=text,
        region=text,
        facts=facts("rolled-back", **known),
        what=text,
        why=f"{text}\n{text}",
        fix=f"{text}\n{text}",
        rollback=text,
        verification=[text],
        notes=[text],
        evidence=[text],
        log_tail=[text],
        changes=[text],
        phases=[phase(1, "Check", 1, text)],
        build_steps=[BuildStep(name=text, seconds=1, cached=False)],
    )


def outside_of_code(page: str) -> str:
    """The page without code blocks and code in lines, which Markdown leaves alone."""
    without_blocks = re.sub(r"^(`{3,})text\n.*?^\1$", "", page, flags=re.MULTILINE | re.DOTALL)
    return re.sub(r"`[^`\n]*`", "", without_blocks)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_foreign_opens_or_closes_anything(text: str) -> None:
    plain, hostile = render(everywhere("harmless")), render(everywhere(text))

    def structure(page: str) -> list[str]:
        acting = r"</?[a-z]+|^#+ |^[~`]{3}|^[=-]{3}|^> |\[[^\]]*\]\("
        return re.findall(acting, outside_of_code(page), re.MULTILINE)

    assert structure(hostile) == structure(plain)


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_nothing_foreign_adds_a_cell_or_a_row(text: str) -> None:
    table = render(everywhere(text)).partition("| | |\n")[2].partition("\n\n")[0]

    assert len(table.splitlines()) == 9
    assert {row.count("|") for row in table.splitlines()} == {3}


def test_text_that_looks_like_an_entity_is_shown_as_it_is() -> None:
    assert "&amp;lt;b&amp;gt;" in render(story(facts=facts("deployed"), what="&lt;b&gt;"))


@pytest.mark.parametrize("text", ["\x1b[31mred", "a\x07b", "\u202eabc"])
def test_no_control_character_gets_into_the_page(text: str) -> None:
    assert (
        re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f\u202a-\u202e]", render(everywhere(text))) is None
    )


def test_an_address_stays_one_that_can_be_clicked() -> None:
    page = render(STORIES["deployed"])

    assert "| Endpoint | https://web.example.com/health?deep=1&v=2 |" in page
