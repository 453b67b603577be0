"""Tests of p2pshare.sharing.registrar: what an index hears, and when."""

from __future__ import annotations

from base64 import b64decode
from itertools import pairwise
from pathlib import Path
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import maybeDeferred
from twisted.internet.task import Clock
from twisted.logger import ILogObserver, LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from zope.interface import provider

from p2pshare.errors import IndexRefused, StorageError
from p2pshare.metainfo import parse
from p2pshare.sharing.digest import Digest
from p2pshare.sharing.library import Event, FileAdded, FileChanged, FileRemoved, Listener
from p2pshare.sharing.listing import Listing, Presence
from p2pshare.sharing.observations import Observations, Served
from p2pshare.sharing.registrar import LAST_WORD, Pace, Registrar
from p2pshare.sharing.shelf import SharedFile
from p2pshare.sharing.told import Told
from p2pshare.sharing.torrents import info_hash_of
from p2pshare.sharing.walk import Stamp
from tests.sharing.indexes import FakeIndex

REGISTER, HEARTBEAT = "/api/v1/peers/register", "/api/v1/peers/heartbeat"
GOODBYE, REPORT = "/api/v1/peers/offline", "/api/v1/peers/report"
OFFER, OFFER_ALL, WITHDRAW = "/api/v1/files/register", "/api/v1/files/register_all", "/api/v1/files/unregister"


def shared(name: str, content: str | None = None) -> SharedFile:
    """A file of some content, which is its own by default."""
    digits = (content or name).encode().hex()[-64:].rjust(64, "0")
    return SharedFile(name, Digest(Stamp(5, 1, 2, 3), digits, 16384, b"x" * 20), 1000.0)


@define(eq=False)
class FakeLibrary:
    """A folder whose files a test makes up."""

    files: dict[str, SharedFile] = field(factory=dict)
    is_known: bool = True
    listeners: list[Listener] = field(factory=list)

    def subscribe(self, listener: Listener) -> None:
        self.listeners.append(listener)

    def add(self, file: SharedFile) -> None:
        """Share a file, or another content under its name."""
        old, self.files[file.name] = self.files.get(file.name), file
        self._tell(FileAdded(file) if old is None else FileChanged(old, file))

    def remove(self, name: str) -> None:
        """Share it no more."""
        self._tell(FileRemoved(self.files.pop(name)))

    def _tell(self, event: Event) -> None:
        for listener in self.listeners:
            listener(event)


class RegistrarCase(SynchronousTestCase):
    """Has a folder, an index, and a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.library = FakeLibrary()
        self.index = FakeIndex(self.clock.seconds)
        self.presence = Presence("peer_00000000001", 9001, region="here")
        self.said: list[str] = []

        @provider(ILogObserver)
        def keep(event: dict[str, Any]) -> None:
            if event.get("log_level") is LogLevel.warn:
                self.said.append(str(event["log_format"]).format(**event))

        globalLogPublisher.addObserver(keep)
        self.addCleanup(globalLogPublisher.removeObserver, keep)

    def start(self, told: Told | None = None) -> Registrar:
        """Begin to tell the index."""
        registrar = Registrar(Listing(self.index, self.presence), self.library, self.clock, told)
        registrar.startService()
        self.addCleanup(lambda: registrar.running and registrar.stopService())
        return registrar

    def share(self, *names: str) -> None:
        """Share files."""
        for name in names:
            self.library.add(shared(name))

    def run_for(self, seconds: float) -> None:
        """Let time pass in small steps."""
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)

    def heard(self, path: str) -> list[Any]:
        """What the index was told at a path."""
        return [body for _, asked, body in self.index.asked if asked == path]


class ReportTests(RegistrarCase):
    """What the index hears of others."""

    def setUp(self) -> None:
        super().setUp()
        self.presence = evolve(self.presence, wire_peer_id=b"w" * 20)
        self.observations = Observations()

    def start(self, told: Told | None = None) -> Registrar:
        """Begin to tell the index, of others, too."""
        listing = Listing(self.index, self.presence)
        registrar = Registrar(listing, self.library, self.clock, told, Pace(), self.observations)
        registrar.startService()
        self.addCleanup(lambda: registrar.running and registrar.stopService())
        return registrar

    def observe(self, peer: bytes = b"p" * 20) -> None:
        """See a peer serve a piece."""
        self.observations.give_back([Served(peer, 1, 0)])

    def test_told_after_a_heartbeat(self) -> None:
        """The index hears which id we have in swarms, and with a heartbeat what others have served, once."""
        self.start()
        self.observe()
        self.run_for(29)
        self.assertEqual(self.heard(REPORT), [])
        self.run_for(61)
        self.assertEqual(self.heard(REGISTER)[0]["wire_peer_id"], (b"w" * 20).hex())
        self.assertEqual(self.index.times(REPORT), [30.0])

    def test_later(self) -> None:
        """What could not be told is told when the index is there again."""
        self.start()
        self.run_for(29)
        self.observe()
        self.index.refusals[REPORT] = IndexRefused("too much to do", 503)
        self.run_for(30)
        del self.index.refusals[REPORT]
        self.run_for(31)
        self.assertEqual(len(self.observations.take()), 0)
        self.assertEqual(self.said, ["the index: too much to do; trying again every 10 s"])

    def test_not_wanted(self) -> None:
        """An index that does not know reports is not asked again; all else goes on, without a word."""
        self.index.refusals[REPORT] = IndexRefused("not found", 404)
        registrar = self.start()
        for _ in range(3):
            self.observe()
            self.run_for(30)
        self.assertEqual(len(self.heard(REPORT)), 1)
        self.assertGreaterEqual(len(self.heard(HEARTBEAT)), 2)
        self.assertEqual((registrar.trouble, self.said), (None, []))


class S2RegistrationTests(RegistrarCase):
    """Row S2-12."""

    def test_s2_12_index_is_down(self) -> None:
        """While the index is down it is tried every 10 seconds; once up, it gets the node and every file."""
        self.index.is_up = False
        self.share("a.txt", "b.txt", "c.txt")
        self.presence = evolve(self.presence, address="10.0.0.9")
        registrar = self.start()
        self.run_for(35)
        self.assertEqual(self.index.times(REGISTER), [0.0, 10.0, 20.0, 30.0])
        self.index.is_up = True
        self.run_for(10)
        self.assertEqual(list(self.index.nodes), ["peer_00000000001"])
        self.assertEqual(self.index.names(), ["a.txt", "b.txt", "c.txt"])
        self.assertEqual(len(self.said), 1)
        self.assertIsNone(registrar.trouble)

    def test_s2_12_files_apart(self) -> None:
        """Files are told one by one, 100 ms apart at least."""
        self.share(*"abcdefgh")
        self.start()
        self.run_for(2)
        times = self.index.times(OFFER)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        self.assertEqual(len(times), 8)
        self.assertGreaterEqual(min(gaps), 0.1 - 1e-9)

    def test_what_is_told(self) -> None:
        """The index hears where the node is and all that people search for."""
        self.share("albums/song.mp3")
        self.start()
        self.assertEqual(
            self.heard(REGISTER),
            [{"id": "peer_00000000001", "address": "10.0.0.7", "port": 9001, "shared_files": 1, "region": "here"}],
        )
        (offer,) = self.heard(OFFER)
        torrent = parse(b64decode(offer.pop("torrent")))
        self.assertEqual((torrent.info_hash, torrent.name), (info_hash_of(shared("albums/song.mp3")), "song.mp3"))
        self.assertEqual(
            [offer],
            [
                {
                    "filename": "albums/song.mp3",
                    "size": 5,
                    "hash": shared("albums/song.mp3").digest.sha256,
                    "category": "audio",
                    "tags": ["music"],
                    "owner": "peer_00000000001",
                    "peer_address": "10.0.0.7:9001",
                    "info_hash": None,
                }
            ],
        )

    def test_configured_address(self) -> None:
        """A configured address goes before the one of the connection; IPv6 is in brackets where a port follows."""
        self.presence = evolve(self.presence, address="2001:db8::1")
        self.share("a")
        self.start()
        self.assertEqual(self.index.nodes["peer_00000000001"]["address"], "2001:db8::1")
        self.assertEqual(next(iter(self.index.files.values()))["peer_address"], "[2001:db8::1]:9001")
        self.assertEqual(self.index.times("/api/v1/stats"), [])


class HeartbeatTests(RegistrarCase):
    """Being heard of."""

    def test_regular(self) -> None:
        """The index hears every 30 seconds of us, under the id it gave, whatever else there is to tell."""
        self.index.renames_to = "peer_of_index"
        self.share(*(f"{number}.txt" for number in range(900)))
        self.start()
        self.run_for(95)
        beats = self.index.times(HEARTBEAT)
        self.assertEqual([round(beat / 30) for beat in beats], [1, 2, 3])
        self.assertLess(max(abs(beat - round(beat / 30) * 30) for beat in beats), 0.5)
        self.assertEqual(self.heard(HEARTBEAT)[0], {"X-Peer-ID": "peer_of_index"})
        self.assertEqual({file["owner"] for file in self.index.files.values()}, {"peer_of_index"})

    def test_forgotten(self) -> None:
        """An index that has forgotten us is told everything again, and only what is still there."""
        self.share("a", "b")
        self.start()
        self.run_for(1)
        self.index.forget()
        self.library.remove("a")
        self.share("c")
        self.run_for(31)
        self.assertEqual((list(self.index.nodes), self.index.names()), (["peer_00000000001"], ["b", "c"]))

    def test_welcome(self) -> None:
        """Whoever wants to know that the index is there is told with the registration, and again after a loss."""
        registrar = self.start()
        told: list[str | None] = []
        registrar.on_welcome = lambda: told.append(registrar.id)
        self.run_for(60)
        self.assertEqual(told, [])
        self.index.forget()
        self.run_for(31)
        self.assertEqual(told, ["peer_00000000001"])

    def test_welcome_after_it_was_away(self) -> None:
        """An index that was away may have begun anew, and what stands beside it; one that is busy has not."""
        welcomes: list[float] = []
        registrar = self.start()
        registrar.on_welcome = lambda: welcomes.append(round(self.clock.seconds()))
        self.run_for(1)
        self.index.refusals[HEARTBEAT] = IndexRefused("too much to do", 503)
        self.run_for(40)
        del self.index.refusals[HEARTBEAT]
        self.run_for(20)
        self.assertEqual(welcomes, [])
        self.index.is_up = False
        self.run_for(60)
        self.index.is_up = True
        self.run_for(60)
        self.assertEqual(len(welcomes), 1)

    def test_down_for_a_while(self) -> None:
        """An index that was away and forgot nothing is told only what is new."""
        self.share("a")
        self.start()
        self.run_for(1)
        self.index.is_up = False
        self.run_for(60)
        self.share("b")
        self.index.is_up = True
        self.run_for(11)
        self.assertEqual(self.index.names(), ["a", "b"])
        self.assertEqual(len(self.index.times(OFFER)), 2)

    def test_number_of_files(self) -> None:
        """When the number of files has changed, the next heartbeat tells."""
        self.start()
        self.share("a", "b")
        self.run_for(31)
        self.assertEqual(self.index.nodes["peer_00000000001"]["shared_files"], 2)
        self.run_for(60)
        self.assertEqual((len(self.heard(REGISTER)), self.index.names()), (2, ["a", "b"]))

    def test_busy(self) -> None:
        """An index that is busy, or asks for patience, is tried again later; nothing is lost."""
        self.index.refusals["a"] = IndexRefused("busy", 503)
        self.index.refusals["b"] = IndexRefused("slowly", 429)
        self.share("a", "b")
        self.start()
        self.run_for(5)
        self.assertEqual(self.index.names(), [])
        self.index.refusals.clear()
        self.run_for(11)
        self.assertEqual(self.index.names(), ["a", "b"])

    def test_not_wanted(self) -> None:
        """An index that does not want us is asked every 10 seconds, and that is said once."""
        self.index.refusals[REGISTER] = IndexRefused("a token is needed", 401)
        registrar = self.start()
        self.run_for(25)
        self.assertEqual(self.index.times(REGISTER), [0.0, 10.0, 20.0])
        self.assertEqual((len(self.said), registrar.id), (1, None))
        self.assertIn("a token is needed", self.said[0])

    def test_nonsense(self) -> None:
        """An answer without a usable id is no registration."""
        answers: list[Any] = [
            None,
            [],
            {},
            {"peer_id": 7},
            {"peer_id": ""},
            {"peer_id": "a\r\nb"},
            {"peer_id": "x" * 257},
        ]
        for answer in answers:
            self.index.answers[REGISTER] = answer
            registrar = self.start()
            self.assertIsNone(registrar.id)
            self.assertIn("no id", str(registrar.trouble))
            self.successResultOf(registrar.stopService())


class ChangeTests(RegistrarCase):
    """What becomes of files."""

    def test_removed(self) -> None:
        """A file that is gone is taken back, under the id the index gave it."""
        self.share("a", "b")
        self.start()
        self.run_for(1)
        given = next(file_id for file_id, file in self.index.files.items() if "a" in file["names"])
        self.library.remove("a")
        self.run_for(1)
        self.assertEqual(self.index.names(), ["b"])
        self.assertEqual(self.heard(WITHDRAW), [{"owner": "peer_00000000001", "filename": "a", "file_id": given}])

    def test_changed(self) -> None:
        """Another content is another entry, and the old one goes."""
        self.share("a")
        self.start()
        self.run_for(1)
        self.library.add(shared("a", "new"))
        self.run_for(1)
        self.assertEqual([file["hash"] for file in self.index.files.values()], [shared("a", "new").digest.sha256])

    def test_same_content(self) -> None:
        """Of two files with one content one can go, and the other stays listed."""
        self.library.add(shared("a", "same"))
        self.library.add(shared("deep/a", "same"))
        self.start()
        self.run_for(1)
        self.library.remove("a")
        self.run_for(1)
        self.assertEqual(self.index.names(), ["deep/a"])

    def test_came_and_went(self) -> None:
        """What came and went before its turn is never told of."""
        self.index.is_up = False
        self.start()
        self.share("a", "b")
        self.library.remove("a")
        self.index.is_up = True
        self.run_for(11)
        self.assertEqual((len(self.heard(OFFER)), self.heard(WITHDRAW)), (1, []))

    def test_went_and_came(self) -> None:
        """What went and came back before its turn is offered again, not taken back."""
        self.share("a")
        self.start()
        self.run_for(1)
        self.index.is_up = False
        self.run_for(31)  # a heartbeat fails
        self.library.remove("a")
        self.share("a")
        self.index.is_up = True
        self.run_for(11)
        self.assertEqual((self.index.names(), self.heard(WITHDRAW)), (["a"], []))

    def test_went_meanwhile(self) -> None:
        """A file that goes while it is being offered is taken back right after that."""
        self.share("a")
        self.index.hangs = True
        self.start()
        while not self.heard(OFFER):
            self.index.hanging.pop().callback(None)
        self.library.remove("a")
        self.index.hangs = False
        self.index.hanging.pop().callback(None)
        self.run_for(1)
        self.assertEqual((self.index.names(), len(self.heard(WITHDRAW))), ([], 1))

    def test_lost_answer(self) -> None:
        """A file whose offer was answered into the void, and which is gone then, is taken back by its content."""
        self.start()
        self.index.loses_answers = True
        self.share("a")
        self.run_for(1)
        self.assertEqual(self.index.names(), ["a"])
        self.library.remove("a")
        self.index.loses_answers = False
        self.run_for(11)
        self.assertEqual(self.index.names(), [])

    def test_refused_once(self) -> None:
        """What the index refuses it is offered once, and said once; then it is not taken back, either."""
        self.index.refusals["bad"] = IndexRefused("no such names here", 400)
        self.share("bad", "good")
        registrar = self.start()
        self.run_for(65)
        self.assertEqual((self.index.names(), len(self.heard(OFFER))), (["good"], 2))
        self.assertEqual(self.said, ["the index refuses bad: no such names here"])
        self.assertEqual((registrar.refused, registrar.is_settled), ({"bad": "no such names here"}, True))
        self.library.remove("bad")
        self.run_for(1)
        self.assertEqual((self.heard(WITHDRAW), registrar.refused), ([], {}))

    def test_unchanged(self) -> None:
        """While nothing changes the index hears heartbeats and nothing else."""
        self.share("a")
        self.start()
        self.run_for(1)
        self.index.asked.clear()
        self.run_for(120)
        self.assertEqual({path for _, path, _ in self.index.asked}, {HEARTBEAT})


class BatchTests(RegistrarCase):
    """An index that takes many files at once."""

    def setUp(self) -> None:
        super().setUp()
        self.index.takes_at_once = 200

    def test_many(self) -> None:
        """Ten thousand files are there within seconds, in requests of 200 files."""
        names = sorted(f"{number:05}.txt" for number in range(10_000))
        self.share(*names)
        registrar = self.start()
        self.run_for(6)
        self.assertEqual(self.index.names(), names)
        self.assertEqual([len(body["files"]) for body in self.heard(OFFER_ALL)], [200] * 50)
        self.assertTrue(registrar.is_settled)

    def test_greedy(self) -> None:
        """An index that claims to take a million gets 200 at once, and one that says nonsense one by one."""
        self.share(*(str(number) for number in range(250)))
        self.index.takes_at_once = 1_000_000
        self.start()
        self.run_for(1)
        self.assertEqual([len(body["files"]) for body in self.heard(OFFER_ALL)], [200, 50])

    def test_long_names(self) -> None:
        """Long names make smaller requests."""
        self.share(*(f"{number:04}" * 200 for number in range(200)))
        self.start()
        self.run_for(2)
        sizes = [sum(len(file["filename"]) for file in body["files"]) for body in self.heard(OFFER_ALL)]
        self.assertLessEqual(max(sizes), 64 * 1024)
        self.assertEqual(len(self.index.names()), 200)

    def test_one_refused(self) -> None:
        """One that is refused does not stand in the way of the others."""
        self.index.refusals["b"] = IndexRefused("no", 400)
        self.share("a", "b", "c")
        registrar = self.start()
        self.run_for(1)
        self.assertEqual((self.index.names(), registrar.refused), (["a", "c"], {"b": "no"}))

    def test_not_taken(self) -> None:
        """When the index refuses the whole of it, files are told one by one."""
        self.index.refusals[OFFER_ALL] = IndexRefused("too large", 413)
        self.share("a", "b", "c")
        self.start()
        self.run_for(1)
        self.assertEqual((len(self.heard(OFFER_ALL)), self.index.names()), (1, ["a", "b", "c"]))

    def test_nonsense(self) -> None:
        """An answer that is not about each file counts as none."""
        answers: list[Any] = [None, {"results": [{}]}, {"results": 7}]
        for answer in answers:
            self.index.answers[OFFER_ALL] = answer
            self.library = FakeLibrary()
            self.share("a", "b")
            registrar = self.start()
            self.assertIn("for each file", str(registrar.trouble))
            self.successResultOf(registrar.stopService())

    def test_removals_between(self) -> None:
        """What is to be taken back has its turn between two requests."""
        self.share("a")
        self.start()
        self.run_for(1)
        self.library.remove("a")
        self.share("b", "c")
        self.run_for(1)
        self.assertEqual(self.index.names(), ["b", "c"])


class RestartTests(RegistrarCase):
    """What outlives the process."""

    def setUp(self) -> None:
        super().setUp()
        self.path = Path(self.mktemp()) / "told"

    def told(self, place: str = "http://index.test") -> Told:
        """What earlier runs left."""
        return Told(self.path, place, maybeDeferred)

    def begin_and_end(self, *names: str) -> None:
        """A run with these files."""
        self.share(*names)
        registrar = self.start(self.told())
        self.run_for(1)
        self.successResultOf(registrar.stopService())

    def test_deleted_meanwhile(self) -> None:
        """What was deleted while we did not run is taken back, as soon as the folder has been looked through."""
        self.begin_and_end("a", "b")
        self.library = FakeLibrary(is_known=False)
        self.start(self.told())
        self.share("b")
        self.run_for(31)
        self.assertEqual(self.index.names(), ["a", "b"])
        self.library.is_known = True
        self.run_for(31)
        self.assertEqual(self.index.names(), ["b"])

    def test_taken_back_before(self) -> None:
        """What was taken back then is not taken back again."""
        self.begin_and_end("a")
        self.library.remove("a")
        registrar = self.start(self.told())
        self.run_for(1)
        self.successResultOf(registrar.stopService())
        self.index.asked.clear()
        self.start(self.told())
        self.run_for(1)
        self.assertEqual(self.heard(WITHDRAW), [])

    def test_another_index(self) -> None:
        """What one index was told is nothing to another."""
        self.begin_and_end("a")
        self.library = FakeLibrary()
        self.start(self.told("http://other.test"))
        self.run_for(1)
        self.assertEqual(self.heard(WITHDRAW), [])

    def test_disk_refuses(self) -> None:
        """A state folder that cannot be written to keeps no file from the index."""
        told = self.told()
        told._database.execute("DROP TABLE listed")
        self.share("a")
        registrar = self.start(told)
        self.run_for(1)
        self.assertEqual(self.index.names(), ["a"])
        self.assertTrue(self.said and all("told" in words for words in self.said))
        self.successResultOf(registrar.stopService())

    def test_told_cannot_open(self) -> None:
        """Where no file can be made, that is said."""
        self.path.mkdir(parents=True)
        error = self.assertRaises(StorageError, self.told)
        self.assertIn(str(self.path), str(error))


class StopTests(RegistrarCase):
    """The end."""

    def test_goodbye(self) -> None:
        """The index hears that we go, and keeps what it was told; one that knows no goodbyes does no harm."""
        for self.index.knows_goodbyes in (True, False):
            self.share("a")
            registrar = self.start()
            self.run_for(1)
            self.successResultOf(registrar.stopService())
            self.assertEqual(self.index.asked[-1][1:], (GOODBYE, {"X-Peer-ID": "peer_00000000001"}))
            self.assertEqual((self.index.names(), self.said), (["a"], []))

    def test_goodbye_to_nobody(self) -> None:
        """Without an answer the goodbye is over after three seconds, and an index that is away hears none."""
        registrar = self.start()
        self.index.hangs = True
        stopping = registrar.stopService()
        self.assertEqual(self.index.asked[-1][1], GOODBYE)
        self.assertNoResult(stopping)
        self.clock.advance(LAST_WORD)
        self.successResultOf(stopping)
        self.index.is_up = False
        second = self.start()
        self.successResultOf(second.stopService())
        self.assertEqual(len(self.index.times(GOODBYE)), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_idle(self) -> None:
        """Stopping while there is nothing to tell takes no time, and nothing is left."""
        self.share("a")
        registrar = self.start()
        self.run_for(1)
        self.successResultOf(registrar.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_down(self) -> None:
        """Neither does it while the index is down."""
        self.index.is_up = False
        registrar = self.start()
        self.successResultOf(registrar.stopService())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_under_way(self) -> None:
        """A question under way is waited for; nothing is asked after it."""
        self.share("a", "b")
        registrar = self.start()
        self.index.hangs = True
        self.run_for(0.1)
        stopping = registrar.stopService()
        self.assertNoResult(stopping)
        self.index.hangs = False
        self.index.hanging.pop().callback(None)
        self.successResultOf(stopping)
        self.run_for(60)
        self.assertEqual(self.index.names(), ["a", "b"])

    def test_hanging(self) -> None:
        """An index that does not answer holds nobody up for long."""
        self.index.hangs = True
        registrar = self.start()
        stopping = registrar.stopService()
        self.clock.advance(LAST_WORD - 0.1)
        self.assertNoResult(stopping)
        self.clock.advance(0.2)
        self.successResultOf(stopping)
        self.assertEqual(self.clock.getDelayedCalls(), [])
