"""A disk in memory whose power can be cut at any moment, and which then keeps no more than POSIX promises."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from random import Random
from typing import Any

from attrs import define, field

from tests.storage.sim_files import PAGE, SimFile, SimFolder, put, resize

TICK = 10**6  # nanoseconds from one call to the next


class PowerCut(BaseException):
    """Nothing happens any more; the disk is as :meth:`SimDisk.after_the_cut` says."""


@define(eq=False)
class SimDisk:
    """
    A Disk of its own. ``cut_at`` calls from now the power goes; ``deaf`` names calls that it only pretends to heed.

    Failing calls: put ``(name of the call, error number)`` into ``refusals``, and the next such call fails so.
    """

    random: Random
    root: SimFolder = field(factory=lambda: SimFolder(1))
    clock: int = 10**18
    cut_at: int | None = None
    deaf: frozenset[str] = frozenset()
    refusals: list[tuple[str, int]] = field(factory=list)
    calls: int = 0
    is_dead: bool = False
    _inodes: int = 1
    _open: dict[int, SimFile | SimFolder] = field(init=False, factory=dict)
    _next_fd: int = field(init=False, default=1000)

    def after_the_cut(self) -> SimDisk:
        """What is found when the power is back, which may be one of many things."""
        root = self.root.survive(self.random, {})
        return SimDisk(self.random, root, self.clock + 10**9, inodes=self._inodes, deaf=self.deaf)

    def after_a_kill(self) -> SimDisk:
        """What is found when only the process ended: everything."""
        return SimDisk(self.random, self.root, self.clock + 10**9, inodes=self._inodes, deaf=self.deaf)

    def folder(self, *names: str) -> SimFolder:
        """Make a folder that is safe already."""
        at = self.root
        for name in names:
            if name not in at.names:
                at.names[name] = at.kept[name] = SimFolder(self._inode())
            at = at.names[name]
        return at

    # What a Disk can do

    def now(self) -> int:
        return self.clock

    def open(self, path: Any, flags: int, mode: int = 0o666, *, dir_fd: int | None = None) -> int:
        folder, name = self._place("open", path, dir_fd)
        node = folder.names.get(name) if name else folder
        if node is None:
            if not flags & os.O_CREAT:
                raise _error(errno.ENOENT, path)
            made = node = SimFile(self._inode(), self.clock, kept_mtime=self.clock)
            folder.change(lambda names: names.__setitem__(name, made))
        elif flags & os.O_EXCL:
            raise _error(errno.EEXIST, path)
        if isinstance(node, SimFile) == bool(flags & os.O_DIRECTORY):
            raise _error(errno.ENOTDIR if isinstance(node, SimFile) else errno.EISDIR, path)
        if isinstance(node, SimFile) and flags & os.O_TRUNC:
            self._resize(node, 0)
        self._next_fd += 1
        self._open[self._next_fd] = node
        return self._next_fd

    def close(self, fd: int) -> None:
        if not self.is_dead:
            del self._open[fd]

    def lock(self, fd: int) -> bool:
        return True

    def stat(self, path: Any, *, dir_fd: int | None = None) -> os.stat_result:
        folder, name = self._place("stat", path, dir_fd)
        if name and name not in folder.names:
            raise _error(errno.ENOENT, path)
        return _status(folder.names[name] if name else folder)

    def fstat(self, fd: int) -> os.stat_result:
        return _status(self._node("fstat", fd))

    def listdir(self, fd: int) -> list[str]:
        return sorted(self._folder_of("listdir", fd).names)

    def mkdir(self, path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
        folder, name = self._place("mkdir", path, dir_fd)
        if name in folder.names:
            raise _error(errno.EEXIST, path)
        made = SimFolder(self._inode())
        folder.change(lambda names: names.__setitem__(name, made))

    def link(self, old: str, new: str, dir_fd: int) -> None:
        folder = self._folder_of("link", dir_fd)
        node = self._named(folder, old)
        if new in folder.names:
            raise _error(errno.EEXIST, new)
        folder.change(lambda names: names.__setitem__(new, node))

    def rename(self, old: str, new: str, dir_fd: int) -> None:
        folder = self._folder_of("rename", dir_fd)
        node = self._named(folder, old)

        def change(names: dict[str, Any]) -> None:
            names.pop(old, None)
            names[new] = node

        folder.change(change)

    def unlink(self, name: str, dir_fd: int) -> None:
        folder = self._folder_of("unlink", dir_fd)
        self._named(folder, name)
        folder.change(lambda names: names.pop(name, None) and None)

    def preadv(self, fd: int, buffers: Sequence[Any], offset: int, flags: int = 0) -> int:
        file = self._file_of("preadv", fd)
        wanted = sum(map(len, buffers))
        found = bytes(file.content[offset : offset + wanted])
        file.bytes_read += len(found)
        rest = found
        for buffer in buffers:
            part = rest[: len(buffer)]
            buffer[: len(part)] = part
            rest = rest[len(buffer) :]
        return len(found)

    def pwrite(self, fd: int, data: Any, offset: int) -> int:
        file = self._file_of("pwrite", fd)
        taken = bytes(data)
        put(file.content, offset, taken)
        file.written.update(range(offset // PAGE, (offset + len(taken) - 1) // PAGE + 1))
        file.unsynced.append((offset, taken))
        self._stamp(file)
        return len(taken)

    def ftruncate(self, fd: int, length: int) -> None:
        self._resize(self._file_of("ftruncate", fd), length)

    def seek(self, fd: int, offset: int, whence: int) -> int:
        file = self._file_of("seek", fd)
        wanted = whence == os.SEEK_DATA
        at = offset
        while at < len(file.content):
            if (at // PAGE in file.written) == wanted:
                return at
            at = (at // PAGE + 1) * PAGE
        if wanted:
            raise _error(errno.ENXIO, "")
        return len(file.content)

    def fdatasync(self, fd: int) -> None:
        file = self._file_of("fdatasync", fd)
        if "fdatasync" not in self.deaf:
            self._keep(file)

    def fsync(self, fd: int) -> None:
        node = self._node("fsync", fd)
        if isinstance(node, SimFolder):
            if "fsync folder" not in self.deaf:
                for change in node.unsynced:
                    change(node.kept)
                node.unsynced.clear()
        elif "fsync" not in self.deaf:
            self._keep(node)
            node.kept_mtime = node.mtime
            node.mtimes.clear()

    def can_sync_all(self, fd: int) -> bool:
        return True

    def sync_all(self, fd: int) -> None:
        try:
            self._node("sync_all", fd)
        except OSError:  # told once, marked clean, gone
            for node in _all_below(self.root):
                if isinstance(node, SimFile):
                    node.doomed += node.unsynced
                    node.unsynced.clear()
            raise
        for node in _all_below(self.root):
            if isinstance(node, SimFolder):
                for change in node.unsynced:
                    change(node.kept)
                node.unsynced.clear()
            else:
                self._keep(node)
                node.kept_mtime = node.mtime
                node.mtimes.clear()

    def forget(self, fd: int, offset: int, length: int) -> None:
        file = self._file_of("forget", fd)
        if file.doomed:  # what the system believed to be written is read from the platter again
            found = bytearray(file.kept)
            for change in file.unsynced:
                self._apply(found, change)
            put(file.content, offset, bytes(found[offset : offset + length].ljust(length, b"\0")))

    def room(self, fd: int) -> int:
        return 1 << 40

    # How it is done

    def _call(self, name: str) -> None:
        if self.is_dead:
            raise PowerCut
        self.calls += 1
        self.clock += TICK
        if self.cut_at is not None and self.calls >= self.cut_at:
            self.is_dead = True
            raise PowerCut
        for refusal in self.refusals:
            if refusal[0] == name:
                self.refusals.remove(refusal)
                raise _error(refusal[1], name)

    def _keep(self, file: SimFile) -> None:
        for change in file.unsynced:
            self._apply(file.kept, change)
        file.unsynced.clear()

    @staticmethod
    def _apply(content: bytearray, change: tuple[int, bytes] | int) -> None:
        if isinstance(change, int):
            resize(content, change)
        else:
            put(content, *change)

    def _resize(self, file: SimFile, length: int) -> None:
        resize(file.content, length)
        file.unsynced.append(length)
        self._stamp(file)

    def _stamp(self, file: SimFile) -> None:
        file.mtime = self.clock
        file.mtimes.append(self.clock)

    def _inode(self) -> int:
        self._inodes += 1
        return self._inodes

    def _node(self, call: str, fd: int) -> SimFile | SimFolder:
        node = self._open[fd]
        try:
            self._call(call)
        except OSError:
            if call == "fdatasync" and isinstance(node, SimFile):  # as Linux does: told once, marked clean, gone
                node.doomed += node.unsynced
                node.unsynced.clear()
            raise
        return node

    def _file_of(self, call: str, fd: int) -> SimFile:
        node = self._node(call, fd)
        assert isinstance(node, SimFile)
        return node

    def _folder_of(self, call: str, fd: int) -> SimFolder:
        node = self._node(call, fd)
        assert isinstance(node, SimFolder)
        return node

    def _named(self, folder: SimFolder, name: str) -> Any:
        if name not in folder.names:
            raise _error(errno.ENOENT, name)
        return folder.names[name]

    def _place(self, call: str, path: Any, dir_fd: int | None) -> tuple[SimFolder, str]:
        """Follow a path to the folder of its last component; an empty one means the folder itself."""
        self._call(call)
        folder = self.root
        if dir_fd is not None:
            start = self._open[dir_fd]
            assert isinstance(start, SimFolder)
            folder = start
        *above, name = [part for part in str(path).split("/") if part] or [""]
        for part in above:
            below = self._named(folder, part)
            if not isinstance(below, SimFolder):
                raise _error(errno.ENOTDIR, path)
            folder = below
        return folder, name


def _all_below(folder: SimFolder) -> list[SimFile | SimFolder]:
    found: list[SimFile | SimFolder] = [folder]
    for node in folder.names.values():
        found += _all_below(node) if isinstance(node, SimFolder) else [node]
    return found


def _status(node: SimFile | SimFolder) -> os.stat_result:
    if isinstance(node, SimFolder):
        return os.stat_result((stat.S_IFDIR | 0o755, node.inode, 1, 1, 0, 0, 0, 0, 0, 0), {"st_mtime_ns": 0})
    kind, seconds = stat.S_IFREG | 0o644, node.mtime // 10**9
    numbers = (kind, node.inode, 1, 1, 0, 0, len(node.content), seconds, seconds, seconds)
    return os.stat_result(numbers, {"st_mtime_ns": node.mtime})


def _error(number: int, what: Any) -> OSError:
    return OSError(number, os.strerror(number), str(what))
