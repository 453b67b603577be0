"""Tests of p2pshare.index.shares: one entry for each content and owner, its names, votes and downloads."""

from __future__ import annotations

from sqlite3 import SQLITE_FULL, OperationalError
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError

from p2pshare.errors import DiskFull, RequestRefused
from p2pshare.index import shares
from p2pshare.index.records import ContentKey, Scheme, Share
from p2pshare.index.search import SearchQuery, Sort
from p2pshare.index.share_rows import _OTHERS_OF_THAT_NAME, NAMES
from p2pshare.index.shares import Claim
from tests.index.opened import INFO_HASH, TODAY, IndexTestCase, node_claim, share_claim, torrent_claim

HASH, OTHER_HASH = "ab" * 32, "cd" * 32


class SharesTestCase(IndexTestCase):
    """What tests of shares have in common."""

    def register(self, filename: str = "song.mp3", **said: Any) -> Share:
        """Have somebody share a file."""
        return self.successResultOf(self.catalogue.shares.register(share_claim(filename, **said)))

    def get(self, share_id: str) -> Share | None:
        """Look a share up."""
        return self.successResultOf(self.catalogue.shares.get(share_id))

    def found(self, text: str) -> list[str]:
        """Give the ids of what a search finds."""
        query = SearchQuery(text, sort=Sort.NAME)
        return [share.id for share in self.successResultOf(self.catalogue.shares.search(query)).shares]


class EntryTests(SharesTestCase):
    """One entry for each content and owner."""

    def test_s2_5_all_that_was_said_is_kept(self) -> None:
        """A share is what its owner said, with no downloads and no rating."""
        share = self.register("Über dir.pdf", size=7, category="document", tags=("b", "a"))
        self.assertEqual(
            share,
            Share(
                id=share.id,
                filename="Über dir.pdf",
                size=7,
                hash=HASH,
                owner="ann",
                peer_address="10.0.0.1:9001",
                category="document",
                tags=("b", "a"),
                uploaded_at=TODAY,
                downloads=0,
                rating=0.0,
                votes=0,
                online=None,
                info_hash=None,
            ),
        )
        self.assertEqual(self.get(share.id), share)

    def test_s2_5_registered_again(self) -> None:
        """The same content of the same owner stays one entry with its id; name, address, labels and time are new."""
        first = self.register("old.mp3", tags=("a",))
        self.clock.advance(60)
        again = self.register("new.mp3", peer_address="10.0.0.2:9002", category="audio", tags=("b",))
        self.assertEqual(again.id, first.id)
        self.assertEqual((again.filename, again.peer_address), ("new.mp3", "10.0.0.2:9002"))
        self.assertEqual((again.category, again.tags, again.uploaded_at), ("audio", ("b",), TODAY + 60))
        self.assertEqual(self.rows("SELECT count(*) FROM share"), [(1,)])

    def test_s2_5_other_owner(self) -> None:
        """Another owner of the same content has an entry of its own."""
        mine, theirs = self.register(), self.register(owner="bob")
        self.assertNotEqual(mine.id, theirs.id)
        self.assertEqual(self.rows("SELECT count(*) FROM share"), [(2,)])
        self.assertEqual(self.rows("SELECT count(*) FROM content"), [(1,)])

    def test_ids_are_made_of_name_and_owner(self) -> None:
        """The id is 16 hexadecimal digits, and the same in every index."""
        share = self.register()
        self.catalogue = self.open()
        self.assertEqual(self.register(hash=OTHER_HASH).id, share.id)
        self.assertRegex(share.id, "^[0-9a-f]{16}$")

    def test_two_contents_of_one_name(self) -> None:
        """An owner without an address may have two contents of one name; they get two ids."""
        first = self.register(peer_address="")
        second = self.register(peer_address="", hash=OTHER_HASH)
        self.assertNotEqual(first.id, second.id)
        self.assertEqual(self.get(first.id), first)

    def test_hash_in_capitals(self) -> None:
        """A SHA-256 means the same in capital and small digits; what is no SHA-256 is left as it is."""
        self.assertEqual(self.register(hash=HASH.upper()).id, self.register(hash=HASH).id)
        self.assertEqual(self.register("x", hash="MyHash").hash, "MyHash")

    def test_online(self) -> None:
        """A share tells whether its owner is online; of an owner that never registered that is unknown."""
        share = self.register()
        self.assertIsNone(share.online)
        self.successResultOf(self.catalogue.nodes.register(node_claim("ann")))
        self.assertEqual(self.register().online, True)
        self.clock.advance(121)
        self.successResultOf(self.catalogue.nodes.drop_silent(120))
        known = self.get(share.id)
        self.assertEqual(known is not None and known.online, False)

    def test_find_by_key_and_owner(self) -> None:
        """What an owner shares of a content is found by any name of the content."""
        key = ContentKey(Scheme.SHA256, HASH)
        self.assertIsNone(self.successResultOf(self.catalogue.shares.find(key, "ann")))
        share = self.register()
        self.assertEqual(self.successResultOf(self.catalogue.shares.find(key, "ann")), share)
        self.assertIsNone(self.successResultOf(self.catalogue.shares.find(key, "bob")))

    def test_unknown_id(self) -> None:
        """Nothing is known about an id that nobody got, whatever text it is."""
        for unknown in ("", "0" * 16, "'; DROP TABLE share", "\0", "ü" * 10_000):
            self.assertIsNone(self.get(unknown))

    def test_id_that_is_no_text(self) -> None:
        """Half of a character is in no id; who asks for one is told so."""
        failure = self.failureResultOf(self.catalogue.shares.get("\ud800"), RequestRefused)
        self.assertEqual(str(failure.value), r"'\ud800': is not text")

    def test_refused(self) -> None:
        """What cannot be kept is refused with the field, what it holds, and what may be there."""
        for said, reason in (
            ({"filename": ""}, "filename: 0 characters, expected 1 to 1024"),
            ({"filename": "a\0b"}, r"filename: holds the character U\+0000"),
            ({"owner": ""}, "owner: 0 characters, expected 1 to 256"),
            ({"owner": "a\nb"}, r"owner: holds the character U\+000A"),
            ({"size": -1}, "size: -1, expected 0 to "),
            ({"size": 1 << 63}, "size: 9223372036854775808, expected 0 to 9223372036854775807"),
            ({"tags": ("t",) * 33}, "tags: 33 of them, expected 32 at most"),
            ({"tags": ("\ud800",)}, r"tags: holds the character U\+D800"),
        ):
            with self.assertRaisesRegex(RequestRefused, reason):
                share_claim(**{"filename": "x", **said})  # type: ignore[arg-type]


class NameTests(SharesTestCase):
    """The names an entry goes by."""

    def names(self, share_id: str) -> list[str]:
        """List the names of a share."""
        return self.successResultOf(self.catalogue.shares.names(share_id))

    def test_all_names_are_remembered(self) -> None:
        """Every name it was registered under finds a share, the latest is shown."""
        share = self.register("one.mp3")
        self.register("two.mp3")
        self.assertEqual(self.register("one.mp3").filename, "one.mp3")
        self.assertEqual(self.names(share.id), ["one.mp3", "two.mp3"])
        self.assertEqual((self.found("one"), self.found("two")), ([share.id], [share.id]))

    def test_one_name_unregistered(self) -> None:
        """The entry stays under its other names, and is no longer found by the one that went."""
        share = self.register("one.mp3")
        self.register("two.mp3")
        gone = self.successResultOf(self.catalogue.shares.unregister(share.id, "two.mp3"))
        self.assertEqual(gone is not None and gone.filename, "two.mp3")
        left = self.get(share.id)
        self.assertEqual(left is not None and left.filename, "one.mp3")
        self.assertEqual((self.found("one"), self.found("two")), ([share.id], []))

    def test_last_name_unregistered(self) -> None:
        """The entry goes with its last name, and leaves nothing behind."""
        share = self.register("one.mp3", tags=("a",))
        self.successResultOf(self.catalogue.shares.rate(share.id, "bob", 5))
        self.successResultOf(self.catalogue.shares.unregister(share.id, "one.mp3"))
        self.assertIsNone(self.get(share.id))
        for table in ("share", "share_name", "share_tag", "share_text", "vote", "content", "content_key"):
            self.assertEqual(self.rows(f"SELECT count(*) FROM {table}"), [(0,)], table)
        self.assertEqual(self.successResultOf(self.catalogue.find_damage()), [])

    def test_unregister_the_whole(self) -> None:
        """Without a name the entry goes at once, and is told as it was."""
        share = self.register("one.mp3")
        share = self.register("two.mp3")
        self.assertEqual(self.successResultOf(self.catalogue.shares.unregister(share.id)), share)
        self.assertIsNone(self.get(share.id))

    def test_unregister_what_is_not_there(self) -> None:
        """An id or a name that is unknown is no error, and changes nothing."""
        share = self.register()
        self.assertIsNone(self.successResultOf(self.catalogue.shares.unregister("0" * 16)))
        self.assertIsNone(self.successResultOf(self.catalogue.shares.unregister(share.id, "other")))
        self.assertEqual(self.get(share.id), share)

    def test_id_survives_its_name(self) -> None:
        """When the first name goes to another content, the id stays and the other content gets one of its own."""
        share = self.register("one.mp3")
        self.register("two.mp3")
        other = self.register("one.mp3", hash=OTHER_HASH)
        self.assertNotEqual(other.id, share.id)
        self.assertEqual(self.names(share.id), ["two.mp3"])

    def test_new_content_under_an_old_name(self) -> None:
        """A file that changed replaces what was served under its name at that address."""
        share = self.register("notes.txt")
        other = self.register("notes.txt", hash=OTHER_HASH)
        self.assertEqual(other.id, share.id)
        self.assertEqual(self.rows("SELECT hash FROM share"), [(OTHER_HASH,)])
        self.assertEqual(self.rows("SELECT count(*) FROM content"), [(1,)])

    def test_same_name_at_another_address(self) -> None:
        """The same name at another address of the same owner is another file."""
        self.register("notes.txt")
        self.register("notes.txt", hash=OTHER_HASH, peer_address="10.0.0.1:9002")
        self.assertEqual(self.rows("SELECT count(*) FROM share"), [(2,)])

    def test_many_names(self) -> None:
        """Of more names than are kept the oldest go."""
        share = self.register("first")
        self.inside(
            lambda connection: connection.exec_driver_sql(
                "INSERT INTO share_name (share_id, name) WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n"
                f" WHERE i < {NAMES - 1}) SELECT (SELECT id FROM share), 'n' || i FROM n"
            )
        )
        self.assertEqual(len(self.names(share.id)), NAMES)
        self.register("last")
        names = self.names(share.id)
        self.assertEqual((len(names), names[0], names[-1]), (NAMES, "last", "n1"))


class CopyTests(SharesTestCase):
    """The same content of several owners."""

    def test_who_can_be_asked_comes_first(self) -> None:
        """Copies of online nodes come first, then of strangers, then of nodes that are offline; each by age."""
        self.successResultOf(self.catalogue.nodes.register(node_claim("off", "10.0.0.3")))
        self.clock.advance(121)
        self.successResultOf(self.catalogue.nodes.drop_silent(120))
        self.successResultOf(self.catalogue.nodes.register(node_claim("on", "10.0.0.4")))
        shares = {owner: self.register(owner=owner) for owner in ("off", "stranger", "on", "stranger2")}
        copies = self.successResultOf(self.catalogue.shares.copies(shares["off"].id))
        self.assertEqual([copy.owner for copy in copies], ["on", "stranger", "stranger2", "off"])
        self.assertEqual([copy.online for copy in copies], [True, None, None, False])

    def test_of_nothing(self) -> None:
        """An unknown id has no copies."""
        self.register()
        self.assertEqual(self.successResultOf(self.catalogue.shares.copies("0" * 16)), [])

    def test_contents_that_turn_out_to_be_one(self) -> None:
        """A torrent that is the same as two known contents joins them: entries, names and downloads come together."""
        mine, theirs = self.register("mine"), self.register("theirs", hash=OTHER_HASH)
        bobs = self.register("bobs", hash=OTHER_HASH, owner="bob")
        self.catalogue.shares.count_download(mine.id)
        self.catalogue.shares.count_download(theirs.id)
        keys = (ContentKey(Scheme.SHA256, HASH), ContentKey(Scheme.SHA256, OTHER_HASH))
        self.successResultOf(self.catalogue.torrents.add(torrent_claim(keys=keys, name="joined")))
        self.assertEqual(self.rows("SELECT count(*) FROM content"), [(1,)])
        self.assertIsNone(self.get(theirs.id))
        kept = self.get(mine.id)
        self.assertEqual(kept is not None and (kept.filename, kept.downloads), ("joined", 2))
        self.assertEqual(self.found("theirs"), [mine.id])
        copies = self.successResultOf(self.catalogue.shares.copies(mine.id))
        self.assertEqual([copy.id for copy in copies], [mine.id, bobs.id])
        self.assertEqual({copy.info_hash for copy in copies}, {INFO_HASH.hex()})
        self.assertEqual(self.successResultOf(self.catalogue.find_damage()), [])


class VoteTests(SharesTestCase):
    """Ratings."""

    def rate(self, share_id: str, voter: str, rating: float) -> tuple[float, int]:
        """Vote; gives the share's rating and how many voted."""
        share = self.successResultOf(self.catalogue.shares.rate(share_id, voter, rating))
        assert share is not None
        return share.rating, share.votes

    def test_s2_18_rating_is_the_mean_of_votes(self) -> None:
        """The rating is 0 without votes, then their mean."""
        share = self.register()
        self.assertEqual((share.rating, share.votes), (0.0, 0))
        self.assertEqual(self.rate(share.id, "bob", 4), (4.0, 1))
        self.assertEqual(self.rate(share.id, "cid", 1), (2.5, 2))

    def test_one_vote_each(self) -> None:
        """A second vote of somebody replaces the first."""
        share = self.register()
        self.rate(share.id, "bob", 1)
        self.assertEqual(self.rate(share.id, "bob", 5), (5.0, 1))

    def test_out_of_range(self) -> None:
        """Less than 0, more than 5, or no number at all is refused and not counted."""
        share = self.register()
        for rating in (-0.1, 5.1, float("nan"), float("inf")):
            failure = self.failureResultOf(self.catalogue.shares.rate(share.id, "bob", rating), RequestRefused)
            self.assertRegex(str(failure.value), "rating: .*, expected 0 to 5")
        self.assertEqual(self.get(share.id), share)

    def test_of_nothing(self) -> None:
        """A vote on what is not there fires with None."""
        self.assertIsNone(self.successResultOf(self.catalogue.shares.rate("0" * 16, "bob", 1)))

    def test_votes_survive_news(self) -> None:
        """Votes and downloads belong to the entry, and stay when it is registered anew."""
        share = self.register()
        self.rate(share.id, "bob", 3)
        self.catalogue.shares.count_download(share.id)
        again = self.register("other.mp3")
        self.assertEqual((again.rating, again.votes, again.downloads), (3.0, 1, 1))


class DownloadTests(SharesTestCase):
    """Downloads are shown at once and written later."""

    def total(self) -> int:
        """Count all downloads."""
        return self.successResultOf(self.catalogue.network_figures()).total_downloads

    def test_s2_8_shown_at_once(self) -> None:
        """A download counts in every answer before it is written, and once after."""
        share = self.register()
        self.catalogue.shares.count_download(share.id)
        for _ in range(2):
            found = self.get(share.id)
            assert found is not None
            self.assertEqual(found.downloads, 1)
            results = self.successResultOf(self.catalogue.shares.search(SearchQuery()))
            self.assertEqual([one.downloads for one in results.shares], [1])
            self.assertEqual(self.total(), 1)
            self.successResultOf(self.catalogue.memberships.flush())

    def test_s2_8_unknown(self) -> None:
        """Downloads of what is gone meanwhile are forgotten with the batch that wrote them."""
        self.catalogue.shares.count_download("0" * 16)
        self.successResultOf(self.catalogue.memberships.flush())
        self.assertEqual(self.total(), 0)


class LifeTests(SharesTestCase):
    """Any sequence of registering and unregistering."""

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(
            st.tuples(st.sampled_from("ru"), st.integers(0, 1), st.sampled_from(["a", "b"]), st.integers(0, 1)),
            max_size=12,
        )
    )
    def test_search_and_rows_agree(self, steps: list[tuple[str, int, str, int]]) -> None:
        """After any steps there is one entry a content and owner, all its names find it, and nothing is left over."""
        self.catalogue = self.open()
        held: dict[tuple[int, str], set[str]] = {}
        for what, content, owner, number in steps:
            name = f"name{number}"
            key = ContentKey(Scheme.SHA256, f"{content:064x}")
            if what == "r":
                self.register(name, hash=key.value, owner=owner, peer_address=owner)
                for (_, who), names in held.items():
                    names.difference_update([name] if who == owner else [])
                held.setdefault((content, owner), set()).add(name)
            elif (share := self.successResultOf(self.catalogue.shares.find(key, owner))) is not None:
                self.successResultOf(self.catalogue.shares.unregister(share.id, name))
                held[content, owner].discard(name)
            held = {place: names for place, names in held.items() if names}
        entries = self.rows("SELECT hash, owner FROM share")
        self.assertEqual(sorted(entries), sorted((f"{content:064x}", owner) for content, owner in held))
        for number in range(2):
            named = [place for place, names in held.items() if f"name{number}" in names]
            self.assertEqual(len(self.found(f"name{number}")), len(named))
        self.assertEqual(self.successResultOf(self.catalogue.find_damage()), [])


class TogetherTests(SharesTestCase):
    """Files that are entered together."""

    def register_all(self, *claims: Claim) -> list[Share | RequestRefused]:
        """Enter them."""
        return self.successResultOf(self.catalogue.shares.register_all(claims))

    def test_same_as_one_by_one(self) -> None:
        """Each is what it would be alone, with its torrent, if it has one; a second time nothing changes."""
        claims = (share_claim("a.txt", hash=HASH), torrent_claim(name="b.txt"))
        first = self.register_all(*claims)
        self.assertEqual([share.filename for share in first if isinstance(share, Share)], ["a.txt", "b.txt"])
        self.assertEqual(self.register_all(*claims), first)
        alone = [self.successResultOf(self.catalogue.shares.register(claim)) for claim in claims]
        self.assertEqual(alone, first)
        self.assertEqual(alone[1].info_hash, INFO_HASH.hex())
        torrent = self.successResultOf(self.catalogue.torrents.get(INFO_HASH.hex()))
        self.assertEqual(torrent and torrent.name, "b.txt")

    def test_refused(self) -> None:
        """What cannot be entered leaves nothing behind, and the others are entered."""
        wrong = [torrent_claim(info_hash=b"short"), torrent_claim(paths=("half of a character \ud800",))]
        outcomes = self.register_all(share_claim("a.txt"), *wrong, share_claim("b.txt", hash=OTHER_HASH))
        self.assertEqual([isinstance(outcome, RequestRefused) for outcome in outcomes], [False, True, True, False])
        self.assertEqual(
            [str(outcomes[1]), "is not text" in str(outcomes[2])], ["info_hash: 5 bytes, expected 20", True]
        )
        self.assertEqual(self.successResultOf(self.catalogue.network_figures()).total_files, 2)
        self.failureResultOf(self.catalogue.shares.register(wrong[0]), RequestRefused)

    def test_disk_that_ends_the_transaction(self) -> None:
        """When the disk takes the whole transaction back, savepoint and all, it is the disk that is named."""

        def put_share(connection: Connection, *_: Any) -> int:
            connection.exec_driver_sql("ROLLBACK")
            error = OperationalError("database or disk is full")
            error.sqlite_errorcode = SQLITE_FULL
            raise DBAPIError("INSERT", {}, error)

        self.patch(shares, "put_share", put_share)
        failure = self.failureResultOf(self.catalogue.shares.register_all([share_claim("a.txt")]), DiskFull)
        self.assertIn("no space is left", str(failure.value))

    def test_own_torrent_of_a_content(self) -> None:
        """Where owners call one content differently, each entry has the torrent with its own name."""
        key = ContentKey(Scheme.SHA256, HASH)
        mine = torrent_claim(name="a.txt", keys=(key,), owner="ann")
        yours = torrent_claim(b"o" * 20, name="b.txt", keys=(key,), owner="bob")
        claims = (mine, yours, share_claim("c.txt", hash=HASH, owner="eve"))
        found = {share.owner: share.info_hash for share in self.register_all(*claims) if isinstance(share, Share)}
        self.assertEqual(found, {"ann": INFO_HASH.hex(), "bob": (b"o" * 20).hex(), "eve": INFO_HASH.hex()})

    def test_memberships_hear_of_torrents(self) -> None:
        """What happens in a swarm is noted from the moment on when its torrent is entered."""
        self.register_all(torrent_claim())
        self.assertTrue(self.catalogue.memberships.wants(INFO_HASH))


class OwnersOfManyTests(IndexTestCase):
    """What a file costs at an owner of many."""

    def test_names_are_looked_up(self) -> None:
        """Whether a name is taken is looked up, not by going through all of its owner's or all who have such a name."""

        def plan(connection: Connection) -> list[str]:
            query = str(_OTHERS_OF_THAT_NAME.compile(connection))
            rows = connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {query}", ("ann", "name", "10.0.0.1:9001", 1))
            return [row[3] for row in rows]

        steps = " ".join(self.inside(plan))
        self.assertIn("share_name_by_owner (owner=? AND name=?)", steps)
        self.assertNotIn("share_by_owner", steps)
