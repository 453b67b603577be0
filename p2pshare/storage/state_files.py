"""The files that storage keeps about one torrent in one folder: locked, found again, replaced without a gap."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from hashlib import sha256
from pathlib import Path

from attrs import define, field

from p2pshare.errors import StorageError
from p2pshare.storage.disk import Disk, open_folder
from p2pshare.storage.exact import ShortRead, read_exactly, write_exactly
from p2pshare.storage.failpoints import FailPoint
from p2pshare.storage.refusals import storage_error

SNAPSHOT, BACKUP, LOCK = "resume", "resume.bak", "lock"
WRITER = ".writer"
_TEMPORARY, _JOURNAL = "tmp", "journal"
_PRIVATE = 0o600  # which torrents somebody has is nobody else's business
_SAFELY = os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
_ATTEMPTS = 10  # to lock a file that is swept away each time


class InUse(StorageError):
    """Another process works on the same torrent in the same folder."""


@define(eq=False)
class StateFiles:
    """
    Names ``<info_hash>-<where>.<what>`` in the state folder. Knows what they are for, not what is in them.

    The same torrent in another folder has files of its own, so that many commands run side by side. Besides these there
    is ``<where>.writer`` for each place that somebody downloads to. Blocks its thread.
    """

    _disk: Disk
    _folder: Path
    _stem: str
    _failpoint: FailPoint | None
    _fd: int  # of the state folder
    _locks: list[int] = field(init=False, factory=list)

    @classmethod
    def open(
        cls, disk: Disk, state: Path, info_hash: bytes, content: Path, failpoint: FailPoint | None = None
    ) -> StateFiles:
        """
        Find or make the state folder.

        :raise OSError: that cannot be.
        """
        return cls(disk, state, f"{info_hash.hex()}-{_where(content)}.", failpoint, open_folder(disk, state, 0o700))

    @classmethod
    def at(cls, disk: Disk, state: Path, stem: str) -> StateFiles:
        """
        Look after files of a torrent that is not known.

        :param stem: what their names begin with.
        :raise OSError: there is no such folder.
        """
        return cls(disk, state, stem, None, disk.open(state, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))

    def path(self, what: str) -> str:
        """Spell a file's path for people."""
        return str(self._folder / (self._stem + what))

    def lock(self, target: str | None) -> None:
        """
        Keep other processes from this torrent in this folder, until :meth:`close` or the end of this process.

        :param target: the path that is going to be written; no other torrent is downloaded to it, either. None: none.
        :raise InUse: another has it, and is named.
        :raise OSError: the state folder cannot be written to.
        """
        owner = self.take(self._stem + LOCK)
        if owner is not None:
            raise InUse(f"process {owner} works on this torrent in the same folder; wait for it or choose another")
        if target is not None:
            owner = self.take(_where(target) + WRITER)
            if owner is not None:
                raise InUse(
                    f"process {owner} downloads another torrent to {target}; wait for it or choose another folder"
                )

    def take(self, name: str) -> str | None:
        """
        Lock a file until :meth:`close`; made if it is not there.

        :return: the process that has it, if any.
        :raise OSError: the state folder cannot be written to.
        """
        for _ in range(_ATTEMPTS):
            fd = self._disk.open(name, _SAFELY | os.O_RDWR | os.O_CREAT, _PRIVATE, dir_fd=self._fd)
            if not self._disk.lock(fd):
                owner = self._content(fd)[:20].decode("ascii", "replace").strip()
                self._disk.close(fd)
                return owner or "unknown"
            if self._is_named(fd, name):
                self._locks.append(fd)
                self._disk.ftruncate(fd, 0)
                write_exactly(fd, memoryview(b"%d\n" % os.getpid()), 0, pwrite=self._disk.pwrite)
                return None
            self._disk.close(fd)  # swept away before we had it; whoever comes next would not see our lock
        raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))

    def read(self, what: str) -> bytes | None:
        """Give what is in a file; None when it is not there or cannot be read."""
        try:
            fd = self._open(what, os.O_RDONLY)
        except OSError:
            return None
        try:
            return self._content(fd)
        except (OSError, ShortRead):
            return None
        finally:
            self._disk.close(fd)

    def journal(self, generation: int) -> str:
        """Name a journal."""
        return f"{generation}.{_JOURNAL}"

    def journals(self) -> list[int]:
        """Name the generations that have a journal, in order."""
        middles = (what.split(".") for what in self._all())
        return sorted(int(m[0]) for m in middles if len(m) == 2 and m[1] == _JOURNAL and m[0].isdecimal())

    def create(self, what: str) -> int:
        """
        Open a new file, over an old one of that name.

        :raise OSError: the disk refuses.
        """
        return self._open(what, os.O_RDWR | os.O_CREAT | os.O_TRUNC)

    def open_existing(self, what: str) -> int:
        """
        Open a file for reading.

        :raise OSError: it cannot be opened.
        """
        return self._open(what, os.O_RDONLY)

    def save(self, data: bytes) -> None:
        """
        Put a new snapshot in the place of the old one, which becomes the backup.

        Whatever happens at any moment, one of the two is there, whole.

        :raise OSError: the disk refuses; the old one is still there.
        """
        name = f"{os.getpid()}.{_TEMPORARY}"
        fd = self._open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        try:
            try:
                self._reached("in_snapshot_begun")
                write_exactly(fd, memoryview(data), 0, pwrite=self._disk.pwrite)
                self._disk.fsync(fd)
            finally:
                self._disk.close(fd)
            self._reached("in_snapshot_synced")
            try:
                self._disk.rename(self._stem + SNAPSHOT, self._stem + BACKUP, self._fd)
            except FileNotFoundError:
                pass  # the first one
            self._reached("in_snapshot_aside")
            self._disk.rename(self._stem + name, self._stem + SNAPSHOT, self._fd)
            self._reached("in_snapshot_named")
        except OSError:
            self.remove(name)
            raise
        self.sync()

    def sync(self) -> None:
        """Make the names of these files safe from power cuts."""
        self._disk.fsync(self._fd)

    def sweep(self, oldest: int) -> None:
        """Remove what nobody needs: journals before a generation, and what a crash left half written."""
        for what in self._all():
            first, _, kind = what.partition(".")
            if kind == _TEMPORARY or (kind == _JOURNAL and first.isdecimal() and int(first) < oldest):
                self.remove(what)

    def forget(self) -> None:
        """
        Take away everything that was known; not even a power cut brings it back.

        :raise OSError: the disk refuses; some of it may still be there.
        """
        for what in (SNAPSHOT, BACKUP, *map(self.journal, self.journals())):
            with suppress(FileNotFoundError):
                self._disk.unlink(self._stem + what, self._fd)
        self.sync()

    def remove(self, what: str) -> None:
        """Remove a file; harmless when it is not there or stays."""
        try:
            self._disk.unlink(self._stem + what, self._fd)
        except OSError:
            pass

    def room(self) -> int:
        """Count the bytes left on the disk of the state folder."""
        return self._disk.room(self._fd)

    def device(self) -> int:
        """Tell the disk that the state folder is on."""
        return self._disk.fstat(self._fd).st_dev

    def close(self) -> None:
        """Let go of everything, and let others have the torrent."""
        while self._locks:
            self._disk.close(self._locks.pop())
        self._disk.close(self._fd)

    def refusal(self, error: OSError) -> StorageError:
        """Say for people that the state folder is the trouble."""
        return storage_error(OSError(error.errno, error.strerror), str(self._folder))

    def _is_named(self, fd: int, name: str) -> bool:
        try:
            return os.path.samestat(self._disk.fstat(fd), self._disk.stat(name, dir_fd=self._fd))
        except FileNotFoundError:
            return False

    def _all(self) -> list[str]:
        return [name[len(self._stem) :] for name in self._disk.listdir(self._fd) if name.startswith(self._stem)]

    def _open(self, what: str, flags: int) -> int:
        return self._disk.open(self._stem + what, flags | _SAFELY, _PRIVATE, dir_fd=self._fd)

    def _content(self, fd: int) -> bytes:
        content = bytearray(self._disk.fstat(fd).st_size)
        read_exactly(fd, memoryview(content), 0, preadv=self._disk.preadv)
        return bytes(content)

    def _reached(self, name: str) -> None:
        if self._failpoint is not None:
            self._failpoint.reached(name)


def _where(path: str | Path) -> str:
    """Spell a path so that it fits into a name, whatever links lead to it."""
    return sha256(os.fsencode(os.path.realpath(path))).hexdigest()[:16]
