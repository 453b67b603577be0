"""The text swarm's lines: HANDSHAKE, BITFIELD and REQUEST, and the raw bytes of a piece, which nothing frames."""

from __future__ import annotations

import re
from collections.abc import Iterator

from attrs import define, field, frozen

from p2pshare.bitfield import Bitfield
from p2pshare.errors import LocalWireError, RemoteWireError
from p2pshare.metainfo import PIECES_LIMIT

PIECE_SIZE = 1460  # bytes of every piece but the last, where no metadata says otherwise
# Seconds of silence after which something that nothing ends is over. Whoever holds the clock calls silence().
LINE_SILENCE = 0.05
PIECE_SILENCE = 0.2

_HASH = 40  # hex digits
_KEY = re.compile(r"[0-9A-Fa-f]{40}")
_NUMBER = re.compile(r"[0-9]{1,9}")
_BITS = re.compile(r"[01](?:,[01])*")
_BLANK = b" \t\r\n"
_VERBS = (b"HANDSHAKE", b"BITFIELD", b"REQUEST")
_LONGEST_SHORT = 128  # bytes of any line but a BITFIELD
_MOST_BITS = 2 * PIECES_LIMIT + _LONGEST_SHORT


@frozen
class Handshake:
    """Which content this is about; the answer also names who has it."""

    torrent_hash: str  # 40 hex digits, of whatever the swarm takes for its key
    peer_id: str | None = None  # 40 hex digits; None: it is the dialler who speaks


@frozen
class Holdings:
    """The pieces somebody has. Its length tells how many there are."""

    size: int
    bits: bytes  # as in BEP 3: high bit of the first byte first, spare bits zero


@frozen
class Request:
    """Send me this piece."""

    index: int


Line = Handshake | Holdings | Request


def encode_handshake(handshake: Handshake) -> bytes:
    """
    Write a HANDSHAKE.

    :raise LocalWireError: a part is not 40 hex digits.
    """
    parts = [handshake.torrent_hash, *([] if handshake.peer_id is None else [handshake.peer_id])]
    if not all(map(_KEY.fullmatch, parts)):
        raise LocalWireError(f"{handshake}: torrent_hash and peer_id are 40 hex digits each")
    return f"HANDSHAKE {' '.join(parts)}\n".encode("ascii")


def encode_bitfield(has: Bitfield) -> bytes:
    """
    Write a BITFIELD.

    :raise LocalWireError: there are no pieces, for which the protocol has no word.
    """
    if not has.size:
        raise LocalWireError("BITFIELD: of no pieces")
    return f"BITFIELD {','.join(format(has.as_int(), f'0{has.size}b')[::-1])}\n".encode("ascii")


def encode_request(index: int) -> bytes:
    """
    Write a REQUEST.

    :raise LocalWireError: there can be no such piece.
    """
    if not 0 <= index < PIECES_LIMIT:
        raise LocalWireError(f"REQUEST: piece {index}")
    return f"REQUEST {index}\n".encode("ascii")


def decode(line: bytes, num_pieces: int | None = None) -> Line:
    """
    Read one line, with or without what ends it.

    :param num_pieces: of the content; None: not known, and a BITFIELD tells.
    :raise RemoteWireError: it is none of the three, or names a piece or a number of pieces that cannot be.
    """
    text = line.decode("ascii", "replace")
    match text.split():
        case ["HANDSHAKE", key, *rest] if len(rest) <= 1 and all(map(_KEY.fullmatch, (key, *rest))):
            return Handshake(key, *rest)
        case ["BITFIELD", bits] if _BITS.fullmatch(bits):
            size = (len(bits) + 1) // 2
            if size > PIECES_LIMIT or num_pieces not in (None, size):
                raise RemoteWireError(f"BITFIELD: of {size} pieces, not {num_pieces or f'at most {PIECES_LIMIT}'}")
            octets = (size + 7) // 8
            return Holdings(size, (int(bits[::2], 2) << 8 * octets - size).to_bytes(octets, "big"))
        case ["REQUEST", number] if _NUMBER.fullmatch(number):
            index = int(number)
            if num_pieces is not None and index >= num_pieces:
                raise RemoteWireError(f"REQUEST: piece {index} of {num_pieces}")
            return Request(index)
    raise RemoteWireError(f"line {_shown(text)}, not HANDSHAKE, BITFIELD or REQUEST with what belongs to it")


@define(eq=False)
class LineReader:
    """
    Cuts what one side says into lines, whether it ends them with a newline or not. Knows no clock.

    A newline always ends a line. Until one has been seen, a line is also over as soon as nothing more can belong to it:
    a HANDSHAKE when it has its hex digits, a BITFIELD its bits, a REQUEST when no longer index that exists begins like
    this. What neither ends, :meth:`silence` does. A newline after a line that seemed over shows that the other side
    does end its lines, and from then on nothing else counts.
    """

    _answers: bool  # it answers us, so its HANDSHAKE has a peer_id
    num_pieces: int | None = None  # of the content, once known
    _buffer: bytearray = field(init=False, factory=bytearray)  # of a line that is not over
    _searched: int = field(init=False, default=0)  # so many bytes of it hold no newline
    _ends_lines: bool = field(init=False, default=False)  # it has sent a newline
    _has_begun: bool = field(init=False, default=False)  # something that is not blank has come

    @property
    def is_waiting(self) -> bool:
        """Whether a line has begun that only its newline, or silence, will end."""
        return bool(self._buffer) and not self._ends_lines

    def feed(self, data: bytes) -> Iterator[Line]:
        """
        Yield each line that is over with ``data``. ``num_pieces`` may be set between two of them.

        :raise RemoteWireError: what was said is no line, and cannot become one.
        """
        self._buffer += data
        while (line := self._next()) is not None:
            yield decode(line, self.num_pieces)

    def silence(self) -> Line | None:
        """
        Read what has come as a whole line, now that nothing has followed for :data:`LINE_SILENCE`.

        :raise RemoteWireError: it is none.
        """
        if not self.is_waiting:
            return None
        line = bytes(self._buffer)
        self._forget(len(line))
        return decode(line, self.num_pieces)

    def _next(self) -> bytes | None:
        self._skip_blanks()
        buffer = self._buffer
        self._has_begun = self._has_begun or bool(buffer)
        newline = buffer.find(b"\n", self._searched)
        if newline >= 0:
            self._ends_lines = True
            return self._forget(newline)
        self._searched = len(buffer)
        self._check()
        end = 0 if self._ends_lines else self._end()
        return self._forget(end) if end else None

    def _skip_blanks(self) -> None:
        """Between two lines there may be what ended the first of them, late."""
        blanks = next((place for place, byte in enumerate(self._buffer) if byte not in _BLANK), len(self._buffer))
        if blanks and b"\n" in self._forget(blanks):
            if not (self._has_begun or self._answers):
                raise RemoteWireError("an empty line, not HANDSHAKE")
            self._ends_lines = True

    def _forget(self, size: int) -> bytes:
        taken = bytes(self._buffer[:size])
        del self._buffer[:size]
        self._searched = 0
        return taken

    def _check(self) -> None:
        """What has come so far must be the beginning of a line, and of one that is not too long."""
        start = bytes(self._buffer[:16])
        if not any(start.startswith(verb + b" ") or (verb + b" ").startswith(start) for verb in _VERBS):
            raise RemoteWireError(
                f"line {_shown(start.decode('ascii', 'replace'))}, not HANDSHAKE, BITFIELD or REQUEST"
            )
        longest = _LONGEST_SHORT
        if start.startswith(b"BITFIELD"):
            longest = _MOST_BITS if self.num_pieces is None else 2 * self.num_pieces + _LONGEST_SHORT
        if len(self._buffer) > longest:
            raise RemoteWireError(f"a line of more than {longest} bytes")

    def _end(self) -> int:
        """Find where a line ends that has no newline: 0 when it may go on."""
        begin = self._buffer.find(b" ", 0, 16) + 1
        length = len(self._buffer)
        if not begin:
            return 0
        if self._buffer.startswith(b"HANDSHAKE"):
            end = begin + (2 * _HASH + 1 if self._answers else _HASH)
            return end if end <= length else 0
        if self._buffer.startswith(b"BITFIELD"):
            end = begin + 2 * (self.num_pieces or 0) - 1
            return end if begin < end <= length else 0
        rest = self._buffer[begin:]  # at most the length of a short line
        digits = len(rest) - len(rest.lstrip(b"0123456789"))
        if digits < len(rest):
            return begin + max(digits, 1)  # something else follows
        is_over = digits and self.num_pieces is not None and (rest == b"0" or int(rest) * 10 >= self.num_pieces)
        return length if is_over else 0


@define(eq=False)
class PieceReader:
    """
    Gathers the bytes of one piece, of which no length is sent. Knows no clock.

    It is over with its last byte. Where only the most it can be is known, which is so for the last piece, it is also
    over when the connection ends, or after :data:`PIECE_SILENCE` without a byte.
    """

    _size: int = PIECE_SIZE
    _is_exact: bool = True  # False: it may be shorter
    _content: bytearray = field(init=False, factory=bytearray)

    def feed(self, data: bytes) -> bytes | None:
        """
        Take what came; tell the piece when that is all of it.

        :raise RemoteWireError: more came than a piece has.
        """
        if len(self._content) + len(data) > self._size:
            raise RemoteWireError(f"a piece of more than {self._size} bytes")
        self._content += data
        return bytes(self._content) if len(self._content) == self._size else None

    def silence(self) -> bytes | None:
        """Tell the piece if :data:`PIECE_SILENCE` without a byte ends it."""
        return bytes(self._content) if self._content and not self._is_exact else None

    def ended(self) -> bytes:
        """
        Tell the piece that the end of the connection ends.

        :raise RemoteWireError: it cannot be all of it.
        """
        content = self.silence()
        if content is None:
            raise RemoteWireError(f"a piece of {len(self._content)} bytes, not {self._size}")
        return content


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else f"{text[:60]}…")
