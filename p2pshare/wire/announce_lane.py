"""
The announces that nearly all clients send, read from the bytes of a plain HTTP/1.1 request.

A tracker's load is one sentence said millions of times, so that one has a way of its own; ``announce_http`` remains the
measure of what a request means. Whatever is not exactly as usual is None here, and goes there: a parameter twice, a
name percent-encoded, a header that may change the answer, anything wrong. Nothing is ever refused here.
"""

from __future__ import annotations

import re
from binascii import Error, unhexlify
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from p2pshare.ids import INFO_HASH_SIZE, PEER_ID_SIZE
from p2pshare.wire.announce import AnnounceRequest, Event
from p2pshare.wire.announce_http import MAX_KEY

# Bytes; together they are fewer than any server bears. libtorrent's longest requests have about 500.
_MAX_HEADERS = 512
_REMEMBERED = 1024  # blocks of headers: one for each client and version, mostly
_TORRENTS = 8192  # ways to write an info_hash; about 2 MiB

_REQUEST_LINE = re.compile(rb"GET (/[A-Za-z0-9_/-]{1,80})\?([!-~]{1,1500}) HTTP/1\.1\r\n")
_HEADER = re.compile(rb"([A-Za-z-]{1,40}): ?([ -~]*)")
# Those that change neither the answer nor what comes after it. Each may be there once.
_HARMLESS = {
    b"host",
    b"user-agent",
    b"accept",
    b"accept-encoding",
    b"accept-language",
    b"cache-control",
    b"connection",
    b"pragma",
}
_ANYTHING = (b"*/*", b"")  # what Accept says when it says nothing
_CLOSES = {b"close": True, b"keep-alive": False}

_KNOWN = {b"info_hash", b"peer_id", b"port", b"uploaded", b"downloaded", b"left", b"event", b"numwant", b"key"}
_KNOWN |= {b"compact", b"no_peer_id"}
_ELSEWHERE = {b"hostname", b"ip", b"trackerid", b"format"}
_EVENTS = {b"started": Event.STARTED, b"completed": Event.COMPLETED, b"stopped": Event.STOPPED}
_FLAGS = (b"0", b"1")
_ESCAPED = b"%" * 20
_MOST_DIGITS = 18  # so that no number exceeds 63 bits


# A request that may be answered at once: its path and query, whether it is the last one, and where it ends.
LaneRequest = tuple[bytes, bytes, bool, int]


class LaneReader:
    """Finds requests in what a connection brought. Remembers how it judged each block of headers it has seen."""

    def __init__(self) -> None:
        """Begin without experience."""
        self._verdicts: dict[bytes, bool | None] = {}

    def read(self, data: bytes, start: int) -> LaneRequest | None:
        """Read the request that begins at ``start``; None when it is not whole, or not one for this lane."""
        line = _REQUEST_LINE.match(data, start)
        if line is None:
            return None
        after = line.end()
        end = data.find(b"\r\n\r\n", after, after + _MAX_HEADERS)
        if end < 0:
            return None
        headers = data[after:end]
        try:
            closes = self._verdicts[headers]
        except KeyError:
            closes = self._judge(headers)
        if closes is None:
            return None
        path, query = line.groups()
        return path, query, closes, end + 4

    def _judge(self, headers: bytes) -> bool | None:
        if len(self._verdicts) >= _REMEMBERED:
            self._verdicts.clear()
        verdict = self._verdicts[headers] = closes_after(headers)
        return verdict


def closes_after(headers: bytes) -> bool | None:
    """Tell whether a client wants its connection closed after the reply; None when more has to be known about it."""
    seen: dict[bytes, bytes] = {}
    for line in headers.split(b"\r\n"):
        header = _HEADER.fullmatch(line)
        if header is None:
            return None
        name = header[1].lower()
        if name in seen or name not in _HARMLESS:
            return None
        seen[name] = header[2].strip().lower()
    if seen.get(b"accept", b"") not in _ANYTHING:
        return None
    return _CLOSES.get(seen.get(b"connection", b"keep-alive"))


def read_announce(query: bytes) -> AnnounceRequest | None:
    """Read an announce for a compact reply; None when ``announce_http.decode_query`` has to look at it."""
    if b"+" in query or b";" in query:
        return None
    try:
        pairs = [item.split(b"=", 1) for item in query.split(b"&")]
        given: dict[bytes, bytes] = dict(pairs)
        info_hash, peer_id = _info_hash(given[b"info_hash"]), _twenty(given[b"peer_id"])
        port, compact = given[b"port"], given[b"compact"]
    except (ValueError, KeyError):
        return None
    if len(given) != len(pairs) or info_hash is None or peer_id is None or compact != b"1":
        return None
    if not (port.isdigit() and len(port) <= 5 and 0 < (port_number := int(port)) < 65536):
        return None
    if not _KNOWN.issuperset(given) and not (_ELSEWHERE.isdisjoint(given) and b"%" not in b"".join(given)):
        return None
    uploaded, downloaded = given.get(b"uploaded", b"0"), given.get(b"downloaded", b"0")
    left, numwant = given.get(b"left", b"0"), given.get(b"numwant", b"0")
    if not (uploaded.isdigit() and downloaded.isdigit() and left.isdigit() and numwant.isdigit()):
        return None
    if max(len(uploaded), len(downloaded), len(left), len(numwant)) > _MOST_DIGITS:
        return None
    word, key = given.get(b"event"), given.get(b"key")
    if (word is not None and word not in _EVENTS) or given.get(b"no_peer_id", b"0") not in _FLAGS:
        return None
    if key is not None and (not key or len(key) > MAX_KEY or b"%" in key):
        return None
    return AnnounceRequest(
        info_hash,
        peer_id,
        port_number,
        int(uploaded),
        int(downloaded),
        int(left) if b"left" in given else None,
        None if word is None else _EVENTS[word],
        int(numwant) if b"numwant" in given else None,
        key,
        True,
        None,
        None,
        given.get(b"no_peer_id") == b"1",
    )


def _twenty(text: bytes) -> bytes | None:
    """Decode an info_hash or peer_id; None when it has not 20 bytes."""
    if len(text) == 60 and text[::3] == _ESCAPED:  # all of it percent-encoded, as hashes are
        try:
            value = unhexlify(text.replace(b"%", b""))
        except Error:
            return None
    else:
        value = unquote_to_bytes(text) if b"%" in text else text
    return value if len(value) == PEER_ID_SIZE == INFO_HASH_SIZE else None


_info_hash = lru_cache(_TORRENTS)(_twenty)  # the same ones come again and again, each client writing them its own way
