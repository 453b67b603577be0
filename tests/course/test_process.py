"""A course peer among scripted neighbors."""

from __future__ import annotations

from collections import Counter
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.course.config import Common, PeerInfo, PeerLine
from p2pshare.course.event_log import EventLog
from p2pshare.course.process import CourseProcess, NeighborGone
from p2pshare.errors import DiskFull
from p2pshare.wire import course, messages
from tests.course.neighbors import FakeEndpoints, Neighbor
from tests.course.test_event_log import FakeSink

COMMON = Common(
    preferred_neighbors=1,
    unchoking_interval=5.0,
    optimistic_interval=15.0,
    file_name="f",
    file_size=18,
    piece_size=4,
)  # 5 pieces, the last of 2 bytes
CONTENT = b"aaaabbbbccccddddee"
DIALECT = course.make_dialect(COMMON.geometry)
ALL, NONE = b"\xf8", b"\0"


def info(*seeds: int, count: int = 3) -> PeerInfo:
    return PeerInfo(
        tuple(PeerLine(1001 + place, "localhost", 6001 + place, 1001 + place in seeds) for place in range(count))
    )


def piece(index: int) -> messages.Piece:
    return messages.Piece(index, 0, CONTENT[4 * index : 4 * index + 4])


class World:
    """One peer process, and all that is around it."""

    def __init__(self, folder: Path, own: int, peers: PeerInfo, seed: int = 0, **how: Any) -> None:
        self.clock, self.endpoints, self.sink = Clock(), FakeEndpoints(), FakeSink()
        path = folder / f"peer_{own}" / "f"
        path.parent.mkdir(parents=True, exist_ok=True)
        if peers.of(own).has_file:
            path.write_bytes(CONTENT)
        log = EventLog(own, self.sink, lambda: datetime(2026, 3, 4))
        self.process = CourseProcess(
            COMMON, peers, own, folder, self.clock, self.endpoints, Random(seed), maybeDeferred, log, grace=10.0, **how
        )
        self.path = path
        self.process.start()

    def accepted(self, id: int) -> Neighbor:
        """A neighbor dials us and greets."""
        neighbor = Neighbor(self.endpoints.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 50000)))
        neighbor.greets(id)
        return neighbor

    def dialled(self, id: int) -> Neighbor:
        """A neighbor that we dial answers and greets."""
        place = next(place for place, dial in enumerate(self.endpoints.dials) if dial[0][1] == 5000 + id)
        _, factory, dial = self.endpoints.dials.pop(place)
        neighbor = Neighbor(factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5000 + id)))
        dial.callback(neighbor.protocol)
        neighbor.greets(id)
        return neighbor

    def wait(self, seconds: float) -> None:
        self.clock.pump([0.25] * int(seconds * 4))

    def log(self) -> list[str]:
        return [line.partition("]: ")[2].rstrip("\n") for line in self.sink.lines]


def said(neighbor: Neighbor) -> list[messages.Message]:
    """Read what was said to a neighbor since the last time; its handshake is left out."""
    data = neighbor.heard()
    if data.startswith(course.PROTOCOL_PREFIX):
        data = data[course.HANDSHAKE_SIZE :]
    found = []
    while data:
        size = int.from_bytes(data[:4], "big")
        message = DIALECT.decode(data[4], memoryview(data)[5 : 4 + size])
        if isinstance(message, messages.Piece):
            message = messages.Piece(message.index, 0, bytes(message.data))
        found.append(message)
        data = data[4 + size :]
    return found


class LeechTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(Path(self.mktemp()), 1002, info(1001))
        self.seed = self.world.dialled(1001)

    def test_s4_2_empty_bitfield(self) -> None:
        """A peer with nothing says so, right after its handshake."""
        self.assertEqual(said(self.seed), [messages.Bitfield(NONE)])

    def test_s4_4_whom_it_dials(self) -> None:
        """It dials who stands before it, and nobody else."""
        self.assertEqual(self.world.endpoints.dials, [])
        self.world.wait(5)
        self.assertEqual(self.world.endpoints.dials, [])

    def test_s4_5_interest(self) -> None:
        """A bitfield is answered with interest or the contrary; a have can change that."""
        leech = self.world.accepted(1003)
        said(self.seed), said(leech)
        self.seed.says(messages.Bitfield(ALL))
        leech.says(messages.Bitfield(NONE))
        self.assertEqual((said(self.seed), said(leech)), ([messages.Interested()], [messages.NotInterested()]))
        leech.says(messages.Have(3))
        leech.says(messages.Have(4))
        self.assertEqual(said(leech), [messages.Interested()])

    def test_s4_7_one_request_at_a_time(self) -> None:
        """After an unchoke one whole piece is asked for, and the next when it has come, until all are there."""
        self.seed.says(messages.Bitfield(ALL))
        said(self.seed)
        self.seed.says(messages.Unchoke())
        asked = []
        for _ in range(5):
            requests = [message for message in said(self.seed) if isinstance(message, messages.Request)]
            self.assertEqual(len(requests), 1)
            asked.append(requests[0].index)
            self.seed.says(piece(asked[-1]))
        self.assertEqual(sorted(asked), [0, 1, 2, 3, 4])
        self.assertEqual(self.world.path.read_bytes(), CONTENT)
        self.assertIn(messages.NotInterested(), said(self.seed))

    def test_s4_7_never_of_two(self) -> None:
        """What one neighbor was asked for, no other is, not even the last piece; after a choke it may be."""
        other = self.world.accepted(1003)
        for neighbor in (self.seed, other):
            neighbor.says(messages.Bitfield(b"\x80"))
            said(neighbor)
        self.seed.says(messages.Unchoke())
        other.says(messages.Unchoke())
        self.world.wait(3)
        self.assertEqual((said(self.seed), said(other)), ([messages.Request(0, 0, 4)], []))
        self.seed.says(messages.Choke())
        self.assertEqual(said(other), [messages.Request(0, 0, 4)])

    def test_s4_8_random(self) -> None:
        """Which piece is asked for first differs from run to run, and each is as likely."""
        counts: Counter[int] = Counter()
        for seed in range(200):
            world = World(Path(self.mktemp()), 1002, info(1001), seed)
            neighbor = world.dialled(1001)
            neighbor.says(messages.Bitfield(ALL))
            neighbor.says(messages.Unchoke())
            counts.update(message.index for message in said(neighbor) if isinstance(message, messages.Request))
            world.process.network.shutdown()
        self.assertEqual((set(counts), counts.total()), (set(range(5)), 200))
        self.assertLess(sum((count - 40) ** 2 / 40 for count in counts.values()), 18.47)  # chi-square, 4, p > 0.001

    def test_s4_11_haves(self) -> None:
        """Each piece is told to every neighbor once."""
        leech = self.world.accepted(1003)
        leech.says(messages.Bitfield(NONE))
        self.seed.says(messages.Bitfield(ALL))
        self.seed.says(messages.Unchoke())
        for _ in range(5):
            request = next(message for message in said(self.seed)[::-1] if isinstance(message, messages.Request))
            self.seed.says(piece(request.index))
        haves = [message for message in said(leech) if isinstance(message, messages.Have)]
        self.assertEqual(sorted(have.index for have in haves), [0, 1, 2, 3, 4])

    def test_s4_13_log(self) -> None:
        """What happens is in the log, word by word."""
        self.seed.says(messages.Bitfield(b"\x08"))
        self.seed.says(messages.Unchoke())
        self.seed.says(piece(4))
        self.seed.says(messages.Choke())
        self.seed.says(messages.Have(1))
        self.world.accepted(1003).says(messages.Interested())
        self.assertEqual(
            self.world.log(),
            [
                "Peer 1002 makes a connection to Peer 1001.",
                "Peer 1002 is unchoked by 1001.",
                "Peer 1002 has downloaded the piece 4 from 1001. Now the number of pieces it has is 1.",
                "Peer 1002 is choked by 1001.",
                "Peer 1002 received the 'have' message from 1001 for the piece 1.",
                "Peer 1002 is connected from Peer 1003.",
                "Peer 1002 received the 'interested' message from 1003.",
            ],
        )


class LostPieceTests(SynchronousTestCase):
    def test_s4_17_nobody_has_it(self) -> None:
        """When the only seed is killed, what nobody else has can never come: after the grace that is an error."""
        world = World(Path(self.mktemp()), 1002, info(1001))
        seed, leech = world.dialled(1001), world.accepted(1003)
        seed.says(messages.Bitfield(ALL))
        leech.says(messages.Bitfield(b"\xf0"))
        world.wait(60)
        seed.goes(cleanly=False)
        world.wait(9)
        self.assertNoResult(world.process.finished)
        world.wait(1)
        leech.goes()
        self.failureResultOf(world.process.finished, NeighborGone)

    def test_s4_17_somebody_has_it(self) -> None:
        """As long as every piece is with somebody who is here, the others finish without the seed."""
        world = World(Path(self.mktemp()), 1002, info(1001))
        seed, leech = world.dialled(1001), world.accepted(1003)
        seed.says(messages.Bitfield(ALL))
        leech.says(messages.Bitfield(b"\xf0"))
        seed.says(messages.Unchoke())
        while world.process.swarm.store.have.count < 5:
            request = next(message for message in said(seed)[::-1] if isinstance(message, messages.Request))
            seed.says(piece(request.index))
        seed.goes(cleanly=False)
        world.wait(60)
        self.assertNoResult(world.process.finished)


class SeedTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(Path(self.mktemp()), 1001, info(1001))

    def test_s4_2_full_bitfield(self) -> None:
        """A seed's first message says that it has everything."""
        self.assertEqual(said(self.world.accepted(1002)), [messages.Bitfield(ALL)])

    def test_s4_6_served_when_unchoked(self) -> None:
        """A request is answered after an unchoke, with one frame, and never while choked."""
        leech = self.world.accepted(1002)
        leech.says(messages.Bitfield(NONE))
        leech.says(messages.Request(4, 0, 2))
        leech.says(messages.Interested())
        said(leech)
        self.world.wait(5.5)
        self.assertEqual(said(leech), [messages.Unchoke()])
        leech.says(messages.Request(4, 0, 2))
        self.assertEqual(said(leech), [piece(4)])

    def test_s4_10_at_most_two(self) -> None:
        """With one preferred neighbor two are unchoked at most, and frames are sent on change only."""
        leeches = [self.world.accepted(id) for id in (1002, 1003)]
        for leech in leeches:
            leech.says(messages.Interested())
            said(leech)
        self.world.wait(60)
        for leech in leeches:
            spoken = said(leech)
            self.assertIn(messages.Unchoke(), spoken)
            self.assertTrue(all(type(one) is not type(two) for one, two in pairwise(spoken)))

    def test_s4_17_the_end(self) -> None:
        """It is over when everybody has everything, and not before; a seed has no line of completion."""
        leeches = {id: self.world.accepted(id) for id in (1002, 1003)}
        leeches[1002].says(messages.Bitfield(ALL))
        for index in range(4):
            leeches[1003].says(messages.Have(index))
        self.world.wait(60)
        self.assertNoResult(self.world.process.finished)
        leeches[1003].says(messages.Have(4))
        self.assertTrue(self.world.endpoints.port.closed)
        for leech in leeches.values():
            leech.goes()
        self.assertIs(self.successResultOf(self.world.process.finished), None)
        self.assertFalse(any("complete file" in line for line in self.world.log()))

    def test_s4_17_killed(self) -> None:
        """A neighbor that leaves without the file is waited for as long as the grace is; then it is an error."""
        leeches = {id: self.world.accepted(id) for id in (1002, 1003)}
        leeches[1003].says(messages.Bitfield(ALL))
        leeches[1002].goes(cleanly=False)
        self.world.wait(9)
        self.assertNoResult(self.world.process.finished)
        self.world.wait(1)
        leeches[1003].goes()
        error = self.failureResultOf(self.world.process.finished, NeighborGone)
        self.assertIn("1002", str(error.value))

    def test_s4_17_not_started_yet(self) -> None:
        """Who has not come yet is waited for as long as it takes."""
        self.world.accepted(1003).says(messages.Bitfield(ALL))
        self.world.wait(60)
        self.assertNoResult(self.world.process.finished)

    def test_s4_17_never_came(self) -> None:
        """With a limit, who has not come by then counts as gone; who comes in the grace after it does not."""
        for late in (False, True):
            world = World(Path(self.mktemp()), 1001, info(1001), wait=90.0)
            world.accepted(1003).says(messages.Bitfield(ALL))
            world.wait(99)
            self.assertNoResult(world.process.finished)
            if late:
                world.accepted(1002)
            world.wait(1)
            self.assertEqual(late, not world.endpoints.port.closed)

    def test_s4_17_came_back(self) -> None:
        """A neighbor that comes back in time is waited for on."""
        other = self.world.accepted(1003)
        other.says(messages.Bitfield(ALL))
        self.world.accepted(1002).goes(cleanly=False)
        self.world.wait(9)
        self.world.accepted(1002)
        self.world.wait(60)
        self.assertNoResult(self.world.process.finished)

    def test_leave(self) -> None:
        """Told to leave it hangs up on all, closes its port and its log, and says when that is done."""
        other = self.world.accepted(1003)
        leaving = self.world.process.leave()
        self.assertTrue(self.world.endpoints.port.closed)
        self.assertTrue(other.transport.disconnecting)
        self.assertNoResult(leaving)
        other.goes()
        self.successResultOf(leaving)
        self.assertEqual(self.world.clock.getDelayedCalls(), [])

    def test_no_room_for_the_log(self) -> None:
        """Without a log there is no taking part: a disk that refuses a line ends it, with that reason."""
        other = self.world.accepted(1003)
        self.world.sink.full = True
        other.says(messages.Interested())
        self.assertTrue(other.transport.disconnecting)
        other.goes()
        self.failureResultOf(self.world.process.finished, DiskFull)
