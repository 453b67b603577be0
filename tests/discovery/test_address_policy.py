"""Tests of the zones of the network and of name resolution within one."""

from __future__ import annotations

from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IAddress, IHostResolution, IResolutionReceiver
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import implementer

from p2pshare.discovery.address_policy import Zone, ZoneResolver, zone_of


class ZoneOfTests(SynchronousTestCase):
    """Which zone an address is in."""

    def test_public(self) -> None:
        """Addresses anybody could have are public, in IPv6 clothes and behind gateways too."""
        for host in (
            "1.1.1.1",
            "2606:4700::1111",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
            "2002:101:101::1",
            "172.32.0.1",
        ):
            self.assertIs(zone_of(host), Zone.PUBLIC, host)

    def test_f84_local(self) -> None:
        """Loopback, link-local, private and whatever is not plainly public is local, however it is dressed."""
        hosts = ["127.0.0.1", "127.9.9.9", "0.0.0.0", "10.1.2.3", "172.16.0.1", "192.168.0.1", "169.254.169.254"]
        hosts += ["::1", "::", "fe80::1", "fe80::1%eth0", "fc00::1", "fd12::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1"]
        hosts += ["100.64.0.1", "224.0.0.1", "255.255.255.255", "ff02::1", "198.18.0.1"]
        hosts += ["64:ff9b::7f00:1", "64:ff9b::a00:1", "2002:7f00:1::", "2002:c0a8:1::1"]
        for host in hosts:
            self.assertIs(zone_of(host), Zone.LOCAL, host)


@implementer(IResolutionReceiver)
class Recorder:
    """Collects what a resolver tells."""

    def __init__(self) -> None:
        self.events: list[object] = []

    def resolutionBegan(self, resolutionInProgress: IHostResolution) -> None:
        self.events.append("began")

    def addressResolved(self, address: IAddress) -> None:
        assert isinstance(address, IPv4Address)
        self.events.append(address.host)

    def resolutionComplete(self) -> None:
        self.events.append("complete")


class FixedResolver:
    """Resolves everything to the same addresses."""

    def __init__(self, hosts: list[str]) -> None:
        self.hosts = hosts

    def resolveHostName(self, receiver: IResolutionReceiver, name: str, port: int, *more: object) -> None:
        receiver.resolutionBegan(self)  # type: ignore[arg-type]
        for host in self.hosts:
            receiver.addressResolved(IPv4Address("TCP", host, port))
        receiver.resolutionComplete()


class ZoneResolverTests(SynchronousTestCase):
    """Names resolved within a zone."""

    def test_f84_other_zones_are_left_out(self) -> None:
        """Of the addresses a name has, those of the other zone do not get through, and are remembered."""
        inner = FixedResolver(["127.0.0.1", "1.2.3.4", "10.0.0.1"])
        for zone, through, refused in (
            (Zone.PUBLIC, ["1.2.3.4"], ["127.0.0.1", "10.0.0.1"]),
            (Zone.LOCAL, ["127.0.0.1", "10.0.0.1"], ["1.2.3.4"]),
        ):
            resolver, recorder = ZoneResolver(inner, zone), Recorder()  # type: ignore[arg-type]
            resolver.resolveHostName(recorder, "tracker.test", 80)
            self.assertEqual(recorder.events, ["began", *through, "complete"])
            self.assertEqual(resolver.refused, refused)
