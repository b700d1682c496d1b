"""What is kept while the run goes on, and what is written of it at once."""

from __future__ import annotations

import json
from dataclasses import asdict

import pytest

from deploy_action.errors import Blocked, Cancelled, RolledBack
from deploy_action.report.journal import LINES_REPEATED, Facts, span
from tests.unit.builders import Desk

FAILURE = RolledBack(
    "The new revision of web failed.",
    why="2 tasks stopped:\ncontainer 'app' exited with code 1",
    fix="Correct it:\naws ecs update-service",
    evidence=("task 7c1d: exited", "event: unable"),
)


@pytest.fixture
def desk() -> Desk:
    return Desk()


# -- outputs --


def test_a_fact_is_an_output_at_once(desk: Desk) -> None:
    desk.journal.record(image="web@sha256:77ab", deployment_id="ecs-svc/2")

    assert desk.runner.outputs == [("image", "web@sha256:77ab"), ("deployment-id", "ecs-svc/2")]
    assert desk.story.facts.deployment_id == "ecs-svc/2"


def test_every_fact_is_an_output_under_its_name_with_hyphens(desk: Desk) -> None:
    names = list(asdict(Facts()))

    desk.journal.record(**dict.fromkeys(names, "x"))

    assert [name for name, _ in desk.runner.outputs] == [n.replace("_", "-") for n in names]


@pytest.mark.parametrize("name", ["failure_cause", "url"])
def test_an_output_that_quotes_somebody_shows_no_secret(desk: Desk, name: str) -> None:
    desk.redact.hide(["hunter22"])

    desk.journal.record(**{name: "it said hunter22"})

    assert desk.runner.outputs == [(name.replace("_", "-"), "it said ***")]


def test_a_secret_that_is_an_everyday_word_does_not_spoil_an_identifier(desk: Desk) -> None:
    desk.redact.hide(["true", "deployed", "task"])

    desk.journal.record(
        rolled_back="true", verdict="deployed", task_definition_arn="arn:task-definition/web:1"
    )

    assert [value for _, value in desk.runner.outputs] == [
        "true",
        "deployed",
        "arn:task-definition/web:1",
    ]


# -- phases --


def test_a_phase_is_a_numbered_group_with_its_result_and_time_below(desk: Desk) -> None:
    with desk.journal.phase("Check") as phase:
        desk.journal.say("looking")
        desk.clock.sleep(1.2)
        phase.result = "all is there"
    with desk.journal.phase("Image") as phase:
        phase.result = "web:1"

    assert desk.log == [
        "::group::1 Check",
        "looking",
        "::endgroup::",
        "✓ 1 Check: all is there (1.2 s)",
        "::group::2 Image",
        "::endgroup::",
        "✓ 2 Image: web:1 (0.0 s)",
    ]


def test_the_last_lines_of_a_failed_phase_stand_outside_its_fold(desk: Desk) -> None:
    with desk.journal.phase("Check") as phase:
        for number in range(LINES_REPEATED + 3):
            desk.journal.say(f"line {number}")
        phase.failed = True

    end = desk.log.index("::endgroup::")
    assert desk.log[end + 1] == "✗ 1 Check: did not succeed (0.0 s)"
    assert desk.log[end + 2 :] == [f"  line {n}" for n in range(3, LINES_REPEATED + 3)]


def test_a_phase_can_fail_without_an_error(desk: Desk) -> None:
    with desk.journal.phase("Follow") as phase:
        desk.journal.say("0/2 running")
        phase.failed = True

    assert desk.log[-2:] == ["✗ 1 Follow: did not succeed (0.0 s)", "  0/2 running"]


@pytest.mark.parametrize("end", [KeyboardInterrupt(), Cancelled(15), SystemExit(1)])
def test_a_phase_that_is_cut_off_closes_its_group(desk: Desk, end: BaseException) -> None:
    with pytest.raises(type(end)), desk.journal.phase("Build"):
        raise end

    assert desk.log == [
        "::group::1 Build",
        "::endgroup::",
        "✗ 1 Build: did not succeed (0.0 s)",
    ]
    assert desk.story.phases[0].failed


def fail_inside(desk: Desk) -> None:
    with desk.journal.phase("Outer"):
        desk.journal.say("outside")
        with desk.journal.phase("Inner"):
            desk.journal.say("inside")
            raise Blocked("No.", why="Because.", fix="Mend it.")


def test_a_failure_inside_a_phase_inside_a_phase_fails_both(desk: Desk) -> None:
    with pytest.raises(Blocked):
        fail_inside(desk)

    assert [(p.number, p.title, p.failed) for p in desk.story.phases] == [
        (1, "Outer", True),
        (2, "Inner", True),
    ]
    assert [line for line in desk.log if not line.startswith("::")][-4:] == [
        "✗ 2 Inner: did not succeed (0.0 s)",
        "  inside",
        "✗ 1 Outer: did not succeed (0.0 s)",
        "  outside",
    ]


def test_lines_after_an_inner_phase_belong_to_the_outer_one(desk: Desk) -> None:
    with desk.journal.phase("Outer") as outer:
        with desk.journal.phase("Inner") as inner:
            desk.journal.say("inside")
        desk.journal.say("outside again")

    assert inner.lines == ["inside"]
    assert outer.lines == ["outside again"]


def test_a_line_outside_every_phase_is_only_said(desk: Desk) -> None:
    desk.journal.say("hello")

    assert desk.log == ["hello"]


# -- notes and secrets --


def test_a_note_warns_and_is_kept_for_the_summary(desk: Desk) -> None:
    desk.journal.note("The tag was not moved.")

    assert desk.log == ["::warning::The tag was not moved."]
    assert desk.story.notes == ["The tag was not moved."]


def test_what_is_hidden_is_hidden_here_and_by_the_runner(desk: Desk) -> None:
    desk.journal.hide("hunter22", "swordfish")
    desk.journal.say("hunter22 swordfish")

    assert desk.log == ["::add-mask::hunter22", "::add-mask::swordfish", "*** ***"]


# -- ends --


def test_the_good_end_is_told_with_what_was_verified(desk: Desk) -> None:
    desk.story.verification = ["2 tasks run web:42."]

    desk.journal.succeed("deployed", "web runs web:42.")

    assert desk.log == ["", "deployed: web runs web:42.", "  2 tasks run web:42."]
    assert ("verdict", "deployed") in desk.runner.outputs
    assert desk.runner.state["verdict"] == "deployed"
    assert desk.story.what == "web runs web:42."


def test_the_bad_end_is_one_annotation_and_the_whole_story(desk: Desk) -> None:
    desk.story.log_tail = ["KeyError: 'X'"]

    desk.journal.fail(FAILURE)

    annotations = [line for line in desk.log if line.startswith(("::error", "::warning"))]
    assert len(annotations) == 1
    assert annotations[0] == (
        "::error title=rolled-back::The new revision of web failed. 2 tasks stopped:%0A"
        "container 'app' exited with code 1%0AFix: Correct it:%0Aaws ecs update-service"
    )
    assert desk.log[1:6] == [
        "rolled-back: The new revision of web failed.",
        "Why:   2 tasks stopped:",
        "       container 'app' exited with code 1",
        "Fix:   Correct it:",
        "       aws ecs update-service",
    ]
    told = [line.strip() for line in desk.log]
    assert told.index("Proof:") < told.index("task 7c1d: exited") < told.index("event: unable")
    assert told.index("Last lines of the container:") < told.index("KeyError: 'X'")


def test_the_bad_end_is_in_the_outputs_on_one_line(desk: Desk) -> None:
    desk.journal.fail(FAILURE)

    assert dict(desk.runner.outputs) == {
        "verdict": "rolled-back",
        "failure-cause": "2 tasks stopped: container 'app' exited with code 1",
    }
    assert desk.runner.state["verdict"] == "rolled-back"


def test_a_bad_end_without_proof_has_no_empty_heading(desk: Desk) -> None:
    desk.journal.fail(Blocked("No.", why="Because.", fix="Mend it."))

    assert "Proof:" not in desk.log
    assert "Last lines of the container:" not in desk.log


def test_the_state_for_the_post_step_is_kept_as_it_is(desk: Desk) -> None:
    desk.redact.hide(["hunter22"])

    desk.journal.save_state("intent", '{"service": "web"}')

    assert desk.runner.state == {"intent": '{"service": "web"}'}


def test_report_and_summary_are_written_last_and_show_no_secret(desk: Desk) -> None:
    desk.redact.hide(["hunter22"])
    desk.story.evidence = ["it said hunter22"]
    with desk.journal.phase("Check") as phase:
        desk.journal.say("a line of the log")
        phase.result = "hunter22"
        desk.clock.sleep(61.27)
    desk.journal.succeed("deployed", "web runs web:42.")

    desk.journal.finish(lambda: f"# {desk.story.facts.duration_seconds} hunter22\n")

    report = json.loads(desk.runner.reports["web"])
    assert report["verdict"] == "deployed"
    assert report["duration_seconds"] == "61.3"
    assert report["evidence"] == ["it said ***"]
    assert report["phases"] == [
        {"number": 1, "title": "Check", "result": "***", "seconds": 61.27, "failed": False}
    ]
    assert report["run"]["repository"] == "acme/shop"
    assert desk.runner.summary == "# 61.3 ***\n"
    assert desk.runner.outputs[-2:] == [
        ("duration-seconds", "61.3"),
        ("report", ".ecs-deploy/web.json"),
    ]


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0.0 s"),
        (0.44, "0.4 s"),
        (9.94, "9.9 s"),
        (10, "10 s"),
        (99.4, "99 s"),
        (100, "1 min 40 s"),
        (185, "3 min 05 s"),
        (3600, "60 min 00 s"),
    ],
)
def test_a_time_is_told_as_exactly_as_it_matters(seconds: float, text: str) -> None:
    assert span(seconds) == text
