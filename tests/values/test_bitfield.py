"""Tests of p2pshare.bitfield."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.bitfield import Bitfield
from tests.strategies import bitfields


class BitfieldTests(SynchronousTestCase):
    """A set of pieces that behaves like a set, and looks like BEP 3 on the wire."""

    def test_high_bit_first(self) -> None:
        """Piece 0 is the high bit of the first byte (BEP 3)."""
        bits = Bitfield(11)
        for index in (0, 1, 2, 10):
            bits.add(index)
        self.assertEqual(bits.to_bytes(), b"\xe0\x20")
        self.assertEqual(Bitfield.from_bytes(b"\xe0\x20", 11), bits)

    def test_f24_wrong_length(self) -> None:
        """A payload that is too short or too long for the pieces is refused."""
        for data, size in [(b"", 1), (b"\x00", 9), (b"\x00\x00", 8), (b"\x00", 0)]:
            self.assertRaises(ValueError, Bitfield.from_bytes, data, size)

    def test_f24_spare_bits(self) -> None:
        """A bit set beyond the last piece is refused."""
        for size in range(1, 8):
            Bitfield.from_bytes(bytes([0xFF << (8 - size) & 0xFF]), size)
            for spare in range(8 - size):
                self.assertRaises(ValueError, Bitfield.from_bytes, bytes([1 << spare]), size)

    def test_payload_may_be_a_view(self) -> None:
        """The payload is copied out of whatever buffer it stands in."""
        buffer = bytearray(b"\x80\x40")
        bits = Bitfield.from_bytes(memoryview(buffer)[1:], 8)
        buffer[1] = 0
        self.assertEqual(list(bits), [1])

    @given(
        st.integers(0, 70).flatmap(lambda size: st.tuples(st.just(size), st.lists(st.integers(0, max(size - 1, 0)))))
    )
    def test_like_a_set(self, plan: tuple[int, list[int]]) -> None:
        """Adding and discarding give the same answers as a set of integers does."""
        size, steps = plan
        bits, model = Bitfield(size), set()
        for step, index in enumerate(steps if size else []):
            if step % 3:
                self.assertEqual(bits.add(index), index not in model)
                model.add(index)
            else:
                self.assertEqual(bits.discard(index), index in model)
                model.discard(index)
            self.assertEqual(bits.count, len(model))
            self.assertEqual(bits.as_int(), sum(1 << i for i in model))
        self.assertEqual(list(bits), sorted(model))
        self.assertEqual(list(bits.missing()), sorted(set(range(size)) - model))
        self.assertEqual([i in bits for i in range(size)], [i in model for i in range(size)])
        self.assertEqual((bits.is_full, bits.is_empty, len(bits)), (len(model) == size, not model, size))

    @given(bitfields())
    def test_round_trip(self, bits: Bitfield) -> None:
        """What is written is read back, count and all."""
        twin = Bitfield.from_bytes(bits.to_bytes(), bits.size)
        self.assertEqual((twin, twin.count, twin.as_int()), (bits, bits.count, bits.as_int()))

    def test_no_such_piece(self) -> None:
        """A piece out of range is never in it and cannot be added or discarded, not even as a spare bit."""
        bits = Bitfield.full(11)
        for index in (-1, 11, 15, 16, 1 << 32):
            self.assertNotIn(index, bits)
            self.assertRaises(IndexError, bits.add, index)
            self.assertRaises(IndexError, bits.discard, index)
        self.assertEqual(bits, Bitfield.full(11))

    def test_full(self) -> None:
        """A seed's field has every piece and no spare bit."""
        for size in (0, 1, 8, 13, 100_000):
            bits = Bitfield.full(size)
            self.assertTrue(bits.is_full)
            self.assertEqual((bits.count, list(bits.missing())), (size, []))
            self.assertEqual(bits, Bitfield.from_bytes(bits.to_bytes(), size))

    def test_copy_is_independent(self) -> None:
        """Changing a copy leaves the original as it was."""
        bits = Bitfield.full(9)
        twin = bits.copy()
        self.assertEqual((twin, twin.count), (bits, 9))
        twin.discard(3)
        self.assertIn(3, bits)
        self.assertNotEqual(twin, bits)
        self.assertEqual((bits.as_int(), twin.as_int()), (0x1FF, 0x1F7))

    def test_iterating_sees_one_moment(self) -> None:
        """Iterating names the pieces of the moment it began, whatever is changed meanwhile."""
        bits = Bitfield.full(20)
        for index in bits:
            bits.discard(19 - index)
        self.assertTrue(bits.is_empty)
        for index in bits.missing():
            bits.add(19 - index)
        self.assertTrue(bits.is_full)

    def test_negative_size(self) -> None:
        """There is no field of fewer than no pieces."""
        self.assertRaises(ValueError, Bitfield, -1)
        self.assertRaises(ValueError, Bitfield.full, -1)

    def test_not_hashable(self) -> None:
        """A field is equal by its bits, which change, so it cannot be a key."""
        self.assertRaises(TypeError, hash, Bitfield(3))
        self.assertNotEqual(Bitfield(3), Bitfield(4))
        self.assertNotEqual(Bitfield(3), "000")
