"""Which members of a swarm one of them learns about."""

from __future__ import annotations

from attrs import frozen

from p2pshare.addresses import Address
from p2pshare.tracker.pool import Pool
from p2pshare.tracker.swarm import WIDTH4, WIDTH6, Contact, Swarm
from p2pshare.wire.announce import PeerEntry

_SEED_SHARE = 4  # of what a leech gets, at least one in four is a seed where there are enough

# How a member can be reached; and whom one of each kind hears of first: those it can surely reach itself.
_V4, _V6, _NAME = range(3)
_ORDER = {_V4: (_V4, _V6, _NAME), _V6: (_V6, _V4, _NAME), _NAME: (_NAME, _V4, _V6)}
_WITHOUT = {None: None, WIDTH4: _V6, WIDTH6: _V4}
_ORDERS = {  # by the one width that a reply has room for, and by the asker's kind; a name may turn out to have any
    width: {asker: tuple(kind for kind in order if kind != without) for asker, order in _ORDER.items()}
    for width, without in _WITHOUT.items()
}


@frozen
class Hits:
    """
    What a member learns: the size of the swarm, itself included, and some of the others.

    ``packed4`` and ``packed6`` are compact addresses, ``ids4`` and ``ids6`` their peer_ids where asked for.
    """

    complete: int
    incomplete: int
    packed4: bytes = b""
    packed6: bytes = b""
    ids4: bytes = b""
    ids6: bytes = b""
    named: tuple[PeerEntry, ...] = ()


def choose(
    swarm: Swarm, asker: Contact, is_seed: bool, wanted: int, *, with_ids: bool, width: int | None = None
) -> Hits:
    """
    Choose members at random for one who asks: not itself, and no seeds if it is a seed, as they have no use for it.

    :param with_ids: the reply has room for peer_ids.
    :param width: it has room for addresses of 6 bytes only, or of 18 only; None: for both.
    """
    if swarm.is_plain and not with_ids and width != WIDTH6:
        return _choose_plain(swarm, asker, is_seed, wanted)
    complete, incomplete = swarm.counts()
    packed4 = packed6 = ids4 = ids6 = b""
    named: tuple[PeerEntry, ...] = ()
    for kind in _ORDERS[width][_kind(asker)]:
        if wanted <= 0:
            break
        if kind == _V4:
            seeds = None if is_seed else swarm.seeds4
            packed4, ids4 = _sample(swarm.leeches4, seeds, asker, wanted, with_ids)
            wanted -= len(packed4) // WIDTH4
        elif kind == _V6:
            seeds = None if is_seed else swarm.seeds6
            packed6, ids6 = _sample(swarm.leeches6, seeds, asker, wanted, with_ids)
            wanted -= len(packed6) // WIDTH6
        elif swarm.named is not None:
            found = swarm.named.sample(wanted, asker, is_seed)
            named = tuple([PeerEntry(address.host, address.port, peer_id) for address, peer_id in found])
            wanted -= len(named)
    return Hits(complete, incomplete, packed4, packed6, ids4, ids6, named)


def _choose_plain(swarm: Swarm, asker: Contact, is_seed: bool, wanted: int) -> Hits:
    """Choose where there is only one kind of members, as in nearly every announce; no other one would be preferred."""
    leeches, seeds = swarm.leeches4, swarm.seeds4
    complete = 0 if seeds is None else len(seeds.seen)
    incomplete = 0 if leeches is None else len(leeches.seen)
    packed = b""
    if is_seed:
        if leeches is not None:
            packed = leeches.packed_sample(wanted, leeches.find(asker))
        return Hits(complete, incomplete, packed)
    if leeches is not None:
        without = leeches.find(asker)
        others = incomplete if without is None else incomplete - 1
        from_leeches = wanted if seeds is None else wanted - _share(complete, others, wanted)
        packed = leeches.packed_sample(from_leeches, without)
        wanted -= min(others, from_leeches)
    if seeds is not None:
        packed += seeds.packed_sample(wanted, None)
    return Hits(complete, incomplete, packed)


def _kind(contact: Contact) -> int:
    if isinstance(contact, Address):
        return _NAME
    return _V4 if len(contact) == WIDTH4 else _V6


def _sample(
    leeches: Pool | None, seeds: Pool | None, asker: Contact, wanted: int, with_ids: bool
) -> tuple[bytes, bytes]:
    """Choose members with addresses of one width, for a leech if there are seeds: joined addresses, joined peer_ids."""
    packed = ids = b""
    if leeches is not None:
        without = leeches.find(asker)
        others = len(leeches.seen) - (without is not None)
        from_leeches = min(others, wanted - (0 if seeds is None else _share(len(seeds.seen), others, wanted)))
        packed, ids = _take(leeches, from_leeches, without, with_ids)
        wanted -= from_leeches
    if seeds is not None and wanted:
        more, more_ids = _take(seeds, wanted, None, with_ids)
        packed += more
        ids += more_ids
    return packed, ids


def _take(pool: Pool, count: int, without: int | None, with_ids: bool) -> tuple[bytes, bytes]:
    if not with_ids:
        return pool.packed_sample(count, without), b""
    where = pool.sample(count, without)
    return pool.packed(where), pool.ids(where)


def _share(seeds: int, leeches: int, wanted: int) -> int:
    """Tell how many of the members a leech gets are seeds: their part of the swarm, and never next to none."""
    if seeds + leeches <= wanted:
        return seeds
    return min(seeds, max(wanted * seeds // (seeds + leeches), wanted // _SEED_SHARE))
