"""What a store of pieces does whose hashes nobody has, wherever the pieces lie."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from attrs import define, field
from twisted.internet.defer import Deferred, fail

from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError
from p2pshare.geometry import Geometry
from p2pshare.storage.buffers import PieceBuffers
from p2pshare.storage.ongoing import Ongoing
from p2pshare.storage.sealing import Sealed
from p2pshare.storage.workers import Run


@define(eq=False)
class UnhashedStore:
    """
    Keeps pieces as PieceStore does, see there, but believes what comes.

    Where they lie is for those built on it to know: they open, write, read and close.
    """

    geometry: Geometry
    _place: str  # for people
    _run: Run
    _memory_limit: int = field(kw_only=True)  # bytes of sealed pieces waiting for the disk before peers are paused
    have: Bitfield = field(init=False)
    failed: StorageError | None = field(init=False, default=None)
    is_pressed: bool = field(init=False, default=False)
    on_relief: Callable[[], None] = field(init=False, default=lambda: None)
    on_trouble: Callable[[StorageError], None] = field(init=False, default=lambda _: None)  # never called, as on_lost
    on_lost: Callable[[int], None] = field(init=False, default=lambda _: None)
    is_wanted: Callable[[int], bool] = field(init=False, default=lambda _: True)  # never called, either
    counters: dict[str, int] = field(init=False, factory=dict)
    _buffers: PieceBuffers = field(init=False)
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
        return sum(map(self._size, self.have))

    @property
    def buffered(self) -> int:
        """Bytes of memory that hold pieces on their way to the disk."""
        return self._buffers.held

    def check(self, progress: Callable[[int, int], None] | None = None, *, writable: bool = True) -> Deferred[None]:
        """
        Find what is there. The first thing to do with a store.

        :return: errs back with StorageError when it cannot be used.
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
        content = self._buffers.seal(piece)[: self._size(piece)]
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
        """Forget what is not sealed, wait for what is under way, let go. Closing twice is closing once."""
        self._closing = True
        self._buffers.discard_all()
        return self._ongoing.over().addCallback(lambda _: self._run(self._close))

    def _refusal(self) -> StorageError:
        return StorageError(f"{self._place}: is closed")

    def _insist_on(self, piece: int) -> None:
        if piece not in self.have:
            raise ValueError(f"piece {piece} is not here and must not be read")

    async def _check(self, progress: Callable[[int, int], None] | None) -> None:
        for piece in await self._run(self._find):
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

    # What is told apart. All but the size runs in a thread, and raises StorageError.

    def _size(self, piece: int) -> int:
        """Tell how many bytes of a piece are content."""
        return self.geometry.piece_size(piece)

    def _find(self) -> Iterable[int]:
        """Open; name the pieces that are there."""
        raise NotImplementedError

    def _write(self, piece: int, content: memoryview) -> None:
        """Write a whole piece."""
        raise NotImplementedError

    def _read(self, piece: int, begin: int, length: int) -> bytes:
        """Read a part of a piece that is there."""
        raise NotImplementedError

    def _close(self) -> None:
        """Let go of what is open."""
