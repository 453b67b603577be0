"""Get the missing pieces: ask for blocks, put them together, verify, and find who sent a bad one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterable
from itertools import islice
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.errors import StorageError
from p2pshare.geometry import Geometry
from p2pshare.policy.blame import Blame
from p2pshare.policy.ledger import Ledger, Receipt
from p2pshare.policy.pipeline import MOST_RIVALS, SHALLOWEST, fair_share
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.rates import Meter
from p2pshare.storage.sealing import Sealed
from p2pshare.swarm.member import Member
from p2pshare.swarm.settings import SwarmSettings
from p2pshare.wire import messages


class Store(Seam):
    """Where blocks become pieces; a PieceStore."""

    geometry: Geometry

    def put(self, piece: int, begin: int, data: bytes | memoryview) -> None:
        """Copy a block into its piece."""

    def seal(self, piece: int, *, digests: bool = False) -> Deferred[Sealed]:
        """Verify a whole piece and write it."""

    def trim(self) -> None:
        """Let go of memory that no piece needed since the last call."""

    @property
    def is_pressed(self) -> bool:
        """Whether hashing and writing have fallen behind."""


class DownloadListener(Seam):
    """The swarm, told what came of it."""

    def piece_verified(self, piece: int, sources: Collection[RemotePeer]) -> None:
        """A piece is right and on disk."""

    def piece_spoiled(self, piece: int, guilty: Collection[RemotePeer]) -> None:
        """A piece was wrong; these peers, possibly none, sent bad blocks."""

    def storage_failed(self, error: StorageError) -> None:
        """The disk refused: :meth:`Download.stop` is called for."""


@define(eq=False)
class Download:
    """One torrent's incoming side. Knows when to ask whom for how much; the ledger knows for what."""

    _store: Store
    _ledger: Ledger
    _blame: Blame
    _clock: IReactorTime
    _settings: SwarmSettings
    _members: dict[RemotePeer, Member]  # the swarm's own table, looked at, never changed here
    _hits: Counter[str]
    _listener: DownloadListener
    _pressed: bool = field(init=False, default=False)
    _stopped: bool = field(init=False, default=False)
    received: Meter = field(init=False, factory=Meter)  # payload somebody wanted
    wasted: int = field(init=False, default=0)  # bytes of payload that nobody wanted, or of pieces that were wrong
    log = Logger()

    def block_received(self, member: Member, message: messages.Piece) -> None:
        """Take in one block of a peer, or drop it when nobody wants it."""
        index, begin, data = message.index, message.begin, message.data
        length = len(data)
        receipt = self._ledger.received(member.remote, index, begin, length, self._clock.seconds())
        if receipt is Receipt.WANTED or receipt is Receipt.COMPLETES:
            member.fresh += length
            member.fresh_blocks += 1
            self._store.put(index, begin, data)
            if self._settings.endgame:
                for rival in self._ledger.rivals(index, begin):
                    self._members[rival].link.send(messages.Cancel(index, begin, length))
            if receipt is Receipt.COMPLETES:
                self._seal(index)
            return
        self.wasted += length
        member.wasted += length
        if receipt is Receipt.UNASKED:
            member.unasked_blocks += 1
            if member.unasked_blocks >= self._settings.limits.unasked_blocks:
                self._hits["unasked_blocks"] += 1
                member.link.abort(f"sent {member.unasked_blocks} blocks nobody asked for")

    def batch_received(self, member: Member) -> None:
        """Count what one read brought, and keep the pipeline full."""
        if member.rejected:
            member.rejected = False
            self.ask_idle()
        elif not member.fresh:
            return
        self.count(member)
        self.ask(member)

    def count(self, member: Member) -> None:
        """Enter what one read brought in the meters."""
        if member.fresh:
            now = self._clock.seconds()
            remote = member.remote
            self.received.add(member.fresh, now)
            remote.download.add(member.fresh, now)
            remote.pipeline.got_blocks(member.fresh_blocks)
            remote.last_block_at = now
            remote.snubbed = False
            member.link.proved = True
            member.fresh = member.fresh_blocks = 0

    def joined(self, member: Member) -> None:
        """A peer comes in: while the disk is behind it has to wait like all others."""
        if self._pressed:
            member.link.hold("disk")

    def unchoked(self, member: Member) -> None:
        """The peer serves us from now on, or says again that it does."""
        if member.remote.peer_choking:
            member.remote.got_unchoke()
            self.ask(member)

    def choked(self, member: Member) -> None:
        """The peer stopped serving us: what we asked is forgotten, or will be rejected (BEP 6)."""
        if member.remote.peer_choking:
            return
        member.remote.got_choke(self._clock.seconds())
        if self._ledger.choked(member.remote):
            self.ask_idle()

    def rejected(self, member: Member, message: messages.Reject) -> None:
        """The peer will not send a block (BEP 6); somebody else may."""
        if self._ledger.rejected(member.remote, message.index, message.begin, message.length):
            if not member.remote.peer_choking:
                member.remote.pipeline.came_to_nothing(self._clock.seconds())
            member.rejected = True

    def left(self, member: Member) -> None:
        """The peer is gone: its requests go to others."""
        self.count(member)
        self._ledger.left(member.remote)
        self._blame.left(member.remote)
        self.ask_idle()

    def ask(self, member: Member) -> None:
        """Request as many blocks as this peer's pipeline has room for, in one write."""
        remote = member.remote
        if remote.peer_choking or not remote.am_interested or self._stopped or member.link.is_closing:
            return
        now = self._clock.seconds()
        depth = self._depth(remote, now)
        room = depth - self._ledger.outstanding(remote)
        # A deep pipeline is topped up in steps, so that one write carries several requests.
        if room <= 0 or room < depth // 16:
            return
        if depth == self._settings.limits.open_requests:
            self._hits["open_requests"] += 1
        blocks = self._ledger.ask(remote, room, now)
        if blocks:
            member.link.expect_blocks(True)
            member.link.request(blocks)

    def _depth(self, remote: RemotePeer, now: float) -> int:
        """Tell how many requests to have outstanding at a peer."""
        depth = remote.depth(now)
        if depth <= SHALLOWEST or self._settings.pipeline is not None or not remote.is_seed:
            return depth
        leeches = islice((other for other in self._members if not other.is_seed), MOST_RIVALS)
        missing = self._ledger.missing_pieces * self._store.geometry.blocks_per_piece
        return min(depth, fair_share(missing, sum(1 for _ in leeches)))

    def ask_idle(self) -> None:
        """Blocks were given back: offer them to peers that have nothing to do."""
        for member in self._members.values():
            if not self._ledger.outstanding(member.remote):
                self.ask(member)

    def tick(self) -> None:
        """Give up on late blocks, and top up every pipeline; about once a second."""
        for remote, _ in self._ledger.expired(self._clock.seconds()):
            self._hits["request_timeout"] += 1
            remote.snubbed = True
        for member in self._members.values():
            if not self._ledger.outstanding(member.remote):
                member.link.expect_blocks(False)
            self.ask(member)
        self._store.trim()

    def stop(self) -> None:
        """Ask for nothing more."""
        self._stopped = True

    def resume(self) -> None:
        """Ask again."""
        self._stopped = False
        self.ask_idle()

    def relieve(self) -> None:
        """The disk caught up: read from the peers again."""
        self._pressed = False
        self._each(self._members.values(), lambda member: member.link.release("disk"))

    @staticmethod
    def _each(members: Iterable[Member], act: Callable[[Member], None]) -> None:
        for member in tuple(members):
            act(member)

    def _seal(self, piece: int) -> None:
        sealing = self._store.seal(piece, digests=self._blame.is_suspect(piece))
        sealing.addCallbacks(self._sealed, self._failed, callbackArgs=(piece,), errbackArgs=(piece,))
        sealing.addErrback(lambda failure: self.log.failure("sealing piece {piece}", failure, piece=piece))
        if self._store.is_pressed and not self._pressed:
            self._pressed = True
            self._hits["memory_limit"] += 1
            self._each(self._members.values(), lambda member: member.link.hold("disk"))

    def _sealed(self, sealed: Sealed, piece: int) -> None:
        if sealed.ok:
            owners = self._ledger.owners(piece)
            guilty = self._blame.passed(piece, sealed.digests, owners)
            self._ledger.verified(piece)
            self._listener.piece_verified(piece, {owner for owner in owners if owner is not None})
            if guilty:
                self._condemn(piece, guilty)
            return
        guilty = self._blame.failed(piece, self._ledger.owners(piece), sealed.digests)
        self._ledger.failed(piece)
        self.wasted += self._store.geometry.piece_size(piece)
        self.log.warn("piece {piece} has a wrong hash, fetching it again", piece=piece)
        self._condemn(piece, guilty)
        self.ask_idle()

    def _condemn(self, piece: int, guilty: Collection[RemotePeer]) -> None:
        """What the guilty sent for other pieces is not waited for to be wrong, too."""
        for remote in guilty:
            self._ledger.distrust(remote)
        self._listener.piece_spoiled(piece, guilty)

    def _failed(self, failure: Failure, piece: int) -> None:
        self._ledger.failed(piece)
        failure.trap(StorageError)
        error = failure.value
        assert isinstance(error, StorageError)
        self._listener.storage_failed(error)
