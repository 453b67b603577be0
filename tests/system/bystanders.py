"""Who watches a download that is killed: one that hears what it says it has, one that stands before its source."""

from __future__ import annotations

import socket
import threading
import time
from contextlib import suppress

from attrs import define, field

from p2pshare.bitfield import Bitfield
from p2pshare.wire import bep3, messages
from p2pshare.wire.session import WireSession

_LOOK_EVERY = 0.003  # s
_SILENCE = 0.5  # s; a bitfield comes in one breath with the handshake
_PLAIN = bytes(8)  # no extension: so the first thing we are told is the bitfield


@define(eq=False)
class Observer:
    """A leech that never asks for anything, and writes down every piece it is told of. A thread of its own."""

    _port: int
    _info_hash: bytes
    _num_pieces: int
    first: set[int] | None = field(init=False, default=None)  # the bitfield; None: none came yet
    told: set[int] = field(init=False, factory=set)
    has_first: threading.Event = field(init=False, factory=threading.Event)
    _over: threading.Event = field(init=False, factory=threading.Event)
    _thread: threading.Thread = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """The process is dead: take in what it still said, and end."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set() and self.first is None:
            try:
                connection = socket.create_connection(("127.0.0.1", self._port), 5)
            except OSError:
                time.sleep(_LOOK_EVERY)
                continue
            with connection, suppress(OSError):
                self._listen(connection)

    def _listen(self, connection: socket.socket) -> None:
        connection.settimeout(30)
        connection.sendall(bep3.encode_handshake(bep3.Handshake(_PLAIN, self._info_hash, b"-OB0001-observer----")))
        greeting = b""
        while len(greeting) < bep3.HANDSHAKE_SIZE:
            data = connection.recv(bep3.HANDSHAKE_SIZE - len(greeting))
            if not data:
                return
            greeting += data
        session = WireSession(bep3.DIALECT, num_pieces=self._num_pieces, fast=False, extended=False)
        connection.settimeout(_SILENCE)
        while data := self._more(connection):
            for message in session.receive(data):
                match message:
                    case messages.Bitfield(bits=bits):
                        self._hear(set(Bitfield.from_bytes(bytes(bits), self._num_pieces)))
                    case messages.Have(index=index):
                        self._hear({index})

    def _more(self, connection: socket.socket) -> bytes:
        """Wait for more; if nothing follows the handshake, that says: I have nothing (BEP 3, ``bitfield``)."""
        while True:
            try:
                return connection.recv(65536)
            except TimeoutError:
                self._hear(set())
                connection.settimeout(None)

    def _hear(self, pieces: set[int]) -> None:
        self.told |= pieces
        if self.first is None:
            self.first = pieces
            self.has_first.set()


@define(eq=False)
class Gate:
    """Stands before the seed, and lets nobody through until it is opened; counts the bytes that come out."""

    _seed_port: int
    port: int = field(init=False)
    passed: int = field(init=False, default=0)  # bytes from the seed
    _is_open: threading.Event = field(init=False, factory=threading.Event)
    _listening: socket.socket = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port = self._listening.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self) -> None:
        """Let peers through."""
        self._is_open.set()

    def shut(self) -> None:
        """Let nobody new through."""
        self._is_open.clear()

    def close(self) -> None:
        """End."""
        self._listening.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                peer, _ = self._listening.accept()
                threading.Thread(target=self._join, args=(peer,), daemon=True).start()

    def _join(self, peer: socket.socket) -> None:
        with peer, suppress(OSError):
            if not self._is_open.wait(20):
                return
            with socket.create_connection(("127.0.0.1", self._seed_port)) as seed:
                back = threading.Thread(target=self._pump, args=(peer, seed, False), daemon=True)
                back.start()
                self._pump(seed, peer, True)
                back.join()

    def _pump(self, source: socket.socket, target: socket.socket, counts: bool) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
                if counts:
                    self.passed += len(data)
        for end in (source, target):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
