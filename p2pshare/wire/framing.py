"""Cut a byte stream into frames: a 4-byte length, then so many bytes (BEP 3, "peer messages")."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from struct import Struct

from attrs import define, field

from p2pshare.errors import RemoteWireError

_LENGTH = Struct(">I")
PREFIX = _LENGTH.size  # bytes of a frame that its length does not count


class FrameTooLong(RemoteWireError):
    """The other side announced a message of more bytes than we take."""


@define(eq=False)
class Framer:
    """
    Joins what arrives in chunks and cuts it where messages end.

    Frames that lie whole in a chunk are views of it. Only what a chunk leaves unfinished is copied, and
    only the rest of that one frame is joined to it. Never holds more than one unfinished frame; a length
    over the limit is refused before anything of the frame is kept. Knows no message, only sizes.
    """

    _max_frame: int
    _limits: Mapping[int, int] = field(factory=dict)  # message id -> its own, lower limit
    _tail: bytearray = field(init=False, factory=bytearray)  # the unfinished frame, length bytes included

    @property
    def is_mid_frame(self) -> bool:
        """Whether a frame has begun and its end has not come."""
        return bool(self._tail)

    @property
    def buffered(self) -> int:
        """How many bytes wait for the rest of their frame."""
        return len(self._tail)

    def frames(self, data: bytes | memoryview) -> Iterator[memoryview]:
        """
        Yield each frame that is complete with ``data``, without its length; empty ones are keep-alives.

        A frame is valid until the next one is taken. Iterate to the end, or use this Framer no more; then
        ``data`` may be overwritten, as a reused receive buffer is.

        :raise FrameTooLong: a frame is longer than allowed.
        """
        view = memoryview(data)
        end = len(view)
        offset = 0
        while self._tail:  # what the chunks before left
            missing = self._missing()
            if not missing:
                joined = memoryview(self._tail)
                self._tail = bytearray()  # a new one: the old is lent out as the frame
                yield joined[PREFIX:]
            elif offset < end:
                self._tail += view[offset : offset + missing]
                offset = min(offset + missing, end)
            else:
                return
        length_at = _LENGTH.unpack_from
        max_frame = self._max_frame
        while end - offset >= PREFIX:
            (length,) = length_at(view, offset)
            start = offset + PREFIX
            if length > max_frame or start + length > end:
                break
            offset = start + length
            yield view[start:offset]
        if offset < end:
            self._check(view[offset : offset + PREFIX + 1])
            self._tail += view[offset:]

    def _missing(self) -> int:
        """How many bytes the unfinished frame still needs; as long as its length is unknown, those of the length."""
        known = len(self._tail)
        return self._check(self._tail) - known if known >= PREFIX else PREFIX - known

    def _check(self, head: bytearray | memoryview) -> int:
        """
        Judge a frame by its first bytes, as many as there are of length and message id.

        :return: its size with the length bytes, 0 when that is not known yet.
        """
        if len(head) < PREFIX:
            return 0
        (length,) = _LENGTH.unpack_from(head)
        limit = self._max_frame
        if len(head) > PREFIX:
            limit = self._limits.get(head[PREFIX], limit)
        if length > limit:
            raise FrameTooLong(f"a message of {length} bytes, not at most {limit}")
        return PREFIX + int(length)
