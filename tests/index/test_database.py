"""Tests of p2pshare.index.database: transactions, restarts, and one clear error for each trouble."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from unittest import mock

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError, OperationalError
from twisted.internet.defer import Deferred

from p2pshare.errors import DiskFull, RequestRefused, StorageError
from p2pshare.index.sqlite import IN_MEMORY
from tests.index.opened import IndexTestCase, share_claim

ADD_USER = "INSERT INTO user (username, peer_id, created_at) VALUES ('{0}', '{0}', 0)"
COUNT_USERS = "SELECT count(*) FROM user"


def add_user(connection: Connection, name: str = "ann") -> None:
    """Write something."""
    connection.exec_driver_sql(ADD_USER.format(name))


class TransactionTests(IndexTestCase):
    """Work is done as a whole, or not at all."""

    def test_a_write_is_seen(self) -> None:
        """What one piece of work wrote, the next one reads; its result comes back."""
        self.successResultOf(self.database.write(add_user))
        self.assertEqual(self.rows(COUNT_USERS), [(1,)])
        self.assertEqual(self.successResultOf(self.database.write(lambda connection: 42)), 42)

    def test_all_or_nothing(self) -> None:
        """Work that raises leaves nothing of what it wrote before; the error comes back as it is."""

        def half(connection: Connection) -> None:
            add_user(connection)
            raise RequestRefused("no")

        for path in (IN_MEMORY, str(self.mktemp())):
            self.database = self.open_database(path)
            self.addCleanup(self.database.close)
            failure = self.failureResultOf(self.database.write(half), RequestRefused)
            self.assertEqual(str(failure.value), "no")
            self.assertEqual(self.rows(COUNT_USERS), [(0,)])

    def test_errors_of_sql_stay(self) -> None:
        """A query that is wrong is our bug and no trouble with the disk."""
        wrong = self.database.read(lambda connection: connection.exec_driver_sql("SELECT nonsense"))
        self.failureResultOf(wrong, OperationalError)
        self.successResultOf(self.database.write(add_user))
        self.failureResultOf(self.database.write(add_user), IntegrityError)

    def test_readers_cannot_write(self) -> None:
        """Work that was given to a reader cannot change a file."""
        self.open_in_file()
        failure = self.failureResultOf(self.database.read(add_user), StorageError)
        self.assertIn("must not be written to", str(failure.value))

    def test_readers_see_one_moment(self) -> None:
        """All that one piece of work reads is of one moment, whatever is written meanwhile."""
        self.open_in_file()

        def count_twice(connection: Connection) -> list[int]:
            counted = [connection.exec_driver_sql(COUNT_USERS).scalar_one()]
            self.successResultOf(self.database.write(add_user))
            return [*counted, connection.exec_driver_sql(COUNT_USERS).scalar_one()]

        self.assertEqual(self.successResultOf(self.database.read(count_twice)), [0, 0])
        self.assertEqual(self.rows(COUNT_USERS), [(1,)])

    def test_no_text_and_no_number(self) -> None:
        """Values that no database holds are refused in words."""
        for value, reason in (("\ud800", "is not text"), (1 << 63, "a number is larger than the index can hold")):
            asked = self.database.read(lambda connection, value=value: connection.exec_driver_sql("SELECT ?", (value,)))
            self.assertIn(reason, str(self.failureResultOf(asked, RequestRefused).value))


class FileTests(IndexTestCase):
    """A database in a file."""

    def test_s3_2_made_when_it_is_not_there(self) -> None:
        """A file in folders that are not there is made, with the tables that S3 names and their columns."""
        path = Path(self.mktemp()) / "state" / "index.db"
        self.open(str(path))
        columns = {
            name: [column for (column,) in self.rows(f"SELECT name FROM pragma_table_info('{name}')")]
            for name in ("torrents", "peers", "users")
        }
        torrents = "id info_hash name file_size piece_length num_pieces pieces_hash created_at"
        peers = "id peer_id ip_address port torrent_id uploaded downloaded left is_seeder last_announce"
        self.assertEqual(columns["torrents"], [*torrents.split(), "seeders", "leechers", "completed"])
        self.assertEqual(columns["peers"], peers.split())
        self.assertEqual(columns["users"], ["id", "username", "peer_id", "created_at"])

    def test_s3_2_survives_a_restart(self) -> None:
        """What was written is there when the file is opened again, and is still found."""
        path = self.open_in_file()
        share = self.successResultOf(self.catalogue.shares.register(share_claim("song.mp3")))
        user = self.successResultOf(self.catalogue.users.add("ann"))
        self.reopen(path)
        self.assertEqual(self.successResultOf(self.catalogue.shares.get(share.id)), share)
        self.assertEqual(self.successResultOf(self.catalogue.users.get(user.peer_id)), user)
        self.assertEqual(self.successResultOf(self.catalogue.find_damage()), [])

    def test_survives_a_kill(self) -> None:
        """A copy of the files, as they are after a write without any goodbye, holds what was written."""
        path = self.open_in_file()
        self.successResultOf(self.database.write(add_user))
        copy = Path(self.mktemp())
        for end in ("", "-wal"):
            Path(f"{copy}{end}").write_bytes(Path(path + end).read_bytes())
        self.open(str(copy))
        self.assertEqual(self.rows(COUNT_USERS), [(1,)])

    def test_closed_leaves_one_file(self) -> None:
        """A database that was closed is one file, without a log beside it."""
        path = self.open_in_file()
        self.successResultOf(self.database.write(add_user))
        self.successResultOf(self.catalogue.stopService())
        self.assertEqual([name for name in os.listdir(os.path.dirname(path)) if "wal" in name or "shm" in name], [])

    def test_in_memory_leaves_none(self) -> None:
        """A database in memory makes no file."""
        before = os.listdir(".")
        self.open(IN_MEMORY)
        self.assertEqual(os.listdir("."), before)


class TroubleTests(IndexTestCase):
    """Each trouble is one StorageError that names the file and says what to do."""

    def setUp(self) -> None:
        super().setUp()
        self.path = self.open_in_file()

    def close(self) -> None:
        """Let go of the file."""
        self.database.close()

    def refused(self, path: str | None = None) -> str:
        """Try to open; gives what was said."""
        with self.assertRaises(StorageError) as caught:
            self.open_database(path or self.path)
        return str(caught.exception)

    def failed(self, asked: Deferred[Any]) -> str:
        """Give what was said when something asked for failed."""
        return str(self.failureResultOf(asked, StorageError).value)

    def test_no_database(self) -> None:
        """A file that is something else is left as it is."""
        self.close()
        Path(self.path).write_bytes(b"I am a letter, not a database. " * 1000)
        self.assertRegex(self.refused(), f"^{self.path}: is damaged or no database; .*move it away")
        self.assertTrue(Path(self.path).read_bytes().startswith(b"I am a letter"))

    def test_database_of_somebody_else(self) -> None:
        """A database of another program is not touched."""
        path = str(self.mktemp())
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE theirs (x)")
        connection.close()
        before = Path(path).read_bytes()
        self.assertIn("is a database of another program, not an index of p2pshare", self.refused(path))
        self.assertEqual(Path(path).read_bytes(), before)

    def test_damaged(self) -> None:
        """Pages of garbage in the middle are told when they are met, and by the search for damage."""
        for number in range(50):
            self.successResultOf(self.catalogue.shares.register(share_claim(f"song{number}", hash=str(number))))
        self.close()
        content = bytearray(Path(self.path).read_bytes())
        (root,) = self.root_of("share")
        content[(root - 1) * 4096 : root * 4096] = b"\xee" * 4096
        Path(self.path).write_bytes(content)
        self.catalogue = self.open(self.path)
        said = self.failed(self.database.read(lambda connection: connection.exec_driver_sql("SELECT * FROM share")))
        self.assertIn(f"{self.path}: is damaged; bring back a copy, or move it away", said)
        self.assertNotEqual(self.successResultOf(self.catalogue.find_damage()), [])

    def root_of(self, table: str) -> tuple[int]:
        """Tell the page where a table begins."""
        connection = sqlite3.connect(self.path)
        self.addCleanup(connection.close)
        found: tuple[int] = connection.execute("SELECT rootpage FROM sqlite_schema WHERE name = ?", (table,)).fetchone()
        return found

    def test_damaged_search_table(self) -> None:
        """A search table that does not agree with itself is found by the search for damage."""
        self.successResultOf(self.catalogue.shares.register(share_claim("song")))
        self.inside(lambda connection: connection.exec_driver_sql("DELETE FROM share_trigrams_data WHERE id > 1"))
        found = self.successResultOf(self.catalogue.find_damage())
        self.assertEqual([sentence.partition(":")[0] for sentence in found], ["share_trigrams"])

    def test_orphans(self) -> None:
        """A row that belongs to nothing is found by the search for damage."""
        self.close()
        with sqlite3.connect(self.path) as connection:
            connection.execute("INSERT INTO share_tag (tag, share_id) VALUES ('t', 77)")
        connection.close()
        self.catalogue = self.open(self.path)
        (said,) = self.successResultOf(self.catalogue.find_damage())
        self.assertIn("of share_tag belongs to no share", said)

    def test_locked_when_opened(self) -> None:
        """A file that another process is writing to cannot be opened for long."""
        self.close()
        self.lock()
        self.assertIn(f"{self.path}: another process has locked it and does not let go", self.refused())

    def test_locked_later(self) -> None:
        """Writes fail while another process holds the file, reads do not, and later all is well again."""
        other = self.lock()
        self.assertIn("another process has locked it", self.failed(self.database.write(add_user)))
        self.assertEqual(self.rows(COUNT_USERS), [(0,)])
        self.assertIn("another process has locked it", self.failed(self.catalogue.probe()))
        other.rollback()
        self.successResultOf(self.database.write(add_user))
        self.successResultOf(self.catalogue.probe())

    def lock(self) -> sqlite3.Connection:
        """Hold the file as another process would that writes to it."""
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("BEGIN IMMEDIATE")
        return other

    def test_disk_full(self) -> None:
        """Without space a write fails as DiskFull and changes nothing; with space again it works."""
        limit = self.inside(lambda connection: connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        self.set_most_pages(limit)

        def much(connection: Connection) -> None:
            for number in range(2000):
                add_user(connection, f"user{number}")

        failure = self.failureResultOf(self.database.write(much), DiskFull)
        self.assertEqual(str(failure.value), f"{self.path}: no space is left for the index")
        self.assertEqual(self.rows(COUNT_USERS), [(0,)])
        self.set_most_pages(100_000)
        self.successResultOf(self.database.write(much))
        self.assertEqual(self.rows(COUNT_USERS), [(2000,)])

    def set_most_pages(self, most: int) -> None:
        """Let the file grow to so many pages."""
        self.inside(lambda connection: connection.exec_driver_sql(f"PRAGMA max_page_count = {most}"))

    def test_read_only_file(self) -> None:
        """A file that must not be written to is refused when it is opened."""
        self.close()
        os.chmod(self.path, 0o444)
        os.chmod(os.path.dirname(self.path), 0o777)
        self.as_nobody()
        self.assertEqual(self.refused(), f"{self.path}: must not be written to (attempt to write a readonly database)")

    def test_read_only_folder(self) -> None:
        """A folder that must not be written to has no room for a log, and none for a new file."""
        self.close()
        folder = os.path.dirname(self.path)
        os.chmod(folder, 0o555)
        self.addCleanup(os.chmod, folder, 0o755)
        self.as_nobody()
        new = os.path.join(folder, "new")
        self.assertIn(f"{new}: cannot be opened; see that its folder is there and may be written to", self.refused(new))
        self.refused()

    def test_folder_that_cannot_be_made(self) -> None:
        """Where no folder can be made, the name in the way and the reason are told."""
        Path(self.path + "x").write_text("a file")
        self.assertEqual(
            self.refused(os.path.join(self.path + "x", "index.db")),
            f"{self.path}x: is a file, expected a folder for the index",
        )
        path = os.path.join(self.path + "x", "state", "index.db")
        self.assertIn("Not a directory", self.refused(path))

    def test_a_folder_in_its_place(self) -> None:
        """A folder is no database."""
        os.mkdir(self.path + "d")
        self.assertIn("cannot be opened", self.refused(self.path + "d"))

    def as_nobody(self) -> None:
        """Go on without the rights of root, for whom everything can be written."""
        if os.geteuid() == 0:
            os.seteuid(65534)
            self.addCleanup(os.seteuid, 0)

    def test_no_write_ahead_log(self) -> None:
        """A place where no write-ahead log is possible is refused, with the reason; memory is such a place too."""
        real = sqlite3.connect

        def elsewhere(path: str, **said: Any) -> sqlite3.Connection:
            return real(IN_MEMORY, **said)

        with mock.patch.object(sqlite3, "connect", elsewhere):
            said = self.refused(self.path)
        self.assertEqual(
            said,
            f"{self.path}: no write-ahead log is possible there, as on a network disk: it stays in mode memory",
        )

    def test_lost_tables(self) -> None:
        """A file whose tables somebody dropped is not ready."""
        self.inside(lambda connection: connection.exec_driver_sql("DELETE FROM schema_version"))
        self.assertIn("has lost its tables", self.failed(self.catalogue.probe()))
