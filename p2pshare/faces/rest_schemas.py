"""The shapes of the REST tracker's requests and answers; each field is called as its clients call it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

from attrs import frozen
from msgspec import Meta

from p2pshare.index.records import Membership, Torrent, TrackerFigures, User

_LARGEST = (1 << 63) - 1
_YEAR_10000 = 253_402_300_800.0

Port = Annotated[int, Meta(ge=1, le=65535)]
Amount = Annotated[int, Meta(ge=0, le=_LARGEST)]
Text = Annotated[str, Meta(max_length=1024)]  # longer ones are refused before anything looks at them
Occasion = Literal["", "started", "completed", "stopped"]


@frozen
class Announce:
    """
    What a peer says of itself, in a query or in a body.

    ``ip`` may also be a host name; like ``hostname`` it is believed only of peers in private networks.
    """

    info_hash: Text
    peer_id: Text
    port: Port
    uploaded: Amount = 0
    downloaded: Amount = 0
    left: Amount = 0
    event: Occasion | None = None
    ip: Text | None = None
    hostname: Text | None = None
    numwant: int | None = None
    passkey: Text | None = None  # where the tracker is private


@frozen
class Paging:
    """Which part of a list."""

    limit: Annotated[int, Meta(ge=0)] = 100
    offset: Amount = 0


@frozen
class DownloadFormat:
    """In which form a torrent file is wanted."""

    format: Literal["torrent", "json"] = "torrent"


@frozen
class TorrentCreate:
    """
    A torrent of one file in a few words.

    With ``pieces_hash``, the SHA-1 digests of all pieces as hexadecimal digits, it can be downloaded from here, too.
    """

    info_hash: Text
    name: Text
    file_size: Amount
    piece_length: Annotated[int, Meta(ge=1, le=_LARGEST)]
    num_pieces: Amount
    pieces_hash: str = ""


@frozen
class UserCreate:
    """Somebody who wants a name."""

    username: Text


@frozen
class TorrentResponse:
    """A torrent in the index."""

    id: int
    info_hash: str
    name: str
    file_size: int
    piece_length: int
    num_pieces: int
    created_at: datetime
    seeders: int
    leechers: int
    completed: int

    @classmethod
    def of(cls, torrent: Torrent) -> TorrentResponse:
        """Show a torrent."""
        return cls(
            id=torrent.id,
            info_hash=torrent.info_hash,
            name=torrent.name,
            file_size=torrent.size,
            piece_length=torrent.piece_length,
            num_pieces=torrent.num_pieces,
            created_at=_moment(torrent.created_at),
            seeders=torrent.seeds,
            leechers=torrent.leeches,
            completed=torrent.completed,
        )


@frozen
class PeerResponse:
    """A peer in a swarm; ``left`` is null when it did not say."""

    id: int
    peer_id: str
    ip_address: str
    port: int
    torrent_id: int
    uploaded: int
    downloaded: int
    left: int | None
    is_seeder: bool
    last_announce: datetime

    @classmethod
    def of(cls, membership: Membership) -> PeerResponse:
        """Show a member."""
        member = membership.member
        return cls(
            id=membership.id,
            peer_id=member.peer_id,
            ip_address=member.ip,
            port=member.port,
            torrent_id=membership.torrent_id,
            uploaded=member.uploaded,
            downloaded=member.downloaded,
            left=member.left,
            is_seeder=member.is_seed,
            last_announce=_moment(member.announced_at),
        )


@frozen
class AnnounceReply:
    """Some other peers of the swarm, and the seconds until the next announce."""

    peers: list[PeerResponse]
    interval: int


@frozen
class UserResponse:
    """Somebody with a name."""

    id: int
    username: str
    peer_id: str
    created_at: datetime

    @classmethod
    def of(cls, user: User) -> UserResponse:
        """Show somebody."""
        return cls(user.id, user.username, user.peer_id, _moment(user.created_at))


@frozen
class StatsResponse:
    """How the tracker stands; active peers announced within the last two hours."""

    total_torrents: int
    total_peers: int
    active_peers: int
    total_users: int

    @classmethod
    def of(cls, figures: TrackerFigures) -> StatsResponse:
        """Show the figures."""
        return cls(figures.total_torrents, figures.total_peers, figures.active_peers, figures.total_users)


@frozen
class SeederResponse:
    """An upload that this service seeds."""

    info_hash: str
    name: str
    file_size: int


def _moment(seconds: float) -> datetime:
    return datetime.fromtimestamp(min(max(seconds, 0.0), _YEAR_10000 - 1), UTC)
