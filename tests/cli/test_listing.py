"""``p2pshare list``."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.exits import ExitCode
from p2pshare.errors import IndexUnreachable
from tests.cli.sample import objects, run
from tests.cli.services import FakeService, a_file, a_torrent, serve

TORRENTS, FILES = "/api/tracker/torrents", "/api/v1/files"


class ListTests(SynchronousTestCase):
    """The command with a service that answers from memory."""

    def setUp(self) -> None:
        self.service = FakeService(
            answers={TORRENTS: [a_torrent()], FILES: [a_file(), a_file(id="x", info_hash="cd" * 20)]}
        )
        serve(self, self.service)

    def test_torrents_then_files(self) -> None:
        """Torrents come first, then the files that are not among them."""
        result = run("--tracker", "http://t.example:8000/api/tracker", "list")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(
            result.stdout.splitlines(),
            [f"disk.img\t1.0 MiB\t2\t1\t{'cd' * 20}", "song.mp3\t2.0 KiB\t-\t-\t00112233445566aa"],
        )
        self.assertEqual(self.service.base, "http://t.example:8000")

    def test_json(self) -> None:
        """As JSON, each line says which kind it is."""
        self.assertEqual(
            objects(run("list", "--json")), [{"kind": "torrent", **a_torrent()}, {"kind": "file", **a_file()}]
        )

    def test_faces_that_are_missing(self) -> None:
        """A tracker without an index, or an index without a REST tracker, is listed as far as it goes."""
        del self.service.answers[FILES]
        self.assertEqual(len(run("list").stdout.splitlines()), 1)
        self.service.answers = {FILES: [a_file()]}
        self.assertEqual(len(run("list").stdout.splitlines()), 1)

    def test_nothing(self) -> None:
        """An empty service is no error."""
        self.service.answers = {TORRENTS: [], FILES: None}
        result = run("list")
        self.assertEqual((result.exit_code, result.stdout), (0, ""))
        self.assertIn("knows no torrent and no file yet", result.stderr)

    def test_nobody_answers(self) -> None:
        """A service that does not answer is exit code 4."""
        self.service.answers[TORRENTS] = IndexUnreachable("http://127.0.0.1:8000: connection refused")
        self.assertEqual(run("list").exit_code, ExitCode.NOBODY_FOUND)
