"""Which variables of an environment look like secrets."""

from __future__ import annotations

import pytest

from deploy_action.preflight.plaintext import judge, kind_of
from tests.unit.preflight.facts import body, container, facts, kinds, words

SECRET = {
    "DB_PASSWORD": "hunter2",
    "dbPassword": "correct horse",
    "POSTGRES_PASS": "abc",
    "API_TOKEN": "t0ken",
    "STRIPE_API_KEY": "whatever",
    "CLIENT_SECRET": "c",
    "JWT_SIGNING_KEY": "k3y",
    "SALT": "a1b2",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
    "DATABASE_URL": "postgres://shop:s3cret@db.internal:5432/shop",
    "REDIS": "redis://:s3cret@cache:6379/0",
    "SQL": "Server=db;User Id=sa;Password=s3cret;",
    "STORAGE": "DefaultEndpointsProtocol=https;AccountKey=abcd1234==;",
    "PEM": "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----",
    "WHO": "AKIAIOSFODNN7EXAMPLE",
    "GH": "ghp_" + "a" * 36,
    "HOOK": "https://hooks.slack.com/services/T000/B000/XXXX",
    "BEARER": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dBjftJeZ4CVPmB92K27u",
    "PAY": "sk_live_" + "4" * 24,
}
HARMLESS = {
    "PASSWORD": "",
    "API_TOKEN": "true",
    "TOKEN": "3600",
    "DB_PASSWORD": "/run/secrets/db",
    "CLIENT_SECRET": "arn:aws:secretsmanager:eu-west-1:123456789012:secret:a-b",
    "ACCESS_KEY": "${FROM_ELSEWHERE}",
    "PASSWORD_FILE": "/run/secrets/db",
    "SECRET_NAME": "prod/db",
    "TOKEN_EXPIRY": "15m",
    "PASSWORD_MIN_LENGTH": "twelve",
    "DATABASE_URL": "postgres://db.internal:5432/shop",
    "TEMPLATE": "postgres://shop:$PASSWORD@db/shop",
    "SITE": "https://shop.example.com/a?b=c",
    "KEYBOARD": "qwertz",
    "MONKEY": "bananas",
    "COMPASS": "north",
    "LOG_LEVEL": "debug",
    "SENTRY_DSN": "https://0123456789abcdef@o1.ingest.sentry.io/1",
}


@pytest.mark.parametrize("name", SECRET)
def test_looks_secret(name: str) -> None:
    assert kind_of({"name": name, "value": SECRET[name]})


@pytest.mark.parametrize("name", HARMLESS)
def test_looks_harmless(name: str) -> None:
    assert not kind_of({"name": name, "value": HARMLESS[name]})


def test_one_warning_for_each_container_names_the_line_to_use_and_no_value() -> None:
    environment = [{"name": name, "value": value} for name, value in SECRET.items()]
    new = body(container(environment=environment), container("proxy", environment=environment[:1]))

    outcomes = list(judge(facts(body=new)))
    first, second = words(outcomes)

    assert kinds(outcomes) == ["Warned", "Warned"]
    assert "of 'web' holds plain text that looks secret: `DB_PASSWORD` (a secret by its name)" in (
        first
    )
    assert "and 13 more." in first
    assert (
        "`secrets`: `DB_PASSWORD=arn:aws:ssm:eu-west-1:123456789012:parameter/web/DB_PASSWORD`"
        in first
    )
    assert not [value for value in SECRET.values() if len(value) > 4 and value in first + second]


def test_a_clean_environment_passes_and_none_says_nothing() -> None:
    clean = body(container(environment=[{"name": "A", "value": "b"}]))

    assert kinds(judge(facts(body=clean))) == ["Passed"]
    assert kinds(judge(facts())) == []
