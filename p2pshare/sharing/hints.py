"""Hints of the kernel that a folder has changed (inotify), so that nobody has to wait for the next round."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field
from twisted.internet.inotify import (
    IN_ATTRIB,
    IN_CLOSE_WRITE,
    IN_CREATE,
    IN_DELETE,
    IN_DELETE_SELF,
    IN_IGNORED,
    IN_ISDIR,
    IN_MOVED_FROM,
    IN_MOVED_TO,
    INotify,
    INotifyError,
)
from twisted.logger import Logger
from twisted.python.filepath import FilePath

# Attributes count, too: whoever changes them makes a file another one to those who hand it out.
_MASK = IN_ATTRIB | IN_CLOSE_WRITE | IN_CREATE | IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO


@define(eq=False)
class Hints:
    """
    Watches a folder and those below it, as it is told of them, and pokes whoever looks.

    When a folder goes, Twisted ends the watch of all; then it begins anew. Where there are more folders than the kernel
    lets us watch, the rounds have to do.
    """

    _folder: Path
    _poke: Callable[[], object]
    _make: Callable[[], Any] = INotify
    _inotify: Any = field(init=False, default=None)
    _watched: set[str] = field(init=False, factory=set)  # by path below the folder
    _is_stale: bool = field(init=False, default=False)  # a watched folder is gone, and with it all watches
    log = Logger()

    def start(self) -> None:
        """Begin; nothing is watched before :meth:`cover`."""
        try:
            self._inotify = self._make()
            self._inotify.startReading()
        except (INotifyError, OSError) as error:
            self._give_up(error)

    def stop(self) -> None:
        """Watch nothing any more."""
        inotify, self._inotify = self._inotify, None
        self._watched.clear()
        self._is_stale = False
        if inotify is not None:
            inotify.loseConnection()

    def cover(self, folders: Sequence[str]) -> None:
        """Watch exactly these."""
        if self._inotify is not None and (self._is_stale or not self._watched.issubset(folders)):
            self.stop()
            self.start()
            self._poke()  # about what happened since that look, which nobody watched
        for name in folders:
            if self._inotify is not None and name not in self._watched:
                self._watch(name)

    def _watch(self, name: str) -> None:
        path = self._folder / name
        try:
            self._inotify.watch(FilePath(str(path)), _MASK, callbacks=[self._heard])
        except (INotifyError, OSError) as error:
            if path.is_dir():
                self._give_up(error)
        else:
            self._watched.add(name)

    def _heard(self, _: object, path: FilePath[str], mask: int) -> None:
        if mask & (IN_DELETE_SELF | IN_IGNORED):
            self._is_stale = True
        # A file that is made is closed one day, too.
        if not mask & IN_CREATE or mask & IN_ISDIR or _is_written(path):
            self._poke()

    def _give_up(self, error: Exception) -> None:
        self.log.warn("changes in {folder} are seen in rounds only: {reason}", folder=self._folder, reason=str(error))
        self.stop()


def _is_written(path: FilePath[str]) -> bool:
    """Whether a file that appeared has a content already: a hard link has, and nobody ever closes it."""
    try:
        status = os.lstat(path.path)
    except OSError:
        return False
    return stat.S_ISREG(status.st_mode) and (status.st_size > 0 or status.st_nlink > 1)
