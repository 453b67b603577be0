"""How everything stands, in a few numbers."""

from __future__ import annotations

from sqlalchemy import Connection, func, select

from p2pshare.index.records import NetworkFigures, TrackerFigures
from p2pshare.index.schema import membership, node, share, swarm, torrent, user


def count_network(connection: Connection) -> NetworkFigures:
    """Count nodes, shares and downloads."""
    peers = connection.scalar(select(func.count()).select_from(node))
    online = connection.scalar(select(func.count()).where(node.c.online))
    files = connection.scalar(select(func.count()).select_from(share))
    downloads = connection.scalar(select(func.sum(share.c.downloads)))
    return NetworkFigures(peers or 0, online or 0, files or 0, downloads or 0)


def count_tracker(connection: Connection, since: float) -> TrackerFigures:
    """Count torrents, memberships in their swarms, those of them that announced since then, and users."""
    torrents = connection.scalar(select(func.count()).select_from(torrent))
    members = (
        select(func.count())
        .select_from(membership)
        .join(swarm, swarm.c.id == membership.c.swarm_id)
        .join(torrent, torrent.c.info_hash == swarm.c.info_hash)
    )
    total = connection.scalar(members)
    active = connection.scalar(members.where(membership.c.announced_at > since))
    users = connection.scalar(select(func.count()).select_from(user))
    return TrackerFigures(torrents or 0, total or 0, active or 0, users or 0)
