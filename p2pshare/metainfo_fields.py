"""Read one field of a decoded torrent file: the right type and range, or an error that names the field."""

from __future__ import annotations

from collections.abc import Mapping

from p2pshare.bencoding import Value
from p2pshare.errors import MetainfoError

Fields = Mapping[bytes, Value]


def described(value: Value | None) -> str:
    """Say in a few words what a field holds, whatever it is: for the "seen" half of an error."""
    match value:
        case None:
            return "missing"
        case int():
            return f"{value}"
        case bytes():
            return f"{len(value)} bytes of text"
        case list():
            return f"a list of {len(value)}"
        case _:
            return "a dictionary"


def integer(fields: Fields, key: bytes, where: str, low: int, high: int) -> int:
    """
    Read an integer between ``low`` and ``high``, both allowed.

    :raise MetainfoError: it is missing, no integer or out of range.
    """
    value = fields.get(key)
    if not isinstance(value, int) or not low <= value <= high:
        raise MetainfoError(f"{where}: {described(value)}, not a number from {low} to {high}")
    return value


def string(fields: Fields, key: bytes, where: str) -> bytes:
    """
    Read a byte string.

    :raise MetainfoError: it is missing or something else.
    """
    value = fields.get(key)
    if not isinstance(value, bytes):
        raise MetainfoError(f"{where}: {described(value)}, not a string")
    return value


def name(fields: Fields, where: str) -> bytes:
    """
    Read ``name``, from ``name.utf-8`` where older programs put the readable one.

    :raise MetainfoError: it is missing or no string.
    """
    readable = fields.get(b"name.utf-8")
    if isinstance(readable, bytes) and _is_utf8(readable):
        return readable
    return string(fields, b"name", where)


def path(fields: Fields, where: str) -> tuple[bytes, ...]:
    """
    Read a file's ``path``, from ``path.utf-8`` where older programs put the readable one.

    :raise MetainfoError: it is missing, empty or not a list of strings.
    """
    if (readable := _strings(fields.get(b"path.utf-8"))) and all(map(_is_utf8, readable)):
        return readable
    parts = fields.get(b"path")
    strings = _strings(parts)
    if not strings:
        raise MetainfoError(f"{where}: {described(parts)}, not a list of at least one string")
    return strings


def optional_text(fields: Fields, key: bytes) -> str | None:
    """Read text meant for people, without what would move their cursor; None when it is absent or not text."""
    value = fields.get(key + b".utf-8", fields.get(key))
    if not isinstance(value, bytes):
        return None
    text = value.decode("utf-8", "replace").replace("\r\n", "\n")
    return "".join(character for character in text if character.isprintable() or character == "\n") or None


def optional_integer(fields: Fields, key: bytes, low: int, high: int) -> int | None:
    """Read an integer nothing depends on; None when it is absent, of another type or out of range."""
    value = fields.get(key)
    return value if isinstance(value, int) and low <= value <= high else None


def _strings(value: Value | None) -> tuple[bytes, ...]:
    """Take a list of strings as a tuple; anything else, or a mixed list, is an empty one."""
    if not isinstance(value, list):
        return ()
    strings = tuple(item for item in value if isinstance(item, bytes))
    return strings if len(strings) == len(value) else ()


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
