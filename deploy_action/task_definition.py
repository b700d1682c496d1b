"""Render a new task definition from an old one, compare two, and name the difference.

Pure. Knows the few fields that the inputs change; everything else passes
through untouched. Which fields may be registered is asked of the AWS model by
the gateway, never listed here.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from deploy_action.model import Json, short_digest

EMPTY: tuple[Any, ...] = (None, "", [], {})
DEFAULTS: Mapping[str, Any] = {"essential": True, "protocol": "tcp", "cpu": 0, "hostPort": 0}
"""What DescribeTaskDefinition adds to a container that was registered without it."""
BRIEF = 120
"""Characters of a value that a line about a change shows."""


class DefinitionProblem(Exception):
    """The inputs do not fit the definition; the message says how, in user words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """What the inputs ask of the definition."""

    images: Mapping[str, str]
    """Container name to image reference."""
    containers: Sequence[str]
    """The containers that get environment and secrets."""
    environment: Mapping[str, str] = field(default_factory=dict, repr=False)
    secrets: Mapping[str, str] = field(default_factory=dict)
    replace_environment: bool = False
    cpu: str | None = None
    memory: str | None = None
    patch: Json = field(default_factory=dict, repr=False)


def parse(text: str) -> Json:
    """A task definition from JSON or YAML (which includes JSON); raise ValueError.

    The output of `aws ecs describe-task-definition` is taken as it is.
    """
    document = _mapping(text)
    inner = document.get("taskDefinition")
    if isinstance(inner, dict):
        tags = {"tags": document["tags"]} if document.get("tags") else {}
        return {**inner, **tags}
    return document


def parse_patch(text: str) -> Json:
    """A merge patch from JSON or YAML; raise ValueError."""
    return _mapping(text)


def _mapping(text: str) -> Json:
    try:
        # First as JSON: YAML refuses tabs, which JSON files do have.
        document = json.loads(text)
    except ValueError:
        try:
            document = yaml.safe_load(text)
        except yaml.YAMLError as error:
            msg = f"this is neither JSON nor YAML{_place(error)}"
            raise ValueError(msg) from error
    if not isinstance(document, dict):
        msg = "this is not an object with named fields"
        raise ValueError(msg)  # noqa: TRY004 - the caller gets one kind of error
    return document


def _place(error: yaml.YAMLError) -> str:
    """Where the fault is. PyYAML's own text repeats the line, which may hold a secret."""
    if not isinstance(error, yaml.MarkedYAMLError) or error.problem_mark is None:
        return ""
    mark = error.problem_mark
    return f": {error.problem} (line {mark.line + 1}, column {mark.column + 1})"


def container_names(body: Json) -> list[str]:
    """The names of all containers, in order."""
    return [str(c.get("name")) for c in body.get("containerDefinitions") or []]


def choose_container(
    body: Json, behind_load_balancer: Iterable[str], repository: str | None
) -> str:
    """The container that gets the image where the user named none.

    The only one; else the one behind the load balancer; else the only one whose
    image comes from `repository` (`host/name`). Raise DefinitionProblem.
    """
    names = container_names(body)
    if len(names) == 1:
        return names[0]
    candidates = [name for name in dict.fromkeys(behind_load_balancer) if name in names]
    if len(candidates) != 1 and repository:
        candidates = [
            str(c.get("name"))
            for c in body.get("containerDefinitions") or []
            if _repository(c.get("image") or "") == repository
        ]
    if len(candidates) != 1:
        msg = (
            f"the task definition has {len(names)} containers ({', '.join(names)}) and it is not "
            "clear which one gets the image; name it in `container-name`"
        )
        raise DefinitionProblem(msg)
    return candidates[0]


def render(body: Json, changes: Changes) -> Json:
    """A new body with the changes; the one passed in stays as it is."""
    new: Json = merge_patch(copy.deepcopy(body), changes.patch)
    if changes.cpu is not None:
        new["cpu"] = changes.cpu
    if changes.memory is not None:
        new["memory"] = changes.memory
    listed = new.get("containerDefinitions") or []
    if not (isinstance(listed, list) and all(isinstance(c, dict) for c in listed)):
        msg = "`containerDefinitions` of the patch is not a list of containers, each with its name"
        raise DefinitionProblem(msg)
    containers = {c.get("name"): c for c in listed}
    for name in dict.fromkeys([*changes.images, *changes.containers]):
        if name not in containers:
            msg = (
                f"the task definition has no container {name!r}; "
                f"it has {', '.join(map(str, containers)) or 'none'}"
            )
            raise DefinitionProblem(msg)
    for name, image in changes.images.items():
        containers[name]["image"] = image
    for name in changes.containers:
        _set_environment(containers[name], changes)
    return new


def _set_environment(container: Json, changes: Changes) -> None:
    """Merge or replace both lists. A name lives in one of them only, as ECS demands."""
    for key, own, other, value_key in (
        ("environment", changes.environment, changes.secrets, "value"),
        ("secrets", changes.secrets, changes.environment, "valueFrom"),
    ):
        if not own and not other:
            continue
        kept: list[Json] = [] if own and changes.replace_environment else container.get(key) or []
        merged = [
            {**item, value_key: own[item["name"]]} if item.get("name") in own else item
            for item in kept
            if item.get("name") not in other
        ]
        present = {item.get("name") for item in merged}
        merged += [{"name": n, value_key: v} for n, v in own.items() if n not in present]
        if merged or key in container:
            container[key] = merged


def merge_patch(target: Any, patch: Any, *, named: bool = False) -> Any:  # noqa: ANN401 - any JSON
    """RFC 7396, with one addition: in `containerDefinitions` items are matched by name."""
    if named and isinstance(patch, list) and isinstance(target, list):
        return _merge_named(target, patch)
    if not isinstance(patch, dict):
        return patch
    result = dict(target) if isinstance(target, dict) else {}
    for key, value in patch.items():
        if value is None:
            result.pop(key, None)
        else:
            result[key] = merge_patch(result.get(key), value, named=key == "containerDefinitions")
    return result


def _merge_named(target: list[Any], patch: list[Any]) -> list[Any]:
    result = list(target)
    for item in patch:
        name = item.get("name") if isinstance(item, dict) else None
        index = next((i for i, old in enumerate(result) if old.get("name") == name), None)
        if index is None:
            result.append(merge_patch({}, item))
        else:
            result[index] = merge_patch(result[index], item)
    return result


def is_same(wanted: Json, running: Json) -> bool:
    """Whether registering `wanted` would only repeat what runs.

    A definition from a file lacks the defaults that ECS adds when it describes
    one, so both sides are compared without them. Where a default is not known
    here the answer is False, and the release goes on: one more revision, no harm.
    """
    return bool(_plain(wanted) == _plain(running))


def _plain(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, dict):
        kept = {k: _plain(v) for k, v in value.items() if k != "tags"}
        if "containerPort" in kept and kept.get("hostPort") == kept["containerPort"]:
            del kept["hostPort"]
        return {
            k: v
            for k, v in kept.items()
            if v not in EMPTY and not (k in DEFAULTS and v == DEFAULTS[k])
        }
    if isinstance(value, list):
        items = [_plain(item) for item in value]
        if items and all(isinstance(i, dict) and "name" in i for i in items):
            return sorted(items, key=lambda item: str(item["name"]))
        return items
    return value


def differences(old: Json, new: Json) -> list[str]:
    """One line for each change. Values of the environment are never shown."""
    return sorted(_differences(_plain(old), _plain(new), ""))


def _differences(old: Any, new: Any, path: str) -> Iterable[str]:  # noqa: ANN401 - any JSON
    if old == new:
        return
    old_list, new_list = ([] if side is None else side for side in (old, new))
    if _is_named(old_list) and _is_named(new_list):
        old = {item["name"]: item for item in old_list}
        new = {item["name"]: item for item in new_list}
    if isinstance(old, dict) and isinstance(new, dict):
        for key in dict.fromkeys([*old, *new]):
            yield from _differences(old.get(key), new.get(key), f"{path}.{key}" if path else key)
        return
    yield _difference(old, new, path)


def _difference(old: Any, new: Any, path: str) -> str:  # noqa: ANN401 - any JSON
    if ".environment" in path:
        path = path.removesuffix(".value")
        verb = "added" if old is None else "removed" if new is None else "changed"
        return f"{path} {verb}"
    if old is None:
        return f"{path} added: {_brief(new)}"
    if new is None:
        return f"{path} removed"
    return f"{path}: {_brief(old)} → {_brief(new)}"


def _is_named(value: Any) -> bool:  # noqa: ANN401 - any JSON
    return isinstance(value, list) and all(isinstance(i, dict) and "name" in i for i in value)


def _brief(value: Any) -> str:  # noqa: ANN401 - any JSON
    hidden = _without_values(value)
    text = hidden if isinstance(hidden, str) else json.dumps(hidden, ensure_ascii=False)
    text = short_digest(text)
    return text if len(text) <= BRIEF else text[:BRIEF] + "…"


def _without_values(value: Any) -> Any:  # noqa: ANN401 - any JSON
    """Hide `value` of every name/value pair inside something that is shown whole."""
    if isinstance(value, dict):
        hide = "name" in value and "value" in value
        return {k: "…" if hide and k == "value" else _without_values(v) for k, v in value.items()}
    if isinstance(value, list):
        return [_without_values(item) for item in value]
    return value


def with_tags(body: Json, tags: Mapping[str, str]) -> Json:
    """The body with these tags added or replaced; tags without a value are left out."""
    kept = [tag for tag in body.get("tags") or [] if tag.get("key") not in tags]
    added = [{"key": key, "value": value} for key, value in tags.items() if value]
    return {**body, "tags": [*kept, *added]} if kept or added else body


def environment_values(body: Json) -> dict[str, str]:
    """Every environment value of every container, by name, so that it can be redacted."""
    return {
        item.get("name") or "": item.get("value") or ""
        for container in body.get("containerDefinitions") or []
        for item in container.get("environment") or []
    }


def platform(body: Json) -> str:
    """`linux/amd64` or `linux/arm64`, from `runtimePlatform`; ECS defaults to X86_64."""
    architecture = (body.get("runtimePlatform") or {}).get("cpuArchitecture") or "X86_64"
    return "linux/arm64" if architecture.upper() == "ARM64" else "linux/amd64"


def log_destination(body: Json, container: str) -> tuple[str, str] | None:
    """(log group, stream prefix) of a container that logs to CloudWatch through `awslogs`."""
    for definition in body.get("containerDefinitions") or []:
        if definition.get("name") != container:
            continue
        configuration = definition.get("logConfiguration") or {}
        options = configuration.get("options") or {}
        group, prefix = options.get("awslogs-group"), options.get("awslogs-stream-prefix")
        if configuration.get("logDriver") == "awslogs" and group and prefix:
            return group, prefix
    return None


def hidden_log(body: Json, container: str, region: str) -> str:
    """Why what a container writes cannot be read from CloudWatch in `region`; empty if it can."""
    for definition in body.get("containerDefinitions") or []:
        if definition.get("name") != container:
            continue
        configuration = definition.get("logConfiguration") or {}
        driver = configuration.get("logDriver")
        if driver != "awslogs":
            how = f"the log driver {driver!r}" if driver else "no log driver"
            return f"container {container!r} has {how}, and only `awslogs` can be read"
        options = configuration.get("options") or {}
        if options.get("awslogs-region") not in (None, region):
            return f"container {container!r} writes its log to {options['awslogs-region']}"
        if log_destination(body, container) is None:
            return f"the log of container {container!r} has no `awslogs-stream-prefix`"
    return ""


def log_groups(body: Json, region: str) -> list[str]:
    """Names of the CloudWatch log groups in `region` that the containers write to, each once."""
    groups = []
    for definition in body.get("containerDefinitions") or []:
        configuration = definition.get("logConfiguration") or {}
        options = configuration.get("options") or {}
        is_here = options.get("awslogs-region") in (None, region)
        if configuration.get("logDriver") == "awslogs" and is_here:
            groups.append(str(options.get("awslogs-group") or ""))
    return [group for group in dict.fromkeys(groups) if group]


def _repository(image: str) -> str:
    """`host/name` of a reference, without tag and digest."""
    name = image.partition("@")[0]
    head, slash, tail = name.rpartition("/")
    return f"{head}{slash}{tail.partition(':')[0]}"
