"""Several services in one step: each has a story of its own, and they go on side by side.

A story is a plain function that waits, reads and writes as if it were alone.
The group plays all of them in one thread: one goes on until it sleeps, waits for
the others, or asks what can be asked for many at once. So nothing that proves,
judges or undoes one service needs to know that there are more.

A group of one plays its story directly; then nothing here waits.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from functools import partial
from typing import Any, TypeVar

from greenlet import GreenletExit, getcurrent, greenlet

from deploy_action.errors import Blocked, Cancelled, Superseded, Unknown
from deploy_action.ports import Batch, Clock
from deploy_action.signals import is_letting_go

K = TypeVar("K", bound=Hashable)
T = TypeVar("T")

BEAT_SECONDS = 1.0
"""Sleeps end together on this beat, so that what is read after them is read for all at once."""
LET_GO_SECONDS = 3.5
"""After a cancellation; the runner kills 7.5 s after its first signal, and stories undo in turn."""


class Point(IntEnum):
    """Where stories wait for each other, in this order; one may pass by without a stop."""

    CHECKED = 1
    REGISTERED = 2
    READY = 3
    VERIFIED = 4
    CONCLUDED = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PartnerFailed:
    """Another service of the step failed, and this one goes back with it."""

    by: str
    reason: str


@dataclass(slots=True)
class _Story:
    name: str
    body: greenlet
    resume: Callable[[], object] | None = None
    """Set when the story can go on."""
    wakes_at: float | None = None
    is_there: Callable[[], bool] | None = None
    question: tuple[Batch[Any, Any], Hashable] | None = None


@dataclass(slots=True)
class _Done:
    value: Any = None
    error: Exception | None = None
    is_over: bool = False


@dataclass(slots=True)
class Group:
    """The services of one step. It is the clock of their stories, and what they agree through."""

    names: Sequence[str]
    clock: Clock
    keeps: bool = False
    """Whether a failure of one leaves the others where they are."""
    when_checked: Callable[[], None] = lambda: None
    """Called once, when every story has come to the first point where they wait, or has ended."""
    before_pause: Callable[[], None] = lambda: None
    """Called when no story can go on before some time has passed."""
    shared: dict[str, Any] = field(default_factory=dict)
    """What each service lets the others see, by its name."""
    ends: dict[str, BaseException | None] = field(default_factory=dict)
    """What each story ended with; None is a good end."""
    failures: dict[str, str] = field(default_factory=dict)
    """Why services failed, by their names, the first to fail first."""
    _stories: dict[greenlet, _Story] = field(default_factory=dict)
    _reached: dict[str, int] = field(default_factory=dict)
    _done: dict[Hashable, _Done] = field(default_factory=dict)
    _is_cancelled: bool = False

    @property
    def is_one(self) -> bool:
        return len(self.names) == 1

    # ---- what a story may ask ----

    def arrive(self, point: Point, *, or_failure: bool = False) -> None:
        """Wait until every other story has come so far or has ended, or one of them has failed."""
        story = self._current()
        if story is None or self._is_hurried():
            return
        self._reached[story.name] = point
        story.is_there = lambda: (
            (or_failure and bool(self.failures))
            or all(name in self.ends or self._reached.get(name, 0) >= point for name in self.names)
        )
        self._pause()
        self._all_checked()

    def once(self, what: Hashable, work: Callable[[], T]) -> T:
        """What `work` returned or raised to the first that came with it; the others wait."""
        story = self._current()
        if story is None:
            return work()
        done = self._done.get(what)
        if done is None:
            done = self._done[what] = _Done()
            try:
                done.value = work()
            except Exception as error:
                done.error = error
                raise
            finally:
                done.is_over = True
        else:
            self._wait_for(story, done)
            if done.error is not None:
                raise done.error
        result: T = done.value
        return result

    def _wait_for(self, story: _Story, done: _Done) -> None:
        story.is_there = lambda: done.is_over
        self._pause()

    def fail(self, reason: str) -> None:
        """Say at once that this service failed, before it is looked into and undone."""
        story = self._current()
        if story is not None:
            self.failures.setdefault(story.name, reason)

    def failed_partner(self) -> PartnerFailed | None:
        """The first of the other services that failed."""
        story = self._current()
        own = story.name if story else ""
        return next(
            (PartnerFailed(by=n, reason=r) for n, r in self.failures.items() if n != own), None
        )

    def check_partners(self) -> None:
        """Stop before the first write where another service of the step cannot go."""
        if partner := self.failed_partner():
            story = self._current()
            raise Blocked(
                f"{story.name if story else 'It'} was not touched, because {partner.by} cannot be "
                "released.",
                why="The services of one step are released together. "
                f"{partner.by}: {partner.reason}",
                fix=f"Correct {partner.by}, or give it a step of its own.",
            )

    def takes_back(self) -> PartnerFailed | None:
        """The failure that takes this service back with it, as all-or-nothing wants."""
        return None if self.keeps else self.failed_partner()

    def not_well(self) -> str:
        """Names of the services that did not come to a good end; empty if there is none."""
        return ", ".join(name for name, end in self.ends.items() if end is not None)

    @property
    def dropped(self) -> list[str]:
        """The services that a cancellation left no time to look after."""
        return [name for name, end in self.ends.items() if isinstance(end, GreenletExit)]

    def ask(self, batch: Batch[K, T], key: K) -> T:
        """The answer for `key`, asked together with those that the other stories want to know."""
        story = self._current()
        if story is None or self._is_hurried():
            return _answer(batch([key])[key])
        story.question = batch, key
        answer: T = _answer(self._pause())
        return answer

    # ---- a clock ----

    def monotonic(self) -> float:
        return self.clock.monotonic()

    def now(self) -> datetime:
        return self.clock.now()

    def sleep(self, seconds: float) -> None:
        story = self._current()
        if story is None or self._is_hurried():
            self.clock.sleep(seconds)
            return
        now = self.clock.monotonic()
        beat = round((now + seconds) / BEAT_SECONDS) * BEAT_SECONDS
        story.wakes_at = beat if beat > now else now + seconds
        self._pause()

    # ---- playing ----

    def run(self, stories: Mapping[str, Callable[[], None]]) -> None:
        """Play every story to its end, which is then in `ends`; raise Cancelled."""
        for name, story in stories.items():
            body = greenlet(partial(self._play, name, story))
            self._stories[body] = _Story(name, body, resume=body.switch)
        try:
            while self._stories:
                self._step()
        except Cancelled as cancelled:
            # Handled in here until all have let go: the signal is raised again elsewhere.
            self._cancel(cancelled)
            raise
        finally:
            self._all_checked()

    def _play(self, name: str, story: Callable[[], None]) -> None:
        end: BaseException | None = None
        try:
            story()
        except BaseException as error:  # noqa: BLE001 - whoever runs the group tells it
            end = error
        self.ends[name] = end
        if isinstance(end, Exception) and not isinstance(end, Superseded | Unknown):
            # Whoever was replaced, or cannot be read, says nothing against the release.
            self.failures.setdefault(name, str(end))

    def _step(self) -> None:
        """Let one story go on; where none can, find out what they wait for."""
        waiting = list(self._stories.values())
        for story in waiting:
            if resume := story.resume:
                story.resume = None
                resume()
                self._bury(story)
                return
        if any(s.question for s in waiting):
            self._answer_all([s for s in waiting if s.question])
        elif there := [s for s in waiting if s.is_there and s.is_there()]:
            for story in there:
                story.is_there, story.resume = None, story.body.switch
        else:
            self._pass_time([s for s in waiting if s.wakes_at is not None])

    def _all_checked(self) -> None:
        called, self.when_checked = self.when_checked, lambda: None
        called()

    def _bury(self, story: _Story) -> None:
        if not story.body.dead:
            return
        del self._stories[story.body]
        end = self.ends.get(story.name)
        if end is not None and not isinstance(end, Exception) and not self._is_cancelled:
            # What ends the process ends it for all.
            raise end

    def _answer_all(self, asking: list[_Story]) -> None:
        """Put together what is asked alike."""
        batches: dict[Batch[Any, Any], list[_Story]] = {}
        for story in asking:
            if story.question:
                batches.setdefault(story.question[0], []).append(story)
        for batch, stories in batches.items():
            keys = [s.question[1] for s in stories if s.question]
            try:
                answers = batch(list(dict.fromkeys(keys)))
            except Exception as error:  # noqa: BLE001 - it is the answer to each of them
                answers = dict.fromkeys(keys, error)
            for story, key in zip(stories, keys, strict=True):
                story.question = None
                story.resume = partial(story.body.switch, answers[key])

    def _pass_time(self, sleeping: list[_Story]) -> None:
        self.before_pause()
        wakes_at = min(s.wakes_at for s in sleeping if s.wakes_at is not None)
        left = wakes_at - self.clock.monotonic()
        if left > 0:
            self.clock.sleep(left)
        now = max(self.clock.monotonic(), wakes_at)
        for story in sleeping:
            if story.wakes_at is not None and story.wakes_at <= now:
                story.wakes_at, story.resume = None, story.body.switch

    def _cancel(self, cancelled: Cancelled) -> None:
        """Let each story end as a cancelled one does, as far as the runner leaves time for it."""
        self._is_cancelled = True
        started = self.clock.monotonic()
        for story in list(self._stories.values()):
            if not story.body:  # not begun
                self.ends[story.name] = cancelled
                continue
            if self.clock.monotonic() - started < LET_GO_SECONDS:
                story.body.throw(cancelled)
            else:
                story.body.throw()
        self._stories.clear()

    def _current(self) -> _Story | None:
        """The story that asks; None outside of all, as in a thread that makes calls for one."""
        return self._stories.get(getcurrent())

    def _is_hurried(self) -> bool:
        """After a signal a story must not let another one go on."""
        return self._is_cancelled or is_letting_go()

    def _pause(self) -> Any:  # noqa: ANN401 - whatever the story is resumed with
        runner = getcurrent().parent
        assert runner  # noqa: S101 - whoever has a story was begun by `run`
        return runner.switch()


def _answer(answer: T | Exception) -> T:
    if isinstance(answer, Exception):
        raise answer
    return answer
