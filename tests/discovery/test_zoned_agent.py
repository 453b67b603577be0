"""Tests of the real HTTP agents, over a reactor in memory."""

from __future__ import annotations

import datetime
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from OpenSSL.crypto import X509, PKey
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone, ConnectionRefusedError
from twisted.internet.interfaces import IReactorPluggableNameResolver, IResolutionReceiver
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.ssl import Certificate, CertificateOptions, trustRootFromCertificates
from twisted.internet.testing import MemoryReactorClock, StringTransport
from twisted.logger import capturedLogs
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.test.iosim import connectedServerAndClient
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import BrowserLikePolicyForHTTPS, HTTPConnectionPool
from zope.interface import implementer

from p2pshare.discovery.address_policy import Zone
from p2pshare.discovery.fetch import Page, fetch
from p2pshare.discovery.zoned_agent import MAX_ANSWER, zoned_agent
from p2pshare.errors import TrackerUnreachable

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ntext"
URL = "http://tracker.test:80/announce"


@implementer(IReactorPluggableNameResolver)
class Reactor(MemoryReactorClock):
    """A reactor in memory with host names of its own; each look-up takes the next set of addresses, the last stays."""

    def __init__(self, **names: list[list[str]]) -> None:
        super().__init__()
        self.names = {name.replace("_", "."): answers for name, answers in names.items()}
        self.nameResolver = self
        self.lookups: list[str] = []

    def installNameResolver(self, resolver: Any) -> Any:
        raise NotImplementedError

    def resolveHostName(self, receiver: IResolutionReceiver, name: str, portNumber: int, *more: object) -> None:
        self.lookups.append(name)
        receiver.resolutionBegan(self)  # type: ignore[arg-type]
        answers = self.names.get(name, [[name]] if name[0].isdigit() or ":" in name else [[]])
        for host in answers.pop(0) if len(answers) > 1 else answers[0]:
            kind = IPv6Address if ":" in host else IPv4Address
            receiver.addressResolved(kind("TCP", host, portNumber))
        receiver.resolutionComplete()

    def dialled(self) -> list[tuple[str, int]]:
        """Tell where connections went."""
        return [(client[0], client[1]) for client in self.tcpClients]

    def accept(self, number: int = 0) -> tuple[Any, StringTransport]:
        """Let a connection succeed."""
        factory = self.tcpClients[number][2]
        protocol = factory.buildProtocol(IPv4Address("TCP", "1.2.3.4", 80))
        transport = AbortableTransport()
        protocol.makeConnection(transport)
        return protocol, transport

    def refuse(self, number: int = 0) -> None:
        """Let a connection fail."""
        connector, factory = self.connectors[number], self.tcpClients[number][2]
        factory.clientConnectionFailed(connector, Failure(ConnectionRefusedError()))


class AbortableTransport(StringTransport):
    """A transport that can be aborted, as TCP's can."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = True


class ZonedAgentTests(SynchronousTestCase):
    """GETs within the address policy."""

    def fetching(self, reactor: Reactor, url: str = URL, **more: Any) -> Deferred[Page]:
        """Begin to fetch a page with agents of its own."""
        pools = {zone: HTTPConnectionPool(reactor) for zone in Zone}
        agent = zoned_agent(reactor, pools, more.get("policy"), more.get("bind_address"))
        return Deferred.fromCoroutine(fetch(agent, url))

    def test_public_host(self) -> None:
        """A public host is connected to, asked, and its answer read."""
        reactor = Reactor(tracker_test=[["1.2.3.4"]])
        page = self.fetching(reactor)
        protocol, transport = reactor.accept()
        self.assertEqual(reactor.dialled(), [("1.2.3.4", 80)])
        sent = transport.value().splitlines()
        self.assertEqual(sent[0], b"GET /announce HTTP/1.1")
        self.assertIn(b"Host: tracker.test", sent)
        protocol.dataReceived(ANSWER)
        self.assertEqual(self.successResultOf(page).body, b"text")

    def test_own_tracker_in_the_local_zone(self) -> None:
        """The tracker the user named may be a local one, by address or by name."""
        for url in ("http://127.0.0.1/a", "http://[::1]/a", "http://tracker.test/a"):
            reactor = Reactor(tracker_test=[["10.0.0.1"]])
            page = self.fetching(reactor, url)
            protocol, _ = reactor.accept()
            protocol.dataReceived(ANSWER)
            self.assertEqual(self.successResultOf(page).status, 200)
            self.assertIn(reactor.dialled(), ([("127.0.0.1", 80)], [("::1", 80)], [("10.0.0.1", 80)]))

    def test_local_address_is_not_looked_for_elsewhere(self) -> None:
        """A local address that is written as one is asked at once: an announce may be one of thousands."""
        for url, lookups in (("http://127.0.0.1/a", 1), ("http://[fe80::1]/a", 1), ("http://tracker.test/a", 2)):
            reactor = Reactor(tracker_test=[["10.0.0.1"]])
            self.fetching(reactor, url)
            self.assertEqual((len(reactor.dialled()), len(reactor.lookups)), (1, lookups), url)

    def test_f84_redirect_to_local_is_not_dialled(self) -> None:
        """A redirect from a public tracker to a name or address in the own network connects nowhere."""
        for location in (b"http://127.0.0.1/x", b"http://inner.test/x", b"http://[::ffff:10.0.0.1]/x"):
            reactor = Reactor(tracker_test=[["1.2.3.4"]], inner_test=[["192.168.0.1", "fe80::1"]])
            page = self.fetching(reactor)
            protocol, _ = reactor.accept()
            protocol.dataReceived(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: %b\r\n\r\n" % location)
            self.assertIn("is not a public address", str(self.failureResultOf(page, TrackerUnreachable).value))
            self.assertEqual(reactor.dialled(), [("1.2.3.4", 80)])

    def test_f84_rebinding(self) -> None:
        """A name that is public at one look-up and local at the next is dialled where it was found public only."""
        reactor = Reactor(tracker_test=[["1.2.3.4"], ["127.0.0.1"]])
        page = self.fetching(reactor)
        protocol, _ = reactor.accept()
        protocol.dataReceived(
            b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nConnection: close\r\nLocation: http://tracker.test:80/x\r\n\r\n"
        )
        protocol.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(page, TrackerUnreachable)
        self.assertEqual(reactor.dialled(), [("1.2.3.4", 80)])

    def test_f84_mixed_addresses(self) -> None:
        """Of a name with addresses in both zones the public ones are tried first, then, for the own URL, the rest."""
        reactor = Reactor(tracker_test=[["10.0.0.1", "1.2.3.4"]])
        page = self.fetching(reactor)
        self.assertEqual(reactor.dialled(), [("1.2.3.4", 80)])
        reactor.refuse()
        reactor.advance(1)
        self.assertEqual(reactor.dialled(), [("1.2.3.4", 80), ("10.0.0.1", 80)])
        protocol, _ = reactor.accept(1)
        protocol.dataReceived(ANSWER)
        self.successResultOf(page)

    def test_unknown_name(self) -> None:
        """A name without any address is told as such."""
        page = self.fetching(Reactor())
        self.assertIn("no address found", str(self.failureResultOf(page, TrackerUnreachable).value))

    def test_refused_connection(self) -> None:
        """A refused connection is told as such, though the local zone was tried in vain afterwards."""
        reactor = Reactor(tracker_test=[["1.2.3.4"]])
        page = self.fetching(reactor)
        reactor.refuse()
        reactor.advance(1)
        self.assertEqual(str(self.failureResultOf(page, TrackerUnreachable).value), f"{URL}: connection refused")

    def test_connections_are_used_again(self) -> None:
        """A second request to the same tracker goes over the connection of the first."""
        reactor = Reactor(tracker_test=[["1.2.3.4"]])
        agent = zoned_agent(reactor, {zone: HTTPConnectionPool(reactor) for zone in Zone}, None, None)
        page = Deferred.fromCoroutine(fetch(agent, URL))
        protocol, transport = reactor.accept()
        protocol.dataReceived(ANSWER)
        self.successResultOf(page)
        transport.clear()
        page = Deferred.fromCoroutine(fetch(agent, URL + "2"))
        self.assertTrue(transport.value().startswith(b"GET /announce2 "))
        protocol.dataReceived(ANSWER)
        self.successResultOf(page)
        self.assertEqual(len(reactor.tcpClients), 1)

    def test_f85_endless_headers(self) -> None:
        """An answer that never gets beyond its headers is aborted at the limit."""
        reactor = Reactor(tracker_test=[["1.2.3.4"]])
        page = self.fetching(reactor)
        protocol, transport = reactor.accept()
        protocol.dataReceived(b"HTTP/1.1 200 OK\r\n")
        line = b"X: " + b"x" * 8187 + b"\r\n"
        for _ in range(MAX_ANSWER // len(line) - 1):
            protocol.dataReceived(line)
        self.assertEqual(transport.aborted, False)
        protocol.dataReceived(line)
        self.assertEqual(transport.aborted, True)
        protocol.connectionLost(Failure(ConnectionDone()))
        self.failureResultOf(page, TrackerUnreachable)

    def test_bind_address(self) -> None:
        """Connections can be made from one address of ours."""
        reactor = Reactor(tracker_test=[["1.2.3.4"]])
        self.fetching(reactor, bind_address="127.0.0.2").addErrback(lambda _: None)
        self.assertEqual(reactor.tcpClients[0][4], ("127.0.0.2", 0))

    def test_quiet(self) -> None:
        """A connection is no news for the log."""
        reactor = Reactor(tracker_test=[["1.2.3.4"]])
        self.fetching(reactor).addErrback(lambda _: None)
        factory = reactor.tcpClients[0][2]
        with capturedLogs() as events:
            factory.doStart()
            factory.doStop()
        self.assertEqual(events, [])

    def test_other_schemes(self) -> None:
        """A redirect to anything but http and https is refused."""
        reactor = Reactor(tracker_test=[["1.2.3.4"]])
        page = self.fetching(reactor)
        protocol, _ = reactor.accept()
        protocol.dataReceived(b"HTTP/1.1 302 Found\r\nContent-Length: 0\r\nLocation: ftp://tracker.test/x\r\n\r\n")
        self.assertIn("neither http nor https", str(self.failureResultOf(page, TrackerUnreachable).value))


class CertificateTests(SynchronousTestCase):
    """HTTPS."""

    def answer_over_tls(self, names: list[str], trusted: bool) -> Deferred[Page]:
        """Fetch a page from a server whose certificate has these names and is, or is not, one we trust."""
        key, certificate = make_certificate(names)
        reactor = Reactor(tracker_test=[["1.2.3.4"]])
        root = trustRootFromCertificates([Certificate(certificate)] if trusted else [])
        pools = {zone: HTTPConnectionPool(reactor) for zone in Zone}
        agent = zoned_agent(reactor, pools, BrowserLikePolicyForHTTPS(root), None)
        page = Deferred.fromCoroutine(fetch(agent, "https://tracker.test/announce"))
        options = CertificateOptions(privateKey=key, certificate=certificate)
        server = TLSMemoryBIOFactory(options, False, Factory.forProtocol(Answerer), clock=reactor)
        client = reactor.tcpClients[0][2]
        _, _, pump = connectedServerAndClient(
            lambda: server.buildProtocol(None), lambda: client.buildProtocol(None), clock=reactor
        )
        pump.flush()
        return page

    def test_valid(self) -> None:
        """A server with a certificate of a trusted root and with its name is believed."""
        self.assertEqual(self.successResultOf(self.answer_over_tls(["tracker.test"], True)).body, b"text")

    def test_f89_unknown_root(self) -> None:
        """A certificate from nobody we trust is refused, and the reason told."""
        failure = self.failureResultOf(self.answer_over_tls(["tracker.test"], False), TrackerUnreachable)
        self.assertIn("TLS: certificate verify failed", str(failure.value))

    def test_f89_wrong_name(self) -> None:
        """A certificate for another name is refused."""
        failure = self.failureResultOf(self.answer_over_tls(["other.test"], True), TrackerUnreachable)
        self.assertIn("TLS: the certificate is for another name", str(failure.value))


class Answerer(Protocol):
    """A server that answers whatever comes."""

    def dataReceived(self, data: bytes) -> None:
        assert self.transport is not None
        self.transport.write(ANSWER)


def make_certificate(names: list[str]) -> tuple[PKey, X509]:
    """Make a key and a certificate that vouches for itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(datetime.datetime(2020, 1, 1))
        .not_valid_after(datetime.datetime(2120, 1, 1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    return PKey.from_cryptography_key(key), X509.from_cryptography(certificate)
