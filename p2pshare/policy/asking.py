"""Which blocks to ask a peer for next."""

from __future__ import annotations

from attrs import define, field, validators

from p2pshare.policy.account import Account
from p2pshare.policy.books import Books
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.policy.started import ASKED, FREE, Block, StartedPiece

# A peer is asked for what others were asked already only while it has fewer requests than this (libtorrent: one, when
# it has none): enough to hide the way there and back, too few to fetch much twice.
ENDGAME_DEPTH = 8
# Seconds a request must be old for others to help with it before the endgame.
PATIENCE = 10.0
# Seconds for which one peer alone may fetch a piece that others could help with.
MOST_ALONE = 60.0


@define(eq=False)
class Asking:
    """
    Names the blocks to request from a peer. Knows what others were asked, not how they answered.

    A peer is asked for one piece in order, alone, while there is memory for as many pieces as there are peers: then a
    wrong hash has one possible cause, and a seed reads each piece once. Only the first piece of all is fetched by
    everybody together. What others left unfinished comes first, what others are at work on comes last. When every
    missing block is asked for, the endgame begins: peers with next to nothing to do are asked for blocks of others too.
    """

    _books: Books
    _max_started: int = field(validator=validators.ge(1))  # pieces under way at once: they are in memory
    _endgame: bool = True  # False: what one peer was asked for, no other is

    def ask(self, peer: RemotePeer, account: Account, count: int, now: float) -> list[Block]:
        """Name up to ``count`` blocks to request from ``peer``, and enter them as asked."""
        asked: list[Block] = []
        while len(asked) < count:
            piece = account.current
            if piece is None or not piece.free:
                piece = self._choose(peer, account, now)
                if piece is None:
                    self._help(peer, account, count, now, asked)
                    break
            blocks = piece.claim(peer, count - len(asked))
            account.ask(range(piece.first + blocks.start, piece.first + blocks.stop), now)
            if not piece.free:
                del self._books.open[piece.piece]
            asked += piece.requests(blocks)
        return asked

    @property
    def is_endgame(self) -> bool:
        """Whether blocks are missing and every one of them is asked for."""
        books = self._books
        return self._endgame and not (books.open or books.picker.has_free or books.held.is_full)

    def _choose(self, peer: RemotePeer, account: Account, now: float) -> StartedPiece | None:
        """Find the piece with free blocks that ``peer`` is to help with, or fetches from now on."""
        books = self._books
        offered = peer.has
        shared: StartedPiece | None = None
        for piece in books.open.values():
            if piece.piece not in offered:
                continue
            if piece.worker is None and not peer.on_parole:
                books.put_to_work(peer, account, piece)
                return piece
            if shared is None and (piece.worker is None or not piece.alone or now >= piece.since + MOST_ALONE):
                shared = piece
        if shared is not None and books.held.is_empty and not peer.on_parole:
            return shared  # the first piece: what counts is to have a whole one to trade
        started = len(books.started)
        # With nothing under way for this peer, better a little more memory than an idle peer.
        if started < self._max_started or (shared is None and not account.asked and started < 2 * self._max_started):
            index = books.picker.pick(offered)
            if index is not None:
                fresh = books.start(index, now, alone=peer.on_parole)
                books.put_to_work(peer, account, fresh)
                return fresh
        return shared

    def _help(self, peer: RemotePeer, account: Account, count: int, now: float, asked: list[Block]) -> None:
        """
        Ask ``peer`` too for blocks that others were asked for: in the endgame, and when memory is full of old requests.

        The oldest piece comes first, and in it the last block: its worker comes from the other end. A peer that leaves
        requests unanswered is no help.
        """
        if peer.snubbed:
            return
        room = min(count - len(asked), ENDGAME_DEPTH - len(account.asked))
        if not self._endgame:
            return
        endgame = self.is_endgame
        if room <= 0 or not (endgame or len(self._books.started) >= self._max_started):
            return
        for piece in self._books.started.values():
            before = now if endgame and not piece.alone else now - PATIENCE
            if now < piece.crowded_until or piece.since > before or piece.piece not in peer.has:
                continue
            found = len(asked)
            block = piece.states.rfind(ASKED)
            while block >= 0:
                if self._may_help(peer, piece, block, before, now):
                    piece.asked_again(peer, block)
                    account.ask((piece.first + block,), now)
                    asked.append(piece.request(block))
                    room -= 1
                    if not room:
                        return
                block = piece.states.rfind(ASKED, 0, block)
            if len(asked) == found:
                piece.crowded_until = self._crowded_until(piece)

    def _crowded_until(self, piece: StartedPiece) -> float:
        """
        Tell until when every block that is missing has been asked of several peers that still have time.

        With many peers hundreds of blocks would be looked through in vain for each few that come.
        """
        until = float("inf")
        for block, state in enumerate(piece.states):
            others = piece.others.get(block)
            if state == FREE or (state == ASKED and not others):
                return float("-inf")
            if state == ASKED and others:
                number = piece.first + block
                accounts = [
                    self._books.accounts[other] for other in (piece.sources[block], *others) if other is not None
                ]
                until = min(until, max(account.asked[number] for account in accounts) + PATIENCE)
        return until

    def _may_help(self, peer: RemotePeer, piece: StartedPiece, block: int, before: float, now: float) -> bool:
        """
        Whether an asked block was asked of others not later than ``before``.

        When several were asked, all of them must have had their time: two slow peers that hold each other's last block
        would otherwise hold up everything.
        """
        source, others = piece.sources[block], piece.others.get(block)
        if source is None or source is peer:
            return False
        accounts, number = self._books.accounts, piece.first + block
        if not others:
            return accounts[source].asked[number] <= before
        late = now - PATIENCE
        if accounts[others[-1]].asked[number] > late or peer in others:  # the last is the latest, but for a few
            return False
        return all(accounts[asked].asked[number] <= late for asked in (source, *others))
