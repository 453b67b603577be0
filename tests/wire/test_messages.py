"""Messages are plain values."""

from __future__ import annotations

from typing import get_args

import attrs
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.wire import messages


class MessagesTests(SynchronousTestCase):
    def test_every_message_is_listed(self) -> None:
        """Whoever matches on Message is told by the type checker about each message there is."""
        defined = {value for value in vars(messages).values() if isinstance(value, type) and attrs.has(value)}
        self.assertEqual(set(get_args(messages.Message)), defined)

    def test_a_block_is_named_like_in_the_ledger(self) -> None:
        """Request, Cancel and Reject unpack to (piece, begin, length)."""
        for kind in (messages.Request, messages.Cancel, messages.Reject):
            self.assertEqual(tuple(kind(3, 16384, 100)), (3, 16384, 100))

    def test_a_received_block_equals_a_sent_one(self) -> None:
        """Whether a block's data is a view or bytes makes no difference to a comparison."""
        self.assertEqual(messages.Piece(1, 0, memoryview(b"xdatax")[1:5]), messages.Piece(1, 0, b"data"))

    def test_messages_do_not_change(self) -> None:
        """Nobody can alter a message while others hold it."""
        with self.assertRaises(attrs.exceptions.FrozenInstanceError):
            messages.Have(3).index = 4  # type: ignore[misc]
