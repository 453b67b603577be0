"""The node in a peer: its control port, the folder it shares, and where others fetch files over HTTP."""

from __future__ import annotations

import os
import time
from collections import Counter
from pathlib import Path
from random import Random, SystemRandom
from typing import Any

from attrs import evolve
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.internet.task import deferLater
from twisted.logger import Logger

from p2pshare.addresses import Address, parse_address
from p2pshare.client.kept import KeptTorrents
from p2pshare.client.node_settings import CONTROL_PORT, DOWNLOAD_PORT
from p2pshare.client.pausing import PausableTorrents
from p2pshare.client.session import Session, Threads
from p2pshare.client.settings import PeerSettings
from p2pshare.daemons.access import TOKEN_VARIABLE, Key, choose_key
from p2pshare.daemons.content_server import reachable_host
from p2pshare.daemons.node_files import NoFolder, heard_by, refuse_file
from p2pshare.daemons.node_ports import EVERYWHERE, is_here, is_this_machine, listen, port_of
from p2pshare.daemons.sharing import MakeThreads, Sharing, announce_url
from p2pshare.discovery.index_client import IndexClient, index_url, make_index_client
from p2pshare.faces.node import Node, NodeParts, Standing
from p2pshare.faces.node_site import node_dispatcher
from p2pshare.settings import read_networks
from p2pshare.sharing.listing import Presence
from p2pshare.sharing.node_id import node_id
from p2pshare.sharing.shelf import file_id
from p2pshare.sharing.walk import is_wanted, open_below
from p2pshare.storage.workers import Workers
from p2pshare.web.dispatch import Dispatcher
from p2pshare.web.guard import Guard, token_url
from p2pshare.web.limits import LimitedSite, WebLimits
from p2pshare.web.paths import Paths
from p2pshare.web.routes import RouteTable
from p2pshare.web.sources import Sources
from p2pshare.web.spawn import Background

_ID, _KEPT, _NOTHING = "node_id", "torrents", "unshared"
_READERS = 4  # threads for what is fetched and put here over HTTP
_DOWNLOADS = ("/download", "/api/v1/download/", "/torrent")  # what the downloads port has


def make_workers(reactor: Any) -> MakeThreads:
    """Make threads of our own."""
    return lambda name, most: Workers(reactor, limit=most, name=name)


class NodeService(Service):
    """
    A session's control port, and its shared folder if it has one. Started after the session; stopped beside it.

    All of it comes into being at the start: databases and threads do not survive the step into the background before.
    """

    log = Logger()

    def __init__(
        self,
        settings: PeerSettings,
        state: Path,
        session: Session,
        torrents: PausableTorrents,
        reactor: Any,
        random: Random,
        make_threads: MakeThreads | None = None,
    ) -> None:
        """
        Keep what the parts are made of.

        :param settings: with the paths of all folders.
        :param torrents: those of the session.
        """
        self._settings = settings
        self._state = state
        self._session = session
        self._torrents = torrents
        self._reactor = reactor
        self._random = random
        self._make_threads = make_workers(reactor) if make_threads is None else make_threads
        self._limits, self._hits = WebLimits(), Counter[str]()
        self._ports: list[IListeningPort] = []
        self._background = Background()
        self._index: IndexClient | None = None
        self._sharing: Sharing | None = None
        self._node: Node | None = None
        self._threads: Threads | None = None
        self._kept = KeptTorrents(state / _KEPT, session.run_in_thread)

    def startService(self) -> None:
        """
        Listen, and begin to share.

        :raise P2PShareError: a port cannot be had, a token or an index cannot be used, or the state cannot.
        """
        super().startService()
        settings = self._settings
        control = settings.control
        bind = "127.0.0.1" if control.bind == "localhost" else control.bind
        key = choose_key(
            control.token, bind=bind, required=control.require_token, folder=self._state, environment=os.environ
        )
        self._threads = threads = self._make_threads("node", _READERS)
        if settings.share.index is not None:
            token = settings.share.index_token or os.environ.get(TOKEN_VARIABLE)
            base = index_url(settings.share.index)
            self._index = make_index_client(self._reactor, base, token, bind_address=settings.bind)
        site, port = self._listen([bind], CONTROL_PORT if control.port is None else control.port, control.port is None)
        downloads, place = self._open_downloads(bind, port)
        name, region = node_id(self._state / _ID, SystemRandom()), settings.share.region
        self._presence = Presence(name, place.port, place.host or None, region, self._session.peer_id)
        if settings.share.folder is not None:
            folder = Path(settings.share.folder)
            self._sharing = Sharing(
                folder,
                settings.share,
                self._state,
                self._session,
                self._index,
                self._presence,
                self._make_threads,
                self._reactor,
                self._random,
            )
        self._node = node = self._make_node(threads)
        self._serve(node, site, downloads, key)
        node.startService()
        if self._sharing is not None:
            self._sharing.library.subscribe(heard_by(node))
            self._sharing.startService()
        self._background.spawn(self._take_up(), "taking up the torrents of earlier runs")
        self._say_where(bind, port, key)

    def stopService(self) -> Deferred[None]:
        """Fire when nothing listens, the index has heard our goodbye, and everything is written and closed."""
        super().stopService()
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        endings: list[Deferred[Any]] = [maybeDeferred(port.stopListening) for port in self._ports]
        endings += [maybeDeferred(part.stopService) for part in (self._node, self._sharing) if part is not None]
        await self._all(self._background.stop(), *endings)
        if self._index is not None:
            await self._all(self._index.close())
        if self._threads is not None:
            await self._all(self._threads.stop())

    async def _all(self, *endings: Deferred[Any]) -> None:
        """Wait for each of them: what one cannot end must not keep the others from ending in order."""
        for ending in endings:
            ending.addErrback(lambda failure: self.log.failure("stopping", failure))
        await DeferredList(endings)

    # Where

    def _listen(self, hosts: list[str], port: int, or_any: bool) -> tuple[LimitedSite, int]:
        sources = Sources(read_networks(("private",)))
        site = LimitedSite(Paths({}), self._limits, sources, self._reactor, hits=self._hits)
        self._ports.append(listen(self._reactor, site, hosts, [port, 0] if or_any else [port]))
        return site, port_of(self._ports[-1])

    def _open_downloads(self, bind: str, control: int) -> tuple[LimitedSite | None, Address]:
        """Open a port for downloads where others could not get at ours; and say where the index sends people."""
        share = self._settings.share
        told = Address("", control)
        site = None
        if self._index is not None and share.folder is not None:
            if is_this_machine(bind) and not is_here(self._index.base):
                hosts = list(EVERYWHERE) if share.bind is None else [share.bind]
                site, port = self._listen(
                    hosts, DOWNLOAD_PORT if share.port is None else share.port, share.port is None
                )
                told = Address("", port)
            elif bind not in EVERYWHERE and not is_this_machine(bind):
                told = Address(bind, control)
        if share.address is not None:
            told = parse_address(share.address, told.port)
        return site, told

    def _say_where(self, bind: str, port: int, key: Key) -> None:
        host = reachable_host(None) if bind in EVERYWHERE else bind
        page = f"http://{Address(host, port)}/"
        self.log.info("node listening at {url}", url=page)
        if key.token is not None and key.is_new:
            self.log.info("what writes needs a token; open {url}", url=token_url(page, key.token))

    # What

    def _make_node(self, threads: Threads) -> Node:
        settings, sharing = self._settings, self._sharing
        owner = self._presence.id
        parts = NodeParts(
            library=NoFolder(self._state / _NOTHING),
            torrents=self._torrents,
            standing=self._standing,
            id_of=lambda name: file_id(name, owner),
            open_below=open_below,
            is_wanted=refuse_file,
            data=Path(settings.data),
            index=self._index,
            pausing=self._torrents,
            memory=self._kept,
            max_file_size=settings.share.max_file_size,
        )
        if sharing is not None:
            parts = evolve(
                parts,
                library=sharing.library,
                is_wanted=is_wanted,
                elsewhere=sharing,
                fetched=sharing.library.count_download,
                torrent_of=sharing.torrent_file,
                is_shared=lambda info_hash: sharing.seeds(info_hash) and not self._torrents.came_here(info_hash),
            )
        return Node(parts, threads.run, self._reactor, time.time, self._limits, self._hits)

    def look(self) -> None:
        """Something in the shared folder may have changed."""
        if self._sharing is not None:
            self._sharing.library.poke()

    def _standing(self) -> Standing:
        presence, index, sharing = self._presence, self._index, self._sharing
        registrar = None if sharing is None else sharing.registrar
        host = presence.address or ("" if index is None else index.our_host or "")
        known_as = None if registrar is None else registrar.id
        return Standing(
            id=known_as or presence.id,
            address=str(Address(host, presence.port)) if host else "",
            region=presence.region,
            super_peer=None if index is None else index.base,
            is_registered=registrar is not None and known_as is not None and registrar.trouble is None,
            trouble=None if sharing is None else sharing.trouble,
            peer_port=self._session.port,
            trackers=() if index is None else (announce_url(index.base),),
        )

    def _serve(self, node: Node, control: LimitedSite, downloads: LimitedSite | None, key: Key) -> None:
        settings, clock, limits, hits = self._settings.control, self._reactor, self._limits, self._hits
        # The name that we tell the index is one that people come by.
        hosts = settings.hosts if self._presence.address is None else (*settings.hosts, self._presence.address)
        guard = Guard(clock.seconds, limits, hosts, settings.origins, key.token, hits)
        control.resource = control.bodies = node_dispatcher(node, guard, limits, clock, hits)
        if downloads is not None:
            table = RouteTable([route for route in node.routes() if route.path.startswith(_DOWNLOADS)])
            stranger = Guard(clock.seconds, limits, hosts, settings.origins, hits=hits)
            downloads.resource = downloads.bodies = Dispatcher(table, {}, stranger, limits, clock, hits)

    async def _take_up(self) -> None:
        """Go on with the torrents that were added over HTTP in earlier runs."""
        data = Path(self._settings.data)
        for intake in await self._session.run_in_thread(self._kept.load, data):
            if not self._torrents.holds(intake.content.info_hash):
                self._torrents.add(intake.content, intake.folder)
            await deferLater(self._reactor, 0)  # there may be hundreds, and peers must not wait for all of them
