"""How many connections a process may have, in all and from one host, and who goes when one more comes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Protocol as Seam

from attrs import define, field

from p2pshare.addresses import PRIVATE, Networks
from p2pshare.peer.descriptors import descriptors_left
from p2pshare.peer.limits import Commons


class Guest(Seam):
    """A connection that can be parted with; a PeerProtocol."""

    proved: bool  # a block went one way or the other

    def abort(self, reason: str) -> None:
        """End it at once."""


@define(eq=False)
class Place:
    """One of the connections that are allowed, taken."""

    host: str
    guest: Guest | None = None  # None while it is being dialled
    is_free: bool = False  # given back


@define(eq=False)
class ConnectionBudget:
    """
    Counts open connections. Knows no socket: whoever opens one asks, whoever closes one gives back.

    When there is no room, whoever has been here longest without a block sent or taken makes room for a newcomer. So
    silent connections, however many, keep nobody out, and nobody who is of use has to go.
    """

    _total: int = 200  # libtorrent and Transmission: 200
    _per_host: int = 3
    commons: Commons = field(factory=Commons)
    _exempt: Networks = field(kw_only=True, default=PRIVATE)  # many peers share a host on a laptop, in a lab
    _descriptors_left: Callable[[], int] = field(kw_only=True, default=descriptors_left)
    _places: dict[Place, None] = field(init=False, factory=dict)  # oldest first
    _hosts: Counter[str] = field(init=False, factory=Counter)

    def __len__(self) -> int:
        return len(self._places)

    @property
    def has_room(self) -> bool:
        """Whether one more connection fits without parting with another."""
        return len(self._places) < self._total

    @property
    def has_descriptors(self) -> bool:
        """Whether one more connection leaves enough descriptors for files and state; if not, that is counted."""
        if self._descriptors_left() > self.commons.limits.spare_files:
            return True
        self.commons.hits["spare_files"] += 1
        return False

    def admit(self, host: str, *, newcomer: bool) -> Place | None:
        """
        Give a place to one more connection of this host, or None: it cannot be.

        :param newcomer: it came to us; only for such a one somebody else may have to go.
        """
        limit = self._reached(host)
        if limit is not None:
            self.commons.hits[limit] += 1
            if not (newcomer and self._part_with_one(host if limit == "max_connections_per_host" else None)):
                return None
        place = Place(host)
        self._places[place] = None
        self._hosts[host] += 1
        return place

    def _reached(self, host: str) -> str | None:
        if self._hosts[host] >= self._per_host and host not in self._exempt:
            return "max_connections_per_host"
        return None if self.has_room else "max_connections"

    def release(self, place: Place) -> None:
        """A connection is gone. Saying it twice is saying it once."""
        if place.is_free:
            return
        place.is_free = True
        del self._places[place]
        self._hosts[place.host] -= 1
        if not self._hosts[place.host]:
            del self._hosts[place.host]

    def _part_with_one(self, host: str | None = None) -> bool:
        """End the connection that has been useless for longest, of this host or of all; False when there is none."""
        for place in self._places:
            if place.guest is not None and not place.guest.proved and host in (None, place.host):
                self.release(place)
                place.guest.abort("makes room for a newcomer")
                return True
        return False
