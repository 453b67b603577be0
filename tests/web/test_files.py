"""Tests of p2pshare.web.files: downloads over a connection."""

from __future__ import annotations

import errno
import os
from io import FileIO
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred, succeed

from p2pshare.errors import StorageError
from p2pshare.web.files import CHUNK, download
from p2pshare.web.open_file import OpenFile, open_file
from p2pshare.web.outlet import Outlet
from p2pshare.web.paths import Access
from p2pshare.web.ranges import Version
from p2pshare.web.replies import Refused, Streamed
from p2pshare.web.routes import Call, Route
from tests.web.connections import Connection
from tests.web.serving import ServedCase, run_now
from tests.web.test_outlet import SocketTransport

DATA = bytes(range(256)) * 1024  # four chunks


class FakeContent:
    """Bytes that can be read; slow ones when :meth:`deliver` says so."""

    def __init__(self, data: bytes = DATA, slow: bool = False) -> None:
        self.data, self.slow = data, slow
        self.version = Version(len(data), '"tag"', 784111777.0)
        self.reads: list[tuple[int, int]] = []
        self.waiting: list[tuple[Deferred[bytes], bytes]] = []
        self.closed = 0

    def read(self, start: int, length: int) -> Deferred[bytes]:
        self.reads.append((start, length))
        data = self.data[start : start + length]
        if not self.slow:
            return succeed(data)
        self.waiting.append((Deferred(), data))
        return self.waiting[-1][0]

    def deliver(self) -> None:
        """Finish the read that waits."""
        waiting, data = self.waiting.pop()
        waiting.callback(data)

    def pour(self, start: int, length: int, outlet: Outlet) -> Deferred[int]:
        raise AssertionError("the transport has no socket")

    def close(self) -> None:
        self.closed += 1


def fill_at_each_write(transport: Any) -> None:
    """Have a transport tell its producer after each write that it has no more room."""
    write = transport.write

    def write_and_fill(data: bytes) -> None:
        write(data)
        if transport.producer is not None:
            transport.producer.pauseProducing()

    transport.write = write_and_fill


class DownloadCase(ServedCase):
    """Has a file that can be downloaded."""

    def setUp(self) -> None:
        super().setUp()
        self.content = FakeContent()
        self.sent: list[int] = []
        self.serve([Route("GET", "/download/{id}", self.answer, "", Access.SAME)])

    async def answer(self, call: Call[Any, Any]) -> Streamed:
        """Send the file, which is known by its number and not by its name."""
        if call.params["id"] != "1":
            raise Refused(404, "File not found")
        reply = download(self.content, "a é.bin", self.clock, 60.0, self.hits, over=self.sent.append)
        return Streamed(lambda request: self.send(request, reply), reply.drop)

    def send(self, request: Any, reply: Streamed) -> Deferred[None]:
        """Send a reply, and remember what it answers."""
        self.request = request
        return reply.send(request)

    def begun(self) -> Connection:
        """A connection on which a download has begun; its transport is full after each write."""
        connection = self.connect()
        fill_at_each_write(connection.transport)
        connection.send(b"GET /download/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        return connection


class WholeTests(DownloadCase):
    """Files as a whole."""

    def test_file(self) -> None:
        """A file comes with its length, tag, date and the name to save it under; it is closed."""
        reply = self.get("/download/1")
        self.assertEqual((reply.status, reply.body), (200, DATA))
        self.assertEqual(reply.headers["content-length"], str(len(DATA)))
        self.assertEqual(reply.headers["etag"], '"tag"')
        self.assertEqual(reply.headers["last-modified"], "Sun, 06 Nov 1994 08:49:37 GMT")
        self.assertEqual(reply.headers["accept-ranges"], "bytes")
        self.assertEqual(
            reply.headers["content-disposition"], "attachment; filename=\"a e.bin\"; filename*=UTF-8''a%20%C3%A9.bin"
        )
        self.assertEqual((self.content.closed, self.sent), (1, [len(DATA)]))

    def test_empty(self) -> None:
        """So does one without a byte."""
        self.content = FakeContent(b"")
        reply = self.get("/download/1")
        self.assertEqual((reply.status, reply.headers["content-length"], reply.body), (200, "0", b""))

    def test_head(self) -> None:
        """HEAD reads nothing."""
        reply = self.ask("HEAD", "/download/1")
        self.assertEqual((reply.status, reply.headers["content-length"]), (200, str(len(DATA))))
        self.assertEqual((self.content.reads, self.content.closed), ([], 1))

    def test_unchanged(self) -> None:
        """A client that has it already gets a 304 and no bytes."""
        reply = self.get("/download/1", 'If-None-Match: "tag"')
        self.assertEqual((reply.status, reply.body, reply.headers["etag"]), (304, b"", '"tag"'))
        self.assertNotIn("content-length", reply.headers)
        self.assertEqual((self.content.reads, self.content.closed), ([], 1))

    def test_keeps_the_connection(self) -> None:
        """Several downloads go over one connection."""
        connection = self.connect()
        for _ in range(2):
            self.assertEqual(connection.ask("GET", "/download/1").body, DATA)
        self.assertFalse(connection.is_closing)

    def test_f71_no_paths(self) -> None:
        """A path in the place of a number leads nowhere."""
        for name in ("..%2f..%2fetc%2fpasswd", "%252e%252e", "..%5c..", "%00", "%2fetc%2fpasswd"):
            self.assertEqual(self.refused(self.get(f"/download/{name}"), 404), "File not found")


class PartTests(DownloadCase):
    """Parts of files."""

    def test_part(self) -> None:
        """A range is 206, with where it lies; nothing else is read."""
        reply = self.get("/download/1", "Range: bytes=300-309")
        self.assertEqual((reply.status, reply.body), (206, DATA[300:310]))
        self.assertEqual(reply.headers["content-range"], f"bytes 300-309/{len(DATA)}")
        self.assertEqual((reply.headers["content-length"], self.content.reads), ("10", [(300, 10)]))

    def test_f72_unsatisfiable(self) -> None:
        """A range of which there is nothing is 416, with the size."""
        reply = self.get("/download/1", f"Range: bytes={len(DATA)}-")
        self.assertEqual((reply.status, reply.body), (416, b""))
        self.assertEqual(reply.headers["content-range"], f"bytes */{len(DATA)}")
        self.assertEqual((self.content.reads, self.content.closed), ([], 1))

    def test_f72_many_ranges(self) -> None:
        """A thousand ranges are one answer of the size of the file."""
        reply = self.get("/download/1", "Range: bytes=" + ",".join(["0-"] * 1000))
        self.assertEqual((reply.status, len(reply.body)), (200, len(DATA)))

    def test_changed_meanwhile(self) -> None:
        """A client that wants to go on with an older version gets the new one from its beginning."""
        reply = self.get("/download/1", "Range: bytes=300-309", 'If-Range: "older"')
        self.assertEqual((reply.status, len(reply.body)), (200, len(DATA)))


class FlowTests(DownloadCase):
    """Downloads to clients that are slower than the disk, and the other way round."""

    def test_back_pressure(self) -> None:
        """Nothing is read before the transport has room for it."""
        connection = self.begun()
        for count in range(1, 5):
            self.assertEqual(len(self.content.reads), count)
            self.clock.advance(30)
            connection.transport.drain()
        (reply,) = connection.replies()
        self.assertEqual((reply.body, self.content.closed), (DATA, 1))

    def test_f72_stalled(self) -> None:
        """A client that takes nothing for 60 seconds is cut off, and the file is closed."""
        connection = self.begun()
        self.clock.advance(59)
        connection.transport.drain()
        self.clock.advance(59)
        self.assertFalse(connection.transport.aborted)
        self.clock.advance(1)
        self.assertTrue(connection.transport.aborted)
        self.assertEqual(self.hits["file_stall"], 1)
        connection.lose()
        self.assertEqual((self.content.closed, self.sent), (1, [2 * CHUNK]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_client_goes_away(self) -> None:
        """When the client goes, nothing more is read, and the file is closed; while the disk works, too."""
        self.content = FakeContent(slow=True)
        connection = self.connect()
        connection.send(b"GET /download/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.content.deliver()
        connection.lose()
        self.assertEqual((len(self.content.reads), self.content.closed, self.sent), (2, 1, [CHUNK]))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_shorter_than_it_was(self) -> None:
        """A file that loses its end under us ends the connection: the client must not take it for whole."""
        self.content.data = DATA[: CHUNK + 5]
        connection = self.connect()
        connection.send(b"GET /download/1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        self.assertTrue(connection.is_closing)
        self.assertEqual((self.content.closed, self.sent), (1, [CHUNK + 5]))
        self.assertEqual(len(self.flushLoggedErrors(StorageError)), 1)

    def test_gone_before_it_began(self) -> None:
        """A file that was opened for a client that has gone is closed."""
        content = self.content

        async def stubborn(call: Call[Any, Any]) -> Streamed:
            self.connection.lose()
            return download(content, "x", self.clock, 60.0, self.hits)

        self.serve([Route("GET", "/x", stubborn, "", Access.OPEN)])
        self.connection = self.connect()
        self.connection.send(b"GET /x HTTP/1.1\r\n\r\n")
        self.assertEqual((content.closed, content.reads), (1, []))


class PouringTests(DownloadCase):
    """Downloads past the transport."""

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp())
        self.bytes = DATA * 64  # more than a socket holds
        self.path.write_bytes(self.bytes)
        self.open()
        self.connection = Connection(self.site, transport=SocketTransport)
        self.transport: Any = self.connection.transport
        self.addCleanup(self.transport.release)
        fill_at_each_write(self.transport)

    def open(self) -> None:
        """Have the file ready to be downloaded."""
        opening = Deferred.fromCoroutine(open_file(self.path, run_now))
        self.content: Any = self.successResultOf(opening)  # type: ignore[assignment]

    def begin(self, *headers: str) -> None:
        """Ask for the file; its beginning is with the transport, which is full."""
        lines = ["GET /download/1 HTTP/1.1", "Host: localhost", *headers, "", ""]
        self.connection.send("\r\n".join(lines).encode())

    def pour(self) -> bytes:
        """Let the transport have written what it has, and the client take all that comes; gives that."""
        self.transport.producer.resumeProducing()
        data = self.transport.value().partition(b"\r\n\r\n")[2] + self.transport.arrived()
        while self.transport.reactor.writers:
            self.transport.reactor.writers[0].doWrite()
            data += self.transport.arrived()
        return data

    def test_whole(self) -> None:
        """All of it comes, the beginning through the transport and the rest past it; then the connection goes on."""
        self.begin()
        self.assertTrue(self.pour() == self.bytes)
        self.assertLess(len(self.transport.value()), len(self.bytes) // 2)
        self.assertEqual((self.sent, self.hits), ([len(self.bytes)], {}))
        self.assertEqual(self.request.sentLength, len(self.bytes))  # of the access log
        self.transport.clear()
        self.open()
        self.begin("Range: bytes=5-9")
        self.assertTrue(self.transport.value().endswith(self.bytes[5:10]))

    def test_sent_when_nobody_waits(self) -> None:
        """What a thread sends while its client goes away is counted."""
        sent: list[int] = []

        def pour(start: int, length: int, outlet: Outlet) -> Deferred[int]:
            sent.append(outlet.send(memoryview(bytes(1000))))
            return Deferred()

        self.content = FakeContent(self.bytes)
        self.content.pour = pour  # type: ignore[method-assign]
        self.begin()
        self.transport.producer.resumeProducing()
        self.connection.lose()
        self.assertEqual((sent, self.sent), ([1000], [CHUNK + 1000]))

    def test_disk_fails(self) -> None:
        """A disk that cannot read is not taken for a client that has gone: it is told."""

        def preadv(*_: Any) -> int:
            raise OSError(errno.EIO, "Input/output error")

        self.begin()
        self.patch(os, "preadv", preadv)
        self.transport.producer.resumeProducing()
        (error,) = self.flushLoggedErrors(StorageError)
        self.assertIn("Input/output error", str(error.value))
        self.assertTrue(self.transport.disconnecting)

    def test_part(self) -> None:
        """Of a part no byte more."""
        self.begin("Range: bytes=100-1000099")
        self.assertTrue(self.pour() == self.bytes[100:1000100])

    def test_f72_stalled(self) -> None:
        """A client that takes nothing for 60 seconds is cut off, however much it took before."""
        self.begin()
        self.transport.producer.resumeProducing()
        self.clock.advance(59)
        self.transport.arrived()
        self.transport.reactor.writers[0].doWrite()
        self.clock.advance(59)
        self.transport.reactor.writers[0].doWrite()  # wakes up for nothing
        self.assertFalse(self.transport.aborted)
        self.clock.advance(1)
        self.assertEqual((self.transport.aborted, self.hits["file_stall"]), (True, 1))
        self.connection.lose()
        self.assertEqual((self.transport.reactor.writers, self.clock.getDelayedCalls()), ([], []))

    def test_client_goes_away(self) -> None:
        """A client that is gone ends it, without a word in the log; nothing waits any more."""
        self.begin()
        self.transport.producer.resumeProducing()
        self.transport.theirs.close()
        self.transport.reactor.writers[0].connectionLost(None)
        self.assertTrue(self.transport.aborted)
        self.connection.lose()
        self.assertEqual((self.transport.reactor.writers, self.clock.getDelayedCalls()), ([], []))
        self.assertEqual(self.sent, [self.request.sentLength])
        self.assertTrue(CHUNK < self.sent[0] < len(self.bytes))
        self.assertEqual(self.successResultOf(self.content.read(0, 1)), b"")  # closed

    def test_shorter_than_it_was(self) -> None:
        """A file that loses its end under us ends the connection: the client must not take it for whole."""
        self.begin()
        self.transport.producer.resumeProducing()
        os.truncate(self.path, len(self.bytes) - 1)
        self.transport.arrived()
        while self.transport.reactor.writers:
            self.transport.reactor.writers[0].doWrite()
            self.transport.arrived()
        self.assertTrue(self.transport.disconnecting)
        self.assertEqual(self.sent, [len(self.bytes) - 1])
        self.assertEqual(len(self.flushLoggedErrors(StorageError)), 1)


class OpenFileTests(ServedCase):
    """Files on disk."""

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp())
        self.path.write_bytes(b"0123456789")
        os.utime(self.path, ns=(0, 1_500_000_000_123_456_789))

    def open(self) -> Deferred[OpenFile]:
        """Open it."""
        return Deferred.fromCoroutine(open_file(self.path, run_now))

    def test_reading(self) -> None:
        """It is read anywhere; beyond its end there is nothing."""
        file = self.successResultOf(self.open())
        self.assertEqual((file.version.size, int(file.version.modified)), (10, 1_500_000_000))
        self.assertEqual(self.successResultOf(file.read(2, 3)), b"234")
        self.assertEqual(self.successResultOf(file.read(8, 100)), b"89")
        self.assertEqual(self.successResultOf(file.read(10, 1)), b"")
        self.successResultOf(file.close())
        self.successResultOf(file.close())
        self.assertEqual(self.successResultOf(file.read(0, 1)), b"")

    def test_pouring(self) -> None:
        """It is given to a socket as far as there is room; of a file that is closed meanwhile nothing is."""
        transport = SocketTransport()
        self.addCleanup(transport.release)
        outlet = Outlet.of(transport)
        assert outlet is not None
        self.addCleanup(outlet.close)
        file = self.successResultOf(self.open())
        self.assertEqual(self.successResultOf(file.pour(2, 5, outlet)), 5)
        self.assertEqual(transport.arrived(), b"23456")
        self.failureResultOf(file.pour(10, 1, outlet), StorageError)
        transport.theirs.close()
        self.failureResultOf(file.pour(2, 5, outlet), OSError)
        self.successResultOf(file.close())
        self.assertEqual(self.successResultOf(file.pour(2, 5, outlet)), 0)

    def test_checked_after_each_read(self) -> None:
        """What was read is not given away when the check says that it need not be this version."""
        transport = SocketTransport()
        self.addCleanup(transport.release)
        outlet = Outlet.of(transport)
        assert outlet is not None
        self.addCleanup(outlet.close)

        def check(fd: int) -> None:
            if os.fstat(fd).st_size != 10:
                raise StorageError("changed")

        file = OpenFile(Version(10, "", 0.0), FileIO(self.path), run_now, check)
        self.addCleanup(file.close)
        self.assertEqual(self.successResultOf(file.pour(0, 10, outlet)), 10)
        self.assertEqual(transport.arrived(), b"0123456789")
        os.truncate(self.path, 5)
        self.failureResultOf(file.pour(0, 5, outlet), StorageError)
        self.assertEqual(transport.arrived(), b"")

    def test_tags(self) -> None:
        """A file that was written to has another tag, one that was not has the same."""
        first = self.successResultOf(self.open())
        second = self.successResultOf(self.open())
        os.utime(self.path, ns=(0, 1_500_000_000_123_456_790))
        third = self.successResultOf(self.open())
        self.assertEqual(first.version.etag, second.version.etag)
        self.assertNotEqual(first.version.etag, third.version.etag)
        for file in (first, second, third):
            file.close()

    def test_f71_not_a_file(self) -> None:
        """A link, a folder, a pipe and nothing at all are refused."""
        self.path.unlink()
        for make in (lambda: None, self.path.mkdir):
            make()
            self.failureResultOf(self.open(), StorageError)
        self.path.rmdir()
        self.path.symlink_to("/etc/passwd")
        self.failureResultOf(self.open(), StorageError)
        self.path.unlink()
        os.mkfifo(self.path)
        self.failureResultOf(self.open(), StorageError)
