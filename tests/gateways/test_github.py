"""The runner: files for outputs, state, summary and report; tokens of the job."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.github import (
    SUMMARY_LIMIT,
    RunnerFiles,
    can_ask_for_token,
    identity_token,
    saved_state,
)
from deploy_action.ports import Answer, NoAnswer, Silence
from tests.unit.builders import FakeHttp, answer

RUNNERS_LIMIT = 1024 * 1024
"""Bytes above which the runner refuses a step summary."""


def parsed(text: str) -> dict[str, str]:
    """A file command as the runner reads it (FileCommandManager.cs)."""
    found: dict[str, str] = {}
    lines = iter(text.split("\n"))
    for line in lines:
        if not line:
            continue
        name, equals, value = line.partition("=")
        head, heredoc, delimiter = line.partition("<<")
        if heredoc and len(head) < len(name if equals else line):
            body: list[str] = []
            for inner in lines:
                if inner == delimiter:
                    break
                body.append(inner)
            else:
                pytest.fail(f"the delimiter of {head!r} is missing")
            found[head] = "\n".join(body)
        else:
            found[name] = value
    return found


@pytest.fixture
def files(tmp_path: Path) -> dict[str, str]:
    """The environment of a step whose files are there and empty."""
    (tmp_path / "workspace").mkdir()
    environ = {"GITHUB_WORKSPACE": str(tmp_path / "workspace")}
    for name in ("GITHUB_OUTPUT", "GITHUB_STATE", "GITHUB_STEP_SUMMARY"):
        (tmp_path / name).touch()
        environ[name] = str(tmp_path / name)
    return environ


VALUES = {
    "a word": "deployed",
    "nothing": "",
    "several lines": "one\ntwo\n\nfour",
    "a trailing line end": "one\n",
    "an equals sign": "a=b",
    "what looks like another output": "x\nverdict=deployed\nverdict<<EOF\ndeployed\nEOF",
    "a delimiter as it might be": "x\nEOF\nend-0123456789abcdef\nverdict=deployed",
    "a carriage return": "one\rtwo",
    "letters of the world": "größer → ✓",
}


@pytest.mark.parametrize("value", VALUES.values(), ids=VALUES.keys())
def test_an_output_arrives_as_it_was_given(files: dict[str, str], value: str) -> None:
    runner = RunnerFiles(files)

    runner.set_output("failure-cause", value)
    runner.set_output("image", "web:1")

    written = Path(files["GITHUB_OUTPUT"]).read_bytes().decode()
    assert parsed(written) == {"failure-cause": value, "image": "web:1"}


def test_no_two_outputs_share_a_delimiter(files: dict[str, str]) -> None:
    runner = RunnerFiles(files)
    for _ in range(5):
        runner.set_output("image", "x")

    lines = Path(files["GITHUB_OUTPUT"]).read_text().splitlines()
    assert len({line for line in lines if line.startswith("image<<")}) == 5


def test_the_later_value_of_an_output_wins(files: dict[str, str]) -> None:
    runner = RunnerFiles(files)
    for value in ("false", "true"):
        runner.set_output("rolled-back", value)

    assert parsed(Path(files["GITHUB_OUTPUT"]).read_text()) == {"rolled-back": "true"}


def test_what_another_step_wrote_stays(files: dict[str, str]) -> None:
    output = Path(files["GITHUB_OUTPUT"])
    output.write_text("before=1\n")

    RunnerFiles(files).set_output("image", "web:1")

    assert parsed(output.read_text()) == {"before": "1", "image": "web:1"}


# -- state --


def test_the_post_step_gets_what_the_main_step_saved(files: dict[str, str]) -> None:
    RunnerFiles(files).save_state("intent", '{"a": 1}')

    saved = parsed(Path(files["GITHUB_STATE"]).read_text())
    assert saved_state({f"STATE_{k}": v for k, v in saved.items()} | {"OTHER": "x"}) == {
        "intent": '{"a": 1}'
    }


def test_what_was_saved_too_late_for_the_runner_is_read_from_the_file(
    files: dict[str, str],
) -> None:
    runner, path = RunnerFiles(files), files["GITHUB_STATE"]
    runner.save_state("verdict", "rolled-back")
    runner.save_state("intent", "two\nlines")

    state = saved_state({"STATE_file": path, "STATE_intent": "early"})

    assert state == {"file": path, "intent": "two\nlines", "verdict": "rolled-back"}


def test_a_file_of_state_that_is_gone_changes_nothing(tmp_path: Path) -> None:
    environ = {"STATE_file": str(tmp_path / "gone"), "STATE_intent": "early"}

    assert saved_state(environ)["intent"] == "early"


def test_a_step_that_outlives_its_client_saves_where_the_post_step_will_look(
    files: dict[str, str], tmp_path: Path
) -> None:
    runner = RunnerFiles({**files, "RUNNER_TEMP": str(tmp_path)})
    runner.begin_state("3f9c2e1d0b7a")
    in_time = parsed(Path(files["GITHUB_STATE"]).read_text())

    Path(files["GITHUB_STATE"]).unlink()
    runner.save_state("verdict", "rolled-back")

    assert in_time["container"] == "3f9c2e1d0b7a"
    assert saved_state({f"STATE_{name}": value for name, value in in_time.items()}) == {
        **in_time,
        "verdict": "rolled-back",
    }


@pytest.mark.parametrize("place", ["", "nowhere"])
def test_without_a_place_for_a_copy_the_state_is_saved_all_the_same(
    files: dict[str, str], tmp_path: Path, place: str
) -> None:
    temporary = str(tmp_path / place) if place else ""
    runner = RunnerFiles({**files, "RUNNER_TEMP": temporary})

    runner.begin_state("3f9c2e1d0b7a")

    assert parsed(Path(files["GITHUB_STATE"]).read_text()) == {"container": "3f9c2e1d0b7a"}


# -- summary --


def test_the_summary_is_appended(files: dict[str, str]) -> None:
    runner = RunnerFiles(files)
    runner.append_summary("# one")
    runner.append_summary("# two")

    assert Path(files["GITHUB_STEP_SUMMARY"]).read_text() == "# one\n# two\n"


@pytest.mark.parametrize("text", ["x", "✓", "🚀"])
def test_a_summary_stays_below_the_limit_of_the_runner(files: dict[str, str], text: str) -> None:
    RunnerFiles(files).append_summary(text * RUNNERS_LIMIT)

    written = Path(files["GITHUB_STEP_SUMMARY"]).read_bytes()
    assert SUMMARY_LIMIT - 4 < len(written) < RUNNERS_LIMIT
    assert set(written.decode()) == {text, "\n"}


# -- outside of a runner --


def test_without_files_nothing_is_written(tmp_path: Path) -> None:
    runner = RunnerFiles({"GITHUB_WORKSPACE": str(tmp_path), "GITHUB_OUTPUT": ""})

    runner.set_output("image", "x")
    runner.save_state("intent", "x")
    runner.append_summary("x")

    assert list(tmp_path.iterdir()) == []


# -- report --


def test_the_report_lies_in_the_workspace_and_git_ignores_it(files: dict[str, str]) -> None:
    workspace = Path(files["GITHUB_WORKSPACE"])

    path = RunnerFiles(files).write_report("web", '{"verdict": "✓"}\n')

    assert path == ".ecs-deploy/web.json"
    assert (workspace / path).read_text("utf-8") == '{"verdict": "✓"}\n'
    assert (workspace / ".ecs-deploy" / ".gitignore").read_text() == "*\n"


def test_two_reports_lie_side_by_side_and_the_later_of_one_name_wins(
    files: dict[str, str],
) -> None:
    runner = RunnerFiles(files)
    for name, text in (("web", "1"), ("jobs", "2"), ("web", "3")):
        runner.write_report(name, text)

    folder = Path(files["GITHUB_WORKSPACE"]) / ".ecs-deploy"
    assert {p.name: p.read_text() for p in folder.glob("*.json")} == {
        "web.json": "3",
        "jobs.json": "2",
    }


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("arn:aws:ecs:eu-west-1:1:service/prod/web", "arn-aws-ecs-eu-west-1-1-service-prod-web"),
        ("../../etc/passwd", "------etc-passwd"),
        ("", "report"),
    ],
)
def test_a_name_of_a_service_cannot_leave_the_folder(
    files: dict[str, str], name: str, file: str
) -> None:
    assert RunnerFiles(files).write_report(name, "x") == f".ecs-deploy/{file}.json"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_the_report_belongs_to_the_owner_of_the_workspace(files: dict[str, str]) -> None:
    workspace = Path(files["GITHUB_WORKSPACE"])
    os.chown(workspace, 1001, 118)

    path = RunnerFiles(files).write_report("web", "x")

    for made in (workspace / path, workspace / ".ecs-deploy", workspace / ".ecs-deploy/.gitignore"):
        assert (made.stat().st_uid, made.stat().st_gid) == (1001, 118)


def test_a_workspace_that_takes_no_files_fails_nothing(tmp_path: Path) -> None:
    (tmp_path / "file").touch()

    for place in (tmp_path / "nowhere", tmp_path / "file"):
        assert RunnerFiles({"GITHUB_WORKSPACE": str(place)}).write_report("web", "x") == ""


# -- the job's token --

JOB = {
    "ACTIONS_ID_TOKEN_REQUEST_URL": "https://token.example/?api-version=2.0",
    "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer-of-the-job",
}


def test_a_token_is_asked_for_with_its_audience() -> None:
    http = FakeHttp(answer(200, '{"value": "eyJ0"}'))

    assert identity_token(JOB, http, "sts.amazonaws.com") == "eyJ0"
    assert http.asked == [
        (
            "https://token.example/?api-version=2.0&audience=sts.amazonaws.com",
            {"Authorization": "bearer bearer-of-the-job"},
        )
    ]


def test_an_audience_is_quoted() -> None:
    http = FakeHttp(answer(200, '{"value": "eyJ0"}'))

    identity_token(JOB, http, "https://a/b?c&d")

    assert http.asked[0][0].endswith("&audience=https%3A%2F%2Fa%2Fb%3Fc%26d")


NO_TOKEN: dict[str, tuple[Answer | NoAnswer, Refusal, str]] = {
    "no answer": (NoAnswer(Silence.TIMEOUT, "slow"), Refusal.UNREACHABLE, "gave no answer"),
    "a server error": (answer(503), Refusal.UNREACHABLE, "answered 503"),
    "too many requests": (answer(429), Refusal.UNREACHABLE, "answered 429"),
    "a denial": (answer(403), Refusal.CREDENTIALS, "answered 403"),
    "no JSON": (answer(200, "<html>"), Refusal.UNREACHABLE, "holds no token"),
    "no value": (answer(200, "{}"), Refusal.UNREACHABLE, "holds no token"),
    "no object": (answer(200, "[]"), Refusal.UNREACHABLE, "holds no token"),
}


@pytest.mark.parametrize(("given", "refusal", "words"), NO_TOKEN.values(), ids=NO_TOKEN.keys())
def test_a_token_that_is_not_given_is_a_refusal_to_assume_the_role(
    given: Answer | NoAnswer, refusal: Refusal, words: str
) -> None:
    with pytest.raises(AwsError) as caught:
        identity_token(JOB, FakeHttp(given), "a")

    assert caught.value.refusal is refusal
    assert caught.value.action == "sts:AssumeRoleWithWebIdentity"
    assert words in caught.value.message
    assert "bearer-of-the-job" not in str(caught.value)


@pytest.mark.parametrize(
    ("environ", "can"), [(JOB, True), ({}, False), ({"ACTIONS_ID_TOKEN_REQUEST_URL": ""}, False)]
)
def test_a_job_without_the_permission_cannot_ask(environ: dict[str, str], *, can: bool) -> None:
    assert can_ask_for_token(environ) is can
