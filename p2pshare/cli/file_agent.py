"""HTTP connections for whole files: within a zone of the network, and within a size that is known beforehand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.error import DNSLookupError
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
from twisted.web.iweb import IAgentEndpointFactory
from zope.interface import implementer

from p2pshare.discovery.address_policy import AddressRefused, Zone, ZoneResolver
from p2pshare.discovery.zoned_agent import CONNECT_TIMEOUT, ZonedAgent

_HEADERS = 1024 * 1024  # bytes of an answer besides its body: Twisted has no limit of its own


def file_agent(reactor: Any, longest: int) -> ZonedAgent:
    """
    Build agents whose connections serve one request each.

    :param longest: bytes of a body; a connection that sends much more is aborted.
    """
    public, local = (
        Agent.usingEndpointFactory(
            reactor, _Endpoints(reactor, zone, longest + _HEADERS), HTTPConnectionPool(reactor, persistent=False)
        )
        for zone in (Zone.PUBLIC, Zone.LOCAL)
    )
    return ZonedAgent(public, local)


@implementer(IAgentEndpointFactory)
@define(eq=False)
class _Endpoints:
    _reactor: Any
    _zone: Zone
    _limit: int

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        endpoint: IStreamClientEndpoint = _Endpoint(
            self._reactor, self._zone, uri.host.decode("ascii"), uri.port, self._limit
        )
        if uri.scheme == b"https":
            from p2pshare.discovery.tls import over_tls  # late, because it is slow: see there

            return over_tls(endpoint, None, uri.host, uri.port, self._reactor)
        if uri.scheme != b"http":
            raise SchemeNotSupported(f"{uri.scheme!r} is neither http nor https")
        return endpoint


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
class _Endpoint:
    """Connects to an address of a host in one zone, and aborts the connection when too much arrives."""

    _reactor: Any
    _zone: Zone
    _host: str
    _port: int
    _limit: int

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        resolver = ZoneResolver(self._reactor.nameResolver, self._zone)
        view = _ReactorView(resolver, self._reactor.connectTCP, self._reactor.callLater, self._reactor.seconds)
        factory = WrappingFactory(protocolFactory)
        factory.protocol = lambda made, inner: _Cap(made, inner, self._limit)
        factory.noisy = False
        if isinstance(protocolFactory, Factory):
            protocolFactory.noisy = False  # no lines in the log for every connection

        def explain(failure: Any) -> Any:
            failure.trap(DNSLookupError)
            if resolver.refused:
                raise AddressRefused(f"{resolver.refused[0]} is not a {self._zone.value} address") from failure.value
            return failure

        connecting = HostnameEndpoint(view, self._host, self._port, CONNECT_TIMEOUT).connect(factory)
        return connecting.addCallbacks(lambda wrapper: wrapper.wrappedProtocol, explain)


class _Cap(ProtocolWrapper):
    """Counts what arrives; knows nothing of HTTP."""

    def __init__(self, factory: Any, inner: IProtocol, limit: int) -> None:
        """Allow so many bytes."""
        super().__init__(factory, inner)
        self._left = limit

    def dataReceived(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self.abortConnection()  # the transport's, by way of the wrapper
        else:
            super().dataReceived(data)
