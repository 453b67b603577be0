"""Logs as they lie in a folder."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.check.reading import parse_log, read_logs
from p2pshare.course.config import write_common, write_peer_info
from p2pshare.course.sentences import DownloadedFile, ReceivedInterested
from p2pshare.errors import ConfigError, StorageError
from tests.course.check.runs import COMMON, INFO, RUN, logs_of, text_of


class ParseTests(SynchronousTestCase):
    def test_lines(self) -> None:
        """Sentences are entries with their line and time, whatever the line ends are; anything else is strange."""
        log = parse_log(
            1001,
            "a.log",
            "[2026-03-04 12:00:05]: Peer 1001 has downloaded the complete file.\r\n\n"
            "12h05: Peer 1001 received the ‘interested’ message from 1002.\nhello\n",
        )
        self.assertEqual(
            [(entry.line, entry.sentence) for entry in log.entries],
            [(1, DownloadedFile(1001)), (3, ReceivedInterested(1001, 1002))],
        )
        self.assertEqual([entry.time is None for entry in log.entries], [False, True])
        self.assertEqual(log.strange, ((4, "hello"),))

    def test_what_the_run_knows(self) -> None:
        """Without configuration, the pieces are as many as somebody counted, and a seed is who got none."""
        logs = logs_of(common=None, info=None)
        self.assertEqual((logs.num_pieces, logs.peers), (2, [1001, 1002, 1003]))
        self.assertEqual(
            [logs.started_with_file(peer) for peer in (1001, 1002, 1003, 1004)], [True, False, False, False]
        )


class FolderTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def test_logs_and_configuration(self) -> None:
        """Logs are found in the folder and in those in it, the configuration beside them; other files do not matter."""
        (self.folder / "peer_1002").mkdir()
        (self.folder / "log_peer_1001.log").write_text(text_of(RUN, 1001))
        (self.folder / "peer_1002" / "log_peer_1002.log").write_text(text_of(RUN, 1002))
        (self.folder / "log_peer_x.log").write_text("hello")
        logs = read_logs(self.folder)
        self.assertEqual((list(logs.by_peer), logs.common, logs.info), ([1001, 1002], None, None))
        (self.folder / "Common.cfg").write_text(write_common(COMMON))
        (self.folder / "PeerInfo.cfg").write_text(write_peer_info(INFO))
        logs = read_logs(self.folder)
        self.assertEqual((logs.common, logs.info, logs.peers), (COMMON, INFO, [1001, 1002, 1003]))
        (self.folder / "Common.cfg").write_text("hello")
        self.assertRaises(ConfigError, read_logs, self.folder)

    def test_quotes_of_windows(self) -> None:
        """Typographic quotes that are not UTF-8 are read as Windows writes them."""
        line = "[now]: Peer 1001 received the ‘interested’ message from 1002.\n"
        (self.folder / "log_peer_1001.log").write_bytes(line.encode("cp1252"))
        self.assertEqual(read_logs(self.folder).by_peer[1001].strange, ())

    def test_nothing_to_read(self) -> None:
        """A folder without logs, and one that is none, say so."""
        for folder in (self.folder, self.folder / "missing"):
            self.assertIn("no log_peer_<id>.log", str(self.assertRaises(StorageError, read_logs, folder)))

    def test_two_logs_of_one_peer(self) -> None:
        """Two logs of one peer are of two runs."""
        (self.folder / "old").mkdir()
        for folder in (self.folder, self.folder / "old"):
            (folder / "log_peer_1001.log").write_text("")
        self.assertIn("a second log of peer 1001", str(self.assertRaises(StorageError, read_logs, self.folder)))
