"""What a peer tells a tracker and hears from it, whatever carries it: announce and scrape values."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from attrs import frozen

from p2pshare.addresses import Address, is_dialable, is_numeric, plain_host

MAX_HOST = 255  # RFC 1035, 2.3.4: the longest name


class Event(enum.Enum):
    """Why an announce comes outside its regular interval (BEP 3, "trackers")."""

    STARTED = "started"
    COMPLETED = "completed"
    STOPPED = "stopped"


@frozen
class AnnounceRequest:
    """
    One peer's report about one torrent.

    Numbers are bytes, within 0 .. 2^63-1. ``left`` None means the peer did not say: a leech. ``hostname`` and ``ip``
    are what the peer claims about itself; whether to believe it is for the tracker to decide.
    """

    info_hash: bytes
    peer_id: bytes
    port: int
    uploaded: int = 0
    downloaded: int = 0
    left: int | None = None
    event: Event | None = None
    numwant: int | None = None
    key: bytes | None = None
    compact: bool | None = None
    hostname: str | None = None
    ip: str | None = None
    no_peer_id: bool = False
    tracker_id: bytes | None = None


@frozen
class PeerEntry:
    """One peer of a reply: a numeric address or a name, and its peer_id where the reply has room for it."""

    host: str
    port: int
    peer_id: bytes | None = None


@frozen
class AnnounceResponse:
    """
    A tracker's answer: when to come back, and some peers of the swarm.

    ``interval`` and ``min_interval`` are seconds; ``complete`` and ``incomplete`` count seeds and leeches, None when
    the tracker does not say.
    """

    interval: int
    min_interval: int | None = None
    complete: int | None = None
    incomplete: int | None = None
    peers: tuple[PeerEntry, ...] = ()
    tracker_id: bytes | None = None
    warning: str | None = None
    external_ip: str | None = None


@frozen
class ScrapeCounts:
    """A torrent in figures: seeds now, leeches now, and how often it was completed."""

    complete: int
    incomplete: int
    downloaded: int


@frozen
class ScrapeResponse:
    """What a tracker knows of the torrents asked for, by info_hash; unknown ones are absent (BEP 48)."""

    files: Mapping[bytes, ScrapeCounts]


def read_host(raw: bytes) -> str | None:
    """
    Read a numeric address or a host name from foreign bytes.

    :return: the canonical address or the name as given; None when it is neither, so that nothing else ever reaches
        a resolver, a log or a page.
    """
    if not 0 < len(raw) <= MAX_HOST or not raw.isascii():
        return None
    text = raw.decode("ascii")
    if is_numeric(text):
        return plain_host(text)
    return text if is_dialable(Address(text, 1)) else None  # port 1: only the name is in question
