"""Announces and scrapes in JSON."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from p2pshare.faces.json_announce import with_json
from p2pshare.tracker.http import TrackerFace, views
from p2pshare.tracker.names import Names
from p2pshare.tracker.settings import TrackerSettings
from tests.faces.serving import INFO_HASH, FaceCase

ACCEPT = "Accept: application/json"
PEER = "-XX0001-000000000009"
ANNOUNCE = f"/announce?info_hash={quote(INFO_HASH)}&peer_id={PEER}&port=6889&left=5"


class JSONTests(FaceCase):
    """What is answered to those who ask for JSON."""

    def setUp(self) -> None:
        super().setUp()
        names: Any = Names(lambda name: self.fail("nothing is looked up"), self.clock)
        face = TrackerFace(self.tracker, names, TrackerSettings())
        self.serve(views=with_json(views(face)), exempt=("private", "203.0.113.0/24"))
        self.announce(peer=0x0A000001)

    def test_asked_for(self) -> None:
        """Accept and format ask for it; peers are objects then."""
        for path, headers in ((ANNOUNCE, (ACCEPT,)), (f"{ANNOUNCE}&format=json&compact=1", ())):
            reply = self.value_of(path, *headers)
            self.assertEqual(reply["peers"], [{"ip": "10.0.0.1", "port": 6881, "peer id": "-XX0001-000167772161"}])
            self.assertEqual((reply["interval"], reply["complete"], reply["incomplete"]), (1800, 1, 1))

    def test_not_asked_for(self) -> None:
        """Who takes anything, as all clients do, gets bencoding."""
        for headers in ((), ("Accept: */*",)):
            reply = self.get(f"{ANNOUNCE}&compact=1", *headers)
            self.assertEqual(reply.body[:1], b"d")
            self.assertEqual(reply.headers["content-type"], "application/x-bittorrent")

    def test_digits(self) -> None:
        """An info_hash may be written in 40 digits, then."""
        path = ANNOUNCE.replace(quote(INFO_HASH), INFO_HASH.hex())
        self.assertEqual(self.value_of(path, ACCEPT)["complete"], 1)
        self.assertIn(b"failure reason", self.get(path).body)

    def test_refused(self) -> None:
        """A refusal says why, in the same word."""
        reply = self.value_of("/announce?info_hash=short", ACCEPT)
        self.assertIn("info_hash", reply["failure reason"])
        self.assertIn("info_hash", self.value_of("/announce", ACCEPT)["failure reason"])

    def test_scrape(self) -> None:
        """Torrents are named by digits."""
        reply = self.value_of(f"/scrape?info_hash={INFO_HASH.hex()}&format=json")
        self.assertEqual(reply, {"files": {INFO_HASH.hex(): {"complete": 1, "downloaded": 0, "incomplete": 0}}})
