"""Stand-ins for web servers and trackers that record what they were asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.interfaces import IProtocol
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.web.client import ResponseDone
from twisted.web.http_headers import Headers
from twisted.web.iweb import UNKNOWN_LENGTH, IAgent, IBodyProducer, IResponse
from zope.interface import implementer

from p2pshare.discovery.address_policy import AddressRefused
from p2pshare.discovery.zoned_agent import ZonedAgent
from p2pshare.wire.announce import AnnounceRequest, AnnounceResponse, Event


@implementer(IResponse)
@define(eq=False)
class FakeResponse:
    """A response whose body comes in the parts given and then ends, unless ``endless``."""

    parts: tuple[bytes, ...] = ()
    code: int = 200
    phrase: bytes = b"OK"
    headers: Headers = field(factory=Headers)
    endless: bool = False
    ending: Exception = field(factory=lambda: ResponseDone("done"))
    length: Any = UNKNOWN_LENGTH
    version: Any = (b"HTTP", 1, 1)
    request: Any = None
    previousResponse: Any = None
    transport: StringTransport = field(factory=StringTransport)
    taken: int = 0  # parts the reader took before hanging up

    def setPreviousResponse(self, response: Any) -> None:
        raise NotImplementedError

    def deliverBody(self, protocol: IProtocol) -> None:
        protocol.makeConnection(self.transport)
        for part in self.parts:
            if self.transport.disconnecting:
                break
            self.taken += 1
            protocol.dataReceived(part)
        if not self.endless:
            protocol.connectionLost(Failure(self.ending))


def redirect(location: str | bytes, code: int = 302) -> FakeResponse:
    """A response that sends the client elsewhere."""
    return FakeResponse((b"moved",), code, b"Found", Headers({"Location": [location]}))


@implementer(IAgent)
@define(eq=False)
class FakeAgent:
    """Answers each URL, up to its query, with what is set for it; others are refused as by the address policy."""

    pages: dict[str, FakeResponse | Exception | Deferred[IResponse] | type[Deferred[IResponse]]]
    asked: list[str] = field(factory=list)
    headers: list[Headers] = field(factory=list)

    def request(
        self, method: bytes, uri: bytes, headers: Headers | None = None, bodyProducer: IBodyProducer | None = None
    ) -> Deferred[IResponse]:
        assert (method, bodyProducer) == (b"GET", None)
        assert headers is not None
        url = uri.decode().partition("?")[0]
        if url not in self.pages:
            return fail(AddressRefused("10.0.0.1 is not a public address"))
        self.asked.append(uri.decode())
        self.headers.append(headers)
        page = self.pages[url]
        if page is Deferred:  # a new one each time
            return Deferred()
        if isinstance(page, Deferred):
            return page
        return fail(page) if isinstance(page, Exception) else succeed(page)


def agents(
    public: dict[str, Any] | None = None, local: dict[str, Any] | None = None
) -> tuple[ZonedAgent, FakeAgent, FakeAgent]:
    """An agent over two fake zones, and these."""
    fakes = FakeAgent(public or {}), FakeAgent(local or {})
    return ZonedAgent(*fakes), *fakes


Outcome = AnnounceResponse | Exception


@define(eq=False)
class FakeTracker:
    """Writes down (time, url, event) of each announce in a log it shares with others, and answers."""

    url: str
    log: list[tuple[float, str, Event | None]]
    now: Callable[[], float]
    outcome: Callable[[AnnounceRequest], Outcome | Deferred[AnnounceResponse]]  # may be changed at any time
    requests: list[AnnounceRequest] = field(factory=list)

    def announce(self, request: AnnounceRequest) -> Deferred[AnnounceResponse]:
        self.requests.append(request)
        self.log.append((self.now(), self.url, request.event))
        outcome = self.outcome(request)
        if isinstance(outcome, Deferred):
            return outcome
        return fail(outcome) if isinstance(outcome, Exception) else succeed(outcome)
