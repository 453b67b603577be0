"""The swarms of all faces, and what is written down of them."""

from __future__ import annotations

from p2pshare.addresses import pack_compact
from p2pshare.faces.rest_tracker_record import RecordedSwarms, name_of
from p2pshare.index.records import Member
from p2pshare.tracker.swarm import Contact
from p2pshare.wire.announce import AnnounceRequest, Event
from tests.faces.serving import INFO_HASH, TODAY, FaceCase

ID = b"-XX0001-123456789012"
HERE = pack_compact("10.0.0.1", 6881)


class RecordedSwarmsTests(FaceCase):
    def setUp(self) -> None:
        super().setUp()
        self.torrent()
        self.store = RecordedSwarms(self.swarms, self.catalogue.memberships, self.now)

    def said(
        self, event: Event | None = None, contact: Contact = HERE, left: int | None = 5, peer_id: bytes = ID
    ) -> None:
        """Announce."""
        request = AnnounceRequest(INFO_HASH, peer_id, 6881, 1, 2, left, event)
        self.store.announce(request, contact, 50, 1, self.clock.seconds())

    def members(self) -> list[Member]:
        """Read who is in the swarm."""
        found = self.successResultOf(self.catalogue.torrents.members(INFO_HASH.hex()))
        return [membership.member for membership in found]

    def test_joined(self) -> None:
        """A member is written down as the swarm has it: where it is, not where it says it is."""
        self.said()
        self.assertEqual(self.members(), [Member(ID.decode(), "10.0.0.1", 6881, 1, 2, 5, TODAY)])

    def test_ipv6(self) -> None:
        """So is one with an IPv6 address."""
        self.said(contact=pack_compact("2001:db8::1", 6881))
        self.assertEqual([member.ip for member in self.members()], ["2001:db8::1"])

    def test_completed(self) -> None:
        """Who got its last piece has nothing left, whatever it says."""
        self.said(Event.COMPLETED)
        row = self.successResultOf(self.catalogue.torrents.get(INFO_HASH.hex()))
        assert row is not None
        self.assertEqual((self.members()[0].left, row.completed, row.seeds), (0, 1, 1))

    def test_stopped(self) -> None:
        """Who leaves is forgotten, if it is the one who is there."""
        self.said()
        self.said(Event.STOPPED, pack_compact("10.0.0.2", 6881))
        self.assertEqual(len(self.members()), 1)
        self.said(Event.STOPPED)
        self.assertEqual(self.members(), [])

    def test_no_room(self) -> None:
        """Who is not taken into the swarm is not written down."""
        self.said()
        self.said(contact=pack_compact("10.0.0.1", 6882), peer_id=b"-XX0001-other0000000")
        self.assertEqual(len(self.members()), 1)

    def test_asked(self) -> None:
        """Everything else is the store's to answer."""
        self.said()
        self.assertTrue(self.store.knows(INFO_HASH))
        self.assertFalse(self.store.has_names(INFO_HASH))
        self.assertEqual(self.store.last_seen(INFO_HASH, HERE), self.clock.seconds())
        self.assertEqual(self.store.newest(9), [INFO_HASH])
        self.assertEqual(self.store.scrape([INFO_HASH])[INFO_HASH].incomplete, 1)


class NameTests(FaceCase):
    def test_name_of(self) -> None:
        """A peer_id is text where it is printable, filled up or not, and digits where it is not."""
        self.assertEqual(name_of(ID), ID.decode())
        self.assertEqual(name_of(b"short".ljust(20, b"\0")), "short")
        for odd in (b"\0" * 20, b"\xff" * 18 + b"\0\0", b"\n".ljust(20, b"\0")):
            self.assertEqual(name_of(odd), odd.hex())
