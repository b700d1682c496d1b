"""The wire protocols of the simulated services: request bytes in, answer bytes out.

Everything is driven by the shapes of the botocore model; nothing here knows a service.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qsl, unquote, urlsplit
from xml.etree import ElementTree as ET

from botocore.model import ListShape, MapShape, OperationModel, Shape, StructureShape

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Request:
    """The parts of a request that hold its parameters."""

    body: bytes
    url: str


@dataclass(frozen=True, slots=True)
class Payload:
    """Status, body and headers of one simulated HTTP response."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Protocol:
    """How one protocol reads a request and writes an answer or an error."""

    read: Callable[[OperationModel, Request], Tree]
    write: Callable[[OperationModel, Tree], Payload]
    write_error: Callable[[OperationModel, int, str, str], Payload]


def protocol_of(operation: OperationModel) -> Protocol:
    return _PROTOCOLS[operation.service_model.resolved_protocol]


def _read_json(operation: OperationModel, request: Request) -> Tree:
    params: Tree = _from_json(operation.input_shape, json.loads(request.body or b"{}"))
    return params


def _from_json(shape: Shape | None, value: Any) -> Any:  # noqa: ANN401
    match shape:
        case StructureShape():
            return {name: _from_json(shape.members[name], item) for name, item in value.items()}
        case ListShape():
            return [_from_json(shape.member, item) for item in value]
        case MapShape():
            return {name: _from_json(shape.value, item) for name, item in value.items()}
        case Shape(type_name="timestamp"):
            return datetime.fromtimestamp(value, tz=UTC)
        case Shape(type_name="blob"):
            return base64.b64decode(value)
        case _:
            return value


def _write_json(operation: OperationModel, answer: Tree) -> Payload:
    version = operation.metadata.get("jsonVersion", "1.1")
    body = json.dumps(answer, default=_json_scalar).encode()
    return Payload(200, body, {"content-type": f"application/x-amz-json-{version}"})


def _json_scalar(value: object) -> object:
    if isinstance(value, datetime):
        return value.timestamp()
    if isinstance(value, bytes):
        return base64.b64encode(value).decode()
    raise AssertionError(f"no JSON form for {type(value).__name__}")


def _write_json_error(_: OperationModel, status: int, code: str, message: str) -> Payload:
    body = json.dumps({"__type": code, "message": message}).encode()
    return Payload(status, body, {"content-type": "application/x-amz-json-1.1"})


def _read_query(operation: OperationModel, request: Request) -> Tree:
    return _read_form(operation, request.body, _query_name, _query_list_prefix)


def _read_ec2(operation: OperationModel, request: Request) -> Tree:
    return _read_form(operation, request.body, _ec2_name, lambda _shape, prefix: prefix)


NameOf = Callable[[str, Shape], str]
ListPrefix = Callable[[ListShape, str], str]


def _read_form(
    operation: OperationModel, body: bytes, name_of: NameOf, list_prefix: ListPrefix
) -> Tree:
    form = dict(parse_qsl(body.decode(), keep_blank_values=True))
    if operation.input_shape is None:
        return {}
    found: Tree = _from_form(operation.input_shape, "", form, name_of, list_prefix) or {}
    return found


def _from_form(
    shape: Shape, prefix: str, form: Mapping[str, str], name_of: NameOf, list_prefix: ListPrefix
) -> Any:  # noqa: ANN401
    """The value under `prefix`, or None where the form has nothing there."""

    def at(child: Shape, name: str) -> Any:  # noqa: ANN401
        return _from_form(child, f"{prefix}.{name}".lstrip("."), form, name_of, list_prefix)

    if prefix and not any(key.startswith(prefix) for key in form):
        return None
    match shape:
        case StructureShape():
            members = {key: at(sub, name_of(key, sub)) for key, sub in shape.members.items()}
            return {key: item for key, item in members.items() if item is not None} or None
        case ListShape():
            prefix = list_prefix(shape, prefix)
            return list(_numbered(lambda number: at(shape.member, str(number)))) or None
        case MapShape():
            flat = shape.serialization.get("flattened")
            prefix = prefix if flat else f"{prefix}.entry"
            pairs = _numbered(
                lambda number: (
                    (key, at(shape.value, f"{number}.value"))
                    if (key := at(shape.key, f"{number}.key")) is not None
                    else None
                )
            )
            return dict(pairs) or None
        case _:
            return _scalar(shape, form[prefix]) if prefix in form else None


def _numbered(item_at: Callable[[int], Any]) -> Iterator[Any]:
    number = 1
    while (item := item_at(number)) is not None:
        yield item
        number += 1


def _scalar(shape: Shape, text: str) -> Any:  # noqa: ANN401
    match shape.type_name:
        case "integer" | "long":
            return int(text)
        case "float" | "double":
            return float(text)
        case "boolean":
            return text == "true"
        case "timestamp":
            return datetime.fromisoformat(text)
        case "blob":
            return base64.b64decode(text)
        case _:
            return text


def _query_name(key: str, shape: Shape) -> str:
    if isinstance(shape, ListShape) and shape.serialization.get("flattened"):
        name: str = shape.member.serialization.get("name") or shape.serialization.get("name", key)
        return name
    return str(shape.serialization.get("name", key))


def _query_list_prefix(shape: ListShape, prefix: str) -> str:
    if shape.serialization.get("flattened"):
        return prefix
    return f"{prefix}.{shape.member.serialization.get('name', 'member')}"


def _ec2_name(key: str, shape: Shape) -> str:
    if "queryName" in shape.serialization:
        return str(shape.serialization["queryName"])
    name = str(shape.serialization.get("name", key))
    return name[0].upper() + name[1:]


def _write_query(operation: OperationModel, answer: Tree) -> Payload:
    root = ET.Element(f"{operation.name}Response")
    shape = operation.output_shape
    if shape is not None:
        result = ET.SubElement(root, shape.serialization.get("resultWrapper", "Result"))
        _fill(result, shape, answer)
    metadata = ET.SubElement(root, "ResponseMetadata")
    ET.SubElement(metadata, "RequestId").text = "simulated"
    return Payload(200, ET.tostring(root), {"content-type": "text/xml"})


def _write_ec2(operation: OperationModel, answer: Tree) -> Payload:
    root = ET.Element(f"{operation.name}Response")
    ET.SubElement(root, "requestId").text = "simulated"
    if operation.output_shape is not None:
        _fill(root, operation.output_shape, answer)
    return Payload(200, ET.tostring(root), {"content-type": "text/xml"})


def _fill(node: ET.Element, shape: Shape, value: Any) -> None:  # noqa: ANN401
    match shape:
        case StructureShape():
            for key, item in value.items():
                _append(node, _xml_name(key, shape.members[key]), shape.members[key], item)
        case ListShape():
            for item in value:
                name = shape.member.serialization.get("name", "member")
                _append(node, name, shape.member, item)
        case MapShape():
            for key, item in value.items():
                entry = ET.SubElement(node, "entry")
                _append(entry, shape.key.serialization.get("name", "key"), shape.key, key)
                _append(entry, shape.value.serialization.get("name", "value"), shape.value, item)
        case _:
            node.text = _xml_text(value)


def _append(node: ET.Element, name: str, shape: Shape, value: Any) -> None:  # noqa: ANN401
    if isinstance(shape, ListShape) and shape.serialization.get("flattened"):
        for item in value:
            _fill(ET.SubElement(node, name), shape.member, item)
    else:
        _fill(ET.SubElement(node, name), shape, value)


def _xml_name(key: str, shape: Shape) -> str:
    if isinstance(shape, ListShape) and shape.serialization.get("flattened"):
        return str(shape.member.serialization.get("name") or shape.serialization.get("name", key))
    return str(shape.serialization.get("name", key))


def _xml_text(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case datetime():
            return value.astimezone(UTC).isoformat().replace("+00:00", "Z")
        case bytes():
            return base64.b64encode(value).decode()
        case _:
            return str(value)


def _write_query_error(_: OperationModel, status: int, code: str, message: str) -> Payload:
    root = ET.Element("ErrorResponse")
    _add_error(root, code, message)
    ET.SubElement(root, "RequestId").text = "simulated"
    return Payload(status, ET.tostring(root), {"content-type": "text/xml"})


def _write_ec2_error(_: OperationModel, status: int, code: str, message: str) -> Payload:
    root = ET.Element("Response")
    _add_error(ET.SubElement(root, "Errors"), code, message)
    ET.SubElement(root, "RequestID").text = "simulated"
    return Payload(status, ET.tostring(root), {"content-type": "text/xml"})


def _add_error(node: ET.Element, code: str, message: str) -> None:
    error = ET.SubElement(node, "Error")
    ET.SubElement(error, "Code").text = code
    ET.SubElement(error, "Message").text = message


def _read_rest(operation: OperationModel, request: Request) -> Tree:
    """Bucket and key of an object; no other operation of a REST service is known here."""
    del operation
    parts = urlsplit(request.url)
    bucket, path = (parts.hostname or "").partition(".s3.")[0], unquote(parts.path).lstrip("/")
    if (parts.hostname or "").startswith("s3."):
        # A name with dots does not fit the certificate, so it stands in the path.
        bucket, _slash, path = path.partition("/")
    return {"Bucket": bucket, "Key": path}


def _write_rest(_: OperationModel, answer: Tree) -> Payload:
    """The answer to HEAD has no body, and nobody asks for its headers."""
    assert not answer, "only answers without fields can be written"
    return Payload(200, b"", {})


def _write_rest_error(_: OperationModel, status: int, code: str, message: str) -> Payload:
    """As S3 does it: the status is all that is left of an error."""
    del code, message
    return Payload(status, b"", {})


_PROTOCOLS = {
    "rest-xml": Protocol(_read_rest, _write_rest, _write_rest_error),
    "json": Protocol(_read_json, _write_json, _write_json_error),
    "query": Protocol(_read_query, _write_query, _write_query_error),
    "ec2": Protocol(_read_ec2, _write_ec2, _write_ec2_error),
}
