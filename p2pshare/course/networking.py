"""The connections of a course peer: one listening port, one link to each neighbor, messages by the neighbor's id."""

from __future__ import annotations

from collections.abc import Collection, Container
from typing import Any
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ServerEndpoint
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IAddress,
    IDelayedCall,
    IListeningPort,
    IReactorTime,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.addresses import Address, plain_host
from p2pshare.course.connection import NeighborConnection
from p2pshare.errors import PortError
from p2pshare.geometry import Geometry
from p2pshare.peer.outbox import Block, BlockSource
from p2pshare.wire import course
from p2pshare.wire.messages import KeepAlive, Message, Unknown
from p2pshare.wire.session import WireSession

RETRY = 1.0  # s until a neighbor that is not up yet is dialled again
CONNECT_TIMEOUT = 10.0  # s
MOST_STRANGERS = 100  # connections that have not greeted yet


class Callbacks(Seam):
    """The peer process, told what happens on its connections."""

    def on_peer_connected(self, id: int, incoming: bool) -> None:
        """Both handshakes are through. ``incoming``: the neighbor dialled."""

    def on_message(self, id: int, message: Message) -> None:
        """A message came. The data of a Piece is good only until this returns."""

    def on_messages_end(self, id: int) -> None:
        """Every message of one read was handed over: the moment to answer them together."""

    def on_pieces_sent(self, id: int, amount: int) -> None:
        """So many bytes of pieces went out to a neighbor."""

    def on_pieces_unreadable(self, id: int, blocks: list[Block], reason: Failure) -> None:
        """Pieces promised to a neighbor could not be read from disk."""

    def on_peer_disconnected(self, id: int, link: NeighborConnection, reason: str) -> None:
        """A neighbor's connection is gone; it was this one."""


class Endpoints(Seam):
    """Where to listen, and how to dial."""

    def server(self, port: int) -> IStreamServerEndpoint:
        """Make the endpoint that neighbors dial."""

    def client(self, host: str, port: int) -> IStreamClientEndpoint:
        """Make the endpoint of a neighbor."""


@define(eq=False)
class TCPEndpoints:
    """Endpoints on all addresses of this machine."""

    _reactor: Any  # IReactorTCP, IReactorTime, IReactorPluggableNameResolver

    def server(self, port: int) -> IStreamServerEndpoint:
        """Make the endpoint that neighbors dial."""
        return TCP4ServerEndpoint(self._reactor, port)

    def client(self, host: str, port: int) -> IStreamClientEndpoint:
        """Make the endpoint of a neighbor, by name or address."""
        return HostnameEndpoint(self._reactor, host, port, CONNECT_TIMEOUT)


@define(eq=False)
class Network:
    """
    Opens, admits and closes connections. Knows no piece, no choke and no interest.

    A neighbor is admitted when its id is in PeerInfo.cfg, is not ours, is the one that was dialled, and has no
    connection yet.
    """

    _own: int
    _known: Container[int]  # every id of PeerInfo.cfg
    _geometry: Geometry
    _source: BlockSource  # where promised pieces are read
    _endpoints: Endpoints
    _clock: IReactorTime
    _callbacks: Callbacks
    _listening: IListeningPort | None = field(init=False, default=None)
    _links: dict[int, NeighborConnection] = field(init=False, factory=dict)  # admitted
    _strangers: set[NeighborConnection] = field(init=False, factory=set)  # not yet, or never
    _dials: dict[int, Deferred[Any]] = field(init=False, factory=dict)
    _retries: dict[int, IDelayedCall] = field(init=False, factory=dict)
    _addresses: dict[int, tuple[str, int]] = field(init=False, factory=dict)  # to be dialled until they are here
    _is_over: bool = field(init=False, default=False)
    _deserted: list[Deferred[None]] = field(init=False, factory=list)  # fire when the last connection is gone
    log = Logger()

    @property
    def connected(self) -> list[int]:
        """Who has a connection, in the order in which they came."""
        return list(self._links)

    @property
    def is_listening(self) -> bool:
        """Whether the port is open."""
        return self._listening is not None

    def link(self, id: int) -> NeighborConnection:
        """Give the connection of a neighbor that has one."""
        return self._links[id]

    def start_server(self, port: int) -> Deferred[None]:
        """
        Listen for neighbors.

        :return: errs back with PortError when the port cannot be had.
        """
        return Deferred.fromCoroutine(self._listen(port))

    async def _listen(self, port: int) -> None:
        try:
            listening = await self._endpoints.server(port).listen(_Factory(self, None))
        except CannotListenError as error:
            raise PortError(f"port {port}: {error.socketError}") from error
        if self._is_over:
            await maybeDeferred(listening.stopListening)
            return
        self._listening = listening

    def connect_to_peer(self, id: int, host: str, port: int) -> None:
        """Dial a neighbor, again and again until it is connected or we shut down."""
        if not self._is_over and id not in self._links and id not in self._addresses:
            self._addresses[id] = (host, port)
            self._dial(id)

    def send_message(self, id: int, message: Message) -> bool:
        """
        Say something to a neighbor. Tell whether it is connected.

        :raise LocalWireError: that cannot be said, or not now.
        """
        link = self._links.get(id)
        if link is not None:
            link.send(message)
        return link is not None

    def broadcast_message(self, message: Message, exclude: Collection[int] = ()) -> None:
        """
        Say something to all neighbors but some.

        :raise LocalWireError: that cannot be said, or not now.
        """
        for id, link in tuple(self._links.items()):
            if id not in exclude:
                link.send(message)

    def disconnect(self, id: int, reason: str) -> None:
        """Hang up on a neighbor that misbehaves."""
        link = self._links.get(id)
        if link is not None:
            link.abort(reason)

    def shutdown(self) -> Deferred[None]:
        """Hang up on everybody once all that was said has gone out, and close the port; fires when that is done."""
        self._is_over = True
        self._addresses.clear()
        for retry in self._retries.values():
            retry.cancel()
        self._retries.clear()
        for dial in tuple(self._dials.values()):
            dial.cancel()
        endings: list[Deferred[Any]] = []
        if self._listening is not None:
            listening, self._listening = self._listening, None
            endings.append(maybeDeferred(listening.stopListening))
        for stranger in tuple(self._strangers):
            stranger.abort("we are leaving")
        for link in tuple(self._links.values()):
            link.close("we are leaving")
        if self._links or self._strangers:
            deserted: Deferred[None] = Deferred()
            self._deserted.append(deserted)
            endings.append(deserted)
        return DeferredList(endings).addCallback(lambda _: None)

    # What a connection asks and tells

    def hello(self) -> bytes:
        """Our handshake."""
        return course.encode_handshake(course.Handshake(self._own))

    def build(self, address: Address, expected: int | None) -> NeighborConnection | None:
        """Make a connection; None: too many have not greeted yet, or we are leaving."""
        if self._is_over or len(self._strangers) >= MOST_STRANGERS:
            return None
        connection = NeighborConnection(self, self._clock, self._source, self._geometry.piece_length, address, expected)
        self._strangers.add(connection)
        return connection

    def greeted(self, connection: NeighborConnection, id: int) -> WireSession | None:
        """Admit a neighbor, or not."""
        refusal = self._refusal(connection, id)
        if refusal is not None:
            self.log.info("refusing peer {id}: {refusal}", id=id, refusal=refusal)
            return None

        def warn(size: int) -> None:
            self.log.warn("peer {id} sent a bitfield of {size} bytes only", id=id, size=size)

        dialect = course.make_dialect(self._geometry, warn)
        return WireSession(dialect, num_pieces=self._geometry.num_pieces, fast=False, extended=False)

    def _refusal(self, connection: NeighborConnection, id: int) -> str | None:
        if id == self._own:
            return "that is ourselves"
        if connection.expected not in (None, id):
            return f"peer {connection.expected} was expected there"
        if id not in self._known:
            return "it is not in PeerInfo.cfg"
        if id in self._links:
            return "it is connected already"
        return "we are leaving" if self._is_over else None

    def joined(self, connection: NeighborConnection) -> None:
        """A neighbor was admitted."""
        assert connection.id is not None
        self._strangers.discard(connection)
        self._links[connection.id] = connection
        self._addresses.pop(connection.id, None)
        self._callbacks.on_peer_connected(connection.id, connection.is_incoming)

    def received(self, connection: NeighborConnection, message: Message) -> None:
        """A neighbor said something; what has no meaning ends here."""
        if connection.id is not None and not isinstance(message, KeepAlive | Unknown):
            self._callbacks.on_message(connection.id, message)

    def batch_received(self, connection: NeighborConnection) -> None:
        """A neighbor has said all for now."""
        if connection.id is not None:
            self._callbacks.on_messages_end(connection.id)

    def blocks_sent(self, connection: NeighborConnection, amount: int) -> None:
        """A piece went out."""
        if connection.id is not None:
            self._callbacks.on_pieces_sent(connection.id, amount)

    def blocks_unreadable(self, connection: NeighborConnection, blocks: list[Block], reason: Failure) -> None:
        """The disk could not deliver."""
        if connection.id is not None:
            self._callbacks.on_pieces_unreadable(connection.id, blocks, reason)

    def lost(self, connection: NeighborConnection, reason: str) -> None:
        """A connection is gone."""
        self._strangers.discard(connection)
        id = connection.id
        if id is not None:
            del self._links[id]
            self._callbacks.on_peer_disconnected(id, connection, reason)
        elif connection.expected is not None:
            self._try_again(connection.expected)
        if not (self._links or self._strangers):
            deserted, self._deserted = self._deserted, []
            for waiting in deserted:
                waiting.callback(None)

    # Dialling

    def _dial(self, id: int) -> None:
        self._retries.pop(id, None)
        if id not in self._addresses:  # it has dialled us meanwhile
            return
        dial = self._dials[id] = self._endpoints.client(*self._addresses[id]).connect(_Factory(self, id))
        dial.addBoth(self._dialled, id)
        dial.addErrback(lambda failure: self.log.failure("dialling peer {id}", failure, id=id))

    def _dialled(self, outcome: object, id: int) -> None:
        self._dials.pop(id, None)
        if isinstance(outcome, Failure):
            self.log.debug("peer {id} is not up: {error}", id=id, error=outcome.getErrorMessage())
            self._try_again(id)

    def _try_again(self, id: int) -> None:
        if id in self._addresses and id not in self._retries:
            self._retries[id] = self._clock.callLater(RETRY, self._dial, id)


@define(eq=False)
class _Factory(Factory):
    """Builds the connections of a port, or the one of a dial."""

    _network: Network
    _expected: int | None
    noisy = False

    def buildProtocol(self, addr: IAddress | None) -> NeighborConnection | None:
        assert isinstance(addr, IPv4Address | IPv6Address)
        return self._network.build(Address(plain_host(addr.host), addr.port), self._expected)
