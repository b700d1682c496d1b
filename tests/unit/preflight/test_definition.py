"""What ECS would refuse to register, or could never run."""

from __future__ import annotations

from typing import Any

import pytest

from deploy_action.model import Json
from deploy_action.preflight.definition import MEMORY, judge, nearest
from tests.unit.preflight.facts import REGISTRY, body, container, facts, kinds, service, words

ON_INSTANCES = service(launch_types=("EC2",))
FOR_INSTANCES = {"requiresCompatibilities": ["EC2"]}
LOGGING = {"logDriver": "awslogs", "options": {"awslogs-group": "/ecs/web"}}

REFUSED: dict[str, tuple[Json, str]] = {
    "a pair that does not exist": (
        body(cpu="512", memory="8192"),
        "512 with 4096 or 1024 with 8192",
    ),
    "a CPU size that does not exist": (body(cpu="300", memory="600"), "512 with 1024"),
    "more memory than there is": (body(cpu="16384", memory="200000"), "16384 with 122880"),
    "no size": (body(cpu=None), "no usable `cpu`"),
    "a size in no unit we know": (body(memory="half"), "no usable `memory`"),
    "another network mode": (body(networkMode="bridge"), "the network mode 'bridge'"),
    "no network mode, which is bridge": (body(networkMode=None), "the network mode 'bridge'"),
    "a host port of its own": (
        body(container(portMappings=[{"containerPort": 8080, "hostPort": 80}])),
        "maps port 8080 to host port 80",
    ),
    "more than 64 KiB": (
        body(container(environment=[{"name": "A", "value": "x" * 70_000}])),
        "ECS takes at most 65,536",
    ),
    "too many containers": (body(*(container(f"c{n}") for n in range(11))), "has 11 containers"),
    "secrets without an execution role": (
        body(container(secrets=[{"name": "A", "valueFrom": "/a"}]), executionRoleArn=None),
        "ECS needs one to read secrets ('web')",
    ),
    "logs without an execution role": (
        body(container(logConfiguration=LOGGING), executionRoleArn=None),
        "write to CloudWatch Logs",
    ),
    "a registry's password without an execution role": (
        body(
            container(repositoryCredentials={"credentialsParameter": "arn:x"}),
            executionRoleArn=None,
        ),
        "log in to a private registry",
    ),
    "an ECR image without an execution role": (
        body(container(image=f"{REGISTRY}/web:1"), executionRoleArn=None),
        "pull from ECR",
    ),
}


def test_a_definition_for_both_is_held_to_the_rules_of_fargate() -> None:
    both = body(cpu="512", memory="8192", requiresCompatibilities=["EC2", "FARGATE"])

    assert kinds(judge(facts(body=both, service=ON_INSTANCES))) == ["Refused"]


@pytest.mark.parametrize(("new", "text"), REFUSED.values(), ids=REFUSED.keys())
def test_refuses(new: Json, text: str) -> None:
    (told,) = words(judge(facts(body=new)))

    assert told.startswith("Refused: ")
    assert text in told


PASSED: dict[str, dict[str, Any]] = {
    "an ordinary task": {},
    "sizes with units": {"body": body(cpu=".25 vCPU", memory="0.5 GB")},
    "the largest size": {"body": body(cpu="16 vCPU", memory="120GB")},
    "a public image without an execution role": {
        "body": body(container(image="docker.io/acme/web:1"), executionRoleArn=None)
    },
    "a host port that is the same": {
        "body": body(container(portMappings=[{"containerPort": 80, "hostPort": 80}]))
    },
    "instances, without a size": {
        "body": body(cpu=None, memory=None, networkMode="bridge", **FOR_INSTANCES),
        "service": ON_INSTANCES,
    },
    "instances, where their own role writes logs": {
        "body": body(
            container(logConfiguration=LOGGING), executionRoleArn=None, **FOR_INSTANCES
        ),
        "service": ON_INSTANCES,
    },
    "a free port on instances": {
        "body": body(
            container(portMappings=[{"containerPort": 80, "hostPort": 0}]),
            networkMode="bridge",
            **FOR_INSTANCES,
        ),
        "service": ON_INSTANCES,
    },
}  # fmt: skip


@pytest.mark.parametrize("differences", PASSED.values(), ids=PASSED.keys())
def test_passes(differences: dict[str, Any]) -> None:
    assert kinds(judge(facts(**differences))) == ["Passed"]


WARNED: dict[str, tuple[dict[str, Any], str]] = {
    "a size that may exist by now": ({"body": body(cpu="32768", memory="65536")}, "32768 CPU"),
    "nearly 64 KiB": (
        {"body": body(container(environment=[{"name": "A", "value": "x" * 62_000}]))},
        "and ECS takes at most 65,536",
    ),
    "another launch type in the definition": (
        {"body": body(requiresCompatibilities=["EC2"])},
        "`requiresCompatibilities` is ['EC2']",
    ),
    "a port that the old task holds": (
        {
            "body": body(
                container(portMappings=[{"containerPort": 80, "hostPort": 80}]),
                networkMode="bridge",
                **FOR_INSTANCES,
            ),
            "service": ON_INSTANCES,
        },
        "takes the fixed host port 80",
    ),
}


@pytest.mark.parametrize(("differences", "text"), WARNED.values(), ids=WARNED.keys())
def test_warns(differences: dict[str, Any], text: str) -> None:
    (told,) = words(judge(facts(**differences)))

    assert told.startswith("Warned: ")
    assert text in told


@pytest.mark.parametrize(("cpu", "memory"), [(c, m) for c, sizes in MEMORY.items() for m in sizes])
def test_every_size_of_fargate_passes(cpu: int, memory: int) -> None:
    assert kinds(judge(facts(body=body(cpu=str(cpu), memory=str(memory))))) == ["Passed"]


@pytest.mark.parametrize("cpu", [1, 256, 300, 1024, 9000, 16384])
@pytest.mark.parametrize("memory", [1, 700, 5000, 99_999, 200_000])
def test_what_is_suggested_exists(cpu: int, memory: int) -> None:
    for pair in nearest(cpu, memory):
        near_cpu, _, near_memory = pair.partition(" with ")
        assert int(near_memory) in MEMORY[int(near_cpu)]


def test_several_problems_are_told_together() -> None:
    new = body(cpu="1", memory="1", networkMode="host", executionRoleArn=None)
    new["containerDefinitions"][0]["secrets"] = [{"name": "A", "valueFrom": "/a"}]

    assert kinds(judge(facts(body=new))) == ["Refused"] * 3
