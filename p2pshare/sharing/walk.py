"""What files a shared folder holds: ordinary ones with readable names, below the folder and nowhere else."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from attrs import frozen

DEEPEST = 64  # folders inside each other
MOST = 1_000_000  # files

# What is still being written, or is nobody's business.
_UNFINISHED = (".part", ".partial", ".crdownload", ".download", ".tmp", ".swp", "~")


@frozen
class Stamp:
    """By what a file is taken to be unchanged; all of it is the kernel's, and no clock of ours."""

    size: int
    modified: int  # nanoseconds
    changed: int  # nanoseconds, of its inode: nobody can set it back
    inode: int

    @classmethod
    def of(cls, status: os.stat_result) -> Stamp:
        """Take it from the status of a file."""
        return cls(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


@frozen
class Survey:
    """
    What was seen in one look, by the path below the folder.

    ``folders`` are all that were looked into, "" for the folder itself.
    """

    files: Mapping[str, Stamp]
    problems: Mapping[str, str]  # what could not be taken, and why
    folders: Sequence[str] = ()


def survey(folder: Path) -> Survey:
    """
    Look through a folder and all below it. Blocks.

    Symbolic links are not followed, so nothing outside is ever shared; hidden and unfinished files are left out.

    :raise OSError: the folder itself cannot be read.
    """
    files: dict[str, Stamp] = {}
    problems: dict[str, str] = {}
    folders = [""]
    root = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        for name, status in _below(root, "", 0, problems.__setitem__, folders):
            if len(files) == MOST:
                problems[name] = f"not shared, nor what comes after it: {MOST} files at most"
                break
            files[name] = Stamp.of(status)
    finally:
        os.close(root)
    return Survey(files, problems, folders)


def is_wanted(name: str) -> bool:
    """Whether a file or folder of this name is shared."""
    return not name.startswith(".") and not name.lower().endswith(_UNFINISHED)


def open_below(folder: Path, name: str) -> int:
    """
    Open an ordinary file by its path below a folder, following no symbolic link on the way there.

    :return: a descriptor.
    :raise OSError: it is not there any more, or is something else by now.
    """
    inner = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    *folders, last = name.split("/")
    for part in folders:
        outer = inner
        try:
            inner = _enter(part, outer)
        finally:
            os.close(outer)
    try:
        # A pipe of that name must not hold us.
        descriptor = os.open(last, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=inner)
    finally:
        os.close(inner)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{name} is no ordinary file")
    return descriptor


def _enter(name: str, folder: int) -> int:
    return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)


def _below(
    folder: int, prefix: str, depth: int, complain: Callable[[str, str], object], folders: list[str]
) -> Iterator[tuple[str, os.stat_result]]:
    """Give the files of an open folder, and of those in it."""
    with os.scandir(folder) as entries:
        found = sorted(entries, key=lambda entry: entry.name)
    for entry in found:
        name = f"{prefix}{entry.name}"
        if not is_wanted(entry.name):
            continue
        try:
            entry.name.encode()
        except UnicodeEncodeError:  # bytes of the disk that are no UTF-8: no page, no JSON could name it
            complain(_readable(name), "its name is not UTF-8")
            continue
        try:
            status = entry.stat(follow_symlinks=False)
            if stat.S_ISREG(status.st_mode):
                yield name, status
            elif stat.S_ISDIR(status.st_mode):
                if depth + 1 == DEEPEST:
                    complain(name, f"more than {DEEPEST} folders inside each other")
                    continue
                inner = _enter(entry.name, folder)
                folders.append(name)
                try:
                    yield from _below(inner, f"{name}/", depth + 1, complain, folders)
                finally:
                    os.close(inner)
        except OSError as error:  # gone since, or not for us
            if not isinstance(error, FileNotFoundError):
                complain(name, error.strerror or str(error))


def _readable(name: str) -> str:
    return os.fsencode(name).decode("utf-8", "backslashreplace")
