"""What a swarm is built around: who we are, where pieces lie, and who decides whom to meet."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any
from typing import Protocol as Seam

from twisted.internet.defer import Deferred

from p2pshare.addresses import Address
from p2pshare.bitfield import Bitfield
from p2pshare.errors import StorageError
from p2pshare.geometry import Geometry
from p2pshare.metainfo import Metainfo
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.storage.sealing import Sealed
from p2pshare.swarm.member import Link, Member
from p2pshare.swarm.settings import PeerLimits, SwarmSettings
from p2pshare.wire.session import WireSession


class Greets(Seam):
    """A handshake, as far as every dialect has it."""

    @property
    def peer_id(self) -> bytes:
        """Who greets."""


class Persona(Seam):
    """Who we are to the peers of one torrent, and how we introduce ourselves; an Identity."""

    @property
    def content(self) -> Metainfo:
        """What is shared."""

    @property
    def peer_id(self) -> bytes:
        """Our name."""

    @property
    def limits(self) -> tuple[Any, Any]:
        """The upload and download allowances of a connection."""

    def hello(self) -> bytes:
        """Our handshake."""

    def meet(self, link: Link, handshake: Any, now: float, settings: SwarmSettings) -> Member:
        """Write down what a handshake tells of a peer."""

    def session(self, remote: RemotePeer, limits: PeerLimits) -> WireSession:
        """Begin the conversation that both handshakes agreed on."""

    def introduce(self, member: Member, have: Bitfield, limits: PeerLimits) -> None:
        """Say what we speak, and what we have."""


class Store(Seam):
    """Where pieces are kept; a PieceStore, which says more of each."""

    geometry: Geometry
    have: Bitfield
    is_pressed: bool
    on_relief: Callable[[], None]
    on_trouble: Callable[[StorageError], None]
    on_lost: Callable[[int], None]
    is_wanted: Callable[[int], bool]

    @property
    def is_complete(self) -> bool:
        """Whether every piece is here."""

    @property
    def verified_bytes(self) -> int:
        """Bytes of the pieces we have."""

    @property
    def counters(self) -> dict[str, int]:
        """Numbers that are kept with the resume data."""

    def check(self, progress: Callable[[int, int], None] | None = None, *, writable: bool = True) -> Deferred[None]:
        """Fill ``have``."""

    def put(self, piece: int, begin: int, data: bytes | memoryview) -> None:
        """Copy a block into its piece."""

    def seal(self, piece: int, *, digests: bool = False) -> Deferred[Sealed]:
        """Verify a whole piece and write it."""

    def trim(self) -> None:
        """Let go of memory that nothing needed since the last call."""

    def retry(self) -> None:
        """Take new pieces again."""

    def read_now(self, piece: int, begin: int, length: int) -> bytes | None:
        """Give bytes if that needs no waiting for a disk."""

    def read(self, piece: int, begin: int, length: int) -> Deferred[bytes]:
        """Give bytes when the disk has them."""

    def close(self) -> Deferred[None]:
        """Keep what is under way, and close the files."""


class Gathering(Seam):
    """Decides whom to dial, whom to admit and with whom to have nothing more to do; a Meeting."""

    is_open: bool

    @property
    def known(self) -> int:
        """How many addresses have been heard of."""

    def heard(self, addresses: Iterable[Address], source: str) -> None:
        """Somebody told us where peers are."""

    def fill(self) -> None:
        """Dial whom there is to dial."""

    def admits(self, link: Link, peer_id: bytes, hello: bytes) -> bool:
        """Whether a peer that has just greeted is welcome."""

    def joined(self, member: Member) -> None:
        """A peer was admitted."""

    def left(self, member: Member) -> None:
        """A member is gone."""

    def failed(self, address: Address, reason: str) -> None:
        """Dialling came to nothing."""

    def postponed(self, address: Address) -> None:
        """There were no means to dial."""

    def seeding(self, is_so: bool) -> None:
        """We have everything, or that is over."""

    def ban(self, remote: RemotePeer, reason: str) -> None:
        """Have nothing more to do with a peer."""

    def peer_greedy(self, member: Member) -> None:
        """A peer took more than it can need."""


class TrackerStatus(Seam):
    """One tracker, in words and numbers for people."""

    @property
    def url(self) -> str:
        """Its announce URL."""

    @property
    def state(self) -> str:
        """How it is going, in words."""

    @property
    def last_error(self) -> str | None:
        """Why it is not going well."""


class Discovery(Seam):
    """Finds peers and tells the world of our progress; an Announcer."""

    def start(self) -> None:
        """Say that we are here."""

    def completed(self) -> None:
        """Say that we have everything now."""

    def announce_now(self) -> None:
        """Ask for more peers, when that is polite."""

    def status(self) -> Iterable[TrackerStatus]:
        """How each tracker is doing."""

    def stop(self) -> Deferred[None]:
        """Say goodbye; fires when that was heard or took too long."""
