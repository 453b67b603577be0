"""What is known of shared files, kept on disk: a file that has not changed is never read again."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from attrs import define, field, frozen

from p2pshare.labels import category_of, tags_of
from p2pshare.sharing.digest import Digest
from p2pshare.sharing.tables import open_table, translated
from p2pshare.sharing.walk import Stamp

_VERSION = 1
_SCHEMA = """
CREATE TABLE file (
    name TEXT PRIMARY KEY,
    size INTEGER NOT NULL, modified INTEGER NOT NULL, changed INTEGER NOT NULL, inode INTEGER NOT NULL,
    sha256 TEXT NOT NULL, piece_length INTEGER NOT NULL, pieces BLOB NOT NULL,
    shared_at REAL NOT NULL, downloads INTEGER NOT NULL DEFAULT 0
) WITHOUT ROWID
"""
_WITHDRAWN = "CREATE TABLE IF NOT EXISTS withdrawn (name TEXT PRIMARY KEY) WITHOUT ROWID"
_ID_DIGITS = 11


@frozen
class SharedFile:
    """One file that is shared."""

    name: str  # its path below the folder, with slashes
    digest: Digest
    shared_at: float  # seconds since 1970
    downloads: int = 0

    @property
    def filename(self) -> str:
        """The last part of its path."""
        return self.name.rpartition("/")[2]

    @property
    def size(self) -> int:
        """Its length in bytes."""
        return self.digest.stamp.size

    @property
    def category(self) -> str:
        """What kind of file it is, by its name."""
        return category_of(self.name)

    @property
    def tags(self) -> tuple[str, ...]:
        """What words in its name stand for."""
        return tags_of(self.name)


def file_id(name: str, owner: str) -> str:
    """Name a file of an owner; the same at every start, and no clock in it."""
    digest = hashlib.sha256(f"{owner}\0{name}".encode()).hexdigest()
    return f"file_{digest[:_ID_DIGITS]}"


@define(eq=False)
class Shelf:
    """
    An SQLite file with what is known. Every method blocks; one thread at a time.

    It spares work, and remembers what is not to be shared: when the file is damaged or of another version, it begins
    anew.
    """

    _path: Path
    _database: sqlite3.Connection = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._database = open_table(self._path, "file", _SCHEMA, _VERSION)
        with translated(self._path), self._database:
            self._database.execute(_WITHDRAWN)

    def load(self) -> dict[str, SharedFile]:
        """Give all that is known, by name."""
        with translated(self._path):
            rows = self._database.execute(
                "SELECT name, size, modified, changed, inode, sha256, piece_length, pieces, shared_at, downloads"
                " FROM file"
            )
            return {
                name: SharedFile(name, Digest(Stamp(*stamp), sha256, length, pieces), shared_at, downloads)
                for name, *stamp, sha256, length, pieces, shared_at, downloads in rows
            }

    def put(self, files: Iterable[SharedFile]) -> None:
        """Keep files, instead of what was known under their names."""
        rows = []
        for file in files:
            digest, stamp = file.digest, file.digest.stamp
            kept = (file.name, stamp.size, stamp.modified, stamp.changed, stamp.inode, digest.sha256)
            rows.append((*kept, digest.piece_length, digest.pieces, file.shared_at, file.downloads))
        with translated(self._path), self._database:
            self._database.executemany("INSERT OR REPLACE INTO file VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)

    def drop(self, names: Iterable[str]) -> None:
        """Forget files."""
        with translated(self._path), self._database:
            self._database.executemany("DELETE FROM file WHERE name = ?", [(name,) for name in names])

    def count_downloads(self, counts: Iterable[tuple[str, int]]) -> None:
        """Add to the downloads of files."""
        with translated(self._path), self._database:
            self._database.executemany(
                "UPDATE file SET downloads = downloads + ? WHERE name = ?", [(count, name) for name, count in counts]
            )

    def withdrawn(self) -> set[str]:
        """Name the files that are not to be shared."""
        with translated(self._path):
            return {name for (name,) in self._database.execute("SELECT name FROM withdrawn")}

    def withdraw(self, names: Iterable[str]) -> None:
        """Keep in mind that files are not to be shared."""
        with translated(self._path), self._database:
            self._database.executemany("INSERT OR IGNORE INTO withdrawn VALUES (?)", [(name,) for name in names])

    def restore(self, names: Iterable[str]) -> None:
        """They may be shared again."""
        with translated(self._path), self._database:
            self._database.executemany("DELETE FROM withdrawn WHERE name = ?", [(name,) for name in names])

    def close(self) -> None:
        """Close the file."""
        self._database.close()
