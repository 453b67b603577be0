"""A folder of torrent files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.client.watch import WatchedFolder
from p2pshare.metainfo import Metainfo, parse
from tests.client.fakes import torrent_file
from tests.storage.fakes import Steps, run_now

EVERY = 5.0
ONE, OTHER = torrent_file("one", b"1" * 100), torrent_file("other", b"2" * 100)


class RecordingTorrents:
    """A session that writes down what comes and goes."""

    def __init__(self) -> None:
        self.events: list[tuple[str, str]] = []
        self.here: dict[bytes, str] = {}
        self.leaving: dict[bytes, Deferred[None]] = {}
        self.folders: list[Path] = []
        self.run: Callable[..., Deferred[Any]] = run_now

    def holds(self, info_hash: bytes) -> bool:
        return info_hash in self.here

    def is_leaving(self, info_hash: bytes) -> bool:
        return info_hash in self.leaving

    def add(self, content: Metainfo, folder: Path) -> None:
        assert content.info_hash not in self.leaving
        self.events.append(("added", content.name))
        self.here[content.info_hash] = content.name
        self.folders.append(folder)

    def remove(self, info_hash: bytes) -> Deferred[None]:
        self.events.append(("removed", self.here.pop(info_hash)))
        leaving = self.leaving[info_hash] = Deferred()
        return leaving

    def left(self) -> None:
        """Let everything that was removed have left."""
        while self.leaving:
            self.leaving.popitem()[1].callback(None)

    def run_in_thread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        return self.run(function, *args)


class WatchedFolderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)
        self.clock, self.torrents = Clock(), RecordingTorrents()
        data = self.folder / "data"
        self.watched = WatchedFolder(self.folder, data, self.torrents, self.clock, EVERY)

    def write(self, name: str, content: bytes) -> Path:
        """Put a file there."""
        file = self.folder / name
        file.write_bytes(content)
        return file

    def looks(self, times: int = 1) -> list[str]:
        """Let it look so often; tell what it complained of."""
        with capturedLogs() as logs:
            for _ in range(times):
                if self.watched.running:
                    self.clock.advance(EVERY)
                else:
                    self.watched.startService()
                self.clock.pump([0] * 5)
        return [str(formatEvent(event)) for event in logs if event["log_level"] >= LogLevel.warn]

    def happened(self) -> list[tuple[str, str]]:
        """What came and went since this was asked last."""
        events, self.torrents.events = self.torrents.events, []
        return events

    def test_come_and_go(self) -> None:
        """A torrent is added when its file appears, and removed when it is gone."""
        self.write("one.torrent", ONE)
        self.looks()
        self.assertEqual(self.happened(), [("added", "one")])
        other = self.write("other.TORRENT", OTHER)
        self.looks(3)
        self.assertEqual(self.happened(), [("added", "other")])
        other.unlink()
        self.looks(3)
        self.assertEqual(self.happened(), [("removed", "other")])

    def test_content_goes_to_data(self) -> None:
        """The content is not put beside the torrent files."""
        self.write("one.torrent", ONE)
        self.looks()
        self.assertEqual(self.torrents.folders, [self.folder / "data"])

    def test_other_files(self) -> None:
        """Files of other kinds, hidden ones, folders and links to nowhere are none of our business; other links are."""
        self.write("one.txt", ONE)
        self.write(".one.torrent", ONE)
        (self.folder / "folder.torrent").mkdir()
        (self.folder / "nowhere.torrent").symlink_to("missing")
        self.assertEqual((self.looks(3), self.happened()), ([], []))
        (self.folder / "link.torrent").symlink_to("one.txt")
        self.looks()
        self.assertEqual(self.happened(), [("added", "one")])

    def test_broken(self) -> None:
        """A file that cannot be used is complained of once, and read again when it changes."""
        self.write("one.torrent", ONE[:-1] + b"x")
        complaints = self.looks(5)
        self.assertEqual(len(complaints), 1)
        self.assertIn(str(self.folder / "one.torrent"), complaints[0])
        self.write("one.torrent", ONE)
        self.assertEqual((self.looks(2), self.happened()), ([], [("added", "one")]))
        self.write("one.torrent", b"nonsense")
        self.assertEqual(len(self.looks(5)), 1)
        self.assertEqual(self.happened(), [])  # its torrent goes on until the file is gone
        (self.folder / "one.torrent").unlink()
        self.looks()
        self.assertEqual(self.happened(), [("removed", "one")])

    def test_still_being_written(self) -> None:
        """A file that grows is tried again and again, and not complained of."""
        complaints = []
        for length in range(1, len(ONE), 20):
            self.write("one.torrent", ONE[:length])
            complaints += self.looks()
        self.write("one.torrent", ONE)
        complaints += self.looks()
        self.assertEqual((complaints, self.happened()), ([], [("added", "one")]))

    def test_unreadable(self) -> None:
        """A file that may not be read is read when it may."""
        if os.geteuid() == 0:
            self.skipTest("root may read everything")
        file = self.write("one.torrent", ONE)
        file.chmod(0)
        self.assertEqual(len(self.looks(3)), 1)
        file.chmod(0o600)
        self.looks()
        self.assertEqual(self.happened(), [("added", "one")])

    def test_renamed(self) -> None:
        """A torrent file under another name is the same torrent, which goes on."""
        file = self.write("one.torrent", ONE)
        self.looks()
        file.rename(self.folder / "uno.torrent")
        self.looks(2)
        self.assertEqual(self.happened(), [("added", "one")])

    def test_two_files_of_one_torrent(self) -> None:
        """A torrent with two files stays until both are gone."""
        files = [self.write("one.torrent", ONE), self.write("copy.torrent", ONE)]
        self.looks()
        files[0].unlink()
        self.looks()
        self.assertEqual(self.happened(), [("added", "one")])
        files[1].unlink()
        self.looks()
        self.assertEqual(self.happened(), [("removed", "one")])

    def test_replaced(self) -> None:
        """Another torrent in a file takes the place of the former."""
        self.write("x.torrent", ONE)
        self.looks()
        self.write("x.torrent", OTHER)
        self.looks()
        self.assertEqual(self.happened(), [("added", "one"), ("removed", "one"), ("added", "other")])

    def test_back_while_leaving(self) -> None:
        """A torrent whose file comes back while it says goodbye is added as soon as it has left."""
        file = self.write("one.torrent", ONE)
        self.looks()
        file.unlink()
        self.looks()
        self.write("one.torrent", ONE)
        self.looks(3)
        self.assertEqual(self.happened(), [("added", "one"), ("removed", "one")])
        self.torrents.left()
        self.looks(3)
        self.assertEqual(self.happened(), [("added", "one")])

    def test_from_elsewhere(self) -> None:
        """A torrent that somebody else added is left alone, file or no file."""
        self.torrents.add(parse(ONE), self.folder)
        self.happened()
        file = self.write("one.torrent", ONE)
        self.looks(2)
        file.unlink()
        self.looks(2)
        self.assertEqual(self.happened(), [])

    def test_removed_elsewhere(self) -> None:
        """That somebody else removed a torrent of ours does not matter when its file goes, too."""
        file = self.write("one.torrent", ONE)
        self.looks()
        self.torrents.remove(parse(ONE).info_hash)
        self.torrents.left()
        file.unlink()
        self.assertEqual(self.looks(2), [])
        self.assertEqual(self.happened(), [("added", "one"), ("removed", "one")])

    def test_folder_out_of_reach(self) -> None:
        """While the folder cannot be listed its torrents go on; that is said once, and again when it happens again."""
        self.write("one.torrent", ONE)
        self.looks()
        aside = self.folder.with_name("aside")
        for _ in range(2):
            self.folder.rename(aside)
            self.assertEqual(self.looks(4), [f"cannot look for torrents: {self.folder}: No such file or directory"])
            aside.rename(self.folder)
            self.assertEqual(self.looks(2), [])
        self.assertEqual(self.happened(), [("added", "one")])

    def test_reads_in_a_thread(self) -> None:
        """The reactor waits for no file: nothing comes before a thread has read it, and there is one look at a time."""
        self.torrents.run = steps = Steps()
        self.write("one.torrent", ONE)
        self.looks(4)
        self.assertEqual((len(steps.waiting), self.happened()), (1, []))
        steps.finish()
        self.assertEqual(self.happened(), [("added", "one")])

    def test_many_at_once(self) -> None:
        """After adding one of many new torrents, the reactor may see to its peers first."""
        for number in range(3):
            self.write(f"{number}.torrent", torrent_file(str(number), b"x"))
        self.watched.startService()
        self.assertEqual(len(self.torrents.events), 1)
        self.clock.advance(0)
        self.assertEqual(len(self.torrents.events), 3)

    def test_stopped(self) -> None:
        """Once stopped it looks no more, and a look under way comes to nothing."""
        self.torrents.run = steps = Steps()
        self.write("one.torrent", ONE)
        self.looks()
        self.watched.stopService()
        steps.finish()
        self.clock.pump([EVERY] * 3)
        self.assertEqual((self.happened(), steps.waiting, self.clock.getDelayedCalls()), ([], [], []))

    def test_bug(self) -> None:
        """A bug in one look is logged, and the next look comes all the same."""
        self.torrents.run = self.broken
        self.looks(2)
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 2)

    def broken(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        raise RuntimeError("a bug")
