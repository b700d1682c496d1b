"""Text of a workflow file, read as the value that an input takes.

Each function takes what the runner passed and raises ValueError for what it
cannot read; the message ends without a full stop and repeats no secret.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable
from typing import Annotated

from pydantic import AfterValidator, BeforeValidator
from pydantic_settings import NoDecode

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
REVISION = re.compile(r"\d+|[A-Za-z0-9_-]+:\d+|arn:[a-z-]+:ecs:[^ ]+:task-definition/[^ ]+:\d+")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
MOST_SERVICES = 100
SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1"})
LONGEST_COMMAND = 8000
"""ECS takes 8192 characters of JSON for all overrides of a task."""


def items(value: object) -> object:
    """One item per line or commas; blank ones are dropped."""
    if isinstance(value, str):
        return tuple(part for part in (p.strip() for p in re.split(r"[\n,]", value)) if part)
    return value


def pairs(value: object) -> object:
    """`KEY=value` lines; a value keeps its commas, its `=` and its inner blanks."""
    if not isinstance(value, str):
        return value
    pairs: dict[str, str] = {}
    for number, line in enumerate(value.splitlines(), start=1):
        if line.strip():
            _add_line(pairs, line, number)
    return pairs


def secret_pairs(value: object) -> object:
    """As `pairs`, and `KEY="…"` may span lines; `""` inside stands for one quote.

    A key file has lines, and this is how docker/build-push-action spells one.
    """
    if not isinstance(value, str):
        return value
    pairs: dict[str, str] = {}
    quoted = re.compile(r'^[ \t]*([^\s=]+)="((?:[^"]|"")*)"[ \t]*$', re.MULTILINE)
    position = 0
    while position < len(value):
        number = value.count("\n", 0, position) + 1
        if found := quoted.match(value, position):
            _add_pair(pairs, found[1], found[2].replace('""', '"'), number)
            position = found.end() + 1
            continue
        end = value.find("\n", position)
        end = len(value) if end < 0 else end
        if line := value[position:end].strip():
            _add_line(pairs, line, number)
        position = end + 1
    return pairs


def _add_line(pairs: dict[str, str], line: str, number: int) -> None:
    key, equals, item = line.partition("=")
    _add_pair(pairs, key.strip() if equals else "", item.strip(), number)


def _add_pair(pairs: dict[str, str], key: str, item: str, number: int) -> None:
    # Any part of the text may be a secret: a line of a key file has an `=` at its end.
    if not ENV_NAME.fullmatch(key):
        msg = f"line {number} is not of the form KEY=value"
        raise ValueError(msg)
    if key in pairs:
        msg = f"{key!r} is given twice"
        raise ValueError(msg)
    pairs[key] = item


def command(value: object) -> object:
    """A command line as words: a JSON array, or quoted as for a shell, which does not run it."""
    if not isinstance(value, str):
        return value
    words = _json_words(value) if value.startswith("[") else _shell_words(value)
    if not words or not words[0]:
        msg = "it holds no command"
        raise ValueError(msg)
    if len(json.dumps(words)) > LONGEST_COMMAND:
        msg = f"it is longer than the {LONGEST_COMMAND} characters that ECS has room for"
        raise ValueError(msg)
    return tuple(words)


def _json_words(value: str) -> list[str]:
    try:
        words = json.loads(value)
    except ValueError as error:
        msg = f"it begins like a JSON array and is none: {error}"
        raise ValueError(msg) from error
    if not all(isinstance(word, str) for word in words):
        msg = "a JSON array of texts is expected"
        raise ValueError(msg)
    return list(words)


def _shell_words(value: str) -> list[str]:
    value = value.replace("\\\n", " ")
    lines = [line for line in value.splitlines() if line.strip()]
    try:
        words = shlex.split(value)
    except ValueError as error:
        msg = f"its quotes do not match ({str(error).lower()})"
        raise ValueError(msg) from error
    if found := [word for word in words if word in SHELL_WORDS]:
        msg = f"{found[0]!r} needs a shell, and none runs it; write sh -c '…'"
        raise ValueError(msg)
    if len(lines) > 1 and all(map(_is_whole, lines)):
        msg = f"it has {len(lines)} lines, and one command is expected; write sh -c '…' for several"
        raise ValueError(msg)
    return words


def _is_whole(line: str) -> bool:
    """Whether no quote goes on into the next line."""
    try:
        shlex.split(line)
    except ValueError:
        return False
    return True


def flag(value: object) -> object:
    if isinstance(value, str):
        if value.lower() in {"true", "false"}:
            return value.lower() == "true"
        msg = f"{value!r} is neither true nor false"
        raise ValueError(msg)
    return value


def tag(value: str) -> str:
    value = value.strip()
    if value and not TAG.fullmatch(value):
        msg = (
            f"{value!r} is not an image tag: letters, digits, dots, dashes and underscores, "
            "at most 128"
        )
        raise ValueError(msg)
    return value


def each(check: Callable[[str], object]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    def check_all(values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            check(value)
        return values

    return check_all


def readable_by(check: Callable[[str], object]) -> AfterValidator:
    """Keep the text, but only if `check` can read it; the story reads it again."""

    def keep(value: str) -> str:
        check(value)
        return value

    return AfterValidator(keep)


def url(value: str) -> str:
    if not re.match(r"https?://[^/\s]+", value):
        msg = f"{value!r} is not a URL that begins with http:// or https://"
        raise ValueError(msg)
    return value


def path(value: str) -> str:
    if not value.startswith("/"):
        msg = f"{value!r} does not begin with /"
        raise ValueError(msg)
    return value


def services(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if re.search(r"\s", value):
            msg = f"{value!r} is not a name of a service; write one on each line"
            raise ValueError(msg)
    if not values:
        msg = "no service is named"
        raise ValueError(msg)
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        msg = f"{', '.join(map(repr, twice))} is given twice"
        raise ValueError(msg)
    if len(values) > MOST_SERVICES:
        msg = f"{len(values)} services are given; one step takes at most {MOST_SERVICES}"
        raise ValueError(msg)
    return values


def revision(value: str) -> str:
    if not REVISION.fullmatch(value):
        msg = f"{value!r} is neither a revision number nor `family:revision` nor an ARN"
        raise ValueError(msg)
    return value


Flag = Annotated[bool, BeforeValidator(flag)]
Items = Annotated[tuple[str, ...], NoDecode, BeforeValidator(items)]
Pairs = Annotated[dict[str, str], NoDecode, BeforeValidator(pairs)]
Tag = Annotated[str, AfterValidator(tag)]
