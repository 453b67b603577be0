"""Tests for the queue of promised blocks."""

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import StorageError
from p2pshare.peer.limiter import Allowance, Bucket
from p2pshare.peer.outbox import BATCH, Block, Outbox
from p2pshare.wire import bep3
from tests.fakes import FakeSource

K16 = 16384


class RecordingPipe:
    """Writes down what an outbox sends; asks it to pause after ``room`` bytes."""

    def __init__(self, room: int = 10**9) -> None:
        self.written: list[bytes] = []
        self.sent = 0
        self.unreadable: list[list[Block]] = []
        self.room = room
        self.outbox: Outbox

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.room -= len(data)
        if self.room < 0:
            self.outbox.pause()

    def blocks_sent(self, amount: int) -> None:
        self.sent += amount

    def blocks_unreadable(self, blocks: list[Block], reason: Failure) -> None:
        self.unreadable.append(blocks)


def frames(*blocks: tuple[int, int, bytes]) -> bytes:
    """The bytes of these piece messages."""
    return b"".join(bep3.piece_header(piece, begin, len(data)) + data for piece, begin, data in blocks)


class OutboxTests(SynchronousTestCase):
    """Blocks wait as requests and leave as frames."""

    def setUp(self) -> None:
        self.source = FakeSource([bytes([piece]) * (64 * K16) for piece in range(4)])
        self.pipe = RecordingPipe()
        self.outbox = self.pipe.outbox = Outbox(self.source, self.pipe, Allowance(), bep3.piece_header)

    def promise(self, *blocks: Block) -> None:
        for block in blocks:
            self.outbox.add(block)

    def test_neighbours_are_one_read_and_one_write(self) -> None:
        """Consecutive blocks of one piece cost one read and one write, in the order asked."""
        self.promise((1, 0, K16), (1, K16, K16), (2, 0, 100))
        self.outbox.pump()
        self.assertEqual(self.source.reads, [(1, 0, 2 * K16), (2, 0, 100)])
        one = b"\1" * K16
        self.assertEqual(self.pipe.written, [frames((1, 0, one), (1, K16, one)), frames((2, 0, b"\2" * 100))])
        self.assertEqual(self.pipe.sent, 2 * K16 + 100)

    def test_batches_are_bounded(self) -> None:
        """No write carries more than one batch of payload."""
        self.promise(*((0, n * K16, K16) for n in range(40)))
        self.outbox.pump()
        self.assertTrue(all(length <= BATCH for _, _, length in self.source.reads))
        self.assertEqual(self.pipe.sent, 40 * K16)

    def test_transport_says_stop(self) -> None:
        """A full transport stops the reading; when it has drained, sending goes on."""
        self.pipe.room = BATCH
        self.promise(*((piece, n * K16, K16) for piece in range(4) for n in range(16)))
        self.outbox.pump()
        self.assertEqual(len(self.source.reads), 1)
        self.assertEqual(len(self.outbox), 48)
        self.pipe.room = 10**9
        self.outbox.resume()
        self.assertEqual(len(self.outbox), 0)

    def test_slow_disk(self) -> None:
        """Blocks that are not in memory are sent, in order, once the disk delivered them."""
        self.source.slow = True
        self.promise((0, 0, K16), (3, 0, K16))
        self.outbox.pump()
        self.assertEqual(self.pipe.written, [])
        self.source.deliver()
        self.assertEqual(self.pipe.written, [frames((0, 0, b"\0" * K16))])
        self.source.deliver()
        self.assertEqual(self.pipe.written[1:], [frames((3, 0, b"\3" * K16))])

    def test_f30_cancel(self) -> None:
        """A cancelled block is not sent, even when the disk was asked for it; cancelling what nobody asked does nothing."""
        self.source.slow = True
        self.promise((0, 0, K16), (0, K16, K16), (1, 0, K16))
        self.outbox.pump()
        self.assertTrue(self.outbox.cancel((0, 0, K16)))
        self.assertTrue(self.outbox.cancel((1, 0, K16)))
        self.assertFalse(self.outbox.cancel((2, 0, K16)))
        self.source.deliver()
        self.assertEqual(self.pipe.written, [frames((0, K16, b"\0" * K16))])

    def test_choke_drops_everything(self) -> None:
        """Clearing names all blocks, those being read included, and none of them is sent."""
        self.source.slow = True
        self.promise((0, 0, K16), (1, 0, K16))
        self.outbox.pump()
        self.assertEqual(self.outbox.clear(), [(0, 0, K16), (1, 0, K16)])
        self.source.deliver()
        self.assertEqual(self.pipe.written, [])

    def test_f93_unreadable(self) -> None:
        """A disk error is reported with the blocks it hit; no byte is sent for them, and others still are."""
        self.source.slow = True
        self.promise((0, 0, K16), (1, 0, K16))
        self.outbox.pump()
        reading, _ = self.source.waiting.pop(0)
        reading.errback(StorageError("piece 0: input/output error"))
        self.assertEqual(self.pipe.unreadable, [[(0, 0, K16)]])
        self.source.deliver()
        self.assertEqual(self.pipe.written, [frames((1, 0, b"\1" * K16))])

    def test_rate_limit(self) -> None:
        """Under a limit of 100 KiB/s, 1 MiB takes about ten seconds."""
        clock = Clock()
        limited = Allowance((Bucket(clock, 100 * 1024.0),))
        outbox = self.pipe.outbox = Outbox(self.source, self.pipe, limited, bep3.piece_header)
        for n in range(64):
            outbox.add((0, n * K16, K16))
        outbox.pump()
        clock.pump([0.05] * 100)
        self.assertAlmostEqual(self.pipe.sent, 512 * 1024, delta=40 * 1024)
        clock.pump([0.05] * 120)
        self.assertEqual(self.pipe.sent, 1024 * 1024)

    def test_closed(self) -> None:
        """After the end nothing is sent any more."""
        self.source.slow = True
        self.promise((0, 0, K16))
        self.outbox.pump()
        self.outbox.close()
        self.source.deliver()
        self.assertEqual(self.pipe.written, [])
