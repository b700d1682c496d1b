"""What is hidden, and what is left alone so that a log stays readable."""

from __future__ import annotations

import pytest

from deploy_action.report.redact import Redactor, may_be_secret


def hiding(*values: str) -> Redactor:
    redact = Redactor()
    redact.hide(values)
    return redact


def test_nothing_is_hidden_at_first() -> None:
    assert Redactor()("hunter22") == "hunter22"


def test_a_secret_is_hidden_wherever_it_stands() -> None:
    assert hiding("hunter22")("u:hunter22@db, hunter22") == "u:***@db, ***"


def test_blanks_around_a_secret_do_not_protect_it() -> None:
    assert hiding("  hunter22\n")("hunter22") == "***"


@pytest.mark.parametrize("order", [("abcd", "abcdefgh"), ("abcdefgh", "abcd")])
def test_the_longer_of_two_overlapping_secrets_is_hidden_whole(order: tuple[str, str]) -> None:
    assert hiding(*order)("abcdefgh abcd") == "*** ***"


def test_characters_that_mean_something_in_a_regex_are_only_characters() -> None:
    redact = hiding("a.c+(d")

    assert redact("a.c+(d abc+(d") == "*** abc+(d"


def test_each_line_of_a_key_is_hidden_and_the_key_as_a_whole() -> None:
    redact = hiding("-----BEGIN-----\nAbcdef+/\n-----END-----")

    assert redact("it says Abcdef+/ there") == "it says *** there"
    assert redact("-----BEGIN-----\nAbcdef+/\n-----END-----") == "***"


def test_the_braces_of_a_secret_document_do_not_blot_out_every_brace() -> None:
    redact = hiding('{\n  "password": "hunter22"\n}')

    assert redact('{"ok": true}') == '{"ok": true}'
    assert "hunter22" not in redact('it had "password": "hunter22" in it')


@pytest.mark.parametrize("empty", ["", " ", "\n", "\n\n"])
def test_an_empty_secret_hides_nothing(empty: str) -> None:
    assert hiding(empty)("a b\n\nc") == "a b\n\nc"


def test_secrets_add_up() -> None:
    redact = hiding("first-one")
    redact.hide(["second-one"])

    assert redact("first-one second-one") == "*** ***"


def test_a_short_secret_that_was_named_as_one_is_hidden() -> None:
    assert hiding("ab1")("x ab1 y") == "x *** y"


def test_a_document_is_cleaned_all_the_way_down() -> None:
    document = {"a": ["hunter22", {"b": "x hunter22"}], "n": 1, "t": ("hunter22",), "z": None}

    assert hiding("hunter22").tree(document) == {
        "a": ["***", {"b": "x ***"}],
        "n": 1,
        "t": ["***"],
        "z": None,
    }


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", "winter"),
        ("API_KEY", "abcd"),
        ("ApiKey", "word"),
        ("PASSPHRASE", "word"),
        ("PIN_TOKEN", "123456"),
        ("DATABASE_URL", "postgres"),
        ("SENTRY_DSN", "simple"),
        ("ANYTHING", "postgres://u:p@db/x"),
        ("ANYTHING", "a1b2c3d4"),
        ("ANYTHING", "two words"),
    ],
)
def test_may_be_a_secret(name: str, value: str) -> None:
    assert may_be_secret(name, value)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DB_PASSWORD", ""),
        ("AUTH_ENABLED", "true"),
        ("AUTH_ENABLED", "False"),
        ("SECRET_ROTATION", "disabled"),
        ("AUTH_LEVEL", "1"),
        ("TOKEN_TTL", "60"),
        ("LOG_LEVEL", "information"),
        ("PORT", "8080"),
        ("RATE", "0.25"),
        ("MODE", "a-b"),
    ],
)
def test_is_an_everyday_value(name: str, value: str) -> None:
    assert not may_be_secret(name, value)


def test_of_an_environment_only_what_may_be_secret_is_hidden() -> None:
    redact = Redactor()
    redact.hide_environment({"PORT": "8080", "DB_PASSWORD": "winter", "AUTH_ENABLED": "true"})

    assert redact("true: winter on 8080") == "true: *** on 8080"
