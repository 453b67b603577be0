"""What all connections of a process share: how long and how much each of them may keep us waiting, and the memory."""

from __future__ import annotations

from collections import Counter
from typing import Any

from attrs import define, field, frozen

from p2pshare.peer.unsent import TOTAL, WINDOW, SendMemory
from p2pshare.rates import parse_duration, parse_size
from p2pshare.settings import PARSE, between

_SIZE: dict[str, Any] = {PARSE: parse_size}
_TIME: dict[str, Any] = {PARSE: parse_duration}
_SECONDS = between(0.1, 86400)
_COUNT = between(1, 100_000)


@frozen
class ConnectionLimits:
    """
    The table ``[peer.connections]``. Times in seconds, sizes in bytes.

    How many connections there may be is said beside the port, by ``max_connections`` and its kin.
    """

    half_open: int = field(default=100, validator=_COUNT)  # anacrolix: 100 in all, 25 a torrent
    half_open_per_torrent: int = field(default=25, validator=_COUNT)
    dials_per_second: int = field(default=20, validator=_COUNT)  # libtorrent 30, Transmission 18
    connect_timeout: float = field(default=10.0, validator=_SECONDS, metadata=_TIME)  # libtorrent 15, rqbit 10
    # Absolute: bytes that trickle in extend neither a handshake's time nor a message's.
    handshake_timeout: float = field(default=10.0, validator=_SECONDS, metadata=_TIME)  # libtorrent 10
    message_timeout: float = field(default=60.0, validator=_SECONDS, metadata=_TIME)
    idle_timeout: float = field(default=120.0, validator=_SECONDS, metadata=_TIME)  # BEP 3: two minutes
    keepalive: float = field(default=100.0, validator=_SECONDS, metadata=_TIME)  # silence of ours until we send one
    # Until everything that a transport holds has to be read, which is at most a few hundred KiB. Without it a peer that
    # sends keep-alives and never reads would keep its connection, and our memory, for ever.
    unread_timeout: float = field(default=300.0, validator=_SECONDS, metadata=_TIME)
    send_buffer: int = field(default=WINDOW, validator=between(32 * 1024, 1 << 30), metadata=_SIZE)
    send_memory: int = field(default=TOTAL, validator=between(1 << 20, 1 << 36), metadata=_SIZE)
    spare_files: int = field(default=64, validator=between(0, 100_000))  # descriptors no connection may take


@define(eq=False)
class Commons:
    """The limits of all connections, how often each was reached, by its name, and the memory they send from."""

    limits: ConnectionLimits = field(factory=ConnectionLimits)
    hits: Counter[str] = field(factory=Counter)
    memory: SendMemory = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.memory = SendMemory(self.limits.send_memory, self.limits.send_buffer, self.hits)
