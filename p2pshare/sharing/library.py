"""Which files of a folder are shared at this moment: looked for, read when they are new, told of when that changes."""

from __future__ import annotations

import os
from collections import Counter, deque
from collections.abc import Callable, Mapping, Sequence, Set
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from attrs import define, evolve, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from p2pshare.errors import StorageError
from p2pshare.sharing.digest import Digest, digest_file
from p2pshare.sharing.shelf import SharedFile, Shelf
from p2pshare.sharing.walk import Stamp, Survey, open_below, survey

Value = TypeVar("Value")

SOON = 0.3  # s from a hint that something changed to the look: others come in its wake
SETTLED = 1.0  # s a file has to be left alone before it is read; who copies into the folder writes all the time
_APART = 0.2  # s at least between two looks at files that settle one after another
_BATCH_FILES, _BATCH_BYTES = 64, 8 * 1024 * 1024  # read in one job of a thread


@frozen
class FileAdded:
    """A file is shared from now on."""

    file: SharedFile


@frozen
class FileRemoved:
    """A file is not shared any more: it is gone, or has been withdrawn."""

    file: SharedFile


@frozen
class FileChanged:
    """A file has another content than before."""

    old: SharedFile
    file: SharedFile


Event = FileAdded | FileRemoved | FileChanged
Listener = Callable[[Event], object]
Run = Callable[..., Deferred[Any]]  # function, *arguments: called in a thread


@define(eq=False)
class Library(Service):
    """
    The shared files of one folder. Started, it looks at once, then in rounds and whenever it is poked.

    Files are only read, never written. Knows no index and no swarm.

    :ivar files: what is shared, by its path below the folder.
    :ivar problems: what is not, and why.
    """

    folder: Path
    _shelf: Shelf
    _run: Run  # for looks and the shelf: one thread, in order
    _read: Run  # for reading files: several
    _clock: IReactorTime
    _now: Callable[[], float]  # seconds since 1970
    _readers: int  # jobs at once
    _interval: float = 30.0  # s between two rounds
    files: dict[str, SharedFile] = field(init=False, factory=dict)
    problems: dict[str, str] = field(init=False, factory=dict)
    withdrawn: set[str] = field(init=False, factory=set)  # not to be shared, though they may be there
    bytes_read: int = field(init=False, default=0)
    is_known: bool = field(init=False, default=False)  # one round is complete
    _former: dict[str, SharedFile] = field(init=False, factory=dict)  # what is read again was this
    on_folders: Callable[[Sequence[str]], object] | None = field(init=False, default=None)  # told of each look's
    _listeners: list[Listener] = field(init=False, factory=list)
    _next: IDelayedCall | None = field(init=False, default=None)
    _is_looking: bool = field(init=False, default=False)
    _look_over: Deferred[None] | None = field(init=False, default=None)  # of the last look
    _is_poked: bool = field(init=False, default=False)  # since the last look began
    # What the last look left alone, as it was then, and the s for which it is left when it changes and nobody says so.
    _early: dict[str, tuple[Stamp, float]] = field(init=False, factory=dict)
    _settled: set[str] = field(init=False, factory=set)  # names whose writer has said that it is done
    _fetched: Counter[str] = field(init=False, factory=Counter)  # downloads that the shelf does not know of
    log = Logger()

    def subscribe(self, listener: Listener) -> None:
        """Be told of everything that changes; what is there already, look up."""
        self._listeners.append(listener)

    def startService(self) -> None:
        super().startService()
        self._is_looking = True
        self._look_over = Deferred.fromCoroutine(self._begin())

    def stopService(self) -> Deferred[None]:
        super().stopService()
        self._cancel()
        return Deferred.fromCoroutine(self._stop())

    def poke(self, settled: str | None = None) -> None:
        """
        Something in the folder may have changed.

        :param settled: a file that its writer is done with, so that it need not be left alone first.
        """
        if settled is not None:
            self._settled.add(settled)
        self._is_poked = True
        if self.running and not self._is_looking:
            self._schedule(SOON if settled is None else 0.0)

    def withdraw(self, name: str) -> SharedFile | None:
        """Share a file no more, though it stays where it is; None: it was not shared."""
        self.withdrawn.add(name)
        self._note(self._shelf.withdraw, name)
        return self._remove(name)

    def restore(self, name: str) -> None:
        """Share it again, if it is there, and at once: whoever says so is done with it."""
        if name in self.withdrawn:
            self.withdrawn.discard(name)
            self._note(self._shelf.restore, name)
        self.poke(name)

    def count_download(self, name: str) -> None:
        """Somebody has fetched a file; one that is not shared any more is no error."""
        file = self.files.get(name)
        if file is not None:
            self.files[name] = evolve(file, downloads=file.downloads + 1)
            self._fetched[name] += 1

    async def _stop(self) -> None:
        if self._look_over is not None:
            await self._look_over
        await self._keep_counts()
        await self._run(self._shelf.close)

    async def _begin(self) -> None:
        try:
            self.withdrawn |= await self._run(self._shelf.withdrawn)
            self._former = await self._run(self._shelf.load)
        except StorageError as error:
            self.log.warn("what is shared has to be read anew: {error}", error=error)
        await self._look_safely()

    def _schedule(self, seconds: float) -> None:
        if self._next is not None and self._next.active():
            if self._next.getTime() <= self._clock.seconds() + seconds:
                return
            self._next.cancel()
        self._next = self._clock.callLater(seconds, self._begin_look)

    def _cancel(self) -> None:
        if self._next is not None and self._next.active():
            self._next.cancel()

    def _begin_look(self) -> None:
        self._is_looking = True
        self._look_over = Deferred.fromCoroutine(self._look_safely())

    async def _look_safely(self) -> None:
        pause = self._interval
        try:
            pause = await self._look()
        except OSError as error:  # a network disk may be back soon; nothing is taken for deleted
            self.log.warn("cannot look into {folder}: {reason}", folder=self.folder, reason=error.strerror)
        except Exception:
            self.log.failure("looking into {folder}", folder=self.folder)
        self._is_looking = False
        if self.running:
            self._schedule((0.0 if self._settled else SOON) if self._is_poked else pause)

    async def _look(self) -> float:
        """Look once, and read what is new; gives the seconds until the next look."""
        # What is said from here on is for the next look.
        settled, self._settled = self._settled, set()
        is_poked, self._is_poked = self._is_poked, False
        seen: Survey = await self._run(survey, self.folder)
        if self.on_folders is not None:
            self.on_folders(seen.folders)
        self.problems = _only(self.problems, seen.files.keys() | seen.problems.keys())
        self._complain(seen.problems)
        gone = self.files.keys() - seen.files.keys()
        for name in gone:
            self._remove(name)
        forgotten = (gone | self._former.keys()) - seen.files.keys()
        self._former = _only(self._former, seen.files.keys())
        await self._keep(self._shelf.drop, sorted(forgotten))
        await self._keep_counts()
        fresh, pause = self._sort(seen.files, settled, is_poked)
        await self._read_all(fresh)
        self.is_known = True
        return pause

    def _sort(
        self, seen: Mapping[str, Stamp], settled: Set[str], is_poked: bool
    ) -> tuple[deque[tuple[str, Stamp]], float]:
        """Tell what has to be read, and in how many seconds there may be more."""
        fresh: deque[tuple[str, Stamp]] = deque()
        pause = self._interval
        before, self._early = self._early, {}
        now = self._now()
        for name, stamp in seen.items():
            known = self.files.get(name)
            if name in self.withdrawn or (known is not None and known.digest.stamp == stamp):
                continue
            former = self._former.get(name)
            if known is None and former is not None and former.digest.stamp == stamp:
                self._add(self._former.pop(name))
            elif name not in settled and 0 <= (age := now - stamp.modified / 1e9) < SETTLED:
                last, patience = before.get(name, (stamp, SETTLED))
                if is_poked or last == stamp:  # it may be whole by now
                    wait = max(SETTLED - age, _APART)
                else:  # it is kept open: what is written all the time must not keep us looking all the time
                    wait = patience = 2 * patience
                self._early[name] = stamp, min(patience, self._interval)
                pause = min(pause, wait)
            else:
                fresh.append((name, stamp))
        return fresh, pause

    async def _read_all(self, fresh: deque[tuple[str, Stamp]]) -> None:
        readers = min(self._readers, len(fresh))
        await DeferredList([Deferred.fromCoroutine(self._read_some(fresh)) for _ in range(readers)], consumeErrors=True)

    async def _read_some(self, fresh: deque[tuple[str, Stamp]]) -> None:
        keeping: Deferred[None] = succeed(None)  # of the batch before, while this one is read
        while self.running and fresh:
            batch = _take_batch(fresh)
            digests = await self._read(partial(_digest_all, self.folder, batch, lambda: not self.running))
            await keeping
            keeping = Deferred.fromCoroutine(self._take_in(dict(zip(batch, digests, strict=True))))
        await keeping

    async def _take_in(self, digests: Mapping[str, Digest | str]) -> None:
        fresh = []
        for name, digest in digests.items():
            if isinstance(digest, str):
                if self.running:
                    self._complain({name: digest})
                continue
            self.bytes_read += digest.stamp.size
            self.problems.pop(name, None)
            if name not in self.withdrawn:
                fresh.append(self._renew(name, digest))
                del self._fetched[name]  # it is kept with its count
        await self._keep(self._shelf.put, fresh)

    def _renew(self, name: str, digest: Digest) -> SharedFile:
        old = self.files.get(name) or self._former.pop(name, None)
        if old is not None and _is_same(old.digest, digest):  # touched, or copied over itself
            file = evolve(old, digest=digest)
            if name in self.files:
                self.files[name] = file
            else:
                self._add(file)
            return file
        file = SharedFile(name, digest, self._now(), 0 if old is None else old.downloads)
        if name in self.files:
            self.files[name] = file
            assert old is not None, "it was there"
            self._tell(FileChanged(old, file))
        else:
            self._add(file)
        return file

    def _add(self, file: SharedFile) -> None:
        self.files[file.name] = file
        self._tell(FileAdded(file))

    def _remove(self, name: str) -> SharedFile | None:
        file = self.files.pop(name, None)
        if file is not None:
            self._tell(FileRemoved(file))
        return file

    def _tell(self, event: Event) -> None:
        for listener in tuple(self._listeners):
            listener(event)

    def _complain(self, problems: Mapping[str, str]) -> None:
        for name, problem in problems.items():
            if self.problems.get(name) != problem:
                self.log.warn("{name} is not shared: {problem}", name=name, problem=problem)
                self.problems[name] = problem

    def _note(self, function: Callable[[Sequence[str]], None], name: str) -> None:
        """Keep something in mind; the shelf's one thread does it before whatever it is asked next."""
        keeping = Deferred.fromCoroutine(self._keep(function, [name]))
        keeping.addErrback(lambda failure: self.log.failure("keeping what is shared", failure))

    async def _keep_counts(self) -> None:
        counts, self._fetched = list(self._fetched.items()), Counter()
        await self._keep(self._shelf.count_downloads, counts)

    async def _keep(self, function: Callable[[Sequence[Any]], None], values: Sequence[Any]) -> None:
        if not values:
            return
        try:
            await self._run(function, values)
        except StorageError as error:  # the files are shared all the same; the next start reads them again
            self.log.warn("{error}", error=error)


def _only(values: Mapping[str, Value], names: Set[str]) -> dict[str, Value]:
    return {name: value for name, value in values.items() if name in names}


def _is_same(one: Digest, other: Digest) -> bool:
    return (one.sha256, one.stamp.size, one.piece_length) == (other.sha256, other.stamp.size, other.piece_length)


def _take_batch(fresh: deque[tuple[str, Stamp]]) -> list[str]:
    batch: list[str] = []
    size = 0
    while fresh and len(batch) < _BATCH_FILES and (not batch or size + fresh[0][1].size <= _BATCH_BYTES):
        name, stamp = fresh.popleft()
        batch.append(name)
        size += stamp.size
    return batch


def _digest_all(folder: Path, names: Sequence[str], is_stopped: Callable[[], bool]) -> list[Digest | str]:
    """Read files; instead of a digest there may be the reason why not."""
    return [_digest(folder, name, is_stopped) for name in names]


def _digest(folder: Path, name: str, is_stopped: Callable[[], bool]) -> Digest | str:
    try:
        descriptor = open_below(folder, name)
    except OSError as error:
        return error.strerror or str(error)
    try:
        return digest_file(descriptor, is_stopped=is_stopped)
    except StorageError as error:
        return str(error)
    finally:
        os.close(descriptor)
