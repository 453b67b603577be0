"""Course and text peers beside the torrents of a session, all on its one port: the first bytes tell who means whom."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

from attrs import define
from twisted.application.service import Service
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IStreamClientEndpoint, IStreamServerEndpoint
from twisted.logger import Logger
from twisted.web.client import HTTPConnectionPool

from p2pshare.client.session import Session
from p2pshare.client.settings import PeerSettings
from p2pshare.daemons.course import CourseService
from p2pshare.discovery.address_policy import Zone
from p2pshare.discovery.zoned_agent import zoned_agent
from p2pshare.errors import P2PShareError, PortError
from p2pshare.peer.first_bytes import SharedPort
from p2pshare.storage.workers import Workers
from p2pshare.textswarm.peer import TextPeer
from p2pshare.textswarm.tracker import TrackerFace, tracker_url
from p2pshare.web.spawn import Background
from p2pshare.wire import course

COURSE = course.PROTOCOL_PREFIX[:3]  # what its connections begin with
TEXT = b"HAN"  # as in HANDSHAKE

_TEXT_FOLDER = "text"  # in the state folder
_CONNECT_TIMEOUT = 10.0  # s


def other_dialects(
    settings: PeerSettings, state: Path, session: Session, reactor: Any, random: Random
) -> Iterator[Service]:
    """Make the services of all protocols besides BitTorrent that a peer is to speak."""
    text, place = settings.text, settings.course.place
    if text.seed:
        files = [Path(file) for file in text.seed]
        yield TextSeeds(session, files, text.tracker, state / _TEXT_FOLDER, reactor, random)
    if place is not None:
        yield CourseService(*place, reactor, settings.course, SharedEndpoints(session, COURSE, reactor))


@define(eq=False)
class SharedEndpoints:
    """Where one dialect listens on a session's port, and how it dials."""

    _session: Session
    _first: bytes
    _reactor: Any  # IReactorTCP, IReactorTime, IReactorPluggableNameResolver

    def server(self, port: int) -> IStreamServerEndpoint:
        """
        Give the dialect's part of the port; 0: whichever that is.

        :raise PortError: the session listens elsewhere.
        """
        shared = self._session.port
        if port not in (0, shared):
            raise PortError(f"port {port}: this peer listens on port {shared}")
        host = IPv4Address("TCP", self._session.settings.bind or "0.0.0.0", shared)
        return SharedPort(self._session.dialects, self._first, lambda: host)

    def client(self, host: str, port: int) -> IStreamClientEndpoint:
        """Make the endpoint of a peer, by name or address."""
        return HostnameEndpoint(self._reactor, host, port, _CONNECT_TIMEOUT, self._session.settings.bind)


class TextSeeds(Service):
    """Shares files in text swarms. Started after the session; stopped beside it."""

    log = Logger()

    def __init__(
        self, session: Session, files: Sequence[Path], tracker: str, folder: Path, reactor: Any, random: Random
    ) -> None:
        """
        Be told what to share.

        :param tracker: its URL.
        :param folder: where the pieces of the files are laid out.
        """
        self._session = session
        self._files = files
        self._tracker = tracker_url(tracker)
        self._folder = folder
        self._reactor = reactor
        self._random = random
        self._background = Background()
        self._peer: TextPeer | None = None
        self._workers: Workers | None = None

    def startService(self) -> None:
        super().startService()
        bind = self._session.settings.bind
        pools = {zone: HTTPConnectionPool(self._reactor, persistent=False) for zone in Zone}
        ask = TrackerFace(self._tracker, zoned_agent(self._reactor, pools, None, bind), self._reactor).ask
        endpoints = SharedEndpoints(self._session, TEXT, self._reactor)
        # Threads of our own: those of the session end when its torrents are closed, and we may have goodbyes to say.
        self._workers = Workers(self._reactor, name="text")
        self._peer = TextPeer(self._folder, ask, self._reactor, endpoints, self._random, self._workers.run)
        self._background.spawn(self._begin(self._peer), "sharing in text swarms")

    def stopService(self) -> Deferred[None]:
        """Leave the swarms; fires when that is done."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._background.stop()
        if self._peer is not None:
            await self._peer.exit()
        if self._workers is not None:
            await self._workers.stop()

    async def _begin(self, peer: TextPeer) -> None:
        await peer.start(0)
        for file in self._files:
            try:
                torrent = await peer.seed(file)
            except P2PShareError as error:  # the others are shared all the same
                self.log.error("{file}: not shared in a text swarm: {error}", file=file, error=error)
            else:
                told = {"hash": torrent.torrent_hash, "name": file.name, "pieces": torrent.num_pieces}
                self.log.info("text swarm: {hash} {name} {pieces}", **told)
