"""The ledger against a model that keeps nothing but the requests that stand."""

from __future__ import annotations

from os import environ
from random import Random

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from p2pshare.geometry import BLOCK_SIZE, Geometry
from p2pshare.policy.asking import PATIENCE
from p2pshare.policy.ledger import ENDGAME_TIMEOUT, Ledger, Receipt
from p2pshare.policy.picker import make_picker
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.policy.started import Block
from tests.policy.peers import a_peer, bits

EXAMPLES = int(environ.get("P2PSHARE_EXAMPLES", "200"))  # the same ones each time; thousands: random ones
PIECES = 3
GEOMETRY = Geometry(3 * BLOCK_SIZE, (PIECES * 3 * BLOCK_SIZE - BLOCK_SIZE - 5000,))  # the last piece: a block and a bit
TIMEOUT = 60.0
Standing = tuple[RemotePeer, Block]


def blocks_of(piece: int) -> list[Block]:
    """The requests that cover a piece."""
    return [
        (piece, block * BLOCK_SIZE, GEOMETRY.block_length(piece, block)) for block in range(GEOMETRY.num_blocks(piece))
    ]


class LedgerMachine(RuleBasedStateMachine):
    """
    Peers come, are asked, answer rightly or wrongly, choke, reject, fall silent and go, in any order.

    The model: the set of requests that stand, the blocks that are here, and the requests that were taken back.
    """

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.picker = make_picker("rarest", PIECES, Random(0))
        self.peers: list[RemotePeer] = []
        self.standing: dict[Standing, float] = {}
        self.taken_back: set[Standing] = set()
        self.here: dict[Block, RemotePeer] = {}
        self.complete: set[int] = set()
        self.held: set[int] = set()
        self.alone: set[int] = set()  # pieces that one peer may have been given to fetch alone
        self.count = 0
        self.last_block: dict[RemotePeer, float] = {}

    # What happens

    @initialize(
        held=st.sets(st.integers(0, PIECES - 1), max_size=PIECES - 1), fast=st.booleans(), most=st.integers(1, 3)
    )
    def begins(self, held: set[int], fast: bool, most: int) -> None:
        """Some pieces are here already, and two seeds are connected."""
        self.max_started = most
        self.ledger = Ledger(GEOMETRY, self.picker, max_started=most, request_timeout=TIMEOUT)
        for piece in held:
            self.ledger.add_held(piece)
            self.held.add(piece)
        self.joins(set(range(PIECES)), fast)
        self.joins(set(range(PIECES)), False)

    @rule(pieces=st.just(set(range(PIECES))) | st.sets(st.integers(0, PIECES - 1)), fast=st.booleans())
    @precondition(lambda self: len(self.peers) < 4)
    def joins(self, pieces: set[int], fast: bool) -> None:
        self.count += 1
        peer = a_peer(self.count, bits(PIECES, pieces), fast=fast)
        self.picker.joined(peer.has)
        self.peers.append(peer)

    @rule(data=st.data(), piece=st.integers(0, PIECES - 1))
    @precondition(lambda self: self.peers)
    def has_one_more(self, data: st.DataObject, piece: int) -> None:
        peer = data.draw(st.sampled_from(self.peers))
        if peer.has.add(piece):
            self.picker.got_have(piece)

    @rule(data=st.data(), on_parole=st.booleans())
    @precondition(lambda self: self.peers)
    def parole(self, data: st.DataObject, on_parole: bool) -> None:
        data.draw(st.sampled_from(self.peers)).on_parole = on_parole

    @rule(data=st.data(), snubbed=st.booleans())
    @precondition(lambda self: self.peers)
    def snubs(self, data: st.DataObject, snubbed: bool) -> None:
        data.draw(st.sampled_from(self.peers)).snubbed = snubbed

    @rule(data=st.data(), count=st.integers(1, 12))
    @precondition(lambda self: self.peers)
    def ask_one(self, data: st.DataObject, count: int) -> None:
        self.ask(data.draw(st.sampled_from(self.peers)), count)

    @rule(count=st.integers(2, 12))
    def ask_all(self, count: int) -> None:
        for peer in self.peers:
            self.ask(peer, count)

    def ask(self, peer: RemotePeer, count: int) -> None:
        helpable = self.helpable(peer)
        idle = self.ledger.outstanding(peer) == 0
        everything_is_asked = self.everything_is_asked()
        asked = self.ledger.ask(peer, count, self.now)
        assert len(asked) <= count
        for block in asked:
            piece, _, _ = block
            assert block in blocks_of(piece)
            assert piece in peer.has
            assert piece not in self.held | self.complete
            assert block not in self.here
            assert (peer, block) not in self.standing, "asked twice of the same peer"
            askers = [other for other, wanted in self.standing if wanted == block]
            if len(askers) > 1:
                latest = max(self.standing[other, block] for other in askers)
                assert latest <= self.now - PATIENCE, "asked of a third peer while the others have time"
            if askers and self.ledger.started < self.max_started:
                assert self.nothing_is_free_but(asked), "asked of a second peer while other blocks are free"
            self.standing[peer, block] = self.now
            self.taken_back.discard((peer, block))
            if peer.on_parole:
                self.alone.add(piece)
        assert not (peer.snubbed and everything_is_asked and asked), "a peer that leaves requests unanswered is no help"
        if idle and everything_is_asked and not (peer.on_parole or peer.snubbed) and helpable:
            assert asked, "idle in the endgame"
        if idle and not asked and not everything_is_asked and not peer.on_parole:
            # Only a full memory, or a piece that one peer is to fetch alone, may leave an idle peer idle.
            free = {block[0] for block in self.free_blocks()} & set(peer.has) - self.held - self.alone
            assert not free or self.ledger.started >= 2 * self.max_started
            begun = {block[0] for _, block in self.standing} | {block[0] for block in self.here}
            assert not free & begun

    @rule(data=st.data())
    @precondition(lambda self: self.standing)
    def answers(self, data: st.DataObject) -> None:
        peer, block = data.draw(st.sampled_from(list(self.standing)))
        self.comes(peer, block)

    @rule(data=st.data(), pieces=st.integers(1, 3))
    @precondition(lambda self: self.standing)
    def answers_much(self, data: st.DataObject, pieces: int) -> None:
        peer, _ = data.draw(st.sampled_from(list(self.standing)))
        for other, block in list(self.standing)[: 3 * pieces]:
            if other is peer:
                self.comes(peer, block)

    @rule(data=st.data())
    @precondition(lambda self: self.taken_back)
    def answers_late(self, data: st.DataObject) -> None:
        peer, block = data.draw(st.sampled_from(sorted(self.taken_back, key=repr)))
        receipt = self.ledger.received(peer, *block, self.now)
        self.taken_back.discard((peer, block))
        assert receipt is not Receipt.UNASKED
        if receipt is Receipt.DUPLICATE:
            full = self.ledger.started >= self.max_started
            assert block in self.here or block[0] in self.held | self.complete or full
        else:
            self.take(peer, block, receipt)

    @rule(data=st.data(), piece=st.integers(0, PIECES), begin=st.integers(0, 3), shift=st.sampled_from([0, 0, 0, 1]))
    @precondition(lambda self: self.peers)
    def talks_nonsense(self, data: st.DataObject, piece: int, begin: int, shift: int) -> None:
        peer = data.draw(st.sampled_from(self.peers))
        length = data.draw(st.sampled_from([0, 1, BLOCK_SIZE - 5000, BLOCK_SIZE, BLOCK_SIZE + 1]))
        block = (piece, begin * BLOCK_SIZE + shift, length)
        if (peer, block) not in self.standing and (peer, block) not in self.taken_back:
            assert self.ledger.received(peer, *block, self.now) is Receipt.UNASKED
            assert not self.ledger.rejected(peer, *block)

    @rule(data=st.data())
    @precondition(lambda self: self.standing)
    def rejects(self, data: st.DataObject) -> None:
        peer, block = data.draw(st.sampled_from(list(self.standing)))
        assert self.ledger.rejected(peer, *block)
        assert not self.ledger.rejected(peer, *block)
        del self.standing[peer, block]

    @rule(data=st.data())
    @precondition(lambda self: self.peers)
    def chokes(self, data: st.DataObject) -> None:
        peer = data.draw(st.sampled_from(self.peers))
        mine = [] if peer.fast else self.requests_at(peer)
        assert self.ledger.choked(peer) == len(mine)
        self.take_back(mine)

    @rule(data=st.data())
    @precondition(lambda self: self.peers)
    def leaves(self, data: st.DataObject) -> None:
        peer = data.draw(st.sampled_from(self.peers))
        mine = self.requests_at(peer)
        assert self.ledger.left(peer) == len(mine)
        self.picker.left(peer.has)
        self.take_back(mine)
        self.taken_back = {(other, block) for other, block in self.taken_back if other is not peer}
        self.peers.remove(peer)

    @rule(seconds=st.sampled_from([0.5, 5.0, 15.0, 61.0]))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds
        timeout = ENDGAME_TIMEOUT if self.ledger.is_endgame else TIMEOUT
        expired = self.ledger.expired(self.now)
        for standing in expired:
            assert self.standing[standing] <= self.now - timeout
        self.take_back(expired)
        for peer in self.peers:  # nobody keeps all of its requests for ever
            oldest = [since for (other, _), since in self.standing.items() if other is peer]
            if oldest and max(oldest) <= self.now - TIMEOUT:
                assert self.last_block.get(peer, 0.0) > self.now - TIMEOUT

    @rule(data=st.data(), good=st.booleans())
    @precondition(lambda self: self.complete)
    def verdict(self, data: st.DataObject, good: bool) -> None:
        piece = data.draw(st.sampled_from(sorted(self.complete)))
        assert self.ledger.owners(piece) == [self.here[block] for block in blocks_of(piece)]
        self.complete.discard(piece)
        self.take_back([standing for standing in self.standing if standing[1][0] == piece])
        if good:
            self.ledger.verified(piece)
            self.held.add(piece)
        else:
            self.ledger.failed(piece)
            self.alone.add(piece)
            for block in blocks_of(piece):
                del self.here[block]

    @rule(data=st.data())
    @precondition(lambda self: self.peers)
    def loses_trust(self, data: st.DataObject) -> None:
        peer = data.draw(st.sampled_from(self.peers))
        its = [b for b, owner in self.here.items() if owner is peer and b[0] not in self.complete | self.held]
        assert self.ledger.distrust(peer) == len(its)
        for block in its:
            del self.here[block]

    # The model

    def comes(self, peer: RemotePeer, block: Block) -> None:
        receipt = self.ledger.received(peer, *block, self.now)
        del self.standing[peer, block]
        self.last_block[peer] = self.now
        if block in self.here:
            assert receipt is Receipt.DUPLICATE
        else:
            self.take(peer, block, receipt)

    def take(self, peer: RemotePeer, block: Block, receipt: Receipt) -> None:
        piece, begin, _ = block
        self.here[block] = peer
        whole = all(other in self.here for other in blocks_of(piece))
        assert receipt is (Receipt.COMPLETES if whole else Receipt.WANTED)
        if whole:
            self.complete.add(piece)
        if peer.peer_id[-1] % 2:  # some rivals are told at once, the others' duplicates come
            rivals = [(other, block) for other, wanted in self.standing if wanted == block]
            assert sorted(map(repr, self.ledger.rivals(piece, begin))) == sorted(repr(other) for other, _ in rivals)
            self.take_back(rivals)

    def take_back(self, standing: list[Standing]) -> None:
        for one in standing:
            del self.standing[one]
            self.taken_back.add(one)

    def requests_at(self, peer: RemotePeer) -> list[Standing]:
        return [standing for standing in self.standing if standing[0] is peer]

    def free_blocks(self) -> list[Block]:
        asked = {block for _, block in self.standing}
        return [b for p in range(PIECES) for b in blocks_of(p) if b not in asked and b not in self.here]

    def helpable(self, peer: RemotePeer) -> set[Block]:
        """The blocks that were asked of others, and that this one may be asked for as well."""
        askers: dict[Block, list[RemotePeer]] = {}
        for other, block in self.standing:
            askers.setdefault(block, []).append(other)
        return {
            block
            for block, peers in askers.items()
            if (len(peers) == 1 or max(self.standing[other, block] for other in peers) <= self.now - PATIENCE)
            and peer not in peers
            and block not in self.here
            and block[0] in peer.has
            and block[0] not in self.alone
        }

    def everything_is_asked(self) -> bool:
        return not [b for b in self.free_blocks() if b[0] not in self.held]

    def nothing_is_free_but(self, asked: list[Block]) -> bool:
        return not [b for b in self.free_blocks() if b not in asked and b[0] not in self.held]

    @invariant()
    def counts_agree(self) -> None:
        for peer in self.peers:
            assert self.ledger.outstanding(peer) == len(self.requests_at(peer))
        assert self.ledger.missing_pieces == PIECES - len(self.held)
        under_way = {block[0] for _, block in self.standing} | {block[0] for block in self.here}
        assert self.ledger.started == len(under_way - self.complete - self.held)
        assert self.ledger.started <= 2 * self.max_started
        assert self.ledger.is_endgame == (self.everything_is_asked() and len(self.held) < PIECES)


LedgerMachine.TestCase.settings = settings(
    max_examples=EXAMPLES,
    stateful_step_count=60,
    deadline=None,
    database=None,
    derandomize=EXAMPLES <= 200,
    suppress_health_check=list(HealthCheck),
)
LedgerModelTests = LedgerMachine.TestCase
