"""Members of a swarm whose addresses have one width, packed the way replies want them."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterator

from attrs import define, field

from p2pshare.ids import PEER_ID_SIZE

Slices = list[slice]  # of places


@define(eq=False)
class Pool:
    """
    An unordered set of members; each has a place, and its fields lie at that place of the arrays below.

    A newcomer takes a random place and whoever was there moves to the end, so at any time the order is a random one
    and any run of places a fair sample: one slice, or two where the ring closes, in a swarm of any size.
    """

    width: int  # bytes of one address: 6 (BEP 23) or 18 (BEP 7)
    _random: Callable[[], float]  # uniform in [0, 1)
    # Always of equal length, counted in members; _places is their inverse.
    addresses: bytearray = field(init=False, factory=bytearray)
    peer_ids: bytearray = field(init=False, factory=bytearray)
    seen: array[float] = field(init=False, factory=lambda: array("d"))  # time of the last announce
    counted: bytearray = field(init=False, factory=bytearray)  # 1: its completion is in the swarm's count
    _places: dict[Hashable, int] = field(init=False, factory=dict)
    _oldest: float = field(init=False, default=float("inf"))  # nobody was seen before that

    def __len__(self) -> int:
        return len(self.seen)

    def __iter__(self) -> Iterator[bytes]:
        return map(self._address, range(len(self.seen)))

    @classmethod
    def restored(
        cls,
        width: int,
        random: Callable[[], float],
        addresses: bytes,
        peer_ids: bytes,
        seen: array[float],
        counted: bytes,
    ) -> Pool:
        """
        Make a pool of its four arrays, as they were saved.

        :raise ValueError: they do not fit together, or a member is there twice.
        """
        pool = cls(width, random)
        pool.addresses, pool.peer_ids, pool.seen, pool.counted = (
            bytearray(addresses),
            bytearray(peer_ids),
            seen,
            bytearray(counted),
        )
        pool._places = {address: place for place, address in enumerate(pool)}
        pool._oldest = min(seen, default=pool._oldest)
        size = len(seen)
        if (len(addresses), len(peer_ids), len(counted)) != (width * size, PEER_ID_SIZE * size, size):
            raise ValueError(f"arrays of {size} members do not fit together")
        if len(pool._places) != size:
            raise ValueError("a member is there twice")
        return pool

    def find(self, contact: Hashable) -> int | None:
        """Give a member's place, which is valid until the next join or leave; None for others."""
        return self._places.get(contact)

    def touch(self, place: int, peer_id: bytes, now: float) -> None:
        """Note that a member announced."""
        self.seen[place] = now
        start = place * PEER_ID_SIZE
        self.peer_ids[start : start + PEER_ID_SIZE] = peer_id  # another one after the peer's restart

    def join(self, address: bytes, peer_id: bytes, now: float, counted: int = 0) -> int:
        """Take in a new member, and give its place."""
        last = len(self.seen)
        place = int(self._random() * (last + 1))
        self.addresses += address
        self.peer_ids += peer_id
        self.seen.append(now)
        self.counted.append(counted)
        self._places[address] = last
        if now < self._oldest:
            self._oldest = now
        if place != last:
            self._swap(place, last)
        return place

    def leave(self, address: bytes) -> int | None:
        """Let a member go: give its ``counted``, or None when there is no such member."""
        place = self._places.get(address)
        if place is None:
            return None
        last = len(self.seen) - 1
        if place != last:
            self._swap(place, last)
        del self._places[address]
        del self.addresses[last * self.width :]
        del self.peer_ids[last * PEER_ID_SIZE :]
        self.seen.pop()
        return self.counted.pop()

    def silent_since(self, before: float) -> list[bytes]:
        """List the members whose last announce is older than that; mostly one comparison, now and then a search."""
        if self._oldest >= before:
            return []
        self._oldest = min(self.seen, default=float("inf"))
        if self._oldest >= before:
            return []
        return [self._address(place) for place, seen in enumerate(self.seen) if seen < before]

    def sample(self, count: int, without: int | None) -> Slices:
        """
        Choose ``count`` members at random, or all.

        :param without: a place to leave out, the asker's.
        :return: where they are; for :meth:`packed` and :meth:`ids`, before anything changes.
        """
        size = len(self.seen)
        others = size if without is None else size - 1
        count = min(count, others)
        if count <= 0:
            return []
        if without is None:
            return self._ring(int(self._random() * size), count)
        ahead = int(self._random() * others)  # in the ring of the others, which begins behind the asker
        before = min(count, others - ahead)
        return self._ring(without + 1 + ahead, before) + self._ring(without + 1, count - before)

    def packed_sample(self, count: int, without: int | None) -> bytes:
        """Choose members as :meth:`sample` does, and give their addresses, joined: what nearly every reply wants."""
        if count <= 0:
            return b""
        addresses, width = self.addresses, self.width
        size = len(self.seen)
        if without is None:
            if count >= size:
                return bytes(addresses)
            start = int(self._random() * size)
            if start + count > size:
                return self.packed(self._ring(start, count))
        else:
            behind = without + 1
            if count >= size - 1:
                return bytes(addresses[: without * width] + addresses[behind * width :])
            ahead = int(self._random() * (size - 1))  # in the ring of the others, which begins behind the asker
            start = behind + ahead
            end = size
            if start >= size:
                start -= size
                end = without
            if start + count > end:
                before = min(count, size - 1 - ahead)
                return self.packed(self._ring(start, before) + self._ring(behind, count - before))
        return bytes(addresses[start * width : (start + count) * width])

    def packed(self, where: Slices) -> bytes:
        """Give the addresses at these places, joined."""
        width = self.width
        return b"".join([self.addresses[run.start * width : run.stop * width] for run in where])

    def ids(self, where: Slices) -> bytes:
        """Give the peer_ids at these places, joined, in the same order."""
        return b"".join([self.peer_ids[run.start * PEER_ID_SIZE : run.stop * PEER_ID_SIZE] for run in where])

    def _ring(self, start: int, count: int) -> Slices:
        """Write ``count`` places from ``start`` on, in a ring, as slices."""
        if not count:
            return []
        size = len(self.seen)
        start %= size
        over = start + count - size
        return [slice(start, start + count)] if over <= 0 else [slice(start, size), slice(0, over)]

    def _address(self, place: int) -> bytes:
        return bytes(self.addresses[place * self.width : (place + 1) * self.width])

    def _swap(self, a: int, b: int) -> None:
        for packed, width in ((self.addresses, self.width), (self.peer_ids, PEER_ID_SIZE)):
            at_a, at_b = slice(a * width, (a + 1) * width), slice(b * width, (b + 1) * width)
            packed[at_a], packed[at_b] = packed[at_b], packed[at_a]
        self.seen[a], self.seen[b] = self.seen[b], self.seen[a]
        self.counted[a], self.counted[b] = self.counted[b], self.counted[a]
        self._places[self._address(a)] = a
        self._places[self._address(b)] = b
