"""
All that is peculiar to SQLite: connections, search tables, and what its errors mean.

Another database would offer the same names from a file of its own, beside one with its migrations.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from attrs import frozen
from sqlalchemy import (
    ColumnElement,
    Connection,
    Engine,
    Row,
    Select,
    UnaryExpression,
    bindparam,
    column,
    create_engine,
    event,
    exists,
    func,
    select,
    table,
    text,
)
from sqlalchemy.dialects.sqlite import insert as upsert
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import QueuePool, StaticPool
from sqlalchemy.sql.operators import custom_op

from p2pshare.errors import DiskFull, StorageError
from p2pshare.index.schema import share_text
from p2pshare.index.sqlite_schema import MIGRATIONS
from p2pshare.index.words import SHORT, gram, grams

__all__ = [
    "IN_MEMORY",
    "MIGRATIONS",
    "Engines",
    "connect",
    "explained",
    "find_damage",
    "holds",
    "matching",
    "put_text",
    "unindexed",
    "upsert",
]

T = TypeVar("T")

IN_MEMORY = ":memory:"
READERS = 2
PATIENCE = 5.0  # seconds to wait for another process that writes

_APPLICATION_ID = 0x70327073  # "p2ps", in the header of our files
# Bytes that each connection keeps of the file. It is not mapped into memory, which would be little faster: then a disk
# that fails would not be an error but the end of the process, and of the tracker in it.
_CACHE = 16 << 20
_LONGEST_LOG = 16 << 20  # bytes; what a write-ahead log is cut back to after it grew


@frozen
class Engines:
    """Connections to one database: a single one that writes, and those that only read. In memory they are the same."""

    writer: Engine
    reader: Engine

    def close(self) -> None:
        """Close all connections; the last one tidies the write-ahead log away."""
        self.reader.dispose()
        self.writer.dispose()


def connect(path: str, patience: float = PATIENCE) -> Engines:
    """
    Open a database file of ours, or make it; the folder has to be there.

    :param path: a file, or IN_MEMORY.
    :param patience: seconds to wait for another process that writes.
    :raise StorageError: it is a database of some other program, or cannot be used with a write-ahead log.
    """
    if path == IN_MEMORY:
        alone = create_engine("sqlite://", creator=_opener(path, patience), poolclass=StaticPool)
        _begin_with(alone, "BEGIN IMMEDIATE")
        return Engines(alone, alone)
    writer = create_engine("sqlite://", creator=_opener(path, patience), poolclass=QueuePool, pool_size=1)
    _begin_with(writer, "BEGIN IMMEDIATE")  # a reader that turns writer later cannot wait: its view is too old
    try:
        with explained(path):
            _claim(writer, path)
    except StorageError:
        writer.dispose()
        raise
    reader = create_engine(
        "sqlite://", creator=_opener(path, patience, "PRAGMA query_only = 1"), poolclass=QueuePool, pool_size=READERS
    )
    _begin_with(reader, "BEGIN")  # all that one question reads is of one moment
    return Engines(writer, reader)


def _opener(path: str, patience: float, *pragmas: str) -> Callable[[], sqlite3.Connection]:
    def open_connection() -> sqlite3.Connection:
        # No isolation level: the module would begin transactions when it thinks it sees one.
        connection = sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
        for pragma in (
            "PRAGMA foreign_keys = 1",
            # With a write-ahead log: a kill loses nothing, a power cut at most the last transactions, never order.
            "PRAGMA synchronous = NORMAL",
            f"PRAGMA cache_size = -{_CACHE >> 10}",
            f"PRAGMA journal_size_limit = {_LONGEST_LOG}",
            *pragmas,
        ):
            connection.execute(pragma)
        return connection

    return open_connection


def _begin_with(engine: Engine, statement: str) -> None:
    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(statement)


def _claim(engine: Engine, path: str) -> None:
    """Mark a new file as ours, and see that an old one is, before anything else is changed in it."""
    with engine.begin() as connection:
        application = connection.exec_driver_sql("PRAGMA application_id").scalar_one()
        tables = connection.exec_driver_sql("SELECT count(*) FROM sqlite_schema").scalar_one()
        if tables and application != _APPLICATION_ID:
            raise StorageError(f"{path}: is a database of another program, not an index of p2pshare")
        # Also when it stands there already: a file that must not be written to says so at the first write only.
        connection.exec_driver_sql(f"PRAGMA application_id = {_APPLICATION_ID}")
    raw = engine.raw_connection()
    try:
        (mode,) = raw.cursor().execute("PRAGMA journal_mode = WAL").fetchone()
    finally:
        raw.close()
    if mode != "wal":
        raise StorageError(
            f"{path}: no write-ahead log is possible there, as on a network disk: it stays in mode {mode}"
        )


def matching(words: Sequence[str]) -> Select[tuple[int]]:
    """
    Select the ``share_id`` of all shares whose text holds each of the words, at least one, by the search tables.

    The operators of the search syntax mean nothing here: words are quoted, or spelled in letters.
    """
    short = [word for word in words if len(word) <= SHORT]
    long = [word for word in words if len(word) > SHORT]
    if not long:
        return _search_table("share_grams", [gram(word) for word in short])
    found = _search_table("share_trigrams", long)
    if not short:
        return found
    # Short words occur in most names: it is cheaper to look at those found than to list all that have them.
    candidates = found.subquery()
    return select(candidates.c.share_id).where(holds(candidates.c.share_id, short))


def holds(share_id: ColumnElement[int], words: Sequence[str]) -> ColumnElement[bool]:
    """Say that the text of a share holds each of the words, by looking at the text of that one."""
    return exists().where(
        share_text.c.share_id == share_id, *[func.instr(share_text.c.text, word) > 0 for word in words]
    )


def unindexed(column: ColumnElement[T]) -> ColumnElement[T]:
    """Have a condition on a column checked for each row, and never used to find rows."""
    return UnaryExpression(column, operator=custom_op("+"), type_=column.type)


def _search_table(name: str, phrases: Sequence[str]) -> Select[tuple[int]]:
    typed = " AND ".join('"{}"'.format(phrase.replace('"', '""')) for phrase in phrases)
    rowid = column("rowid", type_=share_text.c.share_id.type)
    return (
        select(rowid.label("share_id"))
        .select_from(table(name))
        .where(text(f"{name} MATCH :{name}").bindparams(**{name: typed}))
    )


_OLD_TEXT = select(share_text.c.text).where(share_text.c.share_id == bindparam("of_share"))
_DROP_TEXT = share_text.delete().where(share_text.c.share_id == bindparam("of_share"))
_ADD_TEXT = share_text.insert()
_SEARCH_TABLES = ("share_trigrams", "share_grams")


def put_text(connection: Connection, share_id: int, new: str | None) -> None:
    """Have a share found by this text from now on; by none, which is said before the share goes."""
    old = connection.scalar(_OLD_TEXT, {"of_share": share_id})
    if old == new:
        return
    if old is not None:
        for name, spelled in _spellings(old):
            forget = f"INSERT INTO {name} ({name}, rowid, text) VALUES ('delete', ?, ?)"
            connection.exec_driver_sql(forget, (share_id, spelled))
        connection.execute(_DROP_TEXT, {"of_share": share_id})
    if new is not None:
        connection.execute(_ADD_TEXT, {"share_id": share_id, "text": new})
        for name, spelled in _spellings(new):
            connection.exec_driver_sql(f"INSERT INTO {name} (rowid, text) VALUES (?, ?)", (share_id, spelled))


def _spellings(found_by: str) -> Iterator[tuple[str, str]]:
    return zip(_SEARCH_TABLES, (found_by, grams(found_by)), strict=True)


def find_damage(connection: Connection, most: int = 20) -> list[str]:
    """Read every page and every entry of the search tables; a sentence for each thing that is wrong."""
    found: list[str] = []

    def look(what: str, query: str) -> Sequence[Row[Any]]:
        try:
            result = connection.exec_driver_sql(query)
            return result.all() if result.returns_rows else []
        except DBAPIError as error:  # damaged so badly that it cannot even be looked at
            found.append(f"{what}: {error.orig}")
            return []

    found += [str(row[0]) for row in look("pages", f"PRAGMA integrity_check({most})") if row[0] != "ok"]
    orphans = look("references", "PRAGMA foreign_key_check")
    found += ["row {1} of {0} belongs to no {2}".format(*row) for row in orphans[:most]]
    for name in _SEARCH_TABLES:
        look(name, f"INSERT INTO {name} ({name}) VALUES ('integrity-check')")
    connection.rollback()  # nothing was changed, and with damage a commit may fail
    return found


_REASONS = {
    sqlite3.SQLITE_BUSY: "another process has locked it and does not let go",
    sqlite3.SQLITE_LOCKED: "another connection has locked it and does not let go",
    sqlite3.SQLITE_READONLY: "must not be written to",
    sqlite3.SQLITE_PERM: "must not be opened",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened; see that its folder is there and may be written to",
    sqlite3.SQLITE_IOERR: "the disk cannot be read or written",
    sqlite3.SQLITE_CORRUPT: "is damaged; bring back a copy, or move it away to begin an empty index",
    sqlite3.SQLITE_NOTADB: "is damaged or no database; bring back a copy, or move it away to begin an empty index",
}


@contextmanager
def explained(path: str) -> Iterator[None]:
    """
    Turn what the database says into one sentence. When it is our query that is wrong, the error stays what it is.

    :raise StorageError: the file or the disk cannot do what was asked of it.
    """
    try:
        yield
    except DBAPIError as error:
        # What ended the whole transaction stands behind the error of a savepoint that there is no more.
        for each in _with_those_behind(error):
            code = getattr(each.orig, "sqlite_errorcode", sqlite3.SQLITE_ERROR) & 0xFF  # more is in the higher bits
            if code == sqlite3.SQLITE_FULL:
                raise DiskFull(f"{path}: no space is left for the index") from error
            if code in _REASONS:
                raise StorageError(f"{path}: {_REASONS[code]} ({each.orig})") from error
        raise


def _with_those_behind(error: BaseException | None) -> Iterator[DBAPIError]:
    while error is not None:
        if isinstance(error, DBAPIError):
            yield error
        error = error.__context__
