"""Members of a swarm that are known by a host name, as in container networks."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field

from p2pshare.addresses import Address


@define(eq=False)
class NamedMember:
    """What is known of one of them; ``counted``: its completion is in the swarm's count."""

    peer_id: bytes
    is_seed: bool
    seen: float
    counted: int = 0


@define(eq=False)
class NamedMembers:
    """
    The members with names, in an ordinary dictionary: names have no fixed width, and such networks are small.

    Being a fair sample costs a look at every member here.
    """

    _random: Callable[[], float]
    members: dict[Address, NamedMember] = field(init=False, factory=dict)

    def __len__(self) -> int:
        return len(self.members)

    @property
    def seeds(self) -> int:
        """Count those that have everything."""
        return sum(member.is_seed for member in self.members.values())

    def refresh(self, address: Address, peer_id: bytes, is_seed: bool, now: float) -> bool:
        """Note an announce of a member that is what it was, seed or leech; False: there is no such member."""
        member = self.members.get(address)
        if member is None or member.is_seed != is_seed:
            return False
        member.peer_id, member.seen = peer_id, now
        return True

    def join(self, address: Address, peer_id: bytes, is_seed: bool, now: float) -> None:
        """Take in a member that is new, or has become a seed, or a leech again."""
        former = self.members.get(address)
        self.members[address] = NamedMember(peer_id, is_seed, now, 0 if former is None else former.counted)

    def complete(self, address: Address) -> bool:
        """Note that a member got its last piece; say whether that is news."""
        member = self.members.get(address)
        if member is None or member.counted:
            return False
        member.counted = 1
        return True

    def silent_since(self, before: float) -> list[Address]:
        """List the members whose last announce is older than that."""
        return [address for address, member in self.members.items() if member.seen < before]

    def sample(self, count: int, without: object, for_seed: bool) -> list[tuple[Address, bytes]]:
        """Choose ``count`` members at random, or all, with their peer_ids; no seeds for a seed, and never the asker."""
        found = [
            (address, member.peer_id)
            for address, member in self.members.items()
            if address != without and not (for_seed and member.is_seed)
        ]
        for place in range(min(count, len(found))):
            other = place + int(self._random() * (len(found) - place))
            found[place], found[other] = found[other], found[place]
        return found[:count]
