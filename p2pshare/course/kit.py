"""A test kit for strategies of one's own: what every one has to do right, whatever it prefers."""

from __future__ import annotations

from random import Random

from p2pshare.addresses import Address
from p2pshare.bitfield import Bitfield
from p2pshare.policy.copies import Copies
from p2pshare.policy.rankings import Ranking
from p2pshare.policy.remote_peer import RemotePeer
from p2pshare.policy.strategies import Strategy

_ROUNDS = 100


def neighbor(id: int) -> RemotePeer:
    """Make a neighbor that is interested and choked."""
    remote = RemotePeer(Address("127.0.0.1", 6000 + id % 1000), id.to_bytes(4, "big"), True, Bitfield(8), 0.0)
    remote.peer_interested = True
    return remote


def check_ranking(rank: Ranking) -> None:
    """
    Try a ranking on many neighborhoods.

    :raise AssertionError: it forgets, repeats or invents neighbors, changes what it is told, or draws from a chance
        other than the one it is given.
    """
    for seed in range(_ROUNDS):
        random = Random(seed)
        candidates = [neighbor(1001 + place) for place in range(seed % 12)]
        came = {peer: random.choice((0, 1, 16384, 10**9)) for peer in candidates if random.random() < 0.8}
        given, told = list(candidates), dict(came)
        ranked = rank(candidates, came, Random(seed))
        case = f"with {len(given)} neighbors"
        assert isinstance(ranked, list), f"{case}: gives {type(ranked).__name__}, expected a list"
        assert len(ranked) == len(set(ranked)), f"{case}: names a neighbor twice"
        assert set(ranked) == set(given), f"{case}: names others than those it was given"
        assert (candidates, came) == (given, told), f"{case}: changes what it was given"
        again = rank(list(given), dict(told), Random(seed))
        assert again == ranked, f"{case}: the same chance gives another order"


def check_picker(pick: Strategy) -> None:
    """
    Try an order of pieces on many sets of candidates.

    :raise AssertionError: it names a piece that is no candidate, or draws from a chance other than the one it is given.
    """
    for seed in range(_ROUNDS):
        random = Random(seed)
        num_pieces = random.randint(1, 300)
        copies = Copies(num_pieces)
        for _ in range(random.randrange(5)):
            copies.add(random.getrandbits(num_pieces))
        candidates = random.getrandbits(num_pieces) or 1
        pieces = {index for index in range(num_pieces) if candidates >> index & 1}
        piece = pick(candidates, copies, Random(seed))
        case = f"with {candidates.bit_count()} candidates of {num_pieces} pieces"
        assert isinstance(piece, int), f"{case}: gives {type(piece).__name__}, expected a piece index"
        assert piece in pieces, f"{case}: names {piece}, which is no candidate"
        assert pick(candidates, copies, Random(seed)) == piece, f"{case}: the same chance gives another piece"
