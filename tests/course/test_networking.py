"""Connections between course peers."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.connection import GRACE, HANDSHAKE_TIMEOUT, MOST_UNREAD
from p2pshare.course.networking import MOST_STRANGERS, RETRY
from p2pshare.errors import LocalWireError, PortError
from p2pshare.geometry import Geometry
from p2pshare.wire import messages
from tests.course.neighbors import DIALECT, STRANGER, World

HELLO = b"P2PFILESHARINGPROJ" + bytes(10) + (1002).to_bytes(4, "big")


class AcceptingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World().listening()

    def test_s4_1_greets_at_once(self) -> None:
        """Whoever dials reads our handshake first, in one write, without having said anything."""
        self.assertEqual(self.world.accepted().heard(), HELLO)

    def test_s4_1_admitted(self) -> None:
        """A neighbor of PeerInfo.cfg is told of, however its handshake was cut."""
        neighbor = self.world.accepted()
        for byte in HELLO[:-4] + (1003).to_bytes(4, "big"):
            self.assertEqual(self.world.process.events, [])
            neighbor.says(bytes([byte]))
        self.assertEqual(self.world.process.events, [("connected", 1003, True)])
        self.assertEqual(self.world.network.connected, [1003])

    def test_s4_1_refused(self) -> None:
        """A wrong header, a set zero bit, an unknown id and our own close the connection, and nothing else happens."""
        for data in (
            b"P2PFILESHARINGPROX",
            HELLO[:18] + b"\1",
            b"\x13BitTorrent protocol",
            HELLO[:-4] + (1006).to_bytes(4, "big"),
            HELLO,
        ):
            neighbor = self.world.accepted()
            neighbor.says(data)
            self.assertTrue(neighbor.transport.aborted)
            neighbor.says(HELLO)
            neighbor.goes()
        self.assertEqual((self.world.process.events, self.world.network.connected), ([], []))

    def test_second_connection(self) -> None:
        """A neighbor that is connected already is refused; after its connection has ended another may come."""
        first = self.world.neighbor(1003)
        second = self.world.accepted()
        second.greets(1003)
        self.assertEqual((second.transport.aborted, first.transport.aborted), (True, False))
        second.goes()
        first.goes()
        self.world.neighbor(1003)
        self.assertEqual(self.world.network.connected, [1003])

    def test_silent_stranger(self) -> None:
        """Who does not greet is not waited for; who has is, however long it is silent."""
        neighbor, silent = self.world.neighbor(1003), self.world.accepted()
        silent.says(HELLO[:20])
        self.world.clock.advance(HANDSHAKE_TIMEOUT)
        self.assertEqual((silent.transport.aborted, neighbor.transport.aborted), (True, False))
        self.world.clock.advance(100000.0)
        self.assertFalse(neighbor.transport.aborted)

    def test_many_strangers(self) -> None:
        """Only so many may be connected without a greeting."""
        strangers = [self.world.accepted() for _ in range(MOST_STRANGERS)]
        self.assertIs(self.world.endpoints.factory.buildProtocol(STRANGER), None)
        strangers[0].goes()
        self.world.accepted()

    def test_port_that_is_taken(self) -> None:
        """A port that cannot be had is one error that names it."""
        world = World()
        world.endpoints.taken = True
        error = self.failureResultOf(world.network.start_server(6002), PortError).value
        self.assertEqual(str(error), "port 6002: [Errno 98] Address already in use")


class DiallingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World()
        self.world.network.connect_to_peer(1001, "localhost", 6001)

    def test_s4_1_expected(self) -> None:
        """We greet whom we dialled without waiting; when it is who it should be, it is told of."""
        self.assertEqual(self.world.endpoints.dials[0][0], ("localhost", 6001))
        neighbor = self.world.answered()
        self.assertEqual(neighbor.heard(), HELLO)
        neighbor.greets(1001)
        self.assertEqual(self.world.process.events, [("connected", 1001, False)])

    def test_s4_1_somebody_else(self) -> None:
        """Somebody else at the address we dialled is refused, even if it is in PeerInfo.cfg; we try again."""
        neighbor = self.world.answered()
        neighbor.greets(1003)
        self.assertTrue(neighbor.transport.aborted)
        neighbor.goes()
        self.world.clock.advance(RETRY)
        self.assertEqual((len(self.world.endpoints.dials), self.world.process.events), (1, []))

    def test_s4_4_until_it_is_up(self) -> None:
        """A neighbor that is not up is dialled again every second, and no more once it is."""
        for _ in range(20):
            self.assertEqual(len(self.world.endpoints.dials), 1)
            self.world.refused()
            self.world.clock.advance(RETRY / 2)
            self.assertEqual(self.world.endpoints.dials, [])
            self.world.clock.advance(RETRY / 2)
        self.world.answered().greets(1001)
        self.world.clock.advance(10 * RETRY)
        self.assertEqual(self.world.endpoints.dials, [])

    def test_s4_4_once(self) -> None:
        """Whoever is dialled, or connected, is not dialled a second time."""
        self.world.network.connect_to_peer(1001, "localhost", 6001)
        self.assertEqual(len(self.world.endpoints.dials), 1)
        self.world.answered().greets(1001)
        self.world.network.connect_to_peer(1001, "localhost", 6001)
        self.assertEqual(self.world.endpoints.dials, [])

    def test_it_dialled_us_meanwhile(self) -> None:
        """Whoever has dialled us in the meantime needs no further dial."""
        self.world.refused()
        self.world.listening().accepted().greets(1001)
        self.world.clock.advance(RETRY)
        self.assertEqual(self.world.endpoints.dials, [])

    def test_lost_and_dialled_again(self) -> None:
        """A neighbor that is gone is told of, and dialled again only if somebody says so."""
        neighbor = self.world.answered()
        neighbor.greets(1001)
        neighbor.goes(cleanly=False)
        self.assertEqual(
            [event[:2] for event in self.world.process.events], [("connected", 1001), ("disconnected", 1001)]
        )
        self.world.clock.advance(10 * RETRY)
        self.assertEqual(self.world.endpoints.dials, [])
        self.world.network.connect_to_peer(1001, "localhost", 6001)
        self.assertEqual(len(self.world.endpoints.dials), 1)


class TalkingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World().listening()
        self.network = self.world.network
        self.neighbors = {id: self.world.neighbor(id) for id in (1001, 1003, 1004)}

    def test_send(self) -> None:
        """A message goes to the neighbor it is for, at once."""
        self.assertTrue(self.network.send_message(1003, messages.Request(4, 0, 2)))
        self.assertEqual(
            {id: neighbor.heard() for id, neighbor in self.neighbors.items()},
            {1001: b"", 1003: bytes.fromhex("00000005 06 00000004"), 1004: b""},
        )
        self.assertFalse(self.network.send_message(1005, messages.Choke()))

    def test_s4_11_broadcast(self) -> None:
        """A message to all reaches each neighbor once, but for those that are left out."""
        have = DIALECT.encode(messages.Have(1))
        self.network.broadcast_message(messages.Have(1))
        self.network.broadcast_message(messages.Have(1), exclude={1003})
        self.assertEqual([neighbor.heard() for neighbor in self.neighbors.values()], [2 * have, have, 2 * have])

    def test_s4_3_received(self) -> None:
        """Messages are handed on in order, glued to the handshake or cut in two; what has no meaning is not."""
        spoken = [messages.Bitfield(b"\x80"), messages.Interested(), messages.Piece(4, 0, b"ef")]
        data = b"".join(map(DIALECT.encode, spoken)) + bytes(4) + bytes.fromhex("00000003 14 6162")
        neighbor = self.world.accepted()
        neighbor.says(HELLO[:-4] + (1005).to_bytes(4, "big") + data[:9])
        neighbor.says(data[9:])
        self.assertEqual(
            self.world.process.events, [("connected", 1005, True), *(("message", 1005, m) for m in spoken)]
        )
        self.assertFalse(neighbor.transport.aborted)

    def test_s4_3_broken_protocol(self) -> None:
        """A frame that is too long, or a bitfield that is, closes the one connection it came on."""
        for id, data in ((1001, "7fffffff"), (1003, "00000003 05 f800"), (1004, "00000005 04 00000005")):
            self.neighbors[id].says(bytes.fromhex(data))
            self.assertTrue(self.neighbors[id].transport.aborted)
            self.assertEqual(self.world.process.events, [])
            self.neighbors[id].goes()
            self.assertEqual([event[:2] for event in self.world.process.events], [("disconnected", id)])
            self.world.process.events.clear()

    def test_short_bitfield(self) -> None:
        """A bitfield without its end is heard with a warning; here it is of no bytes at all."""
        self.neighbors[1001].says(bytes.fromhex("00000001 05"))
        self.assertEqual(self.world.process.events, [("message", 1001, messages.Bitfield(b"\0"))])

    def test_our_bugs(self) -> None:
        """What cannot be said in this protocol, or not now, is not sent."""
        self.network.send_message(1001, messages.Have(0))
        for message in (messages.KeepAlive(), messages.Cancel(0, 0, 4), messages.Bitfield(b"\0")):
            self.assertRaises(LocalWireError, self.network.send_message, 1001, message)

    def test_hanging_up(self) -> None:
        """After we hang up on a neighbor, nothing of it is heard and nothing is said to it."""
        neighbor = self.neighbors[1001]
        neighbor.heard()
        self.network.disconnect(1001, "it misbehaves")
        neighbor.says(messages.Unchoke())
        self.network.send_message(1001, messages.Choke())
        self.assertEqual((neighbor.transport.aborted, neighbor.heard(), self.world.process.events), (True, b"", []))
        neighbor.goes()
        self.assertEqual(self.world.process.events, [("disconnected", 1001, "it misbehaves")])

    def test_neighbor_that_does_not_read(self) -> None:
        """Who lets a megabyte of messages pile up is hung up on; who reads in between is not."""
        for reads in (True, False):
            world = World(Geometry(1, (100,))).listening()
            neighbor = world.neighbor(1003)
            for number in range(2000):
                if number == 0:
                    neighbor.transport.producer.pauseProducing()
                if number == 1000 and reads:
                    neighbor.transport.producer.resumeProducing()
                world.network.link(1003).request([(piece, 0, 1) for piece in range(100)])
            self.assertEqual(neighbor.transport.aborted, not reads)
            self.assertEqual(len(neighbor.heard()), 900 * (2000 if reads else MOST_UNREAD // 900))


class UploadTests(SynchronousTestCase):
    """A connection as the swarm's Link."""

    def setUp(self) -> None:
        self.world = World().listening()
        self.neighbor = self.world.neighbor(1003)
        self.link = self.world.network.link(1003)

    def test_s4_6_one_piece_a_frame(self) -> None:
        """Promised pieces are sent whole, each in one frame, and counted; the last one is shorter."""
        self.link.promise((4, 0, 2))
        self.link.promise((1, 0, 4))
        self.assertEqual((self.link.promised, self.neighbor.heard()), (2, b""))
        self.link.pump()
        self.assertEqual(
            self.neighbor.heard(), bytes.fromhex("00000007 07 00000004 6565 00000009 07 00000001 62626262")
        )
        self.assertEqual(self.world.process.events, [("sent", 1003, 2), ("sent", 1003, 4)])

    def test_nothing_is_read_for_who_does_not_read(self) -> None:
        """While the transport holds enough, pieces wait as requests; they go on when it has room again."""
        self.neighbor.transport.producer.pauseProducing()
        for piece in (0, 1):
            self.link.promise((piece, 0, 4))
        self.link.pump()
        self.assertEqual((self.world.source.reads, self.link.promised), ([], 2))
        self.neighbor.transport.producer.resumeProducing()
        self.assertEqual((len(self.neighbor.heard()), self.link.promised), (26, 0))

    def test_s4_7_choked(self) -> None:
        """Promises that are taken back are never kept."""
        for piece in (0, 1, 2):
            self.link.promise((piece, 0, 4))
        self.assertTrue(self.link.take_back((0, 0, 4)))
        self.assertEqual(self.link.take_back_piece(1), [(1, 0, 4)])
        self.assertEqual(self.link.take_back_all(), [(2, 0, 4)])
        self.link.pump()
        self.assertEqual(self.neighbor.heard(), b"")

    def test_requests(self) -> None:
        """Pieces are asked for by their index."""
        self.link.request([(3, 0, 4), (4, 0, 2)])
        self.assertEqual(self.neighbor.heard(), bytes.fromhex("00000005 06 00000003 00000005 06 00000004"))

    def test_reading_is_held(self) -> None:
        """Reading stops for any reason, and goes on when none is left."""
        self.link.hold("disk")
        self.link.hold("requests")
        self.link.release("disk")
        self.assertEqual(self.neighbor.transport.producerState, "paused")
        self.link.release("requests")
        self.assertEqual(self.neighbor.transport.producerState, "producing")

    def test_batches(self) -> None:
        """The end of each read is told after its messages, but not once we have hung up."""
        self.neighbor.says(DIALECT.encode(messages.Unchoke()) + DIALECT.encode(messages.Have(0)))
        self.assertEqual(self.world.process.ends, [1003])
        self.link.close("enough")
        self.assertTrue(self.link.is_closing)
        self.neighbor.says(messages.Choke())
        self.assertEqual(self.world.process.ends, [1003])

    def test_closing_drops_promises(self) -> None:
        """What is promised when we hang up is not sent."""
        self.link.promise((0, 0, 4))
        self.link.close("enough")
        self.link.pump()
        self.assertEqual((self.neighbor.heard(), self.link.promised), (b"", 0))


class ShutdownTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World().listening()

    def test_s4_15_all_is_closed(self) -> None:
        """What was said goes out, the port closes, strangers go at once; it is over when the last connection is."""
        neighbor, stranger = self.world.neighbor(1003), self.world.accepted()
        self.world.network.connect_to_peer(1001, "localhost", 6001)
        dial = self.world.endpoints.dials[0][2]
        self.world.network.send_message(1003, messages.Have(4))
        ending = self.world.network.shutdown()
        self.assertTrue(self.world.endpoints.port.closed and stranger.transport.aborted and dial.called)
        self.assertTrue(neighbor.transport.disconnecting and not neighbor.transport.aborted)
        self.assertEqual(neighbor.heard(), DIALECT.encode(messages.Have(4)))
        stranger.goes()
        self.assertNoResult(ending)
        neighbor.goes()
        self.assertIs(self.successResultOf(ending), None)
        self.assertEqual(list(self.world.clock.getDelayedCalls()), [])

    def test_nobody_there(self) -> None:
        """With nobody connected it is over at once, a dial that would be repeated included."""
        self.world.network.connect_to_peer(1001, "localhost", 6001)
        self.world.refused()
        self.successResultOf(self.world.network.shutdown())
        self.world.clock.advance(10 * RETRY)
        self.assertEqual(self.world.endpoints.dials, [])
        self.world.network.connect_to_peer(1001, "localhost", 6001)
        self.assertEqual(self.world.endpoints.dials, [])

    def test_neighbor_that_does_not_go(self) -> None:
        """Who does not take what is left for it is hung up on after a grace."""
        neighbor = self.world.neighbor(1003)
        self.world.network.shutdown()
        self.world.clock.advance(GRACE)
        self.assertTrue(neighbor.transport.aborted)

    def test_late_knock(self) -> None:
        """Nobody is let in while we leave."""
        self.world.neighbor(1003)
        self.world.network.shutdown()
        self.assertIs(self.world.endpoints.factory.buildProtocol(STRANGER), None)
