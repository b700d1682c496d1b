"""The endpoint that the release is verified by: whether its name can be looked up."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from deploy_action.ports import Http, NoAnswer, Silence
from deploy_action.preflight.check import Facts, Look, Outcome, Passed, Refused

if TYPE_CHECKING:
    from deploy_action.gateways import Gateways

PROBE_SECONDS = 2.0


def looks(facts: Facts, gateways: Gateways) -> list[Look]:
    """A look, where `health-url` names a host. The load balancer's own name comes from AWS."""
    url = facts.inputs.health_url
    return [partial(_look, url, facts.unresolvable, gateways.http)] if url else []


def _look(url: str, unresolvable: str, http: Http) -> Iterable[Outcome]:
    host = urlsplit(url).hostname or url
    detail = unresolvable and _again(url, http)
    if not detail:
        yield Passed(f"{host} can be looked up")
        return
    yield Refused(
        f"The name {host!r} in `health-url` cannot be looked up.",
        f"The runner asked twice: {detail}. The release could never be verified.",
        "Correct the name, or run the job where it is known (a private zone needs a runner in "
        "that network).",
    )


def _again(url: str, http: Http) -> str:
    """What the second look-up says: the first may have been bad luck."""
    try:
        http.get(url, headers={}, timeout_seconds=PROBE_SECONDS)
    except NoAnswer as silence:
        return silence.detail if silence.silence is Silence.DNS else ""
    return ""
