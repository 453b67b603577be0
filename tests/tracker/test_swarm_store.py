"""Tests of p2pshare.tracker.swarm_store: the contract, and what only the memory has."""

from __future__ import annotations

from random import Random

from attrs import evolve
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address, pack_compact
from p2pshare.tracker.hits import Hits
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.wire.announce import AnnounceRequest, Event, PeerEntry
from tests.contracts.swarm_store import OTHER, TORRENT, SwarmStoreContract, cut, peer, peer_id


class MemorySwarmsTests(SwarmStoreContract, SynchronousTestCase):
    """The store in memory keeps the contract."""

    def make_store(self, **limits: int) -> MemorySwarms:
        """Make an empty store."""
        return MemorySwarms(Random(0).random, **limits)

    def test_addresses_of_one_width(self) -> None:
        """Where a reply has room for one family, only that one and names are chosen; all are counted."""
        fourth, sixth, name = pack_compact("10.0.0.9", 1), pack_compact("fd00::9", 1), Address("client1", 1)
        for number, contact in enumerate((fourth, sixth, name)):
            self.announce(number, contact=contact)
        named = (PeerEntry("client1", 1, peer_id(2)),)
        for asker in (peer(5), pack_compact("fd00::5", 1), Address("client5", 1)):
            for width, packed in ((6, (fourth, b"")), (18, (b"", sixth)), (None, (fourth, sixth))):
                request = AnnounceRequest(TORRENT, peer_id(5), 1, left=0, event=Event.STARTED, compact=True)
                hits = self.store.announce(request, asker, 50, None, 0.0, width=width)
                self.assertEqual(hits, Hits(1, 3, *packed, named=named))
            self.store.announce(evolve(request, event=Event.STOPPED), asker, 0, None, 0.0)

    def test_names_are_known_of(self) -> None:
        """A swarm has names from the first member with one until the last has left."""
        name = Address("client1", 1)
        self.assertFalse(self.store.has_names(TORRENT))
        self.announce(1)
        self.assertFalse(self.store.has_names(TORRENT))
        self.announce(2, contact=name)
        self.assertTrue(self.store.has_names(TORRENT))
        self.announce(2, contact=name, event=Event.STOPPED)
        self.assertFalse(self.store.has_names(TORRENT))

    def test_changes_are_noticed(self) -> None:
        """Every announce and every loss of members changes the store, looking does not."""
        self.announce(1)
        before = self.store.changes
        self.store.scrape([TORRENT])
        self.store.knows(TORRENT)
        list(self.store.forget_silent(-1.0))
        self.assertEqual(self.store.changes, before)
        list(self.store.forget_silent(1.0))
        self.assertNotEqual(self.store.changes, before)

    def test_sweep_in_steps(self) -> None:
        """While a sweep is under way the store can be used: what came meanwhile stays, what went is no trouble."""
        for number in range(600):
            self.announce(1, torrent=number.to_bytes(20, "big"))
        steps = self.store.forget_silent(1.0)
        next(steps)
        last = (599).to_bytes(20, "big")
        self.announce(1, torrent=last, event=Event.STOPPED)
        self.announce(2, torrent=last, now=2.0)
        self.announce(2, torrent=OTHER, now=2.0)
        list(steps)
        self.assertEqual(list(self.store.swarms), [last, OTHER])


class SwarmMachine(RuleBasedStateMachine):
    """Random announces against the plainest model of a swarm: a dictionary."""

    def __init__(self) -> None:
        super().__init__()
        self.store = MemorySwarms(Random(1).random)
        self.model: dict[int, tuple[bool, float]] = {}  # peer -> is it a seed, last seen
        self.now = 0.0

    @rule(number=st.integers(0, 12), is_seed=st.booleans(), wanted=st.integers(0, 15))
    def announce(self, number: int, is_seed: bool, wanted: int) -> None:
        self.model[number] = (is_seed, self.now)
        hits = self._say(number, is_seed, None, wanted)
        named = cut(hits.packed4)
        possible = {peer(n) for n, (seed, _) in self.model.items() if n != number and not (seed and is_seed)}
        assert len(named) == len(set(named)) == min(wanted, len(possible))
        assert set(named) <= possible
        assert [peer_id(int.from_bytes(address[2:4], "big")) for address in named] == cut(hits.ids4, 20)

    @rule(number=st.integers(0, 12))
    def stop(self, number: int) -> None:
        self.model.pop(number, None)
        self._say(number, False, Event.STOPPED, 0)

    @rule(seconds=st.sampled_from([1.0, 10.0]), timeout=st.sampled_from([5.0, 30.0]))
    def sweep(self, seconds: float, timeout: float) -> None:
        self.now += seconds
        list(self.store.forget_silent(self.now - timeout))
        self.model = {n: (seed, seen) for n, (seed, seen) in self.model.items() if seen >= self.now - timeout}

    @invariant()
    def counts_are_right(self) -> None:
        counts = self.store.scrape([TORRENT])[TORRENT]
        seeds = sum(seed for seed, _ in self.model.values())
        assert (counts.complete, counts.incomplete) == (seeds, len(self.model) - seeds)

    def _say(self, number: int, is_seed: bool, event: Event | None, wanted: int) -> Hits:
        request = AnnounceRequest(TORRENT, peer_id(number), 6881, left=0 if is_seed else 1, event=event)
        return self.store.announce(request, peer(number), wanted, None, self.now)


class SwarmModelTests(SynchronousTestCase):
    """The swarm against its model."""

    def test_model(self) -> None:
        """Whatever peers do in whatever order, counts and samples are those of the model."""
        run_state_machine_as_test(
            SwarmMachine, settings=settings(max_examples=60, stateful_step_count=40, deadline=None)
        )
