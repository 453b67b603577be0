"""The HTTP API of an index, as nodes and commands ask it; see docs/http-api.md."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn
from urllib.parse import quote, urlencode, urlsplit

import msgspec
from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IReactorTime, IStreamClientEndpoint
from twisted.web.client import URI, Agent, HTTPConnectionPool
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgent, IAgentEndpointFactory
from zope.interface import implementer

from p2pshare import __version__
from p2pshare.addresses import Address, is_dialable, plain_host
from p2pshare.discovery.fetch import FAILURES, cause, read_body, shown
from p2pshare.discovery.ready_body import ReadyBody
from p2pshare.errors import ConfigError, IndexRefused, IndexUnreachable, TrackerUnreachable

TIMEOUT = 20.0  # s for a whole answer
CONNECT_TIMEOUT = 10.0  # s
LONGEST_REPLY = 16 * 1024 * 1024  # bytes; a torrent file is 10 MiB at most
_LONGEST_REASON = 300  # characters of a refusal that are shown
_NOT_JSON = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)


def index_url(text: str) -> str:
    """
    Read the address of an index as people give it; a path, as of one of its pages or faces, does not matter.

    :return: scheme, host and port.
    :raise ConfigError: it is none.
    """
    try:
        parts = urlsplit(text.strip() if "://" in text else f"http://{text.strip()}")
        host, port = parts.hostname or "", parts.port
    except ValueError:
        host, port = "", None
    if host and "@" in parts.netloc:  # not repeated: it may be a secret
        raise ConfigError("index: an address with a user name or password in it; an index asks for a token instead")
    if not is_dialable(Address(host, 80 if port is None else port)) or parts.scheme not in ("http", "https"):
        raise ConfigError(f"index: {text!r}, not an address such as http://index.example.org:8000")
    shape = Address(plain_host(host), port or 0)
    return f"{parts.scheme}://{shape if port else str(shape).removesuffix(':0')}"


@define(eq=False)
class IndexClient:
    """
    One index. Every method fails with IndexRefused when it said no, and with IndexUnreachable when it said nothing.

    Redirects are not followed: whoever configured the index meant that one.
    """

    base: str  # as index_url() gives it
    _agent: IAgent = field(repr=False)
    _clock: IReactorTime = field(repr=False)
    _token: str | None = field(default=None, repr=False)
    _pool: HTTPConnectionPool | None = field(default=None, repr=False)
    our_host: str | None = None  # the address that our connections to it come from; None: there was none yet

    async def ask(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        """
        Ask for JSON.

        :param query: what is None is left out; a list is several of that name.
        :param body: sent as JSON.
        :return: what was answered; None when that was nothing at all.
        """
        data = await self.fetch(method, path, query=query, body=body, headers=headers)
        if not data:
            return None
        try:
            return msgspec.json.decode(data)
        except _NOT_JSON:
            raise IndexUnreachable(f"{shown(self.base)}: answered {path} with something that is not JSON") from None

    async def fetch(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, object] | None = None,
        body: object = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Ask for whatever is there."""
        asking = Deferred.fromCoroutine(self._fetch(method, path, query or {}, body, headers or {}))
        return await asking.addTimeout(TIMEOUT, self._clock, self._too_slow)

    def close(self) -> Deferred[None]:
        """Close the connections kept open for the next question; fires when they are."""
        if self._pool is None:
            return succeed(None)
        closing: Deferred[None] = self._pool.closeCachedConnections().addCallback(lambda _: None)
        return closing

    async def _fetch(
        self, method: str, path: str, query: Mapping[str, object], body: object, headers: Mapping[str, str]
    ) -> bytes:
        given = {name: value for name, value in query.items() if value is not None}
        url = f"{self.base}{quote(path)}{'?' if given else ''}{urlencode(given, doseq=True)}"
        # Compression is neither offered nor taken, so that the bytes we count are the bytes there are.
        sent = Headers({"User-Agent": [f"p2pshare/{__version__}"], "Accept": ["application/json"]})
        sent.setRawHeaders("Accept-Encoding", ["identity"])
        for name, value in headers.items():
            sent.setRawHeaders(name, [value])
        if self._token is not None:
            sent.setRawHeaders("Authorization", [f"Bearer {self._token}"])
        producer = None
        if body is not None:
            sent.setRawHeaders("Content-Type", ["application/json"])
            producer = ReadyBody(msgspec.json.encode(body))
        try:
            response = await self._agent.request(method.encode(), url.encode("ascii"), sent, producer)
            data = await read_body(response, LONGEST_REPLY)
        except TrackerUnreachable as error:
            raise IndexUnreachable(f"{shown(self.base)}: {error}") from error
        except FAILURES as error:
            raise IndexUnreachable(f"{shown(self.base)}: {cause(error, self.base)}") from error
        if response.code >= 400:
            raise IndexRefused(_reason(data, response.code, self.base), response.code)
        if response.code >= 300:
            raise IndexUnreachable(f"{shown(self.base)}: answered {path} with a redirect; is this an index?")
        return data

    def _too_slow(self, _: object, seconds: float) -> NoReturn:
        raise IndexUnreachable(f"{shown(self.base)}: no complete answer within {seconds:g} s")


def make_index_client(
    reactor: Any, base: str, token: str | None = None, *, bind_address: str | None = None
) -> IndexClient:
    """
    Build a real client, which keeps its connection for the next question; whoever has it closes it.

    :param base: as :func:`index_url` gives it.
    :param bind_address: connect from this address of ours instead of whichever the system chooses.
    """
    pool = HTTPConnectionPool(reactor)
    endpoints = _Endpoints(reactor, bind_address)
    client = IndexClient(base, Agent.usingEndpointFactory(reactor, endpoints, pool), reactor, token, pool)
    endpoints.client = client
    return client


@implementer(IAgentEndpointFactory)
@define(eq=False)
class _Endpoints:
    _reactor: Any
    _bind_address: str | None
    client: IndexClient = field(init=False)

    def endpointForURI(self, uri: URI) -> IStreamClientEndpoint:
        host = uri.host.decode("ascii")
        tcp = HostnameEndpoint(self._reactor, host, uri.port, CONNECT_TIMEOUT, self._bind_address)
        endpoint: IStreamClientEndpoint = _Noting(tcp, self.client)
        if uri.scheme == b"https":
            from p2pshare.discovery.tls import over_tls  # late, because it is slow: see there

            endpoint = over_tls(endpoint, None, uri.host, uri.port, self._reactor)
        return endpoint


@implementer(IStreamClientEndpoint)
@define(eq=False)
class _Noting:
    """Connects, and notes which of our addresses the system chose for that."""

    _inner: IStreamClientEndpoint
    _client: IndexClient

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        return self._inner.connect(protocolFactory).addCallback(self._note)

    def _note(self, protocol: Any) -> IProtocol:
        self._client.our_host = plain_host(protocol.transport.getHost().host)
        connected: IProtocol = protocol
        return connected


def _reason(data: bytes, status: int, base: str) -> str:
    try:
        said = msgspec.json.decode(data)
    except _NOT_JSON:
        said = None
    text = (said.get("error") or said.get("detail")) if isinstance(said, dict) else None
    if not isinstance(text, str):
        text = f"{shown(base)}: answered {status}"
    return "".join(char if char.isprintable() else "?" for char in text[:_LONGEST_REASON])
