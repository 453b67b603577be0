"""Tests of p2pshare.index.torrents: torrents by any of their names, and who is in their swarms."""

from __future__ import annotations

from typing import Any

from p2pshare.errors import RequestRefused
from p2pshare.index.records import ContentKey, Membership, Scheme, Share, Torrent
from p2pshare.index.search import SearchQuery
from p2pshare.index.torrents import ACTIVE
from tests.index.opened import INFO_HASH, TODAY, IndexTestCase, member, share_claim, torrent_claim

DIGITS = INFO_HASH.hex()
OTHER = b"o" * 20
A, B = (f"-XX0001-00000000000{letter}" for letter in "ab")


class TorrentsTestCase(IndexTestCase):
    """What tests of torrents have in common."""

    def add(self, info_hash: bytes = INFO_HASH, **said: Any) -> Torrent:
        """Have somebody upload a torrent."""
        return self.successResultOf(self.catalogue.torrents.add(torrent_claim(info_hash, **said)))

    def get(self, digits: str = DIGITS) -> Torrent:
        """Look up a torrent that is known."""
        torrent = self.successResultOf(self.catalogue.torrents.get(digits))
        assert torrent is not None
        return torrent

    def shares(self) -> tuple[Share, ...]:
        """List what is shared."""
        return self.successResultOf(self.catalogue.shares.search(SearchQuery())).shares


class TorrentsTests(TorrentsTestCase):
    """What has been uploaded."""

    def test_s3_3_all_that_was_said_is_kept(self) -> None:
        """A torrent is what its claim said, and nobody is in its swarm yet."""
        torrent = self.add(metainfo=b"d4:infodee", pieces=b"q" * 20)
        self.assertEqual(
            torrent,
            Torrent(
                id=1,
                info_hash=DIGITS,
                name="album",
                size=658,
                piece_length=262144,
                num_pieces=1,
                created_at=TODAY,
                seeds=0,
                leeches=0,
                completed=0,
            ),
        )
        self.assertEqual(self.get(), torrent)
        self.assertEqual(self.successResultOf(self.catalogue.torrents.metainfo(DIGITS)), b"d4:infodee")
        self.assertEqual(self.successResultOf(self.catalogue.torrents.pieces(DIGITS)), b"q" * 20)

    def test_s3_4_the_same_again(self) -> None:
        """A torrent that is known stays the row it is."""
        torrent = self.add(metainfo=b"first")
        self.clock.advance(5)
        self.assertEqual(self.add(metainfo=b"second", name="other"), torrent)
        self.assertEqual(self.rows("SELECT count(*) FROM torrents"), [(1,)])
        self.assertEqual(self.successResultOf(self.catalogue.torrents.metainfo(DIGITS)), b"first")

    def test_s3_5_listed(self) -> None:
        """The newest come first; a page has a limit and a beginning."""
        for number in range(3):
            self.add(bytes([number]) * 20, name=f"t{number}")
        newest = self.catalogue.torrents.newest
        self.assertEqual([torrent.name for torrent in self.successResultOf(newest())], ["t2", "t1", "t0"])
        self.assertEqual([torrent.name for torrent in self.successResultOf(newest(1))], ["t2"])
        self.assertEqual([torrent.name for torrent in self.successResultOf(newest(1, 1))], ["t1"])
        self.assertEqual(self.successResultOf(newest(5, 3)), [])

    def test_s3_5_unknown(self) -> None:
        """Nothing is known about digits of no torrent, nor about text that is no digits."""
        self.add()
        torrents = self.catalogue.torrents
        for digits in ("0" * 40, "", "x", "x" * 1000, DIGITS + "0", "'; --", "\0", "\ud800"):
            self.assertIsNone(self.successResultOf(torrents.get(digits)))
            self.assertIsNone(self.successResultOf(torrents.metainfo(digits)))
            self.assertIsNone(self.successResultOf(torrents.pieces(digits)))
            self.assertEqual(self.successResultOf(torrents.members(digits)), [])

    def test_every_name(self) -> None:
        """A torrent is found by its info_hash and by the 40 digits of other schemes, in capitals too."""
        json_sha1, name_sha1 = "1" * 39 + "a", "2" * 39 + "b"
        self.add(keys=(ContentKey(Scheme.JSON_SHA1, json_sha1), ContentKey(Scheme.NAME_SHA1, name_sha1)))
        for digits in (DIGITS, DIGITS.upper(), json_sha1, json_sha1.upper(), name_sha1):
            self.assertEqual(self.get(digits).info_hash, DIGITS)

    def test_order_of_schemes(self) -> None:
        """Digits that mean several torrents mean the one with that info_hash, then JSON, then the name."""
        digits = OTHER.hex()
        self.add(b"n" * 20, name="by name", keys=(ContentKey(Scheme.NAME_SHA1, digits),))
        self.assertEqual(self.get(digits).name, "by name")
        self.add(b"j" * 20, name="by json", keys=(ContentKey(Scheme.JSON_SHA1, digits),))
        self.assertEqual(self.get(digits).name, "by json")
        self.add(OTHER, name="by info_hash")
        self.assertEqual(self.get(digits).name, "by info_hash")

    def test_two_files_of_one_name(self) -> None:
        """The digest of a file's name does not make two contents one; it stays with the first."""
        key = ContentKey(Scheme.NAME_SHA1, "c" * 40)
        self.add(name="first", keys=(key,))
        self.add(OTHER, name="second", keys=(key,))
        self.assertEqual(self.rows("SELECT count(*) FROM content"), [(2,)])
        self.assertEqual(self.get("c" * 40).name, "first")

    def test_only_fields_are_known(self) -> None:
        """A torrent may be known without its file."""
        self.add()
        self.assertIsNone(self.successResultOf(self.catalogue.torrents.metainfo(DIGITS)))

    def test_refused(self) -> None:
        """An info_hash has 20 bytes; other fields have their limits."""
        failure = self.failureResultOf(self.catalogue.torrents.add(torrent_claim(b"short")), RequestRefused)
        self.assertEqual(str(failure.value), "info_hash: 5 bytes, expected 20")
        for said, reason in (
            ({"name": ""}, "name: 0 characters"),
            ({"size": -1}, "size: -1, expected 0 to"),
            ({"piece_length": 0}, "piece_length: 0, expected 1 to"),
            ({"owner": ""}, "owner: 0 characters"),
        ):
            with self.assertRaisesRegex(RequestRefused, reason):
                torrent_claim(**said)  # type: ignore[arg-type]


class ShareOfTorrentTests(TorrentsTestCase):
    """What an uploaded torrent shares."""

    def test_its_owner_shares_it(self) -> None:
        """An upload is a share of its owner, with the digest of the content when that is known."""
        self.add(keys=(ContentKey(Scheme.SHA256, "ab" * 32),), category="audio", tags=("live",))
        (share,) = self.shares()
        self.assertEqual((share.filename, share.size, share.hash), ("album", 658, "ab" * 32))
        self.assertEqual((share.owner, share.category, share.tags), ("ann", "audio", ("live",)))
        self.assertEqual(share.info_hash, DIGITS)

    def test_without_a_digest(self) -> None:
        """Where no digest of the content is known, its hash is the info_hash."""
        self.add()
        self.assertEqual(self.shares()[0].hash, DIGITS)

    def test_same_content_as_a_share(self) -> None:
        """A file that was shared before its torrent came is one entry with it, and keeps labels and address."""
        said = share_claim("album.flac", tags=("live",), category="audio")
        share = self.successResultOf(self.catalogue.shares.register(said))
        self.add(keys=(ContentKey(Scheme.SHA256, said.hash),))
        (found,) = self.shares()
        self.assertEqual((found.id, found.filename, found.info_hash), (share.id, "album", DIGITS))
        self.assertEqual((found.tags, found.category, found.peer_address), (("live",), "audio", said.peer_address))

    def test_torrent_stays(self) -> None:
        """A torrent whose last sharer has gone is still there."""
        self.add()
        self.successResultOf(self.catalogue.shares.unregister(self.shares()[0].id))
        self.assertEqual(self.get().info_hash, DIGITS)
        self.assertEqual(self.shares(), ())

    def test_second_owner(self) -> None:
        """Somebody else who uploads the same torrent shares it too."""
        self.add()
        self.add(owner="bob")
        self.assertEqual({share.owner for share in self.shares()}, {"ann", "bob"})


class SwarmTests(TorrentsTestCase):
    """Who is in a torrent's swarm."""

    def members(self, digits: str = DIGITS, **said: Any) -> list[Membership]:
        """List a torrent's members."""
        return self.successResultOf(self.catalogue.torrents.members(digits, **said))

    def figures(self) -> tuple[int, int, int]:
        """Seeds, leeches and completions of the torrent."""
        torrent = self.get()
        return torrent.seeds, torrent.leeches, torrent.completed

    def test_s3_7_seeds_and_leeches(self) -> None:
        """Who announced is counted by what it lacks, and listed with all it said, at once."""
        torrent = self.add()
        self.catalogue.memberships.joined(INFO_HASH, member(A, 0, uploaded=7, downloaded=8))
        self.catalogue.memberships.joined(INFO_HASH, member(B, 5, TODAY + 1, ip="client2"))
        self.assertEqual(self.figures(), (1, 1, 0))
        first, second = self.members()
        self.assertEqual((first.member, first.member.is_seed), (member(B, 5, TODAY + 1, ip="client2"), False))
        self.assertEqual(second.member, member(A, 0, uploaded=7, downloaded=8))
        self.assertEqual({first.torrent_id, second.torrent_id}, {torrent.id})
        self.assertNotEqual(first.id, second.id)

    def test_s3_7_not_itself(self) -> None:
        """Who asks is not told of itself."""
        self.add()
        for peer_id in (A, B):
            self.catalogue.memberships.joined(INFO_HASH, member(peer_id))
        self.assertEqual([found.member.peer_id for found in self.members(without=B)], [A])
        self.assertEqual([found.member.peer_id for found in self.members(limit=1)], [B])

    def test_left_untold(self) -> None:
        """Who does not say what it lacks counts as a leech."""
        self.add()
        self.catalogue.memberships.joined(INFO_HASH, member(A, None))
        self.assertEqual(self.figures(), (0, 1, 0))
        self.assertEqual(self.rows('SELECT "left", is_seeder FROM peers'), [(None, 0)])

    def test_s3_8_completed_once(self) -> None:
        """A completion counts once for each membership, however often it is told, and makes a seed."""
        self.add()
        self.catalogue.memberships.joined(INFO_HASH, member(A, 5))
        self.assertEqual(self.figures(), (0, 1, 0))
        for _ in range(2):
            self.catalogue.memberships.completed(INFO_HASH, member(A, 0))
            self.assertEqual(self.figures(), (1, 0, 1))
        self.catalogue.memberships.joined(INFO_HASH, member(A, 0))
        self.catalogue.memberships.completed(INFO_HASH, member(B, 0))
        self.assertEqual(self.figures(), (2, 0, 2))

    def test_s3_8_stopped(self) -> None:
        """Who has left is neither listed nor counted; what it completed still is."""
        self.add()
        self.catalogue.memberships.completed(INFO_HASH, member(A, 0))
        self.catalogue.memberships.left(INFO_HASH, A)
        self.assertEqual((self.members(), self.figures()), ([], (0, 0, 1)))

    def test_s3_10_silent_for_two_hours(self) -> None:
        """Who was silent for two hours is not listed and not active, but still counted in all."""
        self.add()
        self.catalogue.memberships.joined(INFO_HASH, member(A))
        self.clock.advance(ACTIVE - 1)
        self.assertEqual((len(self.members()), self.figures()), (1, (1, 0, 0)))
        self.clock.advance(1)
        self.catalogue.memberships.joined(INFO_HASH, member(B, at=self.now()))
        self.assertEqual([found.member.peer_id for found in self.members()], [B])
        self.assertEqual(self.figures(), (1, 0, 0))
        figures = self.successResultOf(self.catalogue.tracker_figures())
        self.assertEqual((figures.total_peers, figures.active_peers), (2, 1))

    def test_s3_10_two_torrents(self) -> None:
        """One peer_id may be in two torrents."""
        self.add()
        self.add(OTHER)
        for info_hash in (INFO_HASH, OTHER):
            self.catalogue.memberships.joined(info_hash, member(A))
        self.assertEqual((len(self.members()), len(self.members(OTHER.hex()))), (1, 1))

    def test_swarm_before_its_torrent(self) -> None:
        """A swarm that strangers made counts from the moment its torrent is uploaded."""
        self.catalogue.memberships.completed(INFO_HASH, member(A))
        self.assertEqual(self.successResultOf(self.catalogue.tracker_figures()).total_peers, 0)
        torrent = self.add()
        self.assertEqual((torrent.seeds, torrent.completed), (1, 1))
        self.assertEqual(self.successResultOf(self.catalogue.tracker_figures()).total_peers, 1)

    def test_members_by_another_name(self) -> None:
        """A swarm is found by every name of its torrent."""
        self.add(keys=(ContentKey(Scheme.JSON_SHA1, "a" * 40),))
        self.catalogue.memberships.joined(INFO_HASH, member(A))
        self.assertEqual(len(self.members("A" * 40)), 1)
