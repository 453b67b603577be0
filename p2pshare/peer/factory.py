"""Accept connections and find out by their handshake which torrent they are about."""

from __future__ import annotations

from attrs import define
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.interfaces import IAddress, IReactorTime
from twisted.internet.protocol import Protocol, ServerFactory
from twisted.logger import Logger

from p2pshare.addresses import Address, plain_host
from p2pshare.peer.budget import ConnectionBudget
from p2pshare.peer.protocol import PeerProtocol, Route


@define(eq=False)
class AcceptFactory(ServerFactory):
    """Builds a PeerProtocol for everyone who knocks, within the connection budget."""

    _clock: IReactorTime
    _route: Route
    _budget: ConnectionBudget
    noisy = False
    log = Logger()

    def buildProtocol(self, addr: IAddress | None) -> Protocol | None:
        assert isinstance(addr, IPv4Address | IPv6Address)
        address = Address(plain_host(addr.host), addr.port)
        if not self._budget.admit(address.host):
            self.log.debug("no room for {address}", address=address)
            return None
        return PeerProtocol(self._clock, address, self._route, self._budget.memory, on_closed=self._closed)

    def _closed(self, link: PeerProtocol) -> None:
        self._budget.release(link.address.host)
