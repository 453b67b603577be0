"""Tests of p2pshare.index.sqlite: search tables, and what errors of the database mean."""

from __future__ import annotations

import sqlite3

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError, OperationalError

from p2pshare.errors import DiskFull, StorageError
from p2pshare.index import sqlite
from p2pshare.index.schema import metadata
from tests.index.opened import IndexTestCase, share_claim


class TextTests(IndexTestCase):
    """put_text() and matching()"""

    def setUp(self) -> None:
        super().setUp()
        for number in range(1, 4):
            self.successResultOf(self.catalogue.shares.register(share_claim(f"f{number}", hash=str(number))))

    def found(self, *words: str) -> list[int]:
        """Give the row ids of the shares that hold these words."""

        def work(connection: Connection) -> list[int]:
            return sorted(connection.scalars(sqlite.matching(words)))

        return self.inside(work)

    def put(self, share_id: int, text: str | None) -> None:
        """Have a share found by a text."""
        self.inside(lambda connection: sqlite.put_text(connection, share_id, text))

    def test_found_by_the_new_text_only(self) -> None:
        """A share is found by the text it was given last, by long and short words and both."""
        self.put(1, "blue moon")
        self.put(2, "blue sky")
        self.assertEqual((self.found("blue"), self.found("moon"), self.found("oo")), ([1, 2], [1], [1]))
        self.assertEqual((self.found("blue", "sk"), self.found("b", "k"), self.found("blue", "zz")), ([2], [2], []))
        self.put(1, "red sun")
        self.assertEqual(
            (self.found("moon"), self.found("oo"), self.found("red"), self.found("re")), ([], [], [1], [1])
        )

    def test_found_by_none(self) -> None:
        """A share without a text is not found, and may get one again."""
        self.put(1, None)
        self.assertEqual(self.found("f1"), [])
        self.put(1, None)
        self.put(1, "again")
        self.assertEqual(self.found("again"), [1])
        self.assertEqual(self.successResultOf(self.catalogue.find_damage()), [])

    def test_quotes(self) -> None:
        """Quotes and operators are text."""
        self.put(1, 'say "hello" or not')
        self.assertEqual(self.found('"hello"'), [1])
        self.assertEqual(self.found('"hel" OR "moon"'), [])
        self.assertEqual(self.found('"h'), [1])

    def test_the_same_as_looking_at_each(self) -> None:
        """holds() says of one row what matching() says of all."""
        self.put(1, "blue moon")

        def work(connection: Connection) -> None:
            for words in (["blue"], ["b", "moon"], ["zz"], ["moon", "sky"]):
                share = metadata.tables["share"]
                held = connection.scalars(
                    share.select().with_only_columns(share.c.id).where(sqlite.holds(share.c.id, words))
                ).all()
                self.assertEqual(sorted(held), sorted(connection.scalars(sqlite.matching(words))), words)

        self.inside(work)


class ExplainedTests(IndexTestCase):
    """explained()"""

    def said(self, code: int) -> str:
        """Meet an error of the database; gives what is said of it."""
        error = sqlite3.OperationalError("its words")
        error.sqlite_errorcode = code
        with self.assertRaises(StorageError) as caught, sqlite.explained("/index.db"):
            raise OperationalError("SELECT 1", {}, error)
        self.assertIsInstance(caught.exception.__cause__, DBAPIError)
        self.assertIs(type(caught.exception), DiskFull if code & 0xFF == sqlite3.SQLITE_FULL else StorageError)
        return str(caught.exception)

    def test_one_sentence_each(self) -> None:
        """Each trouble is one sentence that begins with the file, also when the code says more."""
        for code, sentence in (
            (sqlite3.SQLITE_FULL, "no space is left for the index"),
            (sqlite3.SQLITE_BUSY, "another process has locked it and does not let go (its words)"),
            (sqlite3.SQLITE_BUSY_SNAPSHOT, "another process has locked it and does not let go (its words)"),
            (sqlite3.SQLITE_READONLY, "must not be written to (its words)"),
            (sqlite3.SQLITE_READONLY_DBMOVED, "must not be written to (its words)"),
            (sqlite3.SQLITE_IOERR_FSYNC, "the disk cannot be read or written (its words)"),
            (
                sqlite3.SQLITE_CORRUPT,
                "is damaged; bring back a copy, or move it away to begin an empty index (its words)",
            ),
        ):
            self.assertEqual(self.said(code), f"/index.db: {sentence}")

    def test_our_own_mistakes(self) -> None:
        """An error that is no trouble with the file stays what it is."""
        error = sqlite3.OperationalError("no such column: x")
        error.sqlite_errorcode = sqlite3.SQLITE_ERROR
        with self.assertRaises(OperationalError), sqlite.explained("/index.db"):
            raise OperationalError("SELECT x", {}, error)


class SchemaTests(IndexTestCase):
    """The tables as queries name them."""

    def test_as_the_migrations_make_them(self) -> None:
        """Each table has exactly the columns that queries know, and the same of them may be empty."""
        for name, table in metadata.tables.items():
            made = dict(self.rows(f"SELECT name, \"notnull\" OR pk FROM pragma_table_info('{name}')"))  # type: ignore
            self.assertEqual(made, {column.name: int(not column.nullable) for column in table.columns}, name)

    def test_foreign_keys_are_kept(self) -> None:
        """A row that refers to nothing cannot be written."""
        wrong = self.database.write(
            lambda connection: connection.exec_driver_sql("INSERT INTO share_tag (tag, share_id) VALUES ('t', 99)")
        )
        self.failureResultOf(wrong, DBAPIError)
