"""What happens in a swarm that somebody outside may want to know."""

from __future__ import annotations

from enum import Enum

from attrs import frozen

from p2pshare.errors import P2PShareError


class State(Enum):
    """Where a swarm is in its life."""

    CHECKING = "checking"  # looking at what is on disk already
    DOWNLOADING = "downloading"
    SEEDING = "seeding"
    FAILED = "failed"  # storage trouble: what is verified is still served, nothing more is fetched
    STOPPED = "stopped"


@frozen
class StateChanged:
    """
    The swarm entered a state; ``error`` says why when it is FAILED.

    A state may be entered again: after trouble with the disk is over, the one before is. For the moment at which the
    content has become whole there is Completed.
    """

    state: State
    error: P2PShareError | None = None


@frozen
class PieceVerified:
    """A piece was hashed right, is on disk, and was announced to every peer; ``sources`` are the ids of who sent it."""

    index: int
    sources: frozenset[bytes] = frozenset()


@frozen
class PieceLost:
    """A piece that was verified cannot be read any more: it is missing again."""

    index: int


@frozen
class Completed:
    """
    The last missing piece was verified and every file has its final name.

    It happens once in a swarm's life, and once more for each time that a piece was lost (PieceLost) and had to be
    fetched again. It does not happen when everything was there from the start.
    """


@frozen
class PieceSpoiled:
    """
    A piece's hash was wrong: it is fetched again.

    ``guilty`` names the addresses that were banned for it, ``culprits`` the peer ids of those.
    """

    index: int
    guilty: tuple[str, ...]
    culprits: frozenset[bytes] = frozenset()


Event = StateChanged | PieceVerified | PieceLost | Completed | PieceSpoiled
