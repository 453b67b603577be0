"""
Torrent files in JSON, as REST trackers of some courses write them.

The info object has the fields of BEP 3 with the digests as hexadecimal digits, and its own SHA-1: that of its compact
JSON with sorted keys. Peers of such a torrent meet under the info_hash of BEP 3 all the same, which follows from the
same fields.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from hashlib import sha1
from typing import Any

from p2pshare import bencoding
from p2pshare.errors import MetainfoError
from p2pshare.metainfo import HASH_SIZE, SIZE_LIMIT, Metainfo, compose, parse

_INFO_KEYS = {"name", "length", "files", "piece length", "pieces", "private"}


def read_torrent(data: bytes) -> Metainfo:
    """
    Read a torrent file of either kind: JSON begins with ``{``, bencoding with ``d``.

    :raise MetainfoError: it is neither, or a field that matters is missing or wrong.
    """
    return read_json(data) if data.lstrip()[:1] == b"{" else parse(data)


def read_json(data: bytes) -> Metainfo:
    """
    Read a torrent in JSON; its fields are held to the same rules as those of any other.

    :raise MetainfoError: it is no JSON, or a field that matters is missing or wrong.
    """
    if len(data) > SIZE_LIMIT:
        raise MetainfoError(f"torrent file: over {SIZE_LIMIT} bytes, not at most that")
    try:
        fields = json.loads(data, object_pairs_hook=_no_twins, parse_float=_no_float, parse_constant=_no_float)
    except (ValueError, RecursionError) as error:  # also of bytes that are no UTF-8
        raise MetainfoError(f"torrent file: not JSON as one should be: {error}") from None
    info = fields.get("info") if isinstance(fields, dict) else None
    if not isinstance(info, dict):
        raise MetainfoError("info: missing or no object, not the object of a torrent")
    if unknown := info.keys() - _INFO_KEYS:
        raise MetainfoError(f"info: has {min(unknown)[:80]!r}, not only {', '.join(sorted(_INFO_KEYS))}")
    try:
        raw_info = bencoding.encode(info | {"pieces": _digests(info.get("pieces"))})
    except (TypeError, ValueError, RecursionError) as error:  # null, half a character, a number beyond 64 bits
        raise MetainfoError(f"info: {error}") from None
    metainfo = parse(
        compose(
            raw_info,
            announce_tiers=_tiers(fields.get("announce")),
            comment=_text(fields.get("comment")),
            created_by=_text(fields.get("created by")),
            creation_date=_date(fields.get("creation date")),
        )
    )
    told = fields.get("info_hash")
    if told is not None and told not in (_hash_of(info), metainfo.info_hash.hex()):
        raise MetainfoError(f"info_hash: {str(told)[:80]!r}, not {_hash_of(info)}, as the info object has it")
    return metainfo


def write_json(metainfo: Metainfo) -> bytes:
    """
    Write a torrent in JSON.

    :raise MetainfoError: its info dictionary has what the JSON form has no place for, so that its info_hash would be
        another one.
    """
    info = _info(metainfo)
    fields: dict[str, object] = {
        "announce": metainfo.announce_tiers[0][0] if metainfo.announce_tiers else "",
        "comment": metainfo.comment,
        "created by": metainfo.created_by,
        "creation date": metainfo.creation_date,
        "info": info,
        "info_hash": _hash_of(info),
    }
    return _compact({key: value for key, value in fields.items() if value is not None})


def json_info_hash(metainfo: Metainfo) -> str:
    """
    Name a torrent as its JSON form does: 40 hexadecimal digits.

    :raise MetainfoError: it has no JSON form, as with :func:`write_json`.
    """
    return _hash_of(_info(metainfo))


def _info(metainfo: Metainfo) -> Mapping[str, object]:
    try:
        info: dict[str, object] = {
            "name": metainfo.raw_name.decode(),
            "piece length": metainfo.piece_length,
            "pieces": metainfo.pieces.hex(),
        }
        if metainfo.is_single:
            info["length"] = metainfo.total_length
        else:
            info["files"] = [
                {"length": entry.length, "path": [part.decode() for part in entry.raw_path]} for entry in metainfo.files
            ]
    except UnicodeDecodeError as error:
        raise MetainfoError(f"name: {error.object!r}, not UTF-8 as JSON has it") from None
    if metainfo.private:
        info["private"] = 1
    if sha1(bencoding.encode(info | {"pieces": metainfo.pieces})).digest() != metainfo.info_hash:
        raise MetainfoError("info: has fields that the JSON form has no place for, not only those of BEP 3")
    return info


def _hash_of(info: Mapping[str, object]) -> str:
    return sha1(_compact(info)).hexdigest()


def _compact(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode("ascii")


def _digests(value: object) -> bytes:
    if not isinstance(value, str):
        raise MetainfoError("info.pieces: missing or no text, not the digests in hexadecimal digits")
    try:
        digests = bytes.fromhex(value)
    except ValueError:
        digests = b""
    if len(digests) * 2 != len(value) or len(digests) % HASH_SIZE:  # fromhex() skips spaces
        raise MetainfoError(f"info.pieces: {len(value)} characters, not 40 hexadecimal digits for each piece")
    return digests


def _tiers(announce: object) -> tuple[tuple[str, ...], ...]:
    return ((announce,),) if isinstance(announce, str) and announce.isascii() else ()


def _text(value: object) -> str | None:
    """Take text that is only for people; half a character makes none."""
    if not isinstance(value, str):
        return None
    return value.encode("utf-8", "replace").decode()


def _date(value: object) -> int | None:
    return value if type(value) is int and 0 <= value < 1 << 62 else None


def _no_twins(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        raise ValueError("a key that is given twice")
    return table


def _no_float(text: str) -> object:
    raise ValueError(f"the number {text[:20]}, where only whole ones make sense")
