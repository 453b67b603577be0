"""The torrents of a node over HTTP: how they stand, and what is done with them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, Protocol

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred, succeed

from p2pshare.errors import ConfigError, MetainfoError, RequestRefused, StorageError
from p2pshare.faces.node_files import LONGEST_PAGE, NodePage
from p2pshare.faces.node_transfers import (
    TorrentDetails,
    TorrentInfo,
    TransferList,
    details,
    paused_info,
    transfers_now,
)
from p2pshare.faces.node_uploads import FORM_BYTES, BoundedSink
from p2pshare.metainfo import Metainfo, parse
from p2pshare.swarm.snapshot import SwarmSnapshot, take_snapshot
from p2pshare.swarm.swarm import Swarm
from p2pshare.web.open_file import Run
from p2pshare.web.paths import Access
from p2pshare.web.replies import Refused
from p2pshare.web.routes import Call, Route
from p2pshare.web.uploads import FilePart, UploadForm

TORRENT_NOT_FOUND = "Torrent not found"
_NO_SUCH_TORRENT = {404: TORRENT_NOT_FOUND}
_PAGE = 200  # torrents
_HASH_DIGITS = 40


class Torrents(Protocol):
    """Where torrents are at work; a Session."""

    @property
    def swarms(self) -> Mapping[bytes, Swarm]:
        """By info hash."""

    def add(self, content: Metainfo, folder: Path) -> object:
        """Take one on. :raise ConfigError: it is here already."""

    def remove(self, info_hash: bytes) -> Deferred[None]:
        """Stop one and forget it; its files stay."""


class Pausing(Protocol):
    """
    Stops torrents for a while. What is paused is not among the swarms.

    :meth:`pause` and :meth:`recheck` are only asked for torrents among the swarms, :meth:`resume` for paused ones, and
    :meth:`forget` for a paused one that is removed.
    """

    @property
    def paused(self) -> Mapping[bytes, SwarmSnapshot]:
        """How those stood that are paused, by info hash."""

    def pause(self, info_hash: bytes) -> Deferred[None]:
        """Stop one, and remember where it is."""

    def resume(self, info_hash: bytes) -> Deferred[None]:
        """Go on with one."""

    def recheck(self, info_hash: bytes) -> Deferred[None]:
        """Hash everything again that is on disk; fires once that has begun."""

    def forget(self, info_hash: bytes) -> Deferred[None]:
        """Drop a paused one."""


class Memory(Protocol):
    """Keeps the torrents that were added over HTTP, so that they are there after the next start."""

    def remember(self, content: Metainfo) -> Deferred[None]:
        """Keep one. Fails with StorageError."""

    def forget(self, info_hash: bytes) -> Deferred[None]:
        """Keep one no more; one that was not kept is no error."""


@define
class NoMemory:
    """Keeps nothing."""

    def remember(self, content: Metainfo) -> Deferred[None]:
        """Nothing to do."""
        return succeed(None)

    def forget(self, info_hash: bytes) -> Deferred[None]:
        """Nothing to do."""
        return succeed(None)


@frozen
class TorrentDone:
    """What became of a torrent."""

    info_hash: str
    name: str
    message: str
    status: str = "success"


@define(eq=False)
class NodeTorrents:
    """Answers who looks at the torrents of this node, or wants something of them."""

    _torrents: Torrents
    _data: Path  # where the content of torrents is that are added here
    _run: Run
    _now: Callable[[], float]  # the clock of the swarms
    _torrent_bytes: int  # of a torrent file, at most
    _is_shared: Callable[[bytes], bool] = lambda info_hash: False  # whether it is a file of the shared folder
    _pausing: Pausing | None = None  # None: it cannot be done here
    _memory: Memory = field(factory=NoMemory)

    def routes(self) -> list[Route]:
        """Give the rows."""
        one = "/api/v1/torrents/{info_hash}"
        form = UploadForm(self._open, limit=self._torrent_bytes + FORM_BYTES)
        return [
            _reading("/api/v1/torrents", self.list_torrents, "List torrents", TransferList, query=NodePage),
            _reading(one, self.show, "Show a torrent, its peers and its pieces", TorrentDetails),
            _writing("POST", "/api/v1/torrents", self.add, "Add a torrent file", {409: "It is here"}, upload=form),
            _writing("DELETE", one, self.remove, "Remove a torrent; its files stay", {409: "It is a shared file"}),
            *(
                _writing("POST", f"{one}/{what}", answer, summary, {409: "It cannot be done now", 501: "Nor ever here"})
                for what, answer, summary in (
                    ("pause", self.pause, "Stop a torrent for a while"),
                    ("resume", self.resume, "Go on with a torrent that is paused"),
                    ("recheck", self.recheck, "Hash all pieces of a torrent again"),
                )
            ),
        ]

    def transfers(self) -> TransferList:
        """Say what goes on now, for the WebSocket."""
        return transfers_now(self._torrents.swarms, self._paused, self._now())

    async def list_torrents(self, call: Call[NodePage, None]) -> TransferList:
        """Those added last first; 200 at once, or up to a thousand with a limit."""
        now, swarms, paused = self._now(), self._torrents.swarms, self._paused
        here = (
            evolve(TorrentInfo.of(take_snapshot(swarm, now)), of_shared_file=self._is_shared(swarm.info_hash))
            for swarm in reversed(list(swarms.values()))
        )
        asleep = (paused_info(snapshot) for snapshot in reversed(list(paused.values())))
        first, end = call.query.cut(_PAGE, LONGEST_PAGE)
        return TransferList(
            list(islice(chain(here, asleep), first, end)),
            len(swarms) + len(paused),
            round(sum(swarm.down.rate(now) for swarm in swarms.values())),
            round(sum(swarm.up.rate(now) for swarm in swarms.values())),
        )

    async def show(self, call: Call[None, None]) -> TorrentDetails:
        """Of a paused torrent only how it stood is known."""
        info_hash = self._named(call)
        swarm = self._torrents.swarms.get(info_hash)
        if swarm is None:
            return TorrentDetails(paused_info(self._paused[info_hash]), [], [], 0, 0, "", 0)
        return details(swarm, self._now())

    async def add(self, call: Call[None, None]) -> TorrentDone:
        """Its content is fetched, or seeded if it is there; then it is seeded until it is removed."""
        assert call.upload is not None, "the route takes one"
        sink = call.upload.sink
        assert isinstance(sink, BoundedSink), "opened by _open()"
        assert isinstance(sink.sink, _InMemory), "opened by _open()"
        try:
            content: Metainfo = await self._run(parse, bytes(sink.sink.data))
        except MetainfoError as error:
            raise RequestRefused(f"not a torrent file that can be used: {error}") from None
        if content.info_hash in self._paused:
            raise Refused(409, f"{content.name}: is here, and paused")
        try:
            self._torrents.add(content, self._data)
        except ConfigError as error:
            raise Refused(409, str(error)) from None
        try:
            await self._memory.remember(content)
        except StorageError as error:
            return _done(content, f"Torrent added; the next start will not know it: {error}")
        return _done(content, "Torrent added")

    async def remove(self, call: Call[None, None]) -> TorrentDone:
        """Answers once it has stopped."""
        info_hash = self._named(call)
        self._refuse_shared(info_hash)
        await self._memory.forget(info_hash)
        swarm = self._torrents.swarms.get(info_hash)
        if swarm is not None:
            await self._torrents.remove(info_hash)
            return _done(swarm.content, "Torrent removed; its files stay")
        assert self._pausing is not None, "it is paused"
        snapshot = self._paused[info_hash]
        await self._pausing.forget(info_hash)
        return TorrentDone(snapshot.info_hash, snapshot.name, "Torrent removed; its files stay")

    async def pause(self, call: Call[None, None]) -> TorrentDone:
        """Answers once it has stopped."""
        info_hash, pausing = self._named(call), self._can_pause()
        self._refuse_shared(info_hash)
        swarm = self._at_work(info_hash)
        await pausing.pause(info_hash)
        return _done(swarm.content, "Torrent paused")

    async def resume(self, call: Call[None, None]) -> TorrentDone:
        """What is on disk is not hashed again, unless it has changed."""
        info_hash, pausing = self._named(call), self._can_pause()
        snapshot = self._paused.get(info_hash)
        if snapshot is None:
            raise Refused(409, "the torrent is not paused")
        await pausing.resume(info_hash)
        return TorrentDone(snapshot.info_hash, snapshot.name, "Torrent resumed")

    async def recheck(self, call: Call[None, None]) -> TorrentDone:
        """Answers once it has begun; the state is ``checking`` meanwhile."""
        info_hash, pausing = self._named(call), self._can_pause()
        swarm = self._at_work(info_hash)
        await pausing.recheck(info_hash)
        return _done(swarm.content, "Torrent is checked")

    @property
    def _paused(self) -> Mapping[bytes, SwarmSnapshot]:
        return {} if self._pausing is None else self._pausing.paused

    def _named(self, call: Call[Any, Any]) -> bytes:
        info_hash = _read_hash(call.params["info_hash"])
        if info_hash not in self._torrents.swarms and info_hash not in self._paused:
            raise Refused(404, TORRENT_NOT_FOUND)
        return info_hash

    def _at_work(self, info_hash: bytes) -> Swarm:
        swarm = self._torrents.swarms.get(info_hash)
        if swarm is None:
            raise Refused(409, "the torrent is paused")
        return swarm

    def _can_pause(self) -> Pausing:
        if self._pausing is None:
            raise Refused(501, "this node cannot pause torrents, nor check them again while it runs")
        return self._pausing

    def _refuse_shared(self, info_hash: bytes) -> None:
        if self._is_shared(info_hash):
            raise Refused(409, "this torrent is a file of the shared folder: unshare the file instead")

    def _open(self, part: FilePart) -> BoundedSink:
        return BoundedSink(_InMemory(), self._torrent_bytes, "torrent_bytes")


@define(eq=False)
class _InMemory:
    """A small upload. Bounded by the sink in front of it."""

    data: bytearray = field(factory=bytearray)

    def write(self, data: bytes) -> Deferred[None]:
        self.data += data
        return succeed(None)

    async def close(self) -> None:
        """All is there."""

    def discard(self) -> Deferred[None]:
        self.data.clear()
        return succeed(None)


def _reading(path: str, answer: Callable[[Any], Any], summary: str, reply: Any, query: type | None = None) -> Route:
    refusals = _NO_SUCH_TORRENT if "{" in path else {}
    return Route(
        "GET", path, answer, summary, Access.SAME, query=query, reply=reply, refusals=refusals, group="Torrents"
    )


def _writing(
    method: str,
    path: str,
    answer: Callable[[Any], Any],
    summary: str,
    refusals: Mapping[int, str],
    upload: UploadForm | None = None,
) -> Route:
    refusals = {**(_NO_SUCH_TORRENT if "{" in path else {}), **refusals}
    return Route(method, path, answer, summary, upload=upload, reply=TorrentDone, refusals=refusals, group="Torrents")


def _done(content: Metainfo, message: str) -> TorrentDone:
    return TorrentDone(content.info_hash.hex(), content.name, message)


def _read_hash(text: str) -> bytes:
    """Read 40 hexadecimal digits; anything else is the hash of nothing."""
    try:
        return bytes.fromhex(text) if len(text) == _HASH_DIGITS else b""
    except ValueError:
        return b""
