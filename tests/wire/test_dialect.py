"""What a dialect promises to the sessions that use it."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.wire import bep3, messages


class BEP3DialectTests(SynchronousTestCase):
    def test_limits_fit_the_codec(self) -> None:
        """The limit of each id is the longest frame that the codec writes and reads for it."""
        longest = [
            *(messages.Have(1), messages.Choke(), messages.Request(1, 2, 3), messages.Port(1), messages.HaveAll()),
            *(messages.Reject(1, 2, 3), messages.Piece(1, 2, bytes(16384))),
        ]
        for message in longest:
            frame = bep3.DIALECT.encode(message)
            self.assertEqual(bep3.DIALECT.frame_limits[frame[4]], len(frame) - 4)

    def test_the_largest_bitfield_fits(self) -> None:
        """A torrent of 2**21 pieces has a bitfield of 256 KiB: the longest message there is."""
        frame = bep3.DIALECT.encode(messages.Bitfield(bytes(2**21 // 8)))
        self.assertEqual(bep3.DIALECT.max_frame, len(frame) - 4)

    def test_traits(self) -> None:
        """BEP 3 as spoken today: blocks are requested, fast and extension messages exist."""
        dialect = bep3.DIALECT
        self.assertEqual((dialect.name, dialect.fast, dialect.block_requests), ("bep3", True, True))
        frame = dialect.encode(messages.Extended(1, b""))
        self.assertEqual(dialect.extended_id, frame[4])
