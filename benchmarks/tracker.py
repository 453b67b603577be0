"""A tracker inside the benchmark: names everybody to everybody, and remembers what each says of itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from urllib.parse import parse_qs, urlsplit

from attrs import define, field, frozen

from p2pshare import bencoding

_INTERVAL = 1800  # s: nobody comes again while a benchmark runs


@frozen
class Announced:
    """What a client said last."""

    left: int
    uploaded: int
    is_leaving: bool


@define(eq=False)
class Tracker:
    """
    Answers one torrent, whatever is asked for.

    Clients are known by their ports, which nobody shares: some announce from another address than they listen on.
    """

    _host: str
    hosts: dict[int, str] = field(init=False, factory=dict)  # where the client of each port listens
    url: str = field(init=False, default="")
    _clients: dict[int, Announced] = field(init=False, factory=dict)

    def forget(self) -> None:
        """Begin anew, with clients to come."""
        self.hosts.clear()
        self._clients.clear()

    def announce(self, query: str) -> bytes:
        """Hear one announce (BEP 3), and answer with everybody else who has not left, in compact form (BEP 23)."""
        said = {key: values[0] for key, values in parse_qs(query, encoding="latin-1").items()}
        asker = int(said["port"])
        left, uploaded = int(said.get("left", 0)), int(said.get("uploaded", 0))
        self._clients[asker] = Announced(left, uploaded, said.get("event") == "stopped")
        peers = b"".join(
            socket.inet_aton(self.hosts[port]) + port.to_bytes(2, "big")
            for port, client in tuple(self._clients.items())
            if port != asker and port in self.hosts and not client.is_leaving
        )
        return bencoding.encode({"interval": _INTERVAL, "peers": peers})

    def has_seed(self, port: int) -> bool:
        """Whether this client has said that it has everything."""
        client = self._clients.get(port)
        return client is not None and client.left == 0 and not client.is_leaving

    def given_by(self, port: int) -> int | None:
        """Tell the payload bytes a client said it had given when it left; None when it has not said goodbye."""
        client = self._clients.get(port)
        return client.uploaded if client is not None and client.is_leaving else None

    @contextmanager
    def listening(self) -> Iterator[Tracker]:
        """Answer over HTTP as long as the block lasts."""
        tracker = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                parts = urlsplit(self.path)
                if parts.path != "/announce":
                    self.send_error(404)
                    return
                reply = tracker.announce(parts.query)
                self.send_response(200)
                self.send_header("Content-Type", "text/plain")
                self.send_header("Content-Length", str(len(reply)))
                self.send_header("Connection", "close")
                self.end_headers()
                self.wfile.write(reply)

            def log_message(self, format: str, *args: object) -> None:
                pass

        with ThreadingHTTPServer((self._host, 0), Handler) as server:
            self.url = f"http://{self._host}:{server.server_port}/announce"
            thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
            thread.start()
            try:
                yield self
            finally:
                server.shutdown()
                thread.join()
