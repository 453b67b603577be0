"""The knobs of one swarm, with the field's usual values."""

from __future__ import annotations

from typing import Any

from attrs import field, frozen

from p2pshare.geometry import BLOCK_SIZE
from p2pshare.policy.choker import ChokerSettings
from p2pshare.policy.pipeline import DEEPEST
from p2pshare.policy.strategies import Strategy
from p2pshare.rates import parse_duration
from p2pshare.settings import PARSE, between
from p2pshare.wire.bep3 import MAX_FRAME

_TIME: dict[str, Any] = {PARSE: parse_duration}
_COUNT = between(1, 1_000_000)


@frozen
class PeerLimits:
    """The table ``[peer.limits]``: how much of us one peer of a torrent may use, and how wrong it may be."""

    message_size: int = field(default=MAX_FRAME, validator=between(BLOCK_SIZE + 9, 1 << 24))  # bytes, id included
    # The reqq we send (BEP 10): beyond it we stop reading from that peer. libtorrent, Transmission: 2,000.
    queued_requests: int = field(default=2000, validator=_COUNT)
    open_requests: int = field(default=DEEPEST, validator=_COUNT)  # of ours at one peer; libtorrent 500
    # So many of these close a connection.
    invalid_requests: int = field(default=300, validator=_COUNT)  # as in libtorrent
    choked_requests: int = field(default=50, validator=_COUNT)
    unasked_blocks: int = field(default=300, validator=_COUNT)
    # Seconds in which requests may cross our choke on the wire, and are not held against anyone.
    choke_grace: float = field(default=2.0, validator=between(0, 3600), metadata=_TIME)
    ban_time: float = field(default=86400.0, validator=between(1, 1e9), metadata=_TIME)
    known_peers: int = field(default=1000, validator=_COUNT)  # addresses of a torrent; libtorrent 3,000, anacrolix 500
    greed: float = field(default=3.0, validator=between(1, 1e9))  # copies of the content that one peer may take from us
    ban_greedy: bool = False  # otherwise it gets only what nobody else wants


@frozen
class SwarmSettings:
    """How one torrent behaves. Times in seconds."""

    max_peers: int = 50  # libtorrent, Transmission: 50 to 100 a torrent
    picker: str | Strategy = "rarest"
    pipeline: int | None = None  # blocks outstanding at one peer; None: tuned from its rate
    request_timeout: float = 60.0  # libtorrent 60
    memory_limit: int = 32 * 1024 * 1024  # bytes of pieces being put together, and again being hashed
    choker: ChokerSettings = field(factory=ChokerSettings)
    disk_retry: float = 600.0  # until a full disk is tried again
    tick: float = 1.0  # between two looks at deadlines, rounds and pipelines
    endgame: bool = True  # the last blocks are asked of several peers, which takes cancels
    part_from_seeds: bool = True  # two that have everything need no connection
    tell_disinterest: bool = False  # say "not interested" to whoever has nothing for us from the start
    limits: PeerLimits = field(factory=PeerLimits)
