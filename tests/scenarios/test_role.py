"""A role that the job's token may not assume: the claims, and what would accept them."""

from __future__ import annotations

import json

from deploy_action.ports import Answer
from tests.scenarios.stage import Outcome, Stage
from tests.simulator import faults
from tests.simulator.calls import Fault, SimulatedError
from tests.unit.tokens import CLASSIC, IMMUTABLE, token

ASKING = "https://token.example/ask?api-version=2.0"
ROLE = "arn:aws:iam::123456789012:role/release"


def deploy(stage: Stage, **given: str) -> Outcome:
    """A run whose job has a token."""
    body = json.dumps({"value": token()})
    stage.world.http.pages[f"{ASKING}&audience=sts.amazonaws.com"] = Answer(
        status=200, body=body, headers={}
    )
    job = {"ACTIONS_ID_TOKEN_REQUEST_URL": ASKING, "ACTIONS_ID_TOKEN_REQUEST_TOKEN": "bearer" * 4}
    return stage.deploy(env=job, role_to_assume=ROLE, **given)


def assert_says_what_to_trust(outcome: Outcome) -> None:
    assert (outcome.code, outcome.verdict) == (3, "blocked")
    for text in ("aud: sts.amazonaws.com", f"sub: {CLASSIC}", f'"{IMMUTABLE}"', ROLE):
        assert text in outcome.log
        assert text in outcome.summary
    written = outcome.log + outcome.summary + json.dumps(outcome.report)
    assert not any(part in written for part in token().split("."))


def test_a_trust_policy_that_does_not_fit_is_shown_the_one_that_does(stage: Stage) -> None:
    outcome = deploy(stage)

    assert_says_what_to_trust(outcome)
    assert "Not authorized to perform sts:AssumeRoleWithWebIdentity" in outcome.log
    assert stage.changes() == []


def test_a_missing_provider_is_told_with_its_address(stage: Stage) -> None:
    said = "No OpenIDConnect provider found in your account for https://x"
    error = SimulatedError("InvalidIdentityToken", said, 400)
    stage.world.faults.append(faults.on("sts:AssumeRoleWithWebIdentity", Fault(error=error)))

    outcome = deploy(stage)

    assert_says_what_to_trust(outcome)
    assert "Create the identity provider https://token.actions.githubusercontent.com" in outcome.log
