"""Which parts of the network a URL may lead to: a stranger's redirect must not reach into the user's own network."""

from __future__ import annotations

import enum
import ipaddress
from collections.abc import Sequence

from attrs import define, field
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from p2pshare.addresses import PRIVATE, Networks, plain_host
from p2pshare.errors import TrackerUnreachable

# Not private in the strict sense, but not plainly public either: carriers' NAT and overlay networks, protocol
# assignments, test networks, groups, and what is reserved.
_NOT_PUBLIC = Networks.parse(
    ["100.64.0.0/10", "192.0.0.0/24", "198.18.0.0/15", "224.0.0.0/3", "64:ff9b:1::/48", "fec0::/10", "ff00::/8"]
)
# IPv6 addresses that a gateway turns into the IPv4 address inside: NAT64 (RFC 6052, last 4 bytes), 6to4 (RFC 3056).
_NAT64 = Networks.parse(["64:ff9b::/96"])
_6TO4 = Networks.parse(["2002::/16"])


class Zone(enum.Enum):
    """A part of the network, as the address policy tells them apart."""

    LOCAL = "local"  # loopback, link-local, private, and whatever else is not plainly public
    PUBLIC = "public"


class AddressRefused(TrackerUnreachable):
    """A host has addresses, but none in the zone that the address policy allows."""


def zone_of(host: str) -> Zone:
    """Tell the zone of a numeric address."""
    host = plain_host(host)
    if host in PRIVATE or host in _NOT_PUBLIC:
        return Zone.LOCAL
    if host in _NAT64:
        return zone_of(str(ipaddress.IPv4Address(ipaddress.ip_address(host).packed[12:])))
    if host in _6TO4:
        return zone_of(str(ipaddress.IPv4Address(ipaddress.ip_address(host).packed[2:6])))
    return Zone.PUBLIC


@implementer(IHostnameResolver)
@define(eq=False)
class ZoneResolver:
    """
    Resolves names, and numeric hosts just the same, to addresses of one zone only.

    Filtering the very addresses that are then dialled leaves no gap in which a name could change its meaning.
    """

    _inner: IHostnameResolver
    _zone: Zone
    refused: list[str] = field(factory=list)  # addresses of other zones seen so far

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        addressTypes: Sequence[type[IAddress]] | None = None,
        transportSemantics: str = "TCP",
    ) -> IHostResolution:
        receiver = _ZoneReceiver(resolutionReceiver, self._zone, self.refused)
        return self._inner.resolveHostName(receiver, hostName, portNumber, addressTypes, transportSemantics)


@implementer(IResolutionReceiver)
@define(eq=False)
class _ZoneReceiver:
    _inner: IResolutionReceiver
    _zone: Zone
    _refused: list[str]

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self._inner.resolutionBegan(resolutionInProgress)

    def addressResolved(self, address: IAddress) -> None:
        host = str(getattr(address, "host", address))
        if zone_of(host) is self._zone:
            self._inner.addressResolved(address)
        else:
            self._refused.append(host)

    def resolutionComplete(self) -> None:
        self._inner.resolutionComplete()
