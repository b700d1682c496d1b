"""The log as the runner reads it: nothing from elsewhere becomes a command."""

from __future__ import annotations

import re

import pytest

from deploy_action.report.console import ANNOTATION_LIMIT, LINE_LIMIT, harmless, visible
from tests.unit.builders import Desk


@pytest.fixture
def desk() -> Desk:
    return Desk()


def commands(desk: Desk) -> list[str]:
    """The lines that the runner acts on, as its parser finds them."""
    found: list[str] = []
    fence = ""
    for line in desk.log:
        if fence:
            if line.strip() == f"::{fence}::":
                fence = ""
            continue
        if started := re.fullmatch(r"\s*::stop-commands::(\S+)", line):
            fence = started[1]
        elif line.lstrip().startswith("::") or "##[" in line:
            found.append(line)
    assert not fence, "commands stay switched off"
    return found


HOSTILE = {
    "a command": "::set-output name=image::evil",
    "a command behind blanks": " \t ::error::evil",
    "a command behind a colour": "\x1b[31m::error::evil",
    "a command behind a coloured nothing": "\x1b[31m\x1b[0m::add-mask::a",
    "a command of the old kind": "##[error]evil",
    "a command of the old kind in the middle": "look: ##[set-env name=PATH]evil",
    "a command of the old kind with a hash before": "###[error]evil",
    "a command on the second line": "fine\n::error::evil",
    "a command behind a carriage return": "fine\r::error::evil",
    "a command behind a form feed": "\x0c::error::evil",
    "a command behind a wide blank": "\u3000::error::evil",
    "the end of the fence as it would look": "::0123456789abcdef0123456789abcdef::",
    "the beginning of another fence": "::stop-commands::mine",
}


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_our_lines_never_become_a_command_through(desk: Desk, text: str) -> None:
    desk.console.line(text)

    assert commands(desk) == []


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_foreign_lines_never_become_a_command_through(desk: Desk, text: str) -> None:
    desk.console.foreign([text, "and more"])

    assert commands(desk) == []
    assert desk.log[-2].endswith("and more")


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_group_stays_one_group_through(desk: Desk, text: str) -> None:
    desk.console.open_group(text)
    desk.console.close_group()

    first, *rest = desk.log
    assert first.startswith("::group::")
    assert rest == ["::endgroup::"]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_an_annotation_stays_one_annotation_through(desk: Desk, text: str) -> None:
    desk.console.error(text, text)
    desk.console.warning(text)

    assert [line.split("::")[1].split(" ")[0] for line in desk.log] == ["error", "warning"]


def test_an_everyday_line_is_written_as_it_is(desk: Desk) -> None:
    desk.console.line("a::b, 17 % of ünïcode, \ttabs, # [x] and [link](x)")

    assert desk.log == ["a::b, 17 % of ünïcode, \ttabs, # [x] and [link](x)"]


def test_what_is_made_harmless_still_reads_the_same() -> None:
    assert harmless("::error::x").replace("\u200b", "") == "::error::x"
    assert harmless("##[error]").replace("\u200b", "") == "##[error]"


def test_several_lines_are_several_lines(desk: Desk) -> None:
    desk.console.line("a\nb")
    desk.console.line()

    assert desk.log == ["a", "b", ""]


# -- text of other programs --


def test_the_fence_cannot_be_foreseen(desk: Desk) -> None:
    for _ in range(2):
        desk.console.foreign(["x"])

    fences = re.findall(r"::stop-commands::(\S+)", "\n".join(desk.log))
    assert len(set(fences)) == 2
    assert all(len(fence) >= 32 for fence in fences)


def test_the_fence_is_closed_with_the_word_that_opened_it(desk: Desk) -> None:
    desk.console.foreign(["one", "two"])

    opened, one, two, closed = desk.log
    assert closed == f"::{opened.removeprefix('::stop-commands::')}::"
    assert [one.strip(), two.strip()] == ["one", "two"]


def test_no_text_needs_no_fence(desk: Desk) -> None:
    desk.console.foreign([])

    assert desk.log == []


def test_a_foreign_line_is_cut(desk: Desk) -> None:
    desk.console.foreign(["x" * 10 * LINE_LIMIT])

    assert len(desk.log[1].strip()) == LINE_LIMIT


# -- control characters --


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[1;31mred\x1b[0m", "red"),
        ("\x1b]0;title\x07", "\\x1b]0;title\\x07"),
        ("a\rb", "a\\x0db"),
        ("a\x00b", "a\\x00b"),
        ("a\x9bb", "a\\x9bb"),
        ("user\u202etxt.exe", "user\\x202etxt.exe"),
        ("\u2066x\u2069", "\\x2066x\\x2069"),
        ("tab\tstays", "tab\tstays"),
    ],
)
def test_control_characters_are_spelled_out_and_colours_dropped(text: str, shown: str) -> None:
    assert visible(text) == shown


# -- annotations --


def test_an_annotation_carries_its_lines_and_percents_escaped(desk: Desk) -> None:
    desk.console.error("rolled-back", "50 % of it\nFix: it")

    assert desk.log == ["::error title=rolled-back::50 %25 of it%0AFix: it"]


def test_a_title_cannot_add_a_property(desk: Desk) -> None:
    desk.console.error("a,file=b:c::d", "x")

    assert desk.log == ["::error title=a%2Cfile=b%3Ac%3A%3Ad::x"]


def test_an_annotation_is_cut_before_the_runner_cuts_it(desk: Desk) -> None:
    desk.console.warning("x" * 3 * ANNOTATION_LIMIT)

    assert desk.log == ["::warning::" + "x" * ANNOTATION_LIMIT]
    assert ANNOTATION_LIMIT <= 4096


# -- secrets --


def test_no_way_out_shows_a_secret(desk: Desk) -> None:
    desk.redact.hide(["hunter22"])

    desk.console.line("hunter22")
    desk.console.foreign(["hunter22"])
    desk.console.open_group("hunter22")
    desk.console.warning("hunter22")
    desk.console.error("hunter22", "hunter22")

    assert "hunter22" not in desk.stream.getvalue()
    assert desk.stream.getvalue().count("***") == 6


@pytest.mark.parametrize(
    "text", ["hun\x1b[1mter22", "\x1b[31mhunter22\x1b[0m"], ids=["through", "around"]
)
def test_colours_do_not_uncover_a_secret(desk: Desk, text: str) -> None:
    desk.redact.hide(["hunter22"])

    desk.console.line(text)
    desk.console.foreign([text])
    desk.console.warning(text)

    assert "hunter22" not in desk.stream.getvalue()


def test_a_secret_with_control_characters_is_hidden_too(desk: Desk) -> None:
    desk.redact.hide(["hun\x07ter22"])

    desk.console.line("it is hun\x07ter22")

    assert desk.log == ["it is ***"]


def test_the_runner_is_told_of_each_line_of_a_secret(desk: Desk) -> None:
    desk.console.mask("line one\n\n{\nline 50%\r\n")

    assert desk.log == ["::add-mask::line one", "::add-mask::line 50%25"]


def test_the_runner_is_told_of_a_short_secret(desk: Desk) -> None:
    desk.console.mask("ab")

    assert desk.log == ["::add-mask::ab"]


def test_the_runner_is_not_told_of_nothing(desk: Desk) -> None:
    desk.console.mask("")
    desk.console.mask(" \n ")

    assert desk.log == []
