"""One database, asked and told from the reactor thread, at work in threads."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from attrs import define
from sqlalchemy import Connection, Engine
from twisted.internet.defer import Deferred

from p2pshare.errors import RequestRefused, StorageError
from p2pshare.index import sqlite
from p2pshare.index.lanes import Run
from p2pshare.index.migrations import migrate, version_of

T = TypeVar("T")
Work = Callable[[Connection], T]


@define(eq=False)
class Database:
    """
    Runs pieces of work in transactions of their own: one writer, and readers that never wait for it.

    Knows no table. What is wrong with the file or the disk becomes a StorageError here; an error of SQL stays one.
    """

    path: str
    _engines: sqlite.Engines
    _run_write: Run
    _run_read: Run

    def read(self, work: Work[T]) -> Deferred[T]:
        """Let some work look at the database as it is at one moment."""
        return self._run_read(_transaction, self._engines.reader, self.path, work)

    def write(self, work: Work[T]) -> Deferred[T]:
        """Let some work change the database: all of it, or nothing when it raises."""
        return self._run_write(_transaction, self._engines.writer, self.path, work)

    def probe(self) -> Deferred[None]:
        """Fire when the database can be read and a transaction that writes can begin; fail with StorageError if not."""
        return Deferred.fromCoroutine(self._probe())

    async def _probe(self) -> None:
        if not await self.read(version_of):
            raise StorageError(f"{self.path}: has lost its tables")
        await self.write(lambda connection: None)

    def find_damage(self) -> Deferred[list[str]]:
        """Read all of it, which may take seconds; fires with a sentence for each thing that is wrong."""
        return self.write(sqlite.find_damage)

    def close(self) -> None:
        """Let go of the file; nothing may be under way."""
        self._engines.close()


def open_database(path: str, now: float, run_write: Run, run_read: Run, patience: float = sqlite.PATIENCE) -> Database:
    """
    Open the database, make it if it is not there, and bring its schema up to date. Blocks.

    :param path: a file, or ``:memory:``, for which both runs have to use the same single thread.
    :param patience: seconds to wait for another process that writes.
    :raise StorageError: it cannot be used; says why.
    """
    if path != sqlite.IN_MEMORY:
        path = os.path.abspath(path)
        try:
            os.makedirs(os.path.dirname(path), exist_ok=True)
        except FileExistsError as error:
            raise StorageError(f"{error.filename}: is a file, expected a folder for the index") from error
        except OSError as error:
            raise StorageError(f"{error.filename}: {error.strerror}") from error
    engines = sqlite.connect(path, patience)
    try:
        with sqlite.explained(path):
            migrate(engines.writer, sqlite.MIGRATIONS, path, now)
    except StorageError:
        engines.close()
        raise
    return Database(path, engines, run_write, run_read)


@contextmanager
def refusals() -> Iterator[None]:
    """
    Turn what no database can hold into one sentence.

    :raise RequestRefused: that was asked for.
    """
    try:
        yield
    except UnicodeEncodeError as error:  # half of a character; nothing has such a name
        raise RequestRefused(f"{error.object!a}: is not text") from error
    except OverflowError as error:
        raise RequestRefused("a number is larger than the index can hold") from error


def _transaction(engine: Engine, path: str, work: Work[T]) -> T:
    with refusals(), sqlite.explained(path), engine.begin() as connection:
        return work(connection)
