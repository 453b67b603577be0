"""Tests of p2pshare.index.migrations: old schemas are brought up to date, newer ones are refused."""

from __future__ import annotations

from unittest import mock

from sqlalchemy.exc import OperationalError
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.errors import StorageError
from p2pshare.index import sqlite
from p2pshare.index.migrations import migrate, version_of
from tests.index.opened import IndexTestCase

FIRST = ("CREATE TABLE schema_version (version INTEGER PRIMARY KEY, applied_at REAL NOT NULL)", "CREATE TABLE a (x)")
SECOND = ("CREATE TABLE b (x)", "INSERT INTO b SELECT x FROM a")
BROKEN = ("CREATE TABLE c (x)", "INSERT INTO nowhere VALUES (1)")


class MigrateTests(SynchronousTestCase):
    """migrate()"""

    def setUp(self) -> None:
        self.engine = sqlite.connect(sqlite.IN_MEMORY).writer
        self.addCleanup(self.engine.dispose)

    def rows(self, query: str) -> list[tuple[object, ...]]:
        """Ask the database."""
        with self.engine.begin() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(query)]

    def version(self) -> int:
        """Tell the version of the schema."""
        with self.engine.begin() as connection:
            return version_of(connection)

    def test_from_nothing(self) -> None:
        """An empty database gets all steps, each with its time."""
        self.assertEqual(self.version(), 0)
        migrate(self.engine, [FIRST, SECOND], "x", 5.0)
        self.assertEqual(self.rows("SELECT * FROM schema_version"), [(1, 5.0), (2, 5.0)])

    def test_only_what_is_missing(self) -> None:
        """An old database gets the newer steps and keeps what it held; one that is up to date stays as it is."""
        migrate(self.engine, [FIRST], "x", 5.0)
        with self.engine.begin() as connection:
            connection.exec_driver_sql("INSERT INTO a VALUES (7)")
        for _ in range(2):
            migrate(self.engine, [FIRST, SECOND], "x", 6.0)
            self.assertEqual(self.rows("SELECT * FROM b"), [(7,)])
        self.assertEqual(self.rows("SELECT * FROM schema_version"), [(1, 5.0), (2, 6.0)])

    def test_a_step_that_fails(self) -> None:
        """A step that fails leaves the version before it, whole, from which a better program goes on."""
        with self.assertRaises(OperationalError):
            migrate(self.engine, [FIRST, BROKEN], "x", 5.0)
        self.assertEqual(self.version(), 1)
        self.assertEqual(self.rows("SELECT name FROM sqlite_schema WHERE name = 'c'"), [])
        migrate(self.engine, [FIRST, SECOND], "x", 6.0)
        self.assertEqual(self.version(), 2)

    def test_newer(self) -> None:
        """A database of a newer program is refused, with both versions, and is left as it is."""
        migrate(self.engine, [FIRST, SECOND], "x", 5.0)
        with self.assertRaises(StorageError) as caught:
            migrate(self.engine, [FIRST], "/state/index.db", 6.0)
        self.assertEqual(
            str(caught.exception),
            "/state/index.db: has schema version 2, this program knows versions up to 1: "
            "it was written by a newer p2pshare",
        )
        self.assertEqual(self.version(), 2)


class FileTests(IndexTestCase):
    """Files of other versions of this program."""

    def test_an_old_file(self) -> None:
        """A file of the version before is brought up when it is opened, with what it holds."""
        path = self.open_in_file()
        user = self.successResultOf(self.catalogue.users.add("ann"))
        with mock.patch.object(sqlite, "MIGRATIONS", (*sqlite.MIGRATIONS, ("CREATE TABLE more (x)",))):
            self.reopen(path)
        self.assertEqual(self.rows("SELECT count(*) FROM more"), [(0,)])
        self.assertEqual(self.successResultOf(self.catalogue.users.get(user.peer_id)), user)

    def test_a_newer_file(self) -> None:
        """A file of a newer program is refused, and can be opened by that program afterwards."""
        newer = (*sqlite.MIGRATIONS, ("CREATE TABLE more (x)",))
        path = str(self.mktemp())
        with mock.patch.object(sqlite, "MIGRATIONS", newer):
            self.open(path)
            self.database.close()
        with self.assertRaisesRegex(StorageError, "it was written by a newer p2pshare"):
            self.open_database(path)
        with mock.patch.object(sqlite, "MIGRATIONS", newer):
            self.open(path)
