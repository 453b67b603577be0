"""Announces and scrapes in JSON, for who asks for that: the same answers as in bencoding, in the same words."""

from __future__ import annotations

import re
from binascii import unhexlify
from collections.abc import Mapping

import msgspec
from attrs import evolve

from p2pshare import bencoding
from p2pshare.index.records import peer_id_text
from p2pshare.web.limits import LimitedRequest
from p2pshare.web.paths import Answer, View
from p2pshare.web.replies import JSON

_HEX = re.compile(rb"[0-9A-Fa-f]{40}")
_COMPACT, _HASH, _FORMAT = b"compact", b"info_hash", b"format"


def with_json(views: Mapping[bytes, View]) -> dict[bytes, View]:
    """
    Serve these views in JSON, too: with ``Accept: application/json`` or ``format=json``.

    Peers are a list of objects then, peer_ids and info_hashes are text, and an info_hash may be 40 hexadecimal digits.
    """
    return {path: evolve(view, answer=_in_json(view)) for path, view in views.items()}


def wants_json(request: LimitedRequest) -> bool:
    """Whether somebody asks for JSON, and not only for anything at all."""
    return request.args.get(_FORMAT) == [b"json"] or "application/json" in (request.getHeader("accept") or "")


def _in_json(view: View) -> Answer:
    def answer(request: LimitedRequest) -> bytes | int:
        if not wants_json(request):
            return view.answer(request)
        args = request.args
        args[_COMPACT] = [b"0"]  # so the answer is there at once: no name has to be looked up
        args[_HASH] = [unhexlify(each) if _HEX.fullmatch(each) else each for each in args.get(_HASH, [])]
        if not args[_HASH]:
            del args[_HASH]
        said = view.answer(request)
        assert isinstance(said, bytes), "names stay names"
        request.setHeader(b"Content-Type", JSON.encode("ascii"))
        request.setHeader(b"Vary", b"Accept")
        return msgspec.json.encode(_shown(bencoding.decode(said)))

    return answer


def _shown(value: object) -> object:
    """Write a bencoded value for JSON; bytes are text, or else hexadecimal digits."""
    if isinstance(value, bytes):
        return peer_id_text(value) if len(value) == 20 else value.decode("utf-8", "backslashreplace")
    if isinstance(value, dict):
        return {key.hex() if len(key) == 20 else _shown(key): _shown(inner) for key, inner in value.items()}
    return [_shown(each) for each in value] if isinstance(value, list) else value
