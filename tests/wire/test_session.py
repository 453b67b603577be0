"""One connection's conversation: what may be said, when, and what becomes of nonsense."""

from __future__ import annotations

from collections.abc import Iterable
from typing import get_args

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import LocalWireError, RemoteWireError
from p2pshare.wire import bep3, messages
from p2pshare.wire.messages import Message
from p2pshare.wire.session import NEXT, State, WireSession
from tests.wire.strategies import NUM_PIECES, conversations

FAST = (messages.HaveAll(), messages.HaveNone(), messages.Suggest(1), messages.Reject(1, 0, 9), messages.AllowedFast(1))
EXTENDED = (messages.ExtendedHandshake(), messages.Extended(1, b"x"))
HOLDINGS = (messages.Bitfield(bytes(3)), messages.HaveAll(), messages.HaveNone())
ASIDES = (messages.KeepAlive(), messages.Port(1), *EXTENDED)
TALK = (
    *(messages.Choke(), messages.Unchoke(), messages.Interested(), messages.NotInterested(), messages.Have(1)),
    *(messages.Request(1, 0, 9), messages.Piece(1, 0, b"x"), messages.Cancel(1, 0, 9)),
    *(messages.Suggest(1), messages.Reject(1, 0, 9), messages.AllowedFast(1)),
)


def session(num_pieces: int = NUM_PIECES, fast: bool = True, extended: bool = True) -> WireSession:
    """Start a conversation in which everything was negotiated."""
    return WireSession(bep3.DIALECT, num_pieces=num_pieces, fast=fast, extended=extended)


def said(*spoken: Message) -> bytes:
    """What the other side sends when it says this, allowed or not."""
    return b"".join(map(bep3.encode, spoken))


def heard(wire: WireSession, *chunks: bytes | memoryview) -> list[Message]:
    """Feed a session chunk by chunk; blocks are copied, as whoever listens does."""
    return [kept(message) for chunk in chunks for message in wire.receive(chunk)]


def kept(message: Message) -> Message:
    """Copy what a message only borrows."""
    return evolve(message, data=bytes(message.data)) if isinstance(message, messages.Piece) else message


def pieces(data: bytes, size: int) -> Iterable[bytes]:
    """Cut bytes into chunks of a size."""
    return (data[at : at + size] for at in range(0, len(data), size))


class ReceiveTests(SynchronousTestCase):
    conversation = [*ASIDES, messages.Bitfield(b"\xf0\x00\x10"), *TALK, *ASIDES, messages.Piece(2, 16384, bytes(99))]

    def test_cut_at_every_byte(self) -> None:
        """Wherever the stream is cut in two, the messages are the same."""
        stream = said(*self.conversation)
        for at in range(len(stream) + 1):
            self.assertEqual(heard(session(), stream[:at], stream[at:]), self.conversation)

    def test_any_chunks(self) -> None:
        """Chunks of any size, down to single bytes, give the same messages."""
        stream = said(*self.conversation)
        for size in range(1, 40):
            self.assertEqual(heard(session(), *pieces(stream, size)), self.conversation)

    @given(conversations, st.integers(1, 300))
    def test_round_trip(self, conversation: list[Message], size: int) -> None:
        """Any allowed conversation can be said by one session and is understood by another."""
        ours, theirs = session(), session()
        stream = b"".join(map(ours.encode, conversation))
        self.assertEqual(heard(theirs, *pieces(stream, size)), conversation)
        self.assertEqual(theirs.heard, ours.said)

    def test_blocks_are_views(self) -> None:
        """Blocks that lie whole in a chunk are not copied."""
        chunk = said(*(messages.Piece(0, 16384 * number, bytes(16384)) for number in range(4)))
        for message in session().receive(chunk):
            self.assertIs(message.data.obj, chunk)

    def test_receive_buffer_may_be_reused(self) -> None:
        """The same buffer may carry one chunk after the other."""
        conversation = [messages.Piece(number, 0, bytes([number]) * 5000) for number in range(9)]
        stream, buffer, wire, found = said(*conversation), bytearray(7000), session(), []
        for chunk in pieces(stream, len(buffer)):
            buffer[: len(chunk)] = chunk
            found += heard(wire, memoryview(buffer)[: len(chunk)])
            buffer[:] = b"\xff" * len(buffer)
        self.assertEqual(found, conversation)

    def test_is_mid_message(self) -> None:
        """While a message has not come to its end, the session says so."""
        wire, stream = session(), said(messages.Have(1))
        heard(wire, stream + stream[:3])
        self.assertTrue(wire.is_mid_message)
        heard(wire, stream[3:])
        self.assertFalse(wire.is_mid_message)

    def test_messages_before_the_nonsense_count(self) -> None:
        """What was right is heard before the error is raised, and nothing is heard after it."""
        wire, found = session(), []
        with self.assertRaises(RemoteWireError):
            for message in wire.receive(said(messages.Unchoke(), messages.Have(99), messages.Choke())):
                found.append(message)  # noqa: PERF402 - the error comes while iterating
        self.assertEqual(found, [messages.Unchoke()])
        self.assertEqual(wire.heard, State.BROKEN)
        self.assertRaises(RemoteWireError, heard, wire, said(messages.Choke()))


class OrderTests(SynchronousTestCase):
    def test_the_table_knows_every_message(self) -> None:
        """No message was forgotten in the table; what is not allowed in a state is left out on purpose."""
        self.assertEqual(set(NEXT[State.GREETED]), set(get_args(Message)))
        late = set(NEXT[State.GREETED]) - set(NEXT[State.OPEN])
        self.assertEqual(late, {messages.HaveAll, messages.HaveNone})

    def test_extensions_may_come_before_the_pieces(self) -> None:
        """Keep-alives, the DHT port and extension messages do not spend the one moment for a bitfield."""
        for first in (*ASIDES, messages.Unknown(99)):
            wire = session()
            heard(wire, b"\0\0\0\1\x63" if isinstance(first, messages.Unknown) else said(first))
            self.assertEqual(heard(wire, said(messages.HaveAll())), [messages.HaveAll()])

    def test_pieces_need_not_be_told(self) -> None:
        """A peer without pieces may skip the bitfield, even one that could say have_none."""
        for message in TALK:
            self.assertEqual(heard(session(), said(message)), [message])

    def test_f24_late(self) -> None:
        """A have_all or have_none after any other word about pieces closes."""
        for first in (*HOLDINGS, *TALK):
            for holding in (messages.HaveAll(), messages.HaveNone()):
                wire = session()
                heard(wire, said(first))
                self.assertRaises(RemoteWireError, heard, wire, said(holding))

    def test_another_bitfield_is_heard(self) -> None:
        """aria2 sums up many haves in another bitfield: it is handed on, to be judged by what was told before."""
        again = messages.Bitfield(b"\x80\0\0")
        for first in (*HOLDINGS, *TALK):
            self.assertEqual(heard(session(), said(first, again))[-1], again)

    def test_f24_length(self) -> None:
        """A bitfield has exactly the bytes its pieces need."""
        for num_pieces, size in ((1, 1), (8, 1), (9, 2), (20, 3), (0, 0), (2**21, 2**18)):
            bits = messages.Bitfield(bytes(size))
            self.assertEqual(heard(session(num_pieces), said(bits)), [bits])
            for wrong in (size - 1, size + 1):
                if wrong >= 0:
                    wrong_bits = said(messages.Bitfield(bytes(wrong)))
                    self.assertRaises(RemoteWireError, heard, session(num_pieces), wrong_bits)

    def test_f24_spare_bits(self) -> None:
        """The bits after the last piece are zero; every one of them is looked at."""
        for num_pieces in range(1, 18):
            size = (num_pieces + 7) // 8
            for bit in range(8 * size):
                wire, chunk = session(num_pieces), said(messages.Bitfield((1 << bit).to_bytes(size, "big")))
                if bit < 8 * size - num_pieces:
                    self.assertRaises(RemoteWireError, heard, wire, chunk)
                else:
                    self.assertEqual(len(heard(wire, chunk)), 1)

    def test_f25_index(self) -> None:
        """A have, suggest or allowed_fast for a piece that does not exist closes; for the last piece it passes."""
        for kind in (messages.Have, messages.Suggest, messages.AllowedFast):
            last = kind(NUM_PIECES - 1)
            self.assertEqual(heard(session(), said(last)), [last])
            for index in (NUM_PIECES, 2**32 - 1):
                self.assertRaises(RemoteWireError, heard, session(), said(kind(index)))

    def test_f25_the_same_have_again(self) -> None:
        """A have may be said again and again; the session keeps nothing of it."""
        wire, chunk = session(), said(*[messages.Have(7)] * 1000)
        for _ in range(10):
            self.assertEqual(len(heard(wire, chunk)), 1000)
        self.assertFalse(wire.is_mid_message)

    def test_f26_requests_are_not_judged(self) -> None:
        """Requests that make no sense pass: the swarm knows the content, counts and rejects them."""
        for numbers in ((0, 0, 0), (NUM_PIECES, 0, 16384), (0, 2**32 - 1, 2**32 - 1)):
            request = messages.Request(*numbers)
            self.assertEqual(heard(session(), said(request)), [request])

    def test_f30_cancels_are_not_judged(self) -> None:
        """A cancel of something never requested is just a message."""
        cancel = messages.Cancel(2**32 - 1, 0, 5)
        self.assertEqual(heard(session(), said(cancel)), [cancel])


class NegotiationTests(SynchronousTestCase):
    def test_fast_without_negotiation(self) -> None:
        """A fast message from a peer that did not offer the extension, or whom we did not, closes (BEP 6)."""
        for message in FAST:
            self.assertEqual(heard(session(), said(message)), [message])
            self.assertRaises(RemoteWireError, heard, session(fast=False), said(message))

    def test_extended_without_negotiation(self) -> None:
        """Extension messages nobody asked for are passed over, even if their content is nonsense (BEP 10)."""
        wire = session(extended=False)
        for chunk in (*map(said, EXTENDED), b"\0\0\0\1\x14", b"\0\0\0\4\x14\0le"):
            self.assertEqual(heard(wire, chunk), [messages.Unknown(20)])
        self.assertEqual(heard(wire, said(messages.HaveAll())), [messages.HaveAll()])

    def test_f39_extension_handshake(self) -> None:
        """A handshake full of nonsense is read for what makes sense; one that is no dictionary closes."""
        payload = b"d1:mle1:pi6881e4:reqqi-1e1:v204800:" + b"v" * 204800 + b"e"
        frame = (2 + len(payload)).to_bytes(4, "big") + b"\x14\0" + payload
        expected = messages.ExtendedHandshake(port=6881, version="v" * 64)
        self.assertEqual(heard(session(), *pieces(frame, 10_000)), [expected])
        self.assertRaises(RemoteWireError, heard, session(), b"\0\0\0\4\x14\0le")

    def test_f40_unknown_messages(self) -> None:
        """Messages and extensions we do not know are passed over, at any time and up to 256 KiB."""
        wire = session()
        for chunk in (b"\0\0\0\1\xff", b"\0\4\0\0\x0a" + bytes(2**18 - 1)):
            self.assertEqual(heard(wire, *pieces(chunk, 2**16)), [messages.Unknown(chunk[4])])
        unknown = messages.Extended(200, b"whatever")
        self.assertEqual(heard(wire, said(unknown)), [unknown])
        self.assertEqual(wire.heard, State.GREETED)


class GarbageTests(SynchronousTestCase):
    def test_f22_length(self) -> None:
        """A length over the limit closes at once, before anything of that message is kept."""
        for length in (bep3.MAX_FRAME + 1, 2**20, 2**32 - 1):
            self.assertRaises(RemoteWireError, heard, session(), length.to_bytes(4, "big"))
        limit = bep3.MAX_FRAME.to_bytes(4, "big") + b"\xff" + bytes(bep3.MAX_FRAME - 1)
        self.assertEqual(heard(session(), limit), [messages.Unknown(255)])

    def test_f22_length_of_a_kind(self) -> None:
        """A message that is always short closes when it claims to be long: nobody waits for the rest."""
        for message, size in ((messages.Have(1), 5), (messages.Choke(), 1), (messages.Piece(1, 0, b""), 16384 + 9)):
            id = said(message)[4:5]
            for length in (size + 1, 200 * 1024):
                self.assertRaises(RemoteWireError, heard, session(), length.to_bytes(4, "big") + id)

    def test_f22_truncated_kinds(self) -> None:
        """A message shorter than its kind closes."""
        for chunk in (b"\0\0\0\1\x04", b"\0\0\0\x08\x07" + bytes(7), b"\0\0\0\x0c\x06" + bytes(11), b"\0\0\0\1\x14"):
            self.assertRaises(RemoteWireError, heard, session(), chunk)

    def test_f41_keepalive_flood(self) -> None:
        """Any number of keep-alives changes nothing."""
        wire = session()
        self.assertEqual(heard(wire, bytes(4003)), [messages.KeepAlive()] * 1000)
        heard(wire, bytes(1))
        self.assertEqual((wire.heard, wire.is_mid_message), (State.GREETED, False))

    @given(st.lists(st.binary(max_size=80), max_size=6), st.booleans(), st.booleans())
    @settings(max_examples=200)
    def test_any_bytes(self, chunks: list[bytes], fast: bool, extended: bool) -> None:
        """Any bytes are messages or a RemoteWireError."""
        try:
            heard(session(fast=fast, extended=extended), *chunks)
        except RemoteWireError:
            pass

    @given(st.lists(st.tuples(st.integers(0, 21), st.binary(max_size=14)), max_size=6), st.booleans(), st.booleans())
    @settings(max_examples=200)
    def test_any_frames(self, frames: list[tuple[int, bytes]], fast: bool, extended: bool) -> None:
        """Any frames are messages or a RemoteWireError, which no cutting changes."""
        stream = b"".join((1 + len(payload)).to_bytes(4, "big") + bytes([id]) + payload for id, payload in frames)
        outcomes = []
        for size in (1, 7, len(stream) + 1):
            wire, found = session(fast=fast, extended=extended), []
            try:
                for chunk in pieces(stream, size):
                    for message in wire.receive(chunk):
                        found.append(kept(message))  # noqa: PERF401 - an error must leave what came before it
            except RemoteWireError:
                found.append(None)
            outcomes.append(found)
        self.assertEqual(outcomes[0], outcomes[1])
        self.assertEqual(outcomes[0], outcomes[2])


class EncodeTests(SynchronousTestCase):
    def assert_our_bug(self, wire: WireSession, *spoken: Message) -> None:
        """Check that none of these can be said now, and that trying changes nothing."""
        before = wire.said
        for message in spoken:
            self.assertRaises(LocalWireError, wire.encode, message)
        self.assertEqual(wire.said, before)

    def test_we_follow_the_same_order(self) -> None:
        """We tell our pieces once and first; our own word does not depend on what the other side said."""
        wire = session()
        heard(wire, said(messages.HaveNone(), messages.Interested()))
        wire.encode(messages.ExtendedHandshake())
        self.assertEqual(wire.encode(messages.Bitfield(bytes(3))), said(messages.Bitfield(bytes(3))))
        self.assert_our_bug(wire, *HOLDINGS)
        self.assertEqual(wire.encode(messages.Unchoke()), said(messages.Unchoke()))

    def test_we_say_what_was_negotiated(self) -> None:
        """Fast and extension messages are refused when the other side does not know them."""
        self.assert_our_bug(session(fast=False), *FAST)
        self.assert_our_bug(session(extended=False), *EXTENDED)

    def test_we_say_what_can_be_right(self) -> None:
        """Pieces that do not exist, wrong bitfields, too large blocks and unknown messages are our bugs."""
        self.assert_our_bug(
            session(),
            *(messages.Have(NUM_PIECES), messages.Have(-1), messages.Suggest(NUM_PIECES)),
            *(messages.Bitfield(bytes(2)), messages.Bitfield(b"\0\0\x01")),
            *(messages.Piece(0, 0, bytes(16385)), messages.Extended(1, bytes(2**18)), messages.Unknown(99)),
        )

    def test_batches(self) -> None:
        """Many requests, cancels, rejects or haves are encoded at once and count as said."""
        blocks = [(0, 0, 16384), (3, 16384, 5)]
        for kind in (messages.Request, messages.Cancel, messages.Reject):
            wire = session()
            self.assertEqual(wire.encode_blocks(kind, blocks), said(*(kind(*block) for block in blocks)))
            self.assertEqual(wire.said, State.OPEN)
        wire = session()
        self.assertEqual(wire.encode_haves(iter([3, 5])), said(messages.Have(3), messages.Have(5)))
        self.assertEqual(wire.said, State.OPEN)

    def test_wrong_batches(self) -> None:
        """A batch that is not allowed is refused like its messages, and counts as not said."""
        wire = session(fast=False)
        self.assertRaises(LocalWireError, wire.encode_blocks, messages.Reject, [(0, 0, 16384)])
        self.assertRaises(LocalWireError, wire.encode_blocks, messages.Request, [(0, 0, -1)])
        self.assertRaises(LocalWireError, wire.encode_haves, [0, NUM_PIECES])
        self.assertEqual(wire.said, State.GREETED)
