"""Everything a tracker knows of one torrent."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from p2pshare.addresses import Address
from p2pshare.tracker.named import NamedMembers
from p2pshare.tracker.pool import Pool

Contact = bytes | Address  # where a member is: a compact address of 6 or 18 bytes, or a name and a port

WIDTH4 = 6  # bytes of a compact address: BEP 23
WIDTH6 = 18  # BEP 7


@define(eq=False)
class Swarm:
    """
    Who takes part in one torrent. Knows no clock and no limit: ``now`` and all numbers are told.

    There may be a million swarms with a member or two, so parts are made when they are first needed.
    """

    _random: Callable[[], float]  # uniform in [0, 1)
    downloaded: int = 0  # completions reported
    leeches4: Pool | None = None
    seeds4: Pool | None = None
    leeches6: Pool | None = None
    seeds6: Pool | None = None
    named: NamedMembers | None = None
    _per_host: dict[bytes, int] | None = field(init=False, default=None)  # an address or a /64 -> members there

    def __len__(self) -> int:
        complete, incomplete = self.counts()
        return complete + incomplete

    @property
    def is_plain(self) -> bool:
        """Whether all that were ever in it have addresses of IPv4."""
        return self.leeches6 is None and self.seeds6 is None and self.named is None

    def counts(self) -> tuple[int, int]:
        """Count the seeds and the leeches."""
        complete = incomplete = 0
        if (pool := self.seeds4) is not None:
            complete = len(pool.seen)
        if (pool := self.leeches4) is not None:
            incomplete = len(pool.seen)
        if (pool := self.seeds6) is not None:
            complete += len(pool.seen)
        if (pool := self.leeches6) is not None:
            incomplete += len(pool.seen)
        if (named := self.named) is not None:
            seeds = named.seeds
            return complete + seeds, incomplete + len(named) - seeds
        return complete, incomplete

    def pools(self) -> list[tuple[Pool, bool]]:
        """List the pools there are, and whether each is of seeds."""
        pools = ((self.leeches4, False), (self.seeds4, True), (self.leeches6, False), (self.seeds6, True))
        return [(pool, is_seed) for pool, is_seed in pools if pool is not None]

    def last_seen(self, contact: Contact) -> float | None:
        """Tell when a member announced last; None for one who is no member."""
        if isinstance(contact, Address):
            member = None if self.named is None else self.named.members.get(contact)
            return None if member is None else member.seen
        for pool, _ in self.pools():
            if (place := pool.find(contact)) is not None:
                return pool.seen[place]
        return None

    def count_at(self, contact: Contact) -> int:
        """Count the members at one address, whatever their ports; names are not counted."""
        if isinstance(contact, Address):
            return 0
        if self._per_host is None:  # the first question comes when a swarm is large enough to matter
            self._per_host = {}
            for pool, _ in self.pools():
                for member in pool:
                    self._count(member, 1)
        return self._per_host.get(_host(contact), 0)

    def refresh(self, contact: Contact, peer_id: bytes, is_seed: bool, now: float) -> bool:
        """Note an announce of a member that is what it was, seed or leech; False: there is no such member."""
        if isinstance(contact, Address):
            return self.named is not None and self.named.refresh(contact, peer_id, is_seed, now)
        pool = self._pool(contact, is_seed)
        if pool is None or (place := pool.find(contact)) is None:
            return False
        pool.touch(place, peer_id, now)
        return True

    def join(self, contact: Contact, peer_id: bytes, is_seed: bool, now: float) -> None:
        """Take in a member that is new, or has become a seed, or a leech again."""
        if isinstance(contact, Address):
            if self.named is None:
                self.named = NamedMembers(self._random)
            self.named.join(contact, peer_id, is_seed, now)
            return
        former = self._pool(contact, not is_seed)
        counted = None if former is None else former.leave(contact)
        if counted is None:
            self._count(contact, 1)
        pool = self._pool(contact, is_seed)
        if pool is None:
            pool = Pool(len(contact), self._random)
            self.put(pool, is_seed)
        pool.join(contact, peer_id, now, counted or 0)

    def complete(self, contact: Contact) -> None:
        """Note that a seed has just got its last piece: counts once for a member, however often it says so."""
        if isinstance(contact, Address):
            if self.named is not None and self.named.complete(contact):
                self.downloaded += 1
            return
        pool = self._pool(contact, True)
        if pool is not None and (place := pool.find(contact)) is not None and not pool.counted[place]:
            pool.counted[place] = 1
            self.downloaded += 1

    def leave(self, contact: Contact) -> bool:
        """Let a member go; say whether it was one."""
        if isinstance(contact, Address):
            return self.named is not None and self.named.members.pop(contact, None) is not None
        for pool, _ in self.pools():
            if pool.leave(contact) is not None:
                self._count(contact, -1)
                return True
        return False

    def forget_silent(self, before: float) -> int:
        """Let everybody go who was last seen before that; say how many they were."""
        silent: list[Contact] = [] if self.named is None else [*self.named.silent_since(before)]
        for pool, _ in self.pools():
            silent += pool.silent_since(before)
        for contact in silent:
            self.leave(contact)
        return len(silent)

    def put(self, pool: Pool, is_seed: bool) -> None:
        """Use a pool of members that may have been filled elsewhere."""
        if pool.width == WIDTH4:
            if is_seed:
                self.seeds4 = pool
            else:
                self.leeches4 = pool
        elif is_seed:
            self.seeds6 = pool
        else:
            self.leeches6 = pool

    def _pool(self, contact: bytes, is_seed: bool) -> Pool | None:
        if len(contact) == WIDTH4:
            return self.seeds4 if is_seed else self.leeches4
        return self.seeds6 if is_seed else self.leeches6

    def _count(self, contact: bytes, change: int) -> None:
        if self._per_host is not None:
            host = _host(contact)
            members = self._per_host.get(host, 0) + change
            if members:
                self._per_host[host] = members
            else:
                del self._per_host[host]


def _host(contact: bytes) -> bytes:
    """Give what members are counted by: an IPv4 address, or the /64 network of an IPv6 one."""
    return contact[:4] if len(contact) == WIDTH4 else contact[:8]
