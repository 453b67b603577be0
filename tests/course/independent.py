"""A course peer that shares no line with p2pshare: a thread for each neighbor, blocking sockets, nobody choked."""

from __future__ import annotations

import random
import socket
import threading
import time

PATIENCE = 60.0  # seconds for another peer to come up

CHOKE, UNCHOKE, INTERESTED, NOT_INTERESTED, HAVE, BITFIELD, REQUEST, PIECE = range(8)


class LeanPeer:
    """Dials the peers before it, accepts the others, fetches and serves whole pieces, ends when all have the file."""

    def __init__(self, id: int, port: int, before: dict[int, int], others: int, sizes: list[int]) -> None:
        self.id, self.before, self.others, self.sizes = id, before, others, sizes
        self.pieces: dict[int, bytes] = {}
        self.asked: set[int] = set()
        self.lock = threading.RLock()
        self.links: list[_Link] = []
        self.done = threading.Event()
        self.error: BaseException | None = None
        self.listening = socket.create_server(("127.0.0.1", port))

    def start(self, pieces: list[bytes] | None = None) -> None:
        self.pieces = dict(enumerate(pieces or []))
        threading.Thread(target=self._accept, daemon=True).start()
        for id, port in self.before.items():
            threading.Thread(target=self._dial, args=(id, port), daemon=True).start()

    def close(self) -> None:
        self.listening.close()
        for link in list(self.links):
            link.socket.close()

    def _accept(self) -> None:
        try:
            while True:
                connection, _ = self.listening.accept()
                threading.Thread(target=_Link(self, connection).run, daemon=True).start()
        except OSError:
            return

    def _dial(self, id: int, port: int) -> None:
        deadline = time.monotonic() + PATIENCE
        while True:  # it may not be up yet
            try:
                return _Link(self, socket.create_connection(("127.0.0.1", port))).run()
            except ConnectionRefusedError:
                if time.monotonic() > deadline:
                    return None
                time.sleep(0.05)

    def look(self) -> None:
        """Whether all have everything."""
        count = len(self.sizes)
        full = [link for link in self.links if len(link.has) == count]
        if len(self.pieces) == count and len(full) == self.others:
            self.done.set()


class _Link:
    def __init__(self, peer: LeanPeer, connection: socket.socket) -> None:
        self.peer, self.socket = peer, connection
        self.has: set[int] = set()
        self.open = False
        self.pending: int | None = None

    def say(self, kind: int, payload: bytes = b"") -> None:
        with self.peer.lock:
            self.socket.sendall((1 + len(payload)).to_bytes(4, "big") + bytes([kind]) + payload)

    def read(self, size: int) -> bytes:
        data = b""
        while len(data) < size:
            chunk = self.socket.recv(size - len(data))
            if not chunk:
                raise EOFError
            data += chunk
        return data

    def run(self) -> None:
        try:
            self._run()
        except (EOFError, OSError):
            pass
        except BaseException as error:
            self.peer.error = error
            self.peer.done.set()

    def _run(self) -> None:
        peer, count = self.peer, len(self.peer.sizes)
        self.socket.sendall(b"P2PFILESHARINGPROJ" + bytes(10) + peer.id.to_bytes(4, "big"))
        hello = self.read(32)
        assert hello[:28] == b"P2PFILESHARINGPROJ" + bytes(10), hello
        with peer.lock:
            peer.links.append(self)
            if peer.pieces:  # with nothing, a bitfield may be left away
                bits = "".join("1" if index in peer.pieces else "0" for index in range(count))
                padded = bits.ljust(-(-count // 8) * 8, "0")
                self.say(BITFIELD, int(padded, 2).to_bytes(len(padded) // 8, "big"))
        while True:
            length = int.from_bytes(self.read(4), "big")
            kind, payload = self.read(1)[0], self.read(length - 1)
            with peer.lock:
                self.heard(kind, payload)
                peer.look()

    def heard(self, kind: int, payload: bytes) -> None:
        peer, index = self.peer, int.from_bytes(payload[:4], "big")
        if kind == BITFIELD:
            self.has = {place for place in range(len(peer.sizes)) if payload[place // 8] >> (7 - place % 8) & 1}
            self.say(INTERESTED if self.has - set(peer.pieces) else NOT_INTERESTED)
        elif kind == HAVE:
            self.has.add(index)
            if index not in peer.pieces:
                self.say(INTERESTED)
        elif kind == INTERESTED:
            self.say(UNCHOKE)
        elif kind == REQUEST:
            self.say(PIECE, payload + peer.pieces[index])
        elif kind == CHOKE:
            self.open = False
            if self.pending is not None:
                peer.asked.discard(self.pending)
                self.pending = None
        elif kind == UNCHOKE:
            self.open = True
        elif kind == PIECE:
            assert len(payload) - 4 == peer.sizes[index], (index, len(payload))
            peer.pieces[index] = payload[4:]
            self.pending = None
            for link in peer.links:
                link.say(HAVE, payload[:4])
        if self.open and self.pending is None:
            wanted = self.has - set(peer.pieces) - peer.asked
            if wanted:
                self.pending = random.choice(sorted(wanted))
                peer.asked.add(self.pending)
                self.say(REQUEST, self.pending.to_bytes(4, "big"))
