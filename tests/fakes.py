"""Small stand-ins that record what is said to them, in order, shared by the unit tests."""

from __future__ import annotations

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from p2pshare.addresses import Address
from p2pshare.peer.limiter import Allowance
from p2pshare.peer.limits import Commons
from p2pshare.peer.outbox import Block
from p2pshare.peer.protocol import PeerProtocol
from p2pshare.wire import bep3, messages
from p2pshare.wire.session import WireSession

INFO_HASH = b"h" * 20
OUR_ID = b"-P20100-" + b"o" * 12
THEIR_ID = b"-XX0001-" + b"t" * 12


class PeerTransport(StringTransport):
    """
    A StringTransport with the two calls of ITCPTransport that a peer connection makes.

    What is written stays in it, as with a peer that does not read, until the test drains it.
    """

    bufferSize = 65536

    def __init__(self) -> None:
        super().__init__()
        self.aborted = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled

    def abortConnection(self) -> None:
        self.aborted = True
        self.disconnecting = True

    def drain(self) -> bytes:
        """Take what was written, tell the producer as Twisted's transports do, and go on while it writes more."""
        taken = b""
        while self.value():
            taken += self.value()
            self.clear()
            if self.producer is not None:
                self.producer.resumeProducing()
        return taken


class FakeSource:
    """Blocks from a byte string per piece; ``slow`` pieces come only when :meth:`deliver` is called."""

    def __init__(self, pieces: list[bytes], slow: bool = False) -> None:
        self.pieces, self.slow = pieces, slow
        self.reads: list[tuple[int, int, int]] = []
        self.waiting: list[tuple[Deferred[bytes], bytes]] = []

    def read_now(self, piece: int, begin: int, length: int) -> bytes | None:
        self.reads.append((piece, begin, length))
        return None if self.slow else self.pieces[piece][begin : begin + length]

    def read(self, piece: int, begin: int, length: int) -> Deferred[bytes]:
        reading: Deferred[bytes] = Deferred()
        self.waiting.append((reading, self.pieces[piece][begin : begin + length]))
        return reading

    def deliver(self) -> None:
        reading, data = self.waiting.pop(0)
        reading.callback(data)


class RecordingListener:
    """A swarm of one torrent that admits everybody and writes down what it hears."""

    info_hash = INFO_HASH

    def __init__(self, source: FakeSource | None = None, *, admit: bool = True) -> None:
        self.events: list[tuple[Any, ...]] = []
        self.limits = (Allowance(), Allowance())
        self._source = source or FakeSource([])
        self._admit = admit

    def hello(self) -> bytes:
        return bep3.encode_handshake(bep3.Handshake(bep3.RESERVED, INFO_HASH, OUR_ID))

    def welcome(self, link: PeerProtocol, handshake: bep3.Handshake) -> WireSession | None:
        self.events.append(("welcome", handshake.peer_id))
        if not self._admit:
            return None
        return WireSession(bep3.DIALECT, num_pieces=8, fast=handshake.fast, extended=handshake.extended)

    def source(self) -> FakeSource:
        return self._source

    def allowances(self) -> tuple[Allowance, Allowance]:
        return self.limits

    def peer_joined(self, link: PeerProtocol) -> None:
        self.events.append(("joined",))

    def message_received(self, link: PeerProtocol, message: messages.Message) -> None:
        if isinstance(message, messages.Piece):
            message = messages.Piece(message.index, message.begin, bytes(message.data))
        self.events.append(("message", message))

    def batch_received(self, link: PeerProtocol) -> None:
        self.events.append(("batch",))

    def blocks_sent(self, link: PeerProtocol, amount: int) -> None:
        self.events.append(("sent", amount))

    def blocks_unreadable(self, link: PeerProtocol, blocks: list[Block], reason: Failure) -> None:
        self.events.append(("unreadable", blocks))

    def peer_lost(self, link: PeerProtocol, reason: str) -> None:
        self.events.append(("lost", reason))

    def dial_failed(self, address: Address, reason: str) -> None:
        self.events.append(("failed", address, reason))

    def dial_postponed(self, address: Address) -> None:
        self.events.append(("postponed", address))


def handshake(info_hash: bytes = INFO_HASH, peer_id: bytes = THEIR_ID, reserved: bytes = bep3.RESERVED) -> bytes:
    """The other side's first 68 bytes."""
    return bep3.encode_handshake(bep3.Handshake(reserved, info_hash, peer_id))


def accepted(
    listener: RecordingListener, clock: Clock, commons: Commons | None = None
) -> tuple[PeerProtocol, PeerTransport]:
    """A connection somebody made to us, before any byte."""
    link = PeerProtocol(
        clock,
        Address("127.0.0.1", 50000),
        lambda seen: listener if seen.info_hash == listener.info_hash else None,
        commons or Commons(),
    )
    transport = PeerTransport()
    link.makeConnection(transport)
    return link, transport


def greeted(listener: RecordingListener, clock: Clock) -> tuple[PeerProtocol, PeerTransport]:
    """An accepted connection with both handshakes through; what was said so far is forgotten."""
    link, transport = accepted(listener, clock)
    link.dataReceived(handshake())
    listener.events.clear()
    transport.drain()
    return link, transport
