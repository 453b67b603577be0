"""What a node has fetched and given since it runs."""

from __future__ import annotations

from collections.abc import Mapping

from attrs import define, field, frozen

from p2pshare.swarm.events import State
from p2pshare.swarm.swarm import Swarm


@frozen
class DownloadStats:
    """What came: torrents that became whole, and the payload of all."""

    total_downloads: int
    total_bytes: int
    active_downloads: int


@frozen
class UploadStats:
    """What was fetched from here as files, over HTTP."""

    total_uploads: int
    total_bytes: int
    active_uploads: int


@frozen
class SwarmStats:
    """What goes through swarms. Rates are payload bytes/second."""

    torrents: int
    peers: int
    uploaded: int
    down_rate: float
    up_rate: float


@frozen
class NodeStats:
    """All figures of a node."""

    download_stats: DownloadStats
    upload_stats: UploadStats
    swarm_stats: SwarmStats


@define(eq=False)
class Uploaded:
    """Counts files that are fetched over HTTP."""

    _total: int = field(init=False, default=0)
    _bytes: int = field(init=False, default=0)
    _active: int = field(init=False, default=0)

    def begun(self) -> None:
        """Somebody fetches a file, or a part of one."""
        self._active += 1

    def ended(self, sent: int, is_last: bool) -> None:
        """
        It is over.

        :param is_last: the last byte of the file went out. A file fetched in parts counts once.
        """
        self._active -= 1
        self._bytes += sent
        self._total += is_last

    @property
    def stats(self) -> UploadStats:
        """The figures now."""
        return UploadStats(self._total, self._bytes, self._active)


@define
class _Seen:
    downloaded: int = 0
    uploaded: int = 0
    completed: int = 0

    def add(self, other: _Seen) -> None:
        self.downloaded += other.downloaded
        self.uploaded += other.uploaded
        self.completed += other.completed


@define(eq=False)
class SwarmTotals:
    """Adds up what swarms have moved, those included that are gone; :meth:`look` has to be called now and then."""

    _swarms: Mapping[bytes, Swarm]  # a Session's, which changes
    _seen: dict[Swarm, _Seen] = field(init=False, factory=dict)  # at the last look
    _former: _Seen = field(init=False, factory=_Seen)

    def look(self) -> None:
        """Note how swarms stand, before they go."""
        seen = {swarm: _seen(swarm) for swarm in self._swarms.values()}
        for swarm in self._seen.keys() - seen.keys():
            self._former.add(_seen(swarm))  # it counts on until it has stopped: this is later than the last look
        self._seen = seen

    def downloads(self) -> DownloadStats:
        """What came."""
        total = self._total()
        active = sum(swarm.state is State.DOWNLOADING for swarm in self._swarms.values())
        return DownloadStats(total.completed, total.downloaded, active)

    def swarms(self, now: float) -> SwarmStats:
        """What goes on."""
        swarms = self._swarms.values()
        return SwarmStats(
            torrents=len(swarms),
            peers=sum(len(swarm.members) for swarm in swarms),
            uploaded=self._total().uploaded,
            down_rate=sum(swarm.down.rate(now) for swarm in swarms),
            up_rate=sum(swarm.up.rate(now) for swarm in swarms),
        )

    def _total(self) -> _Seen:
        self.look()
        total = _Seen()
        total.add(self._former)
        for seen in self._seen.values():
            total.add(seen)
        return total


def _seen(swarm: Swarm) -> _Seen:
    is_fetched = swarm.completed_at is not None and swarm.down.total > 0
    return _Seen(swarm.down.total, swarm.up.total, int(is_fetched))
