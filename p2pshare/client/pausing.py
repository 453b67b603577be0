"""Torrents that can be stopped for a while, and hashed anew."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field
from twisted.internet.defer import Deferred, succeed

from p2pshare.client.intake import Intake
from p2pshare.errors import ConfigError, RequestRefused, StorageError
from p2pshare.metainfo import Metainfo
from p2pshare.storage.disk import OS_DISK
from p2pshare.storage.folder import ContentFolder
from p2pshare.storage.ongoing import Ongoing
from p2pshare.storage.state_files import StateFiles
from p2pshare.swarm.snapshot import SwarmSnapshot, take_snapshot
from p2pshare.swarm.swarm import Swarm


class Torrents(Protocol):
    """Where torrents are at work; a Session."""

    @property
    def swarms(self) -> Mapping[bytes, Swarm]:
        """By info hash."""

    def add(self, content: Metainfo, folder: Path) -> Swarm:
        """Take one on. :raise ConfigError: it is here already."""

    def holds(self, info_hash: bytes) -> bool:
        """Whether a torrent is here."""

    def is_leaving(self, info_hash: bytes) -> bool:
        """Whether it was removed, and has not quite stopped."""

    def remove(self, info_hash: bytes) -> Deferred[None]:
        """Stop one and forget it; its files stay."""

    def run_in_thread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Do what may wait for a disk."""


@define(eq=False)
class PausableTorrents:
    """
    The torrents of a session that came through here, those that are paused among them.

    To whoever adds and removes, a paused torrent is here like any other. The session does not know of it, so it holds
    no file, no connection and no thread; its resume data stay on disk.

    :ivar paused: how each of them stood, by info hash.
    """

    _session: Torrents
    _resume: Path | None  # the folder of the session's resume data
    _now: Callable[[], float]  # the clock of the swarms
    paused: dict[bytes, SwarmSnapshot] = field(init=False, factory=dict)
    _intakes: dict[bytes, Intake] = field(init=False, factory=dict)  # of what was added here and is not removed yet
    _pauses: dict[bytes, Ongoing] = field(init=False, factory=dict)  # of paused torrents: whether they still stop

    @property
    def swarms(self) -> Mapping[bytes, Swarm]:
        """Those at work, by info hash."""
        return self._session.swarms

    def add(self, content: Metainfo, folder: Path) -> Swarm:
        """
        Take a torrent on.

        :param folder: where its content is, or goes to.
        :raise ConfigError: it is here already, maybe paused, or has not quite left.
        """
        if content.info_hash in self.paused:
            raise ConfigError(f"{content.name}: torrent {content.info_hash.hex()} is here, and paused")
        swarm = self._session.add(content, folder)
        self._intakes[content.info_hash] = Intake(content, folder)
        return swarm

    def holds(self, info_hash: bytes) -> bool:
        """Whether a torrent is here, at work or paused."""
        return info_hash in self.paused or self._session.holds(info_hash)

    def came_here(self, info_hash: bytes) -> bool:
        """Whether a torrent was added here, and not removed since; others in the session are somebody else's."""
        return info_hash in self._intakes

    def is_leaving(self, info_hash: bytes) -> bool:
        """Whether a torrent was removed and has not quite stopped."""
        return info_hash not in self.paused and self._session.is_leaving(info_hash)

    def remove(self, info_hash: bytes) -> Deferred[None]:
        """Stop one and forget it, or forget one that is paused; its files stay. Fires when it has left."""
        if info_hash in self.paused:
            return self.forget(info_hash)
        self._intakes.pop(info_hash, None)
        return self._session.remove(info_hash)

    def run_in_thread(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """Do what may wait for a disk."""
        return self._session.run_in_thread(function, *args)

    def pause(self, info_hash: bytes) -> Deferred[None]:
        """
        Stop one, and remember where it is; fires when it has stopped.

        :raise RequestRefused: it did not come through here.
        """
        if info_hash not in self._intakes:
            raise RequestRefused("this torrent belongs to somebody else in this process")
        self.paused[info_hash] = take_snapshot(self._session.swarms[info_hash], self._now())
        stopping = self._pauses[info_hash] = Ongoing()
        return stopping.track(self._session.remove(info_hash))

    def resume(self, info_hash: bytes) -> Deferred[None]:
        """Go on with one; what its resume data vouch for is not hashed again."""
        return Deferred.fromCoroutine(self._go_on(info_hash))

    def recheck(self, info_hash: bytes) -> Deferred[None]:
        """
        Hash everything again that is on disk; fires once that has begun.

        :raise RequestRefused: it did not come through here.
        """
        pausing = self.pause(info_hash)
        return Deferred.fromCoroutine(self._check_anew(pausing, info_hash))

    def forget(self, info_hash: bytes) -> Deferred[None]:
        """Drop a paused one; fires when it has stopped."""
        del self.paused[info_hash]
        self._intakes.pop(info_hash, None)
        stopping = self._pauses.pop(info_hash)
        return succeed(None) if stopping.is_over else stopping.over()

    async def _go_on(self, info_hash: bytes) -> None:
        await self._pauses[info_hash].over()
        if info_hash not in self.paused:
            return  # somebody else has resumed or removed it meanwhile
        del self.paused[info_hash], self._pauses[info_hash]
        intake = self._intakes[info_hash]
        self._session.add(intake.content, intake.folder)

    async def _check_anew(self, pausing: Deferred[None], info_hash: bytes) -> None:
        await pausing
        intake = self._intakes.get(info_hash)
        if intake is not None and self._resume is not None:
            try:
                await self._session.run_in_thread(forget_resume_data, self._resume, intake)
            except OSError as error:
                await self._go_on_if_here(info_hash)
                raise StorageError(f"{intake.content.name}: cannot be checked anew: {error.strerror}") from error
        await self._go_on_if_here(info_hash)

    async def _go_on_if_here(self, info_hash: bytes) -> None:
        if info_hash in self.paused:
            await self._go_on(info_hash)


def forget_resume_data(resume: Path, intake: Intake) -> None:
    """
    Let the next start of a torrent hash everything. Blocks.

    :raise StorageError: a process is at work on it.
    :raise OSError: the folder of resume data refuses.
    """
    folder = ContentFolder(intake.folder, disk=OS_DISK).path
    state = StateFiles.open(OS_DISK, resume, intake.content.info_hash, folder)
    try:
        state.lock(None)
        state.forget()
    finally:
        state.close()
