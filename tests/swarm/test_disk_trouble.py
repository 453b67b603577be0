"""Tests for a disk that is slow, full, or loses what it had."""

from p2pshare.errors import DiskFull, StorageError
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.swarm.events import Completed, PieceLost, PieceSpoiled, PieceVerified, State, StateChanged
from p2pshare.swarm.settings import PeerLimits
from p2pshare.wire import messages
from tests.swarm.fakes import ALL, CONTENT, PIECE, PLAIN, SwarmTestCase, bitfield, blocks_of, data_of, piece_of


class SlowDiskTests(SwarmTestCase):
    """Hashing and writing that fall behind."""

    def test_f100_peers_are_paused(self) -> None:
        """While the disk is behind nobody is read from, who comes in meanwhile included; then everybody is again."""
        self.start(pipeline=4)
        self.store.is_slow = self.store.is_pressed = True
        one, two = self.meet_seed(), self.meet(())
        for request in one.hear_about(messages.Request):
            one.say(piece_of(request))
        late = self.meet(ALL)
        peers = (one, two, late)
        self.assertEqual([peer.transport.producerState for peer in peers], ["paused"] * 3)
        self.store.is_pressed = False
        self.store.on_relief()
        self.store.catch_up()
        self.assertEqual([peer.transport.producerState for peer in peers], ["producing"] * 3)
        self.assertEqual(self.store.have.count, 1)

    def test_f90_disk_full(self) -> None:
        """A full disk stops the download once, what is verified is served on, and ten minutes later it goes on."""
        self.start((0,), pipeline=8)
        seed, leech = self.meet_seed(), self.meet_leech()
        error = DiskFull("/there: no space is left on its disk")
        self.store.broken = error
        for request in seed.hear_about(messages.Request):
            seed.say(piece_of(request))
        self.assertEqual(self.events, [StateChanged(State.FAILED, error)])
        self.assertEqual((self.swarm.state, self.swarm.error), (State.FAILED, error))
        self.assertEqual(leech.hear_about(messages.Have), [])
        seed.hear()
        self.pass_time(100)
        self.assertEqual(seed.hear_about(messages.Request), [])
        self.assert_served(leech)
        self.store.broken = None
        for _ in range(10):
            seed.say(messages.KeepAlive())
            seed.hear()
            self.pass_time(50)
        self.assertEqual(self.swarm.state, State.DOWNLOADING)
        self.pass_time(70)
        self.feed(seed)
        self.assertEqual(self.store.content, CONTENT)
        self.assertEqual(self.swarm.state, State.SEEDING)

    def test_f35_nobody_is_blamed_for_our_disk(self) -> None:
        """An error on writing bans nobody."""
        self.start(range(7))
        seed = self.meet_seed()
        self.store.broken = DiskFull("/there: no space is left on its disk")
        seed.say(*map(piece_of, blocks_of(7)))
        self.assertFalse(seed.is_gone)
        self.assertFalse(any(isinstance(event, PieceSpoiled) for event in self.events))
        self.assertEqual(data_of(blocks_of(7)[0]), CONTENT[7 * PIECE :][:BLOCK_SIZE])

    def test_bug_while_sealing(self) -> None:
        """An error that is not the disk's is logged, and the piece is fetched again."""
        self.start(range(7))
        seed = self.meet_seed()
        seed.hear()
        self.store.broken = ZeroDivisionError("a bug")
        seed.say(*map(piece_of, blocks_of(7)))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.store.broken = None
        self.assertEqual(self.feed(seed), blocks_of(7))
        self.assertTrue(self.store.is_complete)


class LostPieceTests(SwarmTestCase):
    """F93: bytes that were verified and cannot be read any more."""

    def lose(self, *pieces: int) -> None:
        """Break the disk below some pieces."""
        self.store.lost.update(pieces)

    def test_f93_reject_and_fetch_again(self) -> None:
        """The asker hears a reject, nobody is banned, the others are served on, and the piece is fetched once more."""
        self.start(ALL)
        leech, other = self.meet_leech(), self.meet_leech()
        self.lose(3)
        leech.say(*(messages.Request(*block) for block in (*blocks_of(3), *blocks_of(4))))
        heard = leech.hear()
        self.assertEqual(
            [m for m in heard if isinstance(m, messages.Reject)], [messages.Reject(*block) for block in blocks_of(3)]
        )
        self.assertEqual([m for m in heard if isinstance(m, messages.Piece)], list(map(piece_of, blocks_of(4))))
        self.assertEqual(self.events, [PieceLost(3), StateChanged(State.DOWNLOADING)])
        self.assertEqual(self.discovery.events, ["started", "announce now"])
        self.assert_served(other)
        self.assertFalse(leech.is_gone)

        self.events.clear()
        seed = self.meet_seed()
        self.store.lost.clear()
        self.assertEqual(sorted(self.feed(seed)), blocks_of(3))
        self.assertEqual(self.store.content, CONTENT)
        self.assertEqual(
            self.events, [PieceVerified(3, frozenset({seed.peer_id})), StateChanged(State.SEEDING), Completed()]
        )
        self.assert_served(leech, 3)

    def test_f93_rest_of_the_piece(self) -> None:
        """Whatever anybody else waits for of that piece is rejected, too, and what waits behind it is sent."""
        self.start(ALL)
        one, two = self.meet_leech(), self.meet_leech()
        two.reads = False
        wanted = [*(block for piece in (4, 5, 6, 7, 2) for block in blocks_of(piece)), *blocks_of(3), *blocks_of(1)]
        two.say(*(messages.Request(*block) for block in wanted))
        self.lose(3)
        one.say(messages.Request(3, 0, 1))
        self.assertEqual(one.hear(), [messages.Reject(3, 0, 1)])
        two.reads = True
        heard = two.hear()
        self.assertEqual(
            [m for m in heard if isinstance(m, messages.Reject)], [messages.Reject(*block) for block in blocks_of(3)]
        )
        self.assertEqual([m.index for m in heard if isinstance(m, messages.Piece)][-4:], [1] * 4)
        self.assertEqual(self.events[0], PieceLost(3))
        self.assertEqual(len([event for event in self.events if isinstance(event, PieceLost)]), 1)

    def test_f92_taken_back(self) -> None:
        """A piece that the store takes back by itself is wanted again, and rejected to whoever waits for it."""
        self.start(ALL)
        leech, holder = self.meet_leech(), self.meet((3,))
        leech.reads = False
        leech.say(*(messages.Request(*block) for piece in (4, 5, 6, 7, 2, 3) for block in blocks_of(piece)))
        self.store.have.discard(3)
        self.store.on_lost(3)
        self.store.on_lost(3)  # told twice is told once
        leech.reads = True
        self.assertEqual(leech.hear_about(messages.Reject), [messages.Reject(*block) for block in blocks_of(3)])
        self.assertEqual(self.events, [PieceLost(3), StateChanged(State.DOWNLOADING)])
        self.assertEqual(holder.hear(), [messages.Interested()])
        holder.say(messages.Unchoke())
        self.assertEqual(self.feed(holder), blocks_of(3))
        self.assertEqual(self.swarm.state, State.SEEDING)

    def test_f93_lost_again(self) -> None:
        """A piece that was lost, fetched again and lost again is fetched a third time."""
        self.start(ALL)
        leech, holder = self.meet_leech(), self.meet((3,))
        holder.say(messages.Unchoke())
        for _ in range(2):
            self.lose(3)
            leech.say(messages.Request(3, 0, BLOCK_SIZE))
            self.assertEqual(leech.hear_about(messages.Reject), [messages.Reject(3, 0, BLOCK_SIZE)])
            self.store.lost.clear()
            self.assertEqual(self.feed(holder), blocks_of(3))
        self.assertEqual(self.store.content, CONTENT)
        self.assertEqual(self.swarm.state, State.SEEDING)

    def test_f92_in_doubt(self) -> None:
        """While the store is not sure of a piece nothing of it is sent, and it is not fetched either."""
        self.start(ALL)
        leech = self.meet_leech()
        leech.reads = False
        leech.say(*(messages.Request(*block) for piece in (4, 5, 6, 7, 2, 3, 1) for block in blocks_of(piece)))
        self.store.have.discard(3)
        leech.reads = True
        heard = leech.hear()
        self.assertEqual(
            [m for m in heard if isinstance(m, messages.Reject)], [messages.Reject(*block) for block in blocks_of(3)]
        )
        self.assertEqual([m.index for m in heard if isinstance(m, messages.Piece)][-4:], [1] * 4)
        self.assertEqual(self.events, [])
        self.store.have.add(3)
        self.assert_served(leech, 3)

    def test_f92_trouble_without_a_piece(self) -> None:
        """An error nobody waited for is shown; a full disk is tried again, and a seed goes on as one."""
        self.start(ALL, disk_retry=20.0)
        leech = self.meet_leech()
        error = DiskFull("/there: no space is left on its disk")
        self.store.on_trouble(error)
        self.assertEqual(self.events, [StateChanged(State.FAILED, error)])
        self.assert_served(leech)
        self.pass_time(21)
        self.assertEqual(self.swarm.state, State.SEEDING)
        self.store.on_trouble(StorageError("/there: input/output error"))
        self.pass_time(60)
        self.assertEqual(self.swarm.state, State.FAILED)

    def test_f93_asked_again(self) -> None:
        """Whoever goes on asking for it is told no each time, and that is not held against anybody."""
        self.start(ALL)
        leech = self.meet_leech()
        self.lose(3)
        leech.say(*[messages.Request(3, 0, BLOCK_SIZE)] * 1000)
        leech.say(*[messages.Request(3, 0, BLOCK_SIZE)] * 1000)
        self.assertFalse(leech.is_gone)
        self.assert_served(leech)

    def test_f93_plain_peer(self) -> None:
        """A peer that has no word for a reject would wait in vain: it is hung up on, and learns better on return."""
        self.start(ALL)
        leech, other = self.meet_leech(reserved=PLAIN), self.meet_leech()
        self.lose(0)
        leech.say(messages.Request(0, 0, BLOCK_SIZE))
        self.assertTrue(leech.is_gone)
        back = self.connect(reserved=PLAIN, peer_id=leech.peer_id)
        back.greet()
        self.assertEqual(back.hear(), [bitfield(range(1, 8))])
        self.assert_served(other, 1)

    def test_f93_queue_of_lost_blocks(self) -> None:
        """A full queue whose blocks are all lost is emptied by rejects, and we listen again."""
        self.start(ALL, limits=PeerLimits(queued_requests=50))
        leech = self.meet_leech()
        leech.reads = False
        leech.say(*(messages.Request(4, n, BLOCK_SIZE) for n in range(20)))
        leech.say(*(messages.Request(3, n, BLOCK_SIZE) for n in range(60)))
        self.assertEqual(leech.transport.producerState, "paused")
        self.lose(3)
        leech.reads = True
        heard = leech.hear()
        self.assertEqual(len([m for m in heard if isinstance(m, messages.Reject)]), 60)
        self.assertEqual(leech.transport.producerState, "producing")

    def test_f93_while_downloading(self) -> None:
        """A download that loses a piece on the way fetches that one twice, and ends as it should."""
        self.start(pipeline=4)
        seed, leech = self.meet_seed(), self.meet_leech()
        while not self.store.have.count:
            for request in seed.hear_about(messages.Request):
                seed.say(piece_of(request))
        (piece,) = self.store.have
        self.lose(piece)
        leech.say(messages.Request(piece, 0, BLOCK_SIZE))
        self.assertEqual(leech.hear_about(messages.Reject), [messages.Reject(piece, 0, BLOCK_SIZE)])
        self.store.lost.clear()
        asked = self.feed(seed)
        self.assertEqual([block for block in sorted(asked) if block[0] == piece], blocks_of(piece))
        self.assertEqual(self.store.content, CONTENT)
        self.assertEqual(self.swarm.state, State.SEEDING)
        self.assertEqual(self.discovery.events, ["started", "completed"])

    def test_f93_only_seeding(self) -> None:
        """Where nothing may be written the error is shown, nothing is asked for, and the rest is served."""
        self.start(ALL, seed_only=True)
        leech, other = self.meet_leech(), self.meet((3, 4))
        other.say(messages.Unchoke())
        self.lose(3)
        leech.say(messages.Request(3, 0, BLOCK_SIZE))
        self.assertEqual(leech.hear(), [messages.Reject(3, 0, BLOCK_SIZE)])
        self.assertEqual(self.swarm.state, State.FAILED)
        self.assertIn("piece 3", str(self.swarm.error))
        self.pass_time(5)
        self.assertEqual(other.hear_about(messages.Request), [])
        self.assert_served(leech, 4)

    def test_passing_trouble(self) -> None:
        """An error that says nothing about the content costs the asker a reject and nothing else."""
        self.start(ALL)
        leech = self.meet_leech()
        self.store.passing = StorageError("too many files are open")
        leech.say(messages.Request(3, 0, BLOCK_SIZE))
        self.assertEqual(leech.hear(), [messages.Reject(3, 0, BLOCK_SIZE)])
        self.assertEqual((self.events, self.swarm.state), ([], State.SEEDING))
        self.store.passing = None
        self.assert_served(leech, 3)

    def test_bug_while_reading(self) -> None:
        """An error that is not the disk's is logged; the asker is refused and others are served."""
        self.start(ALL)
        leech = self.meet_leech()
        self.store.passing = ZeroDivisionError("a bug")  # type: ignore[assignment]
        leech.say(messages.Request(3, 0, BLOCK_SIZE))
        self.assertEqual(leech.hear(), [messages.Reject(3, 0, BLOCK_SIZE)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.store.passing = None
        self.assert_served(leech, 3)


class CompletionTests(SwarmTestCase):
    """What is told of content that has become whole: once, unless it really lacked something since."""

    def complete(self) -> list[object]:
        """Those events that tell of it."""
        return [event for event in self.events if isinstance(event, Completed)]

    def lose_and_fetch(self, piece: int) -> None:
        """Lose a piece, and get it from a seed that comes by."""
        self.store.have.discard(piece)
        self.store.on_lost(piece)
        seed = self.meet_seed()
        self.feed(seed)
        self.assertEqual(self.swarm.state, State.SEEDING)

    def test_download(self) -> None:
        """The end of a download is told once, to trackers as well."""
        self.start(range(6))
        self.feed(self.meet_seed())
        self.assertEqual(len(self.complete()), 1)
        self.assertEqual(self.discovery.events, ["started", "completed"])

    def test_whole_from_the_start(self) -> None:
        """Content that was there is not completed, not even after trouble that cost nothing."""
        self.start(ALL, disk_retry=5.0)
        for _ in range(3):
            self.store.on_trouble(DiskFull("/there: no space is left on its disk"))
            self.assertEqual(self.swarm.state, State.FAILED)
            self.pass_time(6)
            self.assertEqual(self.swarm.state, State.SEEDING)
        self.assertEqual((self.complete(), self.discovery.events), ([], ["started"]))

    def test_lost_since(self) -> None:
        """For each time that a piece was lost and fetched again it is told once more."""
        self.start(ALL)
        for times in (1, 2):
            self.lose_and_fetch(3)
            self.assertEqual(len(self.complete()), times)
        self.assertEqual(self.swarm.completed_at, 0.0)

    def test_several_lost(self) -> None:
        """Several pieces lost at a time are one gap."""
        self.start(ALL)
        for piece in (2, 5):
            self.store.have.discard(piece)
            self.store.on_lost(piece)
        self.feed(self.meet_seed())
        self.assertEqual(len(self.complete()), 1)
        states = [event.state for event in self.events if isinstance(event, StateChanged)]
        self.assertEqual(states, [State.DOWNLOADING, State.SEEDING])

    def test_last_piece_during_trouble(self) -> None:
        """A download whose last piece arrives while the disk is in trouble is complete when that is over."""
        self.start(range(7), disk_retry=5.0)
        seed = self.meet_seed()
        self.store.is_slow = True
        seed.say(*map(piece_of, blocks_of(7)))
        self.store.on_trouble(DiskFull("/there: no space is left for the journal"))
        self.store.catch_up()
        self.assertEqual((self.swarm.state, self.complete()), (State.FAILED, []))
        self.pass_time(6)
        self.assertEqual((self.swarm.state, len(self.complete())), (State.SEEDING, 1))
        self.assertEqual(self.discovery.events, ["started", "completed"])

    def test_lost_during_trouble(self) -> None:
        """A piece that is lost while the disk is in trouble is fetched when that is over."""
        self.start(ALL, disk_retry=5.0)
        self.store.on_trouble(DiskFull("/there: no space is left for the journal"))
        self.store.have.discard(3)
        self.store.on_lost(3)
        self.pass_time(6)
        self.assertEqual(self.swarm.state, State.DOWNLOADING)
        self.assertEqual(self.feed(self.meet_seed()), blocks_of(3))
        self.assertEqual((self.swarm.state, len(self.complete())), (State.SEEDING, 1))

    def test_lost_piece_has_an_endgame(self) -> None:
        """A second peer helps with the last blocks of a lost piece, as with those of any other."""
        self.start(ALL)
        self.store.have.discard(3)
        self.store.on_lost(3)
        slow = self.meet_seed()
        self.assertEqual(len(slow.hear_about(messages.Request)), 4)
        self.pass_time(1)
        quick = self.meet_seed()
        self.assertEqual(len(self.feed(quick)), 4)
        self.assertEqual(self.swarm.state, State.SEEDING)
