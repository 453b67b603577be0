"""The log of one peer."""

from __future__ import annotations

import errno
from datetime import datetime
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course import sentences
from p2pshare.course.event_log import EventLog, open_event_log
from p2pshare.errors import DiskFull, StorageError

NOON = datetime(2026, 3, 4, 12, 0, 5)


class FakeSink:
    """Keeps what is written; on order it is full."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.flushed = 0
        self.full = False

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        self.lines.append(text)
        return len(text)

    def flush(self) -> None:
        self.flushed = len(self.lines)

    def close(self) -> None:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")


def read_back(line: str) -> sentences.Sentence:
    """Read one whole line, which is one of the eleven sentences."""
    found = sentences.read(line.removesuffix("\n"))
    assert found is not None
    return found[1]


class EventLogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.sink = FakeSink()
        self.log = EventLog(1001, self.sink, lambda: NOON)

    def test_s4_13_every_sentence(self) -> None:
        """Each call writes its sentence behind the time, and hands it to the system at once."""
        log = self.log
        log.made_connection(1002)
        log.was_connected(1003)
        log.chose_preferred([1003, 1002])
        log.chose_optimistic(1004)
        log.was_unchoked(1002)
        log.was_choked(1002)
        log.received_have(1002, 17)
        log.received_interested(1002)
        log.received_not_interested(1002)
        log.downloaded_piece(1002, 17, 42)
        log.downloaded_file()
        self.assertEqual(
            "".join(self.sink.lines),
            "[2026-03-04 12:00:05]: Peer 1001 makes a connection to Peer 1002.\n"
            "[2026-03-04 12:00:05]: Peer 1001 is connected from Peer 1003.\n"
            "[2026-03-04 12:00:05]: Peer 1001 has the preferred neighbors 1002,1003.\n"
            "[2026-03-04 12:00:05]: Peer 1001 has the optimistically unchoked neighbor 1004.\n"
            "[2026-03-04 12:00:05]: Peer 1001 is unchoked by 1002.\n"
            "[2026-03-04 12:00:05]: Peer 1001 is choked by 1002.\n"
            "[2026-03-04 12:00:05]: Peer 1001 received the 'have' message from 1002 for the piece 17.\n"
            "[2026-03-04 12:00:05]: Peer 1001 received the 'interested' message from 1002.\n"
            "[2026-03-04 12:00:05]: Peer 1001 received the 'not interested' message from 1002.\n"
            "[2026-03-04 12:00:05]: Peer 1001 has downloaded the piece 17 from 1002. "
            "Now the number of pieces it has is 42.\n"
            "[2026-03-04 12:00:05]: Peer 1001 has downloaded the complete file.\n",
        )
        self.assertEqual(self.sink.flushed, 11)
        self.assertEqual({type(read_back(line)) for line in self.sink.lines}, set(sentences.TEMPLATES))

    def test_s4_14_preferred_when_they_change(self) -> None:
        """The same set again, in whatever order, is not told, for whoever reads the log sees no change; nor is none."""
        for neighbors in ([1002, 1003], [1003, 1002], [], [], [1002, 1003], [1003]):
            self.log.chose_preferred(neighbors)
        told = [line.partition("neighbors ")[2] for line in self.sink.lines]
        self.assertEqual(told, ["1002,1003.\n", "1003.\n"])

    def test_s4_14_optimistic_when_it_changes(self) -> None:
        """The same neighbor again is not told; nor is none."""
        for neighbor in (1002, 1002, None, 1002, 1003):
            self.log.chose_optimistic(neighbor)
        told = [line.partition("neighbor ")[2] for line in self.sink.lines]
        self.assertEqual(told, ["1002.\n", "1003.\n"])

    def test_full_disk(self) -> None:
        """A line that the disk does not take is the disk's fault, and says so."""
        self.sink.full = True
        error = self.assertRaises(DiskFull, self.log.downloaded_file)
        self.assertEqual(str(error), "the log of peer 1001: No space left on device")
        self.assertRaises(StorageError, self.log.close)


class OpenTests(SynchronousTestCase):
    def test_file(self) -> None:
        """The log begins anew with each run, and every line can be read while the peer still runs."""
        folder = Path(self.mktemp())
        folder.mkdir()
        path = folder / "log_peer_1001.log"
        path.write_text("of an earlier run\n")
        log = open_event_log(folder, 1001, lambda: NOON)
        log.downloaded_file()
        self.assertEqual(path.read_bytes(), b"[2026-03-04 12:00:05]: Peer 1001 has downloaded the complete file.\n")
        log.close()

    def test_second_process(self) -> None:
        """While a peer writes its log nobody else may begin it anew; afterwards one may."""
        folder = Path(self.mktemp())
        folder.mkdir()
        log = open_event_log(folder, 1001, lambda: NOON)
        log.downloaded_file()
        error = self.assertRaises(StorageError, open_event_log, folder, 1001, lambda: NOON)
        self.assertIn("peer 1001 does not run yet", str(error))
        self.assertIn("complete file", (folder / "log_peer_1001.log").read_text())
        log.close()
        open_event_log(folder, 1001, lambda: NOON).close()

    def test_no_folder(self) -> None:
        """Where nothing can be written, there is one error that names the file."""
        folder = Path(self.mktemp())
        error = self.assertRaises(StorageError, open_event_log, folder, 1001, lambda: NOON)
        self.assertIn("log_peer_1001.log: No such file or directory", str(error))
