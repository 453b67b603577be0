"""What the benchmark of downloads over HTTP makes of its measurements."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.http_download import Figures, judge, rows

FAST, SLOW = Figures([3e9, 1e9, 4e9], [0.3] * 3), Figures([2e9, 3e9, 1e9], [0.4] * 3)


class JudgeTests(SynchronousTestCase):
    """judge() and rows()"""

    def test_within_limits(self) -> None:
        """Two thirds of nginx's speed are too little, the same is enough; the medians count."""
        (missed,) = judge({"nginx": FAST, "p2pshare": SLOW}, (50 << 20, 82 << 20))
        self.assertEqual(missed, "the node gives 0.67 of nginx's speed, not 0.7")
        self.assertEqual(judge({"nginx": SLOW, "p2pshare": FAST}, (50 << 20, 82 << 20)), [])

    def test_memory(self) -> None:
        """What slow readers cost is told when it is too much."""
        (missed,) = judge({"nginx": FAST, "p2pshare": FAST}, (50 << 20, 83 << 20))
        self.assertEqual(missed, "slow readers cost 33 MiB, not 32")

    def test_rows(self) -> None:
        """A line each, with the share of nginx's speed."""
        self.assertEqual(
            rows({"nginx": FAST, "p2pshare": SLOW}),
            [["nginx", "3000", "1000-4000", "1.00", "0.30"], ["p2pshare", "2000", "1000-3000", "0.67", "0.40"]],
        )
