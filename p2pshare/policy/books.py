"""The tables of a ledger: which pieces are under way, and what each peer owes."""

from __future__ import annotations

from collections.abc import Iterable

from attrs import define, field

from p2pshare.bitfield import Bitfield
from p2pshare.geometry import Geometry
from p2pshare.policy.account import Account
from p2pshare.policy.picker import PiecePicker
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.policy.started import StartedPiece, start


@define(eq=False)
class Books:
    """
    Every piece in exactly one place: free (the picker's), started, complete, or held; and an account a peer.

    Invariant: a block is outstanding in a peer's account exactly when its piece, started or complete, names that peer
    as one that was asked and has not answered. Whatever is done here or in a piece keeps both sides in step.
    """

    geometry: Geometry
    picker: PiecePicker
    accounts: dict[RemotePeer, Account] = field(init=False, factory=dict)
    started: dict[int, StartedPiece] = field(init=False, factory=dict)  # oldest first
    open: dict[int, StartedPiece] = field(init=False, factory=dict)  # those of them that have free blocks
    complete: dict[int, StartedPiece] = field(init=False, factory=dict)  # all received, not yet verified
    held: Bitfield = field(init=False)
    spoiled: set[int] = field(init=False, factory=set)  # pieces that had a wrong hash: one peer alone fetches them next

    def __attrs_post_init__(self) -> None:
        self.held = Bitfield(self.geometry.num_pieces)

    # Pieces

    def start(self, index: int, now: float, *, alone: bool) -> StartedPiece:
        """A free piece is under way."""
        self.picker.take(index)
        piece = start(self.geometry, index, now, alone=alone or index in self.spoiled)
        self.started[index] = self.open[index] = piece
        return piece

    def completed(self, piece: StartedPiece) -> None:
        """The last block of a started piece was received."""
        del self.started[piece.piece]
        self.complete[piece.piece] = piece

    def opened(self, piece: StartedPiece) -> None:
        """A started piece has a free block more; when nothing but free blocks is left of it, it is free itself."""
        if piece.is_untouched:
            self.forget(piece)
        else:
            self.open[piece.piece] = piece

    def forget(self, piece: StartedPiece) -> None:
        """A started piece of which nothing was received is free again."""
        del self.started[piece.piece]
        self.open.pop(piece.piece, None)
        if piece.worker is not None:
            self.rest(self.accounts[piece.worker])
        self.picker.give_back(piece.piece)

    def settle(self, index: int) -> None:
        """A complete piece has its verdict: no request for it outlives that."""
        piece = self.complete.pop(index)
        for block, others in piece.others.items():
            for other in others:
                self.accounts[other].take_back(piece.first + block)
        piece.others.clear()

    def hold(self, index: int) -> None:
        """A piece is on disk and right."""
        self.spoiled.discard(index)
        if self.held.add(index):
            self.picker.done(index)

    def lose(self, index: int) -> None:
        """A piece that was held is free, as if it had never come."""
        if self.held.discard(index):
            self.picker.lost(index)

    # Peers

    def put_to_work(self, peer: RemotePeer, account: Account, piece: StartedPiece) -> None:
        """``peer`` fetches this piece, in order, and leaves its last one to anybody."""
        self.rest(account)
        piece.worker = peer
        account.current = piece

    def rest(self, account: Account) -> None:
        """What is or becomes free in the peer's piece is for anybody."""
        if account.current is not None:
            account.current.worker = None
            account.current = None

    def take_back(self, peer: RemotePeer, account: Account, numbers: Iterable[int]) -> None:
        """These blocks are no longer outstanding at ``peer``, but may still come from it."""
        for number in numbers:
            account.take_back(number)
            self.release(peer, number)

    def release(self, peer: RemotePeer, number: int) -> None:
        """A block that has just left the account of ``peer`` is somebody else's, or free."""
        index, block = divmod(number, self.geometry.blocks_per_piece)
        piece = self.started.get(index)
        if piece is None:
            self.complete[index].released(peer, block)
        elif piece.released(peer, block):
            self.opened(piece)
