"""Torrents of a node in words and numbers, for people."""

from __future__ import annotations

from collections.abc import Mapping
from heapq import nlargest

from attrs import evolve, frozen

from p2pshare.bitfield import Bitfield
from p2pshare.swarm.events import State
from p2pshare.swarm.snapshot import PeerSnapshot, SwarmSnapshot, take_snapshot
from p2pshare.swarm.swarm import Swarm

SHOWN = 100  # torrents that are told of while something happens there
CELLS = 1024  # characters of a piece map

PAUSED = "paused"
_FULL_CELL = 9  # the digit of a cell all of which is there


@frozen
class TorrentInfo:
    """A torrent at one moment. Rates are payload bytes/second, ``eta`` seconds or null when unknown."""

    info_hash: str
    name: str
    state: str  # checking, downloading, seeding, failed, stopped or paused
    percent: float  # of its bytes that are there
    checked: float  # share of the check at the start that is done, 0 to 1
    size: int
    done: int  # bytes
    pieces_total: int
    pieces_done: int
    down_rate: float
    up_rate: float
    downloaded: int
    uploaded: int
    ratio: float
    peers: int
    seeds: int
    eta: float | None
    error: str | None
    of_shared_file: bool = False  # it comes and goes with the file

    @classmethod
    def of(cls, shown: SwarmSnapshot) -> TorrentInfo:
        """Choose what people want to know."""
        return cls(
            info_hash=shown.info_hash,
            name=shown.name,
            state=shown.state,
            percent=_percent(shown.bytes_done, shown.bytes_total),
            checked=round(shown.checked, 3),
            size=shown.bytes_total,
            done=shown.bytes_done,
            pieces_total=shown.pieces_total,
            pieces_done=shown.pieces_done,
            down_rate=round(shown.down_rate),
            up_rate=round(shown.up_rate),
            downloaded=shown.downloaded,
            uploaded=shown.uploaded,
            ratio=round(shown.ratio, 3),
            peers=shown.peers,
            seeds=shown.seeds,
            eta=None if shown.eta is None else round(shown.eta),
            error=shown.error,
        )


@frozen
class PeerInfo:
    """
    A peer of a torrent. ``flags`` are letters, as BitTorrent programs show them.

    D we download from it, d we would if it let us; U it downloads from us, u it would if we let it; K it would let us
    and we want nothing, ? we would let it and it wants nothing; S it leaves requests unanswered; I it called us.
    """

    address: str
    client: str
    flags: str
    percent: float  # of all pieces that it has
    down_rate: float
    up_rate: float
    downloaded: int
    uploaded: int

    @classmethod
    def of(cls, peer: PeerSnapshot) -> PeerInfo:
        """Choose what people want to know."""
        return cls(
            address=peer.address,
            client=peer.client,
            flags=flags(peer),
            percent=round(100 * peer.has, 1),
            down_rate=round(peer.down_rate),
            up_rate=round(peer.up_rate),
            downloaded=peer.downloaded,
            uploaded=peer.uploaded,
        )


@frozen
class TrackerInfo:
    """A tracker of a torrent, and how it is doing."""

    url: str
    state: str
    last_error: str | None


@frozen
class TorrentDetails:
    """
    All about one torrent.

    ``piece_map`` has one digit for ``pieces_per_cell`` pieces in a row: 0 none is there, 9 all are, and by share
    between these.
    """

    torrent: TorrentInfo
    peers: list[PeerInfo]
    trackers: list[TrackerInfo]
    piece_length: int
    wasted: int  # bytes that came and were of no use
    piece_map: str
    pieces_per_cell: int


@frozen
class TransferList:
    """
    Torrents, and the rates of all together.

    Over the WebSocket, a hundred at most of those where something happens.
    """

    torrents: list[TorrentInfo]
    total: int  # torrents there are
    down_rate: float
    up_rate: float


def transfers_now(swarms: Mapping[bytes, Swarm], paused: Mapping[bytes, SwarmSnapshot], now: float) -> TransferList:
    """Say what goes on; what seeds and has no peer is left out."""
    busy = (swarm for swarm in swarms.values() if swarm.members or swarm.state is not State.SEEDING)
    shown = nlargest(SHOWN, busy, key=lambda swarm: (swarm.state is not State.SEEDING, len(swarm.members)))
    torrents = [TorrentInfo.of(take_snapshot(swarm, now)) for swarm in shown]
    torrents += [paused_info(snapshot) for snapshot in list(paused.values())[: SHOWN - len(torrents)]]
    return TransferList(
        sorted(torrents, key=lambda torrent: (torrent.name, torrent.info_hash)),
        len(swarms) + len(paused),
        round(sum(swarm.down.rate(now) for swarm in swarms.values())),
        round(sum(swarm.up.rate(now) for swarm in swarms.values())),
    )


def details(swarm: Swarm, now: float) -> TorrentDetails:
    """Say all about a torrent that is at work."""
    shown = take_snapshot(swarm, now, peers=True)
    cells, per_cell = piece_map(swarm.store.have)
    return TorrentDetails(
        torrent=TorrentInfo.of(shown),
        peers=[PeerInfo.of(peer) for peer in shown.peer_list],
        trackers=[TrackerInfo(tracker.url, tracker.state, tracker.last_error) for tracker in shown.trackers],
        piece_length=swarm.content.piece_length,
        wasted=shown.wasted,
        piece_map=cells,
        pieces_per_cell=per_cell,
    )


def paused_info(snapshot: SwarmSnapshot) -> TorrentInfo:
    """Say how a torrent stood when it was paused."""
    still = evolve(snapshot, state=PAUSED, down_rate=0.0, up_rate=0.0, peers=0, seeds=0, eta=None, error=None)
    return TorrentInfo.of(still)


def flags(peer: PeerSnapshot) -> str:
    """Write the states of a connection as letters; see PeerInfo."""
    letters = ""
    if peer.am_interested:
        letters += "d" if peer.peer_choking else "D"
    elif not peer.peer_choking:
        letters += "K"
    if peer.peer_interested:
        letters += "u" if peer.am_choking else "U"
    elif not peer.am_choking:
        letters += "?"
    return letters + "S" * peer.snubbed + "I" * peer.incoming


def piece_map(have: Bitfield, most: int = CELLS) -> tuple[str, int]:
    """
    Draw which pieces are there.

    :param most: digits at most.
    :return: the digits, and how many pieces each stands for; the last one may stand for fewer.
    """
    per_cell = max(1, -(-have.size // most))
    if per_cell > 1:
        per_cell += -per_cell % 8  # then cells begin where bytes do
    if per_cell == 1:
        return "".join("9" if piece in have else "0" for piece in range(have.size)), 1
    octets, step = have.to_bytes(), per_cell // 8
    digits = []
    for first in range(0, have.size, per_cell):
        at = first // 8
        count = int.from_bytes(octets[at : at + step], "big").bit_count()
        digits.append(_digit(count, min(per_cell, have.size - first)))
    return "".join(digits), per_cell


def _digit(count: int, size: int) -> str:
    if count == size:
        return str(_FULL_CELL)
    return str(min(_FULL_CELL - 1, -(-count * (_FULL_CELL - 1) // size)))  # nothing but nothing is 0


def _percent(done: int, total: int) -> float:
    if done >= total:
        return 100.0
    return min(99.9, round(100 * done / total, 1))  # only what is whole is 100
