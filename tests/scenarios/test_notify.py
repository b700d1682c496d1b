"""`notify`: who is told what, when, and that nothing of it changes a verdict."""

from __future__ import annotations

import signal

import pytest

from deploy_action.notify import secrets_of
from deploy_action.ports import Notice
from tests.scenarios.stage import CRASHING, Outcome, Stage
from tests.simulator import Behaviour

TOKEN = "TIiajkdnlazkcOXrIdevi7FQ"
SLACK = f"slack://T1JJ3T3L2/A1BRTD4JD/{TOKEN}/#deploys"
RUN = "https://github.com/acme/shop/actions/runs/4711"


def told(stage: Stage) -> Notice:
    """The only message."""
    ((url, notice),) = stage.notices.sent
    assert url == SLACK
    return notice


def everything(outcome: Outcome) -> str:
    """All that others can read, without the lines that tell the runner what to hide."""
    log = [line for line in outcome.log.splitlines() if not line.startswith("::add-mask::")]
    return "\n".join([*log, outcome.summary, str(outcome.outputs), str(outcome.report)])


def test_a_good_end_is_told(stage: Stage) -> None:
    outcome = stage.deploy(notify=SLACK)

    notice = told(stage)
    assert notice.is_good
    assert notice.title == "prod/web: deployed"
    assert notice.body.splitlines() == [outcome.report["what"], "Revision: web:2", f"Run: {RUN}"]
    assert "notices sent: 1 of 1" in outcome.log


def test_a_bad_end_is_told_with_its_reason_in_a_line(stage: Stage) -> None:
    stage.world.builder.behaviour = CRASHING

    stage.deploy(notify=SLACK)

    notice = told(stage)
    assert not notice.is_good
    assert notice.title == "prod/web: rolled-back"
    assert "Why: Container 'web' exited with code 1: the setting DATABASE_URL" in notice.body
    assert len(notice.body.splitlines()) == 4


def test_what_was_refused_is_told(stage: Stage) -> None:
    stage.deploy(notify=SLACK, image_tag="x", minimum_healthy_percent="100", maximum_percent="100")

    assert told(stage).title == "prod/web: blocked"


def test_a_message_holds_no_secret_of_the_service(stage: Stage) -> None:
    secret = "postgres://user:hunter2-hunter2@db/shop"
    stage.world.builder.behaviour = Behaviour(
        crash_exit_code=1, crash_log_lines=(f"cannot reach {secret}",)
    )

    stage.deploy(notify=SLACK, environment_variables=f"DATABASE_URL={secret}")

    assert "hunter2" not in told(stage).body


def test_the_post_step_tells_of_a_run_that_was_cut_off(stage: Stage) -> None:
    stage.world.at(60, lambda: signal.raise_signal(signal.SIGINT))

    stage.deploy(notify=SLACK)
    assert not stage.notices.sent
    stage.finish()

    assert told(stage).title == "prod/web: put back"


def test_a_run_that_is_cancelled_before_it_began_is_told_at_once(stage: Stage) -> None:
    stage.world.at(10, lambda: signal.raise_signal(signal.SIGINT))

    assert stage.deploy(notify=SLACK).code == 128 + signal.SIGINT
    stage.finish()

    assert told(stage).title == "prod/web: cancelled"
    assert stage.notices.seconds == [2.0]


def test_a_plan_bothers_nobody(stage: Stage) -> None:
    stage.deploy(operation="plan", notify=SLACK)

    assert not stage.notices.sent


def test_a_message_that_is_not_taken_is_said_and_changes_nothing(stage: Stage) -> None:
    stage.notices.problem = "Slack refused it (HTTP 403)"

    outcome = stage.deploy(notify=SLACK)

    assert (outcome.code, outcome.verdict) == (0, "deployed")
    assert "A notice was not sent: Slack refused it (HTTP 403)." in outcome.log


def test_the_address_is_a_secret(stage: Stage) -> None:
    stage.notices.problem = f"Slack said {TOKEN} is not known"

    outcome = stage.deploy(notify=SLACK, image_tag=TOKEN)

    assert f"::add-mask::{SLACK}" in outcome.log
    assert f"::add-mask::{TOKEN}" in outcome.log
    assert SLACK not in everything(outcome)
    assert TOKEN not in outcome.summary
    assert "Slack said *** is not known" in outcome.log


@pytest.mark.parametrize(
    ("line", "hidden"),
    [
        (SLACK, {SLACK, "T1JJ3T3L2", "A1BRTD4JD", TOKEN}),
        (
            "mailto://robot:pass@mail.example.com?to=team-releases",
            {"mailto://robot:pass@mail.example.com?to=team-releases", "pass"},
        ),
        (
            "sns://AKIAEXAMPLE/sEcReTkEy/eu-west-1/releases",
            {"sns://AKIAEXAMPLE/sEcReTkEy/eu-west-1/releases", "AKIAEXAMPLE", "sEcReTkEy"},
        ),
        ("arn:aws:sns:eu-west-1:123456789012:releases", set()),
    ],
)
def test_what_is_secret_of_an_address_is_hidden_and_nothing_else(
    line: str, hidden: set[str]
) -> None:
    assert set(secrets_of([line])) == hidden


@pytest.mark.parametrize(
    "wrong", [f"slak://{TOKEN}", TOKEN, "arn:aws:sns:eu-west-1:1:short", f"slack://{TOKEN}"]
)
def test_an_address_that_is_none_is_invalid_and_not_repeated(stage: Stage, wrong: str) -> None:
    outcome = stage.deploy(notify=f"{SLACK}\n{wrong}")

    assert (outcome.code, outcome.verdict) == (2, "invalid")
    assert "`notify`: a line is neither a URL that Apprise knows" in outcome.log
    assert TOKEN not in everything(outcome)
    assert not stage.world.history.calls


def test_a_topic_is_told_with_the_steps_own_credentials(stage: Stage) -> None:
    topic = stage.world.topic("releases")

    outcome = stage.deploy(notify=f"{topic}\n{SLACK}")

    ((subject, message),) = stage.world.state.topics[topic]
    assert subject == "prod/web: deployed"
    assert RUN in message
    assert "notices sent: 2 of 2" in outcome.log


def test_a_topic_that_refuses_changes_nothing(stage: Stage) -> None:
    topic = stage.world.topic("releases")
    stage.world.deny("sns:Publish")

    outcome = stage.deploy(notify=topic)

    assert outcome.verdict == "deployed"
    assert "A notice was not sent: the SNS topic releases: sns:Publish" in outcome.log
    assert "Allow `sns:Publish`" in outcome.log
    assert "notices sent: 0 of 1" in outcome.log


def test_without_credentials_a_topic_cannot_be_told(stage: Stage) -> None:
    topic = stage.world.topic("releases")
    stage.world.deny("sts:GetCallerIdentity")

    outcome = stage.deploy(notify=topic)

    assert outcome.verdict == "blocked"
    assert "the SNS topic releases needs credentials, and the job has none" in outcome.log
