"""The generated policy is enough, every part of it is needed, and a gap in it is named.

The simulator asks an evaluator of its own, as AWS asks IAM: emulators look at wrong
resources (see .github/CONTRIBUTING.md), and at neither PassRole nor TagResource.
"""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import pytest

from deploy_action.permissions import Scope
from deploy_action.policy import DECLARED, Names, generate
from tests.scenarios.stage import Outcome, Stage
from tests.scenarios.stories import NAMES, POLICY, READS_ONLY, STORIES, migrated, release, tell
from tests.simulator.policy import as_list, without

ASKED = {action for statement in POLICY["Statement"] for action in as_list(statement["Action"])}

UNASKED = {action for action, need in DECLARED.items() if need.scope is Scope.UNASKED}

REFUSED = {
    "cloudwatch:DescribeAlarms": "blocked",
    "ecr:BatchCheckLayerAvailability": "build-failed",
    "ecr:BatchGetImage": "blocked",
    "ecr:CompleteLayerUpload": "build-failed",
    "ecr:CreateRepository": "blocked",
    "ecr:DescribeImageScanFindings": "blocked",
    "ecr:DescribeRepositories": "blocked",
    "ecr:GetAuthorizationToken": "blocked",
    "ecr:InitiateLayerUpload": "build-failed",
    "ecr:PutImage": "build-failed",
    "ecr:StartImageScan": "blocked",
    "ecr:UploadLayerPart": "build-failed",
    "ecs:DescribeServices": "blocked",
    "ecs:DescribeTaskDefinition": "blocked",
    "ecs:RegisterTaskDefinition": "blocked",
    "ecs:RunTask": "failed",
    "ecs:UpdateService": "failed",
    "elasticloadbalancing:DescribeListeners": "blocked",
    "elasticloadbalancing:DescribeLoadBalancers": "blocked",
    "elasticloadbalancing:DescribeRules": "blocked",
    "elasticloadbalancing:DescribeTargetGroups": "blocked",
    "iam:PassRole": "blocked",
}
"""Actions that a release cannot do without, and how it ends without each."""

ANOTHER_TRUTH = {
    # Whether the image that is there was built from the same inputs cannot be read.
    ("ecr:GetDownloadUrlForLayer", "again"): "deployed",
    ("ecr:GetDownloadUrlForLayer", "scale"): "deployed",
    # For a copy it is no convenience.
    ("ecr:GetDownloadUrlForLayer", "promotion"): "build-failed",
    # Without the load balancer's settings there is still a limit, and its targets are looked at.
    ("elasticloadbalancing:DescribeTargetGroups", "by targets"): "deployed",
    # ECS itself says nothing of crashes where its circuit breaker is off.
    ("ecs:DescribeTasks", "crash"): "timed-out",
    ("ecs:ListTasks", "crash"): "timed-out",
    # Whether the command went well cannot be read.
    ("ecs:DescribeTasks", "migrated"): "unknown",
    ("ecs:StopTask", "cut off migration"): "unknown",
}
"""Where a run without one action ends well, but not as it does with it."""

Told = dict[str, tuple[Outcome, Stage]]


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Told:
    """Every story under the generated policy."""
    folder = tmp_path_factory.mktemp("told")
    return {name: tell(story, folder / name, POLICY) for name, (story, _) in STORIES.items()}


@pytest.mark.parametrize("name", STORIES)
def test_the_policy_is_enough(told: Told, name: str) -> None:
    outcome, stage = told[name]

    assert outcome.verdict == STORIES[name][1], outcome.log
    refused = set(re.findall(r"not authorized to perform: ([\w-]+:\w+)", outcome.log))
    assert refused <= {"ecs:DescribeServices"} if name == "misspelt" else refused <= UNASKED
    assert stage.world.state.asked <= set(DECLARED)


def test_every_part_of_the_policy_is_used(told: Told) -> None:
    asked = set[str]().union(*(stage.world.state.asked for _, stage in told.values()))

    assert asked - UNASKED == ASKED


def test_the_table_names_what_is_not_optional() -> None:
    assert set(REFUSED) == {action for action in ASKED if not DECLARED[action].optional}


@pytest.mark.parametrize("action", sorted(ASKED))
def test_without_one_action_it_is_named_or_the_verdict_stays_true(
    told: Told, tmp_path: Path, action: str
) -> None:
    for name in stories_to_tell(told, action):
        story, verdict = STORIES[name]
        outcome, stage = tell(story, tmp_path / name, without(POLICY, action))

        expected = ANOTHER_TRUTH.get((action, name), REFUSED.get(action, verdict))
        assert outcome.verdict == expected, (name, outcome.log)
        if expected == REFUSED.get(action):
            assert_explained(outcome, {action})
            assert stage.runs_the_old()


@pytest.mark.parametrize("sid", [s["Sid"] for s in POLICY["Statement"]])
def test_without_one_statement_an_action_of_it_is_named(tmp_path: Path, sid: str) -> None:
    policy = {**POLICY, "Statement": [s for s in POLICY["Statement"] if s["Sid"] != sid]}
    gone = {action for action in ASKED if sid_of(action) == sid}

    story = migrated if "ecs:RunTask" in gone else release
    outcome, stage = tell(story, tmp_path / "stage", policy)

    if gone & set(REFUSED):
        assert outcome.verdict in set(REFUSED.values())
        assert_explained(outcome, gone)
        assert stage.runs_the_old()
    else:
        assert outcome.verdict == "deployed"


@pytest.mark.parametrize(
    ("names", "action", "resource"),
    [
        (replace(NAMES, services=("api",)), "ecs:DescribeServices", "service/prod/web"),
        (replace(NAMES, cluster="test"), "ecs:DescribeServices", "service/prod/web"),
        (replace(NAMES, region="eu-west-2"), "ecs:DescribeServices", "service/prod/web"),
        (replace(NAMES, families=("api",)), "ecs:RegisterTaskDefinition", "task-definition/web:*"),
        (replace(NAMES, repositories=("api",)), "ecr:DescribeRepositories", "repository/web"),
        (replace(NAMES, roles=NAMES.roles[:1]), "iam:PassRole", f"role/{NAMES.roles[1]}"),
        (replace(NAMES, roles=NAMES.roles[1:]), "iam:PassRole", f"role/{NAMES.roles[0]}"),
    ],
    ids=["service", "cluster", "region", "family", "repository", "task role", "execution role"],
)
def test_a_policy_for_something_else_is_refused_naming_the_resource(
    tmp_path: Path, names: Names, action: str, resource: str
) -> None:
    outcome, stage = tell(release, tmp_path / "stage", generate(names))

    assert outcome.verdict == "blocked"
    assert_explained(outcome, {action})
    assert re.search(f"Allow `{action}` on arn:\\S*:{re.escape(resource)} ", outcome.log)
    assert stage.runs_the_old()


def test_a_policy_that_only_reads_is_enough_for_a_plan(tmp_path: Path) -> None:
    outcome, stage = tell(plan, tmp_path / "stage", READS_ONLY)

    assert outcome.verdict == "planned"
    assert "not authorized" not in outcome.log
    assert stage.changes() == []


def test_a_policy_that_only_reads_releases_nothing(tmp_path: Path) -> None:
    outcome, stage = tell(release, tmp_path / "stage", READS_ONLY)

    assert outcome.verdict == "build-failed"
    assert stage.changes() == []


def test_a_misspelt_service_gets_a_suggestion_under_a_policy_for_one_service(told: Told) -> None:
    outcome, _ = told["misspelt"]

    assert "The service 'wep' cannot be read." in outcome.log
    assert "did you mean 'web'?" in outcome.log


def stories_to_tell(told: Told, action: str) -> list[str]:
    """Of those that need the action the first and the last, and all that end in another way."""
    asking = [name for name, (_, stage) in told.items() if action in stage.world.state.asked]
    return [
        name
        for name in asking
        if name in {asking[0], asking[-1]}
        or (DECLARED[action].optional and name == "crash")
        or (action, name) in ANOTHER_TRUTH
    ]


def plan(stage: Stage) -> Outcome:
    return stage.deploy(operation="plan")


def sid_of(action: str) -> str:
    return next(str(s["Sid"]) for s in POLICY["Statement"] if action in as_list(s["Action"]))


def assert_explained(outcome: Outcome, actions: set[str]) -> None:
    """The fix names what to allow, and nothing besides."""
    fixes = re.findall(r"Fix: .*", outcome.log)
    named = {action for fix in fixes for action in re.findall(r"Allow `([a-zA-Z0-9-]+:\w+)`", fix)}
    assert len(named) == 1, outcome.log
    assert named <= actions, outcome.log
    assert outcome.code != 0
    assert len(outcome.annotations) == 1
