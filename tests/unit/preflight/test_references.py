"""Secrets, parameters, log groups and env files, looked up in a simulated account."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from deploy_action.model import Json
from deploy_action.preflight import references
from deploy_action.preflight.check import Outcome
from tests.simulator import World
from tests.unit.builders import START
from tests.unit.preflight.facts import SECRET, body, container, doors, facts, kinds, said, words


@pytest.fixture
def world() -> World:
    return World()


def using(*sources: str, **fields: Any) -> Json:  # noqa: ANN401 - as ECS has it
    secrets = [{"name": f"S{n}", "valueFrom": source} for n, source in enumerate(sources)]
    return body(container(secrets=secrets, **fields))


def secrets(world: World, *sources: str) -> list[Outcome]:
    return said(references.secrets(facts(body=using(*sources)), doors(world)))


def parameters(world: World, *sources: str) -> list[Outcome]:
    return said(references.parameters(facts(body=using(*sources)), doors(world)))


def test_a_secret_that_is_there_passes(world: World) -> None:
    arn = world.secret("db", value='{"user": "shop", "password": "hunter2"}')

    assert kinds(secrets(world, arn, f"{arn}:password::", f"{arn}::AWSCURRENT:")) == ["Passed"]
    assert len(world.history.named("secretsmanager:DescribeSecret")) == 1


def test_a_secret_that_is_not_there_refuses_with_who_uses_it(world: World) -> None:
    (text,) = words(secrets(world, f"{SECRET}db-abcdef:password::", f"{SECRET}db-abcdef:user::"))

    assert text.startswith("Refused: There is no secret 'db-abcdef' in eu-west-1.")
    assert "It is the source of `S0` of 'web' and `S1` of 'web'" in text


def test_a_secret_of_another_region_is_looked_for_there(world: World) -> None:
    arn = world.secret("db").replace("eu-west-1", "us-east-1")

    (text,) = words(secrets(world, arn))

    assert "in us-east-1." in text
    assert world.history.named("secretsmanager:DescribeSecret")[0].region == "us-east-1"


def test_a_secret_that_is_going_to_be_deleted_refuses(world: World) -> None:
    arn = world.secret("db", deletion=START + timedelta(days=7))

    (text,) = words(secrets(world, arn))

    assert text.startswith("Refused: The secret 'db-")
    assert "is scheduled for deletion." in text
    assert f"aws secretsmanager restore-secret --region eu-west-1 --secret-id {arn}" in text


def test_a_json_key_that_is_not_there_refuses_and_no_value_is_told(world: World) -> None:
    arn = world.secret("db", value='{"user": "shop", "password": "hunter2"}')

    (text,) = words(secrets(world, f"{arn}:pasword::"))

    assert "has no JSON key 'pasword'." in text
    assert "its keys are password, user." in text
    assert "hunter2" not in text
    assert "shop" not in text


@pytest.mark.parametrize("value", ["hunter2", "[1, 2]"], ids=["text", "a list"])
def test_a_key_of_something_else_than_an_object_refuses(world: World, value: str) -> None:
    (text,) = words(secrets(world, world.secret("db", value=value) + ":password::"))

    assert "it is no JSON object." in text
    assert value not in text


def test_a_key_that_may_not_be_looked_at_is_skipped(world: World) -> None:
    arn = world.secret("db", value="{}")
    world.deny("secretsmanager:GetSecretValue")

    (text,) = words(secrets(world, f"{arn}:password::"))

    assert text.startswith("Skipped: db-")
    assert "is there, but its key 'password' may not be looked at" in text


@pytest.mark.parametrize("suffix", [":: AWSPENDING:", ":::0000"], ids=["stage", "id"])
def test_a_version_that_is_not_there_refuses(world: World, suffix: str) -> None:
    arn = world.secret("db", value="x")

    (text,) = words(secrets(world, arn + suffix.replace(" ", "")))

    assert text.startswith("Refused: ")
    assert "has no version" in text


def test_many_keys_are_shown_in_part(world: World) -> None:
    keys = ", ".join(f'"k{n}": 1' for n in range(10))

    (text,) = words(secrets(world, world.secret("db", value=f"{{{keys}}}") + ":x::"))

    assert "k0, k1, k2, k3, k4, k5, k6, k7 and 2 more." in text


def test_the_options_of_a_log_driver_and_a_registry_refer_to_secrets_too(world: World) -> None:
    options = {"secretOptions": [{"name": "token", "valueFrom": f"{SECRET}splunk-abcdef"}]}
    login = {"credentialsParameter": f"{SECRET}login-abcdef"}
    new = body(container(logConfiguration=options, repositoryCredentials=login))

    login_text, splunk = words(said(references.secrets(facts(body=new), doors(world))))

    assert "It is the source of `token` of 'web'" in splunk
    assert "It is the source of the registry's password of 'web'" in login_text


def test_parameters_are_found_by_name_and_by_arn(world: World) -> None:
    arn, path = world.parameter("plain"), world.parameter("/web/token")

    assert words(parameters(world, arn, path, "plain", "/web/token")) == [
        "Passed: 2 of 2 are there in eu-west-1",
        "Passed: 2 of 2 are there in eu-west-1",
    ]


def test_each_missing_parameter_refuses(world: World) -> None:
    world.parameter("/web/token")

    first, second = words(parameters(world, "/web/token", "/web/tokn"))

    assert first.startswith("Refused: There is no parameter '/web/tokn' in eu-west-1.")
    assert "It is the source of `S1` of 'web'" in first
    assert second == "Passed: 1 of 2 is there in eu-west-1"


def test_a_parameter_of_another_region_is_looked_for_there(world: World) -> None:
    arn = world.parameter("/web/token").replace("eu-west-1", "us-east-1")

    (text,) = words(parameters(world, arn))

    assert "in us-east-1." in text


def test_ten_parameters_are_one_call(world: World) -> None:
    names = [f"/web/{n:02}" for n in range(21)]
    for name in names:
        world.parameter(name)

    assert kinds(parameters(world, *names)) == ["Passed"] * 3
    assert len(world.history.named("ssm:GetParameters")) == 3
    assert all(not c.params["WithDecryption"] for c in world.history.named("ssm:GetParameters"))


def logging(group: str, **options: str) -> Json:
    return {"logDriver": "awslogs", "options": {"awslogs-group": group, **options}}


def log_groups(world: World, *configurations: Json) -> list[Outcome]:
    containers = [container(f"c{n}", logConfiguration=c) for n, c in enumerate(configurations)]
    return said(references.log_groups(facts(body=body(*containers)), doors(world)))


def test_a_log_group_is_found_by_its_whole_name(world: World) -> None:
    world.state.logs.update({"/ecs/web": {}, "/ecs/web-old": {}})

    assert words(log_groups(world, logging("/ecs/web"), logging("/ecs/web"))) == [
        "Passed: /ecs/web is there"
    ]
    (text,) = words(log_groups(world, logging("/ecs/we"), logging("/ecs/we")))
    assert text.startswith("Refused: There is no log group '/ecs/we' in eu-west-1.")
    assert "It is for the log of 'c0' and 'c1'" in text
    assert "aws logs create-log-group --region eu-west-1 --log-group-name /ecs/we" in text


def test_a_log_group_of_another_region_is_looked_for_there(world: World) -> None:
    world.state.logs["/ecs/web"] = {}

    (text,) = words(log_groups(world, logging("/ecs/web", **{"awslogs-region": "us-east-1"})))

    assert "in us-east-1." in text


@pytest.mark.parametrize(
    "configuration",
    [
        logging("/ecs/new", **{"awslogs-create-group": "true"}),
        {"logDriver": "splunk", "options": {"awslogs-group": "/ecs/new"}},
        {"logDriver": "awslogs"},
        {},
    ],
    ids=["made by the driver", "another driver", "no group", "no log"],
)
def test_a_log_group_that_need_not_be_there_is_not_looked_for(
    world: World, configuration: Json
) -> None:
    assert log_groups(world, configuration) == []


def env_files(world: World, *arns: str) -> list[Outcome]:
    files = [{"type": "s3", "value": arn} for arn in arns]
    new = body(container(environmentFiles=files))
    return said(references.env_files(facts(body=new), doors(world)))


def test_env_files_are_looked_for(world: World) -> None:
    there = world.env_file("config", "web/prod.env")
    odd = world.env_file("my.bucket", "web/prod.txt")

    passed, missing, ending, unreadable = words(
        env_files(world, there, "arn:aws:s3:::config/web/x.env", odd, "s3://config/web/prod.env")
    )

    assert passed == "Passed: s3://config/web/prod.env is there"
    assert missing.startswith("Refused: There is no env file s3://config/web/x.env.")
    assert ending.startswith("Warned: The env file s3://my.bucket/web/prod.txt does not end with")
    assert unreadable.startswith("Refused: 's3://config/web/prod.env' is not the ARN")
