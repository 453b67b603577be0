"""Tests of p2pshare.faces.node_torrents and node_transfers: real swarms behind a site in memory."""

from __future__ import annotations

from typing import Any

from attrs import evolve
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, fail, succeed
from twisted.trial.unittest import SynchronousTestCase

from p2pshare import bencoding
from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError
from p2pshare.faces.node_transfers import CELLS, SHOWN, flags, piece_map
from p2pshare.metainfo import Metainfo, compose, parse
from p2pshare.swarm.snapshot import PeerSnapshot, SwarmSnapshot, take_snapshot
from p2pshare.wire import messages
from tests.faces.nodes import FORM, NodeCase, form
from tests.swarm.fakes import ALL, TORRENT, SwarmTestCase, piece_of
from tests.web.connections import Reply
from tests.web.test_websocket import Browser

_HASH = TORRENT.info_hash.hex()
_INFO = {"length": 40_000, "name": "a.iso", "piece length": 32_768, "pieces": bytes(40)}
_FILE = compose(bencoding.encode(_INFO))
_ADDED = parse(_FILE)
_QUIET = PeerSnapshot("10.0.0.1:1", "x", False, 0.5, 0.0, 0.0, 0, 0, True, False, True, False, False, False)


class Paused:
    """Torrents that sleep."""

    def __init__(self) -> None:
        self.paused: dict[bytes, SwarmSnapshot] = {}
        self.told: list[tuple[str, bytes]] = []

    def _note(self, what: str, info_hash: bytes) -> Deferred[None]:
        self.told.append((what, info_hash))
        return succeed(None)

    def pause(self, info_hash: bytes) -> Deferred[None]:
        return self._note("pause", info_hash)

    def resume(self, info_hash: bytes) -> Deferred[None]:
        return self._note("resume", info_hash)

    def recheck(self, info_hash: bytes) -> Deferred[None]:
        return self._note("recheck", info_hash)

    def forget(self, info_hash: bytes) -> Deferred[None]:
        del self.paused[info_hash]
        return self._note("forget", info_hash)


class Memory:
    """Keeps torrents in a dictionary, unless it is broken."""

    def __init__(self) -> None:
        self.kept: dict[bytes, Metainfo] = {}
        self.error: StorageError | None = None

    def remember(self, content: Metainfo) -> Deferred[None]:
        if self.error is not None:
            return fail(self.error)
        self.kept[content.info_hash] = content
        return succeed(None)

    def forget(self, info_hash: bytes) -> Deferred[None]:
        self.kept.pop(info_hash, None)
        return succeed(None)


class TorrentCase(NodeCase):
    """Has a node and, once :meth:`hold` is called, a swarm of it on the same clock, whose peers come as ``world``."""

    def setUp(self) -> None:
        super().setUp()
        self.world = SwarmTestCase("prepare")
        self.world.setUp()
        self.world.clock = self.clock
        self.paused, self.memory = Paused(), Memory()

    def hold(self, have: Any = ()) -> None:
        """Have a swarm at work, with these pieces."""
        self.swarm = self.world.start(have)
        self.torrents.swarms[self.swarm.info_hash] = self.swarm

    def add(self, data: bytes) -> Reply:
        """Add a torrent file over HTTP."""
        return self.ask("POST", "/api/v1/torrents", FORM, body=form("a.torrent", data))


class ReadingTests(TorrentCase):
    """How torrents stand."""

    def test_list(self) -> None:
        """Each torrent has its name, state, share, rates, peers, time left and error."""
        self.hold(ALL[:4])
        self.world.meet(ALL)
        listed = self.value_of("/api/v1/torrents")
        (torrent,) = listed["torrents"]
        self.assertEqual(listed["total"], 1)
        self.assertEqual((torrent["info_hash"], torrent["name"]), (_HASH, TORRENT.name))
        self.assertEqual((torrent["state"], torrent["pieces_done"], torrent["pieces_total"]), ("downloading", 4, 8))
        self.assertEqual(torrent["percent"], 52.6)  # the last piece is shorter
        self.assertEqual((torrent["peers"], torrent["seeds"]), (1, 1))
        self.assertEqual((torrent["eta"], torrent["error"], torrent["down_rate"]), (None, None, 0))

    def test_details(self) -> None:
        """One torrent has its peers with flags, its pieces as a string of digits, and its trackers."""
        self.hold(ALL[:4])
        peer = self.world.meet_seed()
        self.world.meet_leech()
        for request in peer.hear_about(messages.Request)[:4]:
            peer.say(piece_of((request.index, request.begin, request.length)))
        about = self.value_of(f"/api/v1/torrents/{_HASH}")
        self.assertEqual((len(about["piece_map"]), about["pieces_per_cell"]), (8, 1))
        self.assertEqual(about["piece_map"].count("9"), about["torrent"]["pieces_done"])
        self.assertEqual((about["piece_map"][:4], about["torrent"]["pieces_done"]), ("9999", 5))
        self.assertEqual([peer["flags"] for peer in about["peers"]], ["DI", "UI"])
        self.assertEqual([peer["percent"] for peer in about["peers"]], [100.0, 0.0])
        self.assertEqual((about["trackers"], about["piece_length"]), ([], TORRENT.piece_length))

    def test_unknown(self) -> None:
        """What is no torrent here is not found, however it is spelled."""
        self.hold()
        for key in (
            "00" * 20,
            "xyz",
            _HASH[:-1],
            _HASH + "0",
            "%2e%2e",
            " ".join([_HASH[:19], _HASH[:20]]).replace(" ", "%20"),
        ):
            for method, way in (
                ("GET", ""),
                ("DELETE", ""),
                ("POST", "/pause"),
                ("POST", "/resume"),
                ("POST", "/recheck"),
            ):
                reply = self.ask(method, f"/api/v1/torrents/{key}{way}")
                self.assertEqual(self.refused(reply, 404), "Torrent not found", key)
        self.assertEqual(self.get(f"/api/v1/torrents/{_HASH.upper()}").status, 200)

    def test_transfers(self) -> None:
        """Pages hear once a second of torrents where something happens; what seeds for nobody is left out."""
        self.hold(ALL[:7])
        browser = Browser(self.connect())
        told = browser.values()[1]["data"]
        self.assertEqual([torrent["state"] for torrent in told["torrents"]], ["downloading"])
        peer = self.world.meet_seed()
        self.clock.advance(1)
        (told,) = [value["data"] for value in browser.values() if value["type"] == "transfers"]
        self.assertEqual(told["torrents"][0]["peers"], 1)
        self.world.feed(peer)
        self.clock.advance(1)
        last = [value["data"] for value in browser.values() if value["type"] == "transfers"][-1]
        self.assertEqual((last["torrents"], last["total"]), ([], 1))

    def test_stats(self) -> None:
        """A torrent that became whole counts as a download with its bytes, also after it was removed."""
        self.hold(ALL[:7])
        self.assertEqual(self.value_of("/api/v1/stats")["download_stats"]["active_downloads"], 1)
        self.world.feed(self.world.meet_seed())
        expected = {
            "total_downloads": 1,
            "total_bytes": TORRENT.total_length - 7 * TORRENT.piece_length,
            "active_downloads": 0,
        }
        self.assertEqual(self.value_of("/api/v1/stats")["download_stats"], expected)
        self.torrents.swarms.clear()
        self.assertEqual(self.value_of("/api/v1/stats")["download_stats"], expected)
        self.assertEqual(self.value_of("/api/v1/stats")["swarm_stats"]["torrents"], 0)


class ChangingTests(TorrentCase):
    """What is done with torrents."""

    def test_add(self) -> None:
        """A torrent file is added for the folder of downloads, and kept for the next start."""
        self.begin(memory=self.memory)
        reply = self.read(self.add(_FILE))
        self.assertEqual(
            (reply["status"], reply["info_hash"], reply["name"]), ("success", _ADDED.info_hash.hex(), "a.iso")
        )
        self.assertEqual(self.torrents.added, [(_ADDED, self.parts.data)])
        self.assertEqual(self.memory.kept, {_ADDED.info_hash: _ADDED})

    def test_add_twice(self) -> None:
        """The second time it is here already."""
        self.add(_FILE)
        self.assertIn("added before", self.refused(self.add(_FILE), 409))

    def test_add_not_kept(self) -> None:
        """When it cannot be kept it is added all the same, and that is said."""
        self.begin(memory=self.memory)
        self.memory.error = StorageError("disk full")
        self.assertIn("disk full", self.read(self.add(_FILE))["message"])
        self.assertEqual(len(self.torrents.added), 1)

    def test_add_garbage(self) -> None:
        """What is no torrent is refused, in words that say why."""
        for data in (b"", b"d", b"<html>", _FILE[:-1], bytes(100)):
            self.assertIn("not a torrent file", self.refused(self.add(data), 400))
        self.assertEqual(self.torrents.added, [])

    def test_add_too_large(self) -> None:
        """A file beyond the limit of torrent files is refused."""
        self.limits = evolve(self.limits, torrent_bytes=len(_FILE))
        self.begin()
        self.assertEqual(self.add(_FILE).status, 200)
        self.assertIn("too large", self.refused(self.add(_FILE + b"x"), 413))
        self.assertEqual(self.hits["torrent_bytes"], 1)

    @given(
        st.binary(max_size=60)
        | st.tuples(st.integers(0, len(_FILE)), st.binary(max_size=4)).map(
            lambda cut: _FILE[: cut[0]] + cut[1] + _FILE[cut[0] + len(cut[1]) :]
        )
    )
    @settings(max_examples=80, deadline=None)
    def test_any_file(self, data: bytes) -> None:
        """No file is an error of ours."""
        self.assertIn(self.add(data).status, (200, 400, 409))

    def test_remove(self) -> None:
        """A torrent is removed, and not kept any more."""
        self.begin(memory=self.memory)
        self.memory.kept[TORRENT.info_hash] = TORRENT
        self.hold(ALL)
        self.assertEqual(self.read(self.ask("DELETE", f"/api/v1/torrents/{_HASH}"))["name"], TORRENT.name)
        self.assertEqual((self.torrents.removed, self.memory.kept), ([TORRENT.info_hash], {}))

    def test_shared_file(self) -> None:
        """The torrent of a shared file can be checked again, but goes only when the file is unshared."""
        self.begin(pausing=self.paused, is_shared=lambda info_hash: info_hash == TORRENT.info_hash)
        self.hold(ALL)
        (listed,) = self.value_of("/api/v1/torrents")["torrents"]
        self.assertTrue(listed["of_shared_file"])
        for method, way in (("DELETE", ""), ("POST", "/pause")):
            self.assertIn("unshare", self.refused(self.ask(method, f"/api/v1/torrents/{_HASH}{way}"), 409))
        self.assertEqual((self.torrents.removed, self.paused.told), ([], []))
        self.assertEqual(self.ask("POST", f"/api/v1/torrents/{_HASH}/recheck").status, 200)

    def test_cannot_pause(self) -> None:
        """A node that cannot pause says so."""
        self.hold(ALL)
        for way in ("pause", "resume", "recheck"):
            self.assertIn("cannot", self.refused(self.ask("POST", f"/api/v1/torrents/{_HASH}/{way}"), 501))

    def test_pause_and_recheck(self) -> None:
        """A torrent at work can be paused and checked again, and not resumed."""
        self.begin(pausing=self.paused)
        self.hold(ALL)
        self.assertEqual(self.ask("POST", f"/api/v1/torrents/{_HASH}/pause").status, 200)
        self.assertEqual(self.ask("POST", f"/api/v1/torrents/{_HASH}/recheck").status, 200)
        self.assertIn("not paused", self.refused(self.ask("POST", f"/api/v1/torrents/{_HASH}/resume"), 409))
        self.assertEqual(self.paused.told, [("pause", TORRENT.info_hash), ("recheck", TORRENT.info_hash)])

    def test_paused(self) -> None:
        """A paused torrent is listed as it stood, and can be resumed or removed, but not added again."""
        self.begin(pausing=self.paused, memory=self.memory)
        self.hold(ALL[:2])
        self.world.meet(ALL)
        self.paused.paused[TORRENT.info_hash] = take_snapshot(self.swarm, 0.0)
        self.torrents.swarms.clear()
        (torrent,) = self.value_of("/api/v1/torrents")["torrents"]
        self.assertEqual((torrent["state"], torrent["pieces_done"], torrent["peers"]), ("paused", 2, 0))
        self.assertEqual(self.value_of(f"/api/v1/torrents/{_HASH}")["torrent"], torrent)
        for way in ("pause", "recheck"):
            self.assertIn("paused", self.refused(self.ask("POST", f"/api/v1/torrents/{_HASH}/{way}"), 409))
        self.paused.paused[_ADDED.info_hash] = self.paused.paused[TORRENT.info_hash]
        self.assertIn("paused", self.refused(self.add(_FILE), 409))
        del self.paused.paused[_ADDED.info_hash]
        self.assertEqual(self.ask("POST", f"/api/v1/torrents/{_HASH}/resume").status, 200)
        self.assertEqual(self.ask("DELETE", f"/api/v1/torrents/{_HASH}").status, 200)
        self.assertEqual([what for what, _ in self.paused.told], ["resume", "forget"])
        self.assertEqual(self.value_of("/api/v1/torrents")["total"], 0)


class FlagTests(SynchronousTestCase):
    """How the states of a connection are written."""

    def test_letters(self) -> None:
        """Each state has its letter."""
        for changes, expected in (
            ({}, ""),
            ({"am_interested": True}, "d"),
            ({"am_interested": True, "peer_choking": False}, "D"),
            ({"peer_choking": False}, "K"),
            ({"peer_interested": True}, "u"),
            ({"peer_interested": True, "am_choking": False}, "U"),
            ({"am_choking": False}, "?"),
            ({"snubbed": True, "incoming": True}, "SI"),
        ):
            self.assertEqual(flags(evolve(_QUIET, **changes)), expected, changes)


class PieceMapTests(SynchronousTestCase):
    """How the pieces of a torrent are drawn."""

    def bits(self, size: int, *there: int) -> Bitfield:
        field = Bitfield(size)
        for index in there:
            field.add(index)
        return field

    def test_small(self) -> None:
        """Up to a thousand pieces have a digit each."""
        self.assertEqual(piece_map(self.bits(5, 0, 3)), ("90090", 1))
        self.assertEqual(len(piece_map(Bitfield(CELLS))[0]), CELLS)

    def test_large(self) -> None:
        """Of more pieces several share a digit: 0 is nothing at all, 9 everything."""
        digits, per_cell = piece_map(self.bits(64, *range(16), 16, *range(24, 31)), 8)
        self.assertEqual((digits, per_cell), ("99170000", 8))

    @given(st.integers(1, 5000), st.randoms())
    @settings(max_examples=50, deadline=None)
    def test_bounds(self, size: int, random: Any) -> None:
        """The map is never longer than allowed, stands for all pieces, and is full exactly where they are."""
        field = self.bits(size, *random.sample(range(size), random.randint(0, size)))
        digits, per_cell = piece_map(field, 100)
        self.assertLessEqual(len(digits), 100)
        self.assertEqual(len(digits), -(-size // per_cell))
        for cell, digit in enumerate(digits):
            count = sum(piece in field for piece in range(cell * per_cell, min(size, (cell + 1) * per_cell)))
            length = min(per_cell, size - cell * per_cell)
            self.assertEqual((digit == "0", digit == "9"), (count == 0, count == length))

    def test_shown_is_bounded(self) -> None:
        """What is told each second stays below what a socket may leave unread."""
        self.assertLessEqual(SHOWN * 1000, 256 * 1024)
