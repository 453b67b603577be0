"""Tests of p2pshare.index.batch: the latest of each kind, told in order, and never more than so much."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.index.batch import Batch, Change, forget_silent, write_batch
from p2pshare.index.checks import LARGEST
from tests.index.opened import INFO_HASH, TODAY, IndexTestCase, member, torrent_claim

OTHER = b"o" * 20


class BatchTests(SynchronousTestCase):
    """Batch"""

    def setUp(self) -> None:
        self.batch = Batch(3)

    def test_the_latest_counts(self) -> None:
        """Of several facts about one member the latest is kept."""
        for uploaded in (1, 2, 3):
            self.batch.note(INFO_HASH, "a", Change(member("a", uploaded=uploaded)))
        self.assertEqual(self.batch.changes, {(INFO_HASH, "a"): Change(member("a", uploaded=3))})
        self.batch.note(INFO_HASH, "a", Change(None))
        self.assertEqual(self.batch.changes, {(INFO_HASH, "a"): Change(None)})

    def test_a_completion_is_not_forgotten(self) -> None:
        """Who completed and then announced again, or left, has completed."""
        self.batch.note(INFO_HASH, "a", Change(member("a"), True))
        self.batch.note(INFO_HASH, "a", Change(None))
        self.assertEqual(self.batch.changes, {(INFO_HASH, "a"): Change(None, True)})

    def test_full(self) -> None:
        """When it is full, facts about others are dropped and counted, facts about those it knows are taken."""
        for peer_id in "abc":
            self.batch.note(INFO_HASH, peer_id, Change(member(peer_id)))
        self.batch.note(INFO_HASH, "d", Change(member("d")))
        self.batch.count_download("s")
        self.batch.note(INFO_HASH, "a", Change(None))
        self.assertEqual((len(self.batch), self.batch.dropped), (3, 2))
        self.assertEqual(self.batch.changes[INFO_HASH, "a"], Change(None))

    def test_downloads_are_counted(self) -> None:
        """Downloads of one share take the room of one fact."""
        for _ in range(10):
            self.batch.count_download("s")
        self.assertEqual((len(self.batch), self.batch.downloads["s"], self.batch.dropped), (1, 10, 0))

    def test_follows_what_could_not_be_written(self) -> None:
        """What came later wins; completions and downloads of both count."""
        earlier = Batch(3)
        earlier.note(INFO_HASH, "a", Change(member("a", 5), True))
        earlier.note(INFO_HASH, "b", Change(member("b")))
        earlier.count_download("s")
        self.batch.note(INFO_HASH, "a", Change(member("a", 0)))
        self.batch.count_download("s")
        self.batch.follow(earlier)
        self.assertEqual(self.batch.changes[INFO_HASH, "a"], Change(member("a", 0), True))
        self.assertEqual(self.batch.changes[INFO_HASH, "b"], Change(member("b")))
        self.assertEqual((self.batch.downloads["s"], self.batch.dropped), (2, 0))

    def test_no_room_for_both(self) -> None:
        """When there is no room for both, older facts are dropped and counted."""
        earlier = Batch(3)
        for peer_id in "xyz":
            earlier.note(INFO_HASH, peer_id, Change(member(peer_id)))
        earlier.count_download("s")  # full: dropped
        for peer_id in "ab":
            self.batch.note(INFO_HASH, peer_id, Change(member(peer_id)))
        self.batch.follow(earlier)
        self.assertEqual([peer_id for _, peer_id in self.batch.changes], ["a", "b", "x"])
        self.assertEqual(self.batch.dropped, 3)


class WriteTests(IndexTestCase):
    """write_batch() and forget_silent()"""

    def write(self, *told: tuple[bytes, str, Change], downloads: dict[str, int] | None = None) -> None:
        """Write some changes in one batch."""
        changes = {(info_hash, peer_id): change for info_hash, peer_id, change in told}
        self.inside(lambda connection: write_batch(connection, changes, downloads or {}))

    def members(self) -> list[tuple[object, ...]]:
        """List who is where."""
        return self.rows(
            "SELECT info_hash, peer_id, bytes_left FROM membership JOIN swarm ON swarm.id = swarm_id ORDER BY 1, 2"
        )

    def test_one_row_for_each_membership(self) -> None:
        """A peer in two swarms has two rows, which stay the same when it announces again."""
        self.write((INFO_HASH, "a", Change(member("a", 5))), (OTHER, "a", Change(member("a", 0))))
        ids = self.rows("SELECT id FROM membership")
        self.write((INFO_HASH, "a", Change(member("a", 4))))
        self.assertEqual(self.members(), [(INFO_HASH.hex(), "a", 4), (OTHER.hex(), "a", 0)])
        self.assertEqual(self.rows("SELECT id FROM membership"), ids)

    def test_unknown_who_leaves(self) -> None:
        """Who leaves without having been there changes nothing."""
        self.write((INFO_HASH, "a", Change(None)))
        self.assertEqual(self.members(), [])

    def test_completed_once(self) -> None:
        """A completion counts once while the membership lasts, in one batch or in several."""
        for _ in range(2):
            self.write((INFO_HASH, "a", Change(member("a"), True)), (INFO_HASH, "b", Change(member("b"), True)))
            self.assertEqual(self.rows("SELECT completed FROM swarm"), [(2,)])
        self.write((INFO_HASH, "c", Change(None, True)))
        self.assertEqual(self.rows("SELECT completed FROM swarm"), [(3,)])

    def test_numbers_of_strangers(self) -> None:
        """Counters beyond what a database holds are written as the largest number."""
        huge = 1 << 80
        self.write((INFO_HASH, "a", Change(member("a", huge, uploaded=huge, downloaded=huge))))
        self.assertEqual(
            self.rows("SELECT uploaded, downloaded, bytes_left FROM membership"), [(LARGEST, LARGEST, LARGEST)]
        )

    def test_nothing(self) -> None:
        """An empty batch changes nothing."""
        self.write()
        self.assertEqual(self.members(), [])

    def test_forgotten(self) -> None:
        """Members that were silent too long are forgotten, and swarms without anybody; torrents keep their counts."""
        self.successResultOf(self.catalogue.torrents.add(torrent_claim(INFO_HASH)))
        for info_hash in (INFO_HASH, OTHER):
            self.write((info_hash, "a", Change(member("a", at=TODAY - 10), True)))
        self.write((b"s" * 20, "b", Change(member("b", at=TODAY))))
        self.inside(lambda connection: forget_silent(connection, TODAY - 5))
        self.assertEqual(self.members(), [((b"s" * 20).hex(), "b", 0)])
        kept = self.rows("SELECT info_hash, completed FROM swarm ORDER BY id")
        self.assertEqual(kept, [(INFO_HASH.hex(), 1), ((b"s" * 20).hex(), 0)])

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.tuples(st.integers(0, 1), st.integers(0, 2), st.sampled_from("jlc")), max_size=15), st.data())
    def test_batches_make_no_difference(self, told: list[tuple[int, int, str]], data: st.DataObject) -> None:
        """However facts are cut into batches, the members are those of the last facts."""
        self.inside(lambda connection: connection.exec_driver_sql("DELETE FROM membership"))
        last: dict[tuple[str, str], int] = {}
        batch = Batch(100)
        for swarm, peer, what in told:
            info_hash, peer_id = bytes([swarm]) * 20, f"p{peer}"
            change = Change(None) if what == "l" else Change(member(peer_id, 0 if what == "c" else 7), what == "c")
            batch.note(info_hash, peer_id, change)
            last.pop((info_hash.hex(), peer_id), None)
            if change.member is not None and change.member.left is not None:
                last[info_hash.hex(), peer_id] = change.member.left
            if data.draw(st.booleans()):
                self.inside(lambda connection, b=batch: write_batch(connection, b.changes, b.downloads))
                batch = Batch(100)
        self.inside(lambda connection: write_batch(connection, batch.changes, batch.downloads))
        self.assertEqual(self.members(), sorted((*place, left) for place, left in last.items()))
