"""Accept connections and find out by their handshake which torrent they are about."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.logger import Logger

from p2pshare.addresses import Address, plain_host
from p2pshare.peer.budget import ConnectionBudget, Place
from p2pshare.peer.first_bytes import Dialects, FirstBytes
from p2pshare.peer.protocol import PeerProtocol, Route


@define(eq=False)
class AcceptFactory(ServerFactory):
    """Builds a PeerProtocol for everyone who knocks, within the connection budget."""

    _clock: IReactorTime
    _route: Route
    _budget: ConnectionBudget
    dialects: Dialects = field(factory=dict)  # that share this port; looked at when somebody knocks
    answered: int = field(init=False, default=0)  # knocks that we had the means to answer, by a no as well
    noisy = False
    log = Logger()

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        assert isinstance(addr, IPv4Address | IPv6Address)
        address = Address(plain_host(addr.host), addr.port)
        if not self._budget.has_descriptors:
            self.log.debug("no descriptor to spare for {address}", address=address)
            return None
        self.answered += 1
        place = self._budget.admit(address.host, newcomer=True)
        if place is None:
            self.log.debug("no room for {address}", address=address)
            return None
        if not self.dialects:
            return self._link(address, place)
        first = FirstBytes(
            *(self.dialects, addr, lambda: self._link(address, place), lambda: self._budget.release(place)),
            *(self._clock, self._budget.commons.limits.handshake_timeout),
        )
        place.guest = first
        return first

    def _link(self, address: Address, place: Place) -> PeerProtocol:
        link = PeerProtocol(
            self._clock, address, self._route, self._budget.commons, on_closed=lambda _: self._budget.release(place)
        )
        place.guest = link
        return link
