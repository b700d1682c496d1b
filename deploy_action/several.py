"""One operation on all services of a step: side by side, with one end for all of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import TextIO

from deploy_action.errors import (
    ActionError,
    Blocked,
    BuildFailed,
    Cancelled,
    Failed,
    InvalidInput,
    RollbackFailed,
    RolledBack,
    Superseded,
    TimedOut,
    Unhealthy,
    Unknown,
)
from deploy_action.group import Group
from deploy_action.report.board import Board
from deploy_action.report.journal import Journal

WORST_FIRST: tuple[type[ActionError], ...] = (
    RollbackFailed,
    Unknown,
    Failed,
    Unhealthy,
    TimedOut,
    RolledBack,
    Superseded,
    BuildFailed,
    Blocked,
    InvalidInput,
)
"""Which end of one service is the end of the step."""
MOST_TELLING_FIRST = (
    "deployed-unverified",
    "deployed",
    "restarted",
    "verified",
    "planned",
    "unchanged",
)
"""Which good end of one service is the end of the step."""


def play(
    stories: Mapping[str, Callable[[Journal], None]],
    group: Group,
    board: Board,
    journal: Journal,
    stream: TextIO,
) -> None:
    """Play the story of each service; then return or raise as the step ends."""
    journals = {name: board.journal_of(name, stream) for name in stories}
    group.before_pause = board.tell_states
    try:
        group.run({name: partial(story, journals[name]) for name, story in stories.items()})
    finally:
        journal.story.services = list(board.stories.values())
        for name, end in group.ends.items():
            if isinstance(end, ActionError):
                journals[name].fail(end)
        journal.story.rollback = " ".join(_undone(group, board))
    errors = {}
    for name, end in group.ends.items():
        if isinstance(end, ActionError):
            errors[name] = end
        elif end is not None:
            raise end
    if errors:
        raise joint(errors, group)
    _succeed(board, journal)


def _undone(group: Group, board: Board) -> Iterator[str]:
    """What was put back; of a step that was cancelled also what was not."""
    for name, story in board.stories.items():
        if story.rollback:
            yield story.rollback
        elif isinstance(group.ends.get(name), Cancelled) and story.facts.verdict:
            yield f"{name} had been verified before ({story.facts.verdict}) and stays."
    if group.dropped:
        yield (
            f"For {', '.join(group.dropped)} there was no time left. The post step of this action "
            "looks after what still moves."
        )


def joint(errors: Mapping[str, ActionError], group: Group) -> ActionError:
    """The end of the step: the worst of its services, and of equals the one that failed first."""
    failed_first = [name for name in group.failures if name in errors]
    worst = min([*failed_first, *errors], key=lambda name: WORST_FIRST.index(type(errors[name])))
    error = errors[worst]
    if len({each.what for each in errors.values()}) == 1 and len(errors) == len(group.names):
        return error
    others = [f"- {name}: {each.what}" for name, each in errors.items() if name != worst]
    return type(error)(
        f"{len(errors)} of {len(group.names)} services did not come to a good end. {error.what}",
        why="\n".join([error.why, *others]),
        fix=error.fix,
        evidence=error.evidence,
    )


def _succeed(board: Board, journal: Journal) -> None:
    verdicts = {name: story.facts.verdict for name, story in board.stories.items()}
    known = [verdict for verdict in MOST_TELLING_FIRST if verdict in verdicts.values()]
    sentences = [story.what for story in board.stories.values()]
    if known:
        journal.story.verification = sentences
        journal.succeed(known[0], f"{len(verdicts)} services: {', '.join(verdicts)}.")
        return
    # The post step reaches no verdict.
    endings = [story.ending for story in board.stories.values()]
    journal.story.ending = "put back" if "put back" in endings else endings[0]
    journal.story.what = "\n".join(sentences)
    journal.console.line(journal.story.what)
