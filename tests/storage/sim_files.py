"""What a simulated disk holds: files and folders, each as memory has it and as the platter has it."""

from __future__ import annotations

from collections.abc import Callable
from random import Random
from typing import Any

from attrs import define, field

SECTOR = 512  # what a disk writes whole
PAGE = 4096  # what a system hands to it at once


@define(eq=False)
class SimFile:
    """Bytes in memory, the bytes on the platter, and the writes in between."""

    inode: int
    mtime: int
    content: bytearray = field(factory=bytearray)
    written: set[int] = field(factory=set)  # pages that are no holes
    kept: bytearray = field(factory=bytearray)
    kept_mtime: int = 0
    unsynced: list[tuple[int, bytes] | int] = field(factory=list)  # offset and bytes, or a new length
    doomed: list[tuple[int, bytes] | int] = field(factory=list)  # the disk failed to take them, the system forgot them
    mtimes: list[int] = field(factory=list)  # since the last sync
    bytes_read: int = 0

    def survive(self, random: Random) -> SimFile:
        """What is there after a power cut: any of the unsynced writes, in any order, torn at sectors or pages."""
        content = bytearray(self.kept)
        for change in random.sample(self.unsynced, random.randint(0, len(self.unsynced))):
            if isinstance(change, int):
                resize(content, change)
            else:
                tear(content, *change, random)
        mtime = random.choice([self.kept_mtime, *self.mtimes])
        return SimFile(self.inode, mtime, content, set(self.written), bytearray(content), mtime)


@define(eq=False)
class SimFolder:
    """Names in memory, the names on the platter, and the changes in between."""

    inode: int
    names: dict[str, SimFile | SimFolder] = field(factory=dict)
    kept: dict[str, SimFile | SimFolder] = field(factory=dict)
    unsynced: list[Callable[[dict[str, Any]], None]] = field(factory=list)

    def change(self, change: Callable[[dict[str, Any]], None]) -> None:
        """Do it in memory, and on the platter when that is asked for."""
        change(self.names)
        self.unsynced.append(change)

    def survive(self, random: Random, done: dict[int, Any]) -> SimFolder:
        """What is there after a power cut: any of the unsynced changes, in order, each whole or not at all."""
        after = done[self.inode] = SimFolder(self.inode)
        names = dict(self.kept)
        for change in self.unsynced:
            if random.random() < 0.5:
                change(names)
        for name, node in names.items():
            if node.inode not in done:
                done[node.inode] = node.survive(random, done) if isinstance(node, SimFolder) else node.survive(random)
            after.names[name] = after.kept[name] = done[node.inode]
        return after


def put(content: bytearray, offset: int, data: bytes) -> None:
    """Write into bytes, lengthening them."""
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def resize(content: bytearray, length: int) -> None:
    """Cut bytes, or lengthen them by zeros."""
    del content[length:]
    content.extend(bytes(length - len(content)))


def tear(content: bytearray, offset: int, data: bytes, random: Random) -> None:
    """Write only some of the sectors, or pages, that a run of bytes lies in."""
    unit = random.choice((SECTOR, PAGE))
    chance = random.choice((0.5, 1.0))
    at = 0
    while at < len(data):
        end = min(len(data), (offset + at) // unit * unit + unit - offset)
        if random.random() < chance:
            put(content, offset + at, data[at:end])
        at = end
