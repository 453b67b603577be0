"""Tests for one connection: handshakes, deadlines, batches."""

from twisted.internet.error import ConnectionDone
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.peer.limiter import Allowance, Bucket
from p2pshare.peer.limits import Commons, ConnectionLimits
from p2pshare.peer.protocol import GRACE, PeerProtocol
from p2pshare.peer.unsent import TOTAL, WINDOW
from p2pshare.wire import bep3, messages
from tests.fakes import (
    INFO_HASH,
    THEIR_ID,
    FakeSource,
    PeerTransport,
    RecordingListener,
    accepted,
    greeted,
    handshake,
)

LIMITS = ConnectionLimits()


class HandshakeTests(SynchronousTestCase):
    """The first 68 bytes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.listener = RecordingListener()

    def test_s1_8_accepted(self) -> None:
        """Who sends a handshake with our info_hash gets our 68 bytes back."""
        link, transport = accepted(self.listener, self.clock)
        link.dataReceived(handshake())
        answer = transport.value()
        self.assertEqual(len(answer), 68)
        self.assertEqual(answer[:20], b"\x13BitTorrent protocol")
        self.assertEqual(answer[28:48], INFO_HASH)
        self.assertEqual(self.listener.events, [("welcome", THEIR_ID), ("joined",)])

    def test_f19_other_protocols(self) -> None:
        """HTTP, TLS and the like are hung up on at their first wrong byte, and get none of ours."""
        for opening in (b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\x02\x00", b"\x13BitTorrent protocoX", b"\x14"):
            link, transport = accepted(self.listener, self.clock)
            link.dataReceived(opening)
            self.assertTrue(transport.aborted, opening)
            self.assertEqual(transport.value(), b"")
        self.assertEqual(self.listener.events, [])

    def test_f20_unknown_info_hash(self) -> None:
        """A stranger's torrent ends the same way, without a byte."""
        link, transport = accepted(self.listener, self.clock)
        link.dataReceived(handshake(info_hash=b"?" * 20))
        self.assertTrue(transport.aborted)
        self.assertEqual(transport.value(), b"")

    def test_not_admitted(self) -> None:
        """Whom the swarm refuses gets no byte either."""
        link, transport = accepted(RecordingListener(admit=False), self.clock)
        link.dataReceived(handshake())
        self.assertTrue(transport.aborted)
        self.assertEqual(transport.value(), b"")

    def test_cut_anywhere(self) -> None:
        """A handshake with a message behind it is understood however it is cut."""
        stream = handshake() + bep3.encode(messages.Interested())
        for cut in range(1, len(stream)):
            listener = RecordingListener()
            link, _ = accepted(listener, self.clock)
            link.dataReceived(stream[:cut])
            link.dataReceived(stream[cut:])
            self.assertIn(("message", messages.Interested()), listener.events)

    def test_dialled(self) -> None:
        """Who dials greets first, and then expects the same torrent."""
        for answer, good in ((INFO_HASH, True), (b"?" * 20, False)):
            listener = RecordingListener()
            link = PeerProtocol(self.clock, Address("127.0.0.1", 6881), lambda seen: None, dialled=listener)
            transport = PeerTransport()
            link.makeConnection(transport)
            self.assertEqual(transport.value(), listener.hello())
            link.dataReceived(handshake(info_hash=answer))
            self.assertEqual(transport.aborted, not good)
            self.assertEqual(("joined",) in listener.events, good)

    def test_f23_slow_handshake(self) -> None:
        """Ten seconds for a whole handshake; bytes that trickle in do not extend them."""
        link, transport = accepted(self.listener, self.clock)
        for byte in handshake()[:20]:
            link.dataReceived(bytes([byte]))
            self.clock.advance(LIMITS.handshake_timeout / 20 - 0.01)
        self.assertFalse(transport.aborted)
        self.clock.advance(1.0)
        self.assertTrue(transport.aborted)


class ConversationTests(SynchronousTestCase):
    """After the handshakes."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.source = FakeSource([bytes([piece]) * 65536 for piece in range(8)])
        self.listener = RecordingListener(self.source)
        self.link, self.transport = greeted(self.listener, self.clock)

    def test_batches(self) -> None:
        """All messages of one read come before one end of batch."""
        self.link.dataReceived(bep3.encode(messages.Have(3)) + bep3.encode(messages.Unchoke()))
        self.assertEqual(
            self.listener.events, [("message", messages.Have(3)), ("message", messages.Unchoke()), ("batch",)]
        )

    def test_answers_are_one_write(self) -> None:
        """What is said while a read is handled goes out in one write at its end."""
        writes: list[bytes] = []
        self.transport.write = writes.append  # type: ignore[method-assign]

        def answer(link: PeerProtocol, message: messages.Message) -> None:
            link.send(messages.Have(1))
            link.request([(0, 0, 16384)])

        self.listener.message_received = answer  # type: ignore[method-assign]
        self.link.dataReceived(bep3.encode(messages.Unchoke()) * 2)
        one = bep3.encode(messages.Have(1)) + bep3.encode(messages.Request(0, 0, 16384))
        self.assertEqual(writes, [one * 2])

    def test_mentions_wait_for_the_next_write(self) -> None:
        """What is only mentioned makes no write of its own, and goes out in the order it was said."""
        writes: list[bytes] = []
        self.transport.write = writes.append  # type: ignore[method-assign]
        self.link.mention(messages.Have(1))
        self.link.mention(messages.Have(2))
        self.link.dataReceived(bep3.encode(messages.Have(3)))  # nothing to answer
        self.assertEqual(writes, [])
        self.link.request([(0, 0, 16384)])
        said = (messages.Have(1), messages.Have(2), messages.Request(0, 0, 16384))
        self.assertEqual(writes, [b"".join(map(bep3.encode, said))])

    def test_mentions_wait_for_a_second_at_most(self) -> None:
        """Where nothing else is to be said, a mention goes out with the next look at the connection."""
        self.link.mention(messages.Have(1))
        self.assertEqual(self.transport.value(), b"")
        self.link.tick()
        self.assertEqual(self.transport.drain(), bep3.encode(messages.Have(1)))

    def test_mentions_are_said_before_a_polite_close(self) -> None:
        """Hanging up politely leaves nothing unsaid; nothing is mentioned after it."""
        self.link.mention(messages.Have(1))
        self.link.close("enough")
        self.link.mention(messages.Have(2))
        self.assertEqual(self.transport.value(), bep3.encode(messages.Have(1)))

    def test_mentions_are_lost_with_the_connection(self) -> None:
        """To whoever is hung up on at once, nothing more is said."""
        self.link.mention(messages.Have(1))
        self.link.abort("enough")
        self.link.tick()
        self.assertEqual(self.transport.value(), b"")

    def test_f22_huge_message(self) -> None:
        """A length of 4 GiB closes at once, and what was to be said is not."""
        self.link.dataReceived(b"\xff\xff\xff\xff")
        self.assertTrue(self.transport.aborted)
        self.link.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.listener.events[-1][0], "lost")
        self.assertIn("4294967295", self.listener.events[-1][1])

    def test_after_hanging_up_nothing_is_heard(self) -> None:
        """The rest of a read is not handed over once the swarm has hung up."""
        seen: list[messages.Message] = []

        def hang_up(link: PeerProtocol, message: messages.Message) -> None:
            seen.append(message)
            link.abort("enough")

        self.listener.message_received = hang_up  # type: ignore[method-assign]
        self.link.dataReceived(bep3.encode(messages.Have(1)) * 3)
        self.link.dataReceived(bep3.encode(messages.Have(1)))
        self.assertEqual(seen, [messages.Have(1)])

    def test_f41_silence(self) -> None:
        """Two minutes of silence end the connection; keep-alives are enough to keep it."""
        for _ in range(5):
            self.clock.advance(LIMITS.idle_timeout - 1)
            self.link.dataReceived(b"\0\0\0\0")
            self.link.tick()
            self.transport.drain()
        self.assertFalse(self.transport.aborted)
        self.clock.advance(LIMITS.idle_timeout + 1)
        self.link.tick()
        self.assertTrue(self.transport.aborted)

    def test_f41_keep_alive_flood(self) -> None:
        """A hundred thousand keep-alives are read over and answered with nothing."""
        self.link.dataReceived(b"\0\0\0\0" * 100_000)
        self.assertFalse(self.transport.aborted)
        self.assertEqual(self.transport.value(), b"")

    def test_f23_slow_message(self) -> None:
        """A message gets a minute; single bytes do not extend it."""
        self.link.dataReceived(bep3.encode(messages.Have(1))[:5])
        for _ in range(3):
            self.clock.advance(LIMITS.message_timeout / 3 + 1)
            self.link.dataReceived(b"\0")
            self.link.tick()
        self.assertTrue(self.transport.aborted)

    def test_f23_message_after_silence(self) -> None:
        """A message that begins after a long silence has its whole minute."""
        self.clock.advance(LIMITS.idle_timeout - 20)
        self.link.dataReceived(bep3.encode(messages.Have(1))[:5])
        for _ in range(10):
            self.link.tick()
            self.clock.advance(1.5)
        self.assertFalse(self.transport.aborted)
        self.link.dataReceived(bep3.encode(messages.Have(1))[5:])
        self.assertEqual(self.listener.events, [("batch",), ("message", messages.Have(1)), ("batch",)])

    def test_keeps_alive(self) -> None:
        """When we have said nothing for a while we say that we are here."""
        self.link.dataReceived(b"\0\0\0\0")
        self.clock.advance(LIMITS.keepalive + 1)
        self.link.tick()
        self.assertEqual(self.transport.value(), b"\0\0\0\0")

    def test_holding(self) -> None:
        """Reading stops with the first reason and starts again when the last is gone; meanwhile silence is ours."""
        self.link.hold("disk")
        self.link.hold("rate")
        self.assertEqual(self.transport.producerState, "paused")
        self.link.release("disk")
        self.assertEqual(self.transport.producerState, "paused")
        self.clock.advance(10 * LIMITS.idle_timeout)
        self.link.tick()
        self.link.release("rate")
        self.assertEqual(self.transport.producerState, "producing")
        self.link.tick()
        self.assertFalse(self.transport.aborted)

    def test_promised_blocks(self) -> None:
        """A promised block is sent when pumped, framed."""
        self.link.promise((2, 0, 1000))
        self.assertEqual((self.link.promised, self.transport.value()), (1, b""))
        self.link.pump()
        self.assertEqual(self.transport.value(), bep3.piece_header(2, 0, 1000) + b"\2" * 1000)
        self.assertEqual(self.listener.events, [("sent", 1000)])

    def promise_everything(self, link: PeerProtocol) -> None:
        """Promise all blocks of the eight pieces, 512 KiB, as often as the queue takes them."""
        for piece in range(8):
            for begin in range(0, 65536, 16384):
                link.promise((piece, begin, 16384))
        link.pump()

    def test_f28_peer_that_does_not_read(self) -> None:
        """Never more than 256 KiB lie in the transport of a peer that does not read; it gets the rest when it does."""
        for coming in (False, True):  # whatever the size of its reads is
            self.link.expect_blocks(coming)
            self.promise_everything(self.link)
            held = len(self.transport.value())
            self.assertGreater(held, 200 * 1024)
            self.assertLessEqual(held, WINDOW)
            self.assertEqual(len(self.transport.drain()), 32 * (16384 + 13))

    def test_f28_does_not_read_for_ever(self) -> None:
        """Five minutes in which it did not read what the transport holds end the connection, keep-alives or not."""
        self.promise_everything(self.link)
        for _ in range(int(LIMITS.unread_timeout / 50)):
            self.clock.advance(50)
            self.link.dataReceived(b"\0\0\0\0")
            self.link.tick()
        self.assertFalse(self.transport.aborted)
        self.clock.advance(1)
        self.link.tick()
        self.assertTrue(self.transport.aborted)

    def test_f28_answers_nobody_reads(self) -> None:
        """Whoever makes us answer and does not read is not listened to any more, until it has read."""

        def answer(link: PeerProtocol, message: messages.Message) -> None:
            link.send(messages.Reject(0, 0, 16384))

        self.listener.message_received = answer  # type: ignore[method-assign]
        flood = bep3.encode(messages.Request(0, 0, 16384)) * 1000
        reads = 0
        while self.transport.producerState == "producing":
            self.link.dataReceived(flood)
            reads += 1
            self.assertLess(reads, 100)
        self.assertLessEqual(len(self.transport.value()), 2 * WINDOW + len(flood))
        self.transport.drain()
        self.assertEqual(self.transport.producerState, "producing")

    def test_f28_memory_of_all(self) -> None:
        """However many peers do not read, all their transports hold at most 16 MiB, and it is given back at the end."""
        commons = Commons()
        memory = commons.memory
        links = []
        for _ in range(300):
            link, transport = accepted(self.listener, self.clock, commons)
            link.dataReceived(handshake())
            transport.drain()
            self.promise_everything(link)
            self.assertLessEqual(len(transport.value()), WINDOW)
            links.append((link, transport))
        self.assertEqual(memory.held, sum(len(transport.value()) for _, transport in links))
        self.assertLessEqual(memory.held, TOTAL)
        self.assertGreater(min(len(transport.value()) for _, transport in links[:100]), 16384)
        late_link, late = links[-1]
        for link, _ in links[:-1]:
            link.connectionLost(Failure(ConnectionDone()))
        late_link.tick()  # nothing of its own was sent, so this is how it hears that there is room
        self.assertEqual(len(late.drain()), 32 * (16384 + 13))
        late_link.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(memory.held, 0)

    def test_polite_close(self) -> None:
        """A close lets written bytes out first, and aborts when that takes too long."""
        self.link.close("done")
        self.assertTrue(self.transport.disconnecting)
        self.assertFalse(self.transport.aborted)
        self.clock.advance(GRACE + 1)
        self.assertTrue(self.transport.aborted)
        self.link.connectionLost(Failure(ConnectionDone()))
        self.assertEqual(self.listener.events, [("lost", "done")])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DownloadLimitTests(SynchronousTestCase):
    """Reading under a rate limit."""

    def test_reading_pauses(self) -> None:
        """A read that overdraws the limit pauses the socket until the bucket has recovered."""
        clock = Clock()
        listener = RecordingListener()
        listener.limits = (Allowance(), Allowance((Bucket(clock, 1000.0),)))
        link, transport = greeted(listener, clock)
        link.dataReceived(b"\0\0\0\0" * 500)
        self.assertEqual(transport.producerState, "paused")
        clock.pump([0.1] * 15)
        self.assertEqual(transport.producerState, "paused")
        clock.pump([0.1] * 10)
        self.assertEqual(transport.producerState, "producing")
