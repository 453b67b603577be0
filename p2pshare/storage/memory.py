"""A PieceStore without a disk, for tests and simulations: the same promises, kept at once."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from attrs import define, field
from twisted.internet.defer import Deferred, fail, succeed

from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError
from p2pshare.geometry import Geometry
from p2pshare.metainfo import Metainfo
from p2pshare.storage.buffers import PieceBuffers
from p2pshare.storage.checking import Progress
from p2pshare.storage.sealing import Sealed, judge


@define(eq=False)
class MemoryStore:
    """Keeps the pieces of one torrent in memory. Behaves as PieceStore does, see there; nothing ever waits."""

    _metainfo: Metainfo
    content: bytearray = field(factory=bytearray, converter=bytearray)  # what lies on the disk that is not there
    geometry: Geometry = field(init=False)
    have: Bitfield = field(init=False)
    failed: StorageError | None = field(init=False, default=None)  # set it, and the disk is full
    is_pressed: bool = field(init=False, default=False)  # set it, and the disk is slow
    on_relief: Callable[[], None] = field(init=False, default=lambda: None)
    on_trouble: Callable[[StorageError], None] = field(init=False, default=lambda _: None)  # never called
    on_lost: Callable[[int], None] = field(init=False, default=lambda _: None)
    is_wanted: Callable[[int], bool] = field(init=False, default=lambda _: True)  # never called, either
    in_doubt: frozenset[int] = field(init=False, default=frozenset())  # memory does not change behind our back
    is_idle: bool = field(init=False, default=True)
    counters: dict[str, int] = field(init=False, factory=dict)
    _buffers: PieceBuffers = field(init=False)
    _closed: bool = field(init=False, default=False)

    def __attrs_post_init__(self) -> None:
        self.geometry = self._metainfo.geometry
        self.have = Bitfield(self.geometry.num_pieces)
        self._buffers = PieceBuffers(self.geometry)
        self.content.extend(bytes(self.geometry.total_length - len(self.content)))

    @property
    def is_complete(self) -> bool:
        """Whether every piece is verified."""
        return self.have.is_full

    @property
    def verified_bytes(self) -> int:
        """Bytes of the pieces we have."""
        return sum(map(self.geometry.piece_size, self.have))

    @property
    def buffered(self) -> int:
        """Bytes of memory that hold pieces being assembled."""
        return self._buffers.held

    def check(self, progress: Progress | None = None, *, writable: bool = True) -> Deferred[None]:
        """Fill ``have`` from ``content``, whose wrong pieces are unfinished ones whether writable or not."""
        if self._closed:
            return fail(self._refusal())
        for piece in range(self.geometry.num_pieces):
            if judge(piece, self._piece(piece), self._metainfo.piece_hash(piece), digests=False).ok:
                self.have.add(piece)
            else:
                self.have.discard(piece)
        if progress is not None:
            progress(self.geometry.num_pieces, self.geometry.num_pieces)
        return succeed(None)

    def put(self, piece: int, begin: int, data: bytes | bytearray | memoryview) -> None:
        """Copy bytes that arrived to their place in memory."""
        if piece in self.have:
            raise ValueError(f"piece {piece} is verified and never written again")
        self._buffers.put(piece, begin, data)

    def seal(self, piece: int, *, digests: bool = False) -> Deferred[Sealed]:
        """Verify a piece of which every block was put, and keep it if it is right."""
        assembled = self._buffers.seal(piece)
        try:
            if self.failed is not None or self._closed:
                return fail(self.failed or self._refusal())
            sealed = judge(piece, assembled, self._metainfo.piece_hash(piece), digests=digests)
            if sealed.ok:
                self._piece(piece)[:] = assembled
                self.have.add(piece)
            return succeed(sealed)
        finally:
            self._buffers.release(piece)

    def discard(self, piece: int) -> None:
        """Forget what was put into a piece."""
        self._buffers.discard(piece)

    def trim(self) -> None:
        """Let go of memory that nothing needed since the last call."""
        self._buffers.trim()

    def retry(self) -> None:
        """Seal again."""
        self.failed = None

    def read_now(self, piece: int, begin: int, length: int) -> bytes | None:
        """Give bytes of a verified piece; None only when closed."""
        wanted = self._verified(piece, begin, length)
        return None if self._closed else bytes(wanted)

    def read_into(self, piece: int, begin: int, buffers: Sequence[memoryview]) -> bool:
        """Fill buffers with consecutive bytes of a verified piece; False only when closed."""
        rest = self._verified(piece, begin, sum(map(len, buffers)))
        if self._closed:
            return False
        for buffer in buffers:
            buffer[:] = rest[: len(buffer)]
            rest = rest[len(buffer) :]
        return True

    def read(self, piece: int, begin: int, length: int) -> Deferred[bytes]:
        """Give bytes of a verified piece."""
        wanted = self._verified(piece, begin, length)
        return fail(self._refusal()) if self._closed else succeed(bytes(wanted))

    def reread(self, piece: int) -> Deferred[bool]:
        """Hash a verified piece again."""
        content = self._verified(piece, 0, self.geometry.piece_size(piece))
        if self._closed:
            return fail(self._refusal())
        is_right = judge(piece, content, self._metainfo.piece_hash(piece), digests=False).ok
        if not is_right:
            self.have.discard(piece)
            self.on_lost(piece)
        return succeed(is_right)

    def close(self) -> Deferred[None]:
        """Forget what is not sealed. Nothing can be checked, sealed or read afterwards."""
        self._closed = True
        self._buffers.discard_all()
        return succeed(None)

    def _piece(self, piece: int) -> memoryview:
        first = piece * self.geometry.piece_length
        return memoryview(self.content)[first : first + self.geometry.piece_size(piece)]

    def _verified(self, piece: int, begin: int, length: int) -> memoryview:
        if piece not in self.have:
            raise ValueError(f"piece {piece} is not verified and must not be read")
        self.geometry.spans(piece, begin, length)  # raises when there are no such bytes
        return self._piece(piece)[begin : begin + length]

    def _refusal(self) -> StorageError:
        return StorageError(f"{self._metainfo.name}: its store is closed")
