"""Swarms that are written down ready to run."""

from __future__ import annotations

from pathlib import Path
from random import Random

from attrs import evolve
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.config import write_common, write_peer_info
from p2pshare.course.init import find_sample, init_swarm
from p2pshare.course.layout import check_start, read_config
from p2pshare.course.samples import SAMPLES
from p2pshare.errors import ConfigError, StorageError

CONF = Path(__file__).resolve().parents[2] / "conf" / "course"


class SampleTests(SynchronousTestCase):
    def test_geometry(self) -> None:
        """The samples have the pieces that the course says: 306, 133 and 1,484, and no port 6008."""
        pieces = {}
        for name, sample in SAMPLES.items():
            geometry = sample.common.geometry
            seeds = [peer.id for peer in sample.info.peers if peer.has_file]
            last = geometry.piece_size(geometry.num_pieces - 1)
            pieces[name] = (geometry.num_pieces, last, len(sample.info.peers), seeds)
            self.assertNotIn(6008, [peer.port for peer in sample.info.peers])
        self.assertEqual(
            pieces,
            {
                "local": (306, 5992, 3, [1001]),
                "small": (133, 5017, 9, [1001, 1006]),
                "large": (1484, 4002, 6, [1001]),
            },
        )

    def test_files_of_the_project(self) -> None:
        """What lies in conf/course is what the samples say, and reads back."""
        self.assertEqual({path.name for path in CONF.iterdir() if path.is_dir()}, set(SAMPLES))
        for name, sample in SAMPLES.items():
            self.assertEqual((CONF / name / "Common.cfg").read_text(), write_common(sample.common))
            self.assertEqual((CONF / name / "PeerInfo.cfg").read_text(), write_peer_info(sample.info))
            self.assertEqual(read_config(CONF / name), (sample.common, sample.info))

    def test_names(self) -> None:
        """A swarm nobody knows is refused with the names of those there are."""
        self.assertIs(find_sample("small"), SAMPLES["small"])
        self.assertIn("expected one of local, small, large", str(self.assertRaises(ConfigError, find_sample, "huge")))


class InitTests(SynchronousTestCase):
    def setUp(self) -> None:
        small = SAMPLES["small"]
        self.sample = evolve(small, common=evolve(small.common, file_size=1100000))
        self.folder = Path(self.mktemp()) / "swarm"

    def test_written(self) -> None:
        """All that a swarm needs to start is there, and both seeds have the same file."""
        init_swarm(self.sample, self.folder, Random(7))
        common, info = read_config(self.folder)
        self.assertEqual((common, info), (self.sample.common, self.sample.info))
        for peer in info.peers:
            check_start(self.folder, common, peer)
        first, second = ((self.folder / f"peer_{id}" / "thefile").read_bytes() for id in (1001, 1006))
        self.assertTrue(first == second and len(first) == 1100000)
        self.assertEqual(
            sorted(path.name for path in self.folder.iterdir()),
            ["Common.cfg", "PeerInfo.cfg", "peer_1001", "peer_1006"],
        )

    def test_seeded(self) -> None:
        """The same seed makes the same file, another one another."""
        contents = []
        for number, seed in enumerate((7, 7, 8)):
            folder = self.folder / str(number)
            init_swarm(self.sample, folder, Random(seed))
            contents.append((folder / "peer_1001" / "thefile").read_bytes())
        self.assertTrue(contents[0] == contents[1] != contents[2])

    def test_nothing_is_written_over(self) -> None:
        """Where a swarm lies already, even in part, nothing changes."""
        (self.folder / "peer_1006").mkdir(parents=True)
        (self.folder / "peer_1006" / "thefile").write_text("mine")
        error = self.assertRaises(StorageError, init_swarm, self.sample, self.folder, Random(7))
        self.assertIn("thefile: is there already", str(error))
        self.assertEqual([path.name for path in self.folder.iterdir()], ["peer_1006"])
