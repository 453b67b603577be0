"""What is known of one connected peer."""

from __future__ import annotations

from attrs import Factory, define, field

from p2pshare.addresses import Address
from p2pshare.bitfield import Bitfield
from p2pshare.geometry import BLOCK_SIZE
from p2pshare.ids import client_name
from p2pshare.policy.pipeline import Pipeline
from p2pshare.rates import Meter

SILENT_REQQ = 250  # requests to queue at a peer that never told its ``reqq``; Transmission assumes 500 of those


@define(eq=False, repr=False)
class RemotePeer:
    """
    The facts about one connected peer that decisions are made from. Knows no socket and no message.

    The four booleans are those of BEP 3: who chokes whom, who is interested in whom.
    """

    address: Address  # where the connection leads; of an incoming one, not where it listens
    peer_id: bytes
    incoming: bool
    has: Bitfield
    connected_at: float
    fast: bool = False  # both sides speak the fast extension (BEP 6)
    extended: bool = False  # both sides speak the extension protocol (BEP 10)
    listen_address: Address | None = None  # where others can dial it, once known
    client: str = field(default=Factory(lambda self: client_name(self.peer_id), takes_self=True))
    reqq: int = SILENT_REQQ
    upload_only: bool = False  # it wants nothing (BEP 21)
    am_choking: bool = True
    am_interested: bool = False
    peer_choking: bool = True
    peer_interested: bool = False
    snubbed: bool = False  # it left our requests unanswered until they expired
    greedy: bool = False  # it took several copies of everything from us
    on_parole: bool = False  # it had part in a bad piece: it gets pieces to itself until one proves good
    download: Meter = field(factory=Meter)  # payload from it
    upload: Meter = field(factory=Meter)  # payload to it
    last_block_at: float | None = None
    last_unchoked_at: float | None = None  # when we last unchoked it
    allowed_fast: set[int] = field(factory=set)  # pieces it sends us even while it chokes us (BEP 6)
    pipeline: Pipeline = field(factory=Pipeline)
    _came: int = field(init=False, default=0)  # payload that had come when it last choked or unchoked us

    @property
    def is_seed(self) -> bool:
        """Whether it has every piece."""
        return self.has.size > 0 and self.has.is_full

    @property
    def is_waiting(self) -> bool:
        """Whether it wants something of us, and was never given the chance to take it."""
        return self.peer_interested and self.last_unchoked_at is None

    def depth(self, now: float) -> int:
        """Tell how many requests to have outstanding at it."""
        return self.pipeline.depth(now, self.download.rate(now), self.reqq, self.snubbed)

    def got_payload(self, amount: int, now: float) -> None:
        """Take note of ``amount`` bytes in blocks that it was asked for and sent."""
        self.download.add(amount, now)
        self.last_block_at = now
        self.snubbed = False
        self.pipeline.got_blocks(-(-amount // BLOCK_SIZE))

    def got_choke(self, now: float) -> None:
        """Take note that it chokes us; without a block since the last time, the pipeline grows wary."""
        self.peer_choking = True
        if self.download.total == self._came:
            self.pipeline.came_to_nothing(now)
        self._came = self.download.total

    def got_unchoke(self) -> None:
        """Take note that it serves us."""
        self.peer_choking = False

    def __repr__(self) -> str:
        return f"<{self.address} {self.client}>"
