"""Nodes that register with the index, and whether they are there."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from itertools import count

from attrs import define
from sqlalchemy import Connection, RowMapping, insert, select, update
from twisted.internet.defer import Deferred

from p2pshare.index.database import Database
from p2pshare.index.records import Node, NodeClaim
from p2pshare.index.schema import node

LISTED = 10_000  # nodes at once


@define(eq=False)
class Nodes:
    """Who has registered. An offline node stays listed, and comes back under its id. Knows no HTTP."""

    _database: Database
    _now: Callable[[], float]

    def register(self, claim: NodeClaim) -> Deferred[Node]:
        """
        Enter a node, or welcome it back.

        It keeps the id it brings, unless that belongs to a node that is online on another host. Without an id it
        gets the one that its address and port had before, or a new one. Of several nodes that register one address
        and port only the last is online.
        """
        return self._database.write(partial(_register, claim=claim, now=self._now()))

    def heard_from(self, node_id: str) -> Deferred[Node | None]:
        """Take note that a node is alive; fires with None when it is unknown and has to register."""
        return self._database.write(partial(_heard_from, public_id=node_id, now=self._now()))

    def left(self, node_id: str) -> Deferred[Node | None]:
        """
        Take a node for offline that says goodbye; fires with None when it is unknown.

        What it announced before, and is still to be written down, does not bring it back.
        """
        return self._database.write(partial(_left, public_id=node_id, now=self._now()))

    def drop_silent(self, limit: float) -> Deferred[list[Node]]:
        """Take nodes for offline that were silent for more than ``limit`` seconds; fires with those."""
        return self._database.write(partial(_drop_silent, before=self._now() - limit))

    def get(self, node_id: str) -> Deferred[Node | None]:
        """Look a node up by its id."""
        return self._database.read(partial(_get, public_id=node_id))

    def all(self) -> Deferred[list[Node]]:
        """List the nodes, online ones first, and who was seen last."""
        return self._database.read(_list)

    def report(self, reporter: str, changes: Mapping[str, int]) -> Deferred[bool]:
        """
        Think better or worse of nodes, because of what one of them reports; nobody's word about itself counts.

        :param changes: by wire_peer_id. Of strangers, and of nodes that are offline, nothing is kept.
        :return: fires with whether the reporter is known.
        """
        return self._database.write(partial(_report, reporter=reporter, changes=changes))


def _register(connection: Connection, claim: NodeClaim, now: float) -> Node:
    public_id = _id_for(connection, claim)
    same_place = (node.c.address == claim.address) & (node.c.port == claim.port)
    connection.execute(update(node).where(same_place, node.c.public_id != public_id).values(online=False))
    said = {
        "address": claim.address,
        "port": claim.port,
        "region": claim.region,
        "shared_files": claim.shared_files,
        "wire_peer_id": claim.wire_peer_id,
        "last_seen": now,
        "online": True,
    }
    if _get(connection, public_id) is None:
        connection.execute(insert(node).values(public_id=public_id, reputation=0, registered_at=now, **said))
    else:
        connection.execute(update(node).where(node.c.public_id == public_id).values(**said))
    return _known(connection, public_id)


def _id_for(connection: Connection, claim: NodeClaim) -> str:
    """Choose the id of a node that registers."""
    if claim.id is not None:
        holder = _get(connection, claim.id)
        if holder is None or not holder.online or holder.address == claim.address:
            return claim.id
    else:
        last_there = (
            select(node.c.public_id)
            .where(node.c.address == claim.address, node.c.port == claim.port)
            .order_by(node.c.last_seen.desc(), node.c.id.desc())
            .limit(1)
        )
        known: str | None = connection.scalar(last_there)
        if known is not None:
            return known
    for attempt in count():
        seed = f"{claim.address}:{claim.port}" + (f"\0{attempt}" if attempt else "")
        public_id = hashlib.sha256(seed.encode()).hexdigest()[:16]
        if _get(connection, public_id) is None:
            return public_id
    raise AssertionError("count() has no end")


def _heard_from(connection: Connection, public_id: str, now: float) -> Node | None:
    connection.execute(update(node).where(node.c.public_id == public_id).values(last_seen=now, online=True))
    return _get(connection, public_id)


def _left(connection: Connection, public_id: str, now: float) -> Node | None:
    connection.execute(update(node).where(node.c.public_id == public_id).values(online=False, last_seen=now))
    return _get(connection, public_id)


def _drop_silent(connection: Connection, before: float) -> list[Node]:
    silent = select(node.c.public_id).where(node.c.online, node.c.last_seen < before)
    ids = connection.scalars(silent).all()
    for public_id in ids:
        connection.execute(update(node).where(node.c.public_id == public_id).values(online=False))
    return [_known(connection, public_id) for public_id in ids]


def _list(connection: Connection) -> list[Node]:
    query = select(node).order_by(node.c.online.desc(), node.c.last_seen.desc(), node.c.id).limit(LISTED)
    return [_node(row) for row in connection.execute(query).mappings()]


def _report(connection: Connection, reporter: str, changes: Mapping[str, int]) -> bool:
    if _get(connection, reporter) is None:
        return False
    for wire_peer_id, change in changes.items():
        meant = (node.c.wire_peer_id == wire_peer_id) & node.c.online & (node.c.public_id != reporter)
        connection.execute(update(node).where(meant).values(reputation=node.c.reputation + change))
    return True


def _get(connection: Connection, public_id: str) -> Node | None:
    row = connection.execute(select(node).where(node.c.public_id == public_id)).mappings().one_or_none()
    return None if row is None else _node(row)


def _known(connection: Connection, public_id: str) -> Node:
    found = _get(connection, public_id)
    assert found is not None
    return found


def _node(row: RowMapping) -> Node:
    return Node(
        id=row[node.c.public_id],
        address=row[node.c.address],
        port=row[node.c.port],
        region=row[node.c.region],
        shared_files=row[node.c.shared_files],
        reputation=row[node.c.reputation],
        registered_at=row[node.c.registered_at],
        last_seen=row[node.c.last_seen],
        online=row[node.c.online],
        wire_peer_id=row[node.c.wire_peer_id],
    )
