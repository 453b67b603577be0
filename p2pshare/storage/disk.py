"""The few things storage asks of an operating system: small enough to be simulated, power cuts included."""

from __future__ import annotations

import fcntl
import os
import re
import time
from collections.abc import Sequence
from typing import Protocol as Seam

from attrs import frozen

Path = str | os.PathLike[str]

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
_TELLS_OF_ERRORS = (5, 8)  # Linux, from where syncfs() does
# Where a sync of all reaches the device; of FUSE, for one, it ends in a process that hears nothing of it.
_TRUSTED = frozenset({"ext3", "ext4", "xfs", "f2fs"})


class Disk(Seam):
    """
    Files and folders by descriptor, as POSIX has them; every method raises OSError.

    What was written survives the end of this process at once, but a power cut only after :meth:`fdatasync` (its bytes)
    or :meth:`fsync` (its time too); a name survives only after :meth:`fsync` of the folder it is in.
    """

    def now(self) -> int:
        """Tell the time by the clock that stamps files, in nanoseconds."""

    def open(self, path: Path, flags: int, mode: int = 0o666, *, dir_fd: int | None = None) -> int:
        """Open a file or folder."""

    def close(self, fd: int) -> None:
        """Let go of a descriptor."""

    def lock(self, fd: int) -> bool:
        """Take an open file for this descriptor alone, until it is closed; False when somebody else has it."""

    def stat(self, path: Path, *, dir_fd: int | None = None) -> os.stat_result:
        """Look at a name without following links."""

    def fstat(self, fd: int) -> os.stat_result:
        """Look at an open file."""

    def listdir(self, fd: int) -> list[str]:
        """Name what is in an open folder."""

    def mkdir(self, path: Path, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        """Make a folder."""

    def link(self, old: str, new: str, dir_fd: int) -> None:
        """Give a file a second name, which must be free."""

    def rename(self, old: str, new: str, dir_fd: int) -> None:
        """Give a file another name, over whatever bears it."""

    def unlink(self, name: str, dir_fd: int) -> None:
        """Take a name away."""

    def preadv(self, fd: int, buffers: Sequence[bytearray | memoryview], offset: int, flags: int = 0) -> int:
        """Read some bytes; returns how many."""

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        """Write some bytes; returns how many."""

    def ftruncate(self, fd: int, length: int) -> None:
        """Cut a file, or lengthen it by a hole."""

    def seek(self, fd: int, offset: int, whence: int) -> int:
        """Find data or holes."""

    def fdatasync(self, fd: int) -> None:
        """Make the bytes of a file safe from power cuts. After an error nothing is known of any of them."""

    def fsync(self, fd: int) -> None:
        """Make a file safe with its time, or the names in a folder."""

    def can_sync_all(self, fd: int) -> bool:
        """Tell whether :meth:`sync_all` does what it should, and tells of it when it did not."""

    def sync_all(self, fd: int) -> None:
        """Make all bytes, times and names safe that are on the same filesystem; errors are as for fdatasync."""

    def forget(self, fd: int, offset: int, length: int) -> None:
        """Drop what memory holds of written bytes, so that the next read asks the device."""

    def room(self, fd: int) -> int:
        """Count the bytes that this user may still put on the disk an open file is on."""


@frozen
class OSDisk:
    """The real one."""

    def now(self) -> int:
        return time.time_ns()

    def open(self, path: Path, flags: int, mode: int = 0o666, *, dir_fd: int | None = None) -> int:
        return os.open(path, flags, mode, dir_fd=dir_fd)

    def close(self, fd: int) -> None:
        os.close(fd)

    def lock(self, fd: int) -> bool:
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def stat(self, path: Path, *, dir_fd: int | None = None) -> os.stat_result:
        return os.stat(path, dir_fd=dir_fd, follow_symlinks=False)

    def fstat(self, fd: int) -> os.stat_result:
        return os.fstat(fd)

    def listdir(self, fd: int) -> list[str]:
        return os.listdir(fd)

    def mkdir(self, path: Path, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        os.mkdir(path, mode, dir_fd=dir_fd)

    def link(self, old: str, new: str, dir_fd: int) -> None:
        os.link(old, new, src_dir_fd=dir_fd, dst_dir_fd=dir_fd, follow_symlinks=False)

    def rename(self, old: str, new: str, dir_fd: int) -> None:
        os.rename(old, new, src_dir_fd=dir_fd, dst_dir_fd=dir_fd)

    def unlink(self, name: str, dir_fd: int) -> None:
        os.unlink(name, dir_fd=dir_fd)

    def preadv(self, fd: int, buffers: Sequence[bytearray | memoryview], offset: int, flags: int = 0) -> int:
        return os.preadv(fd, buffers, offset, flags)

    def pwrite(self, fd: int, data: bytes | memoryview, offset: int) -> int:
        return os.pwrite(fd, data, offset)

    def ftruncate(self, fd: int, length: int) -> None:
        os.ftruncate(fd, length)

    def seek(self, fd: int, offset: int, whence: int) -> int:
        return os.lseek(fd, offset, whence)

    def fdatasync(self, fd: int) -> None:
        os.fdatasync(fd)

    def fsync(self, fd: int) -> None:
        os.fsync(fd)

    def can_sync_all(self, fd: int) -> bool:
        release = tuple(int(number) for number in re.findall(r"\d+", os.uname().release)[:2])
        return release >= _TELLS_OF_ERRORS and _kind_of(os.fstat(fd).st_dev) in _TRUSTED

    def sync_all(self, fd: int) -> None:
        import ctypes  # late: few downloads have so many files

        if ctypes.CDLL(None, use_errno=True).syncfs(fd):
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))

    def forget(self, fd: int, offset: int, length: int) -> None:
        os.posix_fadvise(fd, offset, length, os.POSIX_FADV_DONTNEED)

    def room(self, fd: int) -> int:
        volume = os.fstatvfs(fd)
        return volume.f_bavail * volume.f_frsize


OS_DISK = OSDisk()


def _kind_of(device: int) -> str | None:
    """Name the kind of filesystem that bears a device number."""
    wanted = f"{os.major(device)}:{os.minor(device)}"
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as mounts:
            for line in mounts:
                about, _, kind = line.partition(" - ")
                if about.split()[2] == wanted:
                    return kind.split()[0]
    except (OSError, IndexError):
        pass
    return None


def open_folder(disk: Disk, path: Path, mode: int = 0o777) -> int:
    """
    Open a folder, made with all above it if it is not there; what is made is safe from power cuts at once.

    :raise OSError: it cannot be made, or is no folder.
    """
    try:
        return disk.open(path, _FOLDER)
    except FileNotFoundError:
        _make_folder(disk, os.path.abspath(path), mode)
        return disk.open(path, _FOLDER)


def _make_folder(disk: Disk, path: str, mode: int) -> None:
    """Make one folder and those above it; each may be made by somebody else at the same moment."""
    above = os.path.dirname(path)
    try:
        _mkdir(disk, path, mode)
    except FileNotFoundError:
        if above == path:
            raise
        _make_folder(disk, above, mode)
        _mkdir(disk, path, mode)
    try:
        parent = disk.open(above, _FOLDER)
    except PermissionError:  # a folder we may write to and not look into: its owner answers for the name
        return
    try:
        disk.fsync(parent)
    finally:
        disk.close(parent)


def _mkdir(disk: Disk, path: str, mode: int) -> None:
    try:
        disk.mkdir(path, mode)
    except FileExistsError:  # somebody else was faster, and may not have made it safe; or it is no folder: open() tells
        pass
