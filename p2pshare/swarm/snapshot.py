"""A swarm in numbers, for people: what a page, a progress bar or a log line shows."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import field, frozen

from p2pshare.swarm.member import Member
from p2pshare.swarm.seams import TrackerStatus
from p2pshare.swarm.swarm import Swarm


@frozen
class PeerSnapshot:
    """One connected peer."""

    address: str
    client: str
    incoming: bool
    has: float  # share of all pieces, 0 to 1
    down_rate: float  # bytes/second of payload, from it
    up_rate: float  # to it
    downloaded: int
    uploaded: int
    # The four states of BEP 3.
    am_choking: bool
    am_interested: bool
    peer_choking: bool
    peer_interested: bool
    snubbed: bool
    greedy: bool


@frozen
class SwarmSnapshot:
    """One torrent at one moment. Rates are payload bytes/second, ``eta`` seconds or None when unknown."""

    name: str
    info_hash: str  # hex
    state: str
    error: str | None
    pieces_done: int
    pieces_total: int
    bytes_done: int
    bytes_total: int
    downloaded: int
    uploaded: int
    wasted: int  # payload received and thrown away: duplicates, spoiled pieces
    down_rate: float
    up_rate: float
    eta: float | None
    peers: int
    seeds: int
    candidates: int
    checked: float  # share of the check at start that is done, 0 to 1
    trackers: tuple[TrackerStatus, ...] = ()
    peer_list: tuple[PeerSnapshot, ...] = ()
    hits: Mapping[str, int] = field(factory=dict)  # how often each limit was reached, by the name of its key

    @property
    def ratio(self) -> float:
        """Bytes given for each byte of content."""
        return self.uploaded / self.bytes_total if self.bytes_total else 0.0


def take_snapshot(swarm: Swarm, now: float, *, peers: bool = False) -> SwarmSnapshot:
    """
    Put a swarm's present state into numbers.

    :param peers: whether to list each connected peer, too.
    """
    store = swarm.store
    content = swarm.content
    down_rate = swarm.down.rate(now)
    missing = content.total_length - store.verified_bytes
    members = swarm.members.values()
    return SwarmSnapshot(
        name=content.name,
        info_hash=content.info_hash.hex(),
        state=swarm.state.value,
        error=None if swarm.error is None else str(swarm.error),
        pieces_done=store.have.count,
        pieces_total=content.num_pieces,
        bytes_done=store.verified_bytes,
        bytes_total=content.total_length,
        downloaded=swarm.down.total,
        uploaded=swarm.up.total,
        wasted=swarm.download.wasted,
        down_rate=down_rate,
        up_rate=swarm.up.rate(now),
        eta=0.0 if not missing else missing / down_rate if down_rate > 0 else None,
        peers=len(members),
        seeds=sum(member.remote.is_seed for member in members),
        candidates=swarm.meeting.known,
        checked=swarm.checked,
        trackers=() if swarm.discovery is None else tuple(swarm.discovery.status()),
        peer_list=tuple(_peer(member, now) for member in members) if peers else (),
        hits=dict(swarm.hits),
    )


def _peer(member: Member, now: float) -> PeerSnapshot:
    remote = member.remote
    return PeerSnapshot(
        address=str(remote.address),
        client=remote.client,
        incoming=remote.incoming,
        has=remote.has.count / len(remote.has),
        down_rate=remote.download.rate(now),
        up_rate=remote.upload.rate(now),
        downloaded=remote.download.total,
        uploaded=remote.upload.total,
        am_choking=remote.am_choking,
        am_interested=remote.am_interested,
        peer_choking=remote.peer_choking,
        peer_interested=remote.peer_interested,
        snubbed=remote.snubbed,
        greedy=remote.greedy,
    )
