"""Bytes of verified pieces, and of no others, given to whoever sends them on."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from hashlib import sha1

from attrs import define, field

from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError
from p2pshare.metainfo import Metainfo
from p2pshare.storage.files import ContentFiles, ContentLost
from p2pshare.storage.safe_files import SafeFiles
from p2pshare.storage.workers import Run


@define(eq=False)
class Serving:
    """
    Reads pieces we have. Those whose file was touched by somebody else are hashed before they are given again.

    Reactor thread only; what waits for the disk goes through ``run``.
    """

    _metainfo: Metainfo
    _files: ContentFiles
    _run: Run
    _have: Bitfield
    _lost: Callable[[int], None]  # told of a piece that is not what it was
    doubtful: set[int] = field(init=False, factory=set)  # had, but to be hashed before anybody gets them
    _scratch: bytearray = field(init=False, factory=bytearray)  # read_now reads here; grows to the longest read

    def read_now(self, piece: int, begin: int, length: int) -> bytes | None:
        """
        Give bytes if the page cache holds them.

        :raise ValueError: the piece is not verified.
        """
        if length > len(self._scratch):
            self._scratch = bytearray(length)
        view = memoryview(self._scratch)[:length]
        return bytes(view) if self.read_into(piece, begin, [view]) else None

    def read_into(self, piece: int, begin: int, buffers: Sequence[memoryview]) -> bool:
        """
        Fill buffers if the page cache holds the bytes.

        :raise ValueError: the piece is not verified.
        """
        self.insist_on(piece)
        return piece not in self.doubtful and self._files.read_now(piece, begin, buffers) and not self._files.altered

    async def read(self, piece: int, begin: int, length: int) -> bytes:
        """
        Give bytes when the disk has them.

        :raise ContentLost: the piece is not there any more, or not what it was.
        :raise StorageError: something passing stands in the way.
        """
        try:
            while True:
                if piece in self.doubtful:
                    await self._prove(piece)
                content: bytes = await self._run(self._files.read_bytes, piece, begin, length)
                self._doubt_altered()
                if piece not in self.doubtful:
                    return content
        except ContentLost:
            if piece in self._have:
                self._lost(piece)
            raise

    async def reread(self, piece: int) -> bool:
        """
        Hash a piece as the device has it, not memory; it is lost if it is wrong.

        :raise StorageError: something passing stands in the way.
        """
        is_right: bool = await self._run(self._is_right_on_device, piece)
        self._doubt_altered()
        if is_right:
            self.doubtful.discard(piece)
        elif piece in self._have:
            self._lost(piece)
        return is_right

    def insist_on(self, piece: int) -> None:
        """
        Refuse a piece that is not verified.

        :raise ValueError: it is not.
        """
        if piece not in self._have:
            raise ValueError(f"piece {piece} is not verified and must not be read")

    async def settle(self, pieces: Iterable[int]) -> None:
        """
        Hash those of some pieces that are in doubt; afterwards each is certain or lost.

        :raise StorageError: something passing stands in the way.
        """
        for piece in pieces:
            if piece in self.doubtful:
                try:
                    await self._prove(piece)
                except ContentLost:
                    if piece in self._have:
                        self._lost(piece)

    def is_right(self, piece: int) -> bool:
        """
        Hash a piece as it is on disk now. Blocks.

        :raise StorageError: something passing stands in the way.
        """
        try:
            content = self._files.read_bytes(piece, 0, self._metainfo.geometry.piece_size(piece))
        except ContentLost:
            return False
        return sha1(content).digest() == self._metainfo.piece_hash(piece)

    def _is_right_on_device(self, piece: int) -> bool:
        with suppress(StorageError):  # as when a file is gone: reading it tells
            SafeFiles(self._files).forget([piece])
        return self.is_right(piece)

    async def _prove(self, piece: int) -> None:
        if await self._run(self.is_right, piece):
            self.doubtful.discard(piece)
        else:
            raise ContentLost(f"{self._metainfo.name}: piece {piece} was changed on disk by somebody else")

    def _doubt_altered(self) -> None:
        altered = self._files.altered
        while altered:
            pieces = self._metainfo.geometry.pieces_of(altered.pop())
            self.doubtful.update(piece for piece in pieces if piece in self._have)
