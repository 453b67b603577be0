"""A transfer in figures, as progress is told of it and as people read it."""

from __future__ import annotations

from typing import Protocol

from attrs import define

from p2pshare.cli.terminal import printable
from p2pshare.rates import format_duration, format_rate

# States in which no peer is involved: counting them would only puzzle.
LOCAL_STATES = frozenset({"checking", "hashing", "verifying"})


class SwarmSnapshot(Protocol):
    """What one torrent is doing at one moment. Rates are bytes/second, ``eta`` is seconds or None when unknown."""

    @property
    def name(self) -> str: ...
    @property
    def info_hash(self) -> str: ...
    @property
    def state(self) -> str: ...
    @property
    def pieces_done(self) -> int: ...
    @property
    def pieces_total(self) -> int: ...
    @property
    def bytes_done(self) -> int: ...
    @property
    def bytes_total(self) -> int: ...
    @property
    def peers(self) -> int: ...
    @property
    def down_rate(self) -> float: ...
    @property
    def up_rate(self) -> float: ...
    @property
    def eta(self) -> float | None: ...
    @property
    def error(self) -> str | None: ...


@define(eq=False)
class Ascent:
    """The percentage of verified content: it never falls, and is 100.0 only when every piece is there."""

    _highest: float = 0.0

    def percent(self, snapshot: SwarmSnapshot) -> float:
        """Tell it, cut (not rounded) to one decimal."""
        if snapshot.state == "seeding" or 0 < snapshot.pieces_total <= snapshot.pieces_done:
            reached = 100.0  # a content of empty files has no piece, and can be seeded all the same
        elif snapshot.bytes_total:
            reached = min(snapshot.bytes_done * 1000 // snapshot.bytes_total, 999) / 10
        else:
            reached = 0.0  # not known yet how much there is
        self._highest = max(self._highest, reached)
        return self._highest


def describe(snapshot: SwarmSnapshot, percent: float) -> str:
    """Say it in a line: ``42.0% (21/50 pieces) 2 peers 1.0 MiB/s ETA 12s``."""
    parts = [] if snapshot.state == "downloading" else [f"{printable(snapshot.state)}:"]
    parts.append(f"{percent:.1f}% ({snapshot.pieces_done}/{snapshot.pieces_total} pieces)")
    if snapshot.state not in LOCAL_STATES:
        parts.append(count_peers(snapshot.peers))
    if snapshot.state != "seeding":
        parts.append(format_rate(snapshot.down_rate))
    if snapshot.up_rate > 0 or snapshot.state == "seeding":
        parts.append(f"up {format_rate(snapshot.up_rate)}")
    if snapshot.eta is not None and percent < 100:
        parts.append(f"ETA {format_duration(snapshot.eta)}")
    if snapshot.error:
        parts.append(f"- {printable(snapshot.error)}")
    return " ".join(parts)


def count_peers(peers: int) -> str:
    """Say how many peers there are."""
    return f"{peers} peer" if peers == 1 else f"{peers} peers"
