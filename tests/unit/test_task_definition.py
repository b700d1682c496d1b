"""Rendering a definition: what changes, what stays, who gets the image."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from deploy_action.model import Json
from deploy_action.task_definition import (
    Changes,
    DefinitionProblem,
    choose_container,
    container_names,
    environment_values,
    hidden_log,
    log_destination,
    log_groups,
    merge_patch,
    parse,
    parse_patch,
    platform,
    render,
    with_tags,
)

HOST = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"


def body(*containers: Json, **fields: Any) -> Json:  # noqa: ANN401 - any JSON
    """A definition with these containers; without any, with one that has an environment."""
    one = {
        "name": "app",
        "image": f"{HOST}/web:1",
        "environment": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}],
        "secrets": [{"name": "S", "valueFrom": "arn:s"}],
    }
    return {"family": "web", "containerDefinitions": list(containers or (one,)), **fields}


def changed(old: Json, **asked: Any) -> Json:  # noqa: ANN401 - as Changes
    """The first container after these changes."""
    new = render(old, Changes(**{"images": {}, "containers": ("app",), **asked}))
    first: Json = new["containerDefinitions"][0]
    return first


def pairs(container: Json, key: str, value: str = "value") -> dict[str, str]:
    return {item["name"]: item[value] for item in container[key]}


# -- reading --


def test_reads_json() -> None:
    assert parse('{"family": "web",\t"cpu": "256"}') == {"family": "web", "cpu": "256"}


def test_reads_yaml() -> None:
    assert parse("family: web\ncontainerDefinitions:\n- name: app\n") == {
        "family": "web",
        "containerDefinitions": [{"name": "app"}],
    }


def test_takes_the_output_of_describe_with_its_tags() -> None:
    described = {"taskDefinition": {"family": "web"}, "tags": [{"key": "team", "value": "shop"}]}

    assert parse(json.dumps(described)) == {
        "family": "web",
        "tags": [{"key": "team", "value": "shop"}],
    }


@pytest.mark.parametrize("tags", [[], None])
def test_takes_the_output_of_describe_without_empty_tags(tags: object) -> None:
    assert parse(json.dumps({"taskDefinition": {"family": "web"}, "tags": tags})) == {
        "family": "web"
    }


@pytest.mark.parametrize("text", ["[1, 2]", "just words", "17", ""])
def test_refuses_what_is_no_object(text: str) -> None:
    with pytest.raises(ValueError, match="not an object with named fields"):
        parse(text)


def test_refuses_what_is_neither_json_nor_yaml_and_says_where() -> None:
    with pytest.raises(ValueError, match=r"neither JSON nor YAML.*line 2"):
        parse("family: web\n  cpu: : 1\n")


def test_the_fault_of_a_patch_is_told_without_its_text() -> None:
    broken = "containerDefinitions:\n- name: app\n  user: s3cr3t: word\n"

    with pytest.raises(ValueError, match="neither JSON nor YAML") as error:
        parse_patch(broken)

    assert "s3cr3t" not in str(error.value)


# -- rendering --


def test_changes_the_image_of_the_named_containers_only() -> None:
    old = body({"name": "app", "image": "a:1"}, {"name": "side", "image": "b:1"})

    new = render(old, Changes(images={"app": "a:2"}, containers=("app",)))

    assert [c["image"] for c in new["containerDefinitions"]] == ["a:2", "b:1"]


PATCHES: dict[str, Json] = {
    "no patch": {},
    "a patch of the task": {"cpu": "512"},
    "a patch of the container": {"containerDefinitions": [{"name": "app", "command": ["x"]}]},
}


@pytest.mark.parametrize("patch", PATCHES.values(), ids=PATCHES.keys())
def test_leaves_the_old_definition_as_it_was_with(patch: Json) -> None:
    old = body()
    before = copy.deepcopy(old)

    asked = {"images": {"app": "a:2"}, "environment": {"A": "9"}, "secrets": {"B": "arn:b"}}
    changed(old, patch=patch, **asked)

    assert old == before


def test_no_changes_change_nothing() -> None:
    assert render(body(), Changes(images={}, containers=("app",))) == body()


def test_sets_cpu_and_memory_of_the_task() -> None:
    new = render(body(cpu="256"), Changes(images={}, containers=(), cpu="512", memory="1024"))

    assert (new["cpu"], new["memory"]) == ("512", "1024")


def test_merges_the_environment_in_place() -> None:
    new = changed(body(), environment={"B": "two", "C": "3"})

    assert new["environment"] == [
        {"name": "A", "value": "1"},
        {"name": "B", "value": "two"},
        {"name": "C", "value": "3"},
    ]
    assert pairs(new, "secrets", "valueFrom") == {"S": "arn:s"}


def test_replaces_the_list_that_is_given_and_only_that() -> None:
    new = changed(body(), environment={"B": "two"}, replace_environment=True)

    assert pairs(new, "environment") == {"B": "two"}
    assert pairs(new, "secrets", "valueFrom") == {"S": "arn:s"}


def test_replaces_secrets_and_keeps_the_environment() -> None:
    new = changed(body(), secrets={"T": "arn:t"}, replace_environment=True)

    assert pairs(new, "secrets", "valueFrom") == {"T": "arn:t"}
    assert pairs(new, "environment") == {"A": "1", "B": "2"}


def test_replace_without_anything_given_keeps_everything() -> None:
    assert changed(body(), replace_environment=True) == body()["containerDefinitions"][0]


@pytest.mark.parametrize("replace", [False, True])
def test_a_variable_that_becomes_a_secret_leaves_the_environment(*, replace: bool) -> None:
    new = changed(body(), secrets={"A": "arn:a"}, replace_environment=replace)

    assert pairs(new, "environment") == {"B": "2"}
    assert pairs(new, "secrets", "valueFrom")["A"] == "arn:a"


def test_a_secret_that_becomes_a_variable_leaves_the_secrets() -> None:
    new = changed(body(), environment={"S": "plain"})

    assert pairs(new, "environment") == {"A": "1", "B": "2", "S": "plain"}
    assert new["secrets"] == []


def test_gives_an_environment_to_a_container_that_has_none() -> None:
    new = changed(body({"name": "app", "image": "a:1"}), environment={"A": "1"})

    assert new == {"name": "app", "image": "a:1", "environment": [{"name": "A", "value": "1"}]}


def test_other_containers_keep_their_environment() -> None:
    old = body({"name": "app"}, {"name": "side", "environment": [{"name": "A", "value": "1"}]})

    new = render(old, Changes(images={}, containers=("app",), environment={"A": "2"}))

    assert new["containerDefinitions"][1] == old["containerDefinitions"][1]


def test_the_inputs_win_over_the_patch() -> None:
    patch = {"cpu": "1024", "containerDefinitions": [{"name": "app", "image": "patched:1"}]}

    new = render(
        body(), Changes(images={"app": "ours:2"}, containers=("app",), cpu="512", patch=patch)
    )

    assert new["cpu"] == "512"
    assert new["containerDefinitions"][0]["image"] == "ours:2"


@pytest.mark.parametrize("where", ["images", "containers"])
def test_an_unknown_container_is_refused_with_the_names_there_are(where: str) -> None:
    asked = {"images": {"api": "x"}} if where == "images" else {"containers": ("api",)}

    with pytest.raises(DefinitionProblem, match="no container 'api'; it has app"):
        changed(body(), **asked)


def test_a_definition_without_containers_says_that_it_has_none() -> None:
    with pytest.raises(DefinitionProblem, match="it has none"):
        render({"family": "web"}, Changes(images={"app": "x"}, containers=()))


@pytest.mark.parametrize(
    "containers", [["app"], {"app": {"cpu": 1}}, "app", [[]]], ids=["texts", "map", "text", "list"]
)
def test_a_patch_that_spoils_the_containers_is_refused_in_words(containers: object) -> None:
    patch = {"containerDefinitions": containers}

    with pytest.raises(DefinitionProblem, match="`containerDefinitions`"):
        render(body(), Changes(images={"app": "x"}, containers=("app",), patch=patch))


# -- merge patch --

RFC_7396: list[tuple[Any, Any, Any]] = [
    ({"a": "b"}, {"a": "c"}, {"a": "c"}),
    ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
    ({"a": "b"}, {"a": None}, {}),
    ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
    ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
    ({"a": "c"}, {"a": ["b"]}, {"a": ["b"]}),
    ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
    ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
    (["a", "b"], ["c", "d"], ["c", "d"]),
    ({"a": "b"}, ["c"], ["c"]),
    ({"a": "foo"}, None, None),
    ({"a": "foo"}, "bar", "bar"),
    ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
    ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
    ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
]
"""Appendix A, all of it."""


@pytest.mark.parametrize(("target", "patch", "result"), RFC_7396)
def test_merges_as_the_rfc_says(target: Any, patch: Any, result: Any) -> None:  # noqa: ANN401
    assert merge_patch(target, patch) == result


def test_containers_are_matched_by_name_and_new_ones_come_last() -> None:
    patch = {
        "containerDefinitions": [
            {"name": "side", "cpu": 64, "memory": None},
            {"name": "new", "image": "n:1", "user": None},
        ]
    }
    old = body({"name": "app", "cpu": 1}, {"name": "side", "cpu": 1, "memory": 2})

    assert merge_patch(old, patch)["containerDefinitions"] == [
        {"name": "app", "cpu": 1},
        {"name": "side", "cpu": 64},
        {"name": "new", "image": "n:1"},
    ]


def test_lists_inside_a_container_are_replaced_whole() -> None:
    patch = {"containerDefinitions": [{"name": "app", "secrets": [{"name": "T"}]}]}

    assert merge_patch(body(), patch)["containerDefinitions"][0]["secrets"] == [{"name": "T"}]


# -- who gets the image --

APP: Json = {"name": "app", "image": f"{HOST}/web:1"}
PROXY: Json = {"name": "proxy", "image": "nginx:1"}
JOBS: Json = {"name": "jobs", "image": f"{HOST}/web@sha256:00"}
CHOICES: dict[str, tuple[tuple[Json, ...], tuple[str, ...], str | None, str]] = {
    "the only one": ((PROXY,), (), None, "proxy"),
    "the one behind the load balancer": ((APP, PROXY), ("proxy",), f"{HOST}/web", "proxy"),
    "the one behind two target groups": ((APP, PROXY), ("app", "app"), None, "app"),
    "the one from the repository": ((PROXY, APP), (), f"{HOST}/web", "app"),
    "the one from the repository by digest": ((PROXY, JOBS), (), f"{HOST}/web", "jobs"),
    "the one from the repository where the load balancer names two": (
        (PROXY, APP),
        ("proxy", "app"),
        f"{HOST}/web",
        "app",
    ),
    "the one from the repository where the load balancer names one that is gone": (
        (PROXY, APP),
        ("gone",),
        f"{HOST}/web",
        "app",
    ),
    "the one from a registry with a port": (
        (PROXY, {"name": "app", "image": "localhost:5000/web:1"}),
        (),
        "localhost:5000/web",
        "app",
    ),
}


@pytest.mark.parametrize(
    ("containers", "behind", "repository", "name"), CHOICES.values(), ids=CHOICES.keys()
)
def test_the_image_goes_to(
    containers: tuple[Json, ...], behind: tuple[str, ...], repository: str | None, name: str
) -> None:
    assert choose_container(body(*containers), behind, repository) == name


UNCLEAR: dict[str, tuple[tuple[Json, ...], str | None]] = {
    "nothing tells two apart": ((APP, PROXY), None),
    "both come from the repository": ((APP, JOBS), f"{HOST}/web"),
    "none comes from the repository": ((APP, PROXY), f"{HOST}/api"),
    "the repository's name is only the beginning of another": (
        ({"name": "app", "image": f"{HOST}/web-admin:1"}, PROXY),
        f"{HOST}/web",
    ),
    "a container of a file has no image yet": (({"name": "app"}, PROXY), f"{HOST}/web"),
}


@pytest.mark.parametrize(("containers", "repository"), UNCLEAR.values(), ids=UNCLEAR.keys())
def test_the_user_is_asked_where(containers: tuple[Json, ...], repository: str | None) -> None:
    with pytest.raises(DefinitionProblem, match=r"2 containers.*`container-name`"):
        choose_container(body(*containers), (), repository)


# -- tags --


def test_tags_are_added_and_replaced_and_others_stay() -> None:
    old = body(tags=[{"key": "team", "value": "shop"}, {"key": "commit", "value": "old"}])

    new = with_tags(old, {"commit": "new", "run": "4711", "empty": ""})

    assert new["tags"] == [
        {"key": "team", "value": "shop"},
        {"key": "commit", "value": "new"},
        {"key": "run", "value": "4711"},
    ]
    assert old["tags"][1] == {"key": "commit", "value": "old"}


def test_no_tags_are_no_empty_list_which_aws_refuses() -> None:
    assert "tags" not in with_tags(body(), {"commit": ""})


# -- small questions --


def test_names_the_containers_in_order() -> None:
    assert container_names(body(PROXY, APP)) == ["proxy", "app"]
    assert container_names({}) == []


def test_collects_the_values_of_all_environments() -> None:
    old = body(
        {"name": "a", "environment": [{"name": "A", "value": "1"}]},
        {"name": "b", "environment": [{"name": "B"}, {"value": "nameless"}]},
        {"name": "c"},
    )

    assert environment_values(old) == {"A": "1", "B": "", "": "nameless"}


@pytest.mark.parametrize(
    ("runtime", "wanted"),
    [
        ({}, "linux/amd64"),
        ({"runtimePlatform": None}, "linux/amd64"),
        ({"runtimePlatform": {"operatingSystemFamily": "LINUX"}}, "linux/amd64"),
        ({"runtimePlatform": {"cpuArchitecture": "X86_64"}}, "linux/amd64"),
        ({"runtimePlatform": {"cpuArchitecture": "ARM64"}}, "linux/arm64"),
    ],
)
def test_the_platform_follows_the_architecture(runtime: Json, wanted: str) -> None:
    assert platform(body(**runtime)) == wanted


def logging_to(driver: str, **options: str) -> Json:
    settings = {key.replace("_", "-"): value for key, value in options.items()}
    return body({"name": "app", "logConfiguration": {"logDriver": driver, "options": settings}})


def test_finds_the_log_of_a_container() -> None:
    where = logging_to("awslogs", awslogs_group="/web", awslogs_stream_prefix="ecs")

    assert log_destination(where, "app") == ("/web", "ecs")


@pytest.mark.parametrize(
    ("definition", "container"),
    [
        (logging_to("awslogs", awslogs_group="/web", awslogs_stream_prefix="ecs"), "other"),
        (logging_to("awslogs", awslogs_group="/web"), "app"),
        (logging_to("awslogs", awslogs_stream_prefix="ecs"), "app"),
        (logging_to("splunk", awslogs_group="/web", awslogs_stream_prefix="ecs"), "app"),
        (body(), "app"),
        ({}, "app"),
    ],
    ids=["other container", "no prefix", "no group", "other driver", "no log", "no containers"],
)
def test_a_log_that_cannot_be_found_is_none(definition: Json, container: str) -> None:
    assert log_destination(definition, container) is None


AWSLOGS = {"awslogs-group": "/web", "awslogs-stream-prefix": "ecs"}
HIDDEN: dict[str, tuple[Json, str]] = {
    "it can be read": ({"logDriver": "awslogs", "options": AWSLOGS}, ""),
    "the region is named": (
        {"logDriver": "awslogs", "options": {**AWSLOGS, "awslogs-region": "eu-west-1"}},
        "",
    ),
    "another region": (
        {"logDriver": "awslogs", "options": {**AWSLOGS, "awslogs-region": "us-east-1"}},
        "container 'app' writes its log to us-east-1",
    ),
    "no prefix": (
        {"logDriver": "awslogs", "options": {"awslogs-group": "/web"}},
        "the log of container 'app' has no `awslogs-stream-prefix`",
    ),
    "another driver": (
        {"logDriver": "awsfirelens"},
        "container 'app' has the log driver 'awsfirelens', and only `awslogs` can be read",
    ),
    "no driver": ({}, "container 'app' has no log driver, and only `awslogs` can be read"),
}


@pytest.mark.parametrize(("logging", "why"), HIDDEN.values(), ids=HIDDEN.keys())
def test_says_why_a_log_cannot_be_read(logging: Json, why: str) -> None:
    definition: Json = {"containerDefinitions": [{"name": "app", "logConfiguration": logging}]}

    assert hidden_log(definition, "app", "eu-west-1") == why


def test_log_groups_are_named_once_and_only_those_of_the_region() -> None:
    def logging(name: str, driver: str, **options: str) -> dict[str, Any]:
        given = {key.replace("_", "-"): value for key, value in options.items()}
        return {"name": name, "logConfiguration": {"logDriver": driver, "options": given}}

    body = {
        "containerDefinitions": [
            logging("web", "awslogs", awslogs_group="/ecs/web", awslogs_region="eu-west-1"),
            logging("worker", "awslogs", awslogs_group="/ecs/web"),
            logging("far", "awslogs", awslogs_group="/ecs/far", awslogs_region="us-east-1"),
            logging("router", "awsfirelens", awslogs_group="/ecs/router"),
            {"name": "silent"},
        ]
    }

    assert log_groups(body, "eu-west-1") == ["/ecs/web"]
