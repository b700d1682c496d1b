"""What is looked at before a release: told together, at once, and without a write."""

from __future__ import annotations

import json

import pytest

from deploy_action.ports import Silence
from tests.scenarios.stage import Outcome, Stage
from tests.simulator import Fault, SimulatedError

REGISTRY = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
GONE = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:shop/db-abcdef"
MOST_CALLS = 14
"""For the checks of a service with a load balancer, two roles, a log group and an image."""
LOOKS = {
    "ecr:DescribeImages",
    "iam:GetRole",
    "iam:SimulatePrincipalPolicy",
    "logs:DescribeLogGroups",
    "ec2:DescribeSubnets",
    "secretsmanager:DescribeSecret",
    "secretsmanager:GetSecretValue",
    "ssm:GetParameters",
    "s3:GetObject",
    "ecr:DescribePullThroughCacheRules",
    "ecr:GetDownloadUrlForLayer",
}
"""The actions that only checks use."""
PASSWORD, ADDRESS = "hunter2-hunter2", "postgres://shop:s3cret-s3cret@db/shop"


def checks(outcome: Outcome) -> dict[str, str]:
    """Name to mark of each line."""
    return {check["name"]: check["mark"] for check in outcome.report["checks"]}


def everything(outcome: Outcome) -> str:
    return outcome.log + outcome.summary + json.dumps([outcome.outputs, outcome.report])


@pytest.fixture
def broken(stage: Stage) -> Stage:
    """A service around which much is wrong."""
    stage.world.state.service("web").configuration["maximumPercent"] = 100
    stage.world.state.roles["task"] = "ec2.amazonaws.com"
    del stage.world.state.logs["/ecs/web"]
    stage.world.http.silences["shop.example.com"] = Silence.DNS
    return stage


def test_several_problems_are_told_together_and_nothing_is_written(broken: Stage) -> None:
    files = [{"type": "s3", "value": "arn:aws:s3:::config/gone.env"}]
    proxy = {"name": "proxy", "image": f"{REGISTRY}/proxy:1", "environmentFiles": files}

    outcome = broken.deploy(
        health_path="",
        health_url="https://shop.example.com/health",
        memory="8192",
        secrets=f"DB={GONE}:password::\nTOKEN=/web/token",
        task_definition_patch=json.dumps({"containerDefinitions": [proxy]}),
    )

    assert (outcome.code, outcome.verdict) == (3, "blocked")
    assert "9 things would make this release fail." in outcome.log
    for problem, fix in {
        "web can never exchange its tasks.": "Set `maximum-percent` to 200 or more",
        f"There is no image '{REGISTRY}/proxy:1'.": "push the image first",
        "Fargate has no task of 256 CPU units with 8192 MiB.": "256 with 2048 or 1024 with 8192",
        "ECS tasks may not assume the role 'task'.": "ecs-tasks.amazonaws.com",
        "There is no secret 'shop/db-abcdef' in eu-west-1.": "its region count",
        "There is no parameter '/web/token' in eu-west-1.": "correct its name",
        "There is no log group '/ecs/web' in eu-west-1.": "aws logs create-log-group",
        "There is no env file s3://config/gone.env.": "Upload the file",
        "The name 'shop.example.com' in `health-url` cannot be looked up.": "Correct the name",
    }.items():
        (line,) = [
            each
            for each in outcome.log.splitlines()
            if f"- {problem}" in each and "::" not in each[:2]
        ]
        assert fix in line
        assert problem in outcome.summary
        assert fix in outcome.summary
    assert broken.changes() == []
    assert broken.runs_the_old()
    assert len(outcome.annotations) == 1
    assert list(checks(outcome).values()).count("✗") == 9


def test_a_usual_service_is_looked_at_with_few_calls(stage: Stage) -> None:
    outcome = stage.deploy()

    marks = checks(outcome)
    made = [c for c in stage.world.history.calls if c.name in LOOKS]
    assert outcome.verdict == "deployed"
    assert {name for name, mark in marks.items() if mark != "✓"} == {"breaker"}
    # The tags of the repository are one more.
    assert len(made) + 1 <= MOST_CALLS
    assert not [line for line in outcome.log.splitlines() if "the check itself failed" in line]


def test_what_may_not_be_looked_at_is_skipped_and_the_verdict_is_the_same(stage: Stage) -> None:
    stage.world.deny(*LOOKS)
    stage.world.parameter("/web/token")

    outcome = stage.deploy(secrets="TOKEN=/web/token")

    assert (outcome.code, outcome.verdict) == (0, "deployed")
    skipped = {name for name, mark in checks(outcome).items() if mark == "–"}
    assert skipped == {"roles", "parameters", "log groups", "addresses", "rollback", "permissions"}
    assert "– roles          skipped: the job may not call `iam:GetRole`" in outcome.log
    assert "::warning" not in outcome.log


@pytest.mark.parametrize(
    "error",
    [
        SimulatedError("ThrottlingException", "Rate exceeded"),
        SimulatedError("InternalFailure", "", 500),
        ConnectionResetError("peer"),
    ],
    ids=["throttled", "down", "unreachable"],
)
def test_looks_that_fail_for_the_moment_do_not_decide(stage: Stage, error: Exception) -> None:
    stage.world.faults.append(
        lambda call: Fault(error=error) if call.service in {"iam", "ec2", "logs"} else None
    )

    assert stage.deploy().verdict == "deployed"


def test_slow_looks_are_given_up(stage: Stage) -> None:
    stage.world.faults.append(
        lambda call: Fault(slow_seconds=1.5) if call.service == "iam" else None
    )

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert "skipped: the checks had already taken 3 s" in outcome.log


def test_warnings_are_in_the_summary_and_no_value_is_anywhere(stage: Stage) -> None:
    outcome = stage.deploy(environment_variables=f"DB_PASSWORD={PASSWORD}\nDATABASE_URL={ADDRESS}")

    assert outcome.verdict == "deployed"
    checked = outcome.summary.partition("<summary>Checks</summary>")[2].partition("</details>")[0]
    assert "! plaintext" in checked
    assert "`DB_PASSWORD` (a secret by its name) and `DATABASE_URL` (an address" in checked
    assert "`DB_PASSWORD=arn:aws:ssm:eu-west-1:123456789012:parameter/web/DB_PASSWORD`" in checked
    assert "! breaker" in checked
    assert "Set `circuit-breaker: rollback`" in checked
    # Of both only the important one is an annotation.
    assert outcome.log.count("::warning") == 1
    for value in (PASSWORD, ADDRESS, "s3cret-s3cret"):
        assert value not in everything(outcome)


def test_a_refusal_hides_the_values_too(broken: Stage) -> None:
    outcome = broken.deploy(
        task_definition_patch=json.dumps(
            {"containerDefinitions": [{"name": "web", "environment": [
                {"name": "DB_PASSWORD", "value": PASSWORD}, {"name": "URL", "value": ADDRESS},
            ]}]}
        )
    )  # fmt: skip

    assert outcome.verdict == "blocked"
    assert "`DB_PASSWORD` (a secret by its name) and `URL` (an address" in outcome.log
    for value in (PASSWORD, ADDRESS):
        assert value not in everything(outcome)


def test_no_value_of_a_secret_that_was_read_is_anywhere(stage: Stage) -> None:
    arn = stage.world.secret("db", value=json.dumps({"user": "shop-user-1", "password": PASSWORD}))

    outcome = stage.deploy(secrets=f"DB={arn}:pasword::")

    assert outcome.verdict == "blocked"
    assert "its keys are password, user." in outcome.log
    assert PASSWORD not in everything(outcome)
    assert "shop-user-1" not in everything(outcome)


def test_an_image_of_another_platform_is_refused_before_it_is_deployed(stage: Stage) -> None:
    arm = stage.world.image("web", tag="arm", platforms=("linux/arm64",))

    outcome = stage.deploy(image=arm.by_tag, ecr_repository="")

    assert (outcome.code, outcome.verdict) == (3, "blocked")
    assert f"The image {arm.by_tag} is not for linux/amd64." in outcome.log


def test_a_way_back_that_is_gone_is_said_and_the_release_goes_on(stage: Stage) -> None:
    stage.world.state.repositories["web"].archived.add(stage.old.digest)

    outcome = stage.deploy()

    assert outcome.verdict == "deployed"
    assert "::warning::The image of the revision to go back to is gone or archived" in outcome.log
    assert checks(outcome)["rollback"] == "!"


def test_the_least_time_is_told_with_its_dearest_setting_and_it_holds(stage: Stage) -> None:
    outcome = stage.deploy()

    (line,) = [line for line in outcome.log.splitlines() if line.startswith("✓ time")]
    follow = next(p for p in outcome.report["phases"] if p["title"] == "Follow")
    assert line.endswith("30 s of at least 60 s is the target group's deregistration delay")
    assert follow["seconds"] >= 60


def test_a_plan_shows_the_checks_too(stage: Stage) -> None:
    outcome = stage.deploy(operation="plan")

    assert outcome.verdict == "planned"
    assert checks(outcome)["roles"] == "✓"
