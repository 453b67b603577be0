"""A text peer on fake transports and a fake tracker, with a folder of its own."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, maybeDeferred, succeed
from twisted.internet.task import Clock

from p2pshare.textswarm.layout import Key
from p2pshare.textswarm.peer import TextPeer
from tests.course.neighbors import FakeEndpoints, FakePort, Neighbor

SIZE = 1460
CONTENT = Random(0).randbytes(11 * SIZE + 7)  # 12 pieces
PIECES = [CONTENT[begin : begin + SIZE] for begin in range(0, len(CONTENT), SIZE)]
KEY = "e1bc3ba85b832a12e5537300fa1def22727f330e"  # of the name example.txt
STRANGER = IPv4Address("TCP", "127.0.0.1", 50000)
THEIR_ID = "cd" * 20
HELLO = f"HANDSHAKE {KEY} {THEIR_ID}".encode()


class ListeningPort(FakePort):
    """A port that knows its number."""

    def getHost(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 6882)


class FakeTracker:
    """Answers at once, and writes down what it was asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.peers: list[dict[str, Any]] = []
        self.trouble: Exception | None = None

    def ask(self, path: str, parameters: dict[str, Any]) -> Deferred[Any]:
        self.asked.append((path, parameters))
        if self.trouble is not None:
            return maybeDeferred(self._refuse)
        return succeed({"peers": list(self.peers)} if path == "/get_peers" else {"status": "ok"})

    def _refuse(self) -> None:
        assert self.trouble is not None
        raise self.trouble

    def told(self, path: str) -> int:
        return sum(each == path for each, _ in self.asked)


class World:
    """One peer, and all that is around it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.clock, self.endpoints, self.tracker = folder, Clock(), FakeEndpoints(), FakeTracker()
        folder.mkdir(parents=True, exist_ok=True)
        self.endpoints.port = ListeningPort()
        self.peer = TextPeer(folder, self.tracker.ask, self.clock, self.endpoints, Random(0), maybeDeferred)
        self.peer.start(6882)

    def seeding(self) -> World:
        """Share a file."""
        file = self.folder / "example.txt"
        file.write_bytes(CONTENT)
        self.peer.seed(file, Key.NAME)
        return self

    def accepted(self) -> Neighbor:
        """Somebody dials us."""
        return Neighbor(self.endpoints.factory.buildProtocol(STRANGER))

    def greeted(self) -> Neighbor:
        """Somebody dials us and greets; our answer is forgotten."""
        neighbor = self.accepted()
        neighbor.says(f"HANDSHAKE {KEY}\n".encode())
        neighbor.heard()
        return neighbor

    def answered(self) -> Neighbor:
        """Whom we dialled last is there."""
        place, factory, dial = self.endpoints.dials.pop()
        neighbor = Neighbor(factory.buildProtocol(IPv4Address("TCP", *place)))
        dial.callback(neighbor.protocol)
        return neighbor
