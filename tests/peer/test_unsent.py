"""Tests for the memory that transports may hold."""

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.peer.unsent import SHARE, TOTAL, WINDOW, Backlog, SendMemory


class SendMemoryTests(SynchronousTestCase):
    """Shared by all, exhausted by none."""

    def test_alone(self) -> None:
        """One connection may hold its window and no more, whatever else is free."""
        backlog = Backlog(SendMemory())
        self.assertEqual(backlog.room, WINDOW)
        backlog.wrote(WINDOW - 1, 0.0)
        self.assertEqual(backlog.room, 1)
        backlog.drained()
        self.assertEqual((backlog.room, backlog.size), (WINDOW, 0))

    def test_total(self) -> None:
        """Connections that all take what they may never hold more than the total together."""
        memory = SendMemory()
        for _ in range(10_000):
            backlog = Backlog(memory)
            backlog.wrote(backlog.room, 0.0)
        self.assertLessEqual(memory.held, TOTAL)

    def test_room_for_the_next(self) -> None:
        """After a hundred connections that do not drain, the next one still has room for a block."""
        memory = SendMemory()
        for _ in range(100):
            Backlog(memory).wrote(memory.share, 0.0)
        self.assertGreater(memory.share, 16 * 1024)
        self.assertEqual(memory.share, (TOTAL - memory.held) // SHARE)

    def test_since(self) -> None:
        """The wait counts from the first byte after it was empty."""
        backlog = Backlog(SendMemory())
        backlog.wrote(1, 10.0)
        backlog.wrote(1, 20.0)
        self.assertEqual((backlog.size, backlog.since), (2, 10.0))
        backlog.drained()
        backlog.wrote(1, 30.0)
        self.assertEqual(backlog.since, 30.0)
