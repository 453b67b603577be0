"""One piece under way, block by block."""

from __future__ import annotations

from attrs import define, field

from p2pshare.geometry import Geometry
from p2pshare.policy.remote_peer import RemotePeer

Block = tuple[int, int, int]  # piece, begin, length: what one request names

FREE, ASKED, RECEIVED = 0, 1, 2


@define(eq=False)
class StartedPiece:
    """
    The blocks of one piece: each is free, asked of a peer (at the end of a download, of several), or received.

    Knows whom each block was asked of, not when.
    """

    piece: int
    num_blocks: int
    block_size: int  # bytes in every other block
    tail: int  # bytes in the last block
    first: int  # the number of block 0 among all blocks of the torrent
    since: float  # when it was started
    alone: bool = False  # one peer only is to send it, so that a wrong hash says who is to blame
    # Before that moment no block is to be asked of one more peer; a block that loses one may be so at once.
    crowded_until: float = float("-inf")
    worker: RemotePeer | None = None  # the peer that fetches this piece in order; None: anybody may go on with it
    free: int = field(init=False)
    missing: int = field(init=False)  # free or asked
    states: bytearray = field(init=False, repr=False)
    sources: list[RemotePeer | None] = field(init=False, repr=False)  # asked: of whom first; received: from whom
    # Who else was asked for a block and has not answered. Invariant: with ``sources`` it names exactly the peers that
    # have the block outstanding, but for the source of a received block.
    others: dict[int, list[RemotePeer]] = field(init=False, factory=dict, repr=False)

    def __attrs_post_init__(self) -> None:
        self.free = self.missing = self.num_blocks
        self.states = bytearray(self.num_blocks)
        self.sources = [None] * self.num_blocks

    def claim(self, peer: RemotePeer, most: int) -> range:
        """Mark the first run of free blocks, up to ``most``, as asked of ``peer``; there is at least one."""
        states = self.states
        begin = states.find(FREE)
        end = min(begin + most, self.num_blocks)
        if states.count(FREE, begin, end) != end - begin:  # not all free: others have been at work here
            end = begin + 1
            while states[end] == FREE:
                end += 1
        size = end - begin
        states[begin:end] = bytes((ASKED,)) * size
        self.sources[begin:end] = [peer] * size
        self.free -= size
        return range(begin, end)

    def length(self, block: int) -> int:
        """Count the bytes of a block."""
        return self.block_size if block < self.num_blocks - 1 else self.tail

    def request(self, block: int) -> Block:
        """Name a block as a request does."""
        return (self.piece, block * self.block_size, self.length(block))

    def requests(self, blocks: range) -> list[Block]:
        """Name a run of blocks as requests do."""
        piece = self.piece
        found = [(piece, block * self.block_size, self.block_size) for block in blocks]
        if blocks.stop == self.num_blocks:
            found[-1] = self.request(self.num_blocks - 1)
        return found

    def asked_again(self, peer: RemotePeer, block: int) -> None:
        """A block that is asked of one peer is asked of this one as well."""
        self.others.setdefault(block, []).append(peer)

    def received(self, peer: RemotePeer, block: int) -> None:
        """A block that was missing came from ``peer``, whether it was the one last asked or is late."""
        source = self.sources[block]
        if self.states[block] == FREE:
            self.free -= 1
        elif source is not peer:
            assert source is not None
            others = self.others.setdefault(block, [])
            if peer in others:
                others.remove(peer)
            others.append(source)
        self.states[block] = RECEIVED
        self.sources[block] = peer
        self.missing -= 1

    def released(self, peer: RemotePeer, block: int) -> bool:
        """``peer`` will not send a block it was asked for. Tell whether the block is free now."""
        self.crowded_until = float("-inf")
        others = self.others.get(block)
        if others and peer in others:
            others.remove(peer)
        elif self.states[block] == ASKED and self.sources[block] is peer:
            return self._vacated(block, others)
        if not others:
            self.others.pop(block, None)
        return False

    def disowned(self, peer: RemotePeer) -> int:
        """Count as missing again what ``peer`` has sent. Tell how many blocks that is."""
        blocks = [b for b, source in enumerate(self.sources) if source is peer and self.states[b] == RECEIVED]
        for block in blocks:
            self.missing += 1
            self._vacated(block, self.others.get(block))
        return len(blocks)

    def _vacated(self, block: int, others: list[RemotePeer] | None) -> bool:
        """A block loses its source: another peer that was asked for it steps in, or the block is free."""
        self.crowded_until = float("-inf")
        if others:
            self.sources[block] = others.pop(0)
            self.states[block] = ASKED
            if not others:
                del self.others[block]
            return False
        self.sources[block] = None
        self.states[block] = FREE
        self.free += 1
        return True

    @property
    def is_untouched(self) -> bool:
        """Whether no block is asked or received, so that nothing is lost by forgetting it."""
        return self.free == self.num_blocks


def start(geometry: Geometry, piece: int, now: float, *, alone: bool) -> StartedPiece:
    """Start a piece: all its blocks are free."""
    blocks = geometry.num_blocks(piece)
    tail = geometry.block_length(piece, blocks - 1)
    return StartedPiece(piece, blocks, geometry.block_size, tail, piece * geometry.blocks_per_piece, now, alone)
