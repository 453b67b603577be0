"""Whole swarms in one process: PeerProtocols joined by pipes in memory, moved by a pump that always ends."""

from __future__ import annotations

from collections import deque
from random import Random
from typing import Any

from attrs import define, field
from twisted.internet.error import ConnectionAborted, ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from p2pshare.addresses import Address
from p2pshare.metainfo import Metainfo
from p2pshare.peer.limiter import Allowance
from p2pshare.peer.protocol import PeerProtocol
from p2pshare.swarm.introduction import Identity
from p2pshare.swarm.settings import SwarmSettings
from p2pshare.swarm.swarm import Swarm


@define(eq=False)
class PipeEnd:
    """One end of a connection, as a transport: what is written here arrives at the other end's protocol."""

    network: Network
    protocol: PeerProtocol = field(init=False)
    other: PipeEnd = field(init=False)
    bufferSize: int = 65536
    outgoing: deque[bytes] = field(factory=deque)
    written: int = 0  # bytes in all
    paused: bool = False
    closed: bool = False
    disconnecting: bool = False
    _producer: Any = None
    _producer_paused: bool = False

    def write(self, data: bytes) -> None:
        """Take bytes; a producer that fills us is told to pause, as Twisted's transports do."""
        if self.closed:
            return
        self.written += len(data)
        self.outgoing.append(data)
        if self._producer is not None and sum(map(len, self.outgoing)) > self.bufferSize:
            self._producer_paused = True
            self._producer.pauseProducing()

    def deliver(self) -> bool:
        """Carry everything that waits to the other end; False when nothing could move."""
        if self.other.paused or not self.outgoing or self.other.closed:
            return False
        data = b"".join(self.outgoing)
        self.outgoing.clear()
        self.other.protocol.dataReceived(data)
        if self._producer_paused:
            self._producer_paused = False
            self._producer.resumeProducing()
        return True

    def close(self, reason: type[Exception]) -> None:
        """End the connection: both protocols are told, once."""
        for end in (self, self.other):
            if not end.closed:
                end.closed = True
                end.outgoing.clear()
                self.network.later.append((end.protocol, Failure(reason())))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Remember whom to pause."""
        self._producer = producer

    def unregisterProducer(self) -> None:
        """Pause nobody any more."""
        self._producer, self._producer_paused = None, False

    def pauseProducing(self) -> None:
        """Stop reading."""
        self.paused = True

    def resumeProducing(self) -> None:
        """Read again."""
        self.paused = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing waits here anyway."""

    def loseConnection(self) -> None:
        """Close when everything written has arrived."""
        self.disconnecting = True

    def abortConnection(self) -> None:
        """Close now."""
        self.close(ConnectionAborted)


@define(eq=False)
class Network:
    """Swarms that listen at addresses, and the connections between them."""

    clock: Clock = field(factory=Clock)
    ends: list[PipeEnd] = field(factory=list)
    later: deque[tuple[PeerProtocol, Failure]] = field(factory=deque)
    listening: dict[Address, Any] = field(factory=dict)
    _ports: int = 40000

    def listen(self, address: Address, swarm: Any) -> None:
        """Let a swarm be dialled."""
        self.listening[address] = swarm

    def dialer(self) -> MemoryDialer:
        """Give a swarm what it dials with."""
        return MemoryDialer(self)

    def connect(self, address: Address, listener: Any) -> None:
        """Make a connection to whoever listens there."""
        target = self.listening.get(address)
        if target is None:
            self.clock.callLater(0, listener.dial_failed, address, "connection refused")
            return
        self._ports += 1

        def closed(link: PeerProtocol) -> None:
            if link.listener is None:
                listener.dial_failed(address, link.close_reason)

        def route(seen: Any) -> Any:
            return target if seen.info_hash == target.info_hash else None

        dialled = PeerProtocol(self.clock, address, lambda seen: None, dialled=listener, on_closed=closed)
        accepted = PeerProtocol(self.clock, Address("10.0.0.99", self._ports), route)
        self.join(dialled, accepted)

    def join(self, one: PeerProtocol, two: PeerProtocol) -> tuple[PipeEnd, PipeEnd]:
        """Put a pipe between two protocols."""
        a, b = PipeEnd(self), PipeEnd(self)
        a.protocol, b.protocol, a.other, b.other = one, two, b, a
        self.ends += [a, b]
        two.makeConnection(b)  # type: ignore[arg-type]
        one.makeConnection(a)  # type: ignore[arg-type]
        return a, b

    def settle(self, rounds: int = 10_000) -> None:
        """Carry bytes until nothing moves any more; time stands still but for calls that are due now."""
        for _ in range(rounds):
            self.clock.advance(0)
            moved = any([end.deliver() for end in list(self.ends) if not end.closed])
            for end in list(self.ends):
                if end.disconnecting and not end.outgoing and not end.closed:
                    end.close(ConnectionDone)
            while self.later:
                protocol, reason = self.later.popleft()
                protocol.connectionLost(reason)
                moved = True
            self.ends = [end for end in self.ends if not end.closed]
            if not moved:
                return
        raise AssertionError(f"the network did not come to rest in {rounds} rounds")

    def run(self, seconds: float, step: float = 1.0) -> None:
        """Let time pass, and bytes with it."""
        self.settle()
        for _ in range(int(seconds / step)):
            self.clock.advance(step)
            self.settle()


@define(eq=False)
class MemoryDialer:
    """Dials without limits."""

    _network: Network

    def has_room(self, listener: Any) -> bool:
        """Always."""
        return True

    def dial(self, address: Address, listener: Any) -> None:
        """Connect at once."""
        self._network.connect(address, listener)


def make_swarm(
    network: Network,
    content: Metainfo,
    store: Any,
    number: int,
    settings: SwarmSettings | None = None,
    *,
    seed_only: bool = False,
) -> Swarm:
    """Build peer ``number`` of a swarm; it listens at 10.0.0.<number>:6881."""
    address = Address(f"10.0.0.{number}", 6881)
    peer_id = b"-P20100-" + b"%012d" % number
    identity = Identity(content, peer_id, lambda: 6881, (Allowance(), Allowance()))
    swarm = Swarm(
        store, settings or SwarmSettings(), identity, network.clock, Random(number), network.dialer(), seed_only
    )
    network.listen(address, swarm)
    return swarm
