"""One connection's conversation once the handshakes are through: what was said, and was it allowed just then."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from enum import StrEnum

from attrs import define, field

from p2pshare.errors import LocalWireError, RemoteWireError, WireError
from p2pshare.wire.dialect import BlockMessage, Dialect
from p2pshare.wire.framing import PREFIX, Framer
from p2pshare.wire.messages import (
    AllowedFast,
    Bitfield,
    Cancel,
    Choke,
    Extended,
    ExtendedHandshake,
    Have,
    HaveAll,
    HaveNone,
    Interested,
    KeepAlive,
    Message,
    NotInterested,
    Piece,
    Port,
    Reject,
    Request,
    Suggest,
    Unchoke,
    Unknown,
)


class State(StrEnum):
    """How far one side's half of the conversation is."""

    GREETED = "greeted"  # handshake sent; which pieces it holds may still be told
    OPEN = "open"  # that was told, or passed over: it holds none
    BROKEN = "broken"  # it broke the protocol; nothing it says counts any more


_ASIDE = (KeepAlive, Port, ExtendedHandshake, Extended, Unknown)  # tell nothing about pieces
_HOLDINGS = (Bitfield, HaveAll, HaveNone)
_TALK = (
    *(Choke, Unchoke, Interested, NotInterested, Have, Request, Piece, Cancel),  # BEP 3
    *(Suggest, Reject, AllowedFast),  # BEP 6
)

# Which message leads where; what a state's row lacks must not be said in it. Each side has a state of its own.
# BEP 3: a bitfield is only ever the first message, and BEP 6 has have_all and have_none in its place. What
# tells nothing about pieces may come before: clients send their extension handshake first. One exception is made
# for what we hear, never for what we say: aria2 sums many haves up in another bitfield. Whether such a one tells
# anything new is for those who know what was told before (docs/adr/0003).
NEXT: dict[State, dict[type[Message], State]] = {
    State.GREETED: {
        **dict.fromkeys(_ASIDE, State.GREETED),
        **dict.fromkeys(_HOLDINGS, State.OPEN),
        **dict.fromkeys(_TALK, State.OPEN),
    },
    State.OPEN: {
        **dict.fromkeys(_ASIDE, State.OPEN),
        **dict.fromkeys(_TALK, State.OPEN),
        Bitfield: State.OPEN,
    },
    State.BROKEN: {},
}
NEEDS_FAST = frozenset({HaveAll, HaveNone, Suggest, Reject, AllowedFast})  # BEP 6: close, if not negotiated
NEEDS_EXTENDED = frozenset({ExtendedHandshake, Extended})  # BEP 10 asks for no more than not to send them

_KEEP_ALIVE = KeepAlive()


@define(eq=False)
class WireSession:
    """
    The conversation on one connection, as both sides agreed on it in their handshakes.

    Checks what is said in isolation: form, order, sizes, and that a piece told exists. Whether a request or a
    block makes sense is for those who know the content. Knows no socket and no clock.
    """

    dialect: Dialect
    num_pieces: int = field(kw_only=True)
    fast: bool = field(kw_only=True)  # both sides offered BEP 6
    extended: bool = field(kw_only=True)  # both sides offered BEP 10
    heard: State = field(init=False, default=State.GREETED)  # the other side's half
    said: State = field(init=False, default=State.GREETED)  # our half
    _framer: Framer = field(init=False)
    _next: dict[State, dict[type[Message], State]] = field(init=False)  # NEXT, as far as negotiated

    def __attrs_post_init__(self) -> None:
        self._framer = Framer(self.dialect.max_frame, self.dialect.frame_limits)
        barred = (frozenset() if self.fast else NEEDS_FAST) | (frozenset() if self.extended else NEEDS_EXTENDED)
        self._next = {
            state: {kind: following for kind, following in row.items() if kind not in barred}
            for state, row in NEXT.items()
        }

    @property
    def is_mid_message(self) -> bool:
        """Whether a message has begun to arrive and its end has not come."""
        return self._framer.is_mid_frame

    def receive(self, data: bytes | memoryview) -> Iterator[Message]:
        """
        Read what arrived: yield each message that is complete now, in order.

        A Piece's data is valid until the next message is taken. Iterate to the end, or hang up; after that,
        ``data`` may be overwritten. Extension messages nobody negotiated come as Unknown.

        :raise RemoteWireError: the other side broke the protocol; the connection has to be closed.
        """
        decode = self.dialect.decode
        unheard = None if self.extended else self.dialect.extended_id
        try:
            for frame in self._framer.frames(data):
                message: Message = _KEEP_ALIVE
                if frame:
                    id = frame[0]
                    message = decode(id, frame[1:]) if id != unheard else Unknown(id)
                self.heard = self._after(self.heard, message, RemoteWireError)
                yield message
        except RemoteWireError:
            self.heard = State.BROKEN
            raise

    def encode(self, message: Message) -> bytes:
        """
        Write one message of ours.

        :raise LocalWireError: it is not allowed now, or on this connection, or cannot be right.
        """
        following = self._after(self.said, message, LocalWireError)
        frame = self.dialect.encode(message)
        length = len(frame) - PREFIX
        if length and length > self.dialect.frame_limits.get(frame[PREFIX], self.dialect.max_frame):
            raise LocalWireError(f"{type(message).__name__}: {length} bytes are more than peers accept")
        self.said = following
        return frame

    def encode_blocks(self, kind: BlockMessage, blocks: Iterable[Iterable[int]]) -> bytes:
        """
        Write many requests, cancels or rejects of ours at once.

        :param blocks: (piece, begin, length) of each, as the ledger names them.
        :raise LocalWireError: that kind of message is not allowed on this connection, or a number does not fit.
        """
        following = self._following(self.said, kind, LocalWireError)
        frames = self.dialect.encode_blocks(kind, blocks)
        self.said = following
        return frames

    def encode_haves(self, indices: Iterable[int]) -> bytes:
        """
        Write a ``have`` of ours for each piece, all at once.

        :raise LocalWireError: there is no such piece.
        """
        indices = list(indices)
        following = self._following(self.said, Have, LocalWireError)
        for index in indices:
            self._check_index(Have, index, LocalWireError)
        self.said = following
        return self.dialect.encode_haves(indices)

    def _after(self, state: State, message: Message, blame: type[WireError]) -> State:
        """Check a message of either side and name the state it leads to; ``blame`` is raised when it is wrong."""
        following = self._following(state, type(message), blame)
        match message:
            case Piece() | Request():  # first: nearly all there is. Nothing to check here
                pass
            case Have(index) | Suggest(index) | AllowedFast(index):
                self._check_index(type(message), index, blame)
            case Bitfield(bits):
                self._check_bits(bits, blame)
        return following

    def _following(self, state: State, kind: type[Message], blame: type[WireError]) -> State:
        following = self._next[state].get(kind)
        if following is None or (kind is Bitfield and state is State.OPEN and blame is LocalWireError):
            why = f"comes too late, the conversation is {state}"
            if kind in NEXT[state]:
                why = "belongs to an extension that was not negotiated"
            raise blame(f"{kind.__name__}: {why}")
        return following

    def _check_index(self, kind: type[Message], index: int, blame: type[WireError]) -> None:
        if not 0 <= index < self.num_pieces:
            raise blame(f"{kind.__name__}: piece {index} of {self.num_pieces}")

    def _check_bits(self, bits: bytes, blame: type[WireError]) -> None:
        size = (self.num_pieces + 7) // 8
        if len(bits) != size:
            raise blame(f"Bitfield: {len(bits)} bytes, not {size} for {self.num_pieces} pieces")
        spare = 8 * size - self.num_pieces
        if size and bits[-1] & ((1 << spare) - 1):
            raise blame(f"Bitfield: a spare bit after {self.num_pieces} pieces is set")
