"""Proof that a client of the UDP tracker is where its datagrams say they come from (BEP 15)."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from hashlib import blake2b
from hmac import compare_digest

from attrs import define, field

from p2pshare.wire.udp_tracker import ID_SIZE

LIFETIME = 120  # seconds; BEP 15: a client may use one for a minute, a tracker should accept it for two
_TICK = 2  # seconds; a lifetime has to be fewer ticks than one byte can count
_HASH_SIZE = ID_SIZE - 1
_REMEMBERED = 8192  # hashes that need not be computed again; about 2 MiB


@define(eq=False)
class ConnectionIds:
    """
    Issues connection ids and knows them again, without having to remember any client.

    One is the low byte of the time of issue, and a keyed hash of the address and the whole time. Who cannot read what
    is sent to an address can only guess, 2^55 times for one that holds two minutes.
    """

    _secret: bytes  # known to nobody else, another one after each start
    _now: Callable[[], float]  # seconds on a clock that never jumps
    _hash: Callable[[str, int], bytes] = field(init=False)  # most are asked for again at once, by the announce

    def __attrs_post_init__(self) -> None:
        self._hash = lru_cache(_REMEMBERED)(self._make_hash)

    def issue(self, host: str) -> bytes:
        """Make the id of whoever gets datagrams that are sent to this address."""
        tick = int(self._now()) // _TICK
        return bytes((tick & 0xFF,)) + self._hash(host, tick)

    def is_valid(self, connection_id: bytes, host: str) -> bool:
        """Tell whether an id was issued to this address within the last two minutes."""
        tick = int(self._now()) // _TICK
        age = (tick - connection_id[0]) & 0xFF
        return age <= LIFETIME // _TICK and compare_digest(connection_id[1:], self._hash(host, tick - age))

    def _make_hash(self, host: str, tick: int) -> bytes:
        return blake2b(b"%d %b" % (tick, host.encode()), digest_size=_HASH_SIZE, key=self._secret).digest()
