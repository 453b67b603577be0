"""All swarms of a tracker, in memory."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator
from itertools import islice

from attrs import define, field

from p2pshare.tracker.hits import Hits, choose
from p2pshare.tracker.swarm import Contact, Swarm
from p2pshare.wire.announce import AnnounceRequest, Event, ScrapeCounts

_STOPPED, _COMPLETED = Event.STOPPED, Event.COMPLETED  # members of an Enum are slow to find
_AT_ONCE = 256  # swarms that are looked at before others get a turn: well under a millisecond


@define(eq=False)
class MemorySwarms:
    """
    The swarm store that lives in this process: the one announced longest ago goes first when there are too many.

    Knows no clock and no address policy. A swarm nobody is in any more is kept only for its count of completions.
    """

    _random: Callable[[], float]  # uniform in [0, 1)
    max_torrents: int = 1_000_000
    max_members: int = 1_000_000  # of one swarm; more get answers, but are not handed out
    swarms: OrderedDict[bytes, Swarm] = field(init=False, factory=OrderedDict)  # by info_hash, last announced last
    changes: int = field(init=False, default=0)  # grows with every one: what was saved before is out of date
    dropped: int = field(init=False, default=0)  # swarms that gave way to others

    def knows(self, info_hash: bytes) -> bool:
        """Whether there is a swarm of this torrent."""
        return info_hash in self.swarms

    def has_names(self, info_hash: bytes) -> bool:
        """Whether a torrent has members that are known by a host name."""
        swarm = self.swarms.get(info_hash)
        return swarm is not None and bool(swarm.named)

    def last_seen(self, info_hash: bytes, contact: Contact) -> float | None:
        """Tell when a member announced last; None for one who is no member."""
        swarm = self.swarms.get(info_hash)
        return None if swarm is None else swarm.last_seen(contact)

    def announce(
        self,
        request: AnnounceRequest,
        contact: Contact,
        wanted: int,
        most_per_host: int | None,
        now: float,
        *,
        width: int | None = None,
    ) -> Hits:
        """
        Note an announce and choose members for whoever made it.

        :param contact: where that one can be reached, whatever the request says.
        :param most_per_host: how many members may share its address; None: any number. One more gets an answer, but is
            not handed out.
        :param width: choose only members with an address of so many bytes, or with a name; None: any.
        """
        self.changes += 1
        info_hash = request.info_hash
        swarm = self.swarms.get(info_hash)
        event = request.event
        if event is _STOPPED:
            return self._stop(info_hash, swarm, contact)
        if swarm is None:
            swarm = self._new_swarm(info_hash)
        else:
            self.swarms.move_to_end(info_hash)
        is_seed = request.left == 0 or event is _COMPLETED  # left not said: a leech
        if not swarm.refresh(contact, request.peer_id, is_seed, now) and self._has_room(swarm, contact, most_per_host):
            swarm.join(contact, request.peer_id, is_seed, now)
        if event is _COMPLETED:
            swarm.complete(contact)
        with_ids = not (request.compact or request.no_peer_id)
        return choose(swarm, contact, is_seed, wanted, with_ids=with_ids, width=width)

    def scrape(self, hashes: Iterable[bytes]) -> dict[bytes, ScrapeCounts]:
        """Give the figures of these torrents; zeros for unknown ones."""
        return {info_hash: self._counts(self.swarms.get(info_hash)) for info_hash in hashes}

    def newest(self, count: int) -> list[bytes]:
        """List the info_hashes announced last."""
        return list(islice(reversed(self.swarms), count))

    def forget_silent(self, before: float) -> Iterator[None]:
        """
        Let all members go who were last seen before that, and swarms with nothing left to tell.

        :return: must be iterated to the end; between two steps the store may be used.
        """
        for number, (info_hash, swarm) in enumerate(list(self.swarms.items()), 1):
            if swarm.forget_silent(before):
                self.changes += 1
                self._forget_if_empty(info_hash, swarm)
            if number % _AT_ONCE == 0:
                yield

    def _stop(self, info_hash: bytes, swarm: Swarm | None, contact: Contact) -> Hits:
        if swarm is None:
            return Hits(0, 0)
        swarm.leave(contact)
        self._forget_if_empty(info_hash, swarm)
        return Hits(*swarm.counts())

    def _new_swarm(self, info_hash: bytes) -> Swarm:
        while len(self.swarms) >= self.max_torrents:
            self.swarms.popitem(last=False)
            self.dropped += 1
        swarm = self.swarms[info_hash] = Swarm(self._random)
        return swarm

    def _has_room(self, swarm: Swarm, contact: Contact, most_per_host: int | None) -> bool:
        size = len(swarm)
        # A count by hosts costs memory, so it is asked for only when it can matter.
        crowded = most_per_host is not None and size >= most_per_host and swarm.count_at(contact) >= most_per_host
        if crowded or size >= self.max_members:
            return swarm.last_seen(contact) is not None  # it takes its own place again
        return True

    def _forget_if_empty(self, info_hash: bytes, swarm: Swarm) -> None:
        if not len(swarm) and not swarm.downloaded and self.swarms.get(info_hash) is swarm:
            del self.swarms[info_hash]

    @staticmethod
    def _counts(swarm: Swarm | None) -> ScrapeCounts:
        return ScrapeCounts(0, 0, 0) if swarm is None else ScrapeCounts(*swarm.counts(), swarm.downloaded)
