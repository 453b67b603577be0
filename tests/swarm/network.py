"""Whole swarms in one process: PeerProtocols joined by pipes in memory, moved by a pump that always ends."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, field
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure

from p2pshare.addresses import Address
from p2pshare.metainfo import Metainfo
from p2pshare.peer.limiter import Allowance, Bucket
from p2pshare.peer.limits import Commons
from p2pshare.peer.protocol import PeerProtocol
from p2pshare.swarm.introduction import Identity
from p2pshare.swarm.settings import SwarmSettings
from p2pshare.swarm.swarm import Swarm


@define(eq=False)
class PipeEnd:
    """One end of a connection, as a transport: what is written here arrives at the other end's protocol."""

    _network: Network
    host: str  # whose end this is
    protocol: PeerProtocol
    other: PipeEnd = field(init=False)
    bufferSize: int = field(init=False, default=65536)
    closed: bool = field(init=False, default=False)
    most_held: int = field(init=False, default=0)  # bytes that have lain here at once
    _outgoing: bytearray = field(init=False, factory=bytearray)
    _paused: bool = field(init=False, default=False)
    _disconnecting: bool = field(init=False, default=False)
    _producer: Any = field(init=False, default=None)

    def write(self, data: bytes) -> None:
        """Take bytes."""
        if not (self.closed or self._disconnecting):
            self._outgoing += data
            self.most_held = max(self.most_held, len(self._outgoing))

    def deliver(self) -> bool:
        """Carry as much as the other end reads at once; tell whether anything happened."""
        if self.closed or self.other._paused:
            return False
        if self._outgoing:
            data = bytes(self._outgoing[: self.other.bufferSize])
            del self._outgoing[: len(data)]
            self.other.protocol.dataReceived(data)
            if not self._outgoing and self._producer is not None:
                self._producer.resumeProducing()
            return True
        if self._disconnecting:
            self.close(ConnectionDone, ConnectionDone)
            return True
        return False

    def close(self, here: type[Exception], there: type[Exception]) -> None:
        """End the connection: both protocols are told, once, in the next round."""
        for end, reason in ((self, here), (self.other, there)):
            if not end.closed:
                end.closed = True
                end._outgoing.clear()
                self._network.endings.append((end.protocol, Failure(reason())))

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Remember whom to ask for more. As in Twisted, a pull producer is asked at once."""
        assert not streaming
        self._producer = producer
        producer.resumeProducing()

    def unregisterProducer(self) -> None:
        """Ask nobody any more."""
        self._producer = None

    def pauseProducing(self) -> None:
        """Read no more."""
        self._paused = True

    def resumeProducing(self) -> None:
        """Read again."""
        self._paused = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing waits here anyway."""

    def loseConnection(self) -> None:
        """Close when everything written has arrived."""
        self._disconnecting = True

    def abortConnection(self) -> None:
        """Close now."""
        self.close(ConnectionAborted, ConnectionLost)


@define(eq=False)
class Network:
    """Swarms that listen, each at port 6881 of its own host, and the connections between them."""

    clock: Clock = field(factory=Clock)
    luck: int = 0  # the chances of all swarms are others with each number
    ends: list[PipeEnd] = field(init=False, factory=list)
    endings: deque[tuple[PeerProtocol, Failure]] = field(init=False, factory=deque)
    dials: list[tuple[str, Address]] = field(init=False, factory=list)  # who dialled whom
    commons: Commons = field(factory=Commons)
    most_held: int = field(init=False, default=0)  # by any end of a connection
    _listening: dict[Address, Swarm] = field(init=False, factory=dict)
    _ports: int = field(init=False, default=40000)

    def listen(self, address: Address, swarm: Swarm) -> None:
        """Let a swarm be dialled."""
        self._listening[address] = swarm

    def connect(self, host: str, address: Address, listener: Any) -> None:
        """Make a connection to whoever listens there."""
        self.dials.append((host, address))
        target = self._listening.get(address)
        if target is None:
            self.clock.callLater(0, listener.dial_failed, address, "connection refused")
            return
        self._ports += 1

        def closed(link: PeerProtocol) -> None:
            if link.listener is None:
                listener.dial_failed(address, link.close_reason)

        def route(seen: Any) -> Any:
            return target if seen.info_hash == target.info_hash else None

        def nowhere(seen: Any) -> Any:
            return None

        caller = PeerProtocol(self.clock, address, nowhere, self.commons, dialled=listener, on_closed=closed)
        called = PeerProtocol(self.clock, Address(host, self._ports), route, self.commons)
        self._join(PipeEnd(self, host, caller), PipeEnd(self, address.host, called))

    def intrude(self, host: str, address: Address, protocol: Any) -> None:
        """Connect any protocol to whoever listens there."""
        target = self._listening[address]
        self._ports += 1
        called = PeerProtocol(self.clock, Address(host, self._ports), lambda seen: target, self.commons)
        self._join(PipeEnd(self, host, protocol), PipeEnd(self, address.host, called))

    def _join(self, caller: PipeEnd, called: PipeEnd) -> None:
        caller.other, called.other = called, caller
        self.ends += [caller, called]
        for end in (called, caller):
            end.protocol.makeConnection(end)

    def vanish(self, host: str) -> None:
        """Cut a host off, as if its cable was pulled: its connections break, and nobody reaches it."""
        self._listening = {address: swarm for address, swarm in self._listening.items() if address.host != host}
        for end in self.ends:
            if end.host == host:
                end.close(ConnectionLost, ConnectionLost)

    def settle(self, rounds: int = 10_000) -> None:
        """Carry bytes until nothing moves any more; time stands still but for calls that are due now."""
        for _ in range(rounds):
            self.clock.advance(0)
            moved = False
            for end in tuple(self.ends):
                moved = end.deliver() or moved
            while self.endings:
                protocol, reason = self.endings.popleft()
                protocol.connectionLost(reason)
                moved = True
            self.most_held = max([self.most_held, *(end.most_held for end in self.ends)])
            self.ends = [end for end in self.ends if not end.closed]
            if not moved:
                return
        raise AssertionError(f"the network did not come to rest in {rounds} rounds")

    def run(self, seconds: float, until: Callable[[], bool] = lambda: False, step: float = 0.25) -> bool:
        """Let time pass, and bytes with it, until something is the case; tell whether it came to be."""
        self.settle()
        for _ in range(round(seconds / step)):
            if until():
                return True
            self.clock.advance(step)
            self.settle()
        return until()


@define(eq=False)
class MemoryDialer:
    """Dials from one host, at once and without limits."""

    _network: Network
    _host: str

    def has_room(self, listener: Any) -> bool:
        """Always."""
        return True

    def dial(self, address: Address, listener: Any) -> None:
        """Connect at once."""
        self._network.connect(self._host, address, listener)


def address_of(number: int) -> Address:
    """Where peer ``number`` listens."""
    return Address(f"10.0.0.{number}", 6881)


def make_swarm(
    network: Network,
    content: Metainfo,
    store: Any,
    number: int,
    *,
    rate: float | None = None,
    seed_only: bool = False,
    **settings: Any,
) -> Swarm:
    """
    Build peer ``number`` of a swarm, listening.

    :param rate: bytes/second it uploads, at most.
    """
    address = address_of(number)
    limits = Allowance((Bucket(network.clock, rate),)), Allowance()
    identity = Identity(content, b"-P20100-%012d" % number, lambda: address.port, limits)
    dialer = MemoryDialer(network, address.host)
    swarm = Swarm(
        store,
        SwarmSettings(**settings),
        identity,
        network.clock,
        Random(number + 1000 * network.luck),
        dialer,
        seed_only,
    )
    network.listen(address, swarm)
    return swarm
