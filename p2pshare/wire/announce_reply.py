"""
What a client hears from a tracker over HTTP (BEP 3, 7, 23, 24, 31, 48), read with suspicion.

Trackers are strangers: their keys may come in any order, but every field is checked, counted and bounded here, once.
"""

from __future__ import annotations

import ipaddress
import math
from collections.abc import Iterator

from p2pshare import bencoding
from p2pshare.addresses import Address, is_dialable, is_numeric, plain_host, unpack_ipv4, unpack_ipv6
from p2pshare.errors import BencodeError, TrackerError, TrackerFailure
from p2pshare.ids import INFO_HASH_SIZE, PEER_ID_SIZE
from p2pshare.wire.announce import AnnounceResponse, PeerEntry, ScrapeCounts, ScrapeResponse, read_host

MAX_REPLY = 1024 * 1024  # libtorrent's default too
MAX_PEERS = 200  # as qBittorrent and libtorrent keep of one reply
MAX_NAMES = 10  # each costs a look-up in the DNS
MAX_TEXT = 512  # characters of a tracker's message that people get to see
MAX_TRACKER_ID = 255  # goes back to the tracker in every later URL
MAX_SECONDS = 2**31 - 1
DEFAULT_INTERVAL = 1800  # what the common trackers say (mainline, opentracker, chihaya)

Dict = dict[bytes, bencoding.Value]


def decode_response(data: bytes) -> AnnounceResponse:
    """
    Read the reply to an announce.

    Of the peers, the first 200 that could be dialled are kept, at most 10 of them by name. Numbers out of range are
    moved to the nearest end of the range; how often to announce is for the announcer to decide.

    :raise TrackerFailure: the tracker refused, in its own words, made printable.
    :raise TrackerError: this is no tracker's reply.
    """
    reply = _dict(data)
    peers = tuple(_peers(reply))
    if not peers and not reply.keys() & {b"peers", b"peers6", b"interval"}:
        raise TrackerError("the reply has neither a failure reason nor an interval nor peers")
    tracker_id = reply.get(b"tracker id")
    warning = reply.get(b"warning message")
    interval = _count(reply, b"interval")
    return AnnounceResponse(
        interval=DEFAULT_INTERVAL if interval is None else min(interval, MAX_SECONDS),
        min_interval=_count(reply, b"min interval", MAX_SECONDS),
        complete=_count(reply, b"complete"),
        incomplete=_count(reply, b"incomplete"),
        peers=peers,
        tracker_id=tracker_id if isinstance(tracker_id, bytes) and 0 < len(tracker_id) <= MAX_TRACKER_ID else None,
        warning=printable(warning) if isinstance(warning, bytes) and warning else None,
        external_ip=_external_ip(reply),
    )


def decode_scrape(data: bytes) -> ScrapeResponse:
    """
    Read the reply to a scrape (BEP 48); entries that make no sense are left out.

    :raise TrackerFailure: the tracker refused, in its own words, made printable.
    :raise TrackerError: this is no tracker's reply.
    """
    files = _dict(data).get(b"files")
    if not isinstance(files, dict):
        raise TrackerError("the reply to a scrape has no dictionary of files")
    return ScrapeResponse(
        {
            info_hash: ScrapeCounts(
                complete=_count(counts, b"complete") or 0,
                incomplete=_count(counts, b"incomplete") or 0,
                downloaded=_count(counts, b"downloaded") or 0,
            )
            for info_hash, counts in files.items()
            if len(info_hash) == INFO_HASH_SIZE and isinstance(counts, dict)
        }
    )


def printable(raw: bytes, limit: int = MAX_TEXT) -> str:
    """Make a stranger's bytes fit for a line of text: UTF-8, whatever cannot be printed escaped, cut at ``limit``."""
    text = raw[: 4 * limit].decode("utf-8", "backslashreplace")[:limit]  # 4: the longest UTF-8 sequence
    if not text.isprintable():
        text = "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)
    return text[:limit]


def _dict(data: bytes) -> Dict:
    try:
        reply = bencoding.decode(data, max_size=MAX_REPLY, strict_order=False)
    except BencodeError as error:
        start = printable(data[:40])
        raise TrackerError(f"the reply is not bencoded ({error}); it begins {start!r}") from error
    if not isinstance(reply, dict):
        raise TrackerError(f"the reply is a bencoded {type(reply).__name__}, not a dictionary")
    reason = reply.get(b"failure reason")
    if reason is not None:
        text = printable(reason) if isinstance(reason, bytes) else ""
        raise TrackerFailure(text or "refused without a reason", _retry_in(reply))
    return reply


def _retry_in(reply: Dict) -> float | None:
    """Read BEP 31's ``retry in``: minutes, or "never", which is infinity here."""
    retry_in = reply.get(b"retry in")
    if retry_in == b"never":
        return math.inf
    if isinstance(retry_in, bytes) and retry_in.isdigit() and len(retry_in) < 10:
        retry_in = int(retry_in)  # the document's examples are integers, its text leaves room for strings
    return min(retry_in * 60, MAX_SECONDS) if isinstance(retry_in, int) and retry_in > 0 else None


def _count(reply: Dict, key: bytes, most: int = 2**63 - 1) -> int | None:
    value = reply.get(key)
    return min(max(value, 0), most) if isinstance(value, int) else None


def _external_ip(reply: Dict) -> str | None:
    packed = reply.get(b"external ip")
    if not isinstance(packed, bytes) or len(packed) not in (4, 16):
        return None
    return plain_host(str(ipaddress.ip_address(packed)))


def _peers(reply: Dict) -> Iterator[PeerEntry]:
    """Give the peers worth keeping, in the tracker's order, IPv4 or dicts first (BEP 3, 23), IPv6 after (BEP 7)."""
    kept = 0
    names = 0
    for entry in (*_listed(reply.get(b"peers")), *_packed(reply.get(b"peers6", b""), 18)):
        if not is_dialable(Address(entry.host, entry.port)):
            continue
        if not is_numeric(entry.host):
            names += 1
            if names > MAX_NAMES:
                continue
        kept += 1
        if kept > MAX_PEERS:
            return
        yield entry


def _listed(peers: bencoding.Value | None) -> Iterator[PeerEntry]:
    if isinstance(peers, list):
        for peer in peers:
            entry = _entry(peer)
            if entry is not None:
                yield entry
    elif peers is not None:
        yield from _packed(peers, 6)


def _packed(packed: bencoding.Value, size: int) -> list[PeerEntry]:
    # A string that does not divide is damaged somewhere, and every address after the damage would be a stranger's.
    if not isinstance(packed, bytes) or len(packed) % size:
        raise TrackerError(
            f"the peers of the reply are neither a list of dictionaries nor a string of {size} bytes each"
        )
    addresses = unpack_ipv4(packed) if size == 6 else unpack_ipv6(packed)
    return [PeerEntry(address.host, address.port) for address in addresses]


def _entry(peer: bencoding.Value) -> PeerEntry | None:
    if not isinstance(peer, dict):
        return None
    ip, port, peer_id = peer.get(b"ip"), peer.get(b"port"), peer.get(b"peer id")
    host = read_host(ip) if isinstance(ip, bytes) else None
    if host is None or not isinstance(port, int):
        return None
    return PeerEntry(host, port, peer_id if isinstance(peer_id, bytes) and len(peer_id) == PEER_ID_SIZE else None)
