"""What sets one peer protocol apart from another: its codecs and its traits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

from attrs import frozen

from p2pshare.wire.messages import Cancel, Message, Reject, Request

BlockMessage = type[Request] | type[Cancel] | type[Reject]


@frozen(kw_only=True)
class Dialect:
    """
    One length-prefixed peer protocol, as pure functions. A WireSession asks it what bytes mean.

    Its codecs translate and check sizes only; whether something may be said now is the session's business.
    """

    name: str
    encode: Callable[[Message], bytes]  # a whole frame; LocalWireError when it has no bytes for that
    decode: Callable[[int, memoryview], Message]  # from message id and payload; RemoteWireError
    encode_blocks: Callable[[BlockMessage, Iterable[Iterable[int]]], bytes]  # many (piece, begin, length) in one go
    encode_haves: Callable[[Iterable[int]], bytes]
    piece_header: Callable[[int, int, int], bytes]  # what precedes a block's bytes

    max_frame: int  # bytes after the length, id included: more closes the connection
    frame_limits: Mapping[int, int]  # the same for ids whose messages are always shorter

    fast: bool  # it has the messages of BEP 6
    extended_id: int | None  # the id that carries extensions (BEP 10), None when it has none
    block_requests: bool  # requests name blocks; False: whole pieces
