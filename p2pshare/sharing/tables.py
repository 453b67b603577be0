"""SQLite files of one table that only spare work: what is damaged or of another version begins anew."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from p2pshare.errors import StorageError


def open_table(path: Path, name: str, schema: str, version: int) -> sqlite3.Connection:
    """
    Open such a file; made if it is not there. Blocks.

    :param name: of the table.
    :param schema: the statement that makes it.
    :param version: of the schema.
    :raise StorageError: the disk refuses.
    """
    with translated(path):
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            return _open(path, name, schema, version)
        except sqlite3.DatabaseError:
            for suffix in ("", "-wal", "-shm"):
                path.with_name(f"{path.name}{suffix}").unlink(missing_ok=True)
            return _open(path, name, schema, version)


@contextmanager
def translated(path: Path) -> Iterator[None]:
    """Turn what SQLite and the disk refuse into StorageError, naming the file."""
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StorageError(f"{path}: {error}") from error


def _open(path: Path, name: str, schema: str, version: int) -> sqlite3.Connection:
    database = sqlite3.connect(path, check_same_thread=False)
    try:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("PRAGMA synchronous=NORMAL")
        (found,) = database.execute("PRAGMA user_version").fetchone()
        if found not in (0, version):
            raise sqlite3.DatabaseError(f"version {found}")
        if found == 0:
            with database:
                database.execute(f"DROP TABLE IF EXISTS {name}")
                database.execute(schema)
                database.execute(f"PRAGMA user_version={version}")
        database.execute(f"SELECT count(*) FROM {name}").fetchone()
    except BaseException:
        database.close()
        raise
    return database
