"""A definition on its way from ECS and back: nothing is lost, and nothing is lost silently."""

from __future__ import annotations

import functools
from typing import Any

import pytest
from botocore.model import ListShape, MapShape, Shape, StringShape, StructureShape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deploy_action.errors import AwsError, Refusal
from deploy_action.gateways.ecs import Ecs
from deploy_action.task_definition import Changes, is_same, render
from tests.gateways.wire import Json, Wire, session

ARN = "arn:aws:ecs:eu-west-1:123456789012:task-definition/web:41"
READ_ONLY: Json = {
    "taskDefinitionArn": ARN,
    "revision": 41,
    "status": "ACTIVE",
    "requiresAttributes": [{"name": "com.amazonaws.ecs.capability.task-iam-role"}],
    "compatibilities": ["EC2", "FARGATE"],
    "registeredAt": 1763640000.5,
    "registeredBy": "arn:aws:iam::123456789012:role/deploy",
    "deregisteredAt": 1763640001,
    "deleteRequestedAt": 1763640002,
}
"""What AWS sets itself (ecs.md 4.1)."""
PLAIN: Json = {"family": "web", "containerDefinitions": [{"name": "app", "image": "a:1"}]}
CHANGELESS = Changes(images={}, containers=())
THOROUGH = settings(
    max_examples=100,
    deadline=None,
    database=None,
    derandomize=True,  # the same definitions in every run: a red build can be repeated
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture
def wire() -> Wire:
    return Wire()


@pytest.fixture
def ecs(wire: Wire) -> Ecs:
    return Ecs(wire.session, "prod")


def described(wire: Wire, body: Json, *, tags: list[Json] | None = None) -> None:
    answer: Json = {"taskDefinition": {**READ_ONLY, **body}}
    wire.answers("DescribeTaskDefinition", answer | ({"tags": tags} if tags is not None else {}))


def registered(wire: Wire) -> None:
    wire.answers(
        "RegisterTaskDefinition",
        {"taskDefinition": {"taskDefinitionArn": ARN.replace("41", "42"), "status": "ACTIVE"}},
    )


def test_a_definition_is_asked_for_with_its_tags(wire: Wire, ecs: Ecs) -> None:
    described(wire, PLAIN, tags=[{"key": "team", "value": "shop"}])

    found = ecs.definition("web:41")

    assert wire.sent("DescribeTaskDefinition") == [
        {"taskDefinition": "web:41", "include": ["TAGS"]}
    ]
    assert (found.arn, found.revision, found.status) == (ARN, "web:41", "ACTIVE")
    assert found.tags == ({"key": "team", "value": "shop"},)


def test_an_inactive_definition_says_so(wire: Wire, ecs: Ecs) -> None:
    described(wire, {**PLAIN, "status": "INACTIVE"})

    assert ecs.definition("web:41").status == "INACTIVE"


def test_what_aws_sets_itself_is_not_sent_back(wire: Wire, ecs: Ecs) -> None:
    described(wire, PLAIN)

    assert ecs.registrable(ecs.definition("web:41")) == PLAIN


def test_tags_go_along(wire: Wire, ecs: Ecs) -> None:
    described(wire, PLAIN, tags=[{"key": "team", "value": "shop"}])

    body = ecs.registrable(ecs.definition("web:41"))

    assert body["tags"] == [{"key": "team", "value": "shop"}]


@pytest.mark.parametrize("body", [{**PLAIN, "tags": []}, PLAIN], ids=["of a file", "of ECS"])
def test_an_empty_list_of_tags_which_aws_refuses_is_left_out(
    wire: Wire, ecs: Ecs, body: Json
) -> None:
    described(wire, PLAIN, tags=[])

    assert "tags" not in ecs.writable(body)
    assert "tags" not in ecs.registrable(ecs.definition("web:41"))


def test_nulls_which_say_unset_are_left_out_and_empty_texts_stay(ecs: Ecs) -> None:
    body = {
        "family": "web",
        "cpu": None,
        "containerDefinitions": [
            {"name": "app", "user": None, "environment": [{"name": "A", "value": ""}]}
        ],
    }

    assert ecs.writable(body) == {
        "family": "web",
        "containerDefinitions": [{"name": "app", "environment": [{"name": "A", "value": ""}]}],
    }


def test_keys_that_the_model_does_not_know_are_kept_and_named(wire: Wire, ecs: Ecs) -> None:
    described(
        wire,
        {
            "family": "web",
            "quantumMode": {"on": True},
            "containerDefinitions": [
                {"name": "app", "image": "a:1"},
                {"name": "side", "image": "s:1", "warpFactor": 9},
            ],
        },
    )

    body = ecs.registrable(ecs.definition("web:41"))
    problems = ecs.problems(body)

    assert body["quantumMode"] == {"on": True}
    assert body["containerDefinitions"][1]["warpFactor"] == 9
    assert len(problems) == 2
    assert any('"quantumMode"' in line for line in problems)
    assert any('containerDefinitions[1]: "warpFactor"' in line for line in problems)


WRONG: dict[str, tuple[Json, str]] = {
    "a number for a text": ({"family": 1}, "family"),
    "a text for a list": ({"containerDefinitions": "app"}, "containerDefinitions"),
    "a text for a container": ({"containerDefinitions": ["app"]}, "containerDefinitions[0]"),
    "yes for a text": (
        {"containerDefinitions": [{"environment": [{"name": "A", "value": True}]}]},
        "containerDefinitions[0].environment[0].value",
    ),
    "no family": ({"family": None}, "family"),
}


@pytest.mark.parametrize(("fields", "place"), WRONG.values(), ids=WRONG.keys())
def test_a_wrong_type_is_named_with_its_place(ecs: Ecs, fields: Json, place: str) -> None:
    body = {k: v for k, v in {**PLAIN, **fields}.items() if v is not None}

    (problem,) = ecs.problems(body)

    assert place in problem


def test_a_good_definition_has_no_problems(ecs: Ecs) -> None:
    assert ecs.problems(PLAIN) == []


def test_a_new_revision_is_registered_as_it_is(wire: Wire, ecs: Ecs) -> None:
    registered(wire)

    new = ecs.register(PLAIN)

    assert wire.sent("RegisterTaskDefinition") == [PLAIN]
    assert (new.revision, new.status) == ("web:42", "ACTIVE")


def test_a_refused_registration_remembers_the_roles_that_it_hands_over(
    wire: Wire, ecs: Ecs
) -> None:
    wire.refuses("RegisterTaskDefinition", "AccessDeniedException", "iam:PassRole")

    with pytest.raises(AwsError) as caught:
        ecs.register({**PLAIN, "taskRoleArn": "arn:task", "executionRoleArn": "arn:execution"})

    assert caught.value.passes == ("arn:task", "arn:execution")
    assert caught.value.refusal is Refusal.DENIED


def test_names_the_active_revisions_of_exactly_this_family(wire: Wire, ecs: Ecs) -> None:
    other = ARN.replace("web:41", "web-admin:7")
    wire.answers("ListTaskDefinitions", {"taskDefinitionArns": [ARN, other]})

    assert ecs.revisions("web") == [ARN]
    (sent,) = wire.sent("ListTaskDefinitions")
    assert (sent["familyPrefix"], sent["sort"], sent["status"]) == ("web", "DESC", "ACTIVE")


# -- the round trip, over everything that the model of AWS knows --

MODEL = session().client("ecs").meta.service_model
REGISTRATION = MODEL.operation_model("RegisterTaskDefinition").input_shape
LETTERS = st.characters(codec="utf-8", exclude_categories=["Cs"])


@functools.cache
def values(shape: Shape) -> st.SearchStrategy[Any]:
    """Everything that may stand where the model has this shape."""
    match shape:
        case StructureShape() if shape.is_tagged_union:
            one = [st.fixed_dictionaries({n: values(m)}) for n, m in shape.members.items()]
            return st.one_of(one)
        case StructureShape():
            members = {name: values(member) for name, member in shape.members.items()}
            required = {name: members[name] for name in shape.required_members}
            optional = {name: s for name, s in members.items() if name not in required}
            return st.fixed_dictionaries(required, optional=optional)
        case ListShape():
            return st.lists(values(shape.member), min_size=shortest(shape), max_size=2)
        case MapShape():
            return st.dictionaries(values(shape.key), values(shape.value), max_size=2)
        case StringShape() if shape.enum:
            return st.sampled_from(shape.enum)
        case StringShape():
            return st.text(LETTERS, min_size=shortest(shape), max_size=8)
        case _:
            return scalars(shape)


def scalars(shape: Shape) -> st.SearchStrategy[Any]:
    if shape.type_name == "boolean":
        return st.booleans()
    if shape.type_name in {"integer", "long"}:
        return st.integers(lowest(shape), 2**31 - 1)
    return st.floats(lowest(shape), 1e6)


def shortest(shape: Shape) -> int:
    """The length that the model asks of a text or a list."""
    return int(shape.metadata.get("min", 0))


def lowest(shape: Shape) -> int:
    """The lower bound that the model gives a number."""
    return int(shape.metadata.get("min", -(2**31)))


def definitions(**fields: Any) -> st.SearchStrategy[Json]:  # noqa: ANN401 - as the model
    assert REGISTRATION is not None
    strategy: st.SearchStrategy[Json] = values(REGISTRATION)
    return strategy.map(lambda body: {**body, **fields})


@functools.cache
def clients() -> tuple[Wire, Ecs]:
    """Made once: a property asks for them a hundred times."""
    wire = Wire()
    return wire, Ecs(wire.session, "prod")


def round_trip(body: Json) -> Json:
    """Describe, make registrable, render without a change, register; what was sent then."""
    wire, ecs = clients()
    wire.requests.clear()
    tags = body.get("tags") or []
    described(wire, {k: v for k, v in body.items() if k != "tags"}, tags=tags)
    registered(wire)
    rendered = render(ecs.registrable(ecs.definition("web:41")), CHANGELESS)
    assert ecs.problems(rendered) == []
    ecs.register(rendered)
    (sent,) = wire.sent("RegisterTaskDefinition")
    result: Json = sent
    return result


@THOROUGH
@given(definitions())
def test_every_definition_that_aws_could_have_survives_unchanged(body: Json) -> None:
    sent = round_trip(body)

    assert sent == {k: v for k, v in body.items() if k != "tags" or v}
    assert is_same(sent, body)


def complete(shape: Shape) -> Any:  # noqa: ANN401 - any JSON
    """A value with every member there is, all the way down."""
    match shape:
        case StructureShape():
            members = list(shape.members.items())
            kept = members[:1] if shape.is_tagged_union else members
            return {name: complete(member) for name, member in kept}
        case ListShape():
            return [complete(shape.member)]
        case MapShape():
            return {"key": complete(shape.value)}
        case StringShape():
            return shape.enum[0] if shape.enum else "text"
        case _:
            return False if shape.type_name == "boolean" else max(lowest(shape), 0)


def test_a_definition_with_every_member_survives_unchanged() -> None:
    assert REGISTRATION is not None
    body: Json = complete(REGISTRATION)

    assert round_trip(body) == body
    assert {"runtimePlatform", "volumes", "tags", "ephemeralStorage"} <= set(body)


def test_only_read_only_members_are_described_and_not_accepted() -> None:
    assert REGISTRATION is not None
    shape = MODEL.shape_for("TaskDefinition")
    assert isinstance(shape, StructureShape)

    assert set(shape.members) - set(REGISTRATION.members) == set(READ_ONLY)
