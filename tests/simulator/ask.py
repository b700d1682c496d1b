"""The shape of every operation handler, and the few things handlers share."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

from .state import State

Tree = dict[str, Any]
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Ask:
    """One request as a handler sees it. Reads look only at `state`: it may be a snapshot."""

    params: Mapping[str, Any]
    state: State
    now: datetime


Handler = Callable[[Ask], Tree]


def present(**fields: Any) -> Tree:  # noqa: ANN401
    """The fields that have a value: AWS leaves absent ones out of an answer."""
    return {name: value for name, value in fields.items() if value is not None}


def page(ask: Ask, key: str, items: Sequence[T], *, default: int = 100) -> Tree:
    """One page of `items` with its nextToken, under the names most JSON services use."""
    return page_by(ask, key, items, "nextToken", "nextToken", "maxResults", default)


def page_by(
    ask: Ask, key: str, items: Sequence[T], token_in: str, token_out: str, size: str, default: int
) -> Tree:
    """As `page`, for services with other parameter names."""
    start = int(ask.params.get(token_in, 0))
    end = start + min(int(ask.params.get(size, default)), default)
    return present(**{key: list(items[start:end])}) | (
        {token_out: str(end)} if end < len(items) else {}
    )
