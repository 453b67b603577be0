"""
The tracker's side of announce and scrape over HTTP (BEP 3, 7, 23, 24, 31, 48): reads queries, writes replies.

What the client says is written in ``announce_query``, and what it hears is read in ``announce_reply``.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Mapping

from p2pshare import bencoding
from p2pshare.addresses import is_ipv6, is_numeric, pack_compact
from p2pshare.errors import RequestRefused
from p2pshare.ids import INFO_HASH_SIZE, PEER_ID_SIZE
from p2pshare.wire.announce import (
    MAX_HOST,
    AnnounceRequest,
    AnnounceResponse,
    Event,
    PeerEntry,
    ScrapeCounts,
    read_host,
)

MAX_AMOUNT = 2**63 - 1  # what every tracker's and client's 64-bit counter can hold
MAX_KEY = 64  # ours: clients send 8 hex digits, some up to 20 characters
MAX_TRACKER_ID = 255  # ours: it comes from a tracker, hence from ourselves
MAX_SCRAPE = 70  # as BEP 15: what fits into one datagram

Args = Mapping[bytes, list[bytes]]

_EVENTS = {
    b"started": Event.STARTED,
    b"completed": Event.COMPLETED,
    b"stopped": Event.STOPPED,
    b"paused": None,  # BEP 21: a partial seed says so in every announce; it is a member like any other
    b"empty": None,  # BEP 3 allows the word for "no event"
}
_FLAGS = {b"0": False, b"1": True}


def decode_query(args: Args) -> AnnounceRequest:
    """
    Read the query of an announce (BEP 3, "trackers"); unknown parameters are ignored.

    :param args: percent-decoded values by name, as ``twisted.web`` has them in ``request.args``.
    :raise RequestRefused: with one sentence for the client; each parameter may be given once only.
    """
    info_hash = _twenty_bytes(args, b"info_hash", INFO_HASH_SIZE)
    peer_id = _twenty_bytes(args, b"peer_id", PEER_ID_SIZE)
    port = _number(args, b"port")
    if port is None or not 1 <= port <= 65535:
        raise RequestRefused("port is missing" if port is None else f"port is {port}, not within 1 to 65535")
    event = _single(args, b"event")
    if event is not None and event not in _EVENTS:
        raise RequestRefused("event is not one of started, completed, stopped")
    numwant = _number(args, b"numwant", signed=True)
    ip = _single(args, b"ip")
    ip_host = None if ip is None else read_host(ip)
    return AnnounceRequest(
        info_hash,
        peer_id,
        port,
        _number(args, b"uploaded") or 0,
        _number(args, b"downloaded") or 0,
        _number(args, b"left"),
        None if event is None else _EVENTS[event],
        None if numwant is None or numwant < 0 else numwant,  # -1 is an old client's "as you like"
        _short(args, b"key", MAX_KEY),
        _flag(args, b"compact"),
        _hostname(args),
        ip_host if ip_host is not None and is_numeric(ip_host) else None,  # a hint at most: never worth a refusal
        _flag(args, b"no_peer_id") or False,
        _short(args, b"trackerid", MAX_TRACKER_ID),
    )


def decode_scrape_query(args: Args, limit: int = MAX_SCRAPE) -> list[bytes]:
    """
    Read which torrents a scrape asks for (BEP 48), each once, in the order of asking.

    :param limit: how many are looked at; what follows them is left unanswered.
    :return: info_hashes; an empty list when the query names none.
    :raise RequestRefused: an info_hash is not 20 bytes long.
    """
    hashes = list(dict.fromkeys(args.get(b"info_hash", ())[:limit]))
    for info_hash in hashes:
        if len(info_hash) != INFO_HASH_SIZE:
            raise RequestRefused(f"info_hash is {len(info_hash)} bytes long, not {INFO_HASH_SIZE}")
    return hashes


def encode_compact(
    interval: int,
    min_interval: int | None,
    complete: int,
    incomplete: int,
    peers4: bytes | bytearray | memoryview,
    peers6: bytes | bytearray | memoryview = b"",
) -> bytes:
    """
    Write a reply around addresses that are already packed (BEP 23: 6 bytes each; BEP 7: 18 bytes each).

    This is every announce's way through a tracker: no values in between, keys in bencoding's order.
    """
    if min_interval is None:
        head = b"d8:completei%de10:incompletei%de8:intervali%de" % (complete, incomplete, interval)
    else:
        head = b"d8:completei%de10:incompletei%de8:intervali%de12:min intervali%de" % (
            complete,
            incomplete,
            interval,
            min_interval,
        )
    if peers6:
        return b"".join((head, b"5:peers%d:" % len(peers4), peers4, b"6:peers6%d:" % len(peers6), peers6, b"e"))
    return b"".join((head, b"5:peers%d:" % len(peers4), peers4, b"e"))


def encode_response(response: AnnounceResponse, compact: bool) -> bytes:
    """
    Write a reply with all its parts, in canonical order.

    :param compact: packed ``peers`` and ``peers6`` (BEP 23, 7), names left out; otherwise one list of dicts (BEP 3),
        in which a host may be a name and an entry without a peer_id has no such key.
    """
    known = {
        "complete": response.complete,
        "incomplete": response.incomplete,
        "interval": response.interval,
        "min interval": response.min_interval,
        "tracker id": response.tracker_id,
        "warning message": response.warning,
    }
    keys: dict[str, object] = {name: value for name, value in known.items() if value is not None}
    if response.external_ip is not None:
        keys["external ip"] = ipaddress.ip_address(response.external_ip).packed  # BEP 24
    if compact:
        numeric = [entry for entry in response.peers if is_numeric(entry.host)]
        packed6 = [pack_compact(entry.host, entry.port) for entry in numeric if is_ipv6(entry.host)]
        keys["peers"] = b"".join(pack_compact(entry.host, entry.port) for entry in numeric if not is_ipv6(entry.host))
        if packed6:
            keys["peers6"] = b"".join(packed6)
    else:
        keys["peers"] = bencoding.Raw(b"l%be" % b"".join(map(_peer_dict, response.peers)))
    return bencoding.encode(keys)


def encode_failure(reason: str, retry_in: float | None = None) -> bytes:
    """
    Write a refusal (BEP 3 ``failure reason``).

    :param retry_in: seconds until another attempt makes sense, written as whole minutes; infinity is "never" (BEP 31).
    """
    keys: dict[str, object] = {"failure reason": reason}
    if retry_in is not None:
        keys["retry in"] = "never" if math.isinf(retry_in) else max(1, math.ceil(retry_in / 60))
    return bencoding.encode(keys)


def encode_scrape(files: Mapping[bytes, ScrapeCounts]) -> bytes:
    """Write a scrape reply (BEP 48): counts keyed by the raw 20 bytes of each info_hash."""
    entries = [
        b"20:%bd8:completei%de10:downloadedi%de10:incompletei%dee"
        % (info_hash, files[info_hash].complete, files[info_hash].downloaded, files[info_hash].incomplete)
        for info_hash in sorted(files)
    ]
    return b"d5:filesd%bee" % b"".join(entries)


def _peer_dict(entry: PeerEntry) -> bytes:
    host = entry.host.encode("ascii")
    if entry.peer_id is None:
        return b"d2:ip%d:%b4:porti%dee" % (len(host), host, entry.port)
    return b"d2:ip%d:%b7:peer id%d:%b4:porti%dee" % (len(host), host, len(entry.peer_id), entry.peer_id, entry.port)


def _single(args: Args, name: bytes) -> bytes | None:
    """Take a parameter's only value; an empty one counts as absent."""
    values = args.get(name)
    if not values:
        return None
    if len(values) > 1:
        raise RequestRefused(f"{name.decode()} is given {len(values)} times, not once")
    return values[0] or None


def _twenty_bytes(args: Args, name: bytes, size: int) -> bytes:
    value = _single(args, name)
    if value is None:
        raise RequestRefused(f"{name.decode()} is missing")
    if len(value) != size:
        raise RequestRefused(f"{name.decode()} is {len(value)} bytes long, not {size}")
    return value


def _number(args: Args, name: bytes, *, signed: bool = False) -> int | None:
    """Take a decimal number of at most 63 bits; ``int()`` alone would let spaces, signs and underscores pass."""
    text = _single(args, name)
    if text is None:
        return None
    if text.isdigit() and len(text) < 19:
        return int(text)
    digits = text[1:] if signed and text.startswith(b"-") else text
    if not digits.isdigit() or len(digits) > 19 or int(digits) > MAX_AMOUNT:
        raise RequestRefused(f"{name.decode()} is not a whole number within 0 to 2^63-1")
    return int(text)


def _short(args: Args, name: bytes, limit: int) -> bytes | None:
    value = _single(args, name)
    if value is not None and len(value) > limit:
        raise RequestRefused(f"{name.decode()} is {len(value)} bytes long, more than {limit}")
    return value


def _flag(args: Args, name: bytes) -> bool | None:
    value = _single(args, name)
    if value is None:
        return None
    if value not in _FLAGS:
        raise RequestRefused(f"{name.decode()} is neither 0 nor 1")
    return _FLAGS[value]


def _hostname(args: Args) -> str | None:
    raw = _single(args, b"hostname")
    if raw is None:
        return None
    host = read_host(raw)
    if host is None:
        raise RequestRefused(f"hostname is not an address or a name of at most {MAX_HOST} letters, digits, '-' and '.'")
    return host
