"""Tests for how a swarm tells its peers of verified pieces: at once where that matters, in few writes elsewhere."""

from p2pshare.wire import messages
from tests.swarm.fakes import ALL, PIECES, PLAIN, ScriptedPeer, SwarmTestCase, blocks_of, piece_of


class TellingTests(SwarmTestCase):
    """Pieces are verified by threads, some time after the read that brought their last block."""

    def count_writes(self, peer: ScriptedPeer) -> list[bytes]:
        """Collect the writes to a peer from now on; it still hears them."""
        writes: list[bytes] = []
        write = peer.transport.write

        def counted(data: bytes) -> None:
            writes.append(data)
            write(data)

        peer.transport.write = counted  # type: ignore[method-assign]
        return writes

    def bring(self, peer: ScriptedPeer, *pieces: int) -> None:
        """Let all blocks of these pieces come, and be verified later."""
        self.store.is_slow = True
        peer.say(*(piece_of(block) for piece in pieces for block in blocks_of(piece)))
        self.store.catch_up()

    def haves(self, peer: ScriptedPeer) -> list[int]:
        """The pieces a peer was told of since the last time."""
        return [have.index for have in peer.hear_about(messages.Have)]

    def test_seed_is_not_woken_for_a_have(self) -> None:
        """A seed hears of four pieces in one write, a second later; a peer that lacks them hears of each at once."""
        self.start()
        seed, leech = self.meet_seed(), self.meet(())
        asked = dict.fromkeys(request.index for request in seed.hear_about(messages.Request))
        four = list(asked)[:4]
        to_seed, to_leech = self.count_writes(seed), self.count_writes(leech)
        self.bring(seed, *four)
        self.assertEqual((len(to_seed), len(to_leech)), (0, 4))
        self.assertEqual(self.haves(leech), four)
        self.clock.advance(1.0)
        self.assertEqual(len(to_seed), 1)
        self.assertEqual(self.haves(seed), four)

    def test_haves_go_with_requests(self) -> None:
        """What a seed is told of goes out in the write that asks for more, before the requests."""
        self.start(pipeline=4)
        seed = self.meet_seed()
        piece = seed.hear_about(messages.Request)[0].index
        writes = self.count_writes(seed)
        self.store.is_slow = True
        blocks = blocks_of(piece)
        seed.say(*map(piece_of, blocks))
        self.assertEqual(len(writes), 1)  # the requests for another piece
        other = seed.hear_about(messages.Request)[0].index
        self.store.catch_up()
        seed.say(piece_of(blocks_of(other)[0]))
        self.assertEqual(len(writes), 2)
        self.assertEqual([type(message) for message in seed.hear()], [messages.Have, messages.Request])

    def test_nothing_is_left_unsaid_at_the_end(self) -> None:
        """A peer that has all we have hears of the last piece, of the end of our interest, and then hangs up."""
        self.start(range(PIECES - 2))
        seed, equal = self.meet_seed(), self.meet((*range(PIECES - 1),))
        seed.hear()
        self.bring(seed, PIECES - 2, PIECES - 1)
        told = [messages.Have(PIECES - 2), messages.Have(PIECES - 1), messages.NotInterested()]
        self.assertEqual(seed.hear(), told)
        self.assertTrue(seed.is_gone)  # both have everything
        self.assertEqual(equal.hear(), [told[0], told[2], told[1]])
        self.assertFalse(equal.is_gone)

    def test_s1_9_nothing_overtakes_the_bitfield(self) -> None:
        """A peer that joins while pieces are verified hears the bitfield first, and each piece once, there or after."""
        self.start()
        seed = self.meet_seed()
        first, second = list(dict.fromkeys(request.index for request in seed.hear_about(messages.Request)))[:2]
        self.store.is_slow = True
        for piece in (first, second):
            seed.say(*map(piece_of, blocks_of(piece)))
        done, piece, _ = self.store.sealing.pop(0)
        self.store.is_slow = False
        self.store.seal(piece).chainDeferred(done)
        late = self.connect(reserved=PLAIN)
        late.greet()
        self.store.catch_up()
        late.say(messages.Have(first))
        heard = late.hear()
        self.assertIsInstance(heard[0], messages.Bitfield)
        self.assertEqual([m.index for m in heard if isinstance(m, messages.Have)], [second])

    def test_all_seeds_hear_of_all_pieces(self) -> None:
        """Over a whole download every seed is told of every piece exactly once."""
        self.start()
        seeds = [self.meet_seed(), self.meet_seed()]
        told: list[list[int]] = [[], []]
        for _ in range(100):
            for seed, mine in zip(seeds, told, strict=True):
                heard = seed.hear()
                mine += [message.index for message in heard if isinstance(message, messages.Have)]
                self.store.is_slow = True
                for message in heard:
                    if isinstance(message, messages.Request):
                        seed.say(piece_of(message))
                self.store.catch_up()
        self.assertTrue(self.store.is_complete)
        self.assertEqual([sorted(mine) for mine in told], [list(ALL), list(ALL)])
