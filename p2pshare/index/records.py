"""What the index keeps, as values: whoever asks the catalogue gets these, and never a row of a table."""

from __future__ import annotations

import re
from enum import Enum

from attrs import field, frozen
from attrs.validators import optional

from p2pshare.index import checks

_SHA256 = re.compile("[0-9A-Fa-f]{64}")


class Scheme(Enum):
    """Ways to name a content. The same content may be known by one name of each."""

    BTIH = "btih"  # info_hash of BEP 3, 40 hexadecimal digits
    JSON_SHA1 = "json_sha1"  # SHA-1 of a JSON torrent's info object
    NAME_SHA1 = "name_sha1"  # SHA-1 of the file's name, as text swarms have it
    SHA256 = "sha256"  # SHA-256 of the content, or whatever a sharer calls its hash
    COURSE = "cfg"  # a course project's file


@frozen
class ContentKey:
    """One name of a content; hexadecimal digits are small."""

    scheme: Scheme
    value: str = field(validator=checks.identity)


@frozen
class ShareClaim:
    """What an owner says of a file it shares."""

    filename: str = field(validator=checks.filename)
    size: int = field(validator=checks.number(0))
    hash: str = field(validator=checks.identity)  # SHA-256 in hexadecimal digits
    owner: str = field(validator=checks.identity)  # the node's id
    peer_address: str = field(validator=checks.label, default="")  # where it is served over HTTP; empty: nowhere
    category: str = field(validator=checks.label, default="")
    tags: tuple[str, ...] = field(validator=checks.tags, default=())

    @property
    def key(self) -> ContentKey:
        """Name the content."""
        return ContentKey(Scheme.SHA256, self.hash.lower() if _SHA256.fullmatch(self.hash) else self.hash)


@frozen
class Share:
    """A content that one owner shares. Its id stays, whatever becomes of its name and address."""

    id: str
    filename: str  # under which it was registered last
    size: int
    hash: str
    owner: str
    peer_address: str
    category: str
    tags: tuple[str, ...]
    uploaded_at: float  # seconds since 1970, as all times here
    downloads: int
    rating: float  # mean of the votes; 0 without any
    votes: int
    online: bool | None  # None: no node bears the owner's name
    info_hash: str | None  # of the torrent with this content; None: there is none


@frozen
class NodeClaim:
    """What a node says of itself."""

    address: str = field(validator=checks.identity)
    port: int = field(validator=checks.number(1, 65535))
    id: str | None = field(validator=optional(checks.identity), default=None)  # None: it wants one
    shared_files: int = field(validator=checks.number(0), default=0)
    region: str = field(validator=checks.label, default="")
    # By which it announces, see peer_id_text.
    wire_peer_id: str | None = field(validator=optional(checks.identity), default=None)


@frozen
class Node:
    """A node that has registered."""

    id: str
    address: str
    port: int
    region: str
    shared_files: int
    reputation: int
    registered_at: float
    last_seen: float
    online: bool
    wire_peer_id: str | None


@frozen
class TorrentClaim:
    """A torrent to be indexed, and who shares it."""

    info_hash: bytes
    name: str = field(validator=checks.filename)
    size: int = field(validator=checks.number(0))
    piece_length: int = field(validator=checks.number(1))
    num_pieces: int = field(validator=checks.number(0))
    pieces: bytes  # their hashes, joined
    owner: str = field(validator=checks.identity)
    metainfo: bytes | None = None  # the torrent file; None: only its fields are known
    paths: tuple[str, ...] = ()  # inside the torrent, with slashes
    keys: tuple[ContentKey, ...] = ()  # other names of the same content
    category: str = field(validator=checks.label, default="")
    tags: tuple[str, ...] = field(validator=checks.tags, default=())
    peer_address: str = field(validator=checks.label, default="")


@frozen
class Torrent:
    """A torrent in the index."""

    id: int
    info_hash: str  # 40 hexadecimal digits
    name: str
    size: int
    piece_length: int
    num_pieces: int
    created_at: float
    seeds: int  # these two: who announced lately
    leeches: int
    completed: int  # how often it was


@frozen
class Member:
    """What a peer last announced to a swarm."""

    peer_id: str  # see peer_id_text
    ip: str  # or a host name
    port: int
    uploaded: int
    downloaded: int
    left: int | None  # None: it did not say, and counts as a leech
    announced_at: float

    @property
    def is_seed(self) -> bool:
        """Whether it has everything."""
        return self.left == 0


@frozen
class Membership:
    """A member of an indexed torrent's swarm, as it is kept."""

    id: int
    torrent_id: int
    member: Member


@frozen
class User:
    """Somebody with a name."""

    id: int
    username: str
    peer_id: str
    created_at: float


@frozen
class NetworkFigures:
    """How the network of nodes stands."""

    total_peers: int
    online_peers: int
    total_files: int
    total_downloads: int


@frozen
class TrackerFigures:
    """How the tracker stands."""

    total_torrents: int
    total_peers: int
    active_peers: int
    total_users: int


def peer_id_text(peer_id: bytes) -> str:
    """Write a peer_id of 20 bytes for people and tables: as it is when it is printable, else in hexadecimal digits."""
    text = peer_id.decode("latin-1")
    return text if text.isascii() and text.isprintable() else peer_id.hex()
