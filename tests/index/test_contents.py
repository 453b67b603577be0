"""Tests of p2pshare.index.contents."""

from __future__ import annotations

from sqlalchemy import Connection

from p2pshare.index.contents import add_content, add_keys, drop_unused, find_content, find_contents, find_torrent
from p2pshare.index.records import ContentKey, Scheme
from tests.index.opened import INFO_HASH, TODAY, IndexTestCase, torrent_claim

A, B = ContentKey(Scheme.SHA256, "a"), ContentKey(Scheme.BTIH, "b")
NAME = ContentKey(Scheme.NAME_SHA1, "n")


class ContentsTests(IndexTestCase):
    """Names of contents."""

    def test_found_by_each_name(self) -> None:
        """A content is found by all its names, each in its own scheme."""

        def work(connection: Connection) -> None:
            made = add_content(connection, TODAY)
            add_keys(connection, made, [A, B])
            self.assertEqual([find_content(connection, key) for key in (A, B)], [made, made])
            self.assertIsNone(find_content(connection, ContentKey(Scheme.BTIH, "a")))

        self.inside(work)

    def test_a_name_that_is_taken(self) -> None:
        """A name stays with the content that had it first."""

        def work(connection: Connection) -> None:
            first, second = add_content(connection, TODAY), add_content(connection, TODAY)
            add_keys(connection, first, [A])
            add_keys(connection, second, [A, B])
            self.assertEqual([find_content(connection, key) for key in (A, B)], [first, second])
            self.assertEqual(find_contents(connection, [B, A, A]), [first, second])

        self.inside(work)

    def test_names_that_prove_nothing(self) -> None:
        """The digest of a file's name does not tell that two contents are the same."""

        def work(connection: Connection) -> None:
            made = add_content(connection, TODAY)
            add_keys(connection, made, [A, NAME])
            self.assertEqual((find_contents(connection, [NAME]), find_contents(connection, [A])), ([], [made]))

        self.inside(work)

    def test_only_what_is_unused_is_dropped(self) -> None:
        """A content goes with its names when nobody shares it, and stays while a torrent describes it."""
        self.successResultOf(self.catalogue.torrents.add(torrent_claim()))

        def work(connection: Connection) -> None:
            unused = add_content(connection, TODAY)
            add_keys(connection, unused, [A])
            drop_unused(connection, unused)
            self.assertIsNone(find_content(connection, A))
            used = find_content(connection, ContentKey(Scheme.BTIH, INFO_HASH.hex()))
            assert used is not None
            drop_unused(connection, used)
            self.assertIsNotNone(find_torrent(connection, INFO_HASH.hex()))

        self.inside(work)
