"""
Reads what a request says into values of the types its route names.

Limits stand in the types, as ``Annotated[int, msgspec.Meta(ge=0)]``; what msgspec lets pass is looked for here: keys
that nobody knows, and keys that come twice.
"""

from __future__ import annotations

import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import attrs
import msgspec

from p2pshare.errors import RequestRefused

_WHERE = re.compile(r"^(?P<problem>.*?)(?: - at `\$\.?(?P<path>.*)`)?$", re.DOTALL)
_MISSING = re.compile(r"^Object missing required field `(.*)`$", re.DOTALL)


def read_fields(cls: type, given: Mapping[str, Sequence[str]]) -> Any:
    """
    Read texts by name, of a query or of headers, into an attrs class; a field that is a list may come several times.

    :raise RequestRefused: one is missing, comes twice or is not what it should be. Unknown ones are nobody's business.
    """
    values: dict[str, object] = {}
    for name, is_list in _fields(cls).items():
        texts = given.get(name)
        if texts is None:
            continue
        if not is_list and len(texts) > 1:
            raise RequestRefused(f"{name}: given {len(texts)} times, expected once")
        values[name] = list(texts) if is_list else texts[0]
    read = _convert(values, cls)
    for name in values:
        _refuse_infinite(getattr(read, name), name)
    return read


def read_param(name: str, kind: Any, text: str) -> Any:
    """
    Read one part of a path.

    :raise RequestRefused: it is not what it should be.
    """
    value = _convert(text, kind, name)
    _refuse_infinite(value, name)
    return value


def read_json(data: bytes, kind: Any) -> Any:
    """
    Read a JSON body.

    :raise RequestRefused: it is no JSON, has keys that are not known here or come twice, or is not of that type.
    """
    try:
        value = msgspec.json.decode(data, type=kind)
        # msgspec ignores keys it does not know and keeps the last of two; both would pass for understood.
        tree = json.loads(data, object_pairs_hook=_no_twins, parse_int=str, parse_float=str)
        _refuse_unknown(tree, kind, "")
    except msgspec.ValidationError as error:
        raise RequestRefused(_worded(error)) from None
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestRefused(f"the body is not JSON: {error}") from None
    except RecursionError:
        raise RequestRefused("the body is nested too deeply") from None
    return value


def decoded(values: Mapping[bytes, Iterable[bytes]]) -> dict[str, list[str]]:
    """
    Decode the names and values of a query, which twisted.web leaves as bytes.

    :raise RequestRefused: one is not UTF-8.
    """
    try:
        return {name.decode(): [value.decode() for value in several] for name, several in values.items()}
    except UnicodeDecodeError:
        raise RequestRefused("the query is not UTF-8") from None


def _convert(text: object, kind: Any, where: str = "") -> Any:
    try:
        return msgspec.convert(text, kind, strict=False)
    except msgspec.ValidationError as error:
        raise RequestRefused(_worded(error, where)) from None


def _refuse_infinite(value: object, name: str) -> None:
    if isinstance(value, float) and not math.isfinite(value):
        raise RequestRefused(f"{name}: expected a finite number")


def _worded(error: msgspec.ValidationError, where: str = "") -> str:
    """Begin with the place, which msgspec names last."""
    if error.__cause__ is not None and error.__cause__.args:  # a validator of attrs; the rest is for programmers
        return str(error.__cause__.args[0])
    found = _WHERE.match(str(error))
    assert found is not None, "matches everything"
    problem, path = found["problem"], where or found["path"] or ""
    if missing := _MISSING.match(problem):
        return f"{path}.{missing[1]}: missing" if path else f"{missing[1]}: missing"
    problem = problem[:1].lower() + problem[1:].replace("`", "")
    return f"{path}: {problem}" if path else problem


@lru_cache(1024)
def _fields(cls: type) -> Mapping[str, bool]:
    """Name the fields of an attrs class; is it a list?"""
    hints = get_type_hints(cls)
    return {
        field.name: any(get_origin(option) in (list, tuple, set, frozenset) for option in _options(hints[field.name]))
        for field in attrs.fields(cls)
    }


def _options(kind: Any) -> list[Any]:
    """List what a value may be: the members of a union, without their annotations."""
    if get_origin(kind) is Annotated:
        return _options(get_args(kind)[0])
    if get_origin(kind) in (Union, UnionType):
        return [option for member in get_args(kind) for option in _options(member)]
    return [kind]


def _no_twins(pairs: list[tuple[str, object]]) -> dict[str, object]:
    table = dict(pairs)
    if len(table) < len(pairs):
        ((twin, _),) = Counter(name for name, _ in pairs).most_common(1)
        raise RequestRefused(f"{twin[:80]}: given twice in one object")
    return table


def _refuse_unknown(value: object, kind: Any, path: str) -> None:
    """Follow a JSON value along its type, and look at the keys where that is a class."""
    for option in _options(kind):
        args = get_args(option)
        if isinstance(value, dict):
            if attrs.has(option):
                hints = _hints(option)
                for name, inner in value.items():
                    if name not in hints:
                        raise RequestRefused(f"{path}{name[:80]}: unknown; known are {', '.join(sorted(hints))}")
                    _refuse_unknown(inner, hints[name], f"{path}{name}.")
            elif get_origin(option) is dict:
                for name, inner in value.items():
                    _refuse_unknown(inner, args[1], f"{path}{name[:80]}.")
        elif isinstance(value, list) and get_origin(option) in (list, tuple, set, frozenset):
            for index, inner in enumerate(value):
                _refuse_unknown(inner, args[0], f"{path.removesuffix('.')}[{index}].")


@lru_cache(1024)
def _hints(cls: type) -> Mapping[str, Any]:
    return get_type_hints(cls, include_extras=True)
