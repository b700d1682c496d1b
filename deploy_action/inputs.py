"""The only reader of the environment: the runner's variables become one request.

Every field of `Inputs` is an input of `action.yml` under the same name with
hyphens. All problems are found before anything is called and told together.
"""

from __future__ import annotations

import difflib
import json
import re
import shlex
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
from deploy_action.errors import InvalidInput
from deploy_action.model import Run
from deploy_action.notify import check_address
from deploy_action.task_definition import parse_patch

TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,127}")
REVISION = re.compile(r"\d+|[A-Za-z0-9_-]+:\d+|arn:[a-z-]+:ecs:[^ ]+:task-definition/[^ ]+:\d+")
ENV_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]*")
BUILD_ONLY = (
    "context", "dockerfile", "target", "build_args", "build_secrets", "platform",
    "image_tag", "cache", "rebuild",
)  # fmt: skip
MOST_SERVICES = 100
CACHE_TOKEN = "ACTIONS_RUNTIME_TOKEN"  # noqa: S105 - its name
EXECUTION = ("GITHUB_RUN_ID", "GITHUB_RUN_ATTEMPT", "GITHUB_JOB", "GITHUB_ACTION")
"""Variables that together name one execution of one step."""
SHELL_WORDS = frozenset({"&&", "||", "|", ";", "&", ">", ">>", "<", "2>&1"})
LONGEST_COMMAND = 8000
"""ECS takes 8192 characters of JSON for all overrides of a task."""
RUNNER_OWN = frozenset({"INPUT_ENTRYPOINT", "INPUT_ARGS"})
"""`with: entrypoint` and `with: args` belong to the runner, for every Docker action."""

T = TypeVar("T")


def _lines(value: object) -> object:
    """One item per line or commas; blank ones are dropped."""
    if isinstance(value, str):
        return tuple(part for part in (p.strip() for p in re.split(r"[\n,]", value)) if part)
    return value


def _pairs(value: object) -> object:
    """`KEY=value` lines; a value keeps its commas, its `=` and its inner blanks."""
    if not isinstance(value, str):
        return value
    pairs: dict[str, str] = {}
    for number, line in enumerate(value.splitlines(), start=1):
        if line.strip():
            _add_line(pairs, line, number)
    return pairs


def _secret_pairs(value: object) -> object:
    """As `_pairs`, and `KEY="…"` may span lines; `""` inside stands for one quote.

    A key file has lines, and this is how docker/build-push-action spells one.
    """
    if not isinstance(value, str):
        return value
    pairs: dict[str, str] = {}
    quoted = re.compile(r'^[ \t]*([^\s=]+)="((?:[^"]|"")*)"[ \t]*$', re.MULTILINE)
    position = 0
    while position < len(value):
        number = value.count("\n", 0, position) + 1
        if found := quoted.match(value, position):
            _add_pair(pairs, found[1], found[2].replace('""', '"'), number)
            position = found.end() + 1
            continue
        end = value.find("\n", position)
        end = len(value) if end < 0 else end
        if line := value[position:end].strip():
            _add_line(pairs, line, number)
        position = end + 1
    return pairs


def _add_line(pairs: dict[str, str], line: str, number: int) -> None:
    key, equals, item = line.partition("=")
    _add_pair(pairs, key.strip() if equals else "", item.strip(), number)


def _add_pair(pairs: dict[str, str], key: str, item: str, number: int) -> None:
    # Any part of the text may be a secret: a line of a key file has an `=` at its end.
    if not ENV_NAME.fullmatch(key):
        msg = f"line {number} is not of the form KEY=value"
        raise ValueError(msg)
    if key in pairs:
        msg = f"{key!r} is given twice"
        raise ValueError(msg)
    pairs[key] = item


def _command(value: object) -> object:
    """A command line as words: a JSON array, or quoted as for a shell, which does not run it."""
    if not isinstance(value, str):
        return value
    words = _json_words(value) if value.startswith("[") else _shell_words(value)
    if not words or not words[0]:
        msg = "it holds no command"
        raise ValueError(msg)
    if len(json.dumps(words)) > LONGEST_COMMAND:
        msg = f"it is longer than the {LONGEST_COMMAND} characters that ECS has room for"
        raise ValueError(msg)
    return tuple(words)


def _json_words(value: str) -> list[str]:
    try:
        words = json.loads(value)
    except ValueError as error:
        msg = f"it begins like a JSON array and is none: {error}"
        raise ValueError(msg) from error
    if not all(isinstance(word, str) for word in words):
        msg = "a JSON array of texts is expected"
        raise ValueError(msg)
    return list(words)


def _shell_words(value: str) -> list[str]:
    value = value.replace("\\\n", " ")
    lines = [line for line in value.splitlines() if line.strip()]
    try:
        words = shlex.split(value)
    except ValueError as error:
        msg = f"its quotes do not match ({str(error).lower()})"
        raise ValueError(msg) from error
    if found := [word for word in words if word in SHELL_WORDS]:
        msg = f"{found[0]!r} needs a shell, and none runs it; write sh -c '…'"
        raise ValueError(msg)
    if len(lines) > 1 and all(map(_is_whole, lines)):
        msg = f"it has {len(lines)} lines, and one command is expected; write sh -c '…' for several"
        raise ValueError(msg)
    return words


def _is_whole(line: str) -> bool:
    """Whether no quote goes on into the next line."""
    try:
        shlex.split(line)
    except ValueError:
        return False
    return True


def _flag(value: object) -> object:
    if isinstance(value, str):
        if value.lower() in {"true", "false"}:
            return value.lower() == "true"
        msg = f"{value!r} is neither true nor false"
        raise ValueError(msg)
    return value


def _tag(value: str) -> str:
    value = value.strip()
    if value and not TAG.fullmatch(value):
        msg = (
            f"{value!r} is not an image tag: letters, digits, dots, dashes and underscores, "
            "at most 128"
        )
        raise ValueError(msg)
    return value


def _each(check: Callable[[str], object]) -> Callable[[tuple[str, ...]], tuple[str, ...]]:
    def check_all(values: tuple[str, ...]) -> tuple[str, ...]:
        for value in values:
            check(value)
        return values

    return check_all


def _that(check: Callable[[str], object]) -> AfterValidator:
    """Keep the text, but only if `check` can read it; the story reads it again."""

    def keep(value: str) -> str:
        check(value)
        return value

    return AfterValidator(keep)


def _url(value: str) -> str:
    if not re.match(r"https?://[^/\s]+", value):
        msg = f"{value!r} is not a URL that begins with http:// or https://"
        raise ValueError(msg)
    return value


def _path(value: str) -> str:
    if not value.startswith("/"):
        msg = f"{value!r} does not begin with /"
        raise ValueError(msg)
    return value


def _services(values: tuple[str, ...]) -> tuple[str, ...]:
    for value in values:
        if re.search(r"\s", value):
            msg = f"{value!r} is not a name of a service; write one on each line"
            raise ValueError(msg)
    if not values:
        msg = "no service is named"
        raise ValueError(msg)
    twice = sorted({value for value in values if values.count(value) > 1})
    if twice:
        msg = f"{', '.join(map(repr, twice))} is given twice"
        raise ValueError(msg)
    if len(values) > MOST_SERVICES:
        msg = f"{len(values)} services are given; one step takes at most {MOST_SERVICES}"
        raise ValueError(msg)
    return values


def _spelling(name: str) -> str:
    return name.replace("_", "-")


def _variable(name: str) -> str:
    return "INPUT_" + _spelling(name).upper()


def _revision(value: str) -> str:
    if not REVISION.fullmatch(value):
        msg = f"{value!r} is neither a revision number nor `family:revision` nor an ARN"
        raise ValueError(msg)
    return value


Flag = Annotated[bool, BeforeValidator(_flag)]
Items = Annotated[tuple[str, ...], NoDecode, BeforeValidator(_lines)]
Pairs = Annotated[dict[str, str], NoDecode, BeforeValidator(_pairs)]
Tag = Annotated[str, AfterValidator(_tag)]


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
    service: Annotated[Items, AfterValidator(_services)]
    on_partial_failure: Literal["rollback", "keep"] = "rollback"

    image: str | None = None
    ecr_repository: str | None = None
    registry: str | None = None
    create_repository: Flag = False
    context: str = "."
    dockerfile: str | None = None
    target: str | None = None
    build_args: Pairs = {}
    build_secrets: Annotated[dict[str, SecretStr], NoDecode, BeforeValidator(_secret_pairs)] = (
        Field({}, repr=False)
    )
    platform: Literal["linux/amd64", "linux/arm64"] | None = None
    image_tag: Tag | None = None
    latest_tag: Tag = "latest"
    latest_when: Literal["verified", "pushed"] = "verified"
    extra_tags: Annotated[Items, AfterValidator(_each(_tag))] = ()
    cache: Literal["inline", "registry", "gha", "none"] = "inline"
    rebuild: Flag = False
    scan_severity: Annotated[
        Literal["critical", "high", "medium", "low", "informational"] | None,
        BeforeValidator(lambda v: v.lower() if isinstance(v, str) else v),
    ] = None

    task_definition: str | None = None
    container_name: Items = ()
    environment_variables: Pairs = Field({}, repr=False)
    secrets: Pairs = {}
    environment_mode: Literal["merge", "replace"] = "merge"
    cpu: str | None = None
    memory: str | None = None
    task_definition_patch: Annotated[str, _that(parse_patch)] | None = Field(None, repr=False)

    pre_deploy_command: Annotated[tuple[str, ...], NoDecode, BeforeValidator(_command)] = Field(
        (), repr=False
    )
    pre_deploy_container: str | None = None

    rollback_to: Annotated[str, AfterValidator(_revision)] | None = None

    desired_count: int | None = Field(None, ge=0)
    minimum_healthy_percent: int | None = Field(None, ge=0, le=100)
    maximum_percent: int | None = Field(None, ge=100, le=200)
    circuit_breaker: Literal["rollback", "stop", "off"] | None = None
    force_new_deployment: Flag = False
    rollout_timeout_minutes: float | None = Field(None, gt=0, le=360)
    fail_after_stopped_tasks: int = Field(2, ge=1)

    health_url: Annotated[str, AfterValidator(_url)] | None = None
    health_path: Annotated[str, AfterValidator(_path)] | None = None
    health_status: Annotated[Items, AfterValidator(_each(health.parse_status))] = ("200",)
    health_body: Annotated[str, _that(health.parse_body)] | None = None
    health_json: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(lambda v: tuple(v.split("\n")) if isinstance(v, str) else v),
        AfterValidator(lambda v: tuple(line.strip() for line in v if line.strip())),
        AfterValidator(_each(health.parse_json)),
    ] = ()
    health_headers: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(lambda v: tuple(v.split("\n")) if isinstance(v, str) else v),
        AfterValidator(lambda v: tuple(line.strip() for line in v if line.strip())),
        AfterValidator(_each(health.parse_header)),
    ] = Field((), repr=False)
    health_successes: int = Field(3, ge=1)
    health_interval_seconds: float = Field(2, gt=0, allow_inf_nan=False)
    health_timeout_seconds: float = Field(120, gt=0, allow_inf_nan=False)

    availability_percent: float | None = Field(None, gt=0, le=100)
    bake_minutes: float = Field(0, ge=0, le=180)
    alarms: Items = ()

    notify: Annotated[
        tuple[str, ...],
        NoDecode,
        BeforeValidator(lambda v: tuple(v.split("\n")) if isinstance(v, str) else v),
        AfterValidator(lambda v: tuple(line.strip() for line in v if line.strip())),
        AfterValidator(_each(check_address)),
    ] = Field((), repr=False)
    log_tail_lines: int = Field(30, ge=0, le=500)
    rollback_on_failure: Flag = True
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
