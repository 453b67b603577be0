"""The description of a service for programs (OpenAPI 3.1), made from its route table."""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping
from typing import Any

import attrs
import msgspec

from p2pshare.web.paths import Access
from p2pshare.web.replies import phrase
from p2pshare.web.routes import Route, RouteTable

_REFERENCE = "#/components/schemas/{name}"
_SCHEMES = {"bearer": {"type": "http", "scheme": "bearer"}}
_MULTIPART = "multipart/form-data"


def describe(table: RouteTable, title: str, version: str, about: str = "") -> dict[str, Any]:
    """
    Write the document.

    :param about: the service in a few sentences.
    """
    components: dict[str, Any] = {}
    paths: dict[str, dict[str, Any]] = {}
    for route in table.routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version, **({"description": about} if about else {})},
        "paths": paths,
        "components": {"schemas": dict(sorted(components.items())), "securitySchemes": _SCHEMES},
    }


def _operation(route: Route, components: dict[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "responses": _responses(route, components),
    }
    if inspect.isroutine(route.answer) and (doc := inspect.getdoc(route.answer)):
        operation["description"] = doc
    if route.group:
        operation["tags"] = [route.group]
    if parameters := _parameters(route, components):
        operation["parameters"] = parameters
    if body := _body(route, components):
        operation["requestBody"] = body
    if route.access is Access.TOKEN:
        operation["security"] = [{"bearer": []}]
    return operation


def _operation_id(route: Route) -> str:
    return "_".join([route.method.lower(), *re.findall(r"\w+", route.path)])


def _parameters(route: Route, components: dict[str, Any]) -> list[dict[str, Any]]:
    found = [
        {"name": name, "in": "path", "required": True, "schema": _schema(route.params.get(name, str), components)}
        for name in route.names
    ]
    for cls, place in ((route.query, "query"), (route.headers, "header")):
        if cls is None:
            continue
        (_, own) = msgspec.json.schema_components([cls], ref_template=_REFERENCE)
        whole = own.pop(cls.__name__)
        components.update(_tidy(own))  # types of its fields
        for field in attrs.fields(cls):
            name = field.name if place == "query" else field.name.replace("_", "-")
            required = field.name in whole["required"]
            schema = _tidy(whole["properties"][field.name])
            found.append({"name": name, "in": place, "required": required, "schema": schema})
    return found


def _body(route: Route, components: dict[str, Any]) -> dict[str, Any] | None:
    if route.upload is not None:
        file = {"type": "string", "contentMediaType": "application/octet-stream"}
        form = {"type": "object", "properties": {route.upload.name: file}, "required": [route.upload.name]}
        return {"required": True, "content": {_MULTIPART: {"schema": form}}}
    if route.body is None:
        return None
    content = {route.body_type: {"schema": _schema(route.body, components)}}
    return {"required": type(None) not in _members(route.body), "content": content}


def _responses(route: Route, components: dict[str, Any]) -> Mapping[str, Any]:
    answer: dict[str, Any] = {"description": phrase(route.status)}
    if route.reply is not None:
        schema = _schema(route.reply, components)
        answer["content"] = {kind: {"schema": schema} for kind in (route.reply_type, *route.other_types)}
    responses = {str(route.status): answer}
    refusals = dict(route.refusals)
    if route.params or route.query or route.headers or route.body is not None or route.upload is not None:
        refusals.setdefault(route.form.status or route.form.invalid, "Something in the request is not as it should be")
    if route.access is Access.TOKEN:
        refusals.setdefault(401, "The token is missing or wrong")
    for status, when in sorted(refusals.items()):
        if str(status) in responses:
            continue
        responses[str(status)] = {"description": when, "content": {route.form.content_type: {"schema": _error(route)}}}
    return responses


def _error(route: Route) -> dict[str, Any]:
    key = route.form.key
    if key is None:
        return {"type": "string"}
    return {"type": "object", "properties": {key: {"type": "string"}}, "required": [key]}


def _schema(kind: Any, components: dict[str, Any]) -> dict[str, Any]:
    if kind is bytes:
        return {"type": "string", "contentMediaType": "application/octet-stream"}
    ((schema,), found) = msgspec.json.schema_components([kind], ref_template=_REFERENCE)
    for name, component in _tidy(found).items():
        if components.setdefault(name, component) != component:
            raise ValueError(f"two different types are called {name}")
    tidy: dict[str, Any] = _tidy(schema)
    return tidy


def _members(kind: Any) -> tuple[Any, ...]:
    return getattr(kind, "__args__", ())


def _tidy(value: Any) -> Any:
    """Take the indentation of docstrings out of descriptions."""
    if isinstance(value, dict):
        return {
            key: inspect.cleandoc(inner) if key == "description" and isinstance(inner, str) else _tidy(inner)
            for key, inner in value.items()
        }
    return [_tidy(inner) for inner in value] if isinstance(value, list) else value
