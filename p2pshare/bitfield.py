"""Which pieces somebody has: one bit a piece."""

from __future__ import annotations

from collections.abc import Iterator

from attrs import define, field

# BEP 3 puts piece 0 into the high bit of the first byte; in memory it is the low bit. So membership is one shift, and
# the whole field is one little-endian integer as it lies. This table turns the bits of a byte round, either way.
_MIRROR = bytes(int(f"{octet:08b}"[::-1], 2) for octet in range(256))
_INVERT = bytes(octet ^ 0xFF for octet in range(256))
_BITS_OF = tuple(tuple(bit for bit in range(8) if octet >> bit & 1) for octet in range(256))


@define(eq=False)
class Bitfield:
    """
    A set of piece indices below ``size`` (BEP 3, "peer messages", ``bitfield``). Knows no peer and no hash.

    Membership and changes cost the same among 10 pieces and among 100,000.
    """

    size: int
    count: int = field(init=False, default=0)  # bits set; written here only
    _octets: bytearray = field(init=False, repr=False)  # bits from ``size`` on are 0
    _integer: int | None = field(init=False, default=0, repr=False)  # the same bits, None since the last change

    @_octets.default
    def _no_bits(self) -> bytearray:
        if self.size < 0:
            raise ValueError(f"bitfield for {self.size} pieces")
        return bytearray((self.size + 7) // 8)

    @classmethod
    def full(cls, size: int) -> Bitfield:
        """Make the bitfield of a seed."""
        bits = cls(size)
        bits._octets[:] = ((1 << size) - 1).to_bytes(len(bits._octets), "little")
        bits._integer = None
        bits.count = size
        return bits

    @classmethod
    def from_bytes(cls, data: bytes | bytearray | memoryview, size: int) -> Bitfield:
        """
        Read the payload of a ``bitfield`` message.

        :raise ValueError: it has not the length for ``size`` pieces, or a spare bit at the end is set.
        """
        bits = cls(size)
        if len(data) != len(bits._octets):
            raise ValueError(f"bitfield of {len(data)} bytes, not {len(bits._octets)} for {size} pieces")
        bits._octets[:] = bytes(data).translate(_MIRROR)
        if size % 8 and bits._octets[-1] >> size % 8:
            raise ValueError(f"bitfield with bits set beyond its {size} pieces")
        bits._integer = None
        bits.count = bits.as_int().bit_count()
        return bits

    def to_bytes(self) -> bytes:
        """Write the payload of a ``bitfield`` message."""
        return bytes(self._octets).translate(_MIRROR)

    def copy(self) -> Bitfield:
        """Make another field with the same bits."""
        twin = Bitfield(self.size)
        twin._octets[:] = self._octets
        twin._integer = self._integer
        twin.count = self.count
        return twin

    def add(self, index: int) -> bool:
        """
        Set a bit.

        :return: whether it is new.
        :raise IndexError: there is no such piece.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"piece {index} of {self.size}")
        octets, place, bit = self._octets, index >> 3, 1 << (index & 7)
        if octets[place] & bit:
            return False
        octets[place] |= bit
        self.count += 1
        self._integer = None
        return True

    def discard(self, index: int) -> bool:
        """
        Clear a bit.

        :return: whether it was set.
        :raise IndexError: there is no such piece.
        """
        if not 0 <= index < self.size:
            raise IndexError(f"piece {index} of {self.size}")
        octets, place, bit = self._octets, index >> 3, 1 << (index & 7)
        if not octets[place] & bit:
            return False
        octets[place] ^= bit
        self.count -= 1
        self._integer = None
        return True

    @property
    def is_full(self) -> bool:
        """Whether all bits are set, as they are in a field of no pieces."""
        return self.count == self.size

    @property
    def is_empty(self) -> bool:
        """Whether no bit is set."""
        return not self.count

    def as_int(self) -> int:
        """
        Give all bits as one integer: piece ``i`` is its bit ``i``, worth ``1 << i`` (the reverse of the wire's order).

        For set algebra on whole fields: ``ours.as_int() & ~theirs.as_int()``. It is kept until the next change.
        """
        if self._integer is None:
            self._integer = int.from_bytes(self._octets, "little")
        return self._integer

    def missing(self) -> Iterator[int]:
        """Name the unset indices, rising, as they are now: what changes while iterating is not seen."""
        absent = self._octets.translate(_INVERT)
        if self.size % 8:
            absent[-1] &= (1 << self.size % 8) - 1
        return _set_bits(absent)

    def __iter__(self) -> Iterator[int]:
        """Name the set indices, rising, as they are now: what changes while iterating is not seen."""
        return _set_bits(self._octets[:])

    def __contains__(self, index: int) -> bool:
        return 0 <= index < self.size and self._octets[index >> 3] >> (index & 7) & 1 == 1

    def __len__(self) -> int:
        return self.size

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Bitfield):
            return NotImplemented
        return self.size == other.size and self._octets == other._octets

    __hash__ = None  # type: ignore[assignment]  # equal by content, and the content changes


def _set_bits(octets: bytearray) -> Iterator[int]:
    for place, octet in enumerate(octets):
        if octet:
            first = place * 8
            for bit in _BITS_OF[octet]:
                yield first + bit
