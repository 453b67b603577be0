"""
Bodies as clients of a super-peer write them.

Some say ``PeerAddress``, others ``peerAddress`` or ``peer_address``; most send more than we know, and null for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Annotated, Any, TypeVar, get_type_hints

import attrs
import msgspec

from p2pshare.errors import RequestRefused

T = TypeVar("T", bound=attrs.AttrsInstance)

_SHOWN = 80  # characters of a stranger's word in an answer


def in_any_spelling(cls: type[attrs.AttrsInstance]) -> Any:
    """Make the type of a route's body: any object, documented with the fields of an attrs class."""
    _, components = msgspec.json.schema_components([cls])
    schema = components[cls.__name__]
    kept = {name: schema[name] for name in ("properties", "required") if name in schema}
    return Annotated[dict[str, Any], msgspec.Meta(extra_json_schema=kept)]


def read_body(cls: type[T], body: Mapping[str, object]) -> T:
    """
    Read an object into an attrs class.

    :raise RequestRefused: a field is missing, comes in two spellings, or is not of its type.
    """
    kinds = _kinds(cls)
    spelled: dict[str, str] = {}  # the field's name -> as the client wrote it
    values: dict[str, object] = {}
    for key, value in body.items():
        name = _known(cls).get(_folded(key))
        if name is None or value is None:
            continue
        if name in spelled:
            raise RequestRefused(f"{name}: given twice, as {spelled[name][:_SHOWN]} and {key[:_SHOWN]}")
        spelled[name] = key
        try:
            values[name] = msgspec.convert(value, kinds[name])
        except msgspec.ValidationError as error:
            problem = str(error).replace("`", "").replace(" - at $", ", at place ")
            raise RequestRefused(f"{key}: {problem[:1].lower()}{problem[1:]}") from None
    for field in attrs.fields(cls):
        if field.default is attrs.NOTHING and field.name not in values:
            raise RequestRefused(f"{field.name}: missing")
    return cls(**values)


def _folded(name: str) -> str:
    return name.replace("_", "").lower()


@lru_cache(64)
def _known(cls: type[attrs.AttrsInstance]) -> Mapping[str, str]:
    return {_folded(field.name): field.name for field in attrs.fields(cls)}


@lru_cache(64)
def _kinds(cls: type[attrs.AttrsInstance]) -> Mapping[str, Any]:
    return get_type_hints(cls, include_extras=True)
