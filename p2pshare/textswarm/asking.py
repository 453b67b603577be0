"""The side of a text connection that dialled: one thing is said at a time, and its answer waited for."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto

from attrs import define, field, frozen

from p2pshare.bitfield import Bitfield
from p2pshare.errors import RemoteWireError
from p2pshare.wire import textline
from p2pshare.wire.textline import LINE_SILENCE, PIECE_SILENCE, Handshake, Holdings, LineReader, PieceReader


@frozen
class Got:
    """A piece came, and this is all of it."""

    index: int
    content: bytes


Answer = Handshake | Holdings | Got


class _Next(Enum):
    """What the other side is to say."""

    GREETING = auto()
    HOLDINGS = auto()
    PIECE = auto()
    NOTHING = auto()


@define(eq=False)
class Asking:
    """Knows what was asked and reads what is answered. Knows no socket and no clock."""

    _torrent_hash: str
    _num_pieces: int
    _piece_size: int = textline.PIECE_SIZE
    _next: _Next = field(init=False, default=_Next.GREETING)
    _lines: LineReader = field(init=False)
    _piece: PieceReader = field(init=False, factory=PieceReader)
    _index: int = field(init=False, default=0)  # of the piece asked for

    def __attrs_post_init__(self) -> None:
        self._lines = LineReader(True, self._num_pieces)

    @property
    def is_idle(self) -> bool:
        """Whether nothing was asked that is not answered."""
        return self._next is _Next.NOTHING

    @property
    def patience(self) -> float | None:
        """How many seconds of silence end what has begun to come; None: something else ends it."""
        if self._next is _Next.PIECE:
            return None if self._piece.silence() is None else PIECE_SILENCE
        return LINE_SILENCE if self._lines.is_waiting else None

    def greet(self) -> bytes:
        """Say what this is about; the first thing to say."""
        return textline.encode_handshake(Handshake(self._torrent_hash))

    def tell(self, have: Bitfield) -> bytes:
        """Say what we have, which asks for the same."""
        self._next = _Next.HOLDINGS
        return textline.encode_bitfield(have)

    def request(self, index: int) -> bytes:
        """Ask for a piece."""
        self._next, self._index = _Next.PIECE, index
        self._piece = PieceReader(self._piece_size, is_exact=index < self._num_pieces - 1)
        return textline.encode_request(index)

    def feed(self, data: bytes) -> Iterator[Answer]:
        """
        Yield what is answered with ``data``. The next question may be asked before the next answer is taken.

        :raise RemoteWireError: that was not asked.
        """
        if self._next is _Next.PIECE:
            content = self._piece.feed(data)
            if content is not None:
                yield self._got(content)
            return
        for line in self._lines.feed(data):
            yield self._answered(line)

    def silence(self) -> Iterator[Answer]:
        """Yield what is over now that nothing has followed for as long as :attr:`patience` was."""
        if self._next is _Next.PIECE:
            content = self._piece.silence()
            if content is not None:
                yield self._got(content)
        elif (line := self._lines.silence()) is not None:
            yield self._answered(line)

    def ended(self) -> Iterator[Answer]:
        """Yield what the end of the connection ends: a last piece may be over with it."""
        if self._next is _Next.PIECE:
            yield from self.silence()

    def _got(self, content: bytes) -> Got:
        self._next = _Next.NOTHING
        return Got(self._index, content)

    def _answered(self, line: textline.Line) -> Answer:
        match self._next, line:
            case _Next.GREETING, Handshake(torrent_hash=key, peer_id=str()) if key.lower() == self._torrent_hash:
                pass
            case _Next.HOLDINGS, Holdings():
                pass
            case _:
                raise RemoteWireError(f"{line}, where {self._next.name.lower()} was to be said")
        self._next = _Next.NOTHING
        assert not isinstance(line, textline.Request)
        return line
