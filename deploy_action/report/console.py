"""The log: lines and groups as the GitHub runner understands them, on one stream.

The runner executes what looks like one of its commands, so text from elsewhere
is made harmless inside our lines and fenced where it stands alone.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import TextIO

from deploy_action.report.redact import SHORTEST_LINE, Redactor

ANNOTATION_LIMIT = 4000
"""The runner cuts an annotation at 4,096 characters."""
LINE_LIMIT = 2000
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069]")
"""Control characters, and those that turn the direction of text around."""


class Console:
    """Writes the log. Every text passes the redactor."""

    def __init__(self, stream: TextIO, redact: Redactor) -> None:
        self._stream = stream
        self._redact = redact
        self.is_brief = False
        """Whether what went well needs no line."""

    def progress(self, elapsed: str, text: str) -> None:
        """A line about something that is being waited for."""
        self.line(f"{elapsed:>9}  {text}")

    def line(self, text: str = "") -> None:
        """One or more lines of ours."""
        for part in text.split("\n"):
            self._write(harmless(self._clean(part)))

    def foreign(self, lines: Iterable[str]) -> None:
        """Lines that another program wrote: the runner must not act on them."""
        shown = [self._clean(part)[:LINE_LIMIT] for line in lines for part in line.split("\n")]
        if not shown:
            return
        fence = secrets.token_hex(16)
        self._write(f"::stop-commands::{fence}")
        for line in shown:
            self._write(f"    {line}")
        self._write(f"::{fence}::")

    def open_group(self, title: str) -> None:
        self._write(f"::group::{' '.join(self._clean(title).split())}")

    def close_group(self) -> None:
        self._write("::endgroup::")

    def mask(self, value: str) -> None:
        """Have the runner hide this value in the log of this and of every later step."""
        lines = value.splitlines()
        for line in lines:
            if len(line.strip()) >= (SHORTEST_LINE if len(lines) > 1 else 1):
                self._write(f"::add-mask::{_escaped(line)}")

    def warning(self, text: str) -> None:
        self._annotate("warning", "", text)

    def error(self, title: str, text: str) -> None:
        self._annotate("error", f" title={_escaped_property(self._clean(title))}", text)

    def _annotate(self, kind: str, properties: str, text: str) -> None:
        self._write(f"::{kind}{properties}::{_escaped(self._clean(text)[:ANNOTATION_LIMIT])}")

    def _clean(self, text: str) -> str:
        # Twice: a secret may hold control characters, and colours may cut one in two.
        return self._redact(visible(self._redact(text)))

    def _write(self, text: str) -> None:
        self._stream.write(text + "\n")
        self._stream.flush()


def harmless(text: str) -> str:
    """The text with nothing in it that the runner would take for a command."""
    text = visible(text)
    if text.lstrip().startswith("::"):
        text = text.replace("::", ":\u200b:", 1)
    return text.replace("##[", "#\u200b#[")


def visible(text: str) -> str:
    """The text with control characters spelled out; colours of a terminal are dropped."""
    text = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text)
    return CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


def _escaped(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _escaped_property(text: str) -> str:
    return _escaped(text).replace(":", "%3A").replace(",", "%2C")
