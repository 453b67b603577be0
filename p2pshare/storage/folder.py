"""Reaching files below one chosen folder without ever following a symbolic link out of it."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from attrs import field, frozen

from p2pshare.storage.disk import OS_DISK, Disk, open_folder
from p2pshare.storage.layout import Parts

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# O_NONBLOCK: a FIFO that somebody planted must not hold up the thread that opens it; regular files ignore it.
_BELOW = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MOST_KEPT = 8  # folders, each a descriptor, that one thread keeps open
# What link() says where there are no hard links (FAT, some network and user-space filesystems).
_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


class _Kept(threading.local):
    """Folders that this thread keeps open; None: none, each step opens its own."""

    folders: dict[Parts, int] | None = None


@frozen
class ContentFolder:
    """
    A folder chosen by the user, and safe steps below it. Knows no torrent, no pieces.

    The chosen path itself may lead through links, that is the user's business. Below it every component is
    opened relative to the one before and refused if it is a link, so that neither a torrent's path nor a link
    planted during the download leads anywhere else.

    Every OSError raised here carries in ``filename`` the full path of the component at fault.
    """

    path: Path
    disk: Disk = field(kw_only=True, default=OS_DISK)
    _kept: _Kept = field(init=False, factory=_Kept, eq=False, repr=False)

    @contextmanager
    def keeping(self) -> Iterator[None]:
        """
        Keep folders open that are reached meanwhile by this thread, for one job that has many files in few of them.

        Not for longer: who puts another folder in the place of one would not be noticed.
        """
        if self._kept.folders is not None:
            yield
            return
        kept = self._kept.folders = {}
        try:
            yield
        finally:
            self._kept.folders = None
            for fd in kept.values():
                self.disk.close(fd)

    def full(self, parts: Parts) -> str:
        """Spell a path for people and error messages."""
        return os.path.join(self.path, *parts)

    def open(self, parts: Parts, flags: int) -> int:
        """
        Open a regular file; with ``O_CREAT`` its folders are made too.

        :raise OSError: it cannot be opened, is no regular file, or a component is a link or no folder.
        """
        with self._parent(parts, create=bool(flags & os.O_CREAT)) as parent, self._blaming(parts):
            fd = self.disk.open(parts[-1], flags | _BELOW, 0o666, dir_fd=parent)
            if not stat.S_ISREG(self.disk.fstat(fd).st_mode):
                self.disk.close(fd)
                raise OSError(errno.EINVAL, "not a regular file; move it away or choose another folder")
        return fd

    def device(self) -> int:
        """
        Tell the disk that the folder is on.

        :raise OSError: it is not there.
        """
        with self._parent(("",), create=False) as fd:
            return self.disk.fstat(fd).st_dev

    def look(self, parent: Parts, names: Iterable[str]) -> dict[str, os.stat_result]:
        """
        Look, without following links, which of the names exist in one folder and what they are.

        :raise OSError: the folder is there but cannot be looked into, or a component is a link or no folder.
        """
        found = {}
        try:
            with self._parent((*parent, ""), create=False) as fd:
                for name in names:
                    with self._blaming((*parent, name)):
                        try:
                            found[name] = self.disk.stat(name, dir_fd=fd)
                        except FileNotFoundError:
                            continue
        except FileNotFoundError:
            return {}
        return found

    def rename(self, old: Parts, new: Parts) -> None:
        """
        Give a file another name in the same folder, never that of an existing file.

        A crash in between leaves both names on one file, or an empty file under the new name where the
        filesystem knows no hard links; nothing is lost either way.

        :raise FileExistsError: the new name is taken.
        :raise OSError: the filesystem refuses.
        """
        with self._parent(new, create=False) as parent:
            try:
                self._move(parent, old[-1], new[-1])
            except OSError as error:
                error.filename = self.full(new if isinstance(error, FileExistsError) else old)
                error.filename2 = None
                raise

    def link(self, old: Parts, new: Parts) -> bool:
        """
        Give a file a second name in the same folder, never that of another file.

        :return: False when it has only the new name now, as the filesystem knows no hard links.
        :raise FileExistsError: the new name is taken.
        :raise OSError: the filesystem refuses.
        """
        with self._parent(new, create=False) as parent, self._blaming(new):
            try:
                return self._link(parent, old[-1], new[-1])
            except FileExistsError:
                if os.path.samestat(*(self.disk.stat(parts[-1], dir_fd=parent) for parts in (old, new))):
                    return True  # it was given that name before
                raise

    def sync(self, folders: Iterable[Parts]) -> None:
        """
        Make the names in some folders safe from power cuts, and those of the folders themselves.

        :raise OSError: the disk refuses.
        """
        all_above = {parts[:depth] for parts in folders for depth in range(len(parts) + 1)}
        for parts in sorted(all_above):
            with self._parent((*parts, ""), create=False) as fd, self._blaming(parts):
                self.disk.fsync(fd)

    def remove(self, parts: Parts) -> None:
        """
        Take a name away.

        :raise OSError: the filesystem refuses.
        """
        with self._parent(parts, create=False) as parent, self._blaming(parts):
            self.disk.unlink(parts[-1], parent)

    def _move(self, parent: int, old: str, new: str) -> None:
        if self._link(parent, old, new):
            self.disk.unlink(old, parent)

    def _link(self, parent: int, old: str, new: str) -> bool:
        try:
            self.disk.link(old, new, parent)
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            # Claim the name, which fails if it exists, then move over the empty file that is ours.
            self.disk.close(self.disk.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _BELOW, dir_fd=parent))
            self.disk.rename(old, new, parent)
            return False
        return True

    @contextmanager
    def _parent(self, parts: Parts, *, create: bool) -> Iterator[int]:
        """Hold the folder of a file open, reached step by step."""
        kept = self._kept.folders
        if kept is not None and (known := kept.get(parts[:-1])) is not None:
            yield known
            return
        with self._blaming(()):
            fd = open_folder(self.disk, self.path) if create else self.disk.open(self.path, _FOLDER)
        is_reached = False
        try:
            for depth in range(1, len(parts)):
                with self._blaming(parts[:depth]):
                    below = self._enter(fd, parts[depth - 1], create=create)
                self.disk.close(fd)
                fd = below
            is_reached = True
            yield fd
        finally:
            if not is_reached or kept is None:
                self.disk.close(fd)
            else:
                kept[parts[:-1]] = fd
                if len(kept) > _MOST_KEPT:  # files come folder by folder: the oldest is the one to miss least
                    self.disk.close(kept.pop(next(iter(kept))))

    @contextmanager
    def _blaming(self, parts: Parts) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            error.filename, error.filename2 = self.full(parts), None
            raise

    def _enter(self, parent: int, name: str, *, create: bool) -> int:
        try:
            return self.disk.open(name, _FOLDER | _BELOW, dir_fd=parent)
        except FileNotFoundError:
            if not create:
                raise
        except NotADirectoryError:  # what Linux says of a link too, when only folders are welcome
            if stat.S_ISLNK(self.disk.stat(name, dir_fd=parent).st_mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP)) from None
            raise
        try:
            self.disk.mkdir(name, dir_fd=parent)
        except FileExistsError:  # another thread made it first, or it is not what it should be: the next open tells
            pass
        return self.disk.open(name, _FOLDER | _BELOW, dir_fd=parent)
