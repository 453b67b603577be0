"""The swarms of all faces, with somebody who writes down who is in them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from socket import AF_INET, AF_INET6, inet_ntop

from attrs import define

from p2pshare.addresses import Address, plain_host
from p2pshare.index.memberships import Memberships
from p2pshare.index.records import Member, peer_id_text
from p2pshare.tracker.hits import Hits
from p2pshare.tracker.logic import SwarmStore
from p2pshare.tracker.swarm import WIDTH4, Contact
from p2pshare.wire.announce import AnnounceRequest, Event, ScrapeCounts


@define(eq=False)
class RecordedSwarms:
    """
    A swarm store that tells a catalogue's memberships of each announce it lets pass. Decides nothing.

    What an announce says of others is not written down: who is stopped or refused leaves the record as it was, unless
    the store knows it as the member at that address.
    """

    _swarms: SwarmStore
    _memberships: Memberships
    _now: Callable[[], float]  # seconds since 1970

    def knows(self, info_hash: bytes) -> bool:
        """Whether there is a swarm of this torrent."""
        return self._swarms.knows(info_hash)

    def has_names(self, info_hash: bytes) -> bool:
        """Whether some member of this torrent's swarm is known by a host name."""
        return self._swarms.has_names(info_hash)

    def last_seen(self, info_hash: bytes, contact: Contact) -> float | None:
        """Tell when a member announced last; None for one who is no member."""
        return self._swarms.last_seen(info_hash, contact)

    def announce(
        self,
        request: AnnounceRequest,
        contact: Contact,
        wanted: int,
        most_per_host: int | None,
        now: float,
        *,
        width: int | None = None,
    ) -> Hits:
        """Note an announce, have it written down, and choose members for whoever made it."""
        info_hash = request.info_hash
        if not self._memberships.wants(info_hash):
            return self._swarms.announce(request, contact, wanted, most_per_host, now, width=width)
        if request.event is Event.STOPPED:
            was_member = self._swarms.last_seen(info_hash, contact) is not None
            hits = self._swarms.announce(request, contact, wanted, most_per_host, now, width=width)
            if was_member:
                self._memberships.left(info_hash, name_of(request.peer_id))
            return hits
        hits = self._swarms.announce(request, contact, wanted, most_per_host, now, width=width)
        if self._swarms.last_seen(info_hash, contact) is not None:  # there may have been no room
            is_complete = request.event is Event.COMPLETED
            left = 0 if is_complete else request.left
            name = name_of(request.peer_id)
            member = Member(name, *_place(contact), request.uploaded, request.downloaded, left, self._now())
            (self._memberships.completed if is_complete else self._memberships.joined)(info_hash, member)
        return hits

    def scrape(self, hashes: Iterable[bytes]) -> dict[bytes, ScrapeCounts]:
        """Give the figures of these torrents; zeros for unknown ones."""
        return self._swarms.scrape(hashes)

    def newest(self, count: int) -> list[bytes]:
        """List the info_hashes announced last."""
        return self._swarms.newest(count)


def name_of(peer_id: bytes) -> str:
    """Write a peer_id as the record has it: a shorter one, which REST clients may have, without what fills it up."""
    if peer_id[-1]:
        return peer_id_text(peer_id)
    short = peer_id.rstrip(b"\0")
    return peer_id_text(short if short and short.isascii() and short.decode().isprintable() else peer_id)


def _place(contact: Contact) -> tuple[str, int]:
    """Read an address without making values in between: this is every announce's way."""
    if isinstance(contact, Address):
        return contact.host, contact.port
    port = int.from_bytes(contact[-2:], "big")
    if len(contact) == WIDTH4:
        return inet_ntop(AF_INET, contact[:-2]), port
    return plain_host(inet_ntop(AF_INET6, contact[:-2])), port
