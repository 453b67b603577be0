"""How the largest swarms grew and shrank in the last minutes, for pages that draw it."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from heapq import nlargest
from typing import Protocol

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from p2pshare.errors import RequestRefused, StorageError
from p2pshare.faces.news import News
from p2pshare.index.records import Torrent
from p2pshare.wire.announce import ScrapeCounts

PERIOD = 10.0  # seconds between two samples
SAMPLES = 60  # kept of each swarm: ten minutes
TRACKED = 200  # swarms
# Swarms announced last, which are looked at each time. One of many members is announced so often that it is among them
# before long, so the others, of which there may be a million, can be left alone.
_LOOKED_AT = 2000
_NAMED_AT_ONCE = 10  # in one round
_NAME_AGAIN = 60.0  # seconds until a swarm that nobody has described is asked for again


class Swarms(Protocol):
    """As much of the tracker's store as this needs."""

    def newest(self, count: int) -> list[bytes]: ...

    def scrape(self, hashes: Iterable[bytes]) -> dict[bytes, ScrapeCounts]: ...


class TorrentNames(Protocol):
    """As much of the index as this needs; its ``torrents``."""

    def get(self, digits: str) -> Deferred[Torrent | None]: ...


@frozen
class SwarmInfo:
    """A swarm in figures. ``history`` has its members every ten seconds, the last of them now."""

    info_hash: str  # 40 hexadecimal digits
    name: str | None  # None: nobody has described it
    seeders: int
    leechers: int
    completed: int
    history: Sequence[int]


@define(eq=False)
class _Track:
    info_hash: bytes
    samples: deque[ScrapeCounts] = field(init=False, factory=lambda: deque(maxlen=SAMPLES))
    name: str | None = field(init=False, default=None)
    asked_at: float | None = field(init=False, default=None)  # for its name

    @property
    def is_gone(self) -> bool:
        return not any(map(_members, self.samples))

    def show(self) -> SwarmInfo:
        now = self.samples[-1]
        return SwarmInfo(
            info_hash=self.info_hash.hex(),
            name=self.name,
            seeders=now.complete,
            leechers=now.incomplete,
            completed=now.downloaded,
            history=[_members(counts) for counts in self.samples],
        )


class SwarmHistory(Service):
    """Looks at the swarms every ten seconds, and tells the news when something has changed."""

    log = Logger()

    def __init__(self, swarms: Swarms, torrents: TorrentNames, news: News, clock: IReactorTime) -> None:
        """Take samples of ``swarms``; names are those of ``torrents``."""
        self._swarms = swarms
        self._torrents = torrents
        self._news = news
        self._clock = clock
        self._tracks: dict[bytes, _Track] = {}
        self._round: LoopingCall | None = None

    def startService(self) -> None:
        """Begin with a first sample."""
        super().startService()
        self._round = LoopingCall(lambda: Deferred.fromCoroutine(self._go_round()))
        self._round.clock = self._clock
        self._round.start(PERIOD).addErrback(
            lambda failure: self.log.failure("swarms are no longer looked at", failure)
        )

    def stopService(self) -> None:
        """Take no more samples."""
        super().stopService()
        if self._round is not None and self._round.running:
            self._round.stop()

    def swarms(self) -> list[SwarmInfo]:
        """Show the largest swarms, as of the last sample; the largest first."""
        tracks = sorted(self._tracks.values(), key=lambda track: _members(track.samples[-1]), reverse=True)
        return [track.show() for track in tracks]

    async def _go_round(self) -> None:
        has_changed = self._sample()
        if await self._find_names() or has_changed:
            self._news.mention("swarms_update", {"swarms": len(self._tracks)})

    def _sample(self) -> bool:
        """Take a sample; say whether any figure is another one than in the last."""
        counts = self._swarms.scrape(dict.fromkeys((*self._tracks, *self._swarms.newest(_LOOKED_AT))))
        # Those tracked come first, so of equal swarms they stay.
        largest = nlargest(TRACKED, counts, key=lambda info_hash: _members(counts[info_hash]))
        former, self._tracks = self._tracks, {}
        has_changed = False
        for info_hash in largest:
            track = former.get(info_hash) or _Track(info_hash)
            before = track.samples[-1] if track.samples else None
            track.samples.append(counts[info_hash])
            if not track.is_gone:
                self._tracks[info_hash] = track
                has_changed = has_changed or counts[info_hash] != before
                self._tell_completed(track, before)
        return has_changed or former.keys() != self._tracks.keys()

    def _tell_completed(self, track: _Track, before: ScrapeCounts | None) -> None:
        times = 0 if before is None else track.samples[-1].downloaded - before.downloaded
        if times > 0:
            self._news.tell("completed", {"info_hash": track.info_hash.hex(), "name": track.name, "times": times})

    async def _find_names(self) -> bool:
        """Look some names up; say whether any was found."""
        now = self._clock.seconds()
        due = [track for track in self._tracks.values() if track.name is None and _is_due(track, now)]
        due.sort(key=lambda track: (track.asked_at is not None, track.asked_at or 0.0))
        has_found = False
        for track in due[:_NAMED_AT_ONCE]:
            track.asked_at = now
            try:
                torrent = await self._torrents.get(track.info_hash.hex())
            except (StorageError, RequestRefused) as error:
                self.log.error("cannot look up the names of swarms: {reason}", reason=str(error))
                break
            if torrent is not None:
                track.name = torrent.name
                has_found = True
        return has_found


def _members(counts: ScrapeCounts) -> int:
    return counts.complete + counts.incomplete


def _is_due(track: _Track, now: float) -> bool:
    return track.asked_at is None or now - track.asked_at >= _NAME_AGAIN
