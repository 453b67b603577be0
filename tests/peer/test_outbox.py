"""Tests for the queue of promised blocks."""

from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import StorageError
from p2pshare.peer.limiter import Allowance, Bucket
from p2pshare.peer.outbox import FRAMING, Block, Outbox
from p2pshare.peer.unsent import WINDOW
from p2pshare.wire import bep3
from tests.fakes import FakeSource

K16 = 16384


class RecordingPipe:
    """Writes down what an outbox sends; has ``room`` for so many bytes, which sending uses up."""

    def __init__(self, room: int = WINDOW) -> None:
        self.written: list[bytes] = []
        self.sent = 0
        self.unreadable: list[list[Block]] = []
        self.room = room
        self.outbox: Outbox

    def write(self, data: bytes) -> None:
        self.written.append(data)
        self.room -= len(data)

    def drain(self) -> None:
        """Make room again, as often as that brings more bytes."""
        while self.room < WINDOW:
            self.room = WINDOW
            self.outbox.pump()

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
        """No read and no write is larger than a connection's window, frames included."""
        self.promise(*((0, n * K16, K16) for n in range(40)))
        self.outbox.pump()
        self.pipe.drain()
        self.assertEqual([length // K16 for _, _, length in self.source.reads], [15, 15, 10])
        self.assertTrue(all(len(data) <= WINDOW for data in self.pipe.written))
        self.assertEqual(self.pipe.sent, 40 * K16)

    def test_transport_says_stop(self) -> None:
        """A full transport stops the reading; when it has drained, sending goes on."""
        self.promise(*((piece, n * K16, K16) for piece in range(4) for n in range(16)))
        self.outbox.pump()
        self.assertEqual(self.source.reads, [(0, 0, 15 * K16)])
        self.assertEqual(len(self.outbox), 49)
        self.pipe.drain()
        self.assertEqual(len(self.outbox), 0)

    def test_room_for_one_block(self) -> None:
        """A block goes out when there is room for it with its frame, and not a byte earlier."""
        self.promise((0, 0, K16))
        self.pipe.room = K16 + FRAMING - 1
        self.outbox.pump()
        self.assertEqual(self.pipe.sent, 0)
        self.pipe.room += 1
        self.outbox.pump()
        self.assertEqual(self.pipe.sent, K16)

    def test_asked_twice(self) -> None:
        """A block promised twice while it waits is sent once."""
        self.promise((0, 0, K16), (1, 0, K16), (0, 0, K16))
        self.assertEqual(len(self.outbox), 2)
        self.outbox.pump()
        self.assertEqual(self.pipe.sent, 2 * K16)

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
        """A cancelled block is not sent, even when the disk was asked for it; other cancels do nothing."""
        self.source.slow = True
        self.promise((0, 0, K16), (0, K16, K16), (1, 0, K16))
        self.outbox.pump()
        self.assertTrue(self.outbox.cancel((0, 0, K16)))
        self.assertTrue(self.outbox.cancel((1, 0, K16)))
        self.assertFalse(self.outbox.cancel((2, 0, K16)))
        self.source.deliver()
        self.assertEqual(self.pipe.written, [frames((0, K16, b"\0" * K16))])

    def test_f30_cancel_while_read(self) -> None:
        """A read whose blocks were all taken back is not mistaken for the next one: right bytes under every header."""
        self.source.slow = True
        self.promise((0, 0, K16))
        self.outbox.pump()
        self.assertTrue(self.outbox.cancel((0, 0, K16)))
        self.promise((1, 0, K16))
        self.outbox.pump()
        self.source.deliver()
        self.source.deliver()
        self.assertEqual(self.pipe.written, [frames((1, 0, b"\1" * K16))])

    def test_choke_while_read(self) -> None:
        """The same when a choke took everything back and an unchoke follows before the disk has answered."""
        self.source.slow = True
        self.promise((0, 0, K16))
        self.outbox.pump()
        self.outbox.clear()
        self.promise((2, K16, K16))
        self.outbox.pump()
        self.assertEqual(len(self.source.waiting), 1)  # one read at a time, however often it goes back and forth
        self.source.deliver()
        self.source.deliver()
        self.assertEqual(self.pipe.written, [frames((2, K16, b"\2" * K16))])

    def test_f30_cancels_cost_no_search(self) -> None:
        """Cancels of blocks that are not waiting cost the same, however long the queue is."""
        self.promise(*((piece, n * K16, K16) for piece in range(4) for n in range(64)))
        asked: list[object] = []

        class Counted(tuple):  # type: ignore[type-arg]
            def __eq__(self, other: object) -> bool:
                asked.append(other)
                return tuple.__eq__(self, other)

            __hash__ = tuple.__hash__

        self.assertFalse(self.outbox.cancel(Counted((9, 0, K16))))
        self.assertLess(len(asked), 10)

    def test_cancel_piece(self) -> None:
        """A piece that is no longer there is dropped, what is being read of it included."""
        self.source.slow = True
        self.promise((0, 0, K16), (0, K16, K16), (1, 0, K16), (0, 3 * K16, K16))
        self.outbox.pump()
        self.assertEqual(self.outbox.cancel_piece(0), [(0, 0, K16), (0, K16, K16), (0, 3 * K16, K16)])
        self.source.deliver()
        self.source.deliver()
        self.assertEqual(self.pipe.written, [frames((1, 0, b"\1" * K16))])

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

    def test_f93_unreadable_after_cancel(self) -> None:
        """A disk error that hits only blocks nobody waits for any more is nobody's business."""
        self.source.slow = True
        self.promise((0, 0, K16), (1, 0, K16))
        self.outbox.pump()
        self.outbox.cancel((0, 0, K16))
        self.source.waiting.pop(0)[0].errback(StorageError("piece 0: input/output error"))
        self.source.deliver()
        self.assertEqual((self.pipe.unreadable, self.pipe.sent), ([], K16))

    def test_f93_gone_before_it_was_read(self) -> None:
        """What the store has no more when its turn comes is reported, and what waits behind it is sent."""
        real = self.source.read_now

        def lost(piece: int, begin: int, length: int) -> bytes | None:
            if piece == 0:
                raise ValueError("piece 0 is not verified and must not be read")
            return real(piece, begin, length)

        self.source.read_now = lost  # type: ignore[method-assign]
        self.promise((0, 0, K16), (0, K16, K16), (1, 0, K16))
        self.outbox.pump()
        self.assertEqual(self.pipe.unreadable, [[(0, 0, K16), (0, K16, K16)]])
        self.assertEqual(self.pipe.written, [frames((1, 0, b"\1" * K16))])

    def test_rate_limit(self) -> None:
        """Under a limit of 100 KiB/s, 1 MiB takes about ten seconds."""
        clock = Clock()
        limited = Allowance((Bucket(clock, 100 * 1024.0),))
        outbox = self.pipe.outbox = Outbox(self.source, self.pipe, limited, bep3.piece_header)
        for n in range(64):
            outbox.add((0, n * K16, K16))
        outbox.pump()
        self.pass_time(clock, 100)
        self.assertAlmostEqual(self.pipe.sent, 512 * 1024, delta=40 * 1024)
        self.pass_time(clock, 120)
        self.assertEqual(self.pipe.sent, 1024 * 1024)

    def pass_time(self, clock: Clock, steps: int) -> None:
        """Let twentieths of a second pass, in each of which the transport drains."""
        for _ in range(steps):
            self.pipe.drain()
            clock.advance(0.05)

    def test_closed(self) -> None:
        """After the end nothing is sent any more."""
        self.source.slow = True
        self.promise((0, 0, K16))
        self.outbox.pump()
        self.outbox.close()
        self.source.deliver()
        self.assertEqual(self.pipe.written, [])
