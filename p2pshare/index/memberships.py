"""Who is in which swarm, written down behind the tracker's back: an announce never waits for a database."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from attrs import frozen
from sqlalchemy import Connection, select
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.errors import StorageError
from p2pshare.index.batch import Batch, Change, forget_silent, write_batch
from p2pshare.index.database import Database
from p2pshare.index.lanes import Busy
from p2pshare.index.records import Member
from p2pshare.index.schema import torrent


@frozen
class Pace:
    """How often facts are written, and how many may wait."""

    interval: float = 10.0  # seconds: what a kill may lose
    early: int = 10_000  # facts that are worth a write before its time
    most: int = 50_000  # facts held while the database cannot be written; about 25 MB
    keep: float = 30 * 86_400.0  # seconds a member that fell silent is remembered
    tidy: float = 3600.0  # seconds between two looks for such
    strangers: int = 1000  # facts a round about torrents that are not in the index: a busy tracker has too many of them


class Memberships(Service):
    """
    Takes facts about members and downloads from memory, and writes them in batches, each in one transaction.

    All calls but :meth:`flush` return at once. A kill loses the facts since the last batch, at most ``interval``
    seconds of them, and never half a batch. While the database cannot be written, facts wait up to a number; what is
    beyond is dropped and counted in the log. Members announce again, so only their counts of completions and
    downloads are lost for good.
    """

    log = Logger()

    def __init__(
        self, database: Database, clock: IReactorTime, now: Callable[[], float], pace: Pace | None = None
    ) -> None:
        """
        Write to a database.

        :param clock: for timers.
        :param now: seconds since 1970.
        """
        self._database = database
        self._clock = clock
        self._now = now
        self._pace = pace or Pace()
        self._batch = Batch(self._pace.most)
        self._written: Batch | None = None  # on its way to the database
        self._turn = DeferredLock()
        self._troubled = False  # the last write failed
        self._tidied_at = clock.seconds()
        self._round: LoopingCall | None = None
        self._indexed: set[bytes] = set()  # info_hashes
        self._strangers = 0  # noted in this round

    def startService(self) -> None:
        """Begin to write in rounds."""
        super().startService()
        self._database.read(_indexed).addCallbacks(self._indexed.update, self._not_listed)
        self._round = LoopingCall(self._go_round)
        self._round.clock = self._clock
        self._round.start(self._pace.interval, now=False).addErrback(
            lambda failure: self.log.failure("memberships are no longer written", failure)
        )

    def stopService(self) -> Deferred[None]:
        """Write what there is; fires when that is done."""
        super().stopService()
        if self._round is not None and self._round.running:
            self._round.stop()
        return self.flush()

    def indexed(self, info_hash: bytes) -> None:
        """A torrent is in the index from now on."""
        self._indexed.add(info_hash)

    def wants(self, info_hash: bytes) -> bool:
        """
        Whether to tell what happens in a swarm; to be asked before each fact, as most may be about strangers.

        Of swarms that are not indexed a limited number of facts is taken: their torrents may be entered later.
        """
        if info_hash in self._indexed:
            return True
        if self._strangers >= self._pace.strangers:
            return False
        self._strangers += 1
        return True

    def joined(self, info_hash: bytes, member: Member) -> None:
        """A peer has announced itself to a swarm, for the first time or again."""
        self._batch.note(info_hash, member.peer_id, Change(member))
        self._flush_early()

    def left(self, info_hash: bytes, peer_id: str) -> None:
        """A peer has left a swarm."""
        self._batch.note(info_hash, peer_id, Change(None))
        self._flush_early()

    def completed(self, info_hash: bytes, member: Member) -> None:
        """A peer has announced that it got its last piece. Counts once for a membership, however often it is said."""
        self._batch.note(info_hash, member.peer_id, Change(member, True))
        self._flush_early()

    def downloaded(self, share_id: str) -> None:
        """Somebody was sent to where a share is served."""
        self._batch.count_download(share_id)
        self._flush_early()

    def pending_downloads(self, share_id: str) -> int:
        """Count the downloads of a share that its row does not hold yet; those just being written count as such."""
        under_way = 0 if self._written is None else self._written.downloads[share_id]
        return self._batch.downloads[share_id] + under_way

    def all_pending_downloads(self) -> int:
        """Count those of all shares."""
        under_way = 0 if self._written is None else self._written.downloads.total()
        return self._batch.downloads.total() + under_way

    def flush(self) -> Deferred[None]:
        """
        Write down what has been told so far, for somebody who wants to read it now.

        :return: fires when that is done, or has failed, which is logged: the facts are kept for the next time.
        """
        if not len(self._batch) and self._written is None:
            return succeed(None)
        return self._turn.run(lambda: Deferred.fromCoroutine(self._write()))

    async def _write(self) -> None:
        if not len(self._batch):  # the write before this one had it all
            return
        batch, self._batch = self._batch, Batch(self._pace.most)
        self._written = batch
        work = partial(write_batch, changes=batch.changes, downloads=batch.downloads)
        try:
            await self._database.write(work)
        except (StorageError, Busy) as error:
            self._batch.follow(batch)
            self._troubled = True
            self.log.error(
                "cannot write memberships, {count} wait: {reason}", count=len(self._batch), reason=str(error)
            )
        except Exception:  # our bug; the same facts would fail again for ever
            self.log.failure("{count} facts about memberships are lost", count=len(batch))
        else:
            self._troubled = False
            if batch.dropped:
                self.log.warn("{count} facts about memberships came too fast and were dropped", count=batch.dropped)
        finally:
            self._written = None

    def _flush_early(self) -> None:
        if len(self._batch) >= self._pace.early and self._written is None and not self._troubled:
            self.flush().addErrback(lambda failure: self.log.failure("memberships are not written", failure))

    def _not_listed(self, failure: Failure) -> None:
        failure.trap(StorageError, Busy)
        self.log.error("cannot list what is indexed: {reason}", reason=failure.getErrorMessage())

    def _go_round(self) -> Deferred[None]:
        self._strangers = 0
        return Deferred.fromCoroutine(self._write_and_tidy())

    async def _write_and_tidy(self) -> None:
        await self.flush()
        if self._clock.seconds() - self._tidied_at < self._pace.tidy:
            return
        self._tidied_at = self._clock.seconds()
        try:
            await self._database.write(partial(forget_silent, before=self._now() - self._pace.keep))
        except (StorageError, Busy) as error:
            self.log.error("cannot forget silent members: {reason}", reason=str(error))


def _indexed(connection: Connection) -> list[bytes]:
    return [bytes.fromhex(digits) for digits in connection.scalars(select(torrent.c.info_hash))]
