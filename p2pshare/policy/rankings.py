"""The orders in which peers can be served, each by its name."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from random import Random
from types import MappingProxyType

from p2pshare.policy.remote_peer import RemotePeer

# Puts interested peers in order, whom to serve first. Told are the bytes that came from each in the last interval.
Ranking = Callable[[Collection[RemotePeer], Mapping[RemotePeer, int], Random], list[RemotePeer]]


def fastest(candidates: Collection[RemotePeer], came: Mapping[RemotePeer, int], random: Random) -> list[RemotePeer]:
    """Put those that sent most first, ties in random order: what BEP 3 and the course's assignment want."""
    ranked = list(candidates)
    random.shuffle(ranked)  # sorting is stable: ties are broken at random
    ranked.sort(key=lambda peer: -came.get(peer, 0))
    return ranked


def proportional(
    candidates: Collection[RemotePeer], came: Mapping[RemotePeer, int], random: Random
) -> list[RemotePeer]:
    """
    Draw an order in which everybody's chance to come first is its share of what was sent.

    Who sent twice as much is twice as likely to be served, and who sent nothing now and then is: no slot can be had by
    being a little faster than the next. Each draws the time of its first event at the rate of what it sent; the
    soonest is first (Efraimidis and Spirakis, "Weighted random sampling with a reservoir").
    """
    total = sum(came.get(peer, 0) for peer in candidates)
    least = max(1.0, total / (10 * max(1, len(candidates))))  # a tenth of the mean, so that newcomers are tried
    drawn = {peer: random.expovariate(max(came.get(peer, 0), least)) for peer in candidates}
    return sorted(candidates, key=drawn.__getitem__)


RANKINGS: Mapping[str, Ranking] = MappingProxyType({"fastest": fastest, "proportional": proportional})
