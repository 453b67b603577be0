"""What a connection has promised to send: the part of a swarm's Link that is the same wherever an Outbox keeps it."""

from __future__ import annotations

from p2pshare.peer.outbox import Block, Outbox


class Promises:
    """Keeps promises in ``_outbox``; before there is one nothing is promised."""

    _outbox: Outbox | None

    def promise(self, block: Block) -> None:
        """Queue a block for upload; ``pump()`` starts sending."""
        if self._outbox is not None:
            self._outbox.add(block)

    @property
    def promised(self) -> int:
        """How many blocks wait to be sent."""
        return len(self._outbox) if self._outbox is not None else 0

    def take_back(self, block: Block) -> bool:
        """Drop one promised block; False when it is not waiting any more."""
        return self._outbox is not None and self._outbox.cancel(block)

    def take_back_piece(self, piece: int) -> list[Block]:
        """Drop the promised blocks of one piece and name them."""
        return self._outbox.cancel_piece(piece) if self._outbox is not None else []

    def take_back_all(self) -> list[Block]:
        """Drop every promised block and name them."""
        return self._outbox.clear() if self._outbox is not None else []
