"""Keep secrets out of everything that is written.

The runner masks what it was told to mask, but only in the log; the summary,
the outputs and the report are ours to keep clean.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

HIDDEN = "***"
SECRET_NAME = re.compile(
    r"pass|secret|token|credential|private|api_?key|access_?key|auth|dsn|conn(ection)?_?str"
    r"|database_url|signing|salt",
    re.IGNORECASE,
)
PLAIN_VALUE = re.compile(r"[A-Za-z]{1,12}|[0-9.]{1,7}")
"""A single word or a small number: never a secret by its looks, and hiding it spoils a log."""
SHORTEST = 6
"""A value shorter than this is only hidden where its name says that it is a secret."""
SHORTEST_NAMED, SHORTEST_LINE = 4, 4
"""Even then: `AUTH_LEVEL=1` and the `}` of a key file would blot out half of the log."""
SWITCHES = frozenset({"true", "false", "none", "null", "enabled", "disabled"})
"""Values of names such as `AUTH_ENABLED`, which are everyday words of a log."""


class Redactor:
    """Replaces known secrets, longest first, wherever they occur."""

    def __init__(self) -> None:
        self._secrets: set[str] = set()
        self._pattern: re.Pattern[str] | None = None

    def hide(self, values: Iterable[str]) -> None:
        """Hide these values from now on, and each longer line of those that have several."""
        for value in values:
            lines = (line.strip() for line in value.splitlines())
            self._secrets |= {line for line in lines if len(line) >= SHORTEST_LINE}
            self._secrets |= {value.strip()} - {""}
        ordered = sorted(self._secrets, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, ordered))) if ordered else None

    def hide_environment(self, environment: Mapping[str, str]) -> None:
        """Hide the values of a container's environment that may be secrets."""
        self.hide(v for name, v in environment.items() if may_be_secret(name, v))

    def __call__(self, text: str) -> str:
        """The text without the secrets."""
        return self._pattern.sub(HIDDEN, text) if self._pattern else text

    def tree(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """A JSON value without the secrets."""
        if isinstance(value, str):
            return self(value)
        if isinstance(value, Mapping):
            return {key: self.tree(item) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [self.tree(item) for item in value]
        return value


def may_be_secret(name: str, value: str) -> bool:
    """By its name, or because it is neither a plain word nor a small number."""
    if len(value) < SHORTEST_NAMED or value.lower() in SWITCHES:
        return False
    if SECRET_NAME.search(name):
        return True
    return len(value) >= SHORTEST and not PLAIN_VALUE.fullmatch(value)
