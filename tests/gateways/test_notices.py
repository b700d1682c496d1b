"""Apprise against a server on this machine, and SNS on moto."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import boto3
import pytest
from moto import mock_aws

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.aws import Clients
from deploy_action.gateways.notices import AppriseNotices, problem
from deploy_action.gateways.sns import Sns
from deploy_action.ports import Notice

GOOD = Notice(title="prod/web: deployed", body="It *runs*.\nRun: https://x/1", is_good=True)
BAD = Notice(title="prod/web: failed", body="It does not.", is_good=False)
SECRET = "TIiajkdnlazkcOXrIdevi7FQ"


class Mailbox(ThreadingHTTPServer):
    """Takes messages; answers with the status that the path names, or not before it may."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.found: list[dict[str, Any]] = []
        self.may_answer = threading.Event()

    def url(self, path: str) -> str:
        return f"json://127.0.0.1:{self.server_port}/{path}"


class _Handler(BaseHTTPRequestHandler):
    server: Mailbox

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.found.append(json.loads(body))
        status = self.path.strip("/").split("/")[0]
        if status == "never":
            self.server.may_answer.wait(30)
            status = "200"
        self.send_response(int(status))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args: object) -> None:
        """Keep the output of the tests clean."""


@pytest.fixture
def mailbox() -> Iterator[Mailbox]:
    server = Mailbox()
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield server
    server.may_answer.set()
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_message_arrives(mailbox: Mailbox) -> None:
    assert AppriseNotices().send([mailbox.url("200")], GOOD, timeout_seconds=20) == [None]
    assert AppriseNotices().send([mailbox.url("200")], BAD, timeout_seconds=20) == [None]

    first, second = mailbox.found
    assert (first["title"], first["message"]) == (GOOD.title, GOOD.body)
    assert (first["type"], second["type"]) == ("success", "failure")


def test_a_refusal_is_told_without_the_address(
    mailbox: Mailbox, capfd: pytest.CaptureFixture[str]
) -> None:
    urls = [mailbox.url(f"403/{SECRET}"), mailbox.url(f"200/{SECRET}")]

    refused, sent = AppriseNotices().send(urls, GOOD, timeout_seconds=20)

    assert refused == "JSON refused it (HTTP 403)"
    assert sent is None
    printed = capfd.readouterr()
    assert printed.out + printed.err == ""


def test_nobody_there_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    assert AppriseNotices().send(["json://127.0.0.1:9/x"], GOOD, timeout_seconds=20) == [
        "JSON did not take it"
    ]
    assert capfd.readouterr().err == ""


def test_one_that_does_not_answer_is_left_behind(mailbox: Mailbox) -> None:
    assert AppriseNotices().send([mailbox.url("never")], GOOD, timeout_seconds=0.1) == [
        "JSON did not answer in time"
    ]


@pytest.mark.parametrize(
    "url",
    [
        f"slack://T1JJ3T3L2/A1BRTD4JD/{SECRET}/#general",
        f"https://hooks.slack.com/services/T1JJ3T3L2/A1BRTD4JD/{SECRET}",
        "mailto://user:password@example.com",
        "workflows://host.example.com/workflow/signature",
        "discord://12345678901234567/abcdefghijklmnopqrstuvwxyz",
    ],
)
def test_addresses_that_can_be_told(url: str) -> None:
    assert problem(url) == ""


@pytest.mark.parametrize(
    ("url", "words"),
    [
        (f"slak://{SECRET}", "(it begins with 'slak')"),
        (f"slack://{SECRET}", "(it begins with 'slack')"),
        ("syslog://", "(it begins with 'syslog')"),
        (SECRET, "nor the ARN of an SNS topic"),
        (f"{SECRET}://x", "nor the ARN of an SNS topic"),
        ("", "is neither"),
    ],
)
def test_addresses_that_are_none(url: str, words: str, capfd: pytest.CaptureFixture[str]) -> None:
    assert words in problem(url)
    assert SECRET not in problem(url)
    assert capfd.readouterr().err == ""


def test_apprise_is_only_loaded_where_it_is_asked_for() -> None:
    code = "import sys; import deploy_action.outside; print('apprise' in sys.modules)"

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout.strip() == "False"


@pytest.fixture
def clients() -> Iterator[Clients]:
    with mock_aws():
        yield Clients(
            boto3.Session(
                aws_access_key_id="testing",
                aws_secret_access_key="testing",
                region_name="us-east-1",
            )
        )


def test_a_topic_is_told_in_its_own_region(clients: Clients) -> None:
    client = clients.get("sns", "eu-west-1")
    topic = client.create_topic(Name="releases")["TopicArn"]

    Sns(clients).publish(topic, "prod/web: über\n" + "x" * 200, "body")

    assert clients.get("sns", topic.split(":")[3]) is client


def test_a_topic_that_is_not_there_is_a_refusal(clients: Clients) -> None:
    topic = "arn:aws:sns:eu-west-1:123456789012:none"

    with pytest.raises(AwsError) as caught:
        Sns(clients).publish(topic, "subject", "body")

    assert caught.value.action == "sns:Publish"
    assert caught.value.refusal is Refusal.MISSING
