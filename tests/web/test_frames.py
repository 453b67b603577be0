"""Tests of p2pshare.web.frames, with wsproto as the other side."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase
from wsproto import Connection, ConnectionType
from wsproto.events import BytesMessage, Ping, TextMessage

from p2pshare.web.frames import MessageLengths


def client() -> Connection:
    """The side that masks its frames."""
    return Connection(ConnectionType.CLIENT)


class MessageLengthTests(SynchronousTestCase):
    """How long messages are."""

    def test_f81_limit(self) -> None:
        """A message up to the limit fits; one byte more does not, before a byte of it has come."""
        for limit in (0, 1, 125, 126, 4096, 65535, 65536):
            for length, fits in ((limit - 1, True), (limit, True), (limit + 1, False)):
                if length >= 0:
                    frame = client().send(BytesMessage(bytes(length)))
                    header = frame[: len(frame) - length]
                    self.assertEqual(MessageLengths(limit).fit(header), fits, (limit, length))

    def test_f81_fragments(self) -> None:
        """The fragments of a message count together, empty ones too as nothing; control frames between do not count."""
        connection, lengths = client(), MessageLengths(100)
        for _ in range(50):
            self.assertTrue(lengths.fit(connection.send(TextMessage("ab", message_finished=False))))
            self.assertTrue(lengths.fit(connection.send(Ping(b"x" * 100))))
            self.assertTrue(lengths.fit(connection.send(TextMessage("", message_finished=False))))
        self.assertFalse(lengths.fit(connection.send(TextMessage("a", message_finished=False))))

    def test_next_message(self) -> None:
        """The next message begins at nothing."""
        connection, lengths = client(), MessageLengths(10)
        for _ in range(5):
            self.assertTrue(lengths.fit(connection.send(TextMessage("abcde", message_finished=False))))
            self.assertTrue(lengths.fit(connection.send(TextMessage("fghij"))))

    def test_f81_largest_frame(self) -> None:
        """A frame that announces 2**63 bytes does not fit."""
        self.assertFalse(MessageLengths(4096).fit(b"\x82\xff" + b"\x7f" + b"\xff" * 7 + b"mask"))

    def test_unmasked(self) -> None:
        """A frame without a mask, which is somebody else's affair, has a shorter header."""
        lengths = MessageLengths(10)
        frame = Connection(ConnectionType.SERVER).send(TextMessage("0123456789"))
        self.assertTrue(lengths.fit(frame * 3))

    @settings(max_examples=100)
    @given(
        st.lists(st.tuples(st.integers(0, 300), st.booleans()), min_size=1, max_size=12),
        st.lists(st.integers(1, 200), min_size=1, max_size=9),
    )
    def test_any_cuts(self, frames: list[tuple[int, bool]], steps: list[int]) -> None:
        """However the bytes are cut, the longest message decides."""
        connection = client()
        stream, longest, message = b"", 0, 0
        for length, is_last in frames:
            stream += connection.send(TextMessage("x" * length, message_finished=is_last))
            message += length
            longest = max(longest, message)
            message = 0 if is_last else message
        for limit, fits in ((longest, True), (longest - 1, longest == 0)):
            lengths, at, turn, fit = MessageLengths(max(limit, 0)), 0, 0, True
            while fit and at < len(stream):
                step = steps[turn % len(steps)]
                fit = lengths.fit(stream[at : at + step])
                at, turn = at + step, turn + 1
            self.assertEqual(fit, fits)
