"""Secrets that stand in the environment as plain text, where everybody may read them. Pure.

Finds them by the names of variables and by the looks of values. No value is ever told.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from deploy_action.model import Json
from deploy_action.preflight.check import Facts, Outcome, Passed, Warned, listed

NAME = re.compile(
    r"(password|passwd|passphrase|secret|token|credentials?"
    r"|(api|access|private|secret|signing|encryption|auth|master)_?key)\d*$"
    r"|(^|_)(pass|pwd|salt|pat)$",
    re.IGNORECASE,
)
"""At the end of a name, because `SECRET_NAME` or `TOKEN_EXPIRY` only talk about one."""
VALUES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("a private key", re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")),
    ("an AWS access key", re.compile(r"\b(AKIA|ASIA)[A-Z0-9]{16}\b")),
    ("a token of GitHub", re.compile(r"\b(gh[pousr]_[A-Za-z0-9]{30,}|github_pat_\w{30,})")),
    ("a token of GitLab", re.compile(r"\bglpat-[\w-]{20,}")),
    ("a token of Slack", re.compile(r"\bxox[abeprs]-[\w-]{10,}|hooks\.slack\.com/services/T\w+/B")),
    ("a key of Stripe", re.compile(r"\b[rs]k_(live|test)_[A-Za-z0-9]{16,}")),
    ("a key of Google", re.compile(r"\bAIza[\w-]{35}")),
    ("a key of an AI service", re.compile(r"\bsk-[A-Za-z0-9_-]{32,}")),
    ("a signed token", re.compile(r"\beyJ[\w-]{8,}\.eyJ[\w-]{8,}\.[\w-]{8,}")),
    ("an address with a password", re.compile(r"\b[a-z][a-z0-9+.-]*://[^\s:/@]*:[^\s/@$]{3,}@")),
    (
        "a connection string with a password",
        re.compile(
            r"(^|;)\s*(password|pwd|accountkey|sharedaccesskey)\s*=\s*[^;\s]{3,}", re.IGNORECASE
        ),
    ),
)
"""What a value is by its looks."""
HARMLESS = re.compile(
    r"\s*|true|false|yes|no|on|off|none|null|\d{1,8}(\.\d+)?|arn:aws[\w-]*:.*|/[\w./-]*"
    r"|\$\{.*\}|<.*>|\*+|changeme|example|placeholder",
    re.IGNORECASE,
)
"""Switches, numbers, ARNs, paths and placeholders: not secrets, whatever the name says."""
SHOWN = 6


def judge(facts: Facts) -> Iterable[Outcome]:
    """One warning for each container."""
    counted = 0
    for container in facts.definitions:
        environment = container.get("environment") or []
        counted += len(environment)
        found = {str(item.get("name")): kind for item in environment if (kind := kind_of(item))}
        if found:
            yield _warning(str(container.get("name")), found, facts)
            counted = -1
    if counted > 0:
        yield Passed("no variable of the environment looks like a secret")


def kind_of(item: Json) -> str:
    """What kind of secret a variable seems to be; empty where it seems to be none."""
    name, value = str(item.get("name") or ""), str(item.get("value") or "")
    for kind, pattern in VALUES:
        if pattern.search(value):
            return kind
    if NAME.search(name) and not HARMLESS.fullmatch(value):
        return "a secret by its name"
    return ""


def _warning(container: str, found: dict[str, str], facts: Facts) -> Warned:
    names = list(found)
    shown = [f"`{name}` ({found[name]})" for name in names[:SHOWN]]
    more = [f"{len(names) - SHOWN} more"] if len(names) > SHOWN else []
    identity, partition = facts.identity, facts.service.arn.split(":")[1]
    path = f"parameter/{facts.body.get('family')}/{names[0]}"
    source = f"arn:{partition}:ssm:{identity.region}:{identity.account}:{path}"
    return Warned(
        f"The environment of {container!r} holds plain text that looks secret: "
        f"{listed([*shown, *more])}. Whoever may describe the task definition can read it.",
        "Keep it in Parameter Store or Secrets Manager, take it out of the environment and give "
        f"it by `secrets`: `{names[0]}={source}`.",
        is_important=True,
    )
