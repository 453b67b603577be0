"""Small ledgers to ask, for the tests of what is asked and of what comes."""

from __future__ import annotations

from random import Random

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.geometry import BLOCK_SIZE, Geometry
from p2pshare.policy.ledger import Ledger, Receipt
from p2pshare.policy.picker import make_picker
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.policy.started import Block

PIECES = 6
BLOCKS = 4  # in a piece
TAIL = 1000  # bytes in the last block of the last piece, which has two blocks
GEOMETRY = Geometry(BLOCKS * BLOCK_SIZE, ((PIECES - 1) * BLOCKS * BLOCK_SIZE + BLOCK_SIZE + TAIL,))


def a_ledger(name: str = "sequential", max_started: int = 8, held: int = 0) -> Ledger:
    """A ledger that wants the pieces in order, so that tests can tell what is asked."""
    ledger = Ledger(GEOMETRY, make_picker(name, PIECES, Random(0)), max_started=max_started)
    for piece in range(held):
        ledger.add_held(piece)
    return ledger


def blocks(piece: int, *numbers: int) -> list[Block]:
    """Full blocks of a piece."""
    return [(piece, number * BLOCK_SIZE, BLOCK_SIZE) for number in numbers]


class LedgerCase(SynchronousTestCase):
    """What ledger tests do again and again."""

    def deliver(self, ledger: Ledger, peer: RemotePeer, asked: list[Block], now: float = 0.0) -> list[Receipt]:
        """The peer answers."""
        return [ledger.received(peer, *block, now) for block in asked]
