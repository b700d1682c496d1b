"""One policy, made from the calls that the gateways declare, wherever it is written."""

from __future__ import annotations

import importlib
import io
import json
import re
from importlib import resources
from pathlib import Path
from typing import Any

import pytest

from deploy_action.gateways import ecr, ecs
from deploy_action.permissions import Permissions, Scope
from deploy_action.policy import DECLARED, generate, main
from tests.contract.policies import (
    JSON_FILE,
    PARAMETERS,
    PLACEHOLDERS,
    README,
    TEMPLATE,
    json_file,
    load_template,
    readme_block,
    statements,
    template,
)
from tests.contract.repository import ROOT, read

GATEWAYS = sorted((ROOT / "deploy_action" / "gateways").glob("*.py"))
MADE_BY_OTHERS = {*ecr.BEHIND_THE_REGISTRY, *ecs.BEHIND_REGISTRATION}
"""By BuildKit and the registry, and by AWS itself on behalf of a registration."""

RESOURCES: dict[Scope, set[str]] = {
    Scope.ANYTHING: set(),
    Scope.CLUSTER: set(),
    Scope.SERVICE: {"service"},
    Scope.SERVICE_DEPLOYMENT: {"service", "service-deployment"},
    Scope.SERVICE_REVISION: {"service", "service-revision"},
    Scope.FAMILY: {"task-definition"},
    Scope.FAMILY_IN_CLUSTER: {"task-definition"},
    Scope.TASK: {"task"},
    Scope.CREATION: {"task-definition", "task"},
    Scope.REPOSITORY: {"repository"},
    Scope.LOG_GROUP: {"log-stream"},
    Scope.SECRET: {"Secret"},
    Scope.TOPIC: {"topic"},
    Scope.ROLE: {"role"},
    Scope.PASSED_ROLE: {"role"},
}
"""What the service authorization reference calls the resources of a scope."""

FOR_ALL = {"cloudwatch:DescribeAlarms"}
"""They can be narrowed, and then do not show everything: a composite alarm wants `*`."""
BY_CONDITION = {"ecs:DescribeTasks", "ecs:ListTasks", "logs:DescribeLogGroups"}
"""They have resources of another kind, which cannot be named before they are there."""


def called(gateway: Path) -> set[str]:
    """The actions beside the calls of a gateway."""
    return set(re.findall(r'answering\("([a-z0-9-]+:[A-Za-z]+)"\)', gateway.read_text("utf-8")))


def declared(gateway: Path) -> Permissions:
    module = importlib.import_module(f"deploy_action.gateways.{gateway.stem}")
    found: Permissions = getattr(module, "PERMISSIONS", {})
    return found


@pytest.mark.parametrize("gateway", GATEWAYS, ids=lambda path: path.stem)
def test_a_gateway_declares_what_it_calls(gateway: Path) -> None:
    elsewhere = {a for g in GATEWAYS if g != gateway for a in declared(g)} | MADE_BY_OTHERS

    assert called(gateway) - elsewhere <= set(declared(gateway))
    assert set(declared(gateway)) <= called(gateway)


def test_the_policy_is_made_from_every_gateway() -> None:
    needed = {
        action: permission
        for gateway in GATEWAYS
        for action, permission in declared(gateway).items()
        if permission.scope is not Scope.NOTHING
    }

    assert {a: p for a, p in DECLARED.items() if a not in MADE_BY_OTHERS} == needed


@pytest.mark.parametrize("action", sorted(DECLARED))
def test_is_narrowed_as_far_as_aws_allows(action: str) -> None:
    """By the service authorization reference, as cfn-lint carries it along."""
    reference = resources.files("cfnlint.data.AdditionalSpecs") / "Policies.json"
    service, _, name = action.partition(":")
    actions: dict[str, Any] = json.loads(reference.read_text("utf-8"))[service]["Actions"]
    known = {key.lower(): value for key, value in actions.items()}[name.lower()]
    scope = DECLARED[action].scope

    if scope is Scope.UNASKED or action in BY_CONDITION | FOR_ALL:
        return
    if scope in {Scope.ANYTHING, Scope.CLUSTER}:
        assert "Resources" not in known
    else:
        assert RESOURCES[scope] <= set(known["Resources"])


def test_no_statement_that_writes_is_for_everything() -> None:
    writes = {action for action, permission in DECLARED.items() if permission.writes}

    for statement in statements(generate(README)):
        assert "*" not in statement["Resource"] or not writes & set(statement["Action"])


def test_the_json_file_is_the_same_policy(*, update: bool) -> None:
    if update:
        (ROOT / JSON_FILE).write_text(json_file(), "utf-8")

    assert read(JSON_FILE) == json_file(), "run `pytest --update tests/contract`"
    assert json.loads(read(JSON_FILE)) == generate(PLACEHOLDERS)


def test_the_template_has_the_same_policy(*, update: bool) -> None:
    if update:
        (ROOT / TEMPLATE).write_text(template(), "utf-8")

    document = load_template()
    inline = document["Resources"]["Role"]["Properties"]["Policies"][0]["PolicyDocument"]
    assert statements(_without_sub(inline)) == statements(generate(PARAMETERS))


def test_the_readme_names_what_may_be_left_out() -> None:
    assert "`logs:GetLogEvents`" in readme_block()
    assert "`ecs:UpdateService`" not in readme_block().rpartition("```")[2]


def test_the_command_prints_the_policy() -> None:
    stream = io.StringIO()

    code = main(
        [
            *("--region", "eu-west-1", "--account", "123456789012", "--cluster", "prod"),
            *("--service", "web", "--repository", "web"),
            *("--execution-role", "web-execution", "--task-role", "web-task"),
        ],
        stream,
    )

    assert code == 0
    assert json.loads(stream.getvalue()) == generate(README)


def test_the_command_takes_several_names_and_other_partitions() -> None:
    stream = io.StringIO()
    uri = "210987654321.dkr.ecr.cn-northwest-1.amazonaws.com.cn/team/web"

    main(
        [
            *("--region", "cn-north-1", "--account", "123456789012"),
            *("--service", "web", "api", "--family", "shop-*", "--repository", uri),
            *("--task-role", "arn:aws-cn:iam::123456789012:role/path/task"),
        ],
        stream,
    )

    found = {s["Sid"]: s["Resource"] for s in statements(json.loads(stream.getvalue()))}
    assert found["Service"] == [
        "arn:aws-cn:ecs:cn-north-1:123456789012:service/default/web",
        "arn:aws-cn:ecs:cn-north-1:123456789012:service/default/api",
    ]
    assert found["Family"] == ["arn:aws-cn:ecs:cn-north-1:123456789012:task-definition/shop-*:*"]
    assert found["Repository"] == ["arn:aws-cn:ecr:cn-northwest-1:210987654321:repository/team/web"]
    assert found["LogGroup"] == ["arn:aws-cn:logs:cn-north-1:123456789012:log-group:/ecs/shop-*:*"]
    assert found["PassedRole"] == ["arn:aws-cn:iam::123456789012:role/path/task"]


def test_without_a_repository_there_is_nothing_of_ecr() -> None:
    stream = io.StringIO()

    main(["--region", "eu-west-1", "--account", "123456789012", "--service", "web"], stream)

    assert "ecr:" not in stream.getvalue()
    assert "iam:PassRole" not in stream.getvalue()


def test_a_role_that_only_plans_writes_nothing() -> None:
    actions = {a for s in statements(generate(README, reads_only=True)) for a in s["Action"]}

    assert actions == {
        a for s in statements(generate(README)) for a in s["Action"] if not DECLARED[a].writes
    }


COMMAND = ("--region", "eu-west-1", "--account", "123456789012", "--service", "web")


def printed(*arguments: str) -> dict[str, dict[str, Any]]:
    stream = io.StringIO()
    main([*COMMAND, *arguments], stream)
    return {s["Sid"]: s for s in statements(json.loads(stream.getvalue()))}


def test_an_input_that_makes_calls_of_its_own_is_allowed_on_request() -> None:
    plain = printed("--repository", "web")["Repository"]["Action"]
    more = printed("--repository", "web", "--with-input", "create-repository", "scan-severity")[
        "Repository"
    ]["Action"]

    assert set(more) - set(plain) == {
        "ecr:CreateRepository",
        "ecr:DescribeImageScanFindings",
        "ecr:PutLifecyclePolicy",
        "ecr:StartImageScan",
    }


def test_a_command_before_the_release_may_only_run_and_be_stopped_in_the_cluster() -> None:
    plain, more = printed(), printed("--with-input", "pre-deploy-command")

    start = "arn:aws:ecs:eu-west-1:123456789012"
    assert set(more) - set(plain) == {"FamilyInCluster", "Task"}
    assert more["FamilyInCluster"]["Resource"] == [f"{start}:task-definition/web:*"]
    assert more["FamilyInCluster"]["Condition"] == {
        "ArnEquals": {"ecs:cluster": f"{start}:cluster/default"}
    }
    assert more["Task"]["Resource"] == [f"{start}:task/default/*"]
    tagged = more["Creation"]
    added = set(tagged["Resource"]) - set(plain["Creation"]["Resource"])
    assert added == {f"{start}:task/default/*"}
    assert tagged["Condition"]["StringEquals"]["ecs:CreateAction"] == [
        "RegisterTaskDefinition",
        "RunTask",
    ]


def test_a_repository_that_images_are_promoted_from_may_only_be_read() -> None:
    uri = "210987654321.dkr.ecr.eu-west-1.amazonaws.com/staging"

    source = printed("--repository", "web", "--source-repository", uri)["Source"]

    assert source["Resource"] == ["arn:aws:ecr:eu-west-1:210987654321:repository/staging"]
    assert not [action for action in source["Action"] if DECLARED[action].writes]
    assert "Source" not in printed("--repository", "web")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--region", "eu-west-1", "--service", "web"], "--account"),
        (["--region", "eu-west-1", "--service", "web", "--account", "42"], "12 digits"),
    ],
)
def test_the_command_says_what_is_wrong(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        main(arguments, io.StringIO())

    assert words in capsys.readouterr().err


def _without_sub(value: Any) -> Any:  # noqa: ANN401 - any part of a template
    """Text that CloudFormation fills in, as plain text."""
    if isinstance(value, dict):
        if set(value) == {"Fn::Sub"}:
            return value["Fn::Sub"]
        return {str(key): _without_sub(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_without_sub(item) for item in value]
    return value
