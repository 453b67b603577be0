"""What every store of swarms promises; a test case for one of them mixes this in."""

from __future__ import annotations

from typing import Any

from p2pshare.addresses import Address, pack_compact
from p2pshare.tracker.hits import Hits
from p2pshare.wire.announce import AnnounceRequest, Event, PeerEntry, ScrapeCounts

TORRENT = b"t" * 20
OTHER = b"o" * 20


def peer(number: int) -> bytes:
    """Give the compact address of the peer with this number: 10.0.x.y:6881."""
    return pack_compact(f"10.0.{number // 256}.{number % 256}", 6881)


def peer_id(number: int) -> bytes:
    """Give its peer_id."""
    return b"-XX0001-%012d" % number


def cut(packed: bytes, width: int = 6) -> list[bytes]:
    """Cut joined addresses, or peer_ids, into single ones."""
    return [packed[at : at + width] for at in range(0, len(packed), width)]


class SwarmStoreContract:
    """Mixed into a SynchronousTestCase that says how to make a store."""

    def make_store(self, **limits: int) -> Any:
        """Make an empty store with max_torrents, max_members."""
        raise NotImplementedError

    def announce(
        self: Any,
        number: int,
        *,
        left: int | None = 1,
        event: Event | None = None,
        wanted: int = 50,
        contact: bytes | Address | None = None,
        torrent: bytes = TORRENT,
        most: int | None = None,
        now: float = 0.0,
        compact: bool = True,
    ) -> Hits:
        """Let a peer announce."""
        request = AnnounceRequest(torrent, peer_id(number), 6881, left=left, event=event, compact=compact)
        hits: Hits = self.store.announce(request, contact or peer(number), wanted, most, now)
        return hits

    def setUp(self: Any) -> None:
        """Have an empty store."""
        self.store = self.make_store()

    def test_first_peer_is_alone(self: Any) -> None:
        """The first peer is counted, and hears of nobody."""
        self.assertEqual(self.announce(1), Hits(0, 1))
        self.assertEqual(self.announce(2, left=0, torrent=OTHER), Hits(1, 0))

    def test_others_are_named(self: Any) -> None:
        """The next ones hear of those before them, never of themselves."""
        self.announce(1)
        self.assertEqual(self.announce(2), Hits(0, 2, peer(1)))
        self.assertEqual(set(cut(self.announce(3).packed4)), {peer(1), peer(2)})
        self.assertEqual(set(cut(self.announce(1).packed4)), {peer(2), peer(3)})

    def test_swarms_are_apart(self: Any) -> None:
        """Peers of one torrent are not named to those of another."""
        self.announce(1)
        self.assertEqual(self.announce(2, torrent=OTHER), Hits(0, 1))

    def test_left_not_said_is_a_leech(self: Any) -> None:
        """Whoever does not say how much is left is a leech."""
        self.assertEqual(self.announce(1, left=None), Hits(0, 1))

    def test_seeds_are_not_given_to_seeds(self: Any) -> None:
        """A seed hears of leeches only, a leech of both."""
        self.announce(1, left=0)
        self.announce(2, left=0)
        self.announce(3)
        self.assertEqual(self.announce(1, left=0), Hits(2, 1, peer(3)))
        self.assertEqual(set(cut(self.announce(3).packed4)), {peer(1), peer(2)})

    def test_as_many_as_wanted(self: Any) -> None:
        """No more are named than asked for, none twice, and nobody when asked for none."""
        for number in range(100):
            self.announce(number, left=number % 2)
        for wanted in (0, 1, 7, 50, 99):
            named = cut(self.announce(1, wanted=wanted).packed4)
            self.assertEqual((len(named), len(set(named))), (wanted, wanted))
            self.assertNotIn(peer(1), named)
        self.assertEqual(len(cut(self.announce(1, wanted=200).packed4)), 99)

    def test_everybody_gets_a_chance(self: Any) -> None:
        """Over many announces every other peer is named, about equally often."""
        for number in range(21):
            self.announce(number)
        counts = dict.fromkeys(map(peer, range(21)), 0)
        for _ in range(1000):
            for address in cut(self.announce(0, wanted=4).packed4):
                counts[address] += 1
        self.assertEqual(counts.pop(peer(0)), 0)
        self.assertTrue(all(130 < count < 270 for count in counts.values()), counts)  # 200 each, were it exact

    def test_a_leech_hears_of_seeds(self: Any) -> None:
        """Among many leeches, the few seeds are still named: one in four."""
        for number in range(5):
            self.announce(1000 + number, left=0)
        for number in range(200):
            self.announce(number)
        seeds = {peer(1000 + number) for number in range(5)}
        self.assertLessEqual(seeds, set(cut(self.announce(1, wanted=50).packed4)))
        self.assertEqual(len(seeds & set(cut(self.announce(1, wanted=8).packed4))), 2)

    def test_completion(self: Any) -> None:
        """A leech that completes is a seed from then on, and is counted once however often it says so."""
        self.announce(1)
        self.announce(2)
        self.assertEqual(self.announce(1, left=0, event=Event.COMPLETED), Hits(1, 1, peer(2)))
        for _ in range(3):
            self.announce(1, left=0, event=Event.COMPLETED)
        self.announce(1, left=5)  # found a broken piece,
        self.announce(1, left=0, event=Event.COMPLETED)  # and got it again
        self.assertEqual(self.store.scrape([TORRENT]), {TORRENT: ScrapeCounts(1, 1, 1)})

    def test_completion_counts_as_seed(self: Any) -> None:
        """A peer that says completed is a seed even if it forgets to say that nothing is left."""
        self.assertEqual(self.announce(1, left=None, event=Event.COMPLETED), Hits(1, 0))

    def test_f69_stopped(self: Any) -> None:
        """A peer that stops is gone and hears of nobody; again, or without having been there, it changes nothing."""
        self.announce(1)
        self.announce(2)
        self.assertEqual(self.announce(1, event=Event.STOPPED), Hits(0, 1))
        self.assertEqual(self.announce(1, event=Event.STOPPED), Hits(0, 1))
        self.assertEqual(self.announce(9, event=Event.STOPPED), Hits(0, 1))
        self.assertEqual(self.announce(9, event=Event.STOPPED, torrent=OTHER), Hits(0, 0))
        self.assertFalse(self.store.knows(OTHER))
        self.assertEqual(self.announce(2), Hits(0, 1))

    def test_f69_many_repetitions(self: Any) -> None:
        """Events repeated in any number leave counts that are never negative."""
        for event in [Event.COMPLETED, Event.STOPPED] * 2 + [Event.STOPPED] * 3 + [Event.STARTED] * 3:
            self.announce(1, event=event)
        self.assertEqual(self.store.scrape([TORRENT])[TORRENT].incomplete, 1)
        self.assertEqual(self.store.scrape([TORRENT])[TORRENT].complete, 0)

    def test_last_one_out(self: Any) -> None:
        """A swarm without members is forgotten, unless it has completions to tell of."""
        for torrent, event in ((TORRENT, None), (OTHER, Event.COMPLETED)):
            self.announce(1, torrent=torrent, event=event)
            self.announce(1, torrent=torrent, event=Event.STOPPED)
        self.assertFalse(self.store.knows(TORRENT))
        self.assertEqual(self.store.scrape([OTHER]), {OTHER: ScrapeCounts(0, 0, 1)})

    def test_restarted_peer(self: Any) -> None:
        """Another peer_id at the same address is the same member after a restart."""
        self.announce(1)
        self.announce(7, contact=peer(1))
        self.assertEqual(self.announce(2, compact=False).ids4, peer_id(7))

    def test_peer_ids_go_with_their_addresses(self: Any) -> None:
        """Where the reply has room for peer_ids they are in the order of the addresses, in all kinds of samples."""
        for number in range(40):
            self.announce(number, left=number % 3)
        for number in range(0, 40, 7):
            self.announce(number, event=Event.STOPPED)
        for wanted in (3, 20, 99):
            hits = self.announce(1, wanted=wanted, compact=False)
            expected = [peer_id(int.from_bytes(address[2:4], "big")) for address in cut(hits.packed4)]
            self.assertEqual(cut(hits.ids4, 20), expected)
        self.assertEqual(self.announce(1).ids4, b"")

    def test_ipv6(self: Any) -> None:
        """IPv6 members are named apart; everybody hears of the own kind first."""
        six = [pack_compact(f"2001:db8::{number}", 6881) for number in range(1, 4)]
        self.announce(1)
        self.announce(2)
        for number, contact in enumerate(six):
            self.announce(10 + number, contact=contact)
        hits = self.announce(10, contact=six[0], wanted=3)
        self.assertEqual((set(cut(hits.packed6, 18)), len(cut(hits.packed4))), ({six[1], six[2]}, 1))
        hits = self.announce(1, wanted=3)
        self.assertEqual((hits.packed4, len(cut(hits.packed6, 18))), (peer(2), 2))
        self.assertEqual((hits.complete, hits.incomplete), (0, 5))

    def test_names(self: Any) -> None:
        """Members with names are named so; they hear of each other first."""
        client = [Address(f"client{number}", 6881) for number in range(4)]
        self.announce(1)
        for number in range(3):
            self.announce(10 + number, contact=client[number], left=number)
        hits = self.announce(13, contact=client[3], wanted=3)
        self.assertEqual({entry.host for entry in hits.named}, {"client0", "client1", "client2"})
        self.assertEqual((hits.packed4, hits.complete, hits.incomplete), (b"", 1, 4))
        hits = self.announce(13, contact=client[3], wanted=4)
        self.assertIn(PeerEntry("client1", 6881, peer_id(11)), hits.named)
        self.assertEqual(hits.packed4, peer(1))
        self.assertNotIn("client0", {entry.host for entry in self.announce(1, left=0).named})
        self.assertEqual(self.announce(10, contact=client[0], event=Event.COMPLETED).complete, 2)
        self.announce(10, contact=client[0], event=Event.COMPLETED)
        self.announce(10, contact=client[0], event=Event.STOPPED)
        self.assertEqual(self.store.scrape([TORRENT]), {TORRENT: ScrapeCounts(1, 3, 1)})

    def test_f68_many_ports_of_one_address(self: Any) -> None:
        """Of one address at most so many ports are kept; the next one gets an answer, but is not handed out."""
        for port in range(1, 100):
            contact = pack_compact("203.0.113.7", port)
            hits = self.announce(port, contact=contact, most=32)
            self.assertEqual(hits.incomplete, min(port, 32))
        self.announce(500, contact=pack_compact("203.0.113.8", 1), most=32)
        self.assertEqual(self.announce(501, contact=pack_compact("203.0.113.8", 2), most=32).incomplete, 34)
        member = pack_compact("203.0.113.7", 1)
        self.assertEqual(self.announce(1, contact=member, most=32, left=0).complete, 1)  # may become a seed
        self.announce(1, contact=member, most=32, event=Event.STOPPED)
        self.assertEqual(self.announce(99, contact=contact, most=32).incomplete, 34)  # took the free place

    def test_f68_ipv6_by_network(self: Any) -> None:
        """IPv6 addresses of one /64 share that number."""
        for number in range(1, 10):
            self.announce(number, contact=pack_compact(f"2001:db8::{number}", 6881), most=4)
        hits = self.announce(10, contact=pack_compact("2001:db8:0:1::1", 6881), most=4)
        self.assertEqual(hits.incomplete, 5)

    def test_no_limit_for_exempt_ones(self: Any) -> None:
        """Without such a limit any number of ports is kept."""
        for port in range(1, 100):
            hits = self.announce(port, contact=pack_compact("127.0.0.1", port))
        self.assertEqual(hits.incomplete, 99)

    def test_members_of_a_full_swarm(self: Any) -> None:
        """A full swarm takes nobody in, but keeps answering, and its members stay members."""
        self.store = self.make_store(max_members=3)
        for number in range(10):
            hits = self.announce(number)
        self.assertEqual((hits.incomplete, len(cut(hits.packed4))), (3, 3))
        self.assertEqual(self.announce(0, left=0).complete, 1)
        self.announce(1, event=Event.STOPPED)
        self.announce(9)
        self.assertIsNotNone(self.store.last_seen(TORRENT, peer(9)))

    def test_f67_number_of_torrents(self: Any) -> None:
        """When there are too many torrents, the one announced longest ago goes."""
        self.store = self.make_store(max_torrents=3)
        for number in (1, 2, 3, 1, 4):
            self.announce(1, torrent=bytes([number]) * 20)
        self.assertEqual([self.store.knows(bytes([number]) * 20) for number in (1, 2, 3, 4)], [True, False, True, True])
        self.assertEqual(self.store.newest(2), [b"\x04" * 20, b"\x01" * 20])

    def test_scrape(self: Any) -> None:
        """The figures of each torrent asked for are given, zeros for unknown ones."""
        self.announce(1, left=0)
        self.announce(2)
        counts = self.store.scrape([TORRENT, OTHER])
        self.assertEqual(counts, {TORRENT: ScrapeCounts(1, 1, 0), OTHER: ScrapeCounts(0, 0, 0)})

    def test_last_seen(self: Any) -> None:
        """It is known when a member announced last, and that others never did."""
        name = Address("client1", 6881)
        self.announce(1, now=5.0)
        self.announce(2, left=0, now=6.0)
        self.announce(3, contact=name, now=7.0)
        self.announce(1, now=8.0)
        seen = [self.store.last_seen(TORRENT, contact) for contact in (peer(1), peer(2), name, peer(4))]
        self.assertEqual(seen, [8.0, 6.0, 7.0, None])
        self.assertIsNone(self.store.last_seen(OTHER, peer(1)))

    def test_silent_members_are_forgotten(self: Any) -> None:
        """Members that were last seen before some moment go, of every kind, and so do swarms that are empty then."""
        contacts = [peer(1), pack_compact("2001:db8::1", 1), Address("client1", 1)]
        for age, contact in enumerate(contacts * 2):
            self.announce(age, contact=contact, left=age % 2, now=float(age), torrent=TORRENT if age < 3 else OTHER)
        self.announce(9, now=10.0)
        self.announce(8, now=0.0, torrent=b"x" * 20)
        list(self.store.forget_silent(4.0))
        self.assertEqual([self.store.last_seen(TORRENT, contact) for contact in contacts], [None] * 3)
        self.assertEqual([self.store.last_seen(OTHER, contact) for contact in contacts], [None, 4.0, 5.0])
        self.assertEqual(self.announce(9, now=11.0), Hits(0, 1))
        self.assertFalse(self.store.knows(b"x" * 20))

    def test_silence_of_many(self: Any) -> None:
        """However members came, spoke and went, exactly the silent ones are forgotten, sweep after sweep."""
        seen: dict[int, float] = {}
        for step in range(3000):
            number = step * 7919 % 151
            gone = step % 5 == 0
            left = step % 2
            self.announce(number, left=left, event=Event.STOPPED if gone else None, now=float(step))
            if gone:
                seen.pop(number, None)
            else:
                seen[number] = float(step)
            if step % 50 == 0:
                list(self.store.forget_silent(step - 100.0))
                seen = {number: at for number, at in seen.items() if at >= step - 100.0}
                for other in range(151):
                    self.assertEqual(self.store.last_seen(TORRENT, peer(other)), seen.get(other))
