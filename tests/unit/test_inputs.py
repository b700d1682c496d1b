"""Each input alone: unset, empty, usable, not usable."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic import SecretStr

from deploy_action import inputs
from deploy_action.errors import InvalidInput
from deploy_action.inputs import Inputs
from tests.unit.builders import ENOUGH, SHA, environ, problems, read

ROOT = Path(__file__).parents[2]
DEFAULTS = Inputs.model_fields
SOME_TAG = "is not an image tag: letters, digits, dots, dashes and underscores, at most 128"
NO_PAIR = "line 1 is not of the form KEY=value"

TOPIC = "arn:aws:sns:eu-west-1:123456789012:releases"
VALUES: list[tuple[str, str, Any]] = [
    ("operation", "deploy", "deploy"),
    ("operation", "plan", "plan"),
    ("operation", "rollback", "rollback"),
    ("operation", "restart", "restart"),
    ("operation", "verify", "verify"),
    ("aws_region", "eu-central-1", "eu-central-1"),
    ("role_to_assume", "arn:aws:iam::1:role/deploy", "arn:aws:iam::1:role/deploy"),
    ("role_session_name", "release", "release"),
    ("role_duration_seconds", "900", 900),
    ("role_duration_seconds", "43200", 43200),
    ("audience", "sts.amazonaws.com.cn", "sts.amazonaws.com.cn"),
    ("cluster", "prod", "prod"),
    ("service", "api", ("api",)),
    ("service", "api, worker\nweb", ("api", "worker", "web")),
    ("on_partial_failure", "keep", "keep"),
    ("image", "nginx:1", "nginx:1"),
    ("ecr_repository", "shop/web", "shop/web"),
    ("registry", "localhost:5000", "localhost:5000"),
    ("context", "app", "app"),
    ("dockerfile", "app/Dockerfile.prod", "app/Dockerfile.prod"),
    ("target", "release", "release"),
    ("build_args", "A=1\nB=x, y = z\n", {"A": "1", "B": "x, y = z"}),
    ("build_args", "A=", {"A": ""}),
    ("build_secrets", "TOKEN=abc", {"TOKEN": SecretStr("abc")}),
    ("platform", "linux/arm64", "linux/arm64"),
    ("image_tag", "v1.2.3", "v1.2.3"),
    ("latest_tag", "stable", "stable"),
    ("latest_when", "pushed", "pushed"),
    ("extra_tags", "v1, v1.2\nv1.2.3", ("v1", "v1.2", "v1.2.3")),
    ("cache", "none", "none"),
    ("create_repository", "true", True),
    ("rebuild", "true", True),
    ("scan_severity", "HIGH", "high"),
    ("rebuild", "FALSE", False),
    ("task_definition", "deploy/web.json", "deploy/web.json"),
    ("container_name", "app,\n worker ,", ("app", "worker")),
    ("environment_variables", "URL=https://a/?b=c,d", {"URL": "https://a/?b=c,d"}),
    ("environment_variables", "  A = 1  ", {"A": "1"}),
    ("secrets", "DB=arn:aws:ssm:eu-west-1:1:parameter/db", None),
    ("environment_mode", "replace", "replace"),
    ("cpu", "512", "512"),
    ("memory", "1024", "1024"),
    ("task_definition_patch", "ephemeralStorage:\n  sizeInGiB: 30", None),
    ("pre_deploy_command", "./migrate", ("./migrate",)),
    ("pre_deploy_command", "rake 'db:migrate' --x=\"a b\"", ("rake", "db:migrate", "--x=a b")),
    ("pre_deploy_command", "rake \\\n  db:migrate", ("rake", "db:migrate")),
    ("pre_deploy_command", "sh -c 'set -e\na | b && c'", ("sh", "-c", "set -e\na | b && c")),
    ("pre_deploy_command", '["sh", "-c",\n "a && b"]', ("sh", "-c", "a && b")),
    ("pre_deploy_command", "print $HOME", ("print", "$HOME")),
    ("desired_count", "0", 0),
    ("desired_count", "12", 12),
    ("minimum_healthy_percent", "0", 0),
    ("maximum_percent", "150", 150),
    ("circuit_breaker", "rollback", "rollback"),
    ("circuit_breaker", "off", "off"),
    ("force_new_deployment", "True", True),
    ("rollout_timeout_minutes", "7.5", 7.5),
    ("bake_minutes", "2.5", 2.5),
    ("notify", f" {TOPIC} \n\n", (TOPIC,)),
    ("alarms", "errors, latency", ("errors", "latency")),
    ("fail_after_stopped_tasks", "1", 1),
    ("health_url", "https://web.example.com/health?deep=1", None),
    ("health_path", "/health", "/health"),
    ("health_status", "200-204, 301", ("200-204", "301")),
    ("health_successes", "1", 1),
    ("health_interval_seconds", "0.5", 0.5),
    ("health_timeout_seconds", "30", 30.0),
    ("log_tail_lines", "0", 0),
    ("rollback_on_failure", "false", False),
    ("on_cancel", "leave", "leave"),
    ("when_busy", "fail", "fail"),
]


@pytest.mark.parametrize(("name", "text", "value"), VALUES)
def test_takes(name: str, text: str, value: object) -> None:
    found = getattr(read(**{name: text}), name)

    if value is None:
        value = dict([text.split("=", 1)]) if name == "secrets" else text
    assert found == value


HEALTH_VALUES: list[tuple[str, str, Any]] = [
    ("health_body", "/^ok$/", "/^ok$/"),
    ("health_json", "/version=a,b\n\n /ok=true\n", ("/version=a,b", "/ok=true")),
    ("health_headers", "Host: a\nX-Key=1,2", ("Host: a", "X-Key=1,2")),
    ("availability_percent", "99.9", 99.9),
]


@pytest.mark.parametrize(("name", "text", "value"), HEALTH_VALUES)
def test_takes_beside_an_endpoint(name: str, text: str, value: object) -> None:
    assert getattr(read(health_path="/health", **{name: text}), name) == value


@pytest.mark.parametrize("percent", ["0", "100.1", "nan", "most"])
def test_refuses_a_share_that_is_none(percent: str) -> None:
    with pytest.raises(InvalidInput, match="1 input is not usable"):
        read(health_path="/health", availability_percent=percent)


def test_every_input_has_a_usable_value_here() -> None:
    tested = {name for name, *_ in [*VALUES, *HEALTH_VALUES]}

    assert tested | {"rollback_to", "pre_deploy_container"} == set(DEFAULTS)


@pytest.mark.parametrize("text", ["", "  ", "\n"])
@pytest.mark.parametrize("name", sorted(set(DEFAULTS) - set(ENOUGH) - {"latest_tag"}))
def test_empty_is_unset(name: str, text: str) -> None:
    assert getattr(read(**{name: text}), name) == DEFAULTS[name].default


BAD: list[tuple[str, str, str]] = [
    ("operation", "destroy", "'destroy' is not one of 'deploy'"),
    ("role_duration_seconds", "899", "Input should be greater than or equal to 900 (it is '899')"),
    ("role_duration_seconds", "43201", "Input should be less than or equal to 43200"),
    ("role_duration_seconds", "1h", "(it is '1h')"),
    ("service", "web api", "'web api' is not a name of a service; write one on each line"),
    ("service", "web,api,web", "'web' is given twice"),
    ("service", ",", "no service is named"),
    ("service", "\n".join(f"web{n}" for n in range(101)), "101 services are given"),
    ("build_args", "VERBOSE", NO_PAIR),
    ("build_args", "1A=b", NO_PAIR),
    ("build_args", "A=1\nA=2", "'A' is given twice"),
    ("build_secrets", "TOKEN", NO_PAIR),
    ("platform", "arm64", "'arm64' is not one of 'linux/amd64' or 'linux/arm64'"),
    ("image_tag", "feature/x", f"'feature/x' {SOME_TAG}"),
    ("image_tag", "-v1", f"'-v1' {SOME_TAG}"),
    ("image_tag", "x" * 129, SOME_TAG),
    ("latest_tag", "a b", f"'a b' {SOME_TAG}"),
    ("latest_when", "later", "'later' is not one of 'verified' or 'pushed'"),
    ("extra_tags", "v1,v/2", f"'v/2' {SOME_TAG}"),
    ("cache", "s3", "'s3' is not one of 'inline', 'registry', 'gha' or 'none'"),
    ("scan_severity", "bad", "'bad' is not one of 'critical', 'high'"),
    ("rebuild", "yes", "'yes' is neither true nor false"),
    ("environment_variables", "A=1\nnonsense", "line 2 is not of the form KEY=value"),
    ("secrets", "A B=arn", NO_PAIR),
    ("environment_mode", "add", "'add' is not one of 'merge' or 'replace'"),
    ("task_definition_patch", "[1]", "this is not an object with named fields"),
    ("task_definition_patch", "a: b: c", "this is neither JSON nor YAML: mapping values"),
    ("pre_deploy_command", "a && b", "'&&' needs a shell, and none runs it; write sh -c '…'"),
    ("pre_deploy_command", "a\nb 'c'", "it has 2 lines, and one command is expected"),
    ("pre_deploy_command", "a 'b", "its quotes do not match (no closing quotation)"),
    ("pre_deploy_command", "''", "it holds no command"),
    ("pre_deploy_command", "[]", "it holds no command"),
    ("pre_deploy_command", '["a", 1]', "a JSON array of texts is expected"),
    ("pre_deploy_command", '["a"', "it begins like a JSON array and is none"),
    ("pre_deploy_command", "a " * 4000, "longer than the 8000 characters that ECS has room for"),
    ("desired_count", "-1", "greater than or equal to 0 (it is '-1')"),
    ("desired_count", "two", "(it is 'two')"),
    ("minimum_healthy_percent", "101", "less than or equal to 100"),
    ("maximum_percent", "99", "greater than or equal to 100"),
    ("circuit_breaker", "on", "'on' is not one of"),
    ("force_new_deployment", "1", "'1' is neither true nor false"),
    ("rollout_timeout_minutes", "0", "greater than 0"),
    ("bake_minutes", "181", "less than or equal to 180"),
    ("rollout_timeout_minutes", "361", "less than or equal to 360"),
    ("rollout_timeout_minutes", "nan", "(it is 'nan')"),
    ("fail_after_stopped_tasks", "0", "greater than or equal to 1"),
    ("health_url", "web.example.com", "'web.example.com' is not a URL that begins with http"),
    ("health_url", "https://", "'https://' is not a URL"),
    ("health_path", "health", "'health' does not begin with /"),
    ("health_status", "200,ok", "'ok' is neither a status code nor a range such as 200-299"),
    ("health_successes", "0", "greater than or equal to 1"),
    ("health_interval_seconds", "0", "greater than 0"),
    ("health_interval_seconds", "inf", "should be a finite number"),
    ("health_timeout_seconds", "0", "greater than 0"),
    ("health_timeout_seconds", "inf", "should be a finite number"),
    ("log_tail_lines", "501", "less than or equal to 500"),
    ("log_tail_lines", "-1", "greater than or equal to 0"),
    ("rollback_on_failure", "no", "'no' is neither true nor false"),
    ("on_cancel", "ignore", "'ignore' is not one of 'rollback' or 'leave'"),
    ("when_busy", "queue", "'queue' is not one of 'wait' or 'fail'"),
]


@pytest.mark.parametrize(("name", "text", "words"), BAD)
def test_refuses_by_name(name: str, text: str, words: str) -> None:
    (problem,) = problems(environ(**{name: text}))

    assert problem.startswith(f"`{name.replace('_', '-')}`: ")
    assert words in problem


BAD_HEALTH = [
    ("health_body", "/a(/", "is not a regular expression"),
    ("health_json", "version=1", "'version=1' is not of the form /pointer=value"),
    ("health_headers", "no header", "a line is not of the form Name: value"),
]


@pytest.mark.parametrize(("name", "text", "words"), BAD_HEALTH)
def test_refuses_by_name_beside_an_endpoint(name: str, text: str, words: str) -> None:
    (problem,) = problems(environ(health_path="/health", **{name: text}))

    assert problem.startswith(f"`{name.replace('_', '-')}`: ")
    assert words in problem


# -- lines and secrets --


def test_an_empty_latest_tag_means_none() -> None:
    assert read().latest_tag == "latest"
    assert read(latest_tag="").latest_tag == ""
    assert read(latest_tag=" ").latest_tag == ""


def test_a_secret_of_several_lines_is_quoted() -> None:
    key = "-----BEGIN KEY-----\nAbc+/def==\n\n-----END KEY-----"
    given = f'A=1\nKEY="{key}"\n\nB=2'

    found = read(build_secrets=given).build_secrets

    assert {k: v.get_secret_value() for k, v in found.items()} == {"A": "1", "KEY": key, "B": "2"}


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ('KEY_WITH_ITS_LAST_LINE_END="abc\n"', "abc\n"),
        ('J=" "', " "),
        ('J="{""a"": 1}"', '{"a": 1}'),
        ('J={"a": 1}', '{"a": 1}'),
        ('J=""', ""),
        ('J="open', '"open'),
        ('J="a"b', '"a"b'),
    ],
)
def test_quotes_inside_a_secret(line: str, value: str) -> None:
    (secret,) = read(build_secrets=line).build_secrets.values()

    assert secret.get_secret_value() == value


def test_a_key_file_without_quotes_is_refused_by_line_and_not_repeated() -> None:
    given = "A=1\nKEY=-----BEGIN KEY-----\nAbc+/s3cr3t==\n-----END KEY-----"

    (problem,) = problems(environ(build_secrets=given))

    assert problem == "`build-secrets`: line 3 is not of the form KEY=value."


def test_the_line_after_a_quoted_secret_is_counted_from_the_top() -> None:
    (problem,) = problems(environ(build_secrets='K="a\nb"\n\nnonsense'))

    assert problem == "`build-secrets`: line 4 is not of the form KEY=value."


SECRET = "s3cr3t-v4lue"  # no secret, only what a test looks for


@pytest.mark.parametrize(
    "given",
    [
        {"build_secrets": f"A={SECRET}"},
        {"environment_variables": f"A={SECRET}"},
        {"health_url": "https://a", "health_headers": f"Authorization: {SECRET}"},
        {"task_definition_patch": f"a: {SECRET}"},
    ],
    ids=", ".join,
)
def test_secrets_are_not_in_the_repr(given: dict[str, str]) -> None:
    assert SECRET not in repr(read(**given))


@pytest.mark.parametrize(
    "given",
    [
        {"build_secrets": SECRET},
        {"build_secrets": f"{SECRET} and more=x"},
        {"build_secrets": f"A={SECRET}\nA={SECRET}"},
        {"environment_variables": SECRET},
        {"environment_variables": f"A={SECRET}\nA=x"},
        {"health_url": "https://a", "health_headers": f"{SECRET} {SECRET}"},
        {"task_definition_patch": f"a: b: {SECRET}"},
        {"build_secrets": SECRET, "rebuild": "what"},
    ],
    ids=[
        "a secret without a name",
        "a sentence with an equals sign",
        "a secret given twice",
        "a value without a name",
        "a value given twice",
        "a header without a colon",
        "a patch that is not YAML",
        "another problem beside it",
    ],
)
def test_secrets_are_not_in_the_messages(given: dict[str, str]) -> None:
    told = problems(environ(**given))

    assert told
    assert SECRET not in " ".join(told)


# -- the defaults of action.yml --


def as_the_runner_gives_them(**given: str) -> dict[str, str]:
    """The runner passes every input of action.yml, unset ones with their default."""
    declared = yaml.safe_load((ROOT / "action.yml").read_text("utf-8"))["inputs"]
    defaults = {f"INPUT_{k.upper()}": str(v.get("default", "")) for k, v in declared.items()}
    return {**defaults, **environ(**given)}


def test_what_the_runner_passes_by_itself_changes_nothing() -> None:
    assert inputs.read(as_the_runner_gives_them()) == read()


@pytest.mark.parametrize(
    "given",
    [{"image": "nginx:1", "ecr_repository": ""}, {"health_url": ""}, {"container_name": "a=b"}],
    ids=["an image", "no endpoint", "an image for a container"],
)
def test_defaults_that_nobody_chose_contradict_nothing(given: dict[str, str]) -> None:
    assert problems(as_the_runner_gives_them(**given)) == []


# -- the rest of the environment --


def test_the_region_comes_from_the_input_then_from_the_job() -> None:
    job = {"AWS_REGION": "eu-west-2", "AWS_DEFAULT_REGION": "eu-west-3"}

    assert inputs.region(read(), job) == "eu-west-1"
    for environment, region in (
        (job, "eu-west-2"),
        ({"AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-3"),
        ({"AWS_REGION": "", "AWS_DEFAULT_REGION": "eu-west-3"}, "eu-west-3"),
    ):
        given = {**environ(aws_region=""), **environment}
        assert inputs.region(inputs.read(given), given) == region


def test_the_run_is_read_from_the_environment_of_the_job() -> None:
    run = inputs.run(
        {
            "GITHUB_SHA": SHA,
            "GITHUB_REPOSITORY": "acme/shop",
            "GITHUB_SERVER_URL": "https://github.com",
            "GITHUB_RUN_ID": "4711",
            "GITHUB_RUN_ATTEMPT": "2",
            "GITHUB_JOB": "deploy",
            "GITHUB_ACTION": "web",
        }
    )

    assert (run.sha, run.repository) == (SHA, "acme/shop")
    assert run.execution == "acme/shop/4711/2/deploy/web"
    assert run.url == "https://github.com/acme/shop/actions/runs/4711"


def test_outside_a_runner_the_run_is_empty() -> None:
    run = inputs.run({})

    assert (run.sha, run.repository, run.url, run.execution) == ("", "", "", "")


def test_the_workspace_is_the_runners_or_the_current_folder() -> None:
    assert inputs.workspace({"GITHUB_WORKSPACE": "/github/workspace"}) == Path("/github/workspace")
    assert inputs.workspace({"GITHUB_WORKSPACE": ""}) == Path()
