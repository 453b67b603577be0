"""The pieces of a text swarm's file, each in a file of its own, and the file put together from them."""

from __future__ import annotations

import os
from collections.abc import Callable
from hashlib import sha1
from pathlib import Path

from attrs import define, field
from twisted.internet.defer import Deferred, fail

from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError, VerificationFailed
from p2pshare.geometry import Geometry
from p2pshare.storage.buffers import PieceBuffers
from p2pshare.storage.ongoing import Ongoing
from p2pshare.storage.refusals import storage_error
from p2pshare.storage.sealing import Sealed
from p2pshare.storage.workers import Run
from p2pshare.textswarm.layout import piece_file

MEMORY_LIMIT = 4 * 1024 * 1024  # bytes of sealed pieces waiting for the disk before peers are paused


@define(eq=False)
class TextStore:
    """
    Keeps pieces as PieceStore does, see there, but nobody tells their hashes: ours are taken when a piece comes.

    Nobody tells the size of the last piece, either. To the engine it is as long as the others; what of it is content
    is told by :meth:`ends_at`, and only that is written, read and put together.
    """

    _folder: Path  # of the piece_<i> files
    geometry: Geometry
    _run: Run
    have: Bitfield = field(init=False)
    failed: StorageError | None = field(init=False, default=None)
    is_pressed: bool = field(init=False, default=False)
    on_relief: Callable[[], None] = field(init=False, default=lambda: None)
    on_trouble: Callable[[StorageError], None] = field(init=False, default=lambda _: None)  # never called, as on_lost
    on_lost: Callable[[int], None] = field(init=False, default=lambda _: None)
    is_wanted: Callable[[int], bool] = field(init=False, default=lambda _: True)  # never called, either
    counters: dict[str, int] = field(init=False, factory=dict)
    _digests: dict[int, bytes] = field(init=False, factory=dict)
    _last_size: int = field(init=False)
    _buffers: PieceBuffers = field(init=False)
    _ongoing: Ongoing = field(init=False, factory=Ongoing)
    _closing: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.have = Bitfield(self.geometry.num_pieces)
        self._last_size = self.geometry.piece_size(self.geometry.num_pieces - 1)
        self._buffers = PieceBuffers(self.geometry)

    @property
    def is_complete(self) -> bool:
        """Whether every piece is here."""
        return self.have.is_full

    @property
    def verified_bytes(self) -> int:
        """Bytes of the pieces we have."""
        return sum(map(self._size, self.have))

    def ends_at(self, size: int) -> None:
        """So many bytes has the last piece, by who has just sent it."""
        self._last_size = size

    def check(self, progress: Callable[[int, int], None] | None = None, *, writable: bool = True) -> Deferred[None]:
        """Find the pieces that an earlier run left: each was written whole, or not at all."""
        return self._ongoing.track(Deferred.fromCoroutine(self._check(progress)))

    def put(self, piece: int, begin: int, data: bytes | bytearray | memoryview) -> None:
        """Copy what came to its place in memory."""
        if piece in self.have:
            raise ValueError(f"piece {piece} is here and never written again")
        self._buffers.put(piece, begin, data)

    def seal(self, piece: int, *, digests: bool = False) -> Deferred[Sealed]:
        """
        Write a piece that was put.

        :return: errs back with StorageError when the disk refuses; then nothing more is sealed.
        """
        content = self._buffers.seal(piece)[: self._size(piece)]
        if self.failed is not None or self._closing:
            self._buffers.release(piece)
            return fail(self.failed or self._refusal())
        self.is_pressed = self.is_pressed or self._buffers.sealed > MEMORY_LIMIT
        return self._ongoing.track(Deferred.fromCoroutine(self._seal(piece, content)))

    def trim(self) -> None:
        """Let go of memory that nothing needed since the last call."""
        self._buffers.trim()

    def retry(self) -> None:
        """Seal again: what made the disk refuse may be gone."""
        self.failed = None

    def read_now(self, piece: int, begin: int, length: int) -> bytes | None:
        """Never give anything at once: opening a file may wait for the disk."""
        return None

    def read(self, piece: int, begin: int, length: int) -> Deferred[bytes]:
        """
        Give a whole piece, whatever the engine takes for its length.

        :return: errs back with StorageError.
        :raise ValueError: we have not the piece.
        """
        if piece not in self.have:
            raise ValueError(f"piece {piece} is not here and must not be read")
        if self._closing:
            return fail(self._refusal())
        return self._ongoing.track(self._run(self._read, piece))

    def assemble(self, output: Path) -> Deferred[None]:
        """
        Put the pieces together, comparing each with what came, and give the whole its name only when all are right.

        :return: errs back with VerificationFailed, which names the pieces that are not what came; with StorageError.
        """
        return self._ongoing.track(self._run(self._assemble, output))

    def close(self) -> Deferred[None]:
        """Forget what is not sealed, and wait for what is under way. Closing twice is closing once."""
        self._closing = True
        self._buffers.discard_all()
        return self._ongoing.over()

    def _refusal(self) -> StorageError:
        return StorageError(f"{self._folder}: is closed")

    def _size(self, piece: int) -> int:
        last = piece == self.geometry.num_pieces - 1
        return self._last_size if last else self.geometry.piece_size(piece)

    async def _check(self, progress: Callable[[int, int], None] | None) -> None:
        found: dict[int, tuple[bytes, int]] = await self._run(self._find)
        for piece, (digest, size) in found.items():
            self._digests[piece] = digest
            if piece == self.geometry.num_pieces - 1:
                self._last_size = size
            self.have.add(piece)
        if progress is not None:
            progress(self.geometry.num_pieces, self.geometry.num_pieces)

    async def _seal(self, piece: int, content: memoryview) -> Sealed:
        try:
            self._digests[piece] = await self._run(self._write, piece, content)
            self.have.add(piece)
            return Sealed(piece, True)
        except StorageError as error:
            self.failed = self.failed or error
            raise
        finally:
            self._release(piece)

    def _release(self, piece: int) -> None:
        self._buffers.release(piece)
        if self.is_pressed and self._buffers.sealed <= MEMORY_LIMIT // 2:
            self.is_pressed = False
            self.on_relief()

    # In a thread

    def _find(self) -> dict[int, tuple[bytes, int]]:
        found = {}
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            last = self.geometry.num_pieces - 1
            for piece in range(self.geometry.num_pieces):
                path, whole = piece_file(self._folder, piece), self.geometry.piece_size(piece)
                size = path.stat().st_size if path.is_file() else 0
                if size == whole or (piece == last and 0 < size < whole):
                    found[piece] = (sha1(path.read_bytes()).digest(), size)
        except OSError as error:
            raise storage_error(error, str(self._folder)) from error
        return found

    def _write(self, piece: int, content: memoryview) -> bytes:
        path = piece_file(self._folder, piece)
        part = path.with_name(f"{path.name}.part")
        try:
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            raise storage_error(error, str(path)) from error
        return sha1(content).digest()

    def _read(self, piece: int) -> bytes:
        path = piece_file(self._folder, piece)
        try:
            return path.read_bytes()
        except OSError as error:
            raise storage_error(error, str(path)) from error

    def _assemble(self, output: Path) -> None:
        part = output.with_name(f"{output.name}.part")
        wrong = []
        try:
            with part.open("wb") as whole:
                for piece in range(self.geometry.num_pieces):
                    content = self._read(piece)
                    if sha1(content).digest() != self._digests[piece]:
                        wrong.append(piece)
                    whole.write(content)
                whole.flush()
                os.fsync(whole.fileno())
            if wrong:
                part.unlink()
                named = ", ".join(map(str, wrong[:20])) + (", …" if len(wrong) > 20 else "")
                raise VerificationFailed(f"{self._folder}: piece {named} is not what came; nothing was put together")
            part.replace(output)
        except OSError as error:
            raise storage_error(error, str(output)) from error
