"""Others on the network, made for tests: a tracker that writes down what it is told, and two who are no help."""

from __future__ import annotations

import socket
from collections.abc import Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any
from unittest import TestCase
from urllib.parse import parse_qs, urlsplit

from p2pshare.addresses import pack_compact, parse_address
from p2pshare.bencoding import encode
from p2pshare.bitfield import Bitfield
from p2pshare.wire import bep3, messages


class RecordingTracker:
    """Answers every announce with the same peers, and keeps what was announced."""

    def __init__(self, test: TestCase, peers: Sequence[str] = ()) -> None:
        self.announces: list[dict[str, str]] = []  # the query of each, in order; bytes as Latin-1
        self.peers = peers
        recorder = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                query = parse_qs(urlsplit(self.path).query, encoding="latin-1")
                recorder.announces.append({key: values[0] for key, values in query.items()})
                answer = recorder.answer()
                self.send_response(200)
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *arguments: Any) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_port}/announce"
        serving = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        serving.start()
        test.addCleanup(serving.join)
        test.addCleanup(server.server_close)
        test.addCleanup(server.shutdown)

    def answer(self) -> bytes:
        """Write the answer to any announce."""
        addresses = [parse_address(peer) for peer in self.peers]
        return encode({"interval": 1800, "peers": b"".join(pack_compact(each.host, each.port) for each in addresses)})

    def told(self, key: str) -> list[str | None]:
        """Give one field of every announce, in order."""
        return [announce.get(key) for announce in tuple(self.announces)]


def silent_server(test: TestCase) -> int:
    """Open a port that takes connections and never says a word; give its number."""
    listening = socket.create_server(("127.0.0.1", 0))
    test.addCleanup(listening.close)
    port: int = listening.getsockname()[1]
    return port


def stalling_peer(test: TestCase, num_pieces: int) -> str:
    """Start a peer that has everything and unchokes nobody; give its address."""
    listening = socket.create_server(("127.0.0.1", 0))
    connections: list[socket.socket] = []

    def greet() -> None:
        while True:
            try:
                connection, _ = listening.accept()
                connections.append(connection)
                connection.settimeout(10)
                heard = connection.recv(bep3.HANDSHAKE_SIZE, socket.MSG_WAITALL)
                info_hash = bep3.decode_handshake(heard).info_hash
                connection.sendall(bep3.encode_handshake(bep3.Handshake(bytes(8), info_hash, b"-XX0001-stallingpeer")))
                connection.sendall(bep3.encode(messages.Bitfield(Bitfield.full(num_pieces).to_bytes())))
            except OSError:  # closed: the test is over
                return

    greeting = Thread(target=greet, daemon=True)
    greeting.start()

    def end() -> None:
        listening.shutdown(socket.SHUT_RDWR)
        for each in (listening, *connections):
            each.close()
        greeting.join()

    test.addCleanup(end)
    return f"127.0.0.1:{listening.getsockname()[1]}"
