"""Settings files: TOML read into frozen attrs classes, every key checked before anything starts."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Container, Iterable, Mapping
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

import attrs

from p2pshare.addresses import PRIVATE, Networks
from p2pshare.errors import ConfigError

Settings = TypeVar("Settings", bound=attrs.AttrsInstance)
Validator = Callable[[Any, "attrs.Attribute[Any]", Any], None]

PARSE = "parse"  # metadata key of a field that may also be written as text, "30m": the function that reads the text

_WORDS: Mapping[type, str] = {int: "a whole number", float: "a number", bool: "true or false", str: "a text"}
_HEADER = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]")


def load_settings(path: str | Path, cls: type[Settings], section: str) -> Settings:
    """
    Read one section of a settings file; what it does not mention keeps the default.

    A field whose type is itself a settings class is a table inside the section, ``[section.field]``.

    :raise ConfigError: the file cannot be read, or one key is unknown, of the wrong type or out of range; names the
        file, the line, the key and what it holds.
    """
    try:
        text = Path(path).read_text(encoding="utf-8")
        tables = tomllib.loads(text)
    except OSError as error:
        raise ConfigError(f"cannot read settings file {path}: {error.strerror}") from error
    except ValueError as error:  # not UTF-8, or not TOML: both say where
        raise ConfigError(f"settings file {path}: {error}") from error
    try:
        for name in tables.keys() - {section}:
            raise _BadKey((name,), f"is unknown here; this file has one section, [{section}]")
        return _read_table(cls, tables.get(section, {}), (section,))
    except _BadKey as error:
        line = _line_of(text, error.path)
        where = f"settings file {path}" if line is None else f"settings file {path}, line {line}"
        raise ConfigError(f"{where}: {'.'.join(error.path)} {error.problem}") from None


def override(settings: Settings, **changes: object) -> Settings:
    """
    Replace some settings, as flags on a command line do; None leaves what is there.

    :raise ConfigError: a value is out of range.
    """
    given = {key: value for key, value in changes.items() if value is not None}
    for field in attrs.fields(type(settings)):
        if field.name in given:
            _validate(field, given[field.name], (field.name,))
    return attrs.evolve(settings, **given)  # type: ignore[misc]  # mypy's plugin wants a class, not a bound variable


def between(low: float, high: float) -> Validator:
    """Make a validator: a number from ``low`` to ``high``, both allowed; NaN is in no range."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value is not None and not low <= value <= high:
            raise ValueError(f"is {_shown(value)}: expected {low} to {high}")

    return check


def one_of(*choices: object) -> Validator:
    """Make a validator: one of a few values."""

    def check(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
        if value not in choices:
            raise ValueError(f"is {_shown(value)}: expected {' or '.join(map(_shown, choices))}")

    return check


def are_networks(instance: Any, attribute: attrs.Attribute[Any], value: Any) -> None:
    """Validate a list of networks, as :func:`read_networks` takes them."""
    read_networks(value)


def read_networks(texts: Iterable[str]) -> Container[str]:
    """
    Read a list of networks: ``10.0.0.0/8``, ``::1``, or ``private`` for loopback, private and link-local ones.

    :return: something hosts are looked up in.
    :raise ValueError: an entry is none of these.
    """
    parts = []
    for text in texts:
        try:
            parts.append(PRIVATE if text == "private" else Networks.parse([text]))
        except ValueError:
            raise ValueError(f'holds {_shown(text)}: expected networks such as "10.0.0.0/8", or "private"') from None
    return _AnyOf(tuple(parts))


@attrs.frozen
class _AnyOf:
    _parts: tuple[Networks, ...]

    def __contains__(self, host: object) -> bool:
        return isinstance(host, str) and any(host in part for part in self._parts)


class _BadKey(Exception):
    def __init__(self, path: tuple[str, ...], problem: str) -> None:
        super().__init__(path, problem)
        self.path = path
        self.problem = problem


def _read_table(cls: type[Settings], table: object, path: tuple[str, ...]) -> Settings:
    if not isinstance(table, dict):
        raise _BadKey(path, f"is {_shown(table)}: expected a table, [{'.'.join(path)}]")
    fields = attrs.fields_dict(cls)
    types = get_type_hints(cls)
    values = {}
    for key, value in table.items():
        here = (*path, key)
        if key not in fields:
            raise _BadKey(here, f"is unknown; known are {', '.join(sorted(fields))}")
        if attrs.has(types[key]):
            values[key] = _read_table(types[key], value, here)
            continue
        values[key] = _read_value(fields[key], types[key], value, here)
    return cls(**values)


def _read_value(field: attrs.Attribute[Any], wanted: Any, value: object, path: tuple[str, ...]) -> object:
    parse = field.metadata.get(PARSE)
    if parse is not None and isinstance(value, str):
        try:
            value = parse(value)
        except ValueError as error:
            raise _BadKey(path, f"is {_shown(value)}: {error}") from None
    value = _convert(wanted, value, path)
    try:
        _validate(field, value, path)
    except ConfigError as error:
        raise _BadKey(path, str(error).removeprefix(".".join(path) + " ")) from None
    return value


def _convert(wanted: Any, value: object, path: tuple[str, ...]) -> object:
    """Check a TOML value against a field's type; lists become tuples, whole numbers become floats where wanted."""
    if isinstance(wanted, UnionType):  # X | None; TOML has no null, so None is only ever the default
        (wanted,) = (option for option in get_args(wanted) if option is not NoneType)
    if get_origin(wanted) is tuple:
        item = get_args(wanted)[0]
        if not isinstance(value, list) or any(type(entry) is not item for entry in value):
            raise _BadKey(path, f"is {_shown(value)}: expected a list, each entry {_WORDS[item]}")
        return tuple(value)
    if wanted is float and type(value) is int:
        return float(value)
    if type(value) is not wanted:  # not isinstance: True is an int to Python, but not to people
        raise _BadKey(path, f"is {_shown(value)}: expected {_WORDS[wanted]}")
    return value


def _validate(field: attrs.Attribute[Any], value: object, path: tuple[str, ...]) -> None:
    if field.validator is not None:
        try:
            field.validator(None, field, value)
        except ValueError as error:
            raise ConfigError(f"{'.'.join(path)} {error}") from None


def _shown(value: object) -> str:
    """Write a value nearly as TOML does, and not at any length."""
    if isinstance(value, bool):
        return str(value).lower()
    text = f'"{value}"' if isinstance(value, str) else repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."


def _line_of(text: str, path: tuple[str, ...]) -> int | None:
    """Find the line that sets a key: tomllib does not say. None for inline tables and other rare spellings."""
    *table, key = path
    setting = re.compile(rf"\s*[\"']?{re.escape(key)}[\"']?\s*=")
    inside: list[str] = []
    for number, line in enumerate(text.splitlines(), 1):
        if header := _HEADER.match(line):
            inside = re.split(r"\s*\.\s*", header[1])
            if inside == [*path]:
                return number
        elif inside == table and setting.match(line):
            return number
    return None
