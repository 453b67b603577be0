"""Positioned reads and writes that move all the bytes, or raise: the kernel may stop anywhere in between."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Sequence

# The kernel's own functions, or fakes in tests.
PositionedWrite = Callable[[int, bytes | memoryview, int], int]
PositionedRead = Callable[[int, Sequence[bytearray | memoryview], int], int]


class ShortRead(Exception):
    """The file ends before the bytes that were asked for."""


def write_exactly(fd: int, view: memoryview, offset: int, *, pwrite: PositionedWrite = os.pwrite) -> None:
    """
    Write the whole view at an offset, however many calls that takes. Python repeats what a signal interrupts.

    :raise OSError: the disk refuses; part of the bytes may have been written.
    """
    written = 0
    while written < len(view):
        count = pwrite(fd, view[written:], offset + written)
        if count == 0:  # POSIX does not say what this means for a file, and looping on it could last for ever
            raise OSError(errno.EIO, "the disk takes no more bytes and gives no reason")
        written += count


def read_exactly(fd: int, view: memoryview, offset: int, *, preadv: PositionedRead = os.preadv) -> None:
    """
    Fill the whole view from an offset, however many calls that takes. Python repeats what a signal interrupts.

    :raise ShortRead: the file ends within.
    :raise OSError: the disk refuses.
    """
    filled = 0
    while filled < len(view):
        count = preadv(fd, [view[filled:]], offset + filled)
        if count == 0:
            raise ShortRead
        filled += count
