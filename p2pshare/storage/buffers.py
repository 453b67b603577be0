"""The bytes of pieces that are not on disk yet: being assembled, or sealed and waiting for their thread."""

from __future__ import annotations

from attrs import define, field

from p2pshare.geometry import Geometry


@define(eq=False)
class PieceBuffers:
    """
    Memory for unfinished pieces, one buffer a piece. Knows no hash, no file, no thread.

    Buffers are used again, because a fresh one of 1 MiB costs 256 page faults. No more are ever spare than were once
    in use together; :meth:`trim`, called now and then, lets go of those that nothing reached for meanwhile, so a
    torrent that slows down needs less memory and one at rest none.
    """

    _geometry: Geometry
    _assembling: dict[int, memoryview] = field(init=False, factory=dict)
    _sealed: dict[int, memoryview] = field(init=False, factory=dict)
    _spare: list[bytearray] = field(init=False, factory=list)
    _idle: int = field(init=False, default=0)  # the fewest that were spare since the last trim

    @property
    def held(self) -> int:
        """Bytes of memory that hold pieces."""
        return (len(self._assembling) + len(self._sealed)) * self._geometry.piece_length

    @property
    def sealed(self) -> int:
        """Bytes of memory that hold sealed pieces."""
        return len(self._sealed) * self._geometry.piece_length

    def put(self, piece: int, begin: int, data: bytes | bytearray | memoryview) -> None:
        """
        Copy a run of bytes to its place in a piece.

        :raise ValueError: the piece is sealed, or has no such place.
        :raise IndexError: there is no such piece.
        """
        buffer = self._assembling.get(piece)
        if buffer is None:
            if piece in self._sealed:
                raise ValueError(f"piece {piece} is sealed and takes no more blocks")
            buffer = self._assembling[piece] = self._take(self._geometry.piece_size(piece))
        end = begin + len(data)
        if begin < 0 or end > len(buffer):
            raise ValueError(f"piece {piece} of {len(buffer)} bytes has no place for {len(data)} bytes at {begin}")
        buffer[begin:end] = data

    def seal(self, piece: int) -> memoryview:
        """
        Give the assembled piece, which stays as it is until :meth:`release`.

        :raise ValueError: nothing was put into it, or it is sealed already.
        """
        buffer = self._assembling.pop(piece, None)
        if buffer is None:
            raise ValueError(f"piece {piece} is not being assembled")
        self._sealed[piece] = buffer
        return buffer

    def is_sealed(self, piece: int) -> bool:
        """Whether somebody still uses a piece that was sealed."""
        return piece in self._sealed

    def all_sealed(self) -> list[int]:
        """Name the pieces that are sealed and in use."""
        return list(self._sealed)

    def release(self, piece: int) -> None:
        """Nobody uses the sealed piece any more."""
        self._give_back(self._sealed.pop(piece))

    def discard(self, piece: int) -> None:
        """Forget what was assembled of a piece, if anything."""
        buffer = self._assembling.pop(piece, None)
        if buffer is not None:
            self._give_back(buffer)

    def discard_all(self) -> None:
        """Forget all that is being assembled."""
        for piece in list(self._assembling):
            self.discard(piece)

    def trim(self) -> None:
        """Let go of spare buffers that nothing needed since the last call."""
        del self._spare[: self._idle]
        self._idle = len(self._spare)

    def empty(self) -> None:
        """Hold no memory: nothing more will be put."""
        self.discard_all()
        self._spare.clear()

    def _take(self, size: int) -> memoryview:
        buffer = self._spare.pop() if self._spare else bytearray(self._geometry.piece_length)
        self._idle = min(self._idle, len(self._spare))
        return memoryview(buffer)[:size]  # written through a view: assigning to a slice of a bytearray copies twice

    def _give_back(self, view: memoryview) -> None:
        self._spare.append(view.obj)  # type: ignore[arg-type]  # the bytearray it was made from
