from __future__ import annotations

from collections import Counter
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address, Networks
from p2pshare.policy.candidates import BACKOFF, BAN, PATIENCE, RETURN_AFTER, SEED_FOR, Candidates

PEER_ID = b"-XX0001-" + b"p" * 12
OTHER_ID = b"-XX0001-" + b"o" * 12


def some(count: int, first: int = 1) -> list[Address]:
    """Public addresses."""
    return [Address(f"8.8.{number >> 8}.{number & 255}", 6881) for number in range(first, first + count)]


def dialled(candidates: Candidates, now: float) -> list[Address]:
    """Everything that may be dialled now, in order."""
    found = []
    while (address := candidates.next(now)) is not None:
        candidates.connecting(address)
        found.append(address)
    return found


class CandidatesTests(SynchronousTestCase):
    """Which address to dial next."""

    def setUp(self) -> None:
        self.candidates = Candidates(Random(0))

    def test_each_address_once(self) -> None:
        """What was heard is dialled once, in no particular order, however often it is heard meanwhile."""
        addresses = some(20)
        self.assertEqual(self.candidates.heard(addresses, "tracker", 0.0), 20)
        self.assertEqual(self.candidates.heard(addresses, "pex", 0.0), 0)
        found = dialled(self.candidates, 0.0)
        self.assertEqual(set(found), set(addresses))
        self.assertNotEqual(found, addresses)
        self.assertEqual(len(self.candidates), 20)

    def test_f87_what_cannot_be_dialled(self) -> None:
        """Port 0, multicast, broadcast and unspecified addresses are never kept; names are."""
        bad = [Address("8.8.8.8", 0), Address("224.0.0.1", 6881), Address("255.255.255.255", 1), Address("0.0.0.0", 1)]
        self.assertEqual(self.candidates.heard([*bad, Address("client2", 6881)], "tracker", 0.0), 1)
        self.assertEqual(self.candidates.next(0.0), Address("client2", 6881))

    def test_f21_ourselves(self) -> None:
        """An address that turned out to be our own is forgotten and never taken in again."""
        (address,) = some(1)
        self.candidates.heard([address], "tracker", 0.0)
        self.candidates.add_self(address)
        self.assertIsNone(self.candidates.next(0.0))
        self.assertEqual(self.candidates.heard([address], "tracker", 1.0), 0)

    def test_backs_off(self) -> None:
        """After each failure the next attempt waits longer: ten seconds, a minute, five, fifteen, an hour."""
        (address,) = some(1)
        now = 0.0
        self.candidates.heard([address] * 2, "pex", now)
        for pause in (*BACKOFF, BACKOFF[-1]):
            self.assertEqual(self.candidates.next(now), address)
            self.candidates.connecting(address)
            self.assertIsNone(self.candidates.next(now + 1e6))
            self.candidates.failed(address, now)
            self.assertIsNone(self.candidates.next(now + pause - 0.1))
            now += pause

    def test_forgets_who_never_answers(self) -> None:
        """An address that one source named once is dropped after five failures; it may be heard of anew."""
        (address,) = some(1)
        self.candidates.heard([address], "pex", 0.0)
        for attempt in range(PATIENCE):
            self.assertEqual(len(self.candidates), 1)
            self.candidates.failed(address, 1e5 * attempt)
        self.assertEqual(len(self.candidates), 0)
        self.assertEqual(self.candidates.heard([address], "pex", 1e6), 1)

    def test_s1_19_a_tracker_that_names_it_again(self) -> None:
        """What the tracker names again is tried again at once, though not within ten seconds; gossip does no such."""
        (address,) = some(1)
        self.candidates.heard([address], "tracker", 0.0)
        self.candidates.failed(address, 0.0)
        self.candidates.failed(address, 100.0)
        self.candidates.failed(address, 1000.0)
        self.candidates.heard([address], "pex", 1005.0)
        self.assertIsNone(self.candidates.next(1100.0))
        self.candidates.heard([address], "tracker", 1005.0)
        self.assertIsNone(self.candidates.next(1009.0))
        self.assertEqual(self.candidates.next(1010.0), address)

    def test_a_useful_peer_is_dialled_again_soon(self) -> None:
        """Who sent something before the connection broke is tried again after five seconds, as if it never failed."""
        (address,) = some(1)
        self.candidates.heard([address] * 2, "pex", 0.0)
        for _ in range(3):
            self.candidates.failed(address, 0.0)
        self.candidates.connected(address)
        self.candidates.lost(address, 1000.0, useful=True)
        self.assertIsNone(self.candidates.next(1000.0 + RETURN_AFTER - 0.1))
        self.assertEqual(self.candidates.next(1000.0 + RETURN_AFTER), address)
        self.candidates.failed(address, 2000.0)
        self.assertEqual(self.candidates.next(2000.0 + BACKOFF[0]), address)

    def test_a_useless_connection_is_a_failure(self) -> None:
        """Who sent nothing waits as long as who did not answer."""
        (address,) = some(1)
        self.candidates.heard([address] * 2, "pex", 0.0)
        self.candidates.connected(address)
        self.candidates.lost(address, 0.0, useful=False)
        self.assertIsNone(self.candidates.next(BACKOFF[0] - 0.1))
        self.assertEqual(self.candidates.next(BACKOFF[0]), address)

    def test_new_ones_first(self) -> None:
        """An address never tried comes before one that has failed."""
        old, new = some(2)
        self.candidates.heard([old], "tracker", 0.0)
        self.candidates.failed(old, 0.0)
        self.candidates.heard([new], "tracker", 50.0)
        self.assertEqual(dialled(self.candidates, 100.0), [new, old])

    def test_connected_by_the_other_side(self) -> None:
        """An address whose peer dialled us is not dialled."""
        (address,) = some(1)
        self.candidates.connected(address)
        self.candidates.heard([address], "tracker", 0.0)
        self.assertIsNone(self.candidates.next(0.0))

    def test_limit(self) -> None:
        """At the limit, the address that failed most makes room for a new one; without failures nothing new fits."""
        candidates = Candidates(Random(0), limit=3)
        first, second, third, fourth, fifth = some(5)
        self.assertEqual(candidates.heard([first, second, third, fourth], "pex", 0.0), 3)
        candidates.failed(first, 0.0)
        candidates.failed(second, 0.0)
        candidates.failed(second, 20.0)
        self.assertEqual(candidates.heard([fourth], "pex", 30.0), 1)
        self.assertEqual(candidates.heard([fifth], "pex", 30.0), 1)
        self.assertEqual(set(dialled(candidates, 1e9)), {third, fourth, fifth})

    def test_unknown_addresses(self) -> None:
        """A failure of an address that was dropped meanwhile is nothing."""
        (address,) = some(1)
        self.candidates.failed(address, 0.0)
        self.candidates.lost(address, 0.0, useful=False)
        self.assertEqual(len(self.candidates), 0)

    @given(st.lists(st.tuples(st.sampled_from(some(4)), st.integers(0, 3)), max_size=60))
    @settings(max_examples=100, deadline=None)
    def test_f46_no_address_is_hammered(self, events: list[tuple[Address, int]]) -> None:
        """Whatever is heard, and however often, two attempts at an address are ten seconds apart at least."""
        candidates = Candidates(Random(0))
        attempts: dict[Address, float] = {}
        now = 0.0
        for address, kind in events:
            now += 1.5
            candidates.heard([address], ("tracker", "pex", "user", "pex")[kind], now)
            dial = candidates.next(now)
            if dial is not None:
                self.assertGreaterEqual(now - attempts.get(dial, -1e9), BACKOFF[0])
                attempts[dial] = now
                candidates.connecting(dial)
                candidates.failed(dial, now)


class BanTests(SynchronousTestCase):
    """Banned peers are not dialled and not let in."""

    def setUp(self) -> None:
        self.candidates = Candidates(Random(0))

    def test_f33_by_host(self) -> None:
        """On the Internet a ban holds for the host, whatever its port and peer_id, for a day."""
        bad, same_host, other = Address("8.8.8.8", 1), Address("8.8.8.8", 2), Address("8.8.4.4", 1)
        self.candidates.heard([bad, same_host, other], "tracker", 0.0)
        self.candidates.ban(bad, PEER_ID, 0.0)
        self.assertEqual(dialled(self.candidates, 0.0), [other])
        self.assertTrue(self.candidates.is_banned(same_host, OTHER_ID, BAN - 1.0))
        self.assertFalse(self.candidates.is_banned(other, PEER_ID, 0.0))
        self.assertFalse(self.candidates.is_banned(same_host, OTHER_ID, BAN))
        self.assertEqual(set(dialled(self.candidates, BAN)), {bad, same_host})

    def test_f33_by_peer_id_where_many_share_a_host(self) -> None:
        """On private networks a ban holds for the peer_id and the very address; neighbours behind it stay welcome."""
        bad, incoming, neighbour = Address("127.0.0.1", 1), Address("127.0.0.1", 50000), Address("127.0.0.1", 2)
        self.candidates.heard([bad, neighbour], "tracker", 0.0)
        self.candidates.ban(bad, PEER_ID, 0.0)
        self.assertEqual(dialled(self.candidates, 0.0), [neighbour])
        self.assertTrue(self.candidates.is_banned(incoming, PEER_ID, 0.0))
        self.assertFalse(self.candidates.is_banned(neighbour, OTHER_ID, 0.0))
        self.assertFalse(self.candidates.is_banned(incoming, PEER_ID, BAN))

    def test_exempt_networks_are_a_setting(self) -> None:
        """Which networks share hosts is for the operator to say."""
        candidates = Candidates(Random(0), exempt=Networks.parse(["8.8.0.0/16"]))
        candidates.ban(Address("8.8.8.8", 1), PEER_ID, 0.0)
        candidates.ban(Address("10.0.0.1", 1), PEER_ID, 0.0, seconds=5.0)
        self.assertFalse(candidates.is_banned(Address("8.8.8.8", 2), OTHER_ID, 0.0))
        self.assertTrue(candidates.is_banned(Address("10.0.0.1", 2), OTHER_ID, 4.0))
        self.assertFalse(candidates.is_banned(Address("10.0.0.1", 2), OTHER_ID, 5.0))


class SeedTests(SynchronousTestCase):
    """A seed has no use for seeds."""

    def setUp(self) -> None:
        self.candidates = Candidates(Random(0))
        self.seed, self.leech = some(2)
        self.candidates.heard([self.seed, self.leech], "tracker", 0.0)
        for address in dialled(self.candidates, 0.0):
            self.candidates.connected(address)
            self.candidates.lost(address, 0.0, useful=True)
            self.candidates.met(address, 0.0, is_seed=address == self.seed)

    def test_seeds_are_not_dialled(self) -> None:
        """Once we have everything only those are dialled that had not, whoever names the others again."""
        self.candidates.seeding(True)
        now = RETURN_AFTER
        self.assertEqual(dialled(self.candidates, now), [self.leech])
        self.candidates.heard([self.seed], "tracker", now)
        self.assertEqual(dialled(self.candidates, SEED_FOR - 1.0), [])

    def test_while_we_lack_something(self) -> None:
        """A peer that lacks something, or does so again, dials seeds."""
        self.candidates.seeding(True)
        self.assertIsNotNone(self.candidates.next(RETURN_AFTER))
        self.candidates.connecting(self.leech)
        self.assertIsNone(self.candidates.next(RETURN_AFTER))
        self.candidates.seeding(False)
        self.assertEqual(dialled(self.candidates, RETURN_AFTER), [self.seed])

    def test_not_for_ever(self) -> None:
        """After a day, or when it came back with less, there may be somebody else at that address."""
        self.candidates.seeding(True)
        self.assertEqual(dialled(self.candidates, SEED_FOR), [self.leech, self.seed])
        self.setUp()
        self.candidates.seeding(True)
        self.candidates.met(self.seed, 1.0, is_seed=False)
        self.assertEqual(set(dialled(self.candidates, RETURN_AFTER)), {self.leech, self.seed})

    def test_strangers_are_not_kept(self) -> None:
        """What a peer we never heard of has is not remembered: anybody can come."""
        self.candidates.met(Address("9.9.9.9", 6881), 0.0, is_seed=True)
        self.assertEqual(len(self.candidates), 2)


class PostponedTests(SynchronousTestCase):
    """Dials that we had no means for."""

    def test_f48_nobody_is_blamed(self) -> None:
        """An address that could not be dialled for reasons of ours is as good as before, at once."""
        candidates = Candidates(Random(0))
        (address,) = some(1)
        candidates.heard([address], "pex", 0.0)
        for _ in range(10 * PATIENCE):
            self.assertEqual(dialled(candidates, 0.0), [address])
            candidates.postponed(address)
        self.assertEqual(candidates.next(0.0), address)


class KnownPeersTests(SynchronousTestCase):
    """The limit on addresses, at its edge."""

    def test_known_peers(self) -> None:
        """So many are kept; one more is turned away, or takes the place of one that failed, and is counted."""
        hits: Counter[str] = Counter()
        candidates = Candidates(Random(0), limit=3, hits=hits)
        self.assertEqual(candidates.heard(some(2), "tracker", 0.0), 2)
        self.assertEqual(candidates.heard(some(1, 3), "tracker", 0.0), 1)
        self.assertEqual(hits, {})
        self.assertEqual(candidates.heard(some(1, 4), "tracker", 0.0), 0)
        self.assertEqual((len(candidates), hits), (3, {"known_peers": 1}))
        failing = dialled(candidates, 0.0)[0]
        candidates.failed(failing, 0.0)
        self.assertEqual(candidates.heard(some(1, 5), "tracker", 0.0), 1)
        self.assertEqual((len(candidates), hits), (3, {"known_peers": 2}))
