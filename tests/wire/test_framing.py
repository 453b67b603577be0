"""Cutting a stream of bytes into frames."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import RemoteWireError
from p2pshare.wire.framing import Framer

LIMIT = 1000


def framed(*payloads: bytes) -> bytes:
    """Write frames one behind the other."""
    return b"".join(len(payload).to_bytes(4, "big") + payload for payload in payloads)


def cut(framer: Framer, chunks: Iterable[bytes]) -> list[bytes]:
    """Feed a Framer chunk by chunk and keep copies of what it finds."""
    return [bytes(frame) for chunk in chunks for frame in framer.frames(chunk)]


class FramerTests(SynchronousTestCase):
    payloads = [b"\x07first", b"", b"\x01", b"\x07" + bytes(300), b"", b"last"]

    def test_cut_at_every_byte(self) -> None:
        """Wherever the stream is cut in two, the frames are the same, and nothing is left over."""
        stream = framed(*self.payloads)
        for at in range(len(stream) + 1):
            framer = Framer(LIMIT)
            self.assertEqual(cut(framer, [stream[:at], stream[at:]]), self.payloads)
            self.assertFalse(framer.is_mid_frame)

    def test_single_bytes(self) -> None:
        """Bytes that trickle in one by one give the same frames."""
        stream = framed(*self.payloads)
        self.assertEqual(cut(Framer(LIMIT), (stream[at : at + 1] for at in range(len(stream)))), self.payloads)

    @given(st.lists(st.binary(max_size=30), max_size=8), st.lists(st.integers(0, 200), max_size=8))
    def test_cut_anywhere(self, payloads: list[bytes], cuts: list[int]) -> None:
        """Any frames, cut into any chunks, come out again."""
        stream = framed(*payloads)
        edges = [0, *sorted(min(at, len(stream)) for at in cuts), len(stream)]
        chunks = [stream[start:end] for start, end in pairwise(edges)]
        self.assertEqual(cut(Framer(LIMIT), chunks), payloads)

    def test_whole_frames_are_views(self) -> None:
        """A frame that lies whole in a chunk is not copied, nor is any that follows an unfinished one."""
        stream = framed(b"one", b"two", b"three")
        framer = Framer(LIMIT)
        first, second = stream[:9], stream[9:]  # "one" and half of the next length | the rest
        self.assertIs(next(framer.frames(first)).obj, first)
        framer = Framer(LIMIT)
        cut(framer, [first])
        joined, whole = framer.frames(second)
        self.assertEqual((bytes(joined), bytes(whole)), (b"two", b"three"))
        self.assertIsNot(joined.obj, second)
        self.assertIs(whole.obj, second)

    def test_receive_buffer_may_be_reused(self) -> None:
        """After a chunk was read to its end nothing refers to its bytes any more."""
        framer, stream, buffer, found = Framer(LIMIT), framed(*self.payloads), bytearray(16), []
        for at in range(0, len(stream), len(buffer)):
            chunk = stream[at : at + len(buffer)]
            buffer[: len(chunk)] = chunk
            found += [bytes(frame) for frame in framer.frames(memoryview(buffer)[: len(chunk)])]
            buffer[:] = b"\xff" * len(buffer)
        self.assertEqual(found, self.payloads)

    def test_is_mid_frame(self) -> None:
        """A frame is under way from the first byte of its length to its last byte."""
        framer = Framer(LIMIT)
        states = []
        for byte in framed(b"ab"):
            cut(framer, [bytes([byte])])
            states.append(framer.is_mid_frame)
        self.assertEqual(states, [True] * 5 + [False])

    def test_f22_limit(self) -> None:
        """A frame of the limit passes; one byte more is refused, whole or not."""
        self.assertEqual(cut(Framer(LIMIT), [framed(bytes(LIMIT))]), [bytes(LIMIT)])
        for chunks in ([framed(bytes(LIMIT + 1))], [framed(bytes(LIMIT + 1))[:4]]):
            self.assertRaises(RemoteWireError, cut, Framer(LIMIT), chunks)

    def test_f22_refused_by_its_length_alone(self) -> None:
        """The four length bytes are enough to refuse a frame, and none of it is kept, however it arrives."""
        huge = b"\xff\xff\xff\xff"
        for chunks in (
            [huge],
            [huge + bytes(100)],
            [huge[:1], huge[1:]],
            [framed(b"ok") + huge[:2], huge[2:] + bytes(50)],
        ):
            framer = Framer(LIMIT)
            self.assertRaises(RemoteWireError, cut, framer, chunks)
            self.assertLessEqual(framer.buffered, 4)

    def test_f22_limit_of_a_kind(self) -> None:
        """A message that is always short is refused as soon as its id is known, unless it is short enough."""
        framer = Framer(LIMIT, {4: 5})
        self.assertEqual(cut(framer, [framed(b"\x04abcd")[:5], b"abcd"]), [b"\x04abcd"])
        start = framed(b"\x04" + bytes(200))[:5]
        self.assertRaises(RemoteWireError, cut, Framer(LIMIT, {4: 5}), [start])
        self.assertRaises(RemoteWireError, cut, Framer(LIMIT, {4: 5}), [start[:4], start[4:]])

    def test_a_keepalive_is_not_judged_by_the_next_message(self) -> None:
        """The byte after an empty frame is not its id."""
        self.assertEqual(cut(Framer(LIMIT, {0: 0}), [bytes(2), bytes(3), bytes(3)]), [b"", b""])

    @given(st.lists(st.binary(max_size=2 * LIMIT), max_size=10))
    def test_f22_bounded(self, chunks: list[bytes]) -> None:
        """Whatever arrives, no more than one unfinished frame is kept."""
        framer = Framer(LIMIT)
        try:
            for chunk in chunks:
                for _ in framer.frames(chunk):
                    self.assertLessEqual(framer.buffered, 4 + LIMIT)
                self.assertLess(framer.buffered, 4 + LIMIT)
        except RemoteWireError:
            self.assertLess(framer.buffered, 4 + LIMIT)
