"""Tests of p2pshare.tracker.snapshot."""

from __future__ import annotations

from random import Random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address, pack_compact
from p2pshare.errors import StorageError
from p2pshare.tracker import snapshot
from p2pshare.tracker.swarm import Contact, Swarm
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.wire.announce import AnnounceRequest, Event
from tests.contracts.swarm_store import OTHER, TORRENT, peer, peer_id


def filled_store() -> MemorySwarms:
    """Make a store with members of every kind."""
    store = MemorySwarms(Random(0).random)
    contacts: list[Contact] = [
        peer(1),
        peer(2),
        pack_compact("2001:db8::1", 80),
        Address("client1", 6881),
        Address("a.b", 1),
    ]
    for number, contact in enumerate(contacts * 2):
        torrent, event = (TORRENT, Event.COMPLETED if number % 3 == 1 else None) if number < 5 else (OTHER, None)
        request = AnnounceRequest(torrent, peer_id(number), 6881, left=number % 2, event=event)
        store.announce(request, contact, 50, None, 100.0 + number)
    return store


def encoded(store: MemorySwarms, now: float) -> bytes:
    """Write a whole snapshot."""
    return snapshot.encode_head(now) + b"".join(snapshot.encode_swarm(*swarm) for swarm in store.swarms.items())


def described(swarm: Swarm, now: float) -> object:
    """Tell all that a swarm should remember, with ages instead of times."""
    pools = [
        (pool.width, is_seed, bytes(pool.addresses), bytes(pool.peer_ids), [now - t for t in pool.seen], pool.counted)
        for pool, is_seed in swarm.pools()
    ]
    named = {} if swarm.named is None else swarm.named.members
    members = {a: (m.peer_id, m.is_seed, m.counted, now - m.seen) for a, m in named.items()}
    return swarm.downloaded, pools, members, swarm.counts()


class SnapshotTests(SynchronousTestCase):
    """Swarms to bytes and back."""

    def test_round_trip(self) -> None:
        """Everything comes back, everybody as old as when it was saved, on a clock that began anew."""
        store = filled_store()
        restored = dict(snapshot.decode(encoded(store, 200.0), Random(0).random, 7.0))
        self.assertEqual(list(restored), [TORRENT, OTHER])
        for info_hash, swarm in store.swarms.items():
            self.assertEqual(described(restored[info_hash], 7.0), described(swarm, 200.0))

    def test_empty(self) -> None:
        """A snapshot of nothing holds nothing."""
        self.assertEqual(list(snapshot.decode(snapshot.encode_head(1.0), Random(0).random, 0.0)), [])

    def test_f103_cut_anywhere(self) -> None:
        """Cut at any byte it is whole swarms or a StorageError."""
        body = encoded(filled_store(), 200.0)
        for end in range(len(body)):
            try:
                self.assertLess(len(list(snapshot.decode(body[:end], Random(0).random, 0.0))), 2)
            except StorageError:
                pass

    @given(st.data())
    def test_f103_any_byte_changed(self, data: st.DataObject) -> None:
        """Whatever byte is changed, there are swarms or there is a StorageError."""
        body = bytearray(encoded(filled_store(), 200.0))
        for _ in range(data.draw(st.integers(1, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        try:
            list(snapshot.decode(bytes(body), Random(0).random, 0.0))
        except StorageError:
            pass

    @given(st.binary(max_size=200))
    def test_f103_garbage(self, body: bytes) -> None:
        """Random bytes give a StorageError or nothing."""
        try:
            list(snapshot.decode(body, Random(0).random, 0.0))
        except StorageError:
            pass
