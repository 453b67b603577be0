"""
The swarms of a tracker as bytes, to survive a restart.

A snapshot is the memory's own packed arrays behind one another, each with its length in front. Times are those of the
clock that was running; when read back, everybody is as old as at the moment of saving, however long the tracker was
away: nobody could announce meanwhile, so nobody is silent because of it.
"""

from __future__ import annotations

import struct
import sys
from array import array
from collections.abc import Callable, Iterator
from typing import Any

from attrs import define

from p2pshare.addresses import Address
from p2pshare.errors import StorageError
from p2pshare.ids import INFO_HASH_SIZE, PEER_ID_SIZE
from p2pshare.tracker.named import NamedMember, NamedMembers
from p2pshare.tracker.pool import Pool
from p2pshare.tracker.swarm import WIDTH4, WIDTH6, Swarm

VERSION = 1  # raise it with every change of the layout

_HEAD = struct.Struct("<d")  # the clock when it was saved
_SWARM = struct.Struct(f"<{INFO_HASH_SIZE}sQBI")  # info_hash, downloaded, number of pools, number of named members
_POOL = struct.Struct("<B?I")  # bytes of an address, is it of seeds, number of members
_NAMED = struct.Struct(f"<{PEER_ID_SIZE}s?BdHB")  # peer_id, is it a seed, counted, last seen, port, length of the name


def encode_head(now: float) -> bytes:
    """Write what stands before all swarms."""
    return _HEAD.pack(now)


def encode_swarm(info_hash: bytes, swarm: Swarm) -> bytes:
    """Write one swarm; a snapshot is the head and any number of these."""
    pools = [(pool, is_seed) for pool, is_seed in swarm.pools() if len(pool)]
    named = {} if swarm.named is None else swarm.named.members
    parts: list[bytes | bytearray] = [_SWARM.pack(info_hash, swarm.downloaded, len(pools), len(named))]
    for pool, is_seed in pools:
        parts += [
            _POOL.pack(pool.width, is_seed, len(pool)),
            pool.addresses,
            pool.peer_ids,
            _times(pool.seen),
            pool.counted,
        ]
    for address, member in named.items():
        host = address.host.encode("ascii")
        fields = (member.peer_id, member.is_seed, member.counted, member.seen, address.port, len(host))
        parts += [_NAMED.pack(*fields), host]
    return b"".join(parts)


def decode(body: bytes, random: Callable[[], float], now: float) -> Iterator[tuple[bytes, Swarm]]:
    """
    Read a snapshot's swarms with their info_hashes, in the order in which they were saved.

    :param now: the clock that runs today; times are moved to it.
    :raise StorageError: these bytes are no snapshot.
    """
    reader = _Reader(body)
    try:
        (saved_at,) = reader.unpack(_HEAD)
        while reader.at < len(body):
            yield _decode_swarm(reader, random, now - saved_at)
    except (struct.error, ValueError) as error:
        raise StorageError(f"the snapshot makes no sense at byte {reader.at}: {error}") from error


@define(eq=False)
class _Reader:
    _body: bytes
    at: int = 0

    def take(self, size: int) -> bytes:
        taken = self._body[self.at : self.at + size]
        if len(taken) != size:
            raise ValueError(f"it ends {size - len(taken)} bytes early")
        self.at += size
        return taken

    def unpack(self, record: struct.Struct) -> tuple[Any, ...]:
        return record.unpack(self.take(record.size))


def _decode_swarm(reader: _Reader, random: Callable[[], float], shift: float) -> tuple[bytes, Swarm]:
    info_hash, downloaded, pools, named = reader.unpack(_SWARM)
    swarm = Swarm(random, downloaded)
    for _ in range(pools):
        width, is_seed, size = reader.unpack(_POOL)
        if width not in (WIDTH4, WIDTH6):
            raise ValueError(f"addresses of {width} bytes")
        addresses, peer_ids = reader.take(size * width), reader.take(size * PEER_ID_SIZE)
        seen = array("d", [time + shift for time in _read_times(reader.take(size * 8))])
        swarm.put(Pool.restored(width, random, addresses, peer_ids, seen, reader.take(size)), is_seed)
    if named:
        swarm.named = NamedMembers(random)
        for _ in range(named):
            peer_id, is_seed, counted, seen_at, port, length = reader.unpack(_NAMED)
            address = Address(reader.take(length).decode("ascii"), port)
            swarm.named.members[address] = NamedMember(peer_id, is_seed, seen_at + shift, counted)
    return info_hash, swarm


def _times(seen: array[float]) -> bytes:
    if sys.byteorder == "big":
        seen = array("d", seen)
        seen.byteswap()
    return seen.tobytes()


def _read_times(data: bytes) -> array[float]:
    seen = array("d", data)
    if sys.byteorder == "big":
        seen.byteswap()
    return seen
