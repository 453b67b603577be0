"""The orders in which neighbors can be preferred, each by its name; and how to add others."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from importlib.metadata import entry_points
from random import Random
from types import MappingProxyType

from p2pshare.errors import ConfigError
from p2pshare.policy.remote_peer import RemotePeer

GROUP = "p2pshare.chokers"  # of entry points

# Puts interested neighbors in order, whom to serve first. Told are the bytes that came from each in the last interval.
Ranking = Callable[[Collection[RemotePeer], Mapping[RemotePeer, int], Random], list[RemotePeer]]


def fastest(candidates: Collection[RemotePeer], came: Mapping[RemotePeer, int], random: Random) -> list[RemotePeer]:
    """Put those that sent most first, ties in random order: what the assignment wants."""
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


def find_ranking(name: str) -> Ranking:
    """
    Find a ranking by its name: ours, or one that an installed package offers as an entry point of ``p2pshare.chokers``.

    :raise ConfigError: there is none, or it cannot be loaded.
    """
    if name in RANKINGS:
        return RANKINGS[name]
    offered = entry_points(group=GROUP)
    for entry in offered.select(name=name):
        try:
            found = entry.load()
        except Exception as error:  # another's module: whatever is wrong in it is said in a line
            raise ConfigError(f"choker {name!r}: {entry.value} cannot be loaded: {error}") from error
        if not callable(found):
            raise ConfigError(f"choker {name!r}: {entry.value} is {type(found).__name__}, expected a function")
        return found  # type: ignore[no-any-return]
    raise ConfigError(f"choker {name!r}, expected one of {', '.join([*RANKINGS, *sorted(offered.names)])}")
