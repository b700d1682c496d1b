"""Judge an endpoint: what a good answer is, and whether one came.

Pure except `probe`, which makes exactly one request. The waiting is elsewhere.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from deploy_action.ports import Answer, Http, NoAnswer, Silence

PROBE_SECONDS = 5.0
"""Longest wait for one answer: as patient as the default check of a target group (AWS: 5 s)."""
BODY_SHOWN = 200
"""Characters of a wrong body that are worth a line of the log."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """What makes an answer good. `json` holds (JSON pointer, text) pairs."""

    statuses: tuple[range, ...]
    body: re.Pattern[str] | None = None
    json: tuple[tuple[str, str], ...] = ()

    def problem(self, answer: Answer) -> str | None:
        """Why the answer is not good, in words; None where it is."""
        if not any(answer.status in status for status in self.statuses):
            return self._wrong_status(answer)
        if self.body is not None and not self.body.search(answer.body):
            return f"the body does not match {self.body.pattern!r}: {_shown(answer.body)}"
        if not self.json:
            return None
        try:
            document = json.loads(answer.body)
        except ValueError:
            return f"the body is not JSON: {_shown(answer.body)}"
        for pointer, wanted in self.json:
            found = resolve(document, pointer)
            if found != wanted:
                seen = "nothing" if found is None else repr(found)
                return f"{pointer} is {seen}, expected {wanted!r}"
        return None

    def as_before(self, answer: Answer | None) -> Expectation | None:
        """What an answer from before the release satisfied: all that "as it was" can mean.

        The old version cannot report the new one's version, so a body or JSON
        expectation binds the old revision only where it held before.
        """
        if answer is None or replace(self, body=None, json=()).problem(answer):
            return None
        if self.problem(answer) is None:
            return self
        return replace(self, body=None, json=())

    def _wrong_status(self, answer: Answer) -> str:
        said = f"it answered {answer.status}"
        if location := answer.headers.get("location"):
            return (
                f"{said}, a redirect to {location}; redirects are not followed, so use the final "
                "address or add the status to `health-status`"
            )
        return f"{said}, expected {describe_statuses(self.statuses)}: {_shown(answer.body)}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where to ask."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    found: str = "`health-url`"
    """How the address came about, for the report."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """The outcome of one request."""

    problem: str | None
    answer: Answer | None = None
    silence: NoAnswer | None = None


def probe(http: Http, endpoint: Endpoint, expectation: Expectation) -> Probe:
    """Ask once."""
    try:
        answer = http.get(endpoint.url, headers=endpoint.headers, timeout_seconds=PROBE_SECONDS)
    except NoAnswer as silence:
        return Probe(problem=_words(silence), silence=silence)
    return Probe(problem=expectation.problem(answer), answer=answer)


def parse_status(text: str) -> range:
    """`200` or `200-299` as a range; raise ValueError."""
    found = re.fullmatch(r"([1-5]\d\d)(?:-([1-5]\d\d))?", text)
    if not found or (found[2] and found[2] < found[1]):
        msg = f"{text!r} is neither a status code nor a range such as 200-299"
        raise ValueError(msg)
    return range(int(found[1]), int(found[2] or found[1]) + 1)


def describe_statuses(statuses: tuple[range, ...]) -> str:
    """`200` or `200-204 or 301`."""
    return " or ".join(f"{s.start}" if len(s) == 1 else f"{s.start}-{s.stop - 1}" for s in statuses)


def parse_body(text: str) -> re.Pattern[str]:
    """`/regex/`, or any other text to be found as it is; raise ValueError."""
    if len(text) > 1 and text.startswith("/") and text.endswith("/"):
        try:
            return re.compile(text[1:-1])
        except re.error as error:
            msg = f"{text} is not a regular expression: {error}"
            raise ValueError(msg) from error
    return re.compile(re.escape(text))


def parse_json(text: str) -> tuple[str, str]:
    """`/pointer=value`; raise ValueError. The pointer is a JSON pointer (RFC 6901)."""
    pointer, equals, value = text.partition("=")
    if not equals or not pointer.startswith("/"):
        msg = f"{text!r} is not of the form /pointer=value"
        raise ValueError(msg)
    return pointer, value


def parse_header(text: str) -> tuple[str, str]:
    """`Name: value` or `Name=value`; raise ValueError without repeating the value."""
    found = re.fullmatch(r"([A-Za-z0-9!#$%&'*+.^_`|~-]+)\s*[:=]\s*(.*)", text)
    if not found:
        msg = "a line is not of the form Name: value"
        raise ValueError(msg)
    return found[1], found[2]


def resolve(document: Any, pointer: str) -> str | None:  # noqa: ANN401 - any JSON value
    """The value at a JSON pointer, as text; None where there is none."""
    here = document
    for raw in pointer.split("/")[1:]:
        part = raw.replace("~1", "/").replace("~0", "~")
        if isinstance(here, dict) and part in here:
            here = here[part]
        elif isinstance(here, list) and part.isdecimal() and int(part) < len(here):
            here = here[int(part)]
        else:
            return None
    return here if isinstance(here, str) else json.dumps(here)


def _shown(body: str) -> str:
    text = " ".join(body.split())
    if not text:
        return "the body is empty"
    return repr(text if len(text) <= BODY_SHOWN else text[:BODY_SHOWN] + "…")


def _words(silence: NoAnswer) -> str:
    match silence.silence:
        case Silence.DNS:
            return f"its name cannot be resolved ({silence.detail}); check the host name"
        case Silence.REFUSED:
            return "the connection was refused; nothing listens there"
        case Silence.TIMEOUT:
            return (
                f"no answer within {PROBE_SECONDS:.0f} s; the runner may not reach it "
                "(internal load balancer, security group), or it hangs"
            )
        case Silence.TLS:
            return (
                f"the TLS handshake failed ({silence.detail}); use the host name that is in the "
                "certificate"
            )
        case Silence.BROKEN:
            return f"the connection broke before an answer came ({silence.detail})"
