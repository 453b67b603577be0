"""Connections to a site in memory, and what came back on them."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.protocol import connectionDone
from twisted.internet.testing import StringTransport
from twisted.web.server import Site


@frozen
class Reply:
    """One HTTP response."""

    status: int
    headers: dict[str, str]
    body: bytes


class Transport(StringTransport):
    """A transport that notes when it is broken off; told to be ``full``, it has no room until it is drained."""

    aborted = False

    def abortConnection(self) -> None:
        self.aborted = self.disconnecting = True

    def fill(self) -> None:
        """Tell the producer that there is no more room, as a socket whose other side does not read."""
        self.producer.pauseProducing()

    def drain(self) -> None:
        """Tell it that there is."""
        self.producer.resumeProducing()


class Connection:
    """A client's connection; ``None`` for ``channel`` when the site did not want it."""

    def __init__(
        self, site: Site, host: str = "127.0.0.1", port: int = 40000, transport: type[Transport] = Transport
    ) -> None:
        make = IPv6Address if ":" in host else IPv4Address
        peer = make("TCP", host, port)
        self.channel: Any = site.buildProtocol(peer)
        self.transport = transport(peerAddress=peer)
        if self.channel is not None:
            self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Let bytes arrive, as one segment."""
        self.channel.dataReceived(data)

    def get(self, path: str, *headers: str, method: str = "GET") -> Reply:
        """Ask for one path and give the answer, which must be there at once."""
        lines = [f"{method} {path} HTTP/1.1", "Host: tracker", *headers, "", ""]
        self.send("\r\n".join(lines).encode("ascii"))
        (reply,) = self.replies(method)
        return reply

    def ask(self, method: str, path: str, *headers: str, body: bytes = b"", host: str = "localhost") -> Reply:
        """Send a request with a body, and give the answer, which must be there at once."""
        lines = [f"{method} {path} HTTP/1.1", f"Host: {host}", *headers]
        if body and not any(line.lower().startswith("content-length") for line in headers):
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join([*lines, "", ""]).encode() + body)
        (reply,) = self.replies(method)
        return reply

    def replies(self, method: str = "GET") -> list[Reply]:
        """Take the responses that have arrived."""
        data = self.transport.value()
        self.transport.clear()
        replies = []
        while data:
            head, _, data = data.partition(b"\r\n\r\n")
            status, *lines = head.decode("ascii").split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            if "transfer-encoding" in headers and method != "HEAD":
                body, data = unchunked(data)
            else:
                length = 0 if method == "HEAD" or "304 " in status else int(headers.get("content-length", 0))
                body, data = data[:length], data[length:]
            replies.append(Reply(int(status.split()[1]), headers, body))
        return replies

    @property
    def is_closing(self) -> bool:
        """Whether the site hung up."""
        return self.transport.disconnecting

    def lose(self) -> None:
        """Break the connection."""
        self.channel.connectionLost(connectionDone)


def unchunked(data: bytes) -> tuple[bytes, bytes]:
    """Join what came in chunks, as far as it has come; the rest is what follows the last one."""
    body = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        length = int(size, 16)
        body, data = body + data[:length], data[length + 2 :]
        if not length:
            break
    return body, data
