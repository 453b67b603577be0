"""Everything a tracker knows of one torrent."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field, frozen

from p2pshare.addresses import Address
from p2pshare.tracker.named import NamedMembers
from p2pshare.tracker.pool import Pool
from p2pshare.wire.announce import PeerEntry

Contact = bytes | Address  # where a member is: a compact address of 6 or 18 bytes, or a name and a port

WIDTHS = {4: 6, 6: 18}  # bytes of a compact address by IP version (BEP 23, BEP 7)
_BY_NAME = 0  # beside 4 and 6, in the order of looking for members
_SEED_SHARE = 4  # of what a leech gets, at least one in four is a seed where there are enough


@frozen
class Hits:
    """
    What a member learns: the size of the swarm, itself included, and some of the others.

    ``packed4`` and ``packed6`` are compact addresses, ``ids4`` and ``ids6`` their peer_ids where asked for.
    """

    complete: int
    incomplete: int
    packed4: bytes = b""
    packed6: bytes = b""
    ids4: bytes = b""
    ids6: bytes = b""
    named: tuple[PeerEntry, ...] = ()


@define(eq=False)
class Swarm:
    """Who takes part in one torrent. Knows no clock and no limit: ``now`` and all numbers are told."""

    _random: Callable[[], float]  # uniform in [0, 1)
    downloaded: int = 0  # completions reported
    # (width, is_seed) -> members; made when first needed, as most swarms are small
    pools: dict[tuple[int, bool], Pool] = field(init=False, factory=dict)
    named: NamedMembers | None = field(init=False, default=None)
    _per_host: dict[bytes, int] = field(init=False, factory=dict)  # compact address or /64, port left out -> members

    def __len__(self) -> int:
        return sum(map(len, self.pools.values())) + (0 if self.named is None else len(self.named))

    @property
    def complete(self) -> int:
        """Count the seeds."""
        packed = sum([len(pool) for (_, is_seed), pool in self.pools.items() if is_seed])
        return packed + (0 if self.named is None else self.named.seeds)

    def last_seen(self, contact: Contact) -> float | None:
        """Tell when a member announced last; None for one who is no member."""
        if isinstance(contact, Address):
            member = None if self.named is None else self.named.members.get(contact)
            return None if member is None else member.seen
        for is_seed in (False, True):
            pool = self.pools.get((len(contact), is_seed))
            if pool is not None and (place := pool.find(contact)) is not None:
                return pool.seen[place]
        return None

    def count_at(self, contact: Contact) -> int:
        """Count the members at one address, whatever their ports; names are not counted."""
        return 0 if isinstance(contact, Address) else self._per_host.get(_host(contact), 0)

    def report(self, contact: Contact, peer_id: bytes, is_seed: bool, now: float, is_completion: bool = False) -> None:
        """
        Note an announce of a member, old or new.

        :param is_completion: it has just got the last piece; counts once for a member, however often it says so.
        """
        if isinstance(contact, Address):
            if self.named is None:
                self.named = NamedMembers(self._random)
            member = self.named.report(contact, peer_id, is_seed, now)
            if is_completion and not member.counted:
                member.counted = 1
                self.downloaded += 1
            return
        pool = self.pool(len(contact), is_seed)
        place = pool.find(contact)
        if place is not None:
            pool.touch(place, peer_id, now)
        else:
            former = self.pools.get((len(contact), not is_seed))
            counted = None if former is None else former.leave(contact)
            if counted is None:
                host = _host(contact)
                self._per_host[host] = self._per_host.get(host, 0) + 1
            place = pool.join(contact, peer_id, now, counted or 0)
        if is_completion and not pool.counted[place]:
            pool.counted[place] = 1
            self.downloaded += 1

    def leave(self, contact: Contact) -> bool:
        """Let a member go; say whether it was one."""
        if isinstance(contact, Address):
            return self.named is not None and self.named.members.pop(contact, None) is not None
        for is_seed in (False, True):
            pool = self.pools.get((len(contact), is_seed))
            if pool is not None and pool.leave(contact) is not None:
                host = _host(contact)
                self._per_host[host] -= 1
                if not self._per_host[host]:
                    del self._per_host[host]
                return True
        return False

    def forget_silent(self, before: float) -> int:
        """Let everybody go who was last seen before that; say how many they were."""
        silent: list[Contact] = [] if self.named is None else [*self.named.silent_since(before)]
        for pool in self.pools.values():
            silent += pool.silent_since(before)
        for contact in silent:
            self.leave(contact)
        return len(silent)

    def hits(self, asker: Contact, is_seed: bool, wanted: int, with_ids: bool) -> Hits:
        """
        Choose members for one of them: first those with its own kind of address, then others; no seeds for a seed.

        :param with_ids: the reply has room for peer_ids.
        """
        complete = self.complete
        incomplete = len(self) - complete
        named: tuple[PeerEntry, ...] = ()
        if isinstance(asker, Address):
            order = (_BY_NAME, 4, 6)
        else:
            order = (4, 6, _BY_NAME) if len(asker) == WIDTHS[4] else (6, 4, _BY_NAME)
        packed, ids = {4: b"", 6: b""}, {4: b"", 6: b""}
        for kind in order:
            if kind == _BY_NAME:
                named = self._sample_named(asker, is_seed, wanted)
                wanted -= len(named)
            elif wanted > 0:
                packed[kind], ids[kind] = self._sample(WIDTHS[kind], asker, is_seed, wanted, with_ids)
                wanted -= len(packed[kind]) // WIDTHS[kind]
        return Hits(complete, incomplete, packed[4], packed[6], ids[4], ids[6], named)

    def restore(self, pool: Pool, is_seed: bool) -> None:
        """Take in a whole pool of members that was saved."""
        self.pools[pool.width, is_seed] = pool
        for contact in pool:
            self._per_host[_host(contact)] = self.count_at(contact) + 1

    def pool(self, width: int, is_seed: bool) -> Pool:
        """Give a pool of members, which may be empty."""
        pool = self.pools.get((width, is_seed))
        if pool is None:
            pool = self.pools[width, is_seed] = Pool(width, self._random)
        return pool

    def _sample(self, width: int, asker: Contact, is_seed: bool, room: int, with_ids: bool) -> tuple[bytes, bytes]:
        """Choose up to ``room`` members with addresses of one width: joined addresses, joined peer_ids."""
        leeches = self.pools.get((width, False))
        seeds = None if is_seed else self.pools.get((width, True))
        asking_leech = None if leeches is None else leeches.find(asker)
        others = 0 if leeches is None else len(leeches) - (asking_leech is not None)
        share = 0
        if seeds is not None:  # a leech asks, so the asker is not among them
            known = len(seeds)
            share = min(known, max(room * known // (known + others or 1), room // _SEED_SHARE, room - others))
        packed, ids = [], []
        for pool, count, without in ((seeds, share, None), (leeches, room - share, asking_leech)):
            if pool is not None and count:
                where = pool.sample(count, without)
                packed.append(pool.packed(where))
                if with_ids:
                    ids.append(pool.ids(where))
        return b"".join(packed), b"".join(ids)

    def _sample_named(self, asker: Contact, is_seed: bool, room: int) -> tuple[PeerEntry, ...]:
        if self.named is None or room <= 0:
            return ()
        found = self.named.sample(room, asker, is_seed)
        return tuple([PeerEntry(address.host, address.port, peer_id) for address, peer_id in found])


def _host(contact: bytes) -> bytes:
    """Give what members are counted by: an IPv4 address, or the /64 network of an IPv6 one."""
    return contact[:4] if len(contact) == WIDTHS[4] else contact[:8]
