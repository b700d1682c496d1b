"""What a good answer is, and in which words a bad one is told."""

from __future__ import annotations

import pytest

from deploy_action.health import (
    Endpoint,
    Expectation,
    describe_statuses,
    parse_body,
    parse_header,
    parse_json,
    parse_status,
    probe,
    resolve,
)
from deploy_action.ports import Answer, NoAnswer, Silence
from tests.unit.builders import FakeHttp, answer

URL = "https://web.example.com/health"


def expecting(*statuses: str, body: str | None = None, json: tuple[str, ...] = ()) -> Expectation:
    return Expectation(
        statuses=tuple(parse_status(s) for s in statuses or ("200",)),
        body=parse_body(body) if body else None,
        json=tuple(parse_json(line) for line in json),
    )


# -- statuses --


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [("200", 200, 200), ("200-299", 200, 299), ("404-404", 404, 404), ("100-599", 100, 599)],
)
def test_a_status_is_a_code_or_a_range_with_both_ends(text: str, first: int, last: int) -> None:
    assert parse_status(text) == range(first, last + 1)


@pytest.mark.parametrize("text", ["", "20", "2000", "2xx", "200-", "299-200", "600", "099", "ok"])
def test_what_is_no_status_is_refused_by_name(text: str) -> None:
    with pytest.raises(ValueError, match="neither a status code nor a range"):
        parse_status(text)


def test_several_statuses_are_told_as_alternatives() -> None:
    assert describe_statuses((range(200, 205), range(301, 302))) == "200-204 or 301"


GOOD = {
    "the expected status": (expecting(), answer(200)),
    "a status at the end of a range": (expecting("200-204"), answer(204)),
    "one of several statuses": (expecting("200", "301-302"), answer(302)),
    "a text somewhere in the body": (expecting(body="ok"), answer(200, "all is ok here")),
    "a text with characters that mean something in a regex": (
        expecting(body="v1.2 (final)"),
        answer(200, "v1.2 (final)"),
    ),
    "a regex": (expecting(body="/^ver[a-z]+ \\d+$/"), answer(200, "version 17")),
    "a value in JSON": (expecting(json=("/version=abc",)), answer(200, '{"version": "abc"}')),
    "several values in JSON": (
        expecting(json=("/a=1", "/b/0=true")),
        answer(200, '{"a": 1, "b": [true]}'),
    ),
    "an empty text": (expecting(json=("/error=",)), answer(200, '{"error": ""}')),
    "a value with an equals sign": (expecting(json=("/q=a=b",)), answer(200, '{"q": "a=b"}')),
}


@pytest.mark.parametrize(("wanted", "given"), GOOD.values(), ids=GOOD.keys())
def test_a_good_answer_has(wanted: Expectation, given: Answer) -> None:
    assert wanted.problem(given) is None


BAD = {
    "another status": (
        expecting(),
        answer(503, "no healthy upstream"),
        "it answered 503, expected 200: 'no healthy upstream'",
    ),
    "another status without a body": (
        expecting("200-204"),
        answer(500),
        "it answered 500, expected 200-204: the body is empty",
    ),
    "another body": (
        expecting(body="ok"),
        answer(200, "starting"),
        "the body does not match 'ok': 'starting'",
    ),
    "dots that a plain text means literally": (
        expecting(body="1.2"),
        answer(200, "1x2"),
        r"the body does not match '1\\.2': '1x2'",
    ),
    "an empty body": (
        expecting(body="ok"),
        answer(200),
        "the body does not match 'ok': the body is empty",
    ),
    "no JSON": (
        expecting(json=("/version=abc",)),
        answer(200, "<html>"),
        "the body is not JSON: '<html>'",
    ),
    "another value": (
        expecting(json=("/version=abc",)),
        answer(200, '{"version": "old"}'),
        "/version is 'old', expected 'abc'",
    ),
    "no such field": (
        expecting(json=("/version=abc",)),
        answer(200, "{}"),
        "/version is nothing, expected 'abc'",
    ),
    "no field at all": (
        expecting(json=("/version=abc",)),
        answer(200, "17"),
        "/version is nothing, expected 'abc'",
    ),
    "the second value wrong": (
        expecting(json=("/a=1", "/b=2")),
        answer(200, '{"a": 1, "b": 3}'),
        "/b is '3', expected '2'",
    ),
}


@pytest.mark.parametrize(("wanted", "given", "words"), BAD.values(), ids=BAD.keys())
def test_a_bad_answer_is_told_with_what_was_expected(
    wanted: Expectation, given: Answer, words: str
) -> None:
    assert wanted.problem(given) == words


def test_a_redirect_is_told_with_its_target_and_the_way_out() -> None:
    problem = expecting().problem(answer(301, location="https://www.example.com/health"))

    assert problem is not None
    assert "it answered 301, a redirect to https://www.example.com/health" in problem
    assert "`health-status`" in problem


def test_a_redirect_can_be_the_expected_answer() -> None:
    assert expecting("301").problem(answer(301, location="https://elsewhere/")) is None


def test_a_long_body_is_cut() -> None:
    problem = expecting().problem(answer(500, "x" * 5000))

    assert problem is not None
    assert len(problem) < 300
    assert "…" in problem


# -- JSON pointers: the examples of RFC 6901 --

RFC_6901 = {
    "foo": ["bar", "baz"],
    "": 0,
    "a/b": 1,
    "c%d": 2,
    "e^f": 3,
    "g|h": 4,
    "i\\j": 5,
    'k"l': 6,
    " ": 7,
    "m~n": 8,
}


@pytest.mark.parametrize(
    ("pointer", "value"),
    [
        ("/foo", '["bar", "baz"]'),
        ("/foo/0", "bar"),
        ("/", "0"),
        ("/a~1b", "1"),
        ("/c%d", "2"),
        ("/e^f", "3"),
        ("/g|h", "4"),
        ("/i\\j", "5"),
        ('/k"l', "6"),
        ("/ ", "7"),
        ("/m~0n", "8"),
    ],
)
def test_a_pointer_finds_what_the_rfc_says(pointer: str, value: str) -> None:
    assert resolve(RFC_6901, pointer) == value


def test_an_escaped_tilde_before_a_one_is_no_slash() -> None:
    assert resolve({"a~1b": "tilde", "a/b": "slash"}, "/a~01b") == "tilde"


@pytest.mark.parametrize(
    "pointer", ["/nothing", "/foo/2", "/foo/-1", "/foo/x", "/foo/0/deeper", "/m~0n/x"]
)
def test_a_pointer_to_nothing_finds_nothing(pointer: str) -> None:
    assert resolve(RFC_6901, pointer) is None


@pytest.mark.parametrize(
    ("value", "text"),
    [(True, "true"), (False, "false"), (None, "null"), (1.5, "1.5"), ({"a": 1}, '{"a": 1}')],
)
def test_what_is_no_text_is_compared_as_json_spells_it(value: object, text: str) -> None:
    assert resolve({"x": value}, "/x") == text


@pytest.mark.parametrize("text", ["version=1", "/version", "", "=1"])
def test_a_line_that_is_no_pointer_and_value_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="/pointer=value"):
        parse_json(text)


# -- body and headers --


def test_a_broken_regex_is_told_with_its_fault() -> None:
    with pytest.raises(ValueError, match="is not a regular expression"):
        parse_body("/a(b/")


def test_a_single_slash_is_a_text() -> None:
    assert parse_body("/").search("a/b")


@pytest.mark.parametrize(
    ("text", "header"),
    [
        ("Authorization: Bearer a:b=c", ("Authorization", "Bearer a:b=c")),
        ("X-Key=v", ("X-Key", "v")),
        ("X-Key : v", ("X-Key", "v")),
        ("X-Empty:", ("X-Empty", "")),
    ],
)
def test_a_header_is_a_name_and_a_value(text: str, header: tuple[str, str]) -> None:
    assert parse_header(text) == header


def test_what_is_no_header_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="not of the form") as error:
        parse_header("s3cr3t-without-a-name")

    assert "s3cr3t" not in str(error.value)


# -- what "as it was" means --


def test_an_old_version_that_met_everything_must_meet_everything_again() -> None:
    wanted = expecting(json=("/status=ok",))

    assert wanted.as_before(answer(200, '{"status": "ok"}')) == wanted


def test_an_old_version_cannot_be_asked_for_the_new_version_number() -> None:
    was = expecting(body="ok", json=("/version=new",)).as_before(
        answer(200, '{"version": "old", "x": "ok"}')
    )

    assert was == expecting()


@pytest.mark.parametrize("before", [None, answer(503)], ids=["no answer at all", "another status"])
def test_nothing_is_owed_where_the_old_version_did_not_answer_well(before: Answer | None) -> None:
    assert expecting(body="ok").as_before(before) is None


# -- one request --


def test_one_probe_makes_one_request_with_the_headers() -> None:
    http = FakeHttp(answer(200, "ok"))

    result = probe(http, Endpoint(url=URL, headers={"X-Key": "k"}), expecting())

    assert result.problem is None
    assert result.answer == answer(200, "ok")
    assert http.asked == [(URL, {"X-Key": "k"})]


def test_a_bad_answer_is_kept_for_later_comparison() -> None:
    result = probe(FakeHttp(answer(503)), Endpoint(url=URL), expecting())

    assert result.problem == "it answered 503, expected 200: the body is empty"
    assert result.answer == answer(503)


SILENCES = {
    Silence.DNS: ("cannot be resolved (detail)", "check the host name"),
    Silence.REFUSED: ("the connection was refused", "nothing listens there"),
    Silence.TIMEOUT: ("no answer within 5 s", "internal load balancer, security group"),
    Silence.TLS: ("the TLS handshake failed (detail)", "use the host name"),
    Silence.BROKEN: ("broke before an answer came (detail)", "broke"),
}


@pytest.mark.parametrize("silence", Silence)
def test_each_kind_of_silence_has_its_words_and_its_hint(silence: Silence) -> None:
    result = probe(FakeHttp(NoAnswer(silence, "detail")), Endpoint(url=URL), expecting())

    words, hint = SILENCES[silence]
    assert result.answer is None
    assert words in (result.problem or "")
    assert hint in (result.problem or "")


def test_the_headers_of_an_endpoint_are_not_in_its_repr() -> None:
    assert "s3cr3t" not in repr(Endpoint(url=URL, headers={"Authorization": "s3cr3t"}))
