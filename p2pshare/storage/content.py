"""Where the content of a torrent lies on disk, and how its files are opened for reading."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from types import TracebackType

from attrs import define, evolve, field

from p2pshare.errors import StorageError
from p2pshare.metainfo import Metainfo

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK  # not to wait at a pipe that took a file's place
_ABSENT = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENXIO})  # links and sockets count as no file
_SMALL = 256 * 1024  # bytes; in larger files, reading from the beginning makes the system read ahead
_LOOKED_AT = 1000  # files: enough to tell a content's folder from the one around it


def locate_content(metainfo: Metainfo, path: str | os.PathLike[str]) -> Path:
    """
    Find the file or folder that is the torrent's content: ``path`` itself, or what bears the torrent's name in it.

    Content that was renamed is found when ``path`` names it directly. If both could be meant, the one with more of
    the torrent's files is.

    :return: an absolute path.
    :raise StorageError: neither is there, or only a file where a folder should be, or the other way round.
    """
    given = Path(os.path.abspath(path))
    inside = [given / name for name in dict.fromkeys((metainfo.name, *_plain((metainfo.raw_name,))))]
    if metainfo.is_single:
        for place in (given, *inside):
            if place.is_file():
                return place
        raise StorageError(f"{given}: neither the file {metainfo.name!r} nor a folder that holds it")
    folders = [place for place in (*inside, given) if place.is_dir()]
    present = [_count_present(metainfo, folder) for folder in folders]
    if not any(present) and folders in ([], [given]):
        raise StorageError(f"{given}: neither the folder {metainfo.name!r} nor one that holds it")
    return folders[present.index(max(present))]


def found_at(metainfo: Metainfo, root: Path) -> Metainfo:
    """
    Give the torrent and its files the names they have on disk, where those are not the safe ones.

    Content may have been renamed. And ``aux.c`` would be created as ``aux_.c``, but who shares a folder with an
    ``aux.c`` must find it. Files that have their safe name, or are not there, stay as they are; no file is named twice.

    :param root: the content itself, as :func:`locate_content` returns it.
    """
    if metainfo.is_single:
        return evolve(metainfo, name=root.name, files=(evolve(metainfo.files[0], path=(root.name,)),))
    files = list(metainfo.files)
    if any(_plain(entry.raw_path) not in ((), entry.path) for entry in files):
        with Content(metainfo, root) as content:
            found = [content.status(index) for index in range(len(files))]
            used = {(status.st_dev, status.st_ino) for status in found if status is not None}
            for index, entry in enumerate(files):
                path = _plain(entry.raw_path)
                if path and not entry.pad and found[index] is None and (status := content.status_of(path)) is not None:
                    if (status.st_dev, status.st_ino) in used:  # a disk to which "A" and "a" are one file
                        continue
                    used.add((status.st_dev, status.st_ino))
                    files[index] = evolve(entry, path=path)
    return evolve(metainfo, name=root.name, files=tuple(files))


@define(eq=False)
class Content:
    """
    The files of one torrent at ``root``, for reading only. May be used from several threads.

    ``root`` itself may be reached through symbolic links, nothing below it: a link planted there would make us read,
    and serve, a file the user never shared.
    """

    _metainfo: Metainfo
    _root: Path
    _folder: int = field(init=False)  # descriptor of the folder that paths start from
    _entered: dict[int, tuple[tuple[str, ...], int]] = field(init=False, factory=dict)  # by thread: path, descriptor

    def __attrs_post_init__(self) -> None:
        try:
            self._root = self._root.resolve(strict=True)
            self._folder = os.open(self._root.parent if self._metainfo.is_single else self._root, _FOLDER)
        except OSError as error:
            raise StorageError(f"{self._root}: {error.strerror}") from error

    def __enter__(self) -> Content:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Let go of all folders; no thread may be in here, and nothing can be opened afterwards."""
        for _, folder in self._entered.values():
            os.close(folder)
        os.close(self._folder)

    def open(self, file: int) -> int | None:
        """
        Open a file of the torrent; the caller closes it.

        The disk is told to fetch small files at once: who opens some before reading the first does not wait for each.

        :return: None when it is not there, or there is a folder, link or device in its place.
        :raise OSError: it is there and cannot be opened.
        """
        path = self._path(file)
        try:
            descriptor = os.open(path[-1], _FILE, dir_fd=self._enter(path[:-1]))
        except OSError as error:
            if error.errno in _ABSENT:
                return None
            raise
        status = os.fstat(descriptor)
        if stat.S_ISREG(status.st_mode):
            if status.st_size <= _SMALL:
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_WILLNEED)
            return descriptor
        os.close(descriptor)
        return None

    def status(self, file: int) -> os.stat_result | None:
        """Look at a file of the torrent; None when it is not there or out of reach."""
        return self.status_of(self._path(file))

    def status_of(self, path: tuple[str, ...]) -> os.stat_result | None:
        """Look at any regular file below the root; None when it is not there or out of reach."""
        try:
            status = os.stat(path[-1], dir_fd=self._enter(path[:-1]), follow_symlinks=False)
        except OSError:
            return None
        return status if stat.S_ISREG(status.st_mode) else None

    def _path(self, file: int) -> tuple[str, ...]:
        return (self._root.name,) if self._metainfo.is_single else self._metainfo.files[file].path

    def _enter(self, path: tuple[str, ...]) -> int:
        """
        Open a folder below the root, one component after the other, so that no link on the way is followed.

        Each thread keeps the folder it was in last: the next file is mostly there too.
        """
        if not path:
            return self._folder
        thread = threading.get_ident()
        last = self._entered.get(thread)
        if last is not None and last[0] == path:
            return last[1]
        folder = os.dup(self._folder)
        for component in path:
            above = folder
            try:
                folder = os.open(component, _FOLDER | os.O_NOFOLLOW, dir_fd=above)
            finally:
                os.close(above)
        self._entered[thread] = (path, folder)
        if last is not None:
            os.close(last[1])
        return folder


def _count_present(metainfo: Metainfo, folder: Path) -> int:
    with Content(metainfo, folder) as content:
        return sum(
            content.status(index) is not None or content.status_of(_plain(entry.raw_path) or entry.path) is not None
            for index, entry in islice(enumerate(metainfo.files), _LOOKED_AT)
            if not entry.pad
        )


def _plain(raw: Sequence[bytes]) -> tuple[str, ...]:
    """Read a path as the torrent spells it; nothing when a component is no UTF-8 or would lead elsewhere."""
    if any(part in (b"", b".", b"..") or b"/" in part or b"\0" in part for part in raw):
        return ()
    try:
        return tuple(part.decode("utf-8") for part in raw)
    except UnicodeDecodeError:
        return ()
