"""What every store of pieces promises; a test case for one of them mixes this in."""

from __future__ import annotations

from hashlib import sha1
from typing import Any

from p2pshare.errors import StorageError
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.metainfo import Metainfo
from tests.storage.fakes import put_piece, some_bytes, torrent

PIECE = 2 * BLOCK_SIZE
CONTENT = some_bytes(3 * PIECE + BLOCK_SIZE + 100)  # four pieces, the last one of two blocks, the second short


class PieceStoreContract:
    """Mixed into a SynchronousTestCase that says how to make a store."""

    def make_store(self, metainfo: Metainfo, content: bytes | None) -> Any:
        """Make an unchecked store over these bytes, or over nothing."""
        raise NotImplementedError

    def checked_store(self: Any, content: bytes | None = None) -> Any:
        """Make a store of CONTENT and check it."""
        store = self.make_store(torrent(CONTENT, PIECE), content)
        self.successResultOf(store.check())
        return store

    def test_fresh_store_has_nothing(self: Any) -> None:
        """Where there is no content yet, no piece is verified."""
        store = self.checked_store()
        self.assertEqual(list(store.have), [])
        self.assertFalse(store.is_complete)
        self.assertEqual(store.verified_bytes, 0)
        self.assertEqual(store.buffered, 0)

    def test_check_finds_whole_content(self: Any) -> None:
        """Content that is there and right is verified, and progress ends at the number of pieces."""
        store = self.make_store(torrent(CONTENT, PIECE), CONTENT)
        told: list[tuple[int, int]] = []
        self.successResultOf(store.check(lambda done, total: told.append((done, total))))
        self.assertTrue(store.is_complete)
        self.assertEqual(store.verified_bytes, len(CONTENT))
        self.assertEqual(told[-1], (4, 4))

    def test_check_again_forgets_nothing(self: Any) -> None:
        """A second check comes to the same result in the same bitfield."""
        store = self.checked_store(CONTENT)
        have = store.have
        self.successResultOf(store.check())
        self.assertIs(store.have, have)
        self.assertTrue(have.is_full)

    def test_right_piece_is_kept(self: Any) -> None:
        """A piece put in any order of blocks and sealed is verified and can be read."""
        store = self.checked_store()
        put_piece(store, CONTENT, 1)
        sealed = self.successResultOf(store.seal(1))
        self.assertEqual((sealed.piece, sealed.ok, sealed.digests), (1, True, []))
        self.assertEqual(list(store.have), [1])
        self.assertEqual(self.successResultOf(store.read(1, 0, PIECE)), CONTENT[PIECE : 2 * PIECE])

    def test_every_piece_makes_it_complete(self: Any) -> None:
        """Once every piece is sealed, in whatever order, the store is complete."""
        store = self.checked_store()
        for piece in (3, 0, 2, 1):
            self.assertFalse(store.is_complete)
            put_piece(store, CONTENT, piece)
            self.assertTrue(self.successResultOf(store.seal(piece)).ok)
        self.assertTrue(store.is_complete)
        self.assertEqual(store.verified_bytes, len(CONTENT))

    def test_verified_bytes_counts_the_short_piece_as_it_is(self: Any) -> None:
        """The last piece counts with its own size."""
        store = self.checked_store()
        put_piece(store, CONTENT, 3)
        self.successResultOf(store.seal(3))
        self.assertEqual(store.verified_bytes, BLOCK_SIZE + 100)

    def test_wrong_piece_is_told_with_digests(self: Any) -> None:
        """A piece with a wrong hash is not kept; its digests differ from the right ones just where the bytes do."""
        store = self.checked_store()
        put_piece(store, CONTENT, 0)
        store.put(0, BLOCK_SIZE, b"\0" * BLOCK_SIZE)
        wrong = self.successResultOf(store.seal(0))
        self.assertFalse(wrong.ok)
        self.assertEqual(list(store.have), [])
        put_piece(store, CONTENT, 0)
        right = self.successResultOf(store.seal(0, digests=True))
        self.assertTrue(right.ok)
        self.assertEqual(right.digests[0], wrong.digests[0])
        self.assertNotEqual(right.digests[1], wrong.digests[1])
        self.assertTrue(sha1(CONTENT[:BLOCK_SIZE]).digest().startswith(right.digests[0]))

    def test_digests_of_short_piece(self: Any) -> None:
        """There is one digest for every block, the short last one too."""
        store = self.checked_store()
        put_piece(store, CONTENT, 3)
        self.assertEqual(len(self.successResultOf(store.seal(3, digests=True)).digests), 2)

    def test_memory_is_accounted(self: Any) -> None:
        """Memory counts from the first block of a piece until it is sealed or discarded."""
        store = self.checked_store()
        put_piece(store, CONTENT, 0)
        store.put(1, 0, CONTENT[:10])
        self.assertEqual(store.buffered, 2 * PIECE)
        store.discard(1)
        self.assertEqual(store.buffered, PIECE)
        self.successResultOf(store.seal(0))
        self.assertEqual(store.buffered, 0)

    def test_discarded_piece_starts_over(self: Any) -> None:
        """What was put before a discard is not part of the piece any more."""
        store = self.checked_store()
        put_piece(store, CONTENT, 0)
        store.discard(0)
        store.discard(0)
        self.assertRaises(ValueError, store.seal, 0)

    def test_f32_verified_piece_takes_no_block(self: Any) -> None:
        """A block for a verified piece is refused, whatever it holds."""
        store = self.checked_store(CONTENT)
        self.assertRaises(ValueError, store.put, 0, 0, b"\0" * BLOCK_SIZE)
        self.assertEqual(store.read_now(0, 0, 4) or CONTENT[:4], CONTENT[:4])

    def test_put_out_of_range(self: Any) -> None:
        """Bytes that would not fit into their piece are refused, and disturb nothing."""
        store = self.checked_store()
        for piece, begin, length in ((0, PIECE - 1, 2), (0, -1, 2), (3, BLOCK_SIZE, 101)):
            with self.assertRaises(ValueError):
                store.put(piece, begin, bytes(length))
        with self.assertRaises(IndexError):
            store.put(4, 0, b"x")

    def test_i3_unverified_piece_is_not_read(self: Any) -> None:
        """No byte of a piece that is not verified is given out."""
        store = self.checked_store()
        put_piece(store, CONTENT, 0)
        self.assertRaises(ValueError, store.read_now, 0, 0, 1)
        self.assertRaises(ValueError, store.read_into, 0, 0, [memoryview(bytearray(1))])
        self.assertRaises(ValueError, store.read, 0, 0, 1)

    def test_read_out_of_range(self: Any) -> None:
        """Asking a piece for bytes that it does not have is an error of the caller."""
        store = self.checked_store(CONTENT)
        self.assertRaises(IndexError, store.read_now, 3, BLOCK_SIZE, 101)
        self.assertRaises(IndexError, store.read_into, 3, BLOCK_SIZE, [memoryview(bytearray(101))])

    def test_read_now_after_read(self: Any) -> None:
        """Bytes just read can be had again at once, whole or scattered over buffers."""
        store = self.checked_store(CONTENT)
        self.successResultOf(store.read(2, 0, PIECE))
        expected = CONTENT[2 * PIECE :]
        now = store.read_now(2, 5, 1000)
        self.assertIn(now, (expected[5:1005], None))  # None: this filesystem cannot say what is cached
        if now is not None:
            buffers = [bytearray(length) for length in (7, 1, BLOCK_SIZE)]
            self.assertTrue(store.read_into(2, 100, [memoryview(buffer) for buffer in buffers]))
            self.assertEqual(b"".join(buffers), expected[100 : 108 + BLOCK_SIZE])

    def test_never_pressed_without_a_queue(self: Any) -> None:
        """A store whose disk keeps up is not pressed."""
        store = self.checked_store()
        put_piece(store, CONTENT, 0)
        self.successResultOf(store.seal(0))
        self.assertFalse(store.is_pressed)

    def test_right_pieces_stay_when_read_again(self: Any) -> None:
        """Reading a verified piece again finds it right; one that is not verified must not be read."""
        store = self.checked_store(CONTENT[:PIECE])
        lost: list[int] = []
        store.on_lost = lost.append
        self.assertTrue(store.is_idle)
        self.assertEqual(list(store.in_doubt), [])
        self.assertTrue(self.successResultOf(store.reread(0)))
        self.assertRaises(ValueError, store.reread, 1)
        self.assertEqual((list(store.have), lost), ([0], []))

    def test_trim_takes_nothing_that_is_needed(self: Any) -> None:
        """However often memory is trimmed, what was put into a piece stays."""
        store = self.checked_store()
        put_piece(store, CONTENT, 0)
        for _ in range(3):
            store.trim()
        self.assertTrue(self.successResultOf(store.seal(0)).ok)

    def test_close_ends_everything(self: Any) -> None:
        """After close, which may be called twice, memory is given back and nothing is sealed, checked or read."""
        store = self.checked_store(CONTENT[:PIECE])
        put_piece(store, CONTENT, 1)
        self.successResultOf(store.close())
        self.successResultOf(store.close())
        self.assertEqual(store.buffered, 0)
        self.assertIsNone(store.read_now(0, 0, 4))
        self.assertFalse(store.read_into(0, 0, [memoryview(bytearray(4))]))
        self.failureResultOf(store.read(0, 0, 4), StorageError)
        self.failureResultOf(store.check(), StorageError)
        self.failureResultOf(store.reread(0), StorageError)
        put_piece(store, CONTENT, 1)
        self.failureResultOf(store.seal(1), StorageError)
        self.assertEqual(store.buffered, 0)
