"""Tokens as GitHub's OIDC provider makes them, signed by nobody."""

from __future__ import annotations

import base64
import json
from typing import Any

GITHUB = "https://token.actions.githubusercontent.com"
CLASSIC = "repo:acme/shop:ref:refs/heads/main"
IMMUTABLE = "repo:acme@42/shop@4711:ref:refs/heads/main"


def token(**claims: Any) -> str:  # noqa: ANN401 - any JSON
    """A token with these claims over ordinary ones."""
    payload = {
        "iss": GITHUB,
        "aud": "sts.amazonaws.com",
        "sub": CLASSIC,
        "repository_owner_id": "42",
        "repository_id": "4711",
        **claims,
    }
    parts = ({"alg": "RS256", "kid": "canary"}, payload)
    encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).decode() for part in parts]
    return ".".join([*(part.rstrip("=") for part in encoded), "canary-signature"])
