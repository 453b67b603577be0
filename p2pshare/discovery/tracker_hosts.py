"""Where a tracker's host name leads, within the address policy."""

from __future__ import annotations

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IHostnameResolver, IHostResolution, IResolutionReceiver
from zope.interface import implementer

from p2pshare.addresses import is_ipv6, plain_host
from p2pshare.discovery.address_policy import Zone, zone_of
from p2pshare.errors import TrackerUnreachable


async def find_hosts(resolver: IHostnameResolver, name: str, bind_address: str | None = None) -> list[str]:
    """
    Look a name up, or a numeric host just the same.

    As with HTTP, a name with addresses in both zones leads to the public ones; a tracker that the user named may be
    in the local zone.

    :param bind_address: we ask from this address, so only its family is of use.
    :return: at most one address of each family, in the system's order, the likelier one first.
    :raise TrackerUnreachable: there is none.
    """
    hosts = await _look_up(resolver, name)
    public = [host for host in hosts if zone_of(host) is Zone.PUBLIC]
    usable = [host for host in public or hosts if bind_address is None or is_ipv6(host) == is_ipv6(bind_address)]
    if not usable:
        if hosts:
            raise TrackerUnreachable(f"none of its addresses can be reached from {bind_address}")
        raise TrackerUnreachable("no address found for this host")
    first_of_each = {is_ipv6(host): host for host in reversed(usable)}
    return sorted(first_of_each.values(), key=usable.index)


def _look_up(resolver: IHostnameResolver, name: str) -> Deferred[list[str]]:
    hosts = _Hosts()
    resolver.resolveHostName(hosts, name, transportSemantics="UDP")
    return hosts.all


@implementer(IResolutionReceiver)
@define(eq=False)
class _Hosts:
    """Collects what a resolver finds."""

    all: Deferred[list[str]] = field(factory=Deferred)
    _found: list[str] = field(factory=list)

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        """Nothing to do: a resolution cannot be stopped."""

    def addressResolved(self, address: IAddress) -> None:
        self._found.append(plain_host(str(getattr(address, "host", address))))

    def resolutionComplete(self) -> None:
        self.all.callback(self._found)
