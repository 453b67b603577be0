"""Tests of p2pshare.sharing.seeding: torrents that sleep, wake, and sleep again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.addresses import Address
from p2pshare.errors import ConfigError, P2PShareError, VerificationFailed
from p2pshare.metainfo import Metainfo
from p2pshare.sharing.digest import Digest
from p2pshare.sharing.seeding import IDLE, Seeding
from p2pshare.sharing.shelf import SharedFile
from p2pshare.sharing.torrents import info_hash_of
from p2pshare.sharing.walk import Stamp
from p2pshare.storage.signatures import Signature
from p2pshare.swarm.events import Event, State, StateChanged
from tests.sharing.test_registrar import FakeLibrary

FOLDER = Path("/srv/shared")


@define(eq=False)
class FakeSwarm:
    """A swarm that is looked at until the test says otherwise."""

    content: Metainfo
    folder: Path
    vouched: Mapping[int, Signature]
    state: State = State.CHECKING
    error: P2PShareError | None = None
    members: dict[str, str] = field(factory=dict)
    up: Any = field(factory=lambda: SimpleNamespace(total=0))
    heard: list[Address] = field(factory=list)
    subscribers: list[Callable[[Event], None]] = field(factory=list)
    meeting: Any = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.meeting = SimpleNamespace(heard=lambda addresses, source: self.heard.extend(addresses))

    def subscribe(self, subscriber: Callable[[Event], None]) -> None:
        self.subscribers.append(subscriber)

    def enter(self, state: State, error: P2PShareError | None = None) -> None:
        """Be in another state, and say so."""
        self.state, self.error = state, error
        for subscriber in self.subscribers:
            subscriber(StateChanged(state, error))


@define(eq=False)
class FakeSession:
    """Takes torrents on; letting go of one takes as long as the test wants."""

    is_ready: bool = True  # what is added serves at once
    peer_id: bytes = b"-P20100-abcdefghijkl"
    port: int = 6881
    swarms: dict[bytes, FakeSwarm] = field(factory=dict)
    events: list[tuple[str, str]] = field(factory=list)
    lasting: list[Deferred[None]] | None = None  # removals, when they are to last
    refusal: ConfigError | None = None

    def add(self, content: Metainfo, folder: Path, *, seed_only: bool, vouched: Mapping[int, Signature]) -> FakeSwarm:
        assert seed_only
        if self.refusal is not None:
            raise self.refusal
        assert content.info_hash not in self.swarms
        swarm = self.swarms[content.info_hash] = FakeSwarm(content, folder, vouched)
        self.events.append(("added", content.name))
        if self.is_ready:
            swarm.state = State.SEEDING
        return swarm

    def holds(self, info_hash: bytes) -> bool:
        return info_hash in self.swarms

    def remove(self, info_hash: bytes) -> Deferred[None]:
        self.events.append(("removed", self.swarms.pop(info_hash).content.name))
        if self.lasting is None:
            return succeed(None)
        self.lasting.append(Deferred())
        return self.lasting[-1]


class FakeAnnounces:
    """Notes what is announced."""

    def __init__(self) -> None:
        self.hashes: set[bytes] = set()

    def add(self, info_hash: bytes) -> None:
        assert info_hash not in self.hashes
        self.hashes.add(info_hash)

    def remove(self, info_hash: bytes) -> None:
        self.hashes.remove(info_hash)


def shared(name: str, size: int = 5, pieces: bytes = b"p" * 20) -> SharedFile:
    """A file."""
    return SharedFile(name, Digest(Stamp(size, 11, 22, 33), "ab" * 32, 16384, pieces if size else b""), 1000.0)


def hash_of(file: SharedFile) -> bytes:
    """Name its torrent."""
    info_hash = info_hash_of(file)
    assert info_hash is not None
    return info_hash


class SeedingCase(SynchronousTestCase):
    """Has a folder with a file, and a session."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.library, self.session, self.announces = FakeLibrary(), FakeSession(), FakeAnnounces()
        self.file = shared("albums/song.mp3")
        self.library.add(self.file)
        self.start()

    def start(self, most: int = 256) -> None:
        """Begin to seed."""
        seeding = self.seeding = Seeding(self.library, FOLDER, self.session, self.clock, most=most)
        seeding.announces = self.announces
        self.doubts: list[None] = []
        seeding.on_doubt = lambda: self.doubts.append(None)
        seeding.startService()
        self.addCleanup(lambda: seeding.running and seeding.stopService())

    def wake(self, file: SharedFile | None = None) -> Deferred[Any]:
        """Ask for a file."""
        waking = self.seeding.wake(hash_of(file or self.file))
        assert waking is not None
        return waking

    def swarm(self, file: SharedFile | None = None) -> FakeSwarm:
        """The swarm of a file."""
        return self.session.swarms[hash_of(file or self.file)]

    def events(self) -> list[tuple[str, str]]:
        """Take what was added and removed."""
        events, self.session.events[:] = list(self.session.events), []
        return events


class WakeTests(SeedingCase):
    """Somebody asks."""

    def test_asleep(self) -> None:
        """As long as nobody asks there is no swarm, though all files are announced."""
        for number in range(20):
            self.library.add(shared(f"{number}.txt"))
        self.clock.advance(1000)
        self.assertEqual((self.events(), self.seeding.awake, len(self.announces.hashes)), ([], 0, 21))

    def test_wakes(self) -> None:
        """A handshake for a file gets its swarm, which reads where the file is and trusts the hashes there are."""
        swarm = self.successResultOf(self.wake())
        self.assertIs(swarm, self.swarm())
        self.assertEqual(swarm.folder, FOLDER / "albums")
        self.assertEqual((swarm.content.name, swarm.content.files[0].path), ("song.mp3", ("song.mp3",)))
        self.assertEqual(swarm.vouched, {0: Signature(5, 11, 33)})
        self.assertIs(self.successResultOf(self.wake()), swarm)
        self.assertEqual(self.events(), [("added", "song.mp3")])

    def test_unknown(self) -> None:
        """A torrent that is none of ours is left to others, and so is one that the user has added."""
        self.assertIsNone(self.seeding.wake(b"x" * 20))
        self.session.swarms[hash_of(self.file)] = self.successResultOf(self.wake())
        other = shared("b.txt")
        self.library.add(other)
        self.session.swarms[hash_of(other)] = self.swarm()
        self.assertIsNone(self.seeding.wake(hash_of(other)))

    def test_empty(self) -> None:
        """An empty file has no torrent."""
        self.library.add(shared("empty", 0))
        self.assertEqual(self.announces.hashes, {hash_of(self.file)})
        self.assertIsNone(self.seeding.info_hash(self.library.files["empty"]))
        self.assertEqual(self.seeding.info_hash(self.file), hash_of(self.file).hex())

    def test_many_wait(self) -> None:
        """All who ask while the file is looked at get the one swarm when it serves."""
        self.session.is_ready = False
        waiting = [self.wake(), self.wake()]
        for waiter in waiting:
            self.assertNoResult(waiter)
        self.swarm().enter(State.SEEDING)
        self.assertEqual([self.successResultOf(waiter) for waiter in waiting], [self.swarm()] * 2)

    def test_failed(self) -> None:
        """When the file is not what it was, nobody gets it, the swarm goes, and the folder is looked at again."""
        self.session.is_ready = False
        waiter = self.wake()
        self.swarm().enter(State.FAILED, VerificationFailed("piece 0 is wrong"))
        self.clock.advance(0)
        self.assertIsNone(self.successResultOf(waiter))
        self.assertEqual((self.events(), len(self.doubts)), ([("added", "song.mp3"), ("removed", "song.mp3")], 1))

    def test_fails_later(self) -> None:
        """So it is when that shows while it is served."""
        swarm = self.successResultOf(self.wake())
        swarm.enter(State.FAILED, VerificationFailed("piece 0 cannot be read any more"))
        self.clock.advance(0)
        self.assertEqual((self.seeding.awake, len(self.doubts)), (0, 1))

    def test_cannot_be_added(self) -> None:
        """What the session refuses nobody gets."""
        self.session.refusal = ConfigError("added before")
        self.assertIsNone(self.successResultOf(self.wake()))
        self.assertEqual(self.seeding.awake, 0)

    def test_invited(self) -> None:
        """Whoever the tracker names is dialled: they may not be able to reach us."""
        self.session.is_ready = False
        self.seeding.invite(hash_of(self.file), [Address("10.0.0.1", 1)])
        self.assertEqual(self.swarm().heard, [])
        self.swarm().enter(State.SEEDING)
        self.seeding.invite(hash_of(self.file), [Address("10.0.0.2", 2)])
        self.assertEqual(self.swarm().heard, [Address("10.0.0.1", 1), Address("10.0.0.2", 2)])
        self.seeding.invite(b"x" * 20, [Address("10.0.0.3", 3)])


class SleepTests(SeedingCase):
    """Nobody asks any more."""

    def test_idle(self) -> None:
        """A swarm without members goes to sleep after two minutes, and wakes again when it is asked for."""
        swarm = self.successResultOf(self.wake())
        swarm.members["ann"] = "here"
        self.clock.pump([10.0] * 60)
        self.assertEqual(self.seeding.awake, 1)
        swarm.members.clear()
        self.clock.pump([10.0] * (round(IDLE / 10) - 1))
        self.assertEqual(self.seeding.awake, 1)
        self.clock.pump([10.0] * 2)
        self.assertEqual((self.seeding.awake, self.session.swarms), (0, {}))
        self.assertIsNot(self.successResultOf(self.wake()), swarm)

    def test_uploaded(self) -> None:
        """What was uploaded is announced across sleeps."""
        self.successResultOf(self.wake()).up.total = 100
        self.clock.pump([10.0] * 14)
        self.assertEqual(self.seeding.describe(hash_of(self.file)).uploaded, 100)
        self.successResultOf(self.wake()).up.total = 7
        request = self.seeding.describe(hash_of(self.file))
        self.assertEqual((request.uploaded, request.left, request.port), (107, 0, 6881))

    def test_asked_while_leaving(self) -> None:
        """Who asks while the swarm ends gets the next one."""
        lasting: list[Deferred[None]] = []
        self.session.lasting = lasting
        first = self.successResultOf(self.wake())
        self.clock.pump([10.0] * 14)
        waiting = [self.wake(), self.wake()]
        self.assertNoResult(waiting[0])
        lasting.pop().callback(None)
        second, same = (self.successResultOf(waiter) for waiter in waiting)
        self.assertIs(second, same)
        self.assertIsNot(second, first)

    def test_no_room(self) -> None:
        """When all places are taken, who has been idle for longest makes room; a busy one never does."""
        files = [shared(f"{number}.txt") for number in range(3)]
        for file in files:
            self.library.add(file)
        self.successResultOf(self.seeding.stopService())
        self.announces.hashes.clear()
        self.start(most=2)
        self.successResultOf(self.wake(files[0])).members["ann"] = "here"
        self.successResultOf(self.wake(files[1]))
        self.assertIsNotNone(self.successResultOf(self.wake(files[2])))
        self.assertEqual([name for what, name in self.events() if what == "removed"], ["1.txt"])
        self.swarm(files[2]).members["bob"] = "here"
        self.assertIsNone(self.successResultOf(self.wake(files[1])))

    def test_stop(self) -> None:
        """Stopping ends all swarms and waits for those that end; who waited gets nothing."""
        lasting: list[Deferred[None]] = []
        self.session.lasting = lasting
        self.session.is_ready = False
        waiter = self.wake()
        stopping = self.seeding.stopService()
        self.assertIsNone(self.successResultOf(waiter))
        self.assertNoResult(stopping)
        lasting.pop().callback(None)
        self.successResultOf(stopping)
        self.assertEqual((self.clock.getDelayedCalls(), self.seeding.wake(hash_of(self.file))), ([], None))


class ChangeTests(SeedingCase):
    """Files that change."""

    def test_removed(self) -> None:
        """A file that is gone is neither served nor announced from that moment on."""
        self.successResultOf(self.wake())
        self.library.remove("albums/song.mp3")
        self.assertEqual((self.session.swarms, self.announces.hashes), ({}, set()))
        self.assertIsNone(self.seeding.wake(hash_of(self.file)))

    def test_changed(self) -> None:
        """A changed file ends its swarm at once, also one that is just waking, and is another torrent."""
        self.session.is_ready = False
        waiter = self.wake()
        newer = shared("albums/song.mp3", 6)
        self.library.add(newer)
        self.assertIsNone(self.successResultOf(waiter))
        self.assertEqual((self.session.swarms, self.announces.hashes), ({}, {hash_of(newer)}))
        self.session.is_ready = True
        self.assertIsNotNone(self.successResultOf(self.wake(newer)))

    def test_two_places(self) -> None:
        """One file in two folders is one torrent; when the one goes, the other is served."""
        twin = shared("copies/song.mp3")
        self.library.add(twin)
        self.assertEqual(self.announces.hashes, {hash_of(self.file)})
        self.assertEqual(self.successResultOf(self.wake()).folder, FOLDER / "albums")
        self.library.remove("albums/song.mp3")
        self.assertEqual(self.announces.hashes, {hash_of(self.file)})
        self.assertEqual(self.successResultOf(self.wake()).folder, FOLDER / "copies")
        self.assertEqual(self.seeding.file(hash_of(self.file)), twin)
