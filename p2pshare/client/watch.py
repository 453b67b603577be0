"""A folder of torrent files: what is put there is shared, what is taken away is not any more."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from typing import Protocol as Seam

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall, deferLater
from twisted.logger import Logger

from p2pshare.client.intake import Intake, take_in
from p2pshare.errors import MetainfoError
from p2pshare.metainfo import Metainfo

Stamp = tuple[int, int, int, int]  # inode, size, and the times of the last change of its bytes and of its rights


class Torrents(Seam):
    """Where torrents are added and removed; a Session."""

    def holds(self, info_hash: bytes) -> bool:
        """Whether a torrent is here."""

    def is_leaving(self, info_hash: bytes) -> bool:
        """Whether it was removed, and has not quite stopped."""

    def add(self, content: Metainfo, folder: Path) -> Any:
        """Take a torrent on."""

    def remove(self, info_hash: bytes) -> Deferred[None]:
        """Stop one, and forget it."""

    def run_in_thread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Do what may wait for a disk."""


@frozen
class Sighting:
    """A torrent file as it was seen. If it was read: what is in it, or why it cannot be used."""

    stamp: Stamp
    intake: Intake | None = None
    problem: str | None = None


def look_into(folder: Path, data: Path, known: Mapping[str, Stamp]) -> dict[str, Sighting]:
    """
    See which torrent files lie in a folder, and read them. Blocks.

    :param data: where content is, or goes to.
    :param known: files by name that need not be read unless they have changed.
    :raise OSError: the folder cannot be listed.
    """
    seen: dict[str, Sighting] = {}
    with os.scandir(folder) as entries:
        for entry in entries:
            name = entry.name
            if not name.lower().endswith(".torrent") or name.startswith("."):  # rsync writes into hidden files
                continue
            try:
                status = entry.stat()
            except OSError:  # gone since, or a link to nowhere
                continue
            if stat.S_ISREG(status.st_mode):
                stamp = status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns
                seen[name] = Sighting(stamp) if known.get(name) == stamp else _read(folder / name, data, stamp)
    return seen


def _read(file: Path, data: Path, stamp: Stamp) -> Sighting:
    try:
        return Sighting(stamp, intake=take_in(file, data))
    except MetainfoError as error:
        return Sighting(stamp, problem=str(error))


@frozen
class _File:
    """What is remembered of a file between two looks."""

    stamp: Stamp
    info_hash: bytes | None  # of the torrent it last held; a file that breaks does not end its torrent
    is_settled: bool  # not read again before it changes


@define(eq=False)
class WatchedFolder(Service):
    """
    Adds the torrents whose files lie in a folder, and removes those whose files are gone. Knows no swarm.

    A file that cannot be used may still be being written: it is complained of when it has not changed between two
    looks, once, and read again when it changes. Torrents that came from elsewhere are left alone.
    """

    _folder: Path
    _data: Path  # where content is, or goes to
    _torrents: Torrents
    _clock: IReactorTime
    _interval: float  # seconds between two looks
    _files: dict[str, _File] = field(init=False, factory=dict)
    _ours: set[bytes] = field(init=False, factory=set)  # torrents that were added from here
    _trouble: str | None = field(init=False, default=None)  # why the folder could not be listed, if it was said
    _looking: LoopingCall = field(init=False)
    log = Logger()

    def __attrs_post_init__(self) -> None:
        self._looking = LoopingCall(self._look_safely)
        self._looking.clock = self._clock

    def startService(self) -> None:
        super().startService()
        self._looking.start(self._interval).addErrback(lambda failure: self.log.failure("watching", failure))

    def stopService(self) -> None:
        super().stopService()
        if self._looking.running:
            self._looking.stop()

    def _look_safely(self) -> Deferred[None]:
        looking = Deferred.fromCoroutine(self._look())
        return looking.addErrback(
            lambda failure: self.log.failure("looking into {folder}", failure, folder=self._folder)
        )

    async def _look(self) -> None:
        known = {name: file.stamp for name, file in self._files.items() if file.is_settled}
        try:
            seen = await self._torrents.run_in_thread(look_into, self._folder, self._data, known)
        except OSError as error:  # its torrents go on: a network disk may be back soon
            self._complain(f"{self._folder}: {error.strerror}")
            return
        self._trouble = None
        if not self.running:
            return
        for name in self._files.keys() - seen.keys():
            del self._files[name]
        fresh = {name: intake for name, sighting in seen.items() if (intake := self._note(name, sighting)) is not None}
        self._remove_unnamed()
        for turn, (name, intake) in enumerate(fresh.items()):
            if turn:  # hundreds may come at once, and peers must not wait for all of them
                await deferLater(self._clock, 0)
            if self.running:
                self._add(name, intake)

    def _complain(self, trouble: str) -> None:
        if trouble != self._trouble:
            self.log.warn("cannot look for torrents: {trouble}", trouble=trouble)
            self._trouble = trouble

    def _note(self, name: str, sighting: Sighting) -> Intake | None:
        """Remember how a file was seen; give what is in it, if that is news."""
        before = self._files.get(name)
        if sighting.intake is not None:
            self._files[name] = _File(sighting.stamp, sighting.intake.content.info_hash, is_settled=True)
        elif sighting.problem is not None:
            unchanged = before is not None and before.stamp == sighting.stamp
            self._files[name] = _File(sighting.stamp, before.info_hash if before else None, is_settled=unchanged)
            if unchanged:
                self.log.warn("not usable until it changes: {problem}", problem=sighting.problem)
        return sighting.intake

    def _remove_unnamed(self) -> None:
        for info_hash in self._ours - {file.info_hash for file in self._files.values()}:
            self._ours.discard(info_hash)
            if self._torrents.holds(info_hash):
                leaving = self._torrents.remove(info_hash)
                leaving.addErrback(lambda failure: self.log.failure("removing a torrent", failure))

    def _add(self, name: str, intake: Intake) -> None:
        info_hash = intake.content.info_hash
        if self._torrents.is_leaving(info_hash):
            del self._files[name]  # read again at the next look
        elif not self._torrents.holds(info_hash):
            self._torrents.add(intake.content, intake.folder)
            self._ours.add(info_hash)
        elif info_hash not in self._ours:
            self.log.info("{file}: this torrent is here already", file=self._folder / name)
