"""The file of a course peer on disk, in its place from the start: ``peer_<id>/<FileName>``."""

from __future__ import annotations

import os
from pathlib import Path

from attrs import define, field

from p2pshare.errors import StorageError
from p2pshare.geometry import Geometry
from p2pshare.storage.exact import ShortRead, read_exactly, write_exactly
from p2pshare.storage.refusals import storage_error
from p2pshare.storage.unhashed import UnhashedStore
from p2pshare.storage.workers import Run

MEMORY_LIMIT = 32 * 1024 * 1024  # bytes of sealed pieces waiting for the disk before neighbors are paused


@define(eq=False)
class CourseStore(UnhashedStore):
    """
    The pieces of one file. A piece is right when it has its length.

    A peer starts with all of them or with none (the assignment does not consider partial files), and what lies there of
    an earlier run is no piece. It cannot be opened when it has not the size of the whole.
    """

    _path: Path
    _has_file: bool
    _descriptor: int | None = field(init=False, default=None)

    @classmethod
    def at(
        cls, path: Path, geometry: Geometry, has_file: bool, run: Run, *, memory_limit: int = MEMORY_LIMIT
    ) -> CourseStore:
        """Make the store of a file that is there, or is to be made."""
        return cls(geometry, str(path), run, path, has_file, memory_limit=memory_limit)

    def _find(self) -> range:
        if self._descriptor is None:
            self._open()
        return range(self.geometry.num_pieces if self._has_file else 0)

    def _open(self) -> None:
        flags = os.O_RDONLY if self._has_file else os.O_RDWR | os.O_CREAT
        try:
            if not self._has_file:
                self._path.parent.mkdir(parents=True, exist_ok=True)
            self._descriptor = os.open(self._path, flags | os.O_NOFOLLOW | os.O_CLOEXEC, 0o666)
            if not self._has_file:
                os.ftruncate(self._descriptor, 0)
                os.ftruncate(self._descriptor, self.geometry.total_length)
            size = os.fstat(self._descriptor).st_size
        except OSError as error:
            raise storage_error(error, str(self._path)) from error
        if size != self.geometry.total_length:
            raise StorageError(
                f"{self._path}: {size} bytes, expected the {self.geometry.total_length} of the whole file"
            )

    def _write(self, piece: int, content: memoryview) -> None:
        assert self._descriptor is not None
        try:
            write_exactly(self._descriptor, content, piece * self.geometry.piece_length)
        except OSError as error:
            raise storage_error(error, str(self._path)) from error

    def _read(self, piece: int, begin: int, length: int) -> bytes:
        assert self._descriptor is not None
        content = bytearray(length)
        try:
            read_exactly(self._descriptor, memoryview(content), piece * self.geometry.piece_length + begin)
        except ShortRead as error:
            raise StorageError(f"{self._path}: ends within piece {piece}, which was there before") from error
        except OSError as error:
            raise storage_error(error, str(self._path)) from error
        return bytes(content)

    def _close(self) -> None:
        if self._descriptor is not None:
            descriptor, self._descriptor = self._descriptor, None
            os.close(descriptor)
