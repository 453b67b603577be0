"""A node over HTTP: its files, the search from it, its torrents, and the page that shows them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from attrs import define, field, frozen
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from p2pshare import __version__
from p2pshare.faces.node_content import OpenBelow
from p2pshare.faces.node_downloads import NodeDownloads
from p2pshare.faces.node_files import NodeFileFace, SharedFolder
from p2pshare.faces.node_news import NodeNews
from p2pshare.faces.node_offer import Elsewhere, Nowhere, Offer, Shared
from p2pshare.faces.node_search import Index, NodeSearch
from p2pshare.faces.node_stats import NodeStats, SwarmTotals, Uploaded
from p2pshare.faces.node_torrent_files import NodeTorrentFiles, TorrentOf
from p2pshare.faces.node_torrents import Memory, NodeTorrents, NoMemory, Pausing, Torrents
from p2pshare.faces.node_uploads import MAX_FILE_SIZE, NodeUploads
from p2pshare.web.limits import WebLimits
from p2pshare.web.open_file import Run
from p2pshare.web.paths import Access
from p2pshare.web.routes import Call, Route


class Library(SharedFolder, Protocol):
    """The shared files of a folder; a Library of sharing/library.py."""

    @property
    def files(self) -> Mapping[str, Shared]:
        """What is shared, by name."""

    @property
    def problems(self) -> Mapping[str, str]:
        """What is not, and why."""


@frozen
class Standing:
    """How this node stands to the rest of the world."""

    id: str  # by which the index knows it, or is to
    address: str = ""  # host:port at which others fetch files from here; empty: not known
    region: str = ""
    super_peer: str | None = None  # the URL of its index; None: it has none
    is_registered: bool = False
    trouble: str | None = None  # why the index cannot be told anything
    peer_port: int = 0  # where it listens for BitTorrent; 0: nowhere
    trackers: tuple[str, ...] = ()  # to be named in magnet links


@frozen
class NodeInfo:
    """Who this node is."""

    id: str
    address: str
    region: str
    super_peer: str | None
    is_registered: bool
    trouble: str | None
    peer_port: int
    trackers: tuple[str, ...]
    shared_files: int
    shared_bytes: int
    problems: int  # files in the folder that cannot be shared
    max_file_size: int  # bytes of a file that is shared over HTTP
    version: str


@frozen
class NodeParts:
    """
    What a node is wired to.

    :ivar id_of: the id of a file by its name, ``file_…``; the same at every start.
    :ivar open_below: opens a file by its name below a folder, following no symbolic link; raises OSError.
    :ivar is_wanted: whether a file of this name in the folder would be shared.
    :ivar data: where the content of torrents is that are added over HTTP.
    :ivar fetched: told the name of each shared file that somebody has fetched.
    :ivar is_shared: whether a torrent is one of a shared file, by its info hash.
    :ivar torrent_of: writes the torrent of a shared file; None: they are not seeded.
    """

    library: Library
    torrents: Torrents
    standing: Callable[[], Standing]
    id_of: Callable[[str], str]
    open_below: OpenBelow
    is_wanted: Callable[[str], bool]
    data: Path
    index: Index | None = None
    elsewhere: Elsewhere = field(factory=Nowhere)
    pausing: Pausing | None = None
    memory: Memory = field(factory=NoMemory)
    fetched: Callable[[str], object] = lambda name: None
    is_shared: Callable[[bytes], bool] = lambda info_hash: False
    torrent_of: TorrentOf | None = None
    max_file_size: int = MAX_FILE_SIZE


@define(eq=False)
class NodeAbout:
    """Answers who this node is and what it has done."""

    _parts: NodeParts
    _offer: Offer
    _uploaded: Uploaded
    _totals: SwarmTotals
    _now: Callable[[], float]  # the clock of the swarms

    def routes(self) -> list[Route]:
        """Give the rows."""
        return [
            self._row("/api/v1/info", self.show_info, "Who this node is", NodeInfo),
            self._row("/api/v1/stats", self.show_stats, "What this node has fetched and given", NodeStats),
        ]

    def info(self) -> NodeInfo:
        """Say who this node is."""
        standing, parts = self._parts.standing(), self._parts
        return NodeInfo(
            id=standing.id,
            address=standing.address,
            region=standing.region,
            super_peer=standing.super_peer,
            is_registered=standing.is_registered,
            trouble=standing.trouble,
            peer_port=standing.peer_port,
            trackers=standing.trackers,
            shared_files=len(self._offer),
            shared_bytes=self._offer.size,
            problems=len(parts.library.problems),
            max_file_size=parts.max_file_size,
            version=__version__,
        )

    def stats(self) -> NodeStats:
        """Say what it has done since it runs."""
        return NodeStats(self._totals.downloads(), self._uploaded.stats, self._totals.swarms(self._now()))

    async def show_info(self, call: Call[None, None]) -> NodeInfo:
        """The same is the first thing a WebSocket hears."""
        return self.info()

    async def show_stats(self, call: Call[None, None]) -> NodeStats:
        """Since it runs."""
        return self.stats()

    def _row(self, path: str, answer: Callable[[Any], Any], summary: str, reply: type) -> Route:
        return Route("GET", path, answer, summary, access=Access.SAME, reply=reply, group="Node")


class Node(Service):
    """
    All faces of a node. Whoever wires it tells it what becomes of shared files.

    :ivar news: the WebSocket.
    """

    def __init__(
        self,
        parts: NodeParts,
        run: Run,
        clock: IReactorTime,
        now: Callable[[], float],
        limits: WebLimits,
        hits: Counter[str],
    ) -> None:
        """
        Join the faces.

        :param run: calls a function in a thread.
        :param clock: for timers; its seconds are those of the swarms.
        :param now: seconds since 1970.
        """
        library = parts.library
        self._library = library
        self._offer = Offer(library.files, parts.id_of, parts.elsewhere)
        self._unshared: set[str] = set()  # names that are being taken back from here
        uploaded, totals = Uploaded(), SwarmTotals(parts.torrents.swarms)
        self.about = NodeAbout(parts, self._offer, uploaded, totals, clock.seconds)
        self._torrents = NodeTorrents(
            parts.torrents,
            parts.data,
            run,
            clock.seconds,
            limits.torrent_bytes,
            parts.is_shared,
            parts.pausing,
            parts.memory,
        )
        self.news = NodeNews(self.about.info, self._torrents.transfers, totals.look, limits, clock, now, hits)
        self._uploads = NodeUploads(
            self._offer, library, parts.open_below, run, clock, parts.is_wanted, parts.id_of, parts.max_file_size
        )
        self._files = NodeFileFace(self._offer, library, parts.open_below, run, self._unshared.add)
        stall = limits.file_stall
        self._downloads = NodeDownloads(
            self._offer,
            library.folder,
            parts.open_below,
            run,
            clock,
            stall,
            hits,
            uploaded,
            parts.fetched,
            library.poke,
        )
        self._torrent_files = NodeTorrentFiles(self._offer, parts.torrent_of)
        self._search = NodeSearch(self._offer, library.files, lambda: parts.standing().id, run, parts.index)

    def routes(self) -> list[Route]:
        """Give all rows."""
        return [
            *self.about.routes(),
            *self._files.routes(),
            *self._uploads.routes(),
            *self._search.routes(),
            *self._downloads.routes(),
            *self._torrent_files.routes(),
            *self._torrents.routes(),
        ]

    def added(self, file: Shared) -> None:
        """A file is shared from now on."""
        self._offer.added(file)
        is_ours = self._uploads.added(file)
        self.news.tell("file_shared" if is_ours else "file_added", self._offer.describe(file))

    def removed(self, file: Shared) -> None:
        """A file is not shared any more."""
        self._offer.removed(file)
        is_ours = file.name in self._unshared
        self._unshared.discard(file.name)
        self.news.tell("file_unshared" if is_ours else "file_removed", self._offer.describe(file))

    def changed(self, old: Shared, file: Shared) -> None:
        """A file has another content than before."""
        self.removed(old)
        self.added(file)

    def startService(self) -> None:
        """Sweep what uploads have left behind, and look in rounds. Blocks for the sweep."""
        super().startService()
        self._uploads.sweep()
        self.news.startService()

    def stopService(self) -> Deferred[None]:
        """Fire when the uploads that have arrived are dealt with."""
        super().stopService()
        self.news.stopService()
        return self._uploads.over()
