"""How a database gets the schema this program wants, one numbered step after the other."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Connection, Engine, func, insert, inspect, select

from p2pshare.errors import StorageError
from p2pshare.index.schema import schema_version


def version_of(connection: Connection) -> int:
    """Tell the version of the schema; 0: there is none yet."""
    if not inspect(connection).has_table(schema_version.name):
        return 0
    return connection.scalar(select(func.max(schema_version.c.version))) or 0


def migrate(engine: Engine, migrations: Sequence[Sequence[str]], path: str, now: float) -> None:
    """
    Bring a database to the last of the versions that the migrations make; an empty one to the first, and on.

    A step that fails leaves the version before it.

    :raise StorageError: the database is newer than this program.
    """
    while True:
        with engine.begin() as connection:
            version = version_of(connection)
            if version > len(migrations):
                raise StorageError(
                    f"{path}: has schema version {version}, this program knows versions up to {len(migrations)}: "
                    "it was written by a newer p2pshare"
                )
            if version == len(migrations):
                return
            for statement in migrations[version]:
                connection.exec_driver_sql(statement)
            connection.execute(insert(schema_version).values(version=version + 1, applied_at=now))
