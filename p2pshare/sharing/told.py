"""What indexes were told in earlier runs, so that what was deleted meanwhile is taken back there."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from attrs import define, field
from twisted.internet.defer import Deferred

from p2pshare.sharing.library import Run
from p2pshare.sharing.notices import Entry, Listed
from p2pshare.sharing.tables import open_table, translated

_VERSION = 1
_SCHEMA = """
CREATE TABLE listed (
    place TEXT NOT NULL, name TEXT NOT NULL, sha256 TEXT NOT NULL, owner TEXT NOT NULL, file_id TEXT NOT NULL,
    PRIMARY KEY (place, name, sha256)
) WITHOUT ROWID
"""


@define(eq=False)
class Told:
    """An SQLite file with what one index may list of ours. Every method fails with StorageError."""

    _path: Path
    _place: str  # the index, by its URL
    _run: Run  # one thread
    _database: sqlite3.Connection = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._database = open_table(self._path, "listed", _SCHEMA, _VERSION)

    def load(self) -> Deferred[dict[Entry, Listed]]:
        """Give all of it."""
        return self._run(self._load)

    def keep(self, listed: Mapping[Entry, Listed], gone: Iterable[Entry]) -> Deferred[None]:
        """Note what it lists now, and what it does not any more."""
        there = [(self._place, entry.name, entry.sha256, how.owner, how.file_id) for entry, how in listed.items()]
        return self._run(self._keep, there, [(self._place, entry.name, entry.sha256) for entry in gone])

    def close(self) -> Deferred[None]:
        """Close the file."""
        return self._run(self._database.close)

    def _load(self) -> dict[Entry, Listed]:
        query = "SELECT name, sha256, owner, file_id FROM listed WHERE place = ?"
        with translated(self._path):
            rows = self._database.execute(query, [self._place])
            return {Entry(name, sha256): Listed(owner, file_id) for name, sha256, owner, file_id in rows}

    def _keep(self, there: Sequence[tuple[str, ...]], gone: Sequence[tuple[str, ...]]) -> None:
        with translated(self._path), self._database:
            self._database.executemany("INSERT OR REPLACE INTO listed VALUES (?, ?, ?, ?, ?)", there)
            self._database.executemany("DELETE FROM listed WHERE place = ? AND name = ? AND sha256 = ?", gone)
