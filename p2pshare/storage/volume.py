"""The filesystem that files are on, made safe as a whole: for many small files far cheaper than one by one."""

from __future__ import annotations

import os

from attrs import define, field

from p2pshare.storage.disk import Disk, Path

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


@define(eq=False)
class Volume:
    """
    Syncs a whole filesystem, where that can be relied on. One thread at a time.

    It keeps a descriptor open from one time to the next: of writes that failed behind somebody's back, the kernel is
    sure to tell only those that came after it was opened. So the first time nothing is done.
    """

    _disk: Disk
    _path: Path
    _fd: int | None = field(init=False, default=None)
    _device: int | None = field(init=False, default=None)  # None: not to be relied on

    def sync(self) -> int | None:
        """
        Make all bytes, times and names safe that were there before this call.

        :return: the device that this is true for; None: nothing was done.
        :raise OSError: something was not written, and nothing is known of any of it.
        """
        if self._fd is None:
            self._fd = self._disk.open(self._path, _FOLDER)
            self._device = self._disk.fstat(self._fd).st_dev if self._disk.can_sync_all(self._fd) else None
            return None
        if self._device is not None:
            self._disk.sync_all(self._fd)
        return self._device

    def close(self) -> None:
        """Let go of it."""
        if self._fd is not None:
            self._disk.close(self._fd)
            self._fd = self._device = None
