"""The swarm whose decisions are measured does what a swarm does."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.deaf import requests
from benchmarks.picker import LEDGER, SWARM, judge
from benchmarks.whole_swarm import cost_of_a_block, join, make_swarm, reads
from p2pshare.bitfield import Bitfield
from p2pshare.geometry import BLOCK_SIZE, Geometry
from p2pshare.wire import bep3, messages
from p2pshare.wire.session import WireSession

LENGTH = 4 * BLOCK_SIZE
GEOMETRY = Geometry(LENGTH, (20 * LENGTH,))


class WholeSwarmTests(SynchronousTestCase):
    """make_swarm(), join() and reads()"""

    def test_everything_is_downloaded(self) -> None:
        """From several peers the whole torrent arrives, and the swarm becomes a seed."""
        swarm, _ = make_swarm(GEOMETRY, Random(0))
        lines = join(swarm, [Bitfield.full(20) for _ in range(3)])
        for line, read in reads(lines):
            for message in read:
                swarm.message_received(line, message)  # type: ignore[arg-type]
            swarm.batch_received(line)  # type: ignore[arg-type]
        self.assertTrue(swarm.store.is_complete)
        self.assertTrue(all(line.said >= 20 for line in lines))  # a have for each piece

    def test_a_block_costs_something(self) -> None:
        """What is measured is not nothing."""
        self.assertGreater(cost_of_a_block(GEOMETRY, [Bitfield.full(20)], 80, Random(0)), 0.0)


class JudgeTests(SynchronousTestCase):
    """judge()"""

    def test_what_is_too_slow_is_named(self) -> None:
        """A case above its limit in a swarm of any size is told, the others are not."""
        wrong = judge({"pick, peer has all": [1.0, 25.0], "have": [99.0], LEDGER: [1.0], SWARM: [5.0, 9.9]})
        self.assertEqual(wrong, ["pick, peer has all: 25.0 microseconds, not 20 at most"])


class DeafTests(SynchronousTestCase):
    """What peers that do not read ask for"""

    def test_requests_can_be_served(self) -> None:
        """They ask for so many different blocks that exist, or nobody would have to keep them."""
        wire = WireSession(bep3.DIALECT, num_pieces=20, fast=True, extended=False)
        asked = list(wire.receive(requests(GEOMETRY, 50, Random(1))))
        self.assertEqual(len({(request.index, request.begin) for request in asked}), 50)  # type: ignore[union-attr]
        for request in asked:
            assert isinstance(request, messages.Request)
            self.assertEqual(GEOMETRY.block_length(request.index, request.begin // BLOCK_SIZE), request.length)
