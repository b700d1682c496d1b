"""What a run leaves behind for whoever comes after it."""

from __future__ import annotations

import json

import pytest

from deploy_action.intent import Intent
from deploy_action.model import Deployment
from tests.unit.builders import (
    FOREIGN_ID,
    NEW_REVISION,
    OLD_ID,
    OLD_REVISION,
    OUR_ID,
    START,
    after,
    deployment,
    old_deployment,
    rollout,
    service,
)


def intent(*, deployment_id: str = "") -> Intent:
    return Intent(
        service="web",
        task_definition=NEW_REVISION,
        baseline=rollout().baseline,
        started_at=START,
        sent_desired=True,
        url="https://web.example.com/health",
        before="status",
        deployment_id=deployment_id,
    )


@pytest.mark.parametrize("deployment_id", ["", OUR_ID])
def test_an_intent_survives_the_state_file(deployment_id: str) -> None:
    written = intent(deployment_id=deployment_id)

    assert Intent.read(written.to_text()) == [written]


def test_several_intents_survive_it_too() -> None:
    written = [intent(), intent(deployment_id=OUR_ID)]

    assert Intent.read(f"[{','.join(each.to_text() for each in written)}]") == written


@pytest.mark.parametrize("text", ["", "[]"])
def test_nothing_saved_is_no_intent(text: str) -> None:
    assert Intent.read(text) == []


def test_the_text_is_one_line_and_always_the_same() -> None:
    assert "\n" not in intent().to_text()
    assert intent().to_text() == intent().to_text()


@pytest.mark.parametrize("text", ["{}", "[{}]", '{"baseline": {}}', "nonsense"])
def test_another_text_is_no_intent(text: str) -> None:
    with pytest.raises((ValueError, KeyError, TypeError)):
        Intent.read(text)


def test_a_text_with_a_field_more_is_no_intent() -> None:
    document = {**json.loads(intent().to_text()), "surprise": 1}

    with pytest.raises(TypeError):
        Intent.read(json.dumps(document))


OURS = {
    "its id is known": (OUR_ID, (deployment(), old_deployment())),
    "its id is not known, and one of our revision is new": ("", (deployment(), old_deployment())),
    "its id is not known, and it is no longer PRIMARY": (
        "",
        (old_deployment(status="PRIMARY"), deployment(status="ACTIVE")),
    ),
    "its id is known and no longer listed": (OUR_ID, (old_deployment(status="PRIMARY"),)),
}


@pytest.mark.parametrize(("known", "deployments"), OURS.values(), ids=OURS.keys())
def test_our_rollout_is_found_where(known: str, deployments: tuple[Deployment, ...]) -> None:
    found = intent(deployment_id=known).rollout(service(*deployments))

    assert found == rollout(sent_desired=True)


def test_the_clock_of_aws_dates_the_rollout() -> None:
    found = intent().rollout(service(deployment(created_at=after(3)), old_deployment()))

    assert found is not None
    assert found.started_at == after(3)


NOBODYS = {
    "nothing new is there": (old_deployment(status="PRIMARY"),),
    "only somebody else's revision is new": (
        deployment(id=FOREIGN_ID, task_definition=f"{NEW_REVISION}3"),
    ),
    "our revision was there before us": (deployment(id=OLD_ID),),
    "the old revision is back under a new id": (
        deployment(id=FOREIGN_ID, task_definition=OLD_REVISION),
    ),
}


@pytest.mark.parametrize("deployments", NOBODYS.values(), ids=NOBODYS.keys())
def test_no_rollout_is_ours_where(deployments: tuple[Deployment, ...]) -> None:
    assert intent().rollout(service(*deployments)) is None


def test_an_intent_learns_the_id_of_its_deployment() -> None:
    assert intent().started(rollout()) == intent(deployment_id=OUR_ID)
