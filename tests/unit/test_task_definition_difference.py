"""Comparing two definitions: what is the same, and in which words a difference is told."""

from __future__ import annotations

from typing import Any

import pytest

from deploy_action.model import Json
from deploy_action.task_definition import differences, is_same


def one(**fields: Any) -> Json:  # noqa: ANN401 - any JSON
    """A definition with one container that has these fields."""
    return {"family": "web", "containerDefinitions": [{"name": "app", "image": "a:1", **fields}]}


def described(**fields: Any) -> Json:  # noqa: ANN401 - any JSON
    """The same as ECS describes it: with the defaults that it adds."""
    container = {
        "name": "app",
        "image": "a:1",
        "cpu": 0,
        "essential": True,
        "environment": [],
        "mountPoints": [],
        "volumesFrom": [],
        "systemControls": [],
        "portMappings": [],
        **fields,
    }
    return {
        "family": "web",
        "containerDefinitions": [container],
        "volumes": [],
        "placementConstraints": [],
    }


SAME: dict[str, tuple[Json, Json]] = {
    "one and itself": (one(), one()),
    "a file and what ECS made of it": (one(), described()),
    "a port, and the host port and protocol that ECS adds": (
        one(portMappings=[{"containerPort": 80}]),
        described(portMappings=[{"containerPort": 80, "hostPort": 80, "protocol": "tcp"}]),
    ),
    "a port, and the dynamic host port that ECS adds": (
        one(portMappings=[{"containerPort": 80}]),
        described(portMappings=[{"containerPort": 80, "hostPort": 0, "protocol": "tcp"}]),
    ),
    "variables in another order": (
        one(environment=[{"name": "A", "value": "1"}, {"name": "B", "value": "2"}]),
        described(environment=[{"name": "B", "value": "2"}, {"name": "A", "value": "1"}]),
    ),
    "only the tags differ": ({**one(), "tags": [{"key": "a", "value": "b"}]}, described()),
}


@pytest.mark.parametrize(("wanted", "running"), SAME.values(), ids=SAME.keys())
def test_same_are(wanted: Json, running: Json) -> None:
    assert is_same(wanted, running)
    assert differences(running, wanted) == []


OTHER: dict[str, tuple[Json, Json, list[str]]] = {
    "another image": (
        one(),
        one(image="a:2"),
        ["containerDefinitions.app.image: a:1 → a:2"],
    ),
    "another value of a variable": (
        one(environment=[{"name": "A", "value": "old-secret"}]),
        one(environment=[{"name": "A", "value": "new-secret"}]),
        ["containerDefinitions.app.environment.A changed"],
    ),
    "one variable more, one less": (
        one(environment=[{"name": "A", "value": "old-secret"}]),
        one(environment=[{"name": "B", "value": "new-secret"}]),
        [
            "containerDefinitions.app.environment.A removed",
            "containerDefinitions.app.environment.B added",
        ],
    ),
    "the first variable": (
        one(),
        one(environment=[{"name": "A", "value": "new-secret"}]),
        ["containerDefinitions.app.environment.A added"],
    ),
    "the last variable": (
        one(environment=[{"name": "A", "value": "old-secret"}]),
        one(),
        ["containerDefinitions.app.environment.A removed"],
    ),
    "a whole container more, environment included": (
        one(),
        {
            "family": "web",
            "containerDefinitions": [
                {"name": "app", "image": "a:1"},
                {"name": "side", "environment": [{"name": "A", "value": "new-secret"}]},
            ],
        },
        [
            (
                'containerDefinitions.side added: {"name": "side", "environment": [{"name": "A", '
                '"value": "…"}]}'
            )
        ],
    ),
    "a container less": (
        {"family": "web", "containerDefinitions": [{"name": "a"}, {"name": "b"}]},
        {"family": "web", "containerDefinitions": [{"name": "a"}]},
        ["containerDefinitions.b removed"],
    ),
    "another secret": (
        one(secrets=[{"name": "S", "valueFrom": "arn:1"}]),
        one(secrets=[{"name": "S", "valueFrom": "arn:2"}]),
        ["containerDefinitions.app.secrets.S.valueFrom: arn:1 → arn:2"],
    ),
    "a field more": (one(), {**one(), "cpu": "512"}, ["cpu added: 512"]),
    "a field less": ({**one(), "cpu": "512"}, one(), ["cpu removed"]),
    "a list without names": (
        one(command=["a"]),
        one(command=["a", "b"]),
        ['containerDefinitions.app.command: ["a"] → ["a", "b"]'],
    ),
    "the order of a list whose order matters": (
        one(command=["a", "b"]),
        one(command=["b", "a"]),
        ['containerDefinitions.app.command: ["a", "b"] → ["b", "a"]'],
    ),
    "no longer essential": (
        described(),
        one(essential=False),
        ["containerDefinitions.app.essential added: false"],
    ),
    "another host port": (
        one(portMappings=[{"containerPort": 80, "hostPort": 80}]),
        one(portMappings=[{"containerPort": 80, "hostPort": 8080}]),
        [
            (
                'containerDefinitions.app.portMappings: [{"containerPort": 80}] → '
                '[{"containerPort": 80, "hostPort": 8080}]'
            )
        ],
    ),
    "files of environment": (
        one(environmentFiles=[{"value": "arn:aws:s3:::a/.env", "type": "s3"}]),
        one(environmentFiles=[{"value": "arn:aws:s3:::b/.env", "type": "s3"}]),
        ["containerDefinitions.app.environmentFiles changed"],
    ),
}


@pytest.mark.parametrize(("old", "new", "lines"), OTHER.values(), ids=OTHER.keys())
def test_a_difference_is_told_without_values_of_the_environment(
    old: Json, new: Json, lines: list[str]
) -> None:
    told = differences(old, new)

    assert not is_same(new, old)
    assert told == lines
    assert 'secret"' not in " ".join(told)
    assert "-secret" not in " ".join(told)


def test_a_long_value_is_cut() -> None:
    (line,) = differences(one(), one(image="x" * 500))

    assert line.endswith("x…")
    assert len(line) < 200


def test_lines_come_in_the_same_order_whatever_came_first() -> None:
    new = {**one(image="b"), "memory": "2", "cpu": "1"}

    assert differences(one(), new) == sorted(differences(one(), new))
    assert len(differences(one(), new)) == 3
