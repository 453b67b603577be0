"""When the disk lets us down: pieces that cannot be read any more, and no room for new ones."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol as Seam

from attrs import define, field
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.errors import DiskFull, StorageError
from p2pshare.swarm.download import Download
from p2pshare.swarm.interest import Interest
from p2pshare.swarm.member import Block, Member
from p2pshare.swarm.upload import Upload


class Store(Seam):
    """Where pieces are written; a PieceStore."""

    def retry(self) -> None:
        """Take new pieces again."""


class Pieces(Seam):
    """Which pieces are to be fetched; a Ledger."""

    def lost(self, piece: int) -> None:
        """This one was held, and is missing."""


class TroubleListener(Seam):
    """The swarm, told what came of it."""

    def piece_lost(self, piece: int) -> None:
        """A verified piece is missing again."""

    def go_on(self) -> None:
        """The disk may take pieces again."""


@define(eq=False)
class DiskTrouble:
    """
    Puts right what the disk got wrong. No peer is ever blamed for it.

    Whether a piece is lost the store says. Other errors on reading, such as too many open files, pass: the blocks are
    refused, and nothing else happens.
    """

    _store: Store
    _pieces: Pieces
    _upload: Upload
    _download: Download
    _interest: Interest
    _clock: IReactorTime
    _retry_after: float  # s
    _listener: TroubleListener
    _lost: set[int] = field(init=False, factory=set)  # and not yet verified again
    _retry_at: float | None = field(init=False, default=None)
    log = Logger()

    def unreadable(self, member: Member, blocks: Collection[Block], reason: Failure) -> None:
        """Blocks promised to a peer could not be read."""
        if reason.check(StorageError):
            self.log.debug("cannot send to {peer}: {error}", peer=member, error=reason.value)
        else:
            self.log.failure("reading for {peer}", reason, peer=member)
        self._upload.unreadable(member, blocks)

    def lost(self, piece: int) -> None:
        """The store had a piece and has it no more: serve nothing of it, and get it from somebody."""
        if piece in self._lost:
            return
        self._lost.add(piece)
        self._upload.lost(piece)
        self._pieces.lost(piece)
        self._interest.lost(piece)
        self._listener.piece_lost(piece)
        self._download.ask_idle()

    def verified(self, piece: int) -> None:
        """A piece is on disk, maybe once more."""
        self._lost.discard(piece)

    def refused(self, error: StorageError) -> None:
        """A new piece could not be written. Somebody may make room; nothing else gets better by itself."""
        if isinstance(error, DiskFull):
            self._retry_at = self._clock.seconds() + self._retry_after

    def tick(self) -> None:
        """Try a full disk again, when it is time; about once a second."""
        if self._retry_at is not None and self._clock.seconds() >= self._retry_at:
            self._retry_at = None
            self._store.retry()
            self._listener.go_on()
            self._download.resume()
