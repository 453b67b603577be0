"""Common.cfg and PeerInfo.cfg, as people and their editors write them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.config import (
    Common,
    PeerInfo,
    PeerLine,
    read_common,
    read_peer_info,
    write_common,
    write_peer_info,
)
from p2pshare.errors import ConfigError

COMMON = """NumberOfPreferredNeighbors 2
UnchokingInterval 5
OptimisticUnchokingInterval 15
FileName TheFile.dat
FileSize 10000232
PieceSize 32768
"""
PEERS = "1001 localhost 6001 1\n1002 localhost 6002 0\n1003 localhost 6003 0\n"
ASSIGNMENT = Common(
    preferred_neighbors=2,
    unchoking_interval=5.0,
    optimistic_interval=15.0,
    file_name="TheFile.dat",
    file_size=10000232,
    piece_size=32768,
)
LOCAL = PeerInfo(
    (
        PeerLine(1001, "localhost", 6001, True),
        PeerLine(1002, "localhost", 6002, False),
        PeerLine(1003, "localhost", 6003, False),
    )
)


class ConfigTestCase(SynchronousTestCase):
    """Files in a scratch folder."""

    def written(self, content: str | bytes) -> Path:
        """Write a file and name it."""
        path = Path(self.mktemp())
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    def refused(self, reader: Callable[[Path], object], content: str | bytes) -> str:
        """Read a wrong file, and tell what was said of it, with FILE for its path."""
        path = self.written(content)
        error = self.assertRaises(ConfigError, reader, path)
        self.assertIn(str(path), str(error))
        return str(error).replace(str(path), "FILE")


class CommonTests(ConfigTestCase):
    def refusal(self, content: str | bytes) -> str:
        return self.refused(read_common, content)

    def test_assignment(self) -> None:
        """The assignment's values make 306 pieces, the last of 5,992 bytes."""
        common = read_common(self.written(COMMON))
        self.assertEqual(common, ASSIGNMENT)
        self.assertEqual((common.geometry.num_pieces, common.geometry.piece_size(305)), (306, 5992))

    def test_s4_12_as_editors_leave_it(self) -> None:
        """Trailing blanks, CRLF, blank lines, a byte order mark, any order and no last newline change nothing."""
        lines = COMMON.splitlines()
        for content in (
            COMMON.replace("\n", "\r\n"),
            COMMON.replace("\n", " \t\n") + "\n\n",
            COMMON.rstrip("\n"),
            "\ufeff" + COMMON,
            "\n".join(reversed(lines)),
            COMMON.replace(" ", "\t  "),
        ):
            self.assertEqual(read_common(self.written(content)), ASSIGNMENT)

    def test_s4_12_missing_key(self) -> None:
        """What is missing is named, all of it."""
        refusal = self.refusal("FileSize 1\nPieceSize 1\nFileName a\n")
        self.assertIn("without NumberOfPreferredNeighbors, UnchokingInterval, OptimisticUnchokingInterval,", refusal)

    def test_s4_12_wrong_lines(self) -> None:
        """A line that cannot be is named by its number, with what it holds and what is expected."""
        for old, new, said in (
            (
                "UnchokingInterval 5\n",
                "UnchokingIntervall 5\n",
                "FILE, line 2: key 'UnchokingIntervall', expected one of",
            ),
            ("PieceSize 32768", "PieceSize 0", "FILE, line 6: PieceSize 0, expected a whole number from 1 to"),
            ("PieceSize 32768", "PieceSize 32k", "line 6: PieceSize 32k, expected a whole number"),
            ("PieceSize 32768", "PieceSize", "line 6: PieceSize without a value, expected a key and a value"),
            ("PieceSize 32768", "PieceSize 1", "line 6: PieceSize 1, which makes 10000232 pieces, expected at most"),
            ("FileSize 10000232", "FileSize -1", "line 5: FileSize -1, expected a whole number"),
            ("FileSize 10000232", "FileSize ²", "line 5: FileSize ², expected a whole number"),
            ("Neighbors 2", "Neighbors 0", "line 1: NumberOfPreferredNeighbors 0, expected a whole number"),
            ("Interval 15", "Interval nan", "line 3: OptimisticUnchokingInterval nan, expected seconds, more than 0"),
            (
                "Interval 15",
                "Interval 5\nUnchokingInterval 5",
                "line 4: UnchokingInterval again, expected once, as in line 2",
            ),
            ("TheFile.dat", "../TheFile.dat", "line 4: FileName ../TheFile.dat, expected the name of a file, without"),
        ):
            self.assertIn(said, self.refusal(COMMON.replace(old, new)))

    def test_fractions_of_a_second(self) -> None:
        """Intervals may be shorter than the assignment's."""
        common = read_common(self.written(COMMON.replace("Interval 5", "Interval 0.5")))
        self.assertEqual(common.unchoking_interval, 0.5)

    def test_not_a_text_file(self) -> None:
        """No file, a folder, bytes that are no text and a huge file each get one sentence."""
        missing = Path(self.mktemp())
        self.assertIn("No such file", str(self.assertRaises(ConfigError, read_common, missing)))
        missing.mkdir()
        self.assertIn("directory", str(self.assertRaises(ConfigError, read_common, missing)))
        self.assertIn("line 2: byte 0xff, expected UTF-8", self.refusal(b"FileSize 1\nFileName \xff\n"))
        self.assertIn("expected a small text file", self.refusal(b"\n" * (1 << 20) + b"\n"))

    def test_written(self) -> None:
        """What we write is what the assignment shows, and reads back."""
        self.assertEqual(write_common(ASSIGNMENT), COMMON)

    @given(st.binary(max_size=60) | st.text("PieceSize 0123\n", max_size=40).map(str.encode))
    def test_garbage(self, content: bytes) -> None:
        """Any bytes are a configuration or a ConfigError."""
        self.refusal(content)


class PeerInfoTests(ConfigTestCase):
    def refusal(self, content: str | bytes) -> str:
        return self.refused(read_peer_info, content)

    def test_s4_4_order(self) -> None:
        """A peer dials those that stand before it, in their order."""
        info = read_peer_info(self.written(PEERS))
        self.assertEqual(info, LOCAL)
        self.assertEqual([peer.id for peer in info.before(1003)], [1001, 1002])
        self.assertEqual((info.before(1001), info.of(1002).port), ((), 6002))
        self.assertTrue(1002 in info and 1004 not in info)

    def test_s4_12_unknown_peer(self) -> None:
        """A peer that is not in the file is told which ones are."""
        info = read_peer_info(self.written(PEERS))
        error = self.assertRaises(ConfigError, info.of, 1009)
        self.assertIn("peer 1009 is not in it, expected one of 1001, 1002, 1003", str(error))

    def test_s4_12_as_editors_leave_it(self) -> None:
        """Trailing blanks, CRLF and blank lines change nothing."""
        for content in (PEERS.replace("\n", "\r\n"), PEERS.replace("\n", "  \n\n"), PEERS.rstrip()):
            self.assertEqual(read_peer_info(self.written(content)), LOCAL)

    def test_s4_12_wrong_lines(self) -> None:
        """A line that cannot be is named by its number, with what it holds and what is expected."""
        for old, new, said in (
            ("1002", "1001", "FILE, line 2: peer 1001 again, expected once, as in line 1"),
            ("6002", "6001", "FILE, line 2: localhost 6001 again, expected once, as in line 1"),
            ("6002 0", "6002", "line 2: 3 words, '1002 localhost 6002', expected four"),
            ("6002 0", "6002 2", "line 2: '1002 localhost 6002 2', expected id, host name, port, 1 or 0"),
            ("6002 0", "70000 0", "a whole number from 1 to 65535"),
            ("1002", "4294967296", "a whole number from 0 to 4294967295"),
            ("1002", "x", "a whole number from 0 to 4294967295"),
        ):
            self.assertIn(said, self.refusal(PEERS.replace(old, new)))
        self.assertIn("no line, expected a peer on each", self.refusal("\r\n \n"))

    def test_too_many(self) -> None:
        """A swarm in which everybody connects to everybody has its limit."""
        content = "".join(f"{place} host{place} 6001 0\n" for place in range(1001))
        self.assertIn("line 1001: peer number 1001, expected at most 1000", self.refusal(content))

    def test_written(self) -> None:
        """What we write reads back."""
        self.assertEqual(write_peer_info(LOCAL), PEERS)
