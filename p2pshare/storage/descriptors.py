"""Files kept open between uses, so that serving a block costs no open() and a torrent of 10,000 files no ulimit."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

from attrs import define, field

from p2pshare.storage.disk import OS_DISK, Disk


@define(eq=False)
class Descriptor:
    """One open file. ``fd`` stays valid for whoever borrowed it until it is given back."""

    fd: int
    writable: bool
    borrowers: int = field(init=False, default=0)
    retired: bool = field(init=False, default=False)  # closed by the last borrower


@define(eq=False)
class Descriptors:
    """
    The open files of one torrent, by their index; the one not used for longest is closed first.

    Every method may be called from any thread. Those that never wait for a disk say so: they are for the reactor.
    """

    _opener: Callable[[int, bool], int]  # (file, writable) -> fd; called by one thread at a time
    _limit: int = field(kw_only=True, default=100)
    _disk: Disk = field(kw_only=True, default=OS_DISK)
    _open: OrderedDict[int, Descriptor] = field(init=False, factory=OrderedDict)  # least recently used first
    _lock: Lock = field(init=False, factory=Lock)  # held for a moment only, never over a system call
    _naming: Lock = field(init=False, factory=Lock)  # held while a file is opened or gets another name

    @contextmanager
    def borrowed(self, file: int, *, writable: bool = False) -> Iterator[int]:
        """
        Lend the fd of a file, opening it if need be.

        :raise OSError: it cannot be opened.
        """
        descriptor = self._borrow(file, writable) or self._open_and_borrow(file, writable)
        try:
            yield descriptor.fd
        finally:
            self.give_back(descriptor)

    def apart(self, file: int) -> int:
        """
        Open a file for reading outside of the table; the caller closes it.

        :raise OSError: it cannot be opened.
        """
        with self._naming:
            return self._opener(file, False)

    def borrow_open(self, file: int) -> Descriptor | None:
        """Lend a file for reading if it is open already; never waits. :meth:`give_back` must follow."""
        return self._borrow(file, False)

    def give_back(self, descriptor: Descriptor) -> None:
        """End a loan; waits for nothing unless the file was dropped meanwhile."""
        with self._lock:
            descriptor.borrowers -= 1
            closing = descriptor.retired and not descriptor.borrowers
        if closing:
            self._disk.close(descriptor.fd)

    @contextmanager
    def renaming(self, file: int) -> Iterator[None]:
        """Close a file and let nobody open one until its name is changed; borrowers keep what they hold."""
        with self._naming:
            with self._lock:
                gone = self._retire(self._open.pop(file, None))
            self._close(gone)
            yield

    def close(self) -> None:
        """Close every file, those on loan when they come back."""
        with self._lock:
            gone = [fd for descriptor in self._open.values() for fd in self._retire(descriptor)]
            self._open.clear()
        self._close(gone)

    def _borrow(self, file: int, writable: bool) -> Descriptor | None:
        with self._lock:
            descriptor = self._open.get(file)
            if descriptor is None or (writable and not descriptor.writable):
                return None
            self._open.move_to_end(file)
            descriptor.borrowers += 1
            return descriptor

    def _open_and_borrow(self, file: int, writable: bool) -> Descriptor:
        with self._naming:
            if descriptor := self._borrow(file, writable):
                return descriptor  # another thread was faster
            descriptor = Descriptor(self._opener(file, writable), writable)
            descriptor.borrowers = 1
            with self._lock:
                gone = self._retire(self._open.pop(file, None))  # it was open for reading only
                self._open[file] = descriptor
                while len(self._open) > self._limit:
                    gone += self._retire(self._open.popitem(last=False)[1])
        self._close(gone)
        return descriptor

    @staticmethod
    def _retire(descriptor: Descriptor | None) -> list[int]:
        """Mark a descriptor that left the table; give its fd if it is to be closed now. The lock is held."""
        if descriptor is None:
            return []
        descriptor.retired = True
        return [] if descriptor.borrowers else [descriptor.fd]

    def _close(self, fds: list[int]) -> None:
        for fd in fds:
            self._disk.close(fd)
