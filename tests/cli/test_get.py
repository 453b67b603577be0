"""``p2pshare get``: what is meant, and by which way it comes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from unittest.mock import ANY

from attrs import define, field
from click.testing import Result
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli import get
from p2pshare.cli.attempt import NobodyThere
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.wanted import find
from p2pshare.errors import IndexRefused, IndexUnreachable
from p2pshare.metainfo import Metainfo, parse
from tests.cli.sample import content, objects, run, torrent_of
from tests.cli.services import FakeService, a_file, run_now, serve
from tests.client.fakes import torrent_file
from tests.discovery.fakes import FakeResponse, agents

SEARCH, FILES, TORRENTS = "/api/v1/files/search", "/api/v1/files", "/api/tracker/torrents"
DATA = b"hello, world"
SHA256 = hashlib.sha256(DATA).hexdigest()
TORRENT = parse(torrent_file("song.mp3", DATA, "http://t.example/announce"))
IH = TORRENT.info_hash.hex()


def song(**more: Any) -> dict[str, Any]:
    """Describe the file whose bytes we have."""
    return a_file(hash=SHA256, size=len(DATA), **more)


class IndexTestCase(SynchronousTestCase):
    """An index of some files, answering from memory."""

    def setUp(self) -> None:
        self.index = FakeService()
        serve(self, self.index, get)

    def has(self, *files: dict[str, Any], torrents: tuple[Metainfo, ...] = ()) -> None:
        """Let it have these."""
        self.index.answers[SEARCH] = lambda query: {
            "results": [
                file
                for file in files
                if all(word in file["filename"] for word in query.get("q", "").split())
                and query.get("hash", file["hash"]) == file["hash"]
            ]
        }
        unknown = IndexRefused("http://index.example:8000: File not found", 404)
        self.index.answers |= {f"{FILES}/{name * 16}": unknown for name in "0123456789abcdef"}
        self.index.answers |= {f"{FILES}/{file['id']}": file for file in files}
        self.index.answers[FILES] = lambda query: list(files)[query["offset"] :][: query["limit"]]
        for torrent in torrents:
            data = torrent_file(torrent.name, DATA, "http://t.example/announce")
            self.index.answers[f"{TORRENTS}/{torrent.info_hash.hex()}/download"] = data


class MeantTests(SynchronousTestCase):
    """What is a path, a link, or a name."""

    def test_paths_and_names(self) -> None:
        """A name may have slashes; a path begins as one, ends as a torrent, or leads into a folder that is there."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "a.torrent").write_bytes(b"")
        paths = (f"{folder}/nosuch", f"{folder}/a.torrent", "./a", "../a", "/a", "nosuch/a.torrent")
        names = ("a", "nosuch/a.jpg", "a.torrent", "http://a.test/a.torrent")
        self.assertEqual([get._is_path(path) for path in (*paths, *names)], [True] * len(paths) + [False] * len(names))

    def test_links(self) -> None:
        """A link to a file of an index is its id there."""
        for url in ("http://a.test:8000/download/0011", "http://a.test:8000/api/v1/download/0011"):
            self.assertEqual(get._link(url), ("http://a.test:8000", "0011"))
        for url in ("http://a.test/x.torrent", "http://a.test/download?filename=a", "http://a.test/download/a/b", "x"):
            self.assertIsNone(get._link(url))


class FindTests(IndexTestCase):
    """What somebody means."""

    def found(self, text: str) -> tuple[str | None, str | None]:
        """Give the id of the file and the name of the torrent that are found."""
        wanted = self.successResultOf(Deferred.fromCoroutine(find(self.index, text)))
        return wanted.file and wanted.file.id, wanted.torrent and wanted.torrent.name

    def error(self, text: str) -> Any:
        """Give the error that ends it."""
        return self.failureResultOf(Deferred.fromCoroutine(find(self.index, text))).value

    def test_names_of_one_file(self) -> None:
        """Its id, its hash in any case, its info hash and its exact name all mean the same file."""
        self.has(a_file(id="f" * 16, filename="song.mp3.bak"), song(info_hash=IH), torrents=(TORRENT,))
        for text in ("00112233445566aa", SHA256.upper(), IH, IH.upper(), "song.mp3"):
            self.assertEqual(self.found(text), ("00112233445566aa", "song.mp3"), text)

    def test_last_part_of_a_path(self) -> None:
        """A file in a folder is found by its own name, unless another has that as its whole."""
        self.has(song(filename="live/song.mp3"))
        self.assertEqual(self.found("song.mp3"), ("00112233445566aa", None))
        self.has(song(filename="live/song.mp3"), a_file(id="f" * 16))
        self.assertEqual(self.found("song.mp3"), ("f" * 16, None))

    def test_unknown(self) -> None:
        """What nobody has is exit code 1, and the index is named."""
        self.has(a_file(filename="song.mp3.bak"))
        for text in ("song.mp3", "0" * 64, "0" * 40, "0" * 16):
            error = self.error(text)
            self.assertEqual(error.code, ExitCode.ERROR)
            self.assertIn(self.index.base, str(error))

    def test_several(self) -> None:
        """A name of several contents is wrong usage, and their ids are said; copies of one content are one."""
        self.has(song(), a_file(id="f" * 16), song(id="e" * 16))
        error = self.error("song.mp3")
        self.assertEqual(error.code, ExitCode.USAGE)
        self.assertIn("2 contents are called so", str(error))
        self.assertIn("f" * 16, str(error))
        self.has(song(), song(id="e" * 16, info_hash=IH), torrents=(TORRENT,))
        self.assertEqual(self.found("song.mp3"), ("e" * 16, "song.mp3"))

    def test_asked_for_directly(self) -> None:
        """The index is asked for an id or a hash, and not for all it has."""
        self.has(song(info_hash=IH), torrents=(TORRENT,))
        for text, path in (("00112233445566aa", f"{FILES}/00112233445566aa"), (SHA256, SEARCH)):
            self.index.asked.clear()
            self.found(text)
            self.assertEqual(self.index.asked[0][1], path)
            self.assertNotIn(FILES, [asked for _, asked, _ in self.index.asked])
        self.index.asked.clear()
        self.error("0" * 16)
        self.assertNotIn(FILES, [asked for _, asked, _ in self.index.asked])

    def test_many_pages(self) -> None:
        """At an index that knows only lists, an id and a hash are found beyond the first page of files, too."""
        files = [a_file(id=f"{n:016x}", hash=f"{n:064x}") for n in range(2500)]
        self.has(*files)
        del self.index.answers[f"{FILES}/{2400:016x}"]
        self.index.answers[SEARCH] = {"results": files[:50]}
        for text in (f"{2400:016x}", f"{2400:064x}"):
            self.assertEqual(self.found(text)[0], f"{2400:016x}")

    def test_torrent_that_is_none(self) -> None:
        """A torrent that cannot be used is the index's fault."""
        self.has(song(info_hash=IH))
        self.index.answers[f"{TORRENTS}/{IH}/download"] = b"d3:foo"
        self.assertIsInstance(self.error("song.mp3"), IndexUnreachable)

    def test_another_torrent(self) -> None:
        """So is a torrent that has another info hash than its file is said to have."""
        self.has(song(info_hash="ee" * 20))
        self.index.answers[f"{TORRENTS}/{'ee' * 20}/download"] = torrent_file("song.mp3", DATA)
        self.assertIn("another torrent", str(self.error("song.mp3")))


@define
class Attempts:
    """Stands for downloads over BitTorrent: notes what was to be done, and ends as told."""

    end: Exception | None = None
    made: list[tuple[str, str, float | None]] = field(factory=list)

    async def __call__(self, reactor: Any, session: Any, swarm: Any, terms: Any, *rest: Any) -> None:
        self.made.append((swarm.name, terms.path, rest[-1]))
        if self.end is not None:
            raise self.end


class FakeSession:
    """Takes a torrent on."""

    port = 6881

    def add(self, torrent: Metainfo, folder: Path, **more: Any) -> Metainfo:
        """Give the torrent as its swarm."""
        return torrent


class GetTests(IndexTestCase):
    """The command: which way is tried first, and which one then."""

    def setUp(self) -> None:
        super().setUp()
        self.folder = Path(self.mktemp())
        self.attempts = Attempts()
        self.pages: dict[str, Any] = {}
        self.patch(get, "run", run_now(self, Clock()))
        self.patch(get, "leave_within", lambda seconds, outcome: None)
        self.patch(get, "show_warnings", lambda: None)
        self.patch(get, "attempt", self.attempts)
        self.patch(get, "open_session", lambda reactor, **options: FakeSession())
        self.patch(get, "file_agent", lambda reactor, longest: agents(local=self.pages)[0])

    def get(self, *arguments: str | Path) -> Result:
        """Run the command."""
        return run("get", *arguments, "-o", self.folder, "--index", "http://10.0.0.1:8000")

    def serves(self, data: bytes = DATA) -> None:
        """Let the index itself serve the file."""
        self.pages["http://10.0.0.1:8000/download/00112233445566aa"] = FakeResponse((data,))

    def test_swarm_first(self) -> None:
        """What has a torrent comes from its swarm; patience is short, as there is another way."""
        self.has(song(info_hash=IH), torrents=(TORRENT,))
        result = self.get("song.mp3")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(self.attempts.made, [("song.mp3", str(self.folder / "song.mp3"), get.PATIENCE)])

    def test_owner_when_nobody_is_there(self) -> None:
        """With nobody in the swarm the file comes over HTTP, and that is said."""
        self.has(song(info_hash=IH), torrents=(TORRENT,))
        self.serves()
        self.attempts.end = NobodyThere()
        result = self.get("song.mp3")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual((self.folder / "song.mp3").read_bytes(), DATA)
        self.assertIn("asking an owner over HTTP", result.output)

    def test_failed_swarm_is_no_reason(self) -> None:
        """Another end of the download than that nobody is there is the end."""
        self.has(song(info_hash=IH), torrents=(TORRENT,))
        self.attempts.end = Ended("no verified piece", ExitCode.TIMED_OUT)
        self.assertEqual(self.get("song.mp3").exit_code, ExitCode.TIMED_OUT)

    def test_owner_without_torrent(self) -> None:
        """What has no torrent comes over HTTP at once; as JSON the end is an object."""
        self.has(song())
        self.serves()
        result = self.get("song.mp3", "--json")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual((objects(result)[-1]["event"], objects(result)[-1]["percent"]), ("complete", 100.0))
        self.assertEqual(self.attempts.made, [])

    def test_wrong_bytes(self) -> None:
        """Other bytes than the index says are exit code 6, and nothing is left."""
        self.has(song())
        self.serves(b"hello, World")
        self.assertEqual(self.get("song.mp3").exit_code, ExitCode.VERIFICATION_FAILED)
        self.assertEqual(list(self.folder.iterdir()), [])

    def test_name_that_leads_elsewhere(self) -> None:
        """Whatever an index calls a file, it lands in the folder."""
        self.has(song(filename="../../.."), song(filename="a/../../evil"))
        self.serves()
        result = self.get("evil")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual([path.name for path in self.folder.iterdir()], ["evil"])

    def test_there_already(self) -> None:
        """A file that is there and right is left alone; another one of its name is never overwritten."""
        self.has(song())
        self.folder.mkdir()
        (self.folder / "song.mp3").write_bytes(DATA)
        result = self.get("song.mp3")
        self.assertEqual(result.exit_code, 0, result.output)
        (self.folder / "song.mp3").write_bytes(b"mine")
        result = self.get("song.mp3")
        self.assertEqual(result.exit_code, ExitCode.ERROR)
        self.assertIn("exists and is something else", result.stderr)
        self.assertEqual((self.folder / "song.mp3").read_bytes(), b"mine")

    def test_no_way(self) -> None:
        """A file without torrent and without SHA-256 cannot be had: nobody could tell whether it is right."""
        self.has(a_file(hash="whatever"))
        self.assertEqual(self.get("song.mp3").exit_code, ExitCode.NOBODY_FOUND)

    def test_torrent_file(self) -> None:
        """A torrent file is a download, and no index is asked."""
        file, _ = torrent_of(content(Path(self.mktemp())))
        result = self.get(file)
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual((self.attempts.made, self.index.asked), ([("photos", ANY, None)], []))

    def test_url_of_a_torrent(self) -> None:
        """So is the URL of one; what is there instead is said."""
        self.pages["http://x.example/a.torrent"] = FakeResponse((torrent_file("song.mp3", DATA),))
        self.assertEqual(self.get("http://x.example/a.torrent").exit_code, 0)
        self.assertEqual(self.attempts.made, [("song.mp3", ANY, None)])
        self.pages["http://x.example/a.torrent"] = FakeResponse((b"<html>",))
        self.assertEqual(self.get("http://x.example/a.torrent").exit_code, ExitCode.ERROR)
        self.pages["http://x.example/a.torrent"] = FakeResponse((), 404, b"Not Found")
        result = self.get("http://x.example/a.torrent")
        self.assertEqual(result.exit_code, ExitCode.NOBODY_FOUND)
        self.assertEqual(result.stderr, "p2pshare: http://x.example/a.torrent: 404 Not Found\n")
