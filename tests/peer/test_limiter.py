"""Tests for the rate limits."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.peer.limiter import Allowance, Bucket


class BucketTests(SynchronousTestCase):
    """Bytes a second, and who waits."""

    def test_unlimited(self) -> None:
        """Without a rate everything passes at once."""
        clock = Clock()
        bucket = Bucket(clock)
        bucket.spend(10**9)
        self.assertTrue(bucket.is_ready())
        self.assertEqual(clock.getDelayedCalls(), [])

    def test_rate_over_time(self) -> None:
        """Over ten seconds at 1,000 bytes/s, blocks of 100 bytes pass about 10,000 bytes in all."""
        clock = Clock()
        bucket = Bucket(clock, 1000.0)
        passed = 0
        for _ in range(1000):
            clock.advance(0.01)
            while bucket.is_ready():
                bucket.spend(100)
                passed += 100
        self.assertGreaterEqual(passed, 9_900)
        self.assertLessEqual(passed, 10_000 + 250 + 100)

    def test_waiters_in_order(self) -> None:
        """Whoever waits is called first come, first served, once bytes may pass, and only once."""
        clock = Clock()
        bucket = Bucket(clock, 100.0)
        called: list[str] = []

        def spender(name: str) -> None:
            called.append(name)
            bucket.spend(50)

        bucket.is_ready()
        bucket.spend(100)
        bucket.call_when_ready(lambda: spender("first"))
        bucket.call_when_ready(lambda: spender("second"))
        clock.advance(0.5)
        self.assertEqual(called, [])
        clock.advance(0.5)
        self.assertEqual(called, ["first"])
        clock.advance(1.0)
        self.assertEqual(called, ["first", "second"])
        clock.advance(10.0)
        self.assertEqual(called, ["first", "second"])

    def test_new_rate_wakes(self) -> None:
        """Lifting the limit lets everyone through at once."""
        clock = Clock()
        bucket = Bucket(clock, 1.0)
        bucket.spend(1000)
        called: list[int] = []
        bucket.call_when_ready(lambda: called.append(1))
        bucket.rate = None
        self.assertEqual(called, [1])

    def test_close_forgets(self) -> None:
        """A closed bucket leaves no timer behind."""
        clock = Clock()
        bucket = Bucket(clock, 1.0)
        bucket.spend(1000)
        bucket.call_when_ready(lambda: None)
        bucket.close()
        self.assertEqual(clock.getDelayedCalls(), [])


class AllowanceTests(SynchronousTestCase):
    """Several limits over one connection."""

    def test_tightest_binds(self) -> None:
        """The slower of a global and a torrent's limit decides."""
        clock = Clock()
        wide, tight = Bucket(clock, 1000.0), Bucket(clock, 10.0)
        allowance = Allowance((wide, tight))
        self.assertEqual(allowance.rate, 10.0)
        self.assertTrue(allowance.is_ready())
        allowance.spend(20)
        passed: list[float] = []

        def wait() -> None:
            if allowance.is_ready():
                passed.append(clock.seconds())
            else:
                allowance.call_when_ready(wait)

        wait()
        clock.pump([0.1] * 30)
        self.assertEqual(len(passed), 1)
        self.assertGreater(passed[0], 1.9)
        self.assertLess(passed[0], 2.2)

    def test_no_limit(self) -> None:
        """Nothing binds where nothing was set."""
        self.assertIsNone(Allowance((Bucket(Clock()),)).rate)
        self.assertTrue(Allowance().is_ready())
