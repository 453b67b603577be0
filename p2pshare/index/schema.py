"""
The tables of the index, as queries name them. What makes them is in the migrations of each database.

Times are seconds since 1970. Swarms are named by info_hash and not by content: strangers announce torrents whose
content nobody has described yet.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Boolean, Column, Float, ForeignKey, Integer, LargeBinary, MetaData, Table, Text

metadata = MetaData()


def _required(name: str, kind: type[Boolean | Float[float] | Integer | LargeBinary | Text]) -> Column[Any]:
    return Column(name, kind, nullable=False)


def _refers(name: str, to: str, *, is_key: bool = False) -> Column[int]:
    return Column(name, Integer, ForeignKey(to), nullable=False, primary_key=is_key)


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True)


schema_version = Table(
    "schema_version",
    metadata,
    Column("version", Integer, primary_key=True),
    _required("applied_at", Float),
)

content = Table(
    "content",
    metadata,
    _id(),
    _required("created_at", Float),
)

content_key = Table(
    "content_key",
    metadata,
    Column("scheme", Text, primary_key=True),
    Column("value", Text, primary_key=True),
    _refers("content_id", "content.id"),
)

torrent = Table(
    "torrent",
    metadata,
    _id(),
    _refers("content_id", "content.id"),
    _required("info_hash", Text),
    _required("name", Text),
    _required("size", Integer),
    _required("piece_length", Integer),
    _required("num_pieces", Integer),
    _required("created_at", Float),
    _required("paths", Text),  # one a line
    _required("pieces", LargeBinary),
    Column("metainfo", LargeBinary),
)

node = Table(
    "node",
    metadata,
    _id(),
    _required("public_id", Text),
    Column("wire_peer_id", Text),
    _required("address", Text),
    _required("port", Integer),
    _required("region", Text),
    _required("shared_files", Integer),
    _required("reputation", Integer),
    _required("registered_at", Float),
    _required("last_seen", Float),
    _required("online", Boolean),
)

share = Table(
    "share",
    metadata,
    _id(),  # larger ids are younger; the search tables use them too
    _required("public_id", Text),
    _refers("content_id", "content.id"),
    _required("owner", Text),
    _required("filename", Text),
    _required("sort_name", Text),  # the folded filename
    _required("size", Integer),
    _required("hash", Text),
    _required("peer_address", Text),
    _required("category", Text),
    _required("tags", Text),  # one a line
    _required("uploaded_at", Float),
    _required("downloads", Integer),
    _required("rating", Float),
    _required("votes", Integer),
)

share_name = Table(
    "share_name",
    metadata,
    _id(),  # the largest of a share is its latest
    _refers("share_id", "share.id"),
    _required("name", Text),
    _required("owner", Text),  # that of the share
)

share_tag = Table(
    "share_tag",
    metadata,
    Column("tag", Text, primary_key=True),  # folded
    _refers("share_id", "share.id", is_key=True),
)

share_text = Table(
    "share_text",
    metadata,
    _refers("share_id", "share.id", is_key=True),
    _required("text", Text),  # all a share is found by, as it stands in the search tables
)

vote = Table(
    "vote",
    metadata,
    _refers("share_id", "share.id", is_key=True),
    Column("voter", Text, primary_key=True),
    _required("rating", Float),
)

swarm = Table(
    "swarm",
    metadata,
    _id(),
    _required("info_hash", Text),
    _required("completed", Integer),
)

membership = Table(
    "membership",
    metadata,
    _id(),
    _refers("swarm_id", "swarm.id"),
    _required("peer_id", Text),
    _required("ip", Text),
    _required("port", Integer),
    _required("uploaded", Integer),
    _required("downloaded", Integer),
    Column("bytes_left", Integer),
    _required("completed", Boolean),
    _required("announced_at", Float),
)

user = Table(
    "user",
    metadata,
    _id(),
    _required("username", Text),
    _required("peer_id", Text),
    _required("created_at", Float),
)
