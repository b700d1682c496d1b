"""The only reader of the environment: the runner's variables become one request.

Every field of `Inputs` is an input of `action.yml` under the same name with
hyphens. All problems are found before anything is called and told together.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AfterValidator, BeforeValidator, Field, PrivateAttr, SecretStr, ValidationError
from pydantic_settings import (
    BaseSettings,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings.sources.utils import parse_env_vars

from deploy_action import health
from deploy_action import input_text as text
from deploy_action.errors import InvalidInput
from deploy_action.model import Run
from deploy_action.notify import check_address
from deploy_action.task_definition import parse_patch

BUILD_ONLY = (
    "context", "dockerfile", "target", "build_args", "build_secrets", "platform",
    "image_tag", "cache", "rebuild",
)  # fmt: skip
CACHE_TOKEN = "ACTIONS_RUNTIME_TOKEN"  # noqa: S105 - its name
EXECUTION = ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "GITHUB_ACTION")
"""Variables that together name one execution of one step."""
RUNNER_OWN = frozenset({"INPUT_ENTRYPOINT", "INPUT_ARGS"})
"""`with: entrypoint` and `with: args` belong to the runner, for every Docker action."""

T = TypeVar("T")


def _spelling(name: str) -> str:
    return name.replace("_", "-")


def _variable(name: str) -> str:
    return "INPUT_" + _spelling(name).upper()


class Inputs(BaseSettings):
    """The inputs of the action, typed. `action.yml` describes them to the user."""

    model_config = SettingsConfigDict(
        alias_generator=_variable,
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    operation: Literal["deploy", "plan", "rollback", "restart", "verify"] = "deploy"
    aws_region: str | None = None
    role_to_assume: str | None = None
    role_session_name: str | None = None
    role_duration_seconds: int = Field(3600, ge=900, le=43200)
    audience: str = "sts.amazonaws.com"

    cluster: str = "default"
    service: Annotated[text.Items, AfterValidator(text.services)]
    on_partial_failure: Literal["rollback", "keep"] = "rollback"

    image: str | None = None
    ecr_repository: str | None = None
    registry: str | None = None
    create_repository: text.Flag = False
    context: str = "."
    dockerfile: str | None = None
    target: str | None = None
    build_args: text.Pairs = {}
    build_secrets: Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(text.secret_pairs)] = (
        Field({}, repr=False)
    )
    platform: Literal["linux/amd64", "linux/arm64"] | None = None
    image_tag: text.Tag | None = None
    latest_tag: text.Tag = "latest"
    latest_when: Literal["verified", "pushed"] = "verified"
    extra_tags: Annotated[text.Items, AfterValidator(text.each(text.tag))] = ()
    cache: Literal["inline", "registry", "gha", "none"] = "inline"
    rebuild: text.Flag = False
    scan_severity: Annotated[
        Literal["critical", "high", "medium", "low", "informational"] | None,
        BeforeValidator(lambda v: v.lower() if isinstance(v, str) else v),
    ] = None

    task_definition: str | None = None
    container_name: text.Items = ()
    environment_variables: text.Pairs = Field({}, repr=False)
    secrets: text.Pairs = {}
    environment_mode: Literal["merge", "replace"] = "merge"
    cpu: str | None = None
    memory: str | None = None
    task_definition_patch: Annotated[str, text.readable_by(parse_patch)] | None = Field(
        None, repr=False
    )

    pre_deploy_command: Annotated[tuple[str, ...], NoDecode, BeforeValidator(text.command)] = Field(
        (), repr=False
    )
    pre_deploy_container: str | None = None

    rollback_to: Annotated[str, AfterValidator(text.revision)] | None = None

    desired_count: int | None = Field(None, ge=0)
    minimum_healthy_percent: int | None = Field(None, ge=0, le=100)
    maximum_percent: int | None = Field(None, ge=100, le=200)
    circuit_breaker: Literal["rollback", "stop", "off"] | None = None
    force_new_deployment: text.Flag = False
    rollout_timeout_minutes: float | None = Field(None, gt=0, le=360)
    fail_after_stopped_tasks: int = Field(2, ge=1)

    health_url: Annotated[str, AfterValidator(text.url)] | None = None
    health_path: Annotated[str, AfterValidator(text.path)] | None = None
    health_status: Annotated[text.Items, AfterValidator(text.each(health.parse_status))] = ("200",)
    health_body: Annotated[str, text.readable_by(health.parse_body)] | None = None
    health_json: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(lambda v: tuple(v.split("\n")) if isinstance(v, str) else v),
        AfterValidator(lambda v: tuple(line.strip() for line in v if line.strip())),
        AfterValidator(text.each(health.parse_json)),
    ] = ()
    health_headers: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(lambda v: tuple(v.split("\n")) if isinstance(v, str) else v),
        AfterValidator(lambda v: tuple(line.strip() for line in v if line.strip())),
        AfterValidator(text.each(health.parse_header)),
    ] = Field((), repr=False)
    health_successes: int = Field(3, ge=1)
    health_interval_seconds: float = Field(2, gt=0, allow_inf_nan=False)
    health_timeout_seconds: float = Field(120, gt=0, allow_inf_nan=False)

    availability_percent: float | None = Field(None, gt=0, le=100)
    bake_minutes: float = Field(0, ge=0, le=180)
    alarms: text.Items = ()

    notify: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(lambda v: tuple(v.split("\n")) if isinstance(v, str) else v),
        AfterValidator(lambda v: tuple(line.strip() for line in v if line.strip())),
        AfterValidator(text.each(check_address)),
    ] = Field((), repr=False)
    log_tail_lines: int = Field(30, ge=0, le=500)
    rollback_on_failure: text.Flag = True
    on_cancel: Literal["rollback", "leave"] = "rollback"
    when_busy: Literal["wait", "fail"] = "wait"

    _has_partners: bool = PrivateAttr(default=False)

    @property
    def name(self) -> str:
        """The service, where these are the inputs of one."""
        (name,) = self.service
        return name

    @property
    def has_partners(self) -> bool:
        """Whether other services are worked on in the same step."""
        return self._has_partners

    def of(self, name: str) -> Inputs:
        """The inputs as they are meant for one of several services.

        A full URL belongs to the first: it cannot be the address of all of them.
        So does the command before the release, which runs once.
        """
        update: dict[str, Any] = {"service": (name,)}
        if name != self.service[0]:
            update |= {"health_url": None, "pre_deploy_command": (), "pre_deploy_container": None}
        mine = self.model_copy(update=update)
        mine._has_partners = len(self.service) > 1  # noqa: SLF001 - a copy of itself
        return mine

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read what `read` passed, so that a test needs no process environment."""
        del settings_cls, env_settings, dotenv_settings, file_secret_settings
        return (init_settings,)


class _Environ(EnvSettingsSource):
    """The environment source of pydantic-settings over a given mapping."""

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        super().__init__(Inputs)

    def _load_env_vars(self) -> Mapping[str, str | None]:
        return parse_env_vars(
            self._environ, self.case_sensitive, self.env_ignore_empty, self.env_parse_none_str
        )


def read(environ: Mapping[str, str]) -> Inputs:
    """All inputs, or InvalidInput with every problem, as the workflow spells the names."""
    given = {k: v.strip() for k, v in environ.items() if k.startswith("INPUT_") and v.strip()}
    problems = _unknown_names(given)
    # Empty means unset, except here: the default is a tag, and nothing means none.
    if environ.get("INPUT_LATEST-TAG", "unset").strip() == "":
        given["INPUT_LATEST-TAG"] = " "
    inputs = None
    try:
        inputs = Inputs(**_Environ(given)())
    except ValidationError as error:
        problems += [_problem(detail) for detail in error.errors()]
    problems += _contradictions(given, environ)
    if inputs and not problems:
        return inputs
    raise InvalidInput(
        f"{len(problems)} input{'s are' if len(problems) > 1 else ' is'} not usable.",
        why="\n".join(f"- {problem}" for problem in problems),
        fix="Correct the `with:` block of this step; nothing was called yet.",
    )


def region(inputs: Inputs, environ: Mapping[str, str]) -> str:
    """The region in force: the input, then what the job's environment says."""
    return inputs.aws_region or _region_of_job(environ)


def _region_of_job(environ: Mapping[str, str]) -> str:
    return environ.get("AWS_REGION") or environ.get("AWS_DEFAULT_REGION") or ""


def run(environ: Mapping[str, str]) -> Run:
    """Which run this is; empty texts outside a runner."""
    server = environ.get("GITHUB_SERVER_URL", "")
    repository = environ.get("GITHUB_REPOSITORY", "")
    run_id = environ.get("GITHUB_RUN_ID", "")
    url = f"{server}/{repository}/actions/runs/{run_id}" if run_id else ""
    execution = [environ.get(name, "") for name in EXECUTION]
    return Run(
        sha=environ.get("GITHUB_SHA", ""),
        repository=repository,
        url=url,
        execution="/".join([repository, *execution]) if run_id else "",
    )


def workspace(environ: Mapping[str, str]) -> Path:
    """The folder that relative paths of the inputs start from."""
    return Path(environ.get("GITHUB_WORKSPACE") or ".")


def _unknown_names(given: Mapping[str, str]) -> list[str]:
    """A misspelt optional input would silently do nothing; the runner only warns."""
    known = {_spelling(name): name for name in Inputs.model_fields}
    problems = []
    for variable in given:
        name = variable.removeprefix("INPUT_").lower()
        if name in known or variable in RUNNER_OWN:
            continue
        near = difflib.get_close_matches(name, known, n=1)
        hint = f" Did you mean `{near[0]}`?" if near else ""
        problems.append(f"`{name}` is not an input of this action.{hint}")
    return problems


def _problem(detail: Any) -> str:  # noqa: ANN401 - the error record of pydantic
    variable = str(detail["loc"][0])
    name = variable.removeprefix("INPUT_").lower()
    if detail["type"] == "missing":
        return f"`{name}` is required."
    if detail["type"] == "value_error":
        return f"`{name}`: {detail['ctx']['error']}."
    if detail["type"] == "literal_error":
        return f"`{name}`: {detail['input']!r} is not one of {detail['ctx']['expected']}."
    return f"`{name}`: {detail['msg']} (it is {detail['input']!r})."


def _contradictions(given: Mapping[str, str], environ: Mapping[str, str]) -> list[str]:
    """Problems that no single input has."""

    def chosen(name: str) -> bool:
        # The runner passes the defaults of action.yml too, and those nobody chose.
        text = given.get(_variable(name), "").strip()
        return bool(text) and text.lower() != str(Inputs.model_fields[name].default).lower()

    problems = []
    if chosen("create_repository") and not chosen("ecr_repository"):
        problems.append("`create-repository` has no effect without `ecr-repository`.")
    if not (chosen("aws_region") or _region_of_job(environ)):
        problems.append("`aws-region` is not set, and neither is AWS_REGION in the environment.")
    operation = given.get(_variable("operation"), "deploy").strip()
    if operation in {"deploy", "plan"}:
        problems += _about_image(chosen, given, environ)
    if chosen("pre_deploy_container") and not chosen("pre_deploy_command"):
        problems.append("`pre-deploy-container` has no effect without `pre-deploy-command`.")
    if chosen("rollback_to") and operation != "rollback":
        problems.append(f"`rollback-to` has no effect with `operation: {operation}`.")
    both = _keys(given, "environment_variables") & _keys(given, "secrets")
    problems += [
        f"`{name}` is in `environment-variables` and in `secrets`; ECS takes it once."
        for name in sorted(both)
    ]
    return problems + _about_health(chosen)


def _about_image(
    chosen: Callable[[str], bool], given: Mapping[str, str], environ: Mapping[str, str]
) -> list[str]:
    if chosen("image"):
        return [
            f"`{_spelling(name)}` has no effect because `image` is given and nothing is built."
            for name in BUILD_ONLY
            # A copy in the repository has a tag of its own.
            if chosen(name) and not (name == "image_tag" and chosen("ecr_repository"))
        ]
    if not chosen("ecr_repository"):
        if "=" in given.get(_variable("container_name"), ""):
            return []
        return ["`ecr-repository` (to build) or `image` (to deploy one) is required."]
    problems = []
    if not (chosen("image_tag") or environ.get("GITHUB_SHA")):
        problems.append("`image-tag` is not set, and GITHUB_SHA is not in the environment.")
    if given.get(_variable("cache"), "").strip() == "gha" and not environ.get(CACHE_TOKEN):
        # BuildKit would skip such a cache without a word.
        problems.append(
            f"`cache: gha` needs {CACHE_TOKEN}, which GitHub's own runner gives to an action; it "
            "is not in the environment. Use `registry` or `inline`."
        )
    return problems


def _about_health(chosen: Callable[[str], bool]) -> list[str]:
    if chosen("health_url") and chosen("health_path"):
        return ["`health-url` and `health-path` exclude each other; the URL has a path."]
    if chosen("health_url") or chosen("health_path"):
        return []
    return [
        f"`{_spelling(name)}` has no effect without `health-url` or `health-path`."
        for name in ("health_body", "health_json", "health_headers", "availability_percent")
        if chosen(name)
    ]


def _keys(given: Mapping[str, str], name: str) -> set[str]:
    lines = given.get(_variable(name), "").splitlines()
    return {line.partition("=")[0].strip() for line in lines if "=" in line}
