"""The knobs of one swarm, with the field's usual values."""

from __future__ import annotations

from attrs import field, frozen

from p2pshare.policy.choker import ChokerSettings


@frozen
class SwarmSettings:
    """How one torrent behaves. Times in seconds."""

    max_peers: int = 50  # libtorrent, Transmission: 50 to 100 a torrent
    picker: str = "rarest"
    pipeline: int | None = None  # blocks outstanding at one peer; None: tuned from its rate
    request_timeout: float = 60.0  # libtorrent 60
    memory_limit: int = 32 * 1024 * 1024  # bytes of pieces being put together, and again being hashed
    choker: ChokerSettings = field(factory=ChokerSettings)
    max_promised: int = 2000  # the reqq we send: beyond it we stop reading from that peer
    disk_retry: float = 600.0  # until a full disk is tried again
    # So many of these close a connection.
    invalid_requests: int = 300  # as in libtorrent
    choked_requests: int = 50
    unasked_blocks: int = 300
    choke_grace: float = 2.0  # requests that crossed our choke on the wire are not held against anyone
