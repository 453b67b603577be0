"""The bytes of the course project's protocol: eight messages, and pieces that are never subdivided."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from struct import Struct

from attrs import frozen

from p2pshare.errors import LocalWireError, RemoteWireError
from p2pshare.geometry import Geometry
from p2pshare.wire import messages
from p2pshare.wire.dialect import BlockMessage, Dialect
from p2pshare.wire.messages import Message

PROTOCOL_PREFIX = b"P2PFILESHARINGPROJ" + bytes(10)  # the header and the zero bits
HANDSHAKE_SIZE = 32

HAVE, BITFIELD, REQUEST, PIECE = 4, 5, 6, 7  # types of the messages with a payload

_WORDS: dict[int, Message] = {
    0: messages.Choke(),
    1: messages.Unchoke(),
    2: messages.Interested(),
    3: messages.NotInterested(),
}
_TYPES = {type(message): id for id, message in _WORDS.items()}

_ID = Struct(">I")
_INDEX = Struct(">I")
_HEAD = Struct(">IB")  # length, type
_INDEXED = Struct(">IBI")  # length, type, piece index


@frozen
class Handshake:
    """The first 32 bytes each side sends. It names no content: the port that it is sent to does."""

    id: int  # of the sender, as PeerInfo.cfg has it

    @property
    def peer_id(self) -> bytes:
        """The same, as it stands on the wire."""
        return _ID.pack(self.id)


def encode_handshake(handshake: Handshake) -> bytes:
    """
    Write a handshake.

    :raise LocalWireError: the id does not fit in its 4 bytes.
    """
    try:
        return PROTOCOL_PREFIX + handshake.peer_id
    except struct.error as error:
        raise LocalWireError(f"handshake: peer id {handshake.id}: {error}") from error


def decode_handshake(data: bytes) -> Handshake:
    """
    Read a handshake from exactly its 32 bytes.

    :raise RemoteWireError: it is some other protocol, a zero bit is set, or it is another number of bytes.
    """
    prefix = len(PROTOCOL_PREFIX)
    if data[:prefix] != PROTOCOL_PREFIX:
        raise RemoteWireError(f"handshake: begins with {bytes(data[:prefix])!r}, not with {PROTOCOL_PREFIX!r}")
    if len(data) != HANDSHAKE_SIZE:
        raise RemoteWireError(f"handshake: {len(data)} bytes, not {HANDSHAKE_SIZE}")
    return Handshake(*_ID.unpack_from(data, prefix))


def _ignore(size: int) -> None:
    """Take a short bitfield without a word."""


@frozen
class _Codec:
    """
    The messages about one content. Knows no connection.

    ``request`` and ``piece`` carry no begin and no length. Both follow from the piece's index, so that the messages
    read and written here are the ones of every other dialect: a request is for the whole piece, a piece is one block.
    """

    _geometry: Geometry
    _short_bitfield: Callable[[int], None]

    def decode(self, id: int, payload: memoryview) -> Message:
        """
        Read one message. Types from 8 on are Unknown.

        The view in a Piece is a part of ``payload``; everything else is copied.

        :raise RemoteWireError: the payload has not the size its type wants, or names a piece that does not exist.
        """
        if id == PIECE:
            index = self._index("Piece", payload)
            content = payload[_INDEX.size :]
            if len(content) != self._geometry.piece_size(index):
                size = self._geometry.piece_size(index)
                raise RemoteWireError(f"Piece: {len(content)} bytes of piece {index}, not {size}")
            return messages.Piece(index, 0, content)
        if id in (HAVE, REQUEST):
            name = "Have" if id == HAVE else "Request"
            index = self._index(name, payload)
            if len(payload) != _INDEX.size:
                raise RemoteWireError(f"{name}: {len(payload)} bytes of payload, not {_INDEX.size}")
            return messages.Have(index) if id == HAVE else messages.Request(index, 0, self._geometry.piece_size(index))
        if id == BITFIELD:
            return messages.Bitfield(self._whole_bitfield(bytes(payload)))
        word = _WORDS.get(id)
        if word is None:
            return messages.Unknown(id)
        if payload:
            raise RemoteWireError(f"message {id}: {len(payload)} bytes of payload, not 0")
        return word

    def _index(self, name: str, payload: memoryview) -> int:
        if len(payload) < _INDEX.size:
            raise RemoteWireError(f"{name}: {len(payload)} bytes of payload, which is no piece index")
        index = int(_INDEX.unpack_from(payload)[0])
        if index >= self._geometry.num_pieces:
            raise RemoteWireError(f"{name}: piece {index} of {self._geometry.num_pieces}")
        return index

    def _whole_bitfield(self, bits: bytes) -> bytes:
        """Add the end that some implementations leave away when it is zeros. What is too long is judged later."""
        missing = bitfield_size(self._geometry) - len(bits)
        if missing > 0:
            self._short_bitfield(len(bits))
            return bits + bytes(missing)
        return bits

    def encode(self, message: Message) -> bytes:
        """
        Write one message as a whole frame.

        :raise LocalWireError: it speaks of a part of a piece, a number does not fit, or there is no such message.
        """
        match message:
            case messages.Have(index):
                return self.encode_haves((index,))
            case messages.Bitfield(bits):
                return _HEAD.pack(1 + len(bits), BITFIELD) + bits
            case messages.Request():
                return self.encode_blocks(messages.Request, (message,))
            case messages.Piece(index, begin, data):
                return self.piece_header(index, begin, len(data)) + data
            case _ if type(message) in _TYPES:
                return _HEAD.pack(1, _TYPES[type(message)])
            case _:
                raise LocalWireError(f"{message}: cannot be said in the course protocol")

    def encode_blocks(self, kind: BlockMessage, blocks: Iterable[Iterable[int]]) -> bytes:
        """
        Write many requests for one write. There is no cancel and no reject.

        :raise LocalWireError: another kind of message, or a block that is no whole piece.
        """
        if kind is not messages.Request:
            raise LocalWireError(f"{kind.__name__}: cannot be said in the course protocol")
        frames = []
        for index, begin, length in blocks:
            self._insist_on_whole(index, begin, length)
            frames.append(_INDEXED.pack(1 + _INDEX.size, REQUEST, index))
        return b"".join(frames)

    def encode_haves(self, indices: Iterable[int]) -> bytes:
        """
        Write a ``have`` for each piece, for one write.

        :raise LocalWireError: there is no such piece.
        """
        frames = []
        for index in indices:
            self._insist_on_piece(index)
            frames.append(_INDEXED.pack(1 + _INDEX.size, HAVE, index))
        return b"".join(frames)

    def piece_header(self, index: int, begin: int, length: int) -> bytes:
        """
        Write the 9 bytes of a ``piece`` message that come before the content.

        :raise LocalWireError: a part of a piece, or there is no such piece.
        """
        self._insist_on_whole(index, begin, length)
        return _INDEXED.pack(1 + _INDEX.size + length, PIECE, index)

    def _insist_on_whole(self, index: int, begin: int, length: int) -> None:
        self._insist_on_piece(index)
        size = self._geometry.piece_size(index)
        if (begin, length) != (0, size):
            raise LocalWireError(f"piece {index}: {length} bytes from {begin}, not all its {size}")

    def _insist_on_piece(self, index: int) -> None:
        if not 0 <= index < self._geometry.num_pieces:
            raise LocalWireError(f"piece {index} of {self._geometry.num_pieces}")


def bitfield_size(geometry: Geometry) -> int:
    """Count the bytes of a content's ``bitfield``."""
    return (geometry.num_pieces + 7) // 8


def make_dialect(geometry: Geometry, short_bitfield: Callable[[int], None] = _ignore) -> Dialect:
    """
    Make the dialect for one content: what a request or piece means depends on its sizes.

    :param short_bitfield: told the size of a bitfield that lacks its end, which is then taken as zeros.
    """
    codec = _Codec(geometry, short_bitfield)
    indexed = 1 + _INDEX.size
    bitfield, piece = 1 + bitfield_size(geometry), indexed + geometry.piece_length
    return Dialect(
        name="course",
        encode=codec.encode,
        decode=codec.decode,
        encode_blocks=codec.encode_blocks,
        encode_haves=codec.encode_haves,
        piece_header=codec.piece_header,
        max_frame=max(bitfield, piece),
        frame_limits={**dict.fromkeys(_WORDS, 1), HAVE: indexed, REQUEST: indexed, BITFIELD: bitfield, PIECE: piece},
        fast=False,
        extended_id=None,
        block_requests=False,
    )
