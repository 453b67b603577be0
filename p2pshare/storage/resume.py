"""Resume data: what makes the pieces of a store outlive crashes and power cuts, and the next start fast."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from pathlib import Path

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError
from p2pshare.metainfo import Metainfo
from p2pshare.storage import failpoints
from p2pshare.storage.failpoints import FailPoint
from p2pshare.storage.files import ContentFiles
from p2pshare.storage.group_commit import GroupCommit
from p2pshare.storage.mounts import mount_of
from p2pshare.storage.recovery import Recovered, newest_generation, recover
from p2pshare.storage.resume_log import ResumeLog
from p2pshare.storage.safe_files import SafeFiles
from p2pshare.storage.state_files import InUse, StateFiles
from p2pshare.storage.workers import Run


@frozen
class Durability:
    """How a store keeps its word when the process or the power goes."""

    state: Path  # the folder for snapshots and journals
    clock: IReactorTime
    sync: Run  # does what may wait long for a disk: not the threads that hash and write pieces
    strict: bool = field(kw_only=True, default=False)  # a piece counts only when a power cut cannot take it any more
    # A tenth of a percent of a fast disk's time, and the most that is hashed again after a crash.
    interval: float = field(kw_only=True, default=1.0)  # s between two commits
    amount: int = field(kw_only=True, default=32 << 20)  # bytes between two commits
    save_every: float = field(kw_only=True, default=60.0)  # s between two snapshots
    floor: int = field(kw_only=True, default=64 << 20)  # bytes of disk kept free for all this
    # bytes of a piece in one file: below, dropping them from memory costs more than it brings
    worth_forgetting: int = field(kw_only=True, default=64 * 1024)
    failpoint: FailPoint | None = field(kw_only=True, factory=failpoints.from_environment)


@define(eq=False)
class ResumeData:
    """
    One torrent's snapshot, journal and commits, as its store sees them. Reactor thread, but for :meth:`append`.

    Without a state folder that can be used there are none: then the next start hashes everything.
    """

    _metainfo: Metainfo
    _files: ContentFiles
    _settings: Durability
    _failed: Callable[[StorageError], None]  # told when a commit came to nothing; none follows until release()
    _is_wanted: Callable[[int], bool]  # whether somebody is likely to read a piece soon
    counters: dict[str, int] = field(init=False, factory=dict)
    _state: StateFiles | None = field(init=False, default=None)
    _log: ResumeLog | None = field(init=False, default=None)
    _commits: GroupCommit | None = field(init=False, default=None)
    log = Logger()

    @property
    def _target(self) -> str:
        """The path of the content."""
        return self._files.folder.full((self._metainfo.name,))

    @property
    def is_active(self) -> bool:
        """Whether pieces are journaled; from :meth:`begin` to :meth:`close`."""
        return self._log is not None

    async def open(self, writes: bool) -> Recovered | None:
        """
        Lock the torrent in its folder, and read what the last process left.

        :param writes: something is missing and going to be downloaded.
        :raise StorageError: another process works on it, or downloads something else to the same place, and we write.
        """
        run = self._settings.sync
        try:
            self._state = await run(self._open, writes)
        except InUse as error:
            if writes:
                raise StorageError(f"{self._metainfo.name}: {error}") from error
            self.log.info("{name}: {error}; reading along", name=self._metainfo.name, error=error)
            return None
        except OSError as error:
            self.log.warn(
                "{name}: no resume data in {state} ({error}): the next start hashes everything",
                name=self._metainfo.name,
                state=self._settings.state,
                error=error,
            )
            return None
        recovered: Recovered | None = await run(self._recover)
        if recovered is not None:
            self.counters.update(recovered.counters)
        return recovered

    async def forget(self) -> None:
        """
        Take away what the last process left; the next start hashes everything, unless :meth:`begin` comes before it.

        :raise StorageError: the state folder refuses.
        """
        state = self._state
        if state is not None:
            try:
                await self._settings.sync(state.forget)
            except OSError as error:
                raise state.refusal(error) from error

    async def begin(self, certain: Bitfield, found: Iterable[int]) -> None:
        """
        Journal pieces from now on, and make safe those that were found.

        :raise StorageError: the state folder refuses.
        """
        if self._state is None:
            return
        settings, found = self._settings, list(found)
        log = await settings.sync(self._begin, self._state, certain, found)
        commits = GroupCommit(
            settings.clock,
            lambda whole, save: Deferred.fromCoroutine(self._commit(log, whole, save)),
            self._refused,
            interval=settings.interval,
            amount=settings.amount,
            save_every=settings.save_every,
        )
        self._log, self._commits = log, commits
        if found:
            commits.written(len(found) * self._metainfo.piece_length)
            if settings.strict:
                await commits.settled()

    def append(self, piece: int) -> None:
        """
        Tell that a piece was written; in the thread that wrote it.

        :raise StorageError: the state folder refuses; the piece must not be had.
        """
        if self._log is not None:
            self._log.append(piece)

    async def written(self, piece: int, whole: Collection[int], *, is_last: bool) -> None:
        """
        Have a piece made safe in time, and files renamed that are whole with it.

        :param is_last: nothing is missing then: wait until all files have their names.
        :raise StorageError: waited for, and it came to nothing.
        """
        assert self._commits is not None
        self._commits.is_complete = is_last
        self._commits.written(self._files.geometry.piece_size(piece), whole)
        if is_last or self._settings.strict:
            await self._commits.settled()

    async def _commit(self, log: ResumeLog, whole: Collection[int], save: bool) -> None:
        safe: list[int] = await self._settings.sync(lambda: log.commit(whole, save=save))
        if self._commits is None or self._commits.is_complete:
            return  # whoever waited for the content may want it now
        unwanted = [piece for piece in safe if not self._is_wanted(piece)]
        if unwanted:
            least = self._settings.worth_forgetting
            try:
                await self._settings.sync(lambda: SafeFiles(self._files).forget(unwanted, least=least))
            except StorageError as error:  # the pieces are as safe as before
                self.log.debug("{name}: {error}", name=self._metainfo.name, error=error)

    async def settle(self, whole: Collection[int]) -> None:
        """
        Make everything safe and give whole files their names, now.

        :raise StorageError: it came to nothing.
        """
        assert self._commits is not None
        self._commits.written(0, whole)
        await self._commits.settled()

    async def lost(self, piece: int) -> None:
        """Take back that a piece was written. If that cannot be told, the next start finds out by itself."""
        if self._log is not None and self._commits is not None:
            self._commits.lack(self._files.geometry.files_of(piece))
            try:
                await self._settings.sync(self._log.lost, piece)
            except StorageError as error:
                self.log.warn("{name}: {error}", name=self._metainfo.name, error=error)
            else:
                self._commits.written(0)

    def unsafe(self) -> list[int]:
        """Name the pieces that a power cut could still take."""
        return [] if self._log is None else self._log.unsafe()

    def release(self, whole: Collection[int]) -> None:
        """Commit again, after one came to nothing; ``whole`` are the files that lack nothing all the same."""
        if self._commits is not None:
            self._commits.release(whole)

    def retry(self) -> None:
        """Commit what an earlier commit could not."""
        if self._commits is not None:
            self._commits.written(0)

    async def close(self) -> None:
        """Make everything safe, save it, and let others have the torrent. Fails silently, as there is no remedy."""
        log, commits, state = self._log, self._commits, self._state
        self._log = self._commits = self._state = None
        try:
            if log is not None and commits is not None:
                commits.stop()
                await commits.settled()
                log.counters.update(self.counters)
                await self._settings.sync(log.end)
        except StorageError as error:
            self.log.warn("{name}: {error}", name=self._metainfo.name, error=error)
        if log is not None:
            await self._settings.sync(log.close)
        if state is not None:
            await self._settings.sync(state.close)

    def _open(self, writes: bool) -> StateFiles:
        settings, files = self._settings, self._files
        disk = files.folder.disk
        state = StateFiles.open(disk, settings.state, self._metainfo.info_hash, files.folder.path, settings.failpoint)
        try:
            state.lock(self._target if writes else None)
        except BaseException:
            state.close()
            raise
        return state

    def _recover(self) -> Recovered | None:
        assert self._state is not None
        geometry = self._files.geometry
        info_hash, disk = self._metainfo.info_hash, self._files.folder.disk
        return recover(disk, self._state, info_hash, geometry.file_lengths, geometry.num_pieces)

    def _begin(self, state: StateFiles, certain: Bitfield, found: Iterable[int]) -> ResumeLog:
        geometry, info_hash = self._files.geometry, self._metainfo.info_hash
        log = ResumeLog(
            self._files.folder.disk,
            state,
            self._files,
            info_hash,
            self._target,
            mount_of(self._files.folder.path),
            certain,
            newest_generation(state, info_hash, geometry.num_pieces, len(geometry.file_lengths)),
            floor=self._settings.floor,
            failpoint=self._settings.failpoint,
            counters=dict(self.counters),
        )
        log.begin(found)
        return log

    def _refused(self, failure: Failure) -> None:
        failure.trap(StorageError)
        error = failure.value
        assert isinstance(error, StorageError)
        self._failed(error)
