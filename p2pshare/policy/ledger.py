"""Who was asked for which block, and what came."""

from __future__ import annotations

from enum import Enum, auto

from attrs import define, field

from p2pshare.geometry import Geometry
from p2pshare.policy.account import Account
from p2pshare.policy.asking import Asking
from p2pshare.policy.books import Books
from p2pshare.policy.picker import PiecePicker
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.policy.started import ASKED, RECEIVED, Block

# In the endgame a silent peer holds up the whole download (libtorrent piece_timeout: 20 s).
ENDGAME_TIMEOUT = 20.0


class Receipt(Enum):
    """What a block that came is worth."""

    WANTED = auto()  # store it
    COMPLETES = auto()  # store it; its piece can be verified
    DUPLICATE = auto()  # it was asked for, but is here already, or its piece is not under way any more
    UNASKED = auto()  # it was not asked of this peer, or has another length


# Looking a member up in its Enum costs as much as a tenth of received().
_WANTED, _COMPLETES, _DUPLICATE, _UNASKED = Receipt.WANTED, Receipt.COMPLETES, Receipt.DUPLICATE, Receipt.UNASKED


@define(eq=False)
class Ledger:
    """
    Every block's way from free over asked to received. Knows no socket, no bytes and no hashes.

    Each block is at any time free, asked of one peer (in the endgame of several), or received. A request that is taken
    back makes its block free for others at once; should the block still come, it is taken as long as it is missing.
    """

    _geometry: Geometry
    _picker: PiecePicker
    _max_started: int = field(kw_only=True)  # pieces under way at once, because their blocks are in memory
    _request_timeout: float = field(kw_only=True, default=60.0)  # libtorrent request_timeout
    _endgame: bool = field(kw_only=True, default=True)  # False: no block is ever asked of two peers
    _block_size: int = field(init=False)
    _books: Books = field(init=False)
    _asking: Asking = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._books = Books(self._geometry, self._picker)
        self._asking = Asking(self._books, self._max_started, self._endgame)
        self._block_size = self._geometry.block_size

    def ask(self, peer: RemotePeer, count: int, now: float) -> list[Block]:
        """Name up to ``count`` blocks to request from ``peer``, which from now on are outstanding there."""
        account = self._books.accounts.get(peer)
        if account is None:
            account = self._books.accounts[peer] = Account()
        return self._asking.ask(peer, account, count, now)

    # What came

    def received(self, peer: RemotePeer, piece: int, begin: int, length: int, now: float) -> Receipt:
        """Enter a block that came from ``peer``, and tell what it is worth."""
        books = self._books
        account = books.accounts.get(peer)
        size = self._block_size
        if account is None or begin % size:
            return _UNASKED
        started = books.started.get(piece)
        if started is None:
            return self._received_elsewhere(peer, account, piece, begin, length, now)
        block = begin // size
        last = started.num_blocks - 1
        if length != size if block < last else block > last or length != started.tail:
            return _UNASKED
        number = started.first + block
        asked_at = account.asked.pop(number, None)
        if asked_at is not None:
            account.heard_at = now
            if asked_at > account.reached:
                account.reached = asked_at
        elif number in account.late:
            del account.late[number]
        else:
            return _UNASKED
        states = started.states
        if states[block] == ASKED and started.sources[block] is peer:  # all but a few
            states[block] = RECEIVED
            started.missing -= 1
        elif states[block] == RECEIVED:
            started.released(peer, block)
            return _DUPLICATE
        else:
            started.received(peer, block)
            if not started.free:
                books.open.pop(piece, None)
        if started.missing:
            return _WANTED
        books.completed(started)
        return _COMPLETES

    def _received_elsewhere(
        self, peer: RemotePeer, account: Account, piece: int, begin: int, length: int, now: float
    ) -> Receipt:
        """Enter a block of a piece that is not under way: too late, or just in time to start it again."""
        books = self._books
        number = self._number(piece, begin)
        outstanding = number in account.asked
        if not (outstanding or number in account.late) or length != self._block(number)[2]:
            return _UNASKED
        if outstanding:  # a rival was faster, and its piece is complete
            del account.asked[number]
            account.heard_at = now
            books.release(peer, number)
            return _DUPLICATE
        if piece in books.complete or piece in books.held or len(books.started) >= self._max_started:
            del account.late[number]
            return _DUPLICATE
        books.start(piece, now, alone=False)
        return self.received(peer, piece, begin, length, now)

    def rivals(self, piece: int, begin: int) -> list[RemotePeer]:
        """
        Name the other peers that were asked for a received block and have not answered, to be sent a cancel.

        The block is not outstanding there any more.
        """
        started = self._books.started.get(piece) or self._books.complete.get(piece)
        block = begin // self._block_size
        if started is None or not started.others or started.states[block] != RECEIVED:
            return []
        others = started.others.pop(block, [])
        for other in others:
            self._books.accounts[other].take_back(started.first + block)
        return others

    # What will not come

    def rejected(self, peer: RemotePeer, piece: int, begin: int, length: int) -> bool:
        """Enter that ``peer`` will not send a block (BEP 6). Tell whether it was asked for it."""
        account = self._books.accounts.get(peer)
        number = self._number(piece, begin)
        if account is None or number not in account.asked or self._block(number) != (piece, begin, length):
            return False
        del account.asked[number]
        self._books.release(peer, number)
        return True

    def choked(self, peer: RemotePeer) -> int:
        """
        Enter that ``peer`` chokes us, and tell how many requests that undoes.

        A peer with the fast extension undoes none: it answers each with its block or a reject (BEP 6).
        """
        account = self._books.accounts.get(peer)
        if account is None:
            return 0
        self._books.rest(account)
        if peer.fast:
            return 0
        undone = list(account.asked)
        self._books.take_back(peer, account, undone)
        return len(undone)

    def left(self, peer: RemotePeer) -> int:
        """Enter that ``peer`` is gone, and tell how many requests that undoes."""
        account = self._books.accounts.get(peer)
        if account is None:
            return 0
        self._books.rest(account)
        undone = list(account.asked)
        self._books.take_back(peer, account, undone)
        del self._books.accounts[peer]
        return len(undone)

    def expired(self, now: float) -> list[tuple[RemotePeer, Block]]:
        """Take back the requests that will hardly be answered; name each, with the peer that left it unanswered."""
        found: list[tuple[RemotePeer, Block]] = []
        timeout = min(self._request_timeout, ENDGAME_TIMEOUT) if self.is_endgame else self._request_timeout
        for peer, account in self._books.accounts.items():
            numbers = account.overdue(now, timeout)
            if numbers:
                found += [(peer, self._block(number)) for number in numbers]
                self._books.rest(account)
                self._books.take_back(peer, account, numbers)
        return found

    def distrust(self, peer: RemotePeer) -> int:
        """Count as missing again what ``peer`` sent for pieces under way. Tell how many blocks that is."""
        undone = 0
        for piece in list(self._books.started.values()):
            blocks = piece.disowned(peer)
            if blocks:
                undone += blocks
                if piece.free:
                    self._books.opened(piece)
        return undone

    # What became of a piece

    def owners(self, piece: int) -> list[RemotePeer | None]:
        """Name, block by block, who sent a piece that is complete and waits for its verdict."""
        return list(self._books.complete[piece].sources)

    def verified(self, piece: int) -> None:
        """A complete piece is right and on disk."""
        self._books.settle(piece)
        self._books.hold(piece)

    def failed(self, piece: int) -> None:
        """A complete piece is wrong, or could not be stored: all its blocks are free again, for one peer to fetch."""
        self._books.settle(piece)
        self._books.spoiled.add(piece)
        self._picker.give_back(piece)

    def lost(self, piece: int) -> None:
        """A piece that was held is not on disk any more: all its blocks are free again."""
        self._books.lose(piece)

    def add_held(self, piece: int) -> None:
        """A free piece was on disk already."""
        self._books.hold(piece)

    # How far things are

    def outstanding(self, peer: RemotePeer) -> int:
        """Count the requests that ``peer`` has not answered."""
        account = self._books.accounts.get(peer)
        return 0 if account is None else len(account.asked)

    @property
    def is_endgame(self) -> bool:
        """Whether blocks are missing and every one of them is asked for, so that a block may have rivals()."""
        return self._asking.is_endgame

    @property
    def missing_pieces(self) -> int:
        """How many pieces are not verified."""
        return self._geometry.num_pieces - self._books.held.count

    @property
    def started(self) -> int:
        """How many pieces are under way, the complete ones that wait for their verdict not counted."""
        return len(self._books.started)

    def _number(self, piece: int, begin: int) -> int:
        """Number a block among all blocks of the torrent; -1: there is none at ``begin``."""
        if begin % self._block_size or begin >= self._geometry.piece_length:
            return -1
        return piece * self._geometry.blocks_per_piece + begin // self._block_size

    def _block(self, number: int) -> Block:
        index, block = divmod(number, self._geometry.blocks_per_piece)
        return (index, block * self._block_size, self._geometry.block_length(index, block))
