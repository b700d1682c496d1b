"""Roles, permissions, addresses, tags and the endpoint's name, in a simulated account."""

from __future__ import annotations

import pytest

from deploy_action.errors import AwsError, Refusal
from deploy_action.model import Repository
from deploy_action.ports import Answer, Silence
from deploy_action.preflight import health, network, permissions, repository, roles
from deploy_action.preflight.check import Outcome
from tests.simulator import World
from tests.unit.builders import SHA
from tests.unit.preflight.facts import (
    REGISTRY,
    ROLES,
    body,
    doors,
    facts,
    kinds,
    said,
    service,
    words,
)

SUBNETS = ("subnet-1", "subnet-2")
URL = "https://shop.example.com/health"


@pytest.fixture
def world() -> World:
    world = World()
    world.repository("web")
    return world


# ---- roles ----


def roles_of(world: World, **fields: str) -> list[Outcome]:
    return said(roles.looks(facts(body=body(**fields)), doors(world)))


def test_roles_that_ecs_tasks_may_assume_pass(world: World) -> None:
    assert kinds(roles_of(world, taskRoleArn=ROLES + "task")) == ["Passed", "Passed"]
    assert kinds(roles_of(world, executionRoleArn="ecsTaskExecutionRole")) == ["Passed"]


def test_a_role_that_is_both_is_looked_at_once(world: World) -> None:
    both = ROLES + "ecsTaskExecutionRole"

    assert kinds(roles_of(world, executionRoleArn=both, taskRoleArn=both)) == ["Passed"]


def test_a_role_that_is_not_there_refuses(world: World) -> None:
    (text,) = words(roles_of(world, executionRoleArn=ROLES + "gone"))

    assert text.startswith("Refused: There is no role 'gone'. `executionRoleArn` names it")


def test_a_role_under_another_path_refuses_with_the_right_arn(world: World) -> None:
    (text,) = words(roles_of(world, executionRoleArn=ROLES + "ci/ecsTaskExecutionRole"))

    assert text.startswith("Refused: ")
    assert f"Set `executionRoleArn` to {ROLES}ecsTaskExecutionRole." in text


def test_a_role_for_somebody_else_refuses(world: World) -> None:
    (text,) = words(roles_of(world, executionRoleArn=ROLES + "deploy"))

    assert text.startswith("Refused: ECS tasks may not assume the role 'deploy'.")
    assert "its trust policy accepts token.actions.githubusercontent.com" in text


# ---- permissions ----


def allowed(world: World) -> list[Outcome]:
    return said(permissions.looks(facts(service=service()), doors(world)))


def test_what_iam_allows_passes(world: World) -> None:
    assert words(allowed(world)) == ["Passed: IAM allows what the release writes"]


def test_what_iam_denies_is_warned_about_and_never_refused(world: World) -> None:
    world.deny("ecs:UpdateService", "iam:PassRole")

    first, second = words(allowed(world))

    assert first.startswith("Warned: IAM says that the job may not do `ecs:UpdateService` on arn:")
    assert f"`iam:PassRole` on {ROLES}ecsTaskExecutionRole" in second
    assert f"Allow it to {ROLES}deploy" in second


def test_pushing_is_asked_about_where_an_image_is_pushed() -> None:
    repo = Repository(
        name="web", uri=f"{REGISTRY}/web", registry_id="1", mutability="MUTABLE", exclusions=()
    )
    building = permissions.questions(facts(repository=repo))
    given = permissions.questions(
        facts(repository=repo, given={"image": f"{REGISTRY}/web:1", "ecr_repository": ""})
    )

    assert building[-1].actions == permissions.PUSH
    assert building[-1].resources == ["arn:aws:ecr:eu-west-1:1:repository/web"]
    assert len(given) == len(building) - 1


def test_pushing_is_asked_about_for_a_copy_and_creating_for_what_is_not_there() -> None:
    planned = Repository(
        name="web",
        uri=f"{REGISTRY}/web",
        registry_id="",
        mutability="IMMUTABLE",
        exclusions=(),
        exists=False,
    )

    asked = permissions.questions(
        facts(repository=planned, given={"image": f"{REGISTRY}/staging:1"})
    )

    assert asked[-1].actions == ("ecr:CreateRepository", *permissions.PUSH)
    assert asked[-1].resources == ["arn:aws:ecr:eu-west-1:123456789012:repository/web"]


@pytest.mark.parametrize(("operation", "asks"), [("deploy", True), ("restart", False)])
def test_a_one_off_task_is_asked_about_where_one_is_run(operation: str, *, asks: bool) -> None:
    given = {"pre_deploy_command": "./migrate", "operation": operation}

    asked = {q.actions[0]: q for q in permissions.questions(facts(given=given))}

    assert ("ecs:RunTask" in asked) is asks
    if asks:
        start = "arn:aws:ecs:eu-west-1:123456789012"
        cluster = {"ecs:cluster": f"{start}:cluster/prod"}
        assert asked["ecs:RunTask"].resources == [f"{start}:task-definition/web:1"]
        assert asked["ecs:RunTask"].context == cluster
        assert asked["ecs:DescribeTasks"].resources == [f"{start}:task/prod/any"]
        assert list(asked["ecs:DescribeTasks"].actions) == ["ecs:DescribeTasks", "ecs:StopTask"]


def test_without_roles_none_is_passed() -> None:
    asked = permissions.questions(facts(body=body(executionRoleArn=None)))

    assert [q for q in asked if "iam:PassRole" in q.actions] == []


@pytest.mark.parametrize(
    ("arn", "principal"),
    [
        (f"{ROLES}deploy".replace("role/", "user/"), f"{ROLES}deploy".replace("role/", "user/")),
        ("arn:aws:iam::123456789012:root", ""),
    ],
    ids=["a user", "root"],
)
def test_who_has_the_policies(world: World, arn: str, principal: str) -> None:
    identity = facts().identity.__class__(account="123456789012", arn=arn, region="eu-west-1")

    outcomes = said(permissions.looks(facts(identity=identity), doors(world)))

    assert kinds(outcomes) == ["Passed" if principal else "Skipped"]
    asked = {
        c.params["PolicySourceArn"] for c in world.history.named("iam:SimulatePrincipalPolicy")
    }
    assert asked == ({principal} if principal else set())


# ---- addresses ----


def addresses(world: World, free: int, **settings: object) -> list[Outcome]:
    world.state.subnets.update({"subnet-1": free, "subnet-2": 0})
    placed = service(**{"subnets": SUBNETS, **settings})
    return said(network.looks(facts(service=placed), doors(world)))


def test_enough_addresses_pass(world: World) -> None:
    assert words(addresses(world, 2)) == ["Passed: 2 free, 2 more wanted while it moves"]
    assert kinds(addresses(world, 0, minimum_healthy_percent=0, maximum_percent=100)) == ["Passed"]


def test_too_few_addresses_are_warned_about(world: World) -> None:
    (text,) = words(addresses(world, 1))

    assert text.startswith("Warned: The subnets have 1 free address")
    assert "subnet-1 has 1, subnet-2 has 0" in text


def test_a_subnet_that_is_gone_refuses(world: World) -> None:
    del world.state.subnets["subnet-2"]

    outcomes = said(network.looks(facts(service=service(subnets=SUBNETS)), doors(world)))

    (text,) = words(outcomes)
    assert text.startswith("Refused: A subnet of the service does not exist.")
    assert "subnet-2" in text


def test_tasks_without_an_address_of_their_own_need_none(world: World) -> None:
    assert network.looks(facts(), doors(world)) == []
    assert network.looks(facts(service=service(subnets=SUBNETS, desired=0)), doors(world)) == []


# ---- tags ----


def tags(
    world: World,
    mutability: str,
    *exclusions: str,
    there: tuple[str, ...] = (),
    exists: bool = True,
    **given: str,
) -> list[Outcome]:
    for tag in there:
        world.image("web", tag=tag)
    repo = Repository(
        name="web",
        uri=f"{REGISTRY}/web",
        registry_id="123456789012",
        mutability=mutability,
        exclusions=exclusions,
        exists=exists,
    )
    found = facts(repository=repo, given=given, tag=given.get("image_tag", SHA))
    return said(repository.looks(found, doors(world)))


def test_tags_that_may_be_set_pass(world: World) -> None:
    assert words(tags(world, "MUTABLE")) == [f"Passed: web is MUTABLE; the tag {SHA[:12]} is free"]
    assert kinds(tags(world, "IMMUTABLE_WITH_EXCLUSION", "latest")) == ["Passed"]
    assert kinds(tags(world, "IMMUTABLE", latest_tag=" ")) == ["Passed"]


def test_an_image_that_is_there_already_is_said(world: World) -> None:
    (text,) = words(tags(world, "MUTABLE", there=("1.2",), image_tag="1.2"))

    assert text == "Passed: web is MUTABLE; the tag 1.2 is there already"


def test_tags_that_could_not_move_are_warned_about(world: World) -> None:
    latest, extra, _ = words(tags(world, "IMMUTABLE", there=("latest",), extra_tags="stable"))

    assert latest.startswith("Warned: The tag `latest` exists and will not move: web is IMMUTABLE.")
    assert "IMMUTABLE_WITH_EXCLUSION" in latest
    assert extra.startswith("Warned: The tag `stable` will not move after this release")


def test_a_cache_that_could_be_written_once_is_warned_about(world: World) -> None:
    (cache, _) = words(tags(world, "IMMUTABLE_WITH_EXCLUSION", "latest", cache="registry"))

    assert cache.startswith("Warned: The tag `buildcache` will not move")


def test_a_repository_that_will_be_created_is_not_looked_into(world: World) -> None:
    (text,) = words(tags(world, "IMMUTABLE_WITH_EXCLUSION", "latest", exists=False))

    assert text.startswith("Passed: web is not there and will be created: scan on push, ")
    assert "immutable tags except `latest`, the newest 100 tagged images are kept" in text
    assert world.history.calls == []


def test_the_tags_that_follow_a_copy_are_looked_at(world: World) -> None:
    warned, passed = words(tags(world, "IMMUTABLE", image=f"{REGISTRY}/staging:1"))

    assert warned.startswith("Warned: The tag `latest` will not move after this release")
    assert passed == "Passed: web is IMMUTABLE; the image is copied there"


def test_a_tag_that_cannot_be_built_again_refuses(world: World) -> None:
    outcomes = tags(world, "IMMUTABLE", there=("1.2",), image_tag="1.2", rebuild="true")

    (text,) = words(outcomes)
    assert text.startswith("Refused: The tag '1.2' cannot be pushed again.")


def test_where_nothing_is_pushed_no_tag_is_looked_at(world: World) -> None:
    assert tags(world, "IMMUTABLE", image=f"{REGISTRY}/web:1", ecr_repository="") == []


# ---- the endpoint's name ----


def endpoint(world: World, unresolvable: str = "") -> list[Outcome]:
    found = facts(given={"health_url": URL}, unresolvable=unresolvable)
    return said(health.looks(found, doors(world)))


def test_a_name_that_was_found_is_not_looked_up_again(world: World) -> None:
    assert words(endpoint(world)) == ["Passed: shop.example.com can be looked up"]
    assert world.history.calls == []


def test_a_name_that_is_found_at_the_second_try_passes(world: World) -> None:
    world.http.silences["shop.example.com"] = Silence.REFUSED
    assert kinds(endpoint(world, "no such host")) == ["Passed"]

    world.http.silences.clear()
    world.http.pages[URL] = Answer(status=200, body="", headers={})
    assert kinds(endpoint(world, "no such host")) == ["Passed"]


def test_a_name_that_nobody_knows_refuses(world: World) -> None:
    (text,) = words(endpoint(world, "no such host"))

    assert text.startswith("Refused: The name 'shop.example.com' in `health-url`")


def test_a_denied_look_is_an_error_that_the_runner_of_checks_skips(world: World) -> None:
    world.deny("iam:GetRole")

    with pytest.raises(AwsError) as caught:
        roles_of(world)

    assert caught.value.refusal is Refusal.DENIED
