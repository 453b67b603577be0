"""The working directory of a course swarm."""

from __future__ import annotations

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.config import PeerLine
from p2pshare.course.layout import check_start, log_file, peer_folder, read_config
from p2pshare.errors import ConfigError
from tests.course.test_config import ASSIGNMENT, COMMON, LOCAL, PEERS

SEED = PeerLine(1001, "localhost", 6001, True)
LEECH = PeerLine(1002, "localhost", 6002, False)


class LayoutTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()

    def test_names(self) -> None:
        """Each peer has a folder and a log."""
        self.assertEqual(peer_folder(self.folder, 1001), self.folder / "peer_1001")
        self.assertEqual(log_file(self.folder, 1001), self.folder / "log_peer_1001.log")

    def test_configuration(self) -> None:
        """Both files are read; the one that is missing is named."""
        (self.folder / "Common.cfg").write_text(COMMON)
        self.assertIn("PeerInfo.cfg", str(self.assertRaises(ConfigError, read_config, self.folder)))
        (self.folder / "PeerInfo.cfg").write_text(PEERS)
        self.assertEqual(read_config(self.folder), (ASSIGNMENT, LOCAL))

    def test_s4_12_seed_without_its_file(self) -> None:
        """A seed needs the complete file before it starts; a leech needs nothing."""
        check_start(self.folder, ASSIGNMENT, LEECH)
        refusal = str(self.assertRaises(ConfigError, check_start, self.folder, ASSIGNMENT, SEED))
        self.assertIn("TheFile.dat: no such file, expected the complete file", refusal)

    def test_s4_12_seed_with_another_size(self) -> None:
        """A file of another size than the configured one is not the file."""
        path = self.folder / "peer_1001" / "TheFile.dat"
        path.parent.mkdir()
        path.write_bytes(b"short")
        refusal = str(self.assertRaises(ConfigError, check_start, self.folder, ASSIGNMENT, SEED))
        self.assertIn("TheFile.dat: 5 bytes, expected 10000232, the FileSize of Common.cfg", refusal)
        with path.open("r+b") as file:
            file.truncate(10000232)
        check_start(self.folder, ASSIGNMENT, SEED)
