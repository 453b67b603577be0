"""HTTP connections that stay within a zone of the network, and whose answers stay within a size."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlsplit

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import ConnectError, DNSLookupError
from twisted.internet.interfaces import (
    IHostnameResolver,
    IProtocol,
    IProtocolFactory,
    IReactorPluggableNameResolver,
    IStreamClientEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.protocols.policies import ProtocolWrapper, WrappingFactory
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.error import SchemeNotSupported
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory, IPolicyForHTTPS, IResponse
from zope.interface import implementer

from p2pshare.addresses import is_numeric
from p2pshare.discovery.address_policy import AddressRefused, Zone, ZoneResolver, zone_of

CONNECT_TIMEOUT = 10.0  # seconds for each address of a host; libtorrent allows 15
MAX_ANSWER = 2 * 1024 * 1024  # bytes from one request to the next: headers have no limit of their own in Twisted


@define(eq=False)
class ZonedAgent:
    """
    Sends a GET to a host in the public zone or, where allowed, in the local one, and tells which it was.

    The zones have separate agents, so that a connection kept open for one is never used for the other.
    """

    _public: IAgent
    _local: IAgent

    async def get(self, url: bytes, headers: Headers, *, local_too: bool) -> tuple[IResponse, Zone]:
        """
        Ask for a URL.

        A host with addresses in both zones is tried in the public one first.

        :raise AddressRefused: the host is in the local zone only, which ``local_too`` does not allow.
        """
        if local_too and _is_local(url):  # then looking for a public address is all that an announce would cost
            return await self._local.request(b"GET", url, headers), Zone.LOCAL
        try:
            return await self._public.request(b"GET", url, headers), Zone.PUBLIC
        except (AddressRefused, ConnectError, DNSLookupError) as error:
            if not local_too:
                raise
            try:
                return await self._local.request(b"GET", url, headers), Zone.LOCAL
            except AddressRefused:  # there is no local address: what happened to the public one is the news
                raise error from None


def _is_local(url: bytes) -> bool:
    """Whether the host of a URL is a local address, written as one; of names only a resolver knows."""
    try:
        host = urlsplit(url.decode("ascii")).hostname or ""
    except ValueError:
        return False
    return is_numeric(host) and zone_of(host) is Zone.LOCAL


def zoned_agent(
    reactor: Any,
    pools: dict[Zone, HTTPConnectionPool],
    policy: IPolicyForHTTPS | None,
    bind_address: str | None,
    *,
    longest_answer: int = MAX_ANSWER,
) -> ZonedAgent:
    """
    Build the real agents.

    :param policy: how certificates are checked; None: against the system's roots, with the host's name.
    :param bind_address: connect from this address of ours instead of whichever the system chooses.
    :param longest_answer: bytes, headers included; a connection that sends more after one request is aborted.
    """
    public, local = (
        Agent.usingEndpointFactory(
            reactor, _ZoneEndpoints(reactor, zone, policy, bind_address, longest_answer), pools[zone]
        )
        for zone in (Zone.PUBLIC, Zone.LOCAL)
    )
    return ZonedAgent(public, local)


@implementer(IAgentEndpointFactory)
@define(eq=False)
class _ZoneEndpoints:
    _reactor: Any
    _zone: Zone
    _policy: IPolicyForHTTPS | None
    _bind_address: str | None
    _longest_answer: int

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        endpoint: IStreamClientEndpoint = _ZoneEndpoint(
            self._reactor, self._zone, uri.host.decode("ascii"), uri.port, self._bind_address
        )
        if uri.scheme == b"https":
            from p2pshare.discovery.tls import over_tls  # late, because it is slow: see there

            endpoint = over_tls(endpoint, self._policy, uri.host, uri.port, self._reactor)
        elif uri.scheme != b"http":
            raise SchemeNotSupported(f"{uri.scheme!r} is neither http nor https")
        return _CappedEndpoint(endpoint, self._longest_answer)


@implementer(IReactorPluggableNameResolver)
@define(eq=False)
class _ReactorView:
    """The reactor as HostnameEndpoint needs it, with a name resolver of our own: the only way to hand one in."""

    nameResolver: IHostnameResolver
    connectTCP: Callable[..., Any]
    callLater: Callable[..., Any]
    seconds: Callable[[], float]

    def installNameResolver(self, resolver: IHostnameResolver) -> IHostnameResolver:
        self.nameResolver, former = resolver, self.nameResolver
        return former


@implementer(IStreamClientEndpoint)
@define(eq=False)
class _ZoneEndpoint:
    """Connects to whichever address of a host in one zone answers first."""

    _reactor: Any
    _zone: Zone
    _host: str
    _port: int
    _bind_address: str | None

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        resolver = ZoneResolver(self._reactor.nameResolver, self._zone)
        view = _ReactorView(resolver, self._reactor.connectTCP, self._reactor.callLater, self._reactor.seconds)
        endpoint = HostnameEndpoint(view, self._host, self._port, CONNECT_TIMEOUT, self._bind_address)

        def explain(failure: Any) -> Any:
            failure.trap(DNSLookupError)
            if resolver.refused:
                raise AddressRefused(f"{resolver.refused[0]} is not a {self._zone.value} address") from failure.value
            return failure

        return endpoint.connect(protocolFactory).addErrback(explain)


@implementer(IStreamClientEndpoint)
@define(eq=False)
class _CappedEndpoint:
    """Connects, and aborts the connection when an answer gets out of hand."""

    _inner: IStreamClientEndpoint
    _longest_answer: int

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        factory = WrappingFactory(protocolFactory)
        factory.protocol = lambda made, protocol: _AnswerCap(made, protocol, self._longest_answer)
        factory.noisy = False
        if isinstance(protocolFactory, Factory):
            protocolFactory.noisy = False  # no lines in the log for every connection
        return self._inner.connect(factory).addCallback(_unwrapped)


def _unwrapped(wrapper: IProtocol) -> IProtocol:
    assert isinstance(wrapper, _AnswerCap)
    protocol: IProtocol = wrapper.wrappedProtocol
    return protocol


class _AnswerCap(ProtocolWrapper):
    """Counts what arrives after each request; knows nothing of HTTP."""

    def __init__(self, factory: Any, protocol: IProtocol, longest: int) -> None:
        """Allow so many bytes for an answer."""
        super().__init__(factory, protocol)
        self._longest = self._left = longest

    def write(self, data: bytes) -> None:
        self._left = self._longest
        super().write(data)

    def writeSequence(self, data: list[bytes]) -> None:
        self._left = self._longest
        super().writeSequence(data)

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.abortConnection()  # the transport's, by way of the wrapper
        else:
            super().dataReceived(data)
