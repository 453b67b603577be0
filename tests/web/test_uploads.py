"""Tests of p2pshare.web.uploads: forms with a file, as they come over a connection."""

from __future__ import annotations

from typing import Any

from attrs import frozen
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed

from p2pshare.errors import DiskFull, StorageError
from p2pshare.web.paths import Access
from p2pshare.web.replies import DETAIL, Refused
from p2pshare.web.routes import Call, Route
from p2pshare.web.uploads import FilePart, UploadForm
from tests.web.connections import Connection, Reply
from tests.web.serving import BEARER, TOKEN, ServedCase

FORM = 'Content-Type: multipart/form-data; boundary="=b"'
HEAD = f"POST /upload HTTP/1.1\r\nHost: localhost\r\n{FORM}\r\n"
CHUNKED = f"{HEAD}{BEARER}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()


def part(name: str, data: bytes, filename: str | None = None, *headers: str) -> bytes:
    """One part of a form."""
    disposition = f'Content-Disposition: form-data; name="{name}"'
    if filename is not None:
        disposition += f'; filename="{filename}"'
    return "\r\n".join(["--=b", disposition, *headers, "", ""]).encode() + data + b"\r\n"


def form(*parts: bytes) -> bytes:
    """A whole form."""
    return b"".join(parts) + b"--=b--\r\n"


class FakeSink:
    """A file in memory; slow ones are written when :meth:`go_on` says so."""

    def __init__(self, slow: bool = False) -> None:
        self.data = b""
        self.slow = slow
        self.is_closed = self.is_discarded = False
        self.failure: StorageError | None = None
        self.waiting: list[Deferred[None]] = []

    def write(self, data: bytes) -> Deferred[None]:
        if self.failure is not None:
            return fail(self.failure)
        self.data += data
        if not self.slow:
            return succeed(None)
        self.waiting.append(Deferred())
        return self.waiting[-1]

    async def close(self) -> None:
        if self.failure is not None:
            raise self.failure
        self.is_closed = True

    def discard(self) -> Deferred[None]:
        self.is_discarded = True
        return succeed(None)

    def go_on(self) -> None:
        """Write what waits."""
        waiting, self.waiting = self.waiting, []
        for written in waiting:
            written.callback(None)


@frozen
class Stored:
    """A reply."""

    filename: str
    content_type: str
    size: int
    fields: dict[str, str]


class UploadCase(ServedCase):
    """Has a route that takes a file of at most 100,000 bytes, its form included."""

    def setUp(self) -> None:
        super().setUp()
        self.sinks: list[FakeSink] = []
        self.is_slow = False
        self.working: Deferred[None] = succeed(None)
        self.serve_upload()

    def serve_upload(self, **limits: Any) -> None:
        """Start again."""
        upload = UploadForm(self.open, limit=100_000)
        more = {"form_field_bytes": 20, "form_parts": 4, "upload_unwritten": 1000, **limits}
        self.serve([Route("POST", "/upload", self.store, "", Access.TOKEN, upload=upload)], token=TOKEN, **more)

    def open(self, file: FilePart) -> FakeSink:
        """Begin a file."""
        if file.filename == "refused":
            raise Refused(409, "there is one of that name")
        self.sinks.append(FakeSink(self.is_slow))
        return self.sinks[-1]

    async def store(self, call: Call[Any, Any]) -> Stored:
        """Answer with what came."""
        await self.working
        upload = call.upload
        assert upload is not None, "there is no call without"
        return Stored(upload.part.filename, upload.part.content_type, upload.size, dict(upload.fields))

    def post(self, body: bytes, *headers: str) -> Reply:
        """Upload a form."""
        return self.ask("POST", "/upload", *(headers or (FORM,)), BEARER, body=body)

    def begun(self, length: int) -> Connection:
        """A connection that has sent the header of an upload."""
        connection = self.connect()
        connection.send(f"{HEAD}{BEARER}\r\nContent-Length: {length}\r\n\r\n".encode())
        return connection


class FormTests(UploadCase):
    """Forms that are complete."""

    def test_file(self) -> None:
        """A file arrives with its name and type, and the rest of the form with it; it is dropped if nobody keeps it."""
        body = form(
            part("category", b"music"),
            part("file", b"abc\r\n--=c", "a b.mp3", "Content-Type: audio/mpeg"),
            part("x", b""),
        )
        reply = self.read(self.post(body))
        self.assertEqual(
            reply,
            {"filename": "a b.mp3", "content_type": "audio/mpeg", "size": 9, "fields": {"category": "music", "x": ""}},
        )
        (sink,) = self.sinks
        self.assertEqual((sink.data, sink.is_closed, sink.is_discarded), (b"abc\r\n--=c", True, True))

    def test_names(self) -> None:
        """A name comes as the browser wrote it; making it safe is up to who stores the file."""
        for written, name in (("../../x", "../../x"), ("é %22q%22.txt", 'é "q".txt'), ("a;b=c", "a;b=c")):
            self.assertEqual(self.read(self.post(form(part("file", b"x", written))))["filename"], name)

    def test_empty_file(self) -> None:
        """A file without a byte is one."""
        self.assertEqual(self.read(self.post(form(part("file", b"", "empty"))))["size"], 0)
        self.assertEqual(self.sinks[0].data, b"")

    @settings(max_examples=30)
    @given(st.lists(st.integers(min_value=1, max_value=40), min_size=1, max_size=40), st.booleans())
    def test_any_segments(self, steps: list[int], is_chunked: bool) -> None:
        """However the bytes are cut on their way, the file is the same."""
        self.sinks.clear()
        data = bytes(range(256)) + b"\r\n--=\r\n--\r\n--=c\r" * 3
        body = form(part("file", data, "a"), part("k", b"v"))
        connection = self.connect() if is_chunked else self.begun(len(body))
        if is_chunked:
            connection.send(CHUNKED)
        at = turn = 0
        while at < len(body):
            piece = body[at : at + steps[turn % len(steps)]]
            connection.send(b"%x\r\n%s\r\n" % (len(piece), piece) if is_chunked else piece)
            at, turn = at + len(piece), turn + 1
        if is_chunked:
            connection.send(b"0\r\n\r\n")
        (reply,) = connection.replies()
        self.assertEqual((reply.status, self.sinks[0].data), (200, data))


class RefusedFormTests(UploadCase):
    """Forms that are not what they should be."""

    def assert_refused(self, reply: Reply, status: int, words: str) -> None:
        """Make sure of a refusal, and that no file stays."""
        self.assertIn(words, self.refused(reply, status))
        self.assertEqual([sink.is_discarded for sink in self.sinks], [True] * len(self.sinks))

    def test_no_file(self) -> None:
        """A form without the file is refused by the name of what is missing, in the status of its face."""
        self.assert_refused(self.post(form(part("x", b"y"))), 400, "file: missing, expected a file")
        self.assert_refused(self.post(form(part("file", b"text"))), 400, "file: missing")
        self.assert_refused(self.post(b""), 400, "file: missing")
        row = Route("POST", "/u", self.store, "", Access.OPEN, DETAIL, upload=UploadForm(self.open))
        self.serve([row])
        self.assertEqual(self.ask("POST", "/u", FORM, body=form()).status, 422)

    def test_no_name(self) -> None:
        """A file without a name, as a browser sends it when none was chosen, is 400."""
        self.assert_refused(self.post(form(part("file", b"", ""))), 400, "the file has no name")

    def test_another_file(self) -> None:
        """Two files, or one in another field, are refused."""
        two = form(part("file", b"1", "a"), part("file", b"2", "b"))
        self.assert_refused(self.post(two), 400, "more than one file")
        self.assert_refused(self.post(form(part("photo", b"1", "a"))), 400, "photo: unexpected file")

    def test_not_a_form(self) -> None:
        """Another content type is 415, and nothing of the body is taken."""
        for kind in ("application/json", "multipart/form-data", "multipart/mixed; boundary=x", "x" * 300):
            reply = self.post(b"{}", f"Content-Type: {kind}")
            self.assert_refused(reply, 415, "expected multipart/form-data with a boundary")
        self.assert_refused(self.post(b"{}", "X: y"), 415, "content type missing")

    def test_f61_encoded(self) -> None:
        """A form in an encoding is 415: it might unpack to anything."""
        self.assert_refused(self.post(b"x", FORM, "Content-Encoding: gzip"), 415, "content encoding gzip")

    def test_garbage(self) -> None:
        """A form that does not follow its own boundary, or stops short, is 400."""
        for body in (
            b"garbage",
            form(part("file", b"1", "a"))[:-6],
            part("file", b"1", "a"),
            b"--=b\r\nContent-Disposition: attachment\r\n\r\nx\r\n--=b--\r\n",
            b"--=b\r\nX\r\n\r\nx\r\n--=b--\r\n",
            b'--=b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx\r\n--=b--\r\n',
        ):
            self.assert_refused(self.post(body), 400, "the form cannot be read")
        self.assert_refused(self.post(form(part("x", b"\xff"))), 400, "x: not UTF-8")

    def test_form_limits(self) -> None:
        """Fields are short and few: 20 bytes and 4 parts pass here, one more does not."""
        file = part("file", b"1", "a")
        self.assertEqual(self.post(form(file, part("x", b"a" * 20))).status, 200)
        self.assert_refused(self.post(form(file, part("x", b"a" * 21))), 413, "x: more than 20 bytes")
        few = [part(str(number), b"") for number in range(3)]
        self.assertEqual(self.post(form(file, *few)).status, 200)
        self.assert_refused(self.post(form(file, *few, part("3", b""))), 413, "the form is too large")
        self.assertEqual((self.hits["form_field_bytes"], self.hits["form_parts"]), (1, 1))

    def test_refused_by_its_name(self) -> None:
        """Whoever takes the file may refuse it before a byte of it is taken."""
        connection = self.begun(50_000)
        connection.send(part("file", b"", "refused")[:-2])
        (reply,) = connection.replies()
        self.assert_refused(reply, 409, "there is one of that name")
        self.assertTrue(connection.is_closing)

    def test_before_the_body(self) -> None:
        """Who may not upload hears so at once, and so does whoever has too much."""
        connection = self.connect()
        head = f"{HEAD}Expect: 100-continue\r\n"
        connection.send(f"{head}Content-Length: 5000\r\n\r\n".encode())
        (reply,) = connection.replies()
        self.refused(reply, 401)
        self.assertTrue(connection.is_closing)
        connection = self.connect()
        connection.send(f"{head}{BEARER}\r\nContent-Length: 100001\r\n\r\n".encode())
        (reply,) = connection.replies()
        self.assertEqual(self.refused(reply, 413), "the body is too large: at most 100000 bytes")
        self.assertEqual(self.sinks, [])

    def test_f59_endless(self) -> None:
        """A form that does not say how long it is is cut off at the limit, and what came is dropped."""
        connection = self.connect()
        connection.send(CHUNKED)
        first = part("file", b"", "a")[:-2]
        connection.send(b"%x\r\n%s\r\n" % (len(first), first))
        for _ in range(9):
            connection.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
            self.assertEqual(connection.replies(), [])
        connection.send(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
        (reply,) = connection.replies()
        self.assert_refused(reply, 413, "at most 100000 bytes")
        self.assertLessEqual(len(self.sinks[0].data), 100_000)


class FlowTests(UploadCase):
    """Uploads that take their time."""

    def test_slow_disk(self) -> None:
        """While too much waits for the disk, the connection is not read; it is again when half of that is written."""
        self.is_slow = True
        connection = self.begun(50_000)
        connection.send(part("file", b"x" * 900, "a")[:-2])
        self.assertEqual(connection.transport.producerState, "producing")
        connection.send(b"x" * 200)
        self.assertEqual(connection.transport.producerState, "paused")
        (sink,) = self.sinks
        sink.waiting.pop().callback(None)
        self.assertEqual(connection.transport.producerState, "paused")
        sink.go_on()
        self.assertEqual(connection.transport.producerState, "producing")

    def test_slow_disk_is_not_the_clients_fault(self) -> None:
        """The time in which the disk makes it wait does not count."""
        self.is_slow = True
        connection = self.begun(50_000)
        connection.send(part("file", b"x" * 2000, "a")[:-2])
        self.clock.pump([10.0] * 20)
        self.assertFalse(connection.is_closing)
        self.sinks[0].go_on()
        self.clock.pump([10.0] * 5)
        self.assertFalse(connection.is_closing)
        self.clock.pump([10.0] * 2)
        self.assertTrue(connection.is_closing)

    def test_end_while_slow(self) -> None:
        """The end of the form may come while the disk is behind; the answer comes after it."""
        self.is_slow = True
        body = form(part("file", b"x" * 2000, "a"))
        connection = self.begun(len(body))
        connection.send(body)
        self.sinks[0].go_on()
        self.assertEqual([reply.status for reply in connection.replies()], [200])
        self.assertEqual(connection.transport.producerState, "producing")

    def test_long_upload(self) -> None:
        """An upload may take as long as it moves; 64 KiB a minute are enough."""
        self.serve_upload(upload_step=1000)
        connection = self.begun(50_000)
        connection.send(part("file", b"", "a")[:-2])
        for _ in range(10):
            connection.send(b"x" * 1000)
            self.clock.pump([5.0] * 11)
            self.assertFalse(connection.is_closing)
        self.clock.pump([5.0] * 2)
        self.assertTrue(connection.is_closing)
        self.assertEqual([reply.status for reply in connection.replies()], [408])
        self.assertEqual((self.sinks[0].is_discarded, self.hits["body_deadline"]), (True, 1))

    def test_client_goes_away(self) -> None:
        """Half a file is dropped when its client goes."""
        connection = self.begun(50_000)
        connection.send(part("file", b"x" * 500, "a")[:-2])
        connection.lose()
        self.assertTrue(self.sinks[0].is_discarded)

    def test_client_goes_away_at_the_end(self) -> None:
        """So is a whole one that has not been kept yet."""
        self.working = Deferred()
        body = form(part("file", b"x", "a"))
        connection = self.begun(len(body))
        connection.send(body)
        self.assertFalse(self.sinks[0].is_discarded)
        connection.lose()
        self.assertTrue(self.sinks[0].is_discarded)

    def test_disk_full(self) -> None:
        """A disk that is full in the middle of it ends the upload with 507."""
        connection = self.begun(50_000)
        connection.send(part("file", b"x" * 500, "a")[:-2])
        self.sinks[0].failure = DiskFull("no room is left for the upload")
        connection.send(b"x" * 500)
        connection.send(b"x" * 500)
        (reply,) = connection.replies()
        self.assertEqual(self.refused(reply, 507), "no room is left for the upload")
        self.assertTrue(self.sinks[0].is_discarded)

    def test_disk_full_at_the_end(self) -> None:
        """So does one that cannot make sure of what it took."""
        body = form(part("file", b"x", "a"))
        connection = self.begun(len(body))
        connection.send(body[:-10])
        self.sinks[0].failure = StorageError("the upload cannot be stored")
        connection.send(body[-10:])
        (reply,) = connection.replies()
        self.assertEqual(self.refused(reply, 500), "the upload cannot be stored")
        self.assertTrue(self.sinks[0].is_discarded)
        self.assertEqual(self.clock.getDelayedCalls()[1:], [])  # the connection's own watch
