from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.geometry import BLOCK_SIZE
from p2pshare.policy.pipeline import DEEPEST, LONGEST_PAUSE, SHALLOWEST, Pipeline, fair_share

MIB = 1 << 20


class FairShareTests(SynchronousTestCase):
    """How much to have on order at a seed that others want something of as well."""

    def test_alone(self) -> None:
        """A seed that serves nobody else may be asked for as much as any peer."""
        self.assertEqual(fair_share(5, 0), DEEPEST)

    def test_less_the_less_is_missing(self) -> None:
        """The share shrinks with what is missing, and with the number of rivals, down to 32 blocks."""
        self.assertEqual([fair_share(missing, 5) for missing in (8000, 4000, 1320, 1280, 0)], [200, 100, 33, 32, 32])
        self.assertEqual([fair_share(8000, rivals) for rivals in (1, 2, 4)], [1000, 500, 250])


class PipelineTests(SynchronousTestCase):
    """The depth follows the rate, within limits."""

    def test_starts_with_32(self) -> None:
        """A peer that has sent nothing yet is asked for 32 blocks."""
        self.assertEqual(Pipeline().depth(0.0, 0.0, 500, False), 32)

    def test_holds_one_second_of_download(self) -> None:
        """At 3 MiB/s one second is 192 blocks."""
        self.assertEqual(Pipeline().depth(0.0, 3.0 * MIB, 2000, False), 192)

    def test_limits(self) -> None:
        """No more than 500, no more than the peer queues, no less than 32 unless the peer queues fewer."""
        pipeline = Pipeline()
        self.assertEqual(pipeline.depth(0.0, 1e9, 2000, False), DEEPEST)
        self.assertEqual(pipeline.depth(0.0, 1e9, 250, False), 250)
        self.assertEqual(pipeline.depth(0.0, 1000.0, 250, False), SHALLOWEST)
        self.assertEqual(pipeline.depth(0.0, 1e9, 5, False), 5)
        self.assertEqual(Pipeline(deepest=100).depth(0.0, 1e9, 2000, False), 100)

    def test_slow_start_grows_with_each_block(self) -> None:
        """Before the rate is known to be the limit, each block received makes room for one request more."""
        pipeline = Pipeline()
        pipeline.got_blocks(3)
        pipeline.got_blocks()
        self.assertEqual(pipeline.depth(0.1, 0.0, 500, False), 36)

    def test_slow_start_ends_at_the_rate(self) -> None:
        """A second after the first block, a peer that does not keep up loses what slow start had given it, for good."""
        pipeline = Pipeline()
        pipeline.got_blocks(100)
        slow = 40.0 * BLOCK_SIZE  # one second of it is 40 blocks
        self.assertEqual(pipeline.depth(5.0, slow, 500, False), 132)
        self.assertEqual(pipeline.depth(5.9, slow, 500, False), 132)
        self.assertEqual(pipeline.depth(6.0, slow, 500, False), 40)
        pipeline.got_blocks(100)
        self.assertEqual(pipeline.depth(6.1, slow, 500, False), 40)

    def test_snubbed(self) -> None:
        """A peer that left requests unanswered is asked for one block."""
        self.assertEqual(Pipeline().depth(0.0, 1e9, 500, True), 1)

    def test_s1_12_pinned(self) -> None:
        """A pinned pipeline stays as it is, whatever the rate, but never exceeds what the peer queues."""
        for depth in (1, 5):
            pipeline = Pipeline(pinned=depth)
            pipeline.got_blocks(50)
            self.assertEqual([pipeline.depth(9.0, rate, 250, False) for rate in (0.0, 1e9)], [depth, depth])
        self.assertEqual(Pipeline(pinned=5).depth(0.0, 0.0, 3, False), 3)
        self.assertEqual(Pipeline(pinned=5).depth(0.0, 0.0, 250, True), 1)


class FruitlessTests(SynchronousTestCase):
    """A peer that promises and does not deliver is asked less and less often."""

    def test_two_are_ordinary(self) -> None:
        """Two chokes or rejects before a block cost nothing, the third a second, and each further one twice as much."""
        pipeline = Pipeline()
        now, pauses = 0.0, []
        for _ in range(8):
            pipeline.came_to_nothing(now)
            pause = 0.0
            while not pipeline.depth(now + pause, 0.0, 500, False):
                pause += 0.5
            pauses.append(pause)
            now += pause
        self.assertEqual(pauses, [0.0, 0.0, 1.0, 2.0, 4.0, 8.0, 16.0, LONGEST_PAUSE])

    def test_a_block_makes_up_for_it(self) -> None:
        """Once a block has come the count begins anew."""
        pipeline = Pipeline()
        for _ in range(2):
            pipeline.came_to_nothing(0.0)
            pipeline.came_to_nothing(0.0)
            pipeline.got_blocks()
        self.assertEqual(pipeline.depth(0.0, 0.0, 500, False), 34)

    def test_a_burst_counts_once(self) -> None:
        """A hundred rejects at one moment, as one queue that is refused makes them, pause no longer than one."""
        pipeline = Pipeline()
        for _ in range(100):
            pipeline.came_to_nothing(0.0)
        self.assertEqual(pipeline.depth(0.9, 0.0, 500, False), 0)
        self.assertEqual(pipeline.depth(1.0, 0.0, 500, False), 32)
