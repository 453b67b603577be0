"""Fetching a file over HTTP from its owner."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionLost, ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.client import ResponseFailed
from twisted.web.http_headers import Headers

from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.owner_download import HTTPSnapshot, OwnerDownload
from p2pshare.cli.part_file import PartFile, sha256_of
from p2pshare.errors import StorageError, VerificationFailed
from tests.discovery.fakes import FakeResponse, agents, redirect

DATA = bytes(range(256)) * 10
SHA256 = hashlib.sha256(DATA).hexdigest()
INDEX = "http://index.test/download/1"
OWNER = "http://owner.test/download"
LOST = ResponseFailed([Failure(ConnectionLost())])


def part_of(start: int, data: bytes = DATA) -> FakeResponse:
    """Answer with the rest of a file."""
    value = f"bytes {start}-{len(data) - 1}/{len(data)}"
    return FakeResponse((data[start:],), 206, b"Partial Content", Headers({"Content-Range": [value]}))


class DownloadTestCase(SynchronousTestCase):
    """A target in an empty folder, and a clock."""

    def setUp(self) -> None:
        self.target = Path(self.mktemp(), "file.bin")
        self.part = self.target.with_name("file.bin.part")
        self.clock = Clock()
        self.shown: list[HTTPSnapshot] = []

    def left(self) -> list[str]:
        """Name what is in the folder."""
        return sorted(os.listdir(self.target.parent))

    def begin(self, agent: Any, url: str = INDEX, sha256: str = SHA256, **more: Any) -> Deferred[None]:
        """Begin a download."""

        async def run() -> None:
            with PartFile(self.target, len(DATA), sha256) as part:
                download = OwnerDownload(agent, self.clock, part, self.shown.append, 60.0, **more)
                await download.run(url)

        return Deferred.fromCoroutine(run())

    def download(self, agent: Any, **more: Any) -> None:
        """Download at once."""
        self.successResultOf(self.begin(agent, **more))
        self.assertEqual(self.target.read_bytes(), DATA)
        self.assertEqual(self.left(), ["file.bin"])

    def refusal(self, agent: Any, kind: type[Exception] = Ended, **more: Any) -> Any:
        """Tell how a download ends that nothing comes of; nothing has the final name."""
        error = self.failureResultOf(self.begin(agent, **more), kind).value
        self.assertFalse(self.target.exists())
        return error

    def has(self, data: bytes) -> None:
        """Let an earlier attempt have left this."""
        self.target.parent.mkdir()
        self.part.write_bytes(data)


class OwnerDownloadTests(DownloadTestCase):
    """Downloads through fake agents."""

    def test_redirect_to_owner(self) -> None:
        """The index leads to the owner, whose bytes get the name of the file when they are right."""
        agent, public, _ = agents(
            {INDEX: redirect(f"{OWNER}?filename=a%20b"), OWNER: FakeResponse((DATA[:9], DATA[9:]))}
        )
        self.download(agent)
        self.assertEqual(public.asked, [INDEX, f"{OWNER}?filename=a%20b"])
        self.assertTrue(self.shown)

    def test_private_index_leads_anywhere(self) -> None:
        """An index in one's own network may lead to nodes there."""
        agent, _, _ = agents({}, {INDEX: redirect(OWNER), OWNER: FakeResponse((DATA,))})
        self.download(agent)

    def test_f84_public_index_leads_to_public_owners_only(self) -> None:
        """A public index cannot have anybody fetch from the user's own network."""
        agent, _, local = agents({INDEX: redirect(OWNER)}, {OWNER: FakeResponse((DATA,))})
        error = self.refusal(agent)
        self.assertEqual(error.code, ExitCode.NOBODY_FOUND)
        self.assertIn("is not a public address", str(error))
        self.assertEqual((local.asked, self.left()), ([], []))

    def test_f85_redirect_loop(self) -> None:
        """The sixth redirect is not followed."""
        agent, public, _ = agents({INDEX: redirect(INDEX)})
        self.assertIn("more than 5 redirects", str(self.refusal(agent)))
        self.assertEqual(len(public.asked), 6)

    def test_wrong_content(self) -> None:
        """Other bytes than the index says are exit code 6, and nothing is left of them."""
        agent, _, _ = agents({INDEX: FakeResponse((DATA[:-1] + b"!",))})
        self.assertIn("the index says", str(self.refusal(agent, VerificationFailed)))
        self.assertEqual(self.left(), [])

    def test_too_much(self) -> None:
        """An owner that sends more than the file has is hung up on."""
        endless = FakeResponse((DATA, b"more", b"and more"), endless=True)
        agent, _, _ = agents({INDEX: endless})
        self.assertIn("more than the 2560 bytes", str(self.refusal(agent, VerificationFailed)))
        self.assertEqual((endless.taken, endless.transport.disconnecting), (2, True))

    def test_resumes(self) -> None:
        """What is there is kept, and only the rest is asked for."""
        self.has(DATA[:1000])
        agent, public, _ = agents({INDEX: part_of(1000)})
        downloading = self.begin(agent)
        self.clock.advance(0)
        self.successResultOf(downloading)
        self.assertEqual(self.target.read_bytes(), DATA)
        self.assertEqual(public.headers[0].getRawHeaders("Range"), ["bytes=1000-"])

    def test_beginning_of_something_else(self) -> None:
        """If what was there makes the whole wrong, everything is fetched anew, once."""
        self.has(b"x" * len(DATA))
        agent, public, _ = agents({INDEX: FakeResponse((DATA,))})
        downloading = self.begin(agent)
        self.clock.advance(0)
        self.successResultOf(downloading)
        self.assertEqual(self.target.read_bytes(), DATA)
        self.assertIsNone(public.headers[0].getRawHeaders("Range"))

    def test_server_without_ranges(self) -> None:
        """A server that sends everything again is understood."""
        self.has(DATA[:1000])
        agent, _, _ = agents({INDEX: FakeResponse((DATA,))})
        downloading = self.begin(agent)
        self.clock.advance(0)
        self.successResultOf(downloading)
        self.assertEqual(self.target.read_bytes(), DATA)

    def test_another_part(self) -> None:
        """A part that begins elsewhere is refused, and what was there stays."""
        self.has(DATA[:1000])
        agent, _, _ = agents({INDEX: part_of(500)})
        downloading = self.begin(agent)
        self.clock.advance(0)
        self.assertIn("another part", str(self.failureResultOf(downloading, Ended).value))
        self.assertEqual(self.part.read_bytes(), DATA[:1000])

    def test_interrupted_goes_on(self) -> None:
        """After a connection broke, the rest is asked for, from wherever the index leads then."""
        pages: dict[str, Any] = {INDEX: FakeResponse((DATA[:700],), ending=LOST)}
        agent, public, _ = agents(pages)
        downloading = self.begin(agent)
        self.assertNoResult(downloading)
        pages[INDEX] = part_of(700)
        self.clock.advance(1)
        self.successResultOf(downloading)
        self.assertEqual(self.target.read_bytes(), DATA)
        self.assertEqual(public.headers[1].getRawHeaders("Range"), ["bytes=700-"])

    def test_gives_up(self) -> None:
        """Three attempts in a row that bring nothing are enough; what was there stays."""
        agent, public, _ = agents({INDEX: ConnectionRefusedError()})
        downloading = self.begin(agent)
        self.clock.pump([1, 1])
        error = self.failureResultOf(downloading, Ended).value
        self.assertEqual((error.code, str(error)), (ExitCode.NOBODY_FOUND, f"{INDEX}: connection refused"))
        self.assertEqual((len(public.asked), self.left()), (3, []))

    def test_nobody_online(self) -> None:
        """That nobody who has it is online is said at once."""
        agent, _, _ = agents({INDEX: FakeResponse((), 503)})
        error = self.refusal(agent)
        self.assertEqual(error.code, ExitCode.NOBODY_FOUND)
        self.assertIn("nobody who shares this file is online", str(error))

    def test_gone(self) -> None:
        """A file that is not there any more is exit code 1."""
        agent, _, _ = agents({INDEX: FakeResponse((), 404)})
        self.assertEqual(self.refusal(agent).code, ExitCode.ERROR)

    def test_stalls(self) -> None:
        """A server that sends nothing for the timeout is left."""
        stuck = FakeResponse((DATA[:10],), endless=True)
        agent, _, _ = agents({INDEX: stuck})
        downloading = self.begin(agent)
        self.clock.advance(59)
        self.assertFalse(stuck.transport.disconnecting)
        self.clock.advance(1)
        self.assertTrue(stuck.transport.disconnecting)
        downloading.cancel()
        self.failureResultOf(downloading, CancelledError)
        self.assertEqual(self.part.read_bytes(), DATA[:10])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_limit(self) -> None:
        """With a limit the sender waits for as long as its bytes are worth."""
        slow = FakeResponse((DATA[:1000],), endless=True)
        agent, _, _ = agents({INDEX: slow})
        downloading = self.begin(agent, limit=500)
        self.assertEqual(slow.transport.producerState, "paused")
        self.clock.advance(1.9)
        self.assertEqual(slow.transport.producerState, "paused")
        self.clock.advance(0.2)
        self.assertEqual(slow.transport.producerState, "producing")
        downloading.cancel()
        self.failureResultOf(downloading, CancelledError)

    def test_token(self) -> None:
        """The token goes to an index that asks for it, and never to an owner."""
        pages: dict[str, Any] = {INDEX: FakeResponse((), 401), OWNER: FakeResponse((), 401)}
        agent, public, _ = agents(pages)
        self.assertEqual(self.refusal(agent, token="secret").code, ExitCode.ERROR)
        self.assertEqual(
            [headers.getRawHeaders("Authorization") for headers in public.headers], [None, ["Bearer secret"]]
        )
        pages[INDEX] = redirect(OWNER)
        self.refusal(agent, token="secret")
        self.assertEqual([headers.getRawHeaders("Authorization") for headers in public.headers[2:]], [None, None])


class PartFileTests(DownloadTestCase):
    """A file on its way."""

    def test_one_process_at_a_time(self) -> None:
        """A second download of the same file into the same folder is refused."""
        with PartFile(self.target, 3, SHA256):
            with self.assertRaises(StorageError) as caught:
                PartFile(self.target, 3, SHA256).__enter__()
            self.assertIn("another process downloads it", str(caught.exception))

    def test_a_file_that_came_meanwhile(self) -> None:
        """What got the name meanwhile is not overwritten, and the download is kept."""
        with PartFile(self.target, len(DATA), SHA256) as part:
            part.write(DATA)
            self.target.write_bytes(b"mine")
            self.assertRaises(StorageError, part.finish)
        self.assertEqual(self.target.read_bytes(), b"mine")
        self.assertEqual(sha256_of(self.part), SHA256)

    def test_symbolic_link(self) -> None:
        """A link in the place of the part is not written through."""
        self.target.parent.mkdir()
        victim = self.target.with_name("victim")
        victim.write_bytes(b"mine")
        self.part.symlink_to(victim)
        self.assertRaises(OSError, PartFile(self.target, 3, SHA256).__enter__)
        self.assertEqual(victim.read_bytes(), b"mine")
