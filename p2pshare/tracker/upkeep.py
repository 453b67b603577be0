"""What a tracker does by itself from time to time: forgets silent peers and saves its swarms."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredLock
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Cooperator, LoopingCall, SchedulerStopped
from twisted.logger import Logger
from twisted.python.failure import Failure

from p2pshare.errors import StorageError
from p2pshare.tracker import snapshot
from p2pshare.tracker.settings import TrackerSettings
from p2pshare.tracker.snapshot_file import backup_of, clear_away, read_snapshot, set_aside, write_snapshot
from p2pshare.tracker.swarm_store import MemorySwarms

Run = Callable[..., "Deferred[Any]"]  # (function, *args): calls it in a thread

_SWEEPS = 30  # within the time after which a silent peer goes, which it may so outstay by a thirtieth
_SLOWEST_SWEEP = 60.0  # seconds
_AT_ONCE = 256  # swarms copied into a snapshot before others get a turn


class Upkeep(Service):
    """
    Keeps a swarm store small, and its snapshot young.

    Announces are answered between two steps of either: a snapshot shows each swarm as it was at one moment, if not all
    of them at the same. Writing is done in a thread.
    """

    log = Logger()

    def __init__(
        self,
        store: MemorySwarms,
        settings: TrackerSettings,
        path: Path | None,
        run: Run,
        clock: IReactorTime,
        now: Callable[[], float],
        random: Callable[[], float],
    ) -> None:
        """
        Look after a store.

        :param path: the snapshot's file; None: nothing is kept.
        :param clock: for timers.
        :param now: the clock of the store's times, which never jumps.
        """
        self._store = store
        self._settings = settings
        self._path = path
        self._run = run
        self._clock = clock
        self._now = now
        self._random = random
        # One step a turn: the steps are chosen to be short.
        self._cooperator = Cooperator(lambda: lambda: True, lambda step: clock.callLater(0, step))
        self._writing = DeferredLock()
        self._saved = store.changes  # how many were in the last snapshot
        self._rounds: list[LoopingCall] = []

    def startService(self) -> None:
        """Read the last snapshot, and begin."""
        super().startService()
        self._repeat(self._sweep, min(self._settings.expiry / _SWEEPS, _SLOWEST_SWEEP))
        if self._path is not None:
            self._load(self._path)
            self._repeat(self._save_changes, self._settings.save_interval)

    def stopService(self) -> Deferred[None]:
        """Save what there is; fires when that is done."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for task in self._rounds:
            if task.running:
                task.stop()
        self._rounds.clear()
        self._cooperator.stop()
        if self._path is not None and self._store.changes != self._saved:
            await self._write(self._path, list(self._copy()), self._store.changes)

    def _repeat(self, step: Callable[[], Coroutine[Deferred[Any], Any, None]], period: float) -> None:
        task = LoopingCall(lambda: Deferred.fromCoroutine(step()))
        task.clock = self._clock
        task.start(period, now=False).addErrback(self._ended)
        self._rounds.append(task)

    def _ended(self, failure: Failure) -> None:
        if not failure.check(SchedulerStopped):  # which is how a round ends that was under way when we stopped
            self.log.failure("upkeep has ended", failure)

    async def _sweep(self) -> None:
        await self._cooperator.coiterate(self._store.forget_silent(self._now() - self._settings.expiry))

    async def _save_changes(self) -> None:
        changes = self._store.changes
        if self._path is not None and changes != self._saved:
            chunks: list[bytes] = []
            await self._cooperator.coiterate(self._gather(chunks))
            await self._write(self._path, chunks, changes)

    def _copy(self) -> Iterator[bytes]:
        """Copy all swarms, many in a step."""
        yield snapshot.encode_head(self._now())
        swarms = list(self._store.swarms.items())
        for start in range(0, len(swarms), _AT_ONCE):
            yield b"".join([snapshot.encode_swarm(*swarm) for swarm in swarms[start : start + _AT_ONCE]])

    def _gather(self, chunks: list[bytes]) -> Iterator[None]:
        for chunk in self._copy():
            chunks.append(chunk)
            yield

    async def _write(self, path: Path, chunks: list[bytes], changes: int) -> None:
        try:
            await self._writing.run(self._run, write_snapshot, path, chunks)
        except OSError as error:
            self.log.error("cannot save the swarms in {path}: {reason}", path=str(path), reason=error.strerror)
        else:
            self._saved = changes

    def _load(self, path: Path) -> None:
        """Take the latest snapshot that can be used: the backup when it is all there is, or all that is whole."""
        clear_away(path)
        for each in (path, backup_of(path)):
            try:
                body = read_snapshot(each)
                if body is None:
                    continue
                swarms = list(snapshot.decode(body, self._random, self._now()))
            except StorageError as error:
                self._set_aside(each, error)
                continue
            self._store.swarms.update(swarms)
            members = sum(len(swarm) for _, swarm in swarms)
            self.log.info(
                "{peers} peers of {torrents} torrents are back, from {path}",
                peers=members,
                torrents=len(swarms),
                path=str(each),
            )
            return

    def _set_aside(self, path: Path, error: StorageError) -> None:
        self.log.error("the saved swarms cannot be used: {reason}", reason=str(error))
        try:
            self.log.error("they were set aside as {aside}; peers will come back by themselves", aside=set_aside(path))
        except OSError as problem:
            self.log.error("they cannot be set aside: {reason}", reason=problem.strerror)
