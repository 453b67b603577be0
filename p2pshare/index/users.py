"""People with a name and a peer_id of their own."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from random import Random
from string import ascii_letters, digits

from attrs import define
from sqlalchemy import ColumnElement, Connection, exists, insert, select
from twisted.internet.defer import Deferred

from p2pshare.errors import RequestRefused
from p2pshare.ids import PEER_ID_SIZE
from p2pshare.index.checks import LABEL
from p2pshare.index.database import Database
from p2pshare.index.records import User
from p2pshare.index.schema import user

_PREFIX = "P2PY"


@define(eq=False)
class Users:
    """Who has a user name. Knows no HTTP, and no password: a name here opens nothing."""

    _database: Database
    _now: Callable[[], float]
    _random: Random

    def add(self, username: str) -> Deferred[User]:
        """Enter somebody; fails with RequestRefused when the name is taken, empty or too long."""
        letters = self._random.choices(ascii_letters + digits, k=PEER_ID_SIZE - len(_PREFIX))
        work = partial(_add, username=username, peer_id=_PREFIX + "".join(letters), now=self._now())
        return self._database.write(work)

    def get(self, peer_id: str) -> Deferred[User | None]:
        """Look somebody up by peer_id."""
        return self._database.read(partial(_find, condition=user.c.peer_id == peer_id))


def _add(connection: Connection, username: str, peer_id: str, now: float) -> User:
    if not 1 <= len(username) <= LABEL or not username.isprintable():
        raise RequestRefused(f"username: expected 1 to {LABEL} printable characters")
    if connection.scalar(select(exists().where(user.c.username == username))):
        raise RequestRefused("Username already exists")
    connection.execute(insert(user).values(username=username, peer_id=peer_id, created_at=now))
    added = _find(connection, user.c.username == username)
    assert added is not None
    return added


def _find(connection: Connection, condition: ColumnElement[bool]) -> User | None:
    row = connection.execute(select(user).where(condition)).one_or_none()
    return None if row is None else User(row.id, row.username, row.peer_id, row.created_at)
