"""The pieces of a text swarm's file, each in a file of its own, and the file put together from them."""

from __future__ import annotations

import os
from hashlib import sha1
from pathlib import Path

from attrs import define, field
from twisted.internet.defer import Deferred

from p2pshare.errors import VerificationFailed
from p2pshare.geometry import Geometry
from p2pshare.storage.refusals import storage_error
from p2pshare.storage.unhashed import UnhashedStore
from p2pshare.storage.workers import Run
from p2pshare.textswarm.layout import piece_file

MEMORY_LIMIT = 4 * 1024 * 1024  # bytes of sealed pieces waiting for the disk before peers are paused


@define(eq=False)
class TextStore(UnhashedStore):
    """
    The pieces of one file. Nobody tells their hashes: ours are taken when a piece comes.

    Nobody tells the size of the last piece, either. To the engine it is as long as the others; what of it is content
    is told by :meth:`ends_at`, and only that is written, read and put together.
    """

    _folder: Path  # of the piece_<i> files
    _digests: dict[int, bytes] = field(init=False, factory=dict)
    _last_size: int = field(init=False)

    @classmethod
    def in_folder(cls, folder: Path, geometry: Geometry, run: Run) -> TextStore:
        """Make the store of pieces that are in a folder, or go there."""
        return cls(geometry, str(folder), run, folder, memory_limit=MEMORY_LIMIT)

    def __attrs_post_init__(self) -> None:
        super().__attrs_post_init__()
        self._last_size = self.geometry.piece_size(self.geometry.num_pieces - 1)

    def ends_at(self, size: int) -> None:
        """So many bytes has the last piece, by who has just sent it."""
        self._last_size = size

    def assemble(self, output: Path) -> Deferred[None]:
        """
        Put the pieces together, comparing each with what came, and give the whole its name only when all are right.

        :return: errs back with VerificationFailed, which names the pieces that are not what came; with StorageError.
        """
        return self._ongoing.track(self._run(self._assemble, output))

    def _size(self, piece: int) -> int:
        last = piece == self.geometry.num_pieces - 1
        return self._last_size if last else self.geometry.piece_size(piece)

    def _find(self) -> list[int]:
        # Each was written whole, or not at all.
        found: list[int] = []
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            last = self.geometry.num_pieces - 1
            for piece in range(self.geometry.num_pieces):
                path, whole = piece_file(self._folder, piece), self.geometry.piece_size(piece)
                size = path.stat().st_size if path.is_file() else 0
                if size == whole or (piece == last and 0 < size < whole):
                    self._digests[piece] = sha1(path.read_bytes()).digest()
                    found.append(piece)
                    if piece == last:
                        self._last_size = size
        except OSError as error:
            raise storage_error(error, str(self._folder)) from error
        return found

    def _write(self, piece: int, content: memoryview) -> None:
        path = piece_file(self._folder, piece)
        part = path.with_name(f"{path.name}.part")
        try:
            part.write_bytes(content)
            part.replace(path)
        except OSError as error:
            raise storage_error(error, str(path)) from error
        self._digests[piece] = sha1(content).digest()

    def _read(self, piece: int, begin: int = 0, length: int = 0) -> bytes:
        # A whole piece, whatever the engine takes for its length.
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
