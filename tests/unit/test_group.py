"""Stories side by side: who goes on when, what is asked together, and who hears of what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import pytest

from deploy_action.errors import Cancelled, RolledBack, Superseded
from deploy_action.group import Group, Point
from tests.unit.builders import FakeClock

Stories = Mapping[str, Callable[[], None]]


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


def rolled_back(name: str) -> RolledBack:
    return RolledBack(f"{name} failed.", why="It crashed.", fix="Mend it.")


def each(story: Callable[[str], object]) -> Stories:
    """The same story for all of them."""

    def begun(name: str) -> Callable[[], None]:
        def tell() -> None:
            story(name)

        return tell

    return {name: begun(name) for name in "abc"}


def played(clock: FakeClock, make: Callable[[Group], Stories], *, keeps: bool = False) -> Group:
    group = Group(("a", "b", "c"), clock, keeps=keeps)
    group.run(make(group))
    return group


def test_sleeps_pass_side_by_side(clock: FakeClock) -> None:
    def stories(group: Group) -> Stories:
        return each(lambda _: group.sleep(10))

    group = played(clock, stories)

    assert clock.passed == 10
    assert group.ends == {"a": None, "b": None, "c": None}


def test_what_is_asked_alike_is_asked_once(clock: FakeClock) -> None:
    asked: list[Sequence[str]] = []
    got: dict[str, str] = {}

    def batch(keys: Sequence[str]) -> Mapping[str, str | Exception]:
        asked.append(keys)
        return {key: key.upper() for key in keys}

    def stories(group: Group) -> Stories:
        def story(name: str) -> None:
            # They drift apart by less than a beat.
            group.sleep(2 + "abc".index(name) / 10)
            got[name] = group.ask(batch, name)

        return each(story)

    played(clock, stories)

    assert asked == [["a", "b", "c"]]
    assert got == {"a": "A", "b": "B", "c": "C"}


def test_an_answer_that_is_an_error_reaches_the_one_it_is_for(clock: FakeClock) -> None:
    def batch(keys: Sequence[str]) -> Mapping[str, str | Exception]:
        return {key: LookupError(key) if key == "b" else key for key in keys}

    group = played(clock, lambda group: each(lambda name: group.ask(batch, name)))

    assert [type(end) for end in group.ends.values()] == [type(None), LookupError, type(None)]


def test_a_batch_that_breaks_is_the_answer_to_all(clock: FakeClock) -> None:
    def batch(keys: Sequence[str]) -> Mapping[str, str | Exception]:
        raise LookupError

    group = played(clock, lambda group: each(lambda name: group.ask(batch, name)))

    assert all(isinstance(end, LookupError) for end in group.ends.values())


def test_nobody_passes_a_point_before_all_have_come_or_ended(clock: FakeClock) -> None:
    passed: list[tuple[str, float]] = []

    def stories(group: Group) -> Stories:
        def story(seconds: float, name: str) -> None:
            group.sleep(seconds)
            group.arrive(Point.READY)
            passed.append((name, clock.passed))

        def ends_early() -> None:
            group.sleep(5)

        return {"a": lambda: story(1, "a"), "b": lambda: story(30, "b"), "c": ends_early}

    played(clock, stories)

    assert passed == [("a", 30), ("b", 30)]


def test_who_has_come_further_is_not_waited_for(clock: FakeClock) -> None:
    def stories(group: Group) -> Stories:
        def all_points() -> None:
            for point in Point:
                group.arrive(point)

        return {
            "a": lambda: group.arrive(Point.CONCLUDED),
            "b": all_points,
            "c": lambda: group.arrive(Point.READY),
        }

    assert played(clock, stories).ends == {"a": None, "b": None, "c": None}


def test_work_is_done_once_and_its_error_is_everybodys(clock: FakeClock) -> None:
    done: list[str] = []

    def stories(group: Group) -> Stories:
        def build(name: str) -> str:
            done.append(name)
            group.sleep(60)
            raise rolled_back("the build")

        return each(lambda name: group.once("image", lambda: build(name)))

    group = played(clock, stories)

    assert done == ["a"]
    assert len({id(end) for end in group.ends.values()}) == 1


def test_a_failure_reaches_those_that_wait_at_once(clock: FakeClock) -> None:
    heard: dict[str, float] = {}

    def stories(group: Group) -> Stories:
        def fails() -> None:
            group.sleep(10)
            group.fail("It crashed.")
            group.sleep(100)
            raise rolled_back("a")

        def waits(name: str) -> None:
            group.arrive(Point.VERIFIED, or_failure=True)
            partner = group.takes_back()
            assert partner
            assert (partner.by, partner.reason) == ("a", "It crashed.")
            heard[name] = clock.passed

        return {"a": fails, "b": lambda: waits("b"), "c": lambda: waits("c")}

    played(clock, stories)

    assert heard == {"b": 10, "c": 10}


def test_with_keep_a_failure_takes_nobody_back(clock: FakeClock) -> None:
    seen: list[object] = []

    def stories(group: Group) -> Stories:
        def fails() -> None:
            raise rolled_back("a")

        def looks() -> None:
            group.sleep(1)
            seen.extend([group.takes_back(), group.failed_partner() is None, group.not_well()])

        return {"a": fails, "b": looks, "c": lambda: None}

    played(clock, stories, keeps=True)

    assert seen == [None, False, "a"]


def test_who_was_replaced_says_nothing_against_the_release(clock: FakeClock) -> None:
    def replaced() -> None:
        raise Superseded("Somebody came.", why="They deployed.", fix="Nothing.")

    group = played(clock, lambda _: {"a": replaced, "b": lambda: None, "c": lambda: None})

    assert group.failures == {}


def test_a_cancellation_is_everybodys(clock: FakeClock) -> None:
    let_go: list[str] = []

    def stories(group: Group) -> Stories:
        def story(name: str) -> None:
            try:
                group.sleep(100)
            except Cancelled:
                # What is slept now is slept alone: no other story goes on.
                group.sleep(1)
                let_go.append(name)
                raise

        def signalled() -> None:
            group.sleep(10)
            raise Cancelled(2)

        return {"a": lambda: story("a"), "b": signalled, "c": lambda: story("c")}

    with pytest.raises(Cancelled):
        played(clock, stories)

    assert let_go == ["a", "c"]
    assert clock.passed == 12


def test_those_there_is_no_time_left_for_are_dropped(clock: FakeClock) -> None:
    let_go: list[str] = []

    def stories(group: Group) -> Stories:
        def slow(name: str) -> None:
            try:
                group.sleep(100)
            except Cancelled:
                group.sleep(4)
                let_go.append(name)
                raise

        def signalled() -> None:
            group.sleep(10)
            raise Cancelled(2)

        return {"a": lambda: slow("a"), "b": lambda: slow("b"), "c": signalled}

    group = Group(("a", "b", "c"), clock)
    with pytest.raises(Cancelled):
        group.run(stories(group))

    assert let_go == ["a"]
    assert group.dropped == ["b"]


def test_a_group_of_one_waits_for_nobody(clock: FakeClock) -> None:
    group = Group(("a",), clock)

    group.arrive(Point.READY, or_failure=True)

    assert group.once("image", lambda: 7) == 7
    assert group.ask(lambda keys: {key: key for key in keys}, "x") == "x"
    assert group.takes_back() is None


def test_what_ends_the_process_lets_nobody_go_on(clock: FakeClock) -> None:
    gone_on: list[str] = []

    def stories(group: Group) -> Stories:
        def exits() -> None:
            group.sleep(1)
            raise SystemExit(7)

        def story() -> None:
            group.sleep(2)
            gone_on.append("b")

        return {"a": exits, "b": story, "c": story}

    with pytest.raises(SystemExit):
        played(clock, stories)

    assert gone_on == []
