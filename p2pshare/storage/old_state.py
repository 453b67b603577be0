"""Clearing away the resume data of contents that nobody has asked for in a long time."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

from p2pshare.errors import StorageError
from p2pshare.storage.disk import OS_DISK, Disk
from p2pshare.storage.exact import ShortRead
from p2pshare.storage.layout import PART
from p2pshare.storage.mounts import is_mounted
from p2pshare.storage.snapshot import Whereabouts, read_whereabouts
from p2pshare.storage.state_files import LOCK, SNAPSHOT, WRITER, StateFiles

OLD = 90 * 86400.0  # s since a torrent was last started or stopped
_OURS = re.compile(rf"[0-9a-f]{{40}}-[0-9a-f]{{16}}\.{SNAPSHOT}")
_MOST = 1000  # torrents that one sweep looks at: the next goes on


def sweep_state(folder: Path, *, disk: Disk = OS_DISK, older_than: float = OLD) -> int:
    """
    Remove what was kept of torrents that were not used for long, and that are complete or gone. Blocks its thread.

    Without it a complete content is hashed at its next start. What belongs to an unfinished one stays as long as any
    of that is there, or the disk that it was on is not mounted; and whatever a process uses just now stays.

    :return: the number of torrents that were cleared away.
    :raise OSError: the folder cannot be read.
    """
    try:
        fd = disk.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        return 0
    try:
        latest = disk.now() - int(older_than * 10**9)
        names = disk.listdir(fd)
        old = [name for name in names if _OURS.fullmatch(name) and _is_older(disk, fd, name, latest)]
        writers = [name for name in names if name.endswith(WRITER) and _is_older(disk, fd, name, latest)]
    finally:
        disk.close(fd)
    for name in writers[:_MOST]:
        _drop_lock(disk, folder, name)
    return sum(_sweep(disk, folder, name.removesuffix(SNAPSHOT)) for name in old[:_MOST])


def _is_older(disk: Disk, folder: int, name: str, latest: int) -> bool:
    try:
        return disk.stat(name, dir_fd=folder).st_mtime_ns < latest
    except OSError:  # gone meanwhile
        return False


def _sweep(disk: Disk, folder: Path, stem: str) -> bool:
    """Clear one torrent away if that is right; nobody can begin to use it meanwhile."""
    try:
        state = StateFiles.at(disk, folder, stem)
    except OSError:
        return False
    try:
        state.lock(None)
        found = read_whereabouts(state.read(SNAPSHOT) or b"", bytes.fromhex(stem[:40]))
        if found is not None and not (found.complete or _is_gone(disk, found)):
            return False
        state.forget()
        state.sweep(sys.maxsize)
        state.remove(LOCK)
        return True
    except (OSError, StorageError, ValueError):  # in use, or not ours after all
        return False
    finally:
        state.close()


def _is_gone(disk: Disk, found: Whereabouts) -> bool:
    """Whether nothing is left of a content, on a disk that is there."""
    if not found.target or not is_mounted(found.mount):
        return False
    for path in (found.target, found.target + PART):
        try:
            disk.stat(path)
        except (FileNotFoundError, NotADirectoryError):
            continue
        return False
    return True


def _drop_lock(disk: Disk, folder: Path, name: str) -> None:
    """Remove the lock of a place that nobody writes to."""
    state = StateFiles.at(disk, folder, "")
    try:
        if state.take(name) is None:
            state.remove(name)
    except (OSError, ShortRead):
        pass
    finally:
        state.close()
