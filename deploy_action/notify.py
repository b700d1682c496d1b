"""Tell people how a run ended: one short message, which never changes the verdict."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING

from deploy_action.errors import SUCCESSES, AwsError
from deploy_action.gateways.notices import problem
from deploy_action.model import revision_of
from deploy_action.ports import Notice, Notices
from deploy_action.report.journal import Story

if TYPE_CHECKING:
    from deploy_action.gateways.sns import Sns
    from deploy_action.report.journal import Journal

TOPIC = re.compile(r"arn:aws[\w-]*:sns:[a-z0-9-]+:\d{12}:[\w-]+")
LONGEST_SECONDS = 10.0
HURRIED_SECONDS = 2.0
"""After a cancellation, when the runner kills within seconds."""
LONGEST_LINE = 300
SHORTEST_SECRET, LONGEST_WORD = 8, 16
WORDS = re.compile(r"[a-z]+(-[a-z]+)*(-\d+)?")
PASSWORD = re.compile(r"[^/:@]*:([^/@]{4,})@")
QUIET = frozenset({"plan"})
"""Operations that nobody needs to be told of."""


def check_address(line: str) -> None:
    """Raise ValueError, without a secret part, for what no message can be sent to."""
    wrong = "" if TOPIC.fullmatch(line) else problem(line)
    if wrong:
        raise ValueError(f"a line {wrong}")


def secrets_of(lines: Iterable[str]) -> Iterator[str]:
    """What is to be hidden: the URLs and their parts, but for ARNs and names of hosts."""
    for line in lines:
        if TOPIC.fullmatch(line):
            continue
        yield line
        rest = line.partition("://")[2]
        if found := PASSWORD.match(rest):
            yield found[1]
        yield from filter(_is_telling, re.split(r"[/:@?&=#,]+", rest))


def _is_telling(part: str) -> bool:
    """Whether it may be a secret: hiding a host, a region or a channel would spoil the log."""
    is_word = len(part) <= LONGEST_WORD and WORDS.fullmatch(part)
    return len(part) >= SHORTEST_SECRET and "." not in part and not is_word


def message(story: Story) -> Notice:
    """Verdict, service, revision, the reason in a line, the run."""
    verdict = story.ending or story.facts.verdict
    is_good = story.facts.verdict in SUCCESSES and not story.ending
    revision = revision_of(story.facts.task_definition_arn)
    lines = [
        _line(story.what),
        f"Why: {_line(story.why)}" if story.why and not is_good else "",
        f"Revision: {revision}" if revision else "",
        f"Run: {story.run.url}" if story.run.url else "",
    ]
    where = f"{story.cluster}/{story.service}" if story.cluster else story.service
    return Notice(
        title=f"{where}: {verdict}",
        body="\n".join(line for line in lines if line),
        is_good=is_good,
    )


class Notifier:
    """Knows whom to tell. `sns` is there once AWS accepted the job's credentials."""

    def __init__(self, lines: Sequence[str], notices: Notices, journal: Journal) -> None:
        self.sns: Sns | None = None
        self._topics = [line for line in lines if TOPIC.fullmatch(line)]
        self._urls = [line for line in lines if not TOPIC.fullmatch(line)]
        self._notices = notices
        self._journal = journal

    def tell(self, *, is_hurried: bool = False) -> None:
        """Send the message, and say in the log where that failed. Raises nothing."""
        if not (self._topics or self._urls):
            return
        try:
            self._tell(HURRIED_SECONDS if is_hurried else LONGEST_SECONDS)
        except Exception as error:  # noqa: BLE001 - the verdict stands, whatever a message does
            self._journal.console.line(f"no notice was sent: {type(error).__name__}")

    def _tell(self, seconds: float) -> None:
        redact = self._journal.redact
        plain = message(self._journal.story)
        notice = Notice(title=redact(plain.title), body=redact(plain.body), is_good=plain.is_good)
        failed = [self._publish(topic, notice) for topic in self._topics]
        if self._urls:
            failed += self._notices.send(self._urls, notice, timeout_seconds=seconds)
        for reason in failed:
            if reason:
                self._journal.console.warning(f"A notice was not sent: {reason}.")
        count = failed.count(None)
        self._journal.console.line(f"notices sent: {count} of {len(failed)}")

    def _publish(self, topic: str, notice: Notice) -> str | None:
        name = topic.rpartition(":")[2]
        if self.sns is None:
            return f"the SNS topic {name} needs credentials, and the job has none"
        try:
            self.sns.publish(topic, notice.title, notice.body)
        except AwsError as error:
            return f"the SNS topic {name}: {error}. {error.brief_fix}"
        return None


def _line(text: str) -> str:
    """The first line, not longer than a phone shows."""
    first = text.strip().partition("\n")[0]
    return first if len(first) <= LONGEST_LINE else first[: LONGEST_LINE - 1] + "…"
