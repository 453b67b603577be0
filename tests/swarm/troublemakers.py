"""Peers that speak real bytes to the swarms of a network, and misbehave, each in one way."""

from __future__ import annotations

from typing import Any

from twisted.internet.task import LoopingCall

from p2pshare.bitfield import Bitfield
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.metainfo import Metainfo
from p2pshare.wire import bep3, messages
from p2pshare.wire.session import WireSession
from tests.swarm.network import Network, PipeEnd, address_of


class Troublemaker:
    """One connection to one swarm. It says that it has everything, serves everybody, and answers nothing."""

    has_everything = True
    every = 0.0  # s between two calls of act(); 0: never

    def __init__(self, network: Network, content: Metainfo, content_bytes: bytes, target: int, number: int) -> None:
        self.content, self.bytes = content, content_bytes
        self.target = target  # the number of the peer it is connected to
        self.peer_id = b"-XX0001-%012d" % number
        self.asked: list[messages.Request] = []  # of us, and not answered
        self.received = 0  # bytes of blocks
        self.told = 0  # bytes of everything
        self.gone = False
        self._hello = bytearray()
        self._ears = WireSession(bep3.DIALECT, num_pieces=content.num_pieces, fast=False, extended=False)
        self._acting = LoopingCall(self.act)
        self._acting.clock = network.clock
        self.transport: Any = None
        network.intrude(f"10.9.0.{number}", address_of(target), self)

    def makeConnection(self, transport: PipeEnd) -> None:
        self.transport = transport
        transport.write(bep3.encode_handshake(bep3.Handshake(bytes(8), self.content.info_hash, self.peer_id)))
        if self.has_everything:
            self.say(messages.Bitfield(Bitfield.full(self.content.num_pieces).to_bytes()), messages.Unchoke())
        self.begin()
        if self.every:
            self._acting.start(self.every, now=False)

    def dataReceived(self, data: bytes) -> None:
        self.told += len(data)
        missing = bep3.HANDSHAKE_SIZE - len(self._hello)
        self._hello += data[:missing]
        for message in self._ears.receive(data[missing:]):
            match message:
                case messages.Request():
                    self.asked.append(message)
                case messages.Piece():
                    self.received += len(message.data)
            self.heard(message)

    def connectionLost(self, reason: Any) -> None:
        self.gone = True
        if self._acting.running:
            self._acting.stop()

    def say(self, *said: messages.Message) -> None:
        """Say these messages."""
        self.transport.write(b"".join(map(bep3.encode, said)))

    def begin(self) -> None:
        """Misbehave from the beginning."""

    def heard(self, message: messages.Message) -> None:
        """Misbehave in answer to this."""

    def act(self) -> None:
        """Misbehave now and then."""

    def leave(self) -> None:
        """Go away."""
        self.transport.abortConnection()


class Silent(Troublemaker):
    """Lets itself be asked and sends nothing, ever."""


class Slow(Troublemaker):
    """Sends a block every ten seconds."""

    every = 10.0

    def act(self) -> None:
        if self.asked:
            request = self.asked.pop(0)
            first = request.index * self.content.piece_length + request.begin
            self.say(messages.Piece(request.index, request.begin, self.bytes[first : first + request.length]))


class Flapping(Troublemaker):
    """Chokes and unchokes a hundred times a second."""

    every = 0.02

    def act(self) -> None:
        self.say(messages.Choke(), messages.Unchoke())


class Flooding(Troublemaker):
    """Says hundreds of small things a second, each of them allowed."""

    has_everything = False
    every = 0.5

    def act(self) -> None:
        self.say(*(messages.Have(0), messages.KeepAlive(), messages.Interested(), messages.NotInterested()) * 50)


class Deaf(Troublemaker):
    """Asks for everything, and reads nothing of it."""

    has_everything = False

    def begin(self) -> None:
        self.say(messages.Interested())
        self.transport.pauseProducing()
        blocks = [(piece, 0, BLOCK_SIZE) for piece in range(self.content.num_pieces - 1)]
        self.say(*(messages.Request(*block) for block in blocks))


class Greedy(Troublemaker):
    """Takes everything it can have, again and again."""

    has_everything = False
    _next = 0  # the number of the next block

    def begin(self) -> None:
        self.say(messages.Interested())

    def heard(self, message: messages.Message) -> None:
        if isinstance(message, messages.Unchoke):
            self.ask(64)
        elif isinstance(message, messages.Piece):
            self.ask(1)

    def ask(self, count: int) -> None:
        """Ask for so many blocks, from the first piece on and round again."""
        geometry = self.content.geometry
        for _ in range(count):
            piece, block = divmod(self._next, geometry.blocks_per_piece)
            self._next = (self._next + 1) % ((geometry.num_pieces - 1) * geometry.blocks_per_piece)
            self.say(messages.Request(piece, block * BLOCK_SIZE, BLOCK_SIZE))
