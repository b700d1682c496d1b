"""Inputs that do not fit each other, and what is told when several are wrong."""

from __future__ import annotations

import pytest

from deploy_action import inputs
from deploy_action.errors import InvalidInput
from deploy_action.inputs import BUILD_ONLY
from tests.unit.builders import ENOUGH, environ, problems


def without(*names: str, **given: str) -> dict[str, str]:
    """The environment of the inputs that suffice, but for these."""
    return environ({k: v for k, v in ENOUGH.items() if k not in names}, **given)


def test_all_problems_are_told_at_once() -> None:
    told = problems(
        without(
            "service",
            "aws_region",
            rebuild="maybe",
            desired_count="-1",
            platfrom="linux/amd64",
            health_body="ok",
        )
    )

    assert sorted(told) == [
        "`aws-region` is not set, and neither is AWS_REGION in the environment.",
        "`desired-count`: Input should be greater than or equal to 0 (it is '-1').",
        "`health-body` has no effect without `health-url` or `health-path`.",
        "`platfrom` is not an input of this action. Did you mean `platform`?",
        "`rebuild`: 'maybe' is neither true nor false.",
        "`service` is required.",
    ]


@pytest.mark.parametrize(
    ("given", "headline"),
    [
        ({"rebuild": "x"}, "1 input is not usable."),
        ({"rebuild": "x", "cache": "y"}, "2 inputs are not usable."),
    ],
)
def test_the_problems_are_counted(given: dict[str, str], headline: str) -> None:
    with pytest.raises(InvalidInput) as error:
        inputs.read(environ(**given))

    assert error.value.what == headline
    assert "nothing was called" in error.value.fix


def test_nothing_at_all_lacks_three_things() -> None:
    assert sorted(problems({})) == [
        "`aws-region` is not set, and neither is AWS_REGION in the environment.",
        "`ecr-repository` (to build) or `image` (to deploy one) is required.",
        "`service` is required.",
    ]


def test_a_cache_that_github_does_not_open_is_refused_instead_of_doing_nothing() -> None:
    (problem,) = problems(environ(cache="gha"))

    assert problem.startswith("`cache: gha` needs ACTIONS_RUNTIME_TOKEN, which GitHub's own runner")
    assert problem.endswith("Use `registry` or `inline`.")


def test_the_cache_of_github_is_taken_where_it_is_open() -> None:
    found = inputs.read({**environ(cache="gha"), "ACTIONS_RUNTIME_TOKEN": "x"})

    assert found.cache == "gha"


# -- names --


@pytest.mark.parametrize(
    ("variable", "problem"),
    [
        ("INPUT_SERVCE", "`servce` is not an input of this action. Did you mean `service`?"),
        (
            "INPUT_HEALTH_PATH",
            "`health_path` is not an input of this action. Did you mean `health-path`?",
        ),
        ("INPUT_ZZZZZZ", "`zzzzzz` is not an input of this action."),
    ],
    ids=["misspelt", "an underscore for a hyphen", "nothing like it"],
)
def test_an_unknown_name_is_refused_with_the_one_that_was_meant(
    variable: str, problem: str
) -> None:
    assert problems({**environ(), variable: "x"}) == [problem]


@pytest.mark.parametrize("variable", ["INPUT_ENTRYPOINT", "INPUT_ARGS"])
def test_what_belongs_to_the_runner_is_no_input_of_ours(variable: str) -> None:
    assert problems({**environ(), variable: "/bin/sh"}) == []


def test_an_unknown_name_without_a_value_does_no_harm() -> None:
    assert problems({**environ(), "INPUT_SERVCE": ""}) == []


# -- contradictions --


@pytest.mark.parametrize("variable", ["AWS_REGION", "AWS_DEFAULT_REGION"])
def test_the_region_may_come_from_the_environment(variable: str) -> None:
    assert problems({**without("aws_region"), variable: "eu-west-1"}) == []


BUILD_VALUES = {
    "context": "app",
    "dockerfile": "Dockerfile.prod",
    "target": "release",
    "build_args": "A=1",
    "build_secrets": "A=1",
    "platform": "linux/arm64",
    "image_tag": "v1",
    "cache": "none",
    "rebuild": "true",
}


@pytest.mark.parametrize("name", BUILD_ONLY)
def test_what_only_a_build_needs_contradicts_a_given_image(name: str) -> None:
    given = {"image": "nginx:1", name: BUILD_VALUES[name]}

    assert problems(without("ecr_repository", **given)) == [
        f"`{name.replace('_', '-')}` has no effect because `image` is given and nothing is built."
    ]


@pytest.mark.parametrize(
    ("name", "text"),
    [("context", "."), ("cache", "inline"), ("rebuild", "false"), ("rebuild", "False")],
)
def test_a_default_spelt_out_contradicts_nothing(name: str, text: str) -> None:
    assert problems(without("ecr_repository", image="nginx:1", **{name: text})) == []


def test_a_copy_has_a_tag_of_its_own_in_the_repository() -> None:
    found = inputs.read(environ(image="ghcr.io/acme/web:1", image_tag="v1"))

    assert (found.image, found.image_tag) == ("ghcr.io/acme/web:1", "v1")


def test_a_repository_to_create_has_to_be_named() -> None:
    assert problems(without("ecr_repository", image="nginx:1", create_repository="true")) == [
        "`create-repository` has no effect without `ecr-repository`."
    ]


def test_either_an_image_or_a_repository_is_needed() -> None:
    (problem,) = problems(without("ecr_repository"))

    assert problem == "`ecr-repository` (to build) or `image` (to deploy one) is required."


@pytest.mark.parametrize(
    "given", [{"image": "nginx:1"}, {"container_name": "app=nginx:1"}], ids=["image", "container"]
)
def test_an_image_can_be_given_in_two_places(given: dict[str, str]) -> None:
    assert problems(without("ecr_repository", **given)) == []


@pytest.mark.parametrize("operation", ["rollback", "restart", "verify"])
def test_an_operation_that_releases_nothing_new_needs_no_image(operation: str) -> None:
    assert problems(without("ecr_repository", operation=operation)) == []


def test_a_plan_needs_an_image_as_a_release_does() -> None:
    assert len(problems(without("ecr_repository", operation="plan"))) == 1


@pytest.mark.parametrize(
    "revision",
    ["web:41", "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:41"],
    ids=["family and number", "ARN"],
)
def test_a_rollback_takes_the_revision_to_go_back_to(revision: str) -> None:
    given = environ(operation="rollback", rollback_to=revision)

    assert inputs.read(given).rollback_to == revision


@pytest.mark.parametrize("operation", ["deploy", "plan", "restart", "verify"])
def test_only_a_rollback_goes_back_to_a_revision(operation: str) -> None:
    assert problems(environ(operation=operation, rollback_to="web:41")) == [
        f"`rollback-to` has no effect with `operation: {operation}`."
    ]


def test_a_rollback_to_no_revision_is_refused() -> None:
    (problem,) = problems(environ(operation="rollback", rollback_to="yesterday"))

    assert problem.startswith("`rollback-to`: 'yesterday'")


def test_a_build_needs_a_tag_from_somewhere() -> None:
    without_sha = {k: v for k, v in environ().items() if k != "GITHUB_SHA"}

    assert problems(without_sha) == [
        "`image-tag` is not set, and GITHUB_SHA is not in the environment."
    ]
    assert problems({**without_sha, "INPUT_IMAGE-TAG": "v1"}) == []


def test_a_name_can_be_a_variable_or_a_secret_and_not_both() -> None:
    told = problems(environ(environment_variables="B=1\nA=1\nC=1", secrets="A=arn:a\n B = arn:b"))

    assert told == [
        "`A` is in `environment-variables` and in `secrets`; ECS takes it once.",
        "`B` is in `environment-variables` and in `secrets`; ECS takes it once.",
    ]


def test_a_url_and_a_path_exclude_each_other() -> None:
    told = problems(environ(health_url="https://a/health", health_path="/health"))

    assert told == ["`health-url` and `health-path` exclude each other; the URL has a path."]


@pytest.mark.parametrize(
    ("name", "text"),
    [("health_body", "ok"), ("health_json", "/a=1"), ("health_headers", "A: b")],
)
def test_an_expectation_needs_an_endpoint(name: str, text: str) -> None:
    spelling = name.replace("_", "-")

    assert problems(environ(**{name: text})) == [
        f"`{spelling}` has no effect without `health-url` or `health-path`."
    ]
    assert problems(environ(health_path="/health", **{name: text})) == []
    assert problems(environ(health_url="https://a", **{name: text})) == []


def test_a_container_without_a_command_has_no_effect() -> None:
    assert problems(environ(pre_deploy_container="web")) == [
        "`pre-deploy-container` has no effect without `pre-deploy-command`."
    ]
    assert problems(environ(pre_deploy_container="web", pre_deploy_command="./migrate")) == []
