"""The bytes of the peer protocol: handshake and messages (BEP 3), fast messages (BEP 6), extensions (BEP 10)."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable
from struct import Struct

from attrs import fields, frozen

from p2pshare.errors import LocalWireError, RemoteWireError
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.wire import extended, messages
from p2pshare.wire.dialect import BlockMessage, Dialect
from p2pshare.wire.messages import Message

PROTOCOL_PREFIX = b"\x13BitTorrent protocol"
HANDSHAKE_SIZE = 68

_EXTENDED_BIT = (5, 0x10)  # byte of the reserved field, bit: BEP 10
_FAST_BIT = (7, 0x04)  # BEP 6
_DHT_BIT = (7, 0x01)  # BEP 5
RESERVED = b"\0\0\0\0\0\x10\0\x04"  # what we offer: extended and fast; the DHT is not spoken

BITFIELD, PIECE, EXTENDED = 5, 7, 20  # ids of the messages of variable length

# The bitfield of 2**21 pieces, the most we take a torrent to have, and its id.
MAX_FRAME = 256 * 1024 + 1


@frozen
class Handshake:
    """The first 68 bytes each side sends (BEP 3, "peer protocol")."""

    reserved: bytes  # 8 bytes of feature bits
    info_hash: bytes
    peer_id: bytes

    @property
    def extended(self) -> bool:
        """Whether it takes extension messages (BEP 10)."""
        return self._has(_EXTENDED_BIT)

    @property
    def fast(self) -> bool:
        """Whether it speaks the fast extension (BEP 6)."""
        return self._has(_FAST_BIT)

    @property
    def dht(self) -> bool:
        """Whether it runs a DHT node and wants our ``port`` message (BEP 5)."""
        return self._has(_DHT_BIT)

    def _has(self, place: tuple[int, int]) -> bool:
        byte, bit = place
        return bool(self.reserved[byte] & bit)


def encode_handshake(handshake: Handshake) -> bytes:
    """
    Write a handshake.

    :raise LocalWireError: a part has the wrong size.
    """
    data = PROTOCOL_PREFIX + handshake.reserved + handshake.info_hash + handshake.peer_id
    if (len(handshake.reserved), len(handshake.info_hash), len(data)) != (8, 20, HANDSHAKE_SIZE):
        raise LocalWireError("handshake: reserved, info_hash and peer_id are not 8, 20 and 20 bytes")
    return data


def decode_handshake(data: bytes) -> Handshake:
    """
    Read a handshake from exactly its 68 bytes.

    :raise RemoteWireError: it is some other protocol, or another number of bytes.
    """
    prefix = len(PROTOCOL_PREFIX)
    if data[:prefix] != PROTOCOL_PREFIX:
        raise RemoteWireError(f"handshake: begins with {bytes(data[:prefix])!r}, not with the protocol's name")
    if len(data) != HANDSHAKE_SIZE:
        raise RemoteWireError(f"handshake: {len(data)} bytes, not {HANDSHAKE_SIZE}")
    return Handshake(reserved=bytes(data[20:28]), info_hash=bytes(data[28:48]), peer_id=bytes(data[48:68]))


@frozen
class _Layout:
    """How a message whose size never varies lies on the wire: id, then its fields in order."""

    id: int
    kind: Callable[..., Message]
    names: tuple[str, ...]
    payload: Struct


def _layout(id: int, kind: type[Message], payload: str = "") -> _Layout:
    return _Layout(id, kind, tuple(attribute.name for attribute in fields(kind)), Struct(">" + payload))


_FIXED = (
    _layout(0, messages.Choke),
    _layout(1, messages.Unchoke),
    _layout(2, messages.Interested),
    _layout(3, messages.NotInterested),
    _layout(4, messages.Have, "I"),
    _layout(6, messages.Request, "III"),
    _layout(8, messages.Cancel, "III"),
    _layout(9, messages.Port, "H"),
    _layout(13, messages.Suggest, "I"),
    _layout(14, messages.HaveAll),
    _layout(15, messages.HaveNone),
    _layout(16, messages.Reject, "III"),
    _layout(17, messages.AllowedFast, "I"),
)
_BY_ID = {layout.id: layout for layout in _FIXED}
_BY_KIND = {layout.kind: layout for layout in _FIXED}

_HEAD = Struct(">IB")  # length, id
_PLACE = Struct(">II")  # index, begin
_PIECE_HEAD = Struct(">IBII")  # length, id, index, begin
_BLOCK = Struct(">IBIII")  # length, id, index, begin, length of the block
_HAVE = Struct(">IBI")  # length, id, index

# Nobody is asked for more than a block, so nobody has a reason to send more.
_MAX_PIECE = _PLACE.size + BLOCK_SIZE


def decode(id: int, payload: memoryview) -> Message:
    """
    Read one message. Ids without a meaning are Unknown: new extensions bring new ids.

    The view in a Piece is a part of ``payload``; everything else is copied.

    :raise RemoteWireError: the payload has not the size its id wants, or an extension handshake is none.
    """
    if id == PIECE:  # first: nine of ten messages of a download are blocks
        if not _PLACE.size <= len(payload) <= _MAX_PIECE:
            raise RemoteWireError(f"Piece: {len(payload)} bytes of payload, not {_PLACE.size} to {_MAX_PIECE}")
        index, begin = _PLACE.unpack_from(payload)
        return messages.Piece(index, begin, payload[_PLACE.size :])
    layout = _BY_ID.get(id)
    if layout is not None:
        if len(payload) != layout.payload.size:
            raise RemoteWireError(f"message {id}: {len(payload)} bytes of payload, not {layout.payload.size}")
        return layout.kind(*layout.payload.unpack(payload))
    if id == BITFIELD:
        return messages.Bitfield(bytes(payload))
    if id == EXTENDED:
        return _decode_extended(payload)
    return messages.Unknown(id)


def _decode_extended(payload: memoryview) -> Message:
    if not payload:
        raise RemoteWireError("extended: no id")
    content = bytes(payload[1:])
    if payload[0] == 0:
        return extended.decode_handshake(content)
    return messages.Extended(payload[0], content)


def encode(message: Message) -> bytes:
    """
    Write one message as a whole frame.

    :raise LocalWireError: a number does not fit its field, or there is no such message on the wire.
    """
    layout = _BY_KIND.get(type(message))
    if layout is not None:
        values = [getattr(message, name) for name in layout.names]
        try:
            return _frame(layout.id, layout.payload.pack(*values))
        except struct.error as error:
            raise LocalWireError(f"{message}: {error}") from error
    match message:
        case messages.Piece(index, begin, data):
            return piece_header(index, begin, len(data)) + data
        case messages.KeepAlive():
            return b"\0\0\0\0"
        case messages.Bitfield(bits):
            return _frame(BITFIELD, bits)
        case messages.ExtendedHandshake():
            return _frame(EXTENDED, b"\0" + extended.encode_handshake(message))
        case messages.Extended(id, payload) if 1 <= id <= 255:
            return _frame(EXTENDED, bytes([id]) + payload)
        case _:
            raise LocalWireError(f"{message}: cannot be said in this protocol")


def _frame(id: int, payload: bytes) -> bytes:
    return _HEAD.pack(1 + len(payload), id) + payload


def piece_header(index: int, begin: int, length: int) -> bytes:
    """
    Write the 13 bytes of a ``piece`` message that come before its ``length`` bytes of data.

    :raise LocalWireError: a number does not fit its field.
    """
    try:
        return _PIECE_HEAD.pack(9 + length, PIECE, index, begin)
    except struct.error as error:
        raise LocalWireError(f"piece {index} at {begin}: {error}") from error


def encode_blocks(kind: BlockMessage, blocks: Iterable[Iterable[int]]) -> bytes:
    """
    Write many requests, cancels or rejects, given as (index, begin, length), for one write.

    :raise LocalWireError: a number does not fit its field.
    """
    id, pack = _BY_KIND[kind].id, _BLOCK.pack
    try:
        return b"".join([pack(13, id, *block) for block in blocks])
    except struct.error as error:
        raise LocalWireError(f"{kind.__name__}: {error}") from error


def encode_requests(requests: Iterable[Iterable[int]]) -> bytes:
    """Write many requests for one write: Request messages, or the ledger's (piece, begin, length)."""
    return encode_blocks(messages.Request, requests)


def encode_haves(indices: Iterable[int]) -> bytes:
    """
    Write a ``have`` for each piece, for one write.

    :raise LocalWireError: an index does not fit its field.
    """
    id = _BY_KIND[messages.Have].id
    try:
        return b"".join([_HAVE.pack(5, id, index) for index in indices])
    except struct.error as error:
        raise LocalWireError(f"Have: {error}") from error


DIALECT = Dialect(
    name="bep3",
    encode=encode,
    decode=decode,
    encode_blocks=encode_blocks,
    encode_haves=encode_haves,
    piece_header=piece_header,
    max_frame=MAX_FRAME,
    frame_limits={**{layout.id: 1 + layout.payload.size for layout in _FIXED}, PIECE: 1 + _MAX_PIECE},
    fast=True,
    extended_id=EXTENDED,
    block_requests=True,
)
