"""A connected peer as its swarm sees it: the connection, the facts, and what it may still do wrong."""

from __future__ import annotations

from typing import Protocol as Seam

from attrs import define, field

from p2pshare.addresses import Address
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.wire import messages

Block = tuple[int, int, int]  # piece, begin, length


class Link(Seam):
    """The connection of one peer, as far as a swarm needs it."""

    address: Address
    proved: bool  # a block went one way or the other: it is not the first to go when there is no room

    @property
    def is_incoming(self) -> bool:
        """Whether the other side dialled."""

    @property
    def is_closing(self) -> bool:
        """Whether it ends: whatever is said or asked now is not sent any more."""

    @property
    def promised(self) -> int:
        """How many blocks wait to be sent."""

    def send(self, message: messages.Message) -> None:
        """Say something."""

    def mention(self, message: messages.Message) -> None:
        """Say something that can wait for the next write, or the next :meth:`tick`."""

    def request(self, blocks: list[Block]) -> None:
        """Ask for many blocks in one write."""

    def promise(self, block: Block) -> None:
        """Queue a block for upload."""

    def pump(self) -> None:
        """Send what is queued."""

    def take_back(self, block: Block) -> bool:
        """Drop one queued block; False when it is not waiting."""

    def take_back_piece(self, piece: int) -> list[Block]:
        """Drop the queued blocks of one piece."""

    def take_back_all(self) -> list[Block]:
        """Drop all queued blocks."""

    def hold(self, why: str) -> None:
        """Stop reading."""

    def release(self, why: str) -> None:
        """Read again, when no other reason holds."""

    def expect_blocks(self, coming: bool) -> None:
        """Whether many bytes are about to come."""

    def tick(self) -> None:
        """Look at deadlines, and say what was only mentioned; called about once a second."""

    def turn_away(self, hello: bytes, reason: str) -> None:
        """Answer a handshake with ours, and hang up."""

    def close(self, reason: str) -> None:
        """Hang up politely."""

    def abort(self, reason: str) -> None:
        """Hang up at once."""


@define(eq=False)
class Member:
    """One peer of one swarm."""

    link: Link
    remote: RemotePeer
    joined: bool = False
    told_pieces: bool = False  # it has said something about what it holds
    wanted: int = 0  # pieces it has and we lack
    fresh: int = 0  # payload bytes of the batch being read, not yet counted in the meters
    fresh_blocks: int = 0  # how many blocks that was
    rejected: bool = False  # it turned requests of ours down in the batch being read
    asked: bool = False  # it asked for blocks in the batch being read
    choked_at: float = -1e9  # when we last choked it
    changes: int = 0  # of its interest, since the last round of the choker
    # What is held against it.
    invalid_requests: int = 0
    choked_requests: int = 0
    unasked_blocks: int = 0
    wasted: int = 0
    extensions: dict[bytes, int] = field(factory=dict)  # message ids it wants its extensions under (BEP 10)

    def __str__(self) -> str:
        return f"{self.remote.address} ({self.remote.client})"
