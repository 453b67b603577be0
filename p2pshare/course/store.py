"""The file of a course peer on disk, in its place from the start: ``peer_<id>/<FileName>``."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from attrs import define, field
from twisted.internet.defer import Deferred, fail

from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError
from p2pshare.geometry import Geometry
from p2pshare.storage.buffers import PieceBuffers
from p2pshare.storage.exact import ShortRead, read_exactly, write_exactly
from p2pshare.storage.ongoing import Ongoing
from p2pshare.storage.refusals import storage_error
from p2pshare.storage.sealing import Sealed
from p2pshare.storage.workers import Run

MEMORY_LIMIT = 32 * 1024 * 1024  # bytes of sealed pieces waiting for the disk before neighbors are paused


@define(eq=False)
class CourseStore:
    """
    Keeps the pieces of one file as PieceStore does, see there, but without hashes: nobody has any.

    A piece is right when it has its length. A peer starts with all of them or with none (the assignment does not
    consider partial files), and what lies there of an earlier run is no piece.
    """

    _path: Path
    geometry: Geometry
    _has_file: bool
    _run: Run
    _memory_limit: int = field(kw_only=True, default=MEMORY_LIMIT)
    have: Bitfield = field(init=False)
    failed: StorageError | None = field(init=False, default=None)
    is_pressed: bool = field(init=False, default=False)
    on_relief: Callable[[], None] = field(init=False, default=lambda: None)
    on_trouble: Callable[[StorageError], None] = field(init=False, default=lambda _: None)  # never called, as on_lost
    on_lost: Callable[[int], None] = field(init=False, default=lambda _: None)
    is_wanted: Callable[[int], bool] = field(init=False, default=lambda _: True)  # never called, either
    counters: dict[str, int] = field(init=False, factory=dict)
    _buffers: PieceBuffers = field(init=False)
    _descriptor: int | None = field(init=False, default=None)
    _ongoing: Ongoing = field(init=False, factory=Ongoing)
    _closing: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.have = Bitfield(self.geometry.num_pieces)
        self._buffers = PieceBuffers(self.geometry)

    @property
    def is_complete(self) -> bool:
        """Whether every piece is here."""
        return self.have.is_full

    @property
    def verified_bytes(self) -> int:
        """Bytes of the pieces we have."""
        return sum(map(self.geometry.piece_size, self.have))

    @property
    def buffered(self) -> int:
        """Bytes of memory that hold pieces on their way to the disk."""
        return self._buffers.held

    def check(self, progress: Callable[[int, int], None] | None = None, *, writable: bool = True) -> Deferred[None]:
        """
        Open the file, and have all of it or nothing. The first thing to do with a store.

        :return: errs back with StorageError when it cannot be opened, or has not the size of the whole.
        """
        if self._closing:
            return fail(self._refusal())
        return self._ongoing.track(Deferred.fromCoroutine(self._check(progress)))

    def put(self, piece: int, begin: int, data: bytes | bytearray | memoryview) -> None:
        """
        Copy bytes that arrived to their place in memory.

        :raise ValueError: we have the piece, or it is sealed, or has no such place.
        """
        if piece in self.have:
            raise ValueError(f"piece {piece} is here and never written again")
        self._buffers.put(piece, begin, data)

    def seal(self, piece: int, *, digests: bool = False) -> Deferred[Sealed]:
        """
        Write a piece that was put.

        :return: errs back with StorageError when the disk refuses; then nothing more is sealed.
        :raise ValueError: nothing was put, or it is sealed already.
        """
        content = self._buffers.seal(piece)
        if self.failed is not None or self._closing:
            self._buffers.release(piece)
            return fail(self.failed or self._refusal())
        self.is_pressed = self.is_pressed or self._buffers.sealed > self._memory_limit
        return self._ongoing.track(Deferred.fromCoroutine(self._seal(piece, content)))

    def discard(self, piece: int) -> None:
        """Forget what was put into a piece that is not sealed."""
        self._buffers.discard(piece)

    def trim(self) -> None:
        """Let go of memory that nothing needed since the last call."""
        self._buffers.trim()

    def retry(self) -> None:
        """Seal again: what made the disk refuse may be gone."""
        self.failed = None

    def read_now(self, piece: int, begin: int, length: int) -> bytes | None:
        """
        Never give anything at once: a whole piece is worth a thread.

        :raise ValueError: we have not the piece.
        """
        self._insist_on(piece)
        return None

    def read(self, piece: int, begin: int, length: int) -> Deferred[bytes]:
        """
        Give bytes when the disk has them.

        :return: errs back with StorageError.
        :raise ValueError: we have not the piece.
        """
        self._insist_on(piece)
        if self._closing:
            return fail(self._refusal())
        return self._ongoing.track(self._run(self._read, piece, begin, length))

    def close(self) -> Deferred[None]:
        """Forget what is not sealed, wait for what is under way, close the file. Closing twice is closing once."""
        self._closing = True
        self._buffers.discard_all()
        return self._ongoing.over().addCallback(lambda _: self._run(self._close))

    def _refusal(self) -> StorageError:
        return StorageError(f"{self._path}: is closed")

    def _insist_on(self, piece: int) -> None:
        if piece not in self.have:
            raise ValueError(f"piece {piece} is not here and must not be read")

    async def _check(self, progress: Callable[[int, int], None] | None) -> None:
        await self._run(self._open)
        if self._has_file:
            for piece in range(self.geometry.num_pieces):
                self.have.add(piece)
        if progress is not None:
            progress(self.geometry.num_pieces, self.geometry.num_pieces)

    async def _seal(self, piece: int, content: memoryview) -> Sealed:
        try:
            await self._run(self._write, piece, content)
            self.have.add(piece)
            return Sealed(piece, True)
        except StorageError as error:
            self.failed = self.failed or error
            raise
        finally:
            self._release(piece)

    def _release(self, piece: int) -> None:
        self._buffers.release(piece)
        if self.is_pressed and self._buffers.sealed <= self._memory_limit // 2:
            self.is_pressed = False
            self.on_relief()

    # In a thread

    def _open(self) -> None:
        if self._descriptor is not None:
            return
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
