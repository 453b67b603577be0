"""
Bencoding (BEP 3, "bencoding"): how torrent files, tracker replies and extension messages are written down.

Reading takes two steps. A scan without recursion looks at every token and lets nothing pass but canonical bencoding
within the limits; then bencode.py builds the values. It must never see other bytes: a negative key length sends it
backwards, so ``d1:ai1e-6:`` hangs it for ever; it reads ``i+5e`` and ``1_0:``; of two equal keys it keeps the last.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeAlias, cast

import bencodepy
from attrs import define, field, frozen

from p2pshare.errors import BencodeError

Value: TypeAlias = int | bytes | list["Value"] | dict[bytes, "Value"]

MAX_SIZE = 10 * 1024 * 1024  # bytes; libtorrent reads torrent files of 10 MB
MAX_DEPTH = 32  # lists and dicts inside each other; libtorrent: 100, but no BEP needs more than 10
MAX_TOKENS = 500_000  # libtorrent: 2.5 million; each may cost 100 bytes here, and 17,000 files are 170,000

_INTEGER = re.compile(rb"i(0|-?[1-9][0-9]{0,18})e")
_LENGTH = re.compile(rb"(0|[1-9][0-9]{0,18}):")
_SMALLEST, _LARGEST = -(1 << 63), (1 << 63) - 1  # BEP 3 sets no bound; every client keeps signed 64 bits
_0, _9, _D, _E, _I, _L = b"09deil"


@frozen
class Raw:
    """A value that is bencoded already: :func:`encode` inserts it as it is, so that an info_hash survives."""

    data: bytes


def decode(data: bytes, *, max_size: int = MAX_SIZE, strict_order: bool = True) -> Value:
    """
    Read the one value that ``data`` is.

    :param strict_order: refuse dicts whose keys are not sorted; off for foreign trackers and extension messages. The
        same key twice is refused in any case.
    :raise BencodeError: it is not canonical, not complete, not alone or beyond the limits.
    """
    _scan_all(data, max_size, strict_order)
    return _build(data)


def decode_with_span(
    data: bytes, key: bytes, *, max_size: int = MAX_SIZE, strict_order: bool = True
) -> tuple[dict[bytes, Value], tuple[int, int] | None]:
    """
    Read a dict, and find the bytes in ``data`` that are the value of one of its keys.

    An info_hash is made of these: ``data[start:end]``. Encoding the value again could give other bytes.

    :return: the dict, and start and end of the value, None when the key is not there.
    :raise BencodeError: as :func:`decode`, or it is no dict.
    """
    span = _scan_all(data, max_size, strict_order, key)
    if data[0] != _D:
        raise BencodeError(f"begins with {data[:1]!r}, a dict is expected")
    return cast(dict[bytes, Value], _build(data)), span


def decode_prefix(data: bytes, *, max_size: int = MAX_SIZE, strict_order: bool = True) -> tuple[Value, int]:
    """
    Read the value that ``data`` begins with (BEP 9: raw metadata follows a dict).

    :return: the value, and where the bytes after it begin.
    :raise BencodeError: as :func:`decode`.
    """
    end, _ = _scan(data, max_size, strict_order)
    return _build(data[:end]), end


def _build(data: bytes) -> Value:
    """Make the values of bytes that the scan let pass."""
    try:
        return cast(Value, bencodepy.decode(data))
    except bencodepy.BencodeDecodeError as error:  # only when the caller's own stack leaves no room for MAX_DEPTH
        raise BencodeError(str(error)) from None


def _scan_all(data: bytes, max_size: int, strict_order: bool, wanted: bytes | None = None) -> tuple[int, int] | None:
    """Scan one value, and refuse bytes after it."""
    end, span = _scan(data, max_size, strict_order, wanted)
    if end != len(data):
        raise BencodeError(f"byte {end}: {len(data) - end} bytes follow the value, none are expected")
    return span


def _scan(
    data: bytes, max_size: int, strict_order: bool, wanted: bytes | None = None
) -> tuple[int, tuple[int, int] | None]:
    """
    Walk over the first value in ``data`` and build nothing.

    :param wanted: the key of the outermost dict whose value's place is asked for.
    :return: where the value ends, and that place.
    :raise BencodeError: it is not canonical or beyond the limits.
    """
    if not isinstance(data, bytes):
        raise TypeError(f"bencoding is read from bytes, not from {type(data).__name__}")
    size = len(data)
    if size > max_size:
        raise BencodeError(f"{size} bytes, at most {max_size} are read")
    # Of the innermost open list or dict; the same of those around it wait on the stack.
    in_dict = at_key = False
    highest: bytes | None = None  # key so far
    seen: set[bytes] = set()  # keys so far, when they need not be sorted
    around: list[tuple[bool, bytes | None, set[bytes]]] = []
    span_start, span = 0, None
    position = 0
    for _ in range(MAX_TOKENS):
        first = data[position] if position < size else -1
        if _0 <= first <= _9:
            if (length := _LENGTH.match(data, position)) is None:
                raise _refusal(data, position, "a string's length and a colon")
            start = length.end()
            end = start + int(length[1])
            if end > size:
                raise BencodeError(f"byte {position}: a string of {end - start} bytes, only {size - start} are left")
            if at_key:
                key = data[start:end]
                if highest is None or key > highest:
                    highest = key
                elif strict_order or key in seen:
                    fault = "twice" if key == highest or key in seen else f"after {highest[:40]!r}, not in rising order"
                    raise BencodeError(f"byte {position}: key {key[:40]!r} {fault}")
                if not strict_order:
                    seen.add(key)
                if key == wanted and len(around) == 1:
                    span_start = end
                at_key = False
                position = end
                continue
            position = end
        elif first == _E:
            if not around or in_dict is not at_key:
                raise _refusal(data, position, "a value")
            in_dict, highest, seen = around.pop()
            position += 1
        elif at_key:
            raise _refusal(data, position, "a key, which is a string, or the end of the dict")
        elif first == _I:
            if (integer := _INTEGER.match(data, position)) is None:
                raise _refusal(data, position, "an integer of at most 64 bits without needless zeros")
            if len(integer[1]) >= 19 and not _SMALLEST <= int(integer[1]) <= _LARGEST:
                raise BencodeError(f"byte {position}: integer {integer[1].decode()} does not fit in 64 bits")
            position = integer.end()
        elif first in (_D, _L):
            if len(around) == MAX_DEPTH:
                raise BencodeError(f"byte {position}: more than {MAX_DEPTH} lists and dicts inside each other")
            around.append((in_dict, highest, seen))
            in_dict = at_key = first == _D
            highest = None
            if not strict_order:
                seen = set()
            position += 1
            continue
        else:
            raise _refusal(data, position, "a value")
        # A value ends here.
        if not around:
            return position, span
        at_key = in_dict
        if span_start and len(around) == 1:
            span, span_start = (span_start, position), 0
    raise BencodeError(f"more than {MAX_TOKENS} tokens")


def _refusal(data: bytes, position: int, expected: str) -> BencodeError:
    seen = repr(data[position : position + 24]) if position < len(data) else "the end"
    return BencodeError(f"byte {position}: {seen}, expected is {expected}")


@define(eq=False)
class _Unencodable(Exception):
    """Carries the reason out of the nested value and gathers the way to it, innermost step first."""

    reason: str
    error: type[Exception] = TypeError
    steps: list[str] = field(factory=list)

    def translate(self) -> Exception:
        way = "".join(reversed(self.steps)).removeprefix(".")
        return self.error(f"{way}: {self.reason}" if way else self.reason)


def encode(value: object) -> bytes:
    """
    Write bytes, str (as UTF-8), int, :class:`Raw`, lists or tuples of them, and dicts of them by bytes or str.

    Keys are sorted, whatever order they come in.

    :raise TypeError: something inside has no bencoding; the message names the way to it, as ``info.files[3].length``.
    :raise ValueError: so does something that :func:`decode` would refuse: 2**63, or lists in lists without end.
    """
    parts: list[bytes] = []
    try:
        _write(value, parts.append, MAX_DEPTH)
    except _Unencodable as refused:
        raise refused.translate() from None
    return b"".join(parts)


def _write(value: object, put: Callable[[bytes], None], depth: int) -> None:
    """
    Hand the pieces of a value's bencoding to ``put``.

    :param depth: how many more lists and dicts may open.
    """
    if isinstance(value, bytes):
        put(b"%d:" % len(value))
        put(value)
    elif isinstance(value, int) and not isinstance(value, bool):  # i1e would come back as 1, not as True
        if not _SMALLEST <= value <= _LARGEST:
            raise _Unencodable("an integer beyond 64 bits", ValueError)
        put(b"i%de" % value)
    elif isinstance(value, str):
        octets = _utf8(value)
        put(b"%d:" % len(octets))
        put(octets)
    elif isinstance(value, Raw):
        put(value.data)
    elif not isinstance(value, (list, tuple, dict)):
        raise _Unencodable(f"{type(value).__name__} has no bencoding")
    elif not depth:
        raise _Unencodable(f"more than {MAX_DEPTH} lists and dicts inside each other", ValueError)
    elif isinstance(value, dict):
        _write_dict(value, put, depth)
    else:
        put(b"l")
        index = 0
        try:
            for index, item in enumerate(value):  # noqa: B007  the except clause reads it
                _write(item, put, depth - 1)
        except _Unencodable as refused:
            refused.steps.append(f"[{index}]")
            raise
        put(b"e")


def _write_dict(value: dict[object, object], put: Callable[[bytes], None], depth: int) -> None:
    entries: dict[bytes, object] = {}
    for name, item in value.items():
        if isinstance(name, bytes):
            entries[name] = item
        elif isinstance(name, str):
            entries[_utf8(name)] = item
        else:
            raise _Unencodable(f"the key {name!r} is neither bytes nor str")
    if len(entries) != len(value):
        raise _Unencodable("the same key as bytes and as str", ValueError)
    put(b"d")
    key = b""
    try:
        for key in sorted(entries):
            put(b"%d:" % len(key))
            put(key)
            _write(entries[key], put, depth - 1)
    except _Unencodable as refused:
        refused.steps.append("." + key.decode("utf-8", "backslashreplace"))
        raise
    put(b"e")


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        raise _Unencodable(f"{text!r} has no UTF-8 form", ValueError) from None
