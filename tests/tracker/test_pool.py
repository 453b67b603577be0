"""Tests of p2pshare.tracker.pool."""

from __future__ import annotations

from array import array
from collections import Counter
from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.tracker.pool import Pool
from tests.contracts.swarm_store import cut, peer, peer_id


def pool_of(size: int, seed: int = 0) -> Pool:
    """Make a pool of the peers 0 to size - 1."""
    pool = Pool(6, Random(seed).random)
    for number in range(size):
        pool.join(peer(number), peer_id(number), float(number))
    return pool


class PoolTests(SynchronousTestCase):
    """Members in packed arrays."""

    def test_arrays_belong_together(self) -> None:
        """After any joining and leaving, what lies at one place is of one member."""
        pool, random = pool_of(50), Random(1)
        for _ in range(300):
            number = random.randrange(80)
            if pool.leave(peer(number)) is None:
                pool.join(peer(number), peer_id(number), float(number), counted=number % 2)
            for place, address in enumerate(pool):
                known = int.from_bytes(address[2:4], "big")
                self.assertEqual(pool.find(address), place)
                self.assertEqual(cut(bytes(pool.peer_ids), 20)[place], peer_id(known))
                self.assertEqual(pool.seen[place], float(known))

    def test_touch(self) -> None:
        """An announce moves a member's time and peer_id, and nothing else."""
        pool = pool_of(3)
        place = pool.find(peer(1))
        assert place is not None
        pool.touch(place, peer_id(9), 50.0)
        self.assertEqual(pool.find(peer(1)), place)
        self.assertEqual((pool.seen[place], cut(bytes(pool.peer_ids), 20)[place]), (50.0, peer_id(9)))

    def test_leave_tells_what_was_counted(self) -> None:
        """Who leaves takes along whether its completion was counted."""
        pool = pool_of(2)
        pool.join(peer(7), peer_id(7), 0.0, counted=1)
        self.assertEqual([pool.leave(peer(n)) for n in (7, 0, 7)], [1, 0, None])

    @given(st.integers(0, 12), st.integers(0, 15), st.integers(-1, 11), st.integers(0, 99))
    def test_samples(self, size: int, count: int, without: int, seed: int) -> None:
        """A sample has as many different members as it can, not the one to leave out, in at most three slices."""
        pool = pool_of(size, seed)
        place = pool.find(peer(without)) if without >= 0 else None
        where = pool.sample(count, place)
        self.assertLessEqual(len(where), 3)
        found = cut(pool.packed(where))
        self.assertEqual(len(found), min(count, size - (place is not None)))
        self.assertEqual(len(set(found)), len(found))
        self.assertTrue(set(found) <= set(pool) - {peer(without)} if place is not None else set(found) <= set(pool))
        self.assertEqual([peer_id(int.from_bytes(a[2:4], "big")) for a in found], cut(pool.ids(where), 20))

    @given(st.integers(0, 12), st.integers(0, 15), st.integers(-1, 11), st.integers(0, 99))
    def test_packed_samples(self, size: int, count: int, without: int, seed: int) -> None:
        """A sample that is wanted as addresses only is made of the same members, chosen by the same chance."""
        pool, same = pool_of(size, seed), pool_of(size, seed)
        place = pool.find(peer(without)) if without >= 0 else None
        found = cut(pool.packed_sample(count, place))
        expected = cut(same.packed(same.sample(count, place)))
        self.assertEqual(sorted(found), sorted(expected))
        if count < size - (place is not None):
            self.assertEqual(found, expected)

    def test_order_is_random(self) -> None:
        """Who is next to whom has nothing to do with who came when: neighbours differ from pool to pool."""
        nexts: Counter[bytes] = Counter()
        for seed in range(2000):
            pool = pool_of(5, seed)
            place = pool.find(peer(0))
            assert place is not None
            nexts[list(pool)[(place + 1) % 5]] += 1
        self.assertEqual(len(nexts), 4)
        self.assertTrue(all(400 < count < 600 for count in nexts.values()), nexts)

    def test_search_for_silent_ones_is_rare(self) -> None:
        """As long as the oldest known announce is young enough, nobody is looked at."""
        pool = pool_of(10)
        for number in range(10):
            place = pool.find(peer(number))
            assert place is not None
            pool.touch(place, peer_id(number), 100.0)
        self.assertEqual(pool.silent_since(0.0), [])
        self.assertEqual(pool._oldest, 0.0)  # a lower bound: not searched
        self.assertEqual(pool.silent_since(50.0), [])
        self.assertEqual(pool._oldest, 100.0)
        self.assertEqual(len(pool.silent_since(100.5)), 10)


class RestoredPoolTests(SynchronousTestCase):
    """A pool made of saved arrays."""

    def test_same_pool(self) -> None:
        """It is the pool that was saved."""
        pool = pool_of(5)
        arrays = (bytes(pool.addresses), bytes(pool.peer_ids), array("d", pool.seen), bytes(pool.counted))
        restored = Pool.restored(6, Random(0).random, *arrays)
        self.assertEqual(list(restored), list(pool))
        self.assertEqual([restored.find(peer(n)) for n in range(6)], [pool.find(peer(n)) for n in range(6)])
        self.assertEqual(restored.silent_since(2.0), pool.silent_since(2.0))

    def test_f103_arrays_that_do_not_fit(self) -> None:
        """Arrays of different lengths, or with somebody twice, are refused."""
        for addresses, ids, seen, counted in (
            (peer(1), b"", [1.0], b"\0"),
            (peer(1) + peer(1), peer_id(1) * 2, [1.0, 1.0], b"\0\0"),
            (peer(1), peer_id(1), [1.0], b""),
            (b"", peer_id(1), [1.0], b"\0"),
        ):
            with self.assertRaises(ValueError):
                Pool.restored(6, Random(0).random, addresses, ids, array("d", seen), counted)
