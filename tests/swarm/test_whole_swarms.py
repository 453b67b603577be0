"""Tests of whole swarms, joined in memory: everybody ends with the same bytes, whatever happens on the way."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.geometry import BLOCK_SIZE
from p2pshare.peer.unsent import WINDOW
from p2pshare.storage.memory import MemoryStore
from p2pshare.storage.store import PieceStore
from p2pshare.swarm.events import Event, PieceVerified, State
from p2pshare.swarm.swarm import Swarm
from tests.storage.fakes import run_now, some_bytes, torrent, tree
from tests.swarm.fakes import TroubledStore
from tests.swarm.network import Network, address_of, make_swarm

PIECE = 2 * BLOCK_SIZE
FILES = {
    "empty": b"",
    "small": some_bytes(100, 1),
    "folder/large": some_bytes(9 * PIECE + 1234, 2),
    "folder/deeper/more": some_bytes(5 * PIECE, 3),
    "odd": some_bytes(777, 4),
}
CONTENT = b"".join(FILES.values())
TORRENT = torrent(FILES, PIECE)


class WholeSwarmTestCase(SynchronousTestCase):
    """Swarms of one torrent; peer N is at 10.0.0.N."""

    def setUp(self) -> None:
        self.network = Network()
        self.swarms: list[Swarm] = []

    def add(self, content: bytes = b"", store: Any = None, **details: Any) -> Swarm:
        """Start one more peer that has this much of the content, and knows nobody."""
        swarm = make_swarm(
            self.network,
            details.pop("metainfo", TORRENT),
            store or MemoryStore(details.pop("of", TORRENT), content),
            len(self.swarms) + 1,
            **details,
        )
        self.swarms.append(swarm)
        swarm.startService()
        return swarm

    def introduce(self, *numbers: int) -> None:
        """Let a tracker tell these peers, or all, of each other."""
        for swarm in self.swarms:
            swarm.meeting.heard([address_of(n) for n in numbers or range(1, len(self.swarms) + 1)], "tracker")

    def number(self, swarm: Swarm) -> int:
        """Which peer this is."""
        return self.swarms.index(swarm) + 1

    def assert_completes(self, *swarms: Swarm, within: float = 600.0, content: bytes = CONTENT) -> None:
        """Let time pass until all these have everything, and compare every byte."""
        waiting = swarms or tuple(self.swarms)
        done = self.network.run(within, lambda: all(swarm.store.is_complete for swarm in waiting))
        self.assertTrue(done, [f"{swarm.store.have.count}/{swarm.store.geometry.num_pieces}" for swarm in waiting])
        for swarm in waiting:
            if hasattr(swarm.store, "content"):
                self.assertEqual(swarm.store.content, content)
            self.assertEqual(swarm.state, State.SEEDING)

    def tearDown(self) -> None:
        """Everybody stops, and nothing is left behind: no connection, no timer, no byte of memory."""
        stopping = [swarm.stopService() for swarm in self.swarms]
        self.network.settle()
        for stopped in stopping:
            self.successResultOf(stopped)
        self.network.run(30)
        self.assertEqual([swarm.members for swarm in self.swarms], [{}] * len(self.swarms))
        self.assertEqual((self.network.ends, self.network.clock.getDelayedCalls()), ([], []))
        self.assertEqual(self.network.commons.memory.held, 0)
        self.assertLessEqual(self.network.most_held, 2 * WINDOW)


class TransferTests(WholeSwarmTestCase):
    """From those who have to those who want."""

    def test_seed_and_leech(self) -> None:
        """One dials the other, in either direction, and in a moment both have everything."""
        for seed_dials in (True, False):
            with self.subTest(seed_dials=seed_dials):
                seed, leech = self.add(CONTENT), self.add()
                dialler, other = (seed, leech) if seed_dials else (leech, seed)
                dialler.meeting.heard([address_of(self.number(other))], "user")
                self.assert_completes(seed, leech, within=1.0)
                self.assertEqual((seed.up.total, leech.down.total), (len(CONTENT), len(CONTENT)))
                self.assertEqual(leech.download.wasted, 0)
                self.network.run(1)
                self.assertEqual((seed.members, leech.members), ({}, {}))  # both are seeds now

    def test_both_dial(self) -> None:
        """When both dial at once one connection remains, and it works."""
        self.add(CONTENT)
        self.add()
        self.introduce()
        self.assert_completes(within=1.0)

    def test_files_on_disk(self) -> None:
        """Over real stores every file of a folder arrives as it is, under its final name."""
        there, here = Path(self.mktemp()), Path(self.mktemp())
        for path, data in FILES.items():
            file = there / TORRENT.name / path
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(data)
        here.mkdir()
        self.add(store=PieceStore(TORRENT, there, run_now))
        self.add(store=PieceStore(TORRENT, here, run_now))
        self.introduce()
        self.assert_completes(within=5.0)
        self.assertEqual(tree(here), {f"{TORRENT.name}/{path}": data for path, data in FILES.items()})

    def test_s1_16_restart_half_way(self) -> None:
        """Until the end there is only a ``.part``; after a restart half way no verified piece is asked for again."""
        single = torrent(CONTENT, PIECE, name="thing.bin")
        folder = Path(self.mktemp())
        folder.mkdir()
        self.add(CONTENT, of=single, metainfo=single, rate=32 * 1024.0)
        old = self.add(store=PieceStore(single, folder, run_now), metainfo=single)
        self.introduce()
        self.assertTrue(self.network.run(60, lambda: old.store.have.count > 6))
        self.assertEqual(list(tree(folder)), ["thing.bin.part"])
        had = set(old.store.have)
        stopping = old.stopService()
        self.network.settle()
        self.successResultOf(stopping)
        new = self.add(store=PieceStore(single, folder, run_now), metainfo=single)
        self.assertEqual(set(new.store.have), had)
        self.introduce(1)
        self.assert_completes(new)
        self.assertEqual(tree(folder), {"thing.bin": CONTENT})
        missing = sum(single.geometry.piece_size(piece) for piece in range(single.num_pieces) if piece not in had)
        self.assertEqual((new.down.total, new.download.wasted), (missing, 0))

    def test_f93_truncated_part(self) -> None:
        """A peer whose unfinished file was cut short under it finds out when it serves, and fetches the rest again."""
        folders = [Path(self.mktemp()) for _ in range(2)]
        for folder in folders:
            folder.mkdir()
        seed = self.add(CONTENT, rate=32 * 1024.0)
        cut, late = (self.add(store=PieceStore(TORRENT, folder, run_now)) for folder in folders)
        cut.meeting.heard([address_of(1)], "user")
        self.assertTrue(self.network.run(60, lambda: cut.store.have.count > 8))
        self.network.vanish("10.0.0.1")
        for path in (folders[0] / TORRENT.name).rglob("*.part"):
            os.truncate(path, PIECE)
        had = cut.store.have.count
        late.meeting.heard([address_of(2)], "user")
        self.network.run(30)
        self.assertLess(cut.store.have.count, had)
        self.assertEqual(cut.state, State.DOWNLOADING)
        self.network.listen(address_of(1), seed)
        self.introduce()
        self.assert_completes(cut, late, within=300.0)
        for folder in folders:
            self.assertEqual(tree(folder), {f"{TORRENT.name}/{path}": data for path, data in FILES.items()})

    def test_three_leeches(self) -> None:
        """Three leeches get everything from one slow seed in less time than it needs to send it three times."""
        rate = 64 * 1024.0
        seed = self.add(CONTENT, rate=rate)
        leeches = [self.add(rate=rate) for _ in range(3)]
        self.introduce()
        self.assert_completes(within=2.5 * len(CONTENT) / rate)
        self.assertLess(seed.up.total, 2 * len(CONTENT))
        self.assertTrue(all(leech.up.total for leech in leeches))
        received = sum(leech.down.total + leech.download.wasted for leech in leeches)
        sent = sum(swarm.up.total for swarm in self.swarms)
        self.assertLessEqual(received, sent)
        self.assertLess(sent - received, 4 * BLOCK_SIZE)  # under way to peers that had it already

    def test_nobody_has_everything(self) -> None:
        """Peers that have everything only together make each other whole."""
        half = len(CONTENT) // 2 // PIECE * PIECE
        self.add(CONTENT[:half])
        self.add(bytes(half) + CONTENT[half:])
        self.introduce()
        self.assert_completes(within=30.0)

    def test_every_picker(self) -> None:
        """Whatever the order of pieces is, all of them come."""
        self.add(CONTENT)
        for picker in ("rarest", "first", "random", "sequential"):
            leech = self.add(picker=picker)
            events: list[Event] = []
            leech.subscribe(events.append)
            leech.meeting.heard([address_of(1)], "user")
            self.assert_completes(leech, within=60.0)
            order = [event.index for event in events if isinstance(event, PieceVerified)]
            self.assertEqual(sorted(order), list(range(TORRENT.num_pieces)))
            if picker in ("first", "sequential"):
                self.assertEqual(order, sorted(order))

    def test_every_pipeline(self) -> None:
        """One request at a time is slow and gets there; so does any other depth."""
        self.add(CONTENT)
        for depth in (1, 2, 5, 500, None):
            leech = self.add(pipeline=depth)
            leech.meeting.heard([address_of(1)], "user")
            self.assert_completes(leech, within=60.0)
            self.assertEqual(leech.download.wasted, 0)

    def test_little_memory(self) -> None:
        """With memory for two pieces at a time the content still comes whole."""
        self.add(CONTENT)
        self.add(memory_limit=1)
        self.introduce()
        self.assert_completes(within=60.0)

    def test_one_piece_of_one_byte(self) -> None:
        """The smallest content there is."""
        tiny = torrent(b"x", PIECE)
        self.add(store=MemoryStore(tiny, b"x"), metainfo=tiny)
        self.add(store=MemoryStore(tiny), metainfo=tiny)
        self.introduce()
        self.assert_completes(content=b"x", within=2.0)

    def test_f21_own_address(self) -> None:
        """A peer that hears of its own address dials it once and never again."""
        leech = self.add()
        self.introduce()
        self.network.run(10)
        for _ in range(5):
            self.introduce()
            self.network.run(600, step=10.0)
        self.assertEqual(self.network.dials, [("10.0.0.1", address_of(1))])
        self.assertEqual((leech.members, leech.meeting.known), ({}, 0))


class ComingAndGoingTests(WholeSwarmTestCase):
    """Peers that leave, vanish and return."""

    RATE = 32 * 1024.0

    def half(self, leech: Swarm) -> bool:
        """Whether a leech has half of everything."""
        return leech.store.have.count >= leech.store.geometry.num_pieces // 2

    def test_leech_leaves_half_way(self) -> None:
        """What it had on order from others is free again, and the others finish."""
        self.add(CONTENT, rate=self.RATE)
        leaving, staying = self.add(rate=self.RATE), self.add(rate=self.RATE)
        self.introduce()
        self.assertTrue(self.network.run(300, lambda: self.half(leaving)))
        self.assertFalse(leaving.store.is_complete)
        stopping = leaving.stopService()
        self.assert_completes(staying)
        self.successResultOf(stopping)

    def test_leech_vanishes_half_way(self) -> None:
        """The same when it is gone from one moment to the next."""
        self.add(CONTENT, rate=self.RATE)
        vanishing, staying = self.add(rate=self.RATE), self.add(rate=self.RATE)
        self.introduce()
        self.assertTrue(self.network.run(300, lambda: self.half(vanishing)))
        self.network.vanish("10.0.0.2")
        self.assert_completes(staying)

    def test_s3_14_two_seeds(self) -> None:
        """Pieces come from a slow seed and from a fast one; when that vanishes half way, the slow one does the rest."""
        slow, fast = self.add(CONTENT, rate=self.RATE / 4), self.add(CONTENT, rate=self.RATE)
        leech = self.add()
        self.introduce()
        self.assertTrue(self.network.run(300, lambda: self.half(leech)))
        self.assertGreater(slow.up.total, 0)
        self.assertGreater(fast.up.total, slow.up.total)
        self.network.vanish("10.0.0.2")
        self.assert_completes(leech)

    def test_s3_14_corrupt_seed(self) -> None:
        """One of two seeds has other bytes than it says: none of them gets into the file, and it is sent away."""
        wrong = bytes(byte ^ 1 for byte in CONTENT)
        self.add(CONTENT, rate=self.RATE)
        liar = self.add(wrong, rate=self.RATE)
        leech = self.add()
        self.introduce()
        self.assert_completes(leech)
        self.assertGreater(liar.up.total, 0)
        self.assertNotIn("10.0.0.2", [remote.address.host for remote in leech.members])

    def test_f112_seed_vanishes_and_returns(self) -> None:
        """When the only seed is gone what is there is kept; when it is back the rest comes, and nothing comes twice."""
        seed, leech = self.add(CONTENT, rate=self.RATE), self.add()
        leech.meeting.heard([address_of(1)], "tracker")
        self.assertTrue(self.network.run(300, lambda: self.half(leech)))
        self.network.vanish("10.0.0.1")
        self.network.run(86400, step=60.0)
        self.assertEqual((leech.state, leech.members), (State.DOWNLOADING, {}))
        self.assertTrue(self.half(leech))
        self.network.listen(address_of(1), seed)
        leech.meeting.heard([address_of(1)], "tracker")  # with the next announce
        self.assert_completes(leech, within=120.0)
        self.assertLessEqual(leech.down.total + leech.download.wasted, len(CONTENT) + 2 * PIECE)

    def test_f113_partition(self) -> None:
        """Two halves of a swarm that lose sight of each other for ten minutes go on where they were."""
        content = some_bytes(4 * 1024 * 1024, 5)
        larger = torrent(content, PIECE)
        self.add(content, of=larger, metainfo=larger, rate=self.RATE)
        leeches = [self.add(of=larger, metainfo=larger, rate=self.RATE) for _ in range(3)]
        self.introduce()
        self.assertTrue(self.network.run(300, lambda: self.half(leeches[0])))
        for number in (3, 4):
            self.network.vanish(f"10.0.0.{number}")
        self.network.run(600, step=1.0)
        for number in (3, 4):
            self.network.listen(address_of(number), self.swarms[number - 1])
        self.introduce()
        self.assert_completes(content=content)
        wasted = sum(leech.download.wasted for leech in leeches)
        self.assertLess(wasted, 0.01 * 3 * len(content))

    def test_f93_seed_loses_a_piece(self) -> None:
        """A seed whose disk lost a piece gets it back from the leech it once gave it to, and everybody is whole."""
        store = TroubledStore(TORRENT, CONTENT)
        self.add(store=store)
        first = self.add()
        first.meeting.heard([address_of(1)], "tracker")
        self.assert_completes(within=10.0)
        store.lost.add(4)
        late = self.add()
        late.meeting.heard([address_of(1)], "tracker")
        self.network.run(0.5, lambda: 4 not in store.have)
        self.assertNotIn(4, store.have)
        store.lost.clear()
        self.introduce()
        self.assert_completes(within=120.0)

    def test_everybody_restarts(self) -> None:
        """Peers that come back as somebody else, with what they had, are as welcome as before."""
        self.add(CONTENT, rate=self.RATE)
        old = self.add()
        self.introduce()
        self.assertTrue(self.network.run(300, lambda: self.half(old)))
        stopping = old.stopService()
        self.network.settle()
        self.successResultOf(stopping)
        had = old.store.have.count
        new = self.add(bytes(old.store.content))  # type: ignore[attr-defined]
        self.assertEqual(new.store.have.count, had)
        self.introduce(1)
        self.assert_completes(new)
        self.assertLess(new.down.total, len(CONTENT) - had * PIECE + PIECE)
