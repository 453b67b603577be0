"""``twistd p2p-tracker``: a tracker's options, and the joining of its parts."""

from __future__ import annotations

import errno
import os
import random
import secrets
import signal
import socket
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from platformdirs import user_state_path
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.usage import UsageError

from p2pshare.addresses import Address
from p2pshare.daemons.access import choose_key
from p2pshare.daemons.clock import make_monotonic
from p2pshare.daemons.files import allow_many_files
from p2pshare.daemons.service_settings import IndexSettings, ServiceSettings
from p2pshare.daemons.signals import stop_on_signals
from p2pshare.daemons.state import StateLock
from p2pshare.daemons.twistd import DaemonOptions, Started
from p2pshare.errors import ConfigError, P2PShareError
from p2pshare.settings import load_settings, override, read_networks
from p2pshare.tracker.connection_ids import ConnectionIds
from p2pshare.tracker.http import KeyedViews, TrackerFace, views
from p2pshare.tracker.lane import AnnounceSite
from p2pshare.tracker.logic import Tracker
from p2pshare.tracker.names import Names, hosts_of
from p2pshare.tracker.private import Admission, ListKeeper
from p2pshare.tracker.settings import SECTION
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.tracker.udp import UDPFace, listen
from p2pshare.tracker.upkeep import Upkeep
from p2pshare.web.guard import token_url
from p2pshare.web.paths import Paths
from p2pshare.web.sources import Sources

_BACKLOG = 1024  # connections that wait for us; most announces come with a connection of their own
_STATE_FILE = "swarms"
_EVERYWHERE = ("0.0.0.0", "::")
IN_MEMORY = ":memory:"  # of SQLite
_ATTEMPTS = 8  # at a port number that is free for TCP and UDP alike, where any will do


class Options(DaemonOptions):
    """What can be said on the command line; a flag goes before the settings file, the file before the defaults."""

    synopsis = "[options]"
    longdesc = (
        "A BitTorrent tracker over HTTP and UDP: tells the peers of every torrent of each other. With it comes an "
        "index of what they share, to be searched on its page and by programs."
    )
    optParameters = [
        ["port", "p", None, "TCP and UDP port; 0: any free one. [default: 8000]"],
        ["bind", "b", None, "Address to listen on; 0.0.0.0 or :: for all. [default: 127.0.0.1]"],
        ["interval", "i", None, "Seconds between two announces of a peer. [default: 1800]"],
        ["config", "c", None, "Settings file, such as conf/tracker.toml."],
        ["state-dir", None, None, "Folder that keeps the swarms over a restart. [default: the user's state folder]"],
        ["state", None, None, "File that keeps them, instead of a folder."],
        ["db", None, None, "SQLite file of the index; :memory: for none. [default: in the state folder]"],
        ["uploads", None, None, "Folder of files that are uploaded to the index. [default: in the state folder]"],
    ]
    optFlags = [
        ["no-state", None, "Keep nothing over a restart."],
        ["no-udp", None, "Answer over HTTP only."],
        ["no-index", None, "Be a tracker only: no search, no uploads, no page."],
    ]

    settings: ServiceSettings
    state: Path | None  # the snapshot's file

    def postOptions(self) -> None:
        """Turn what was said into settings."""
        try:
            config = self["config"]
            settings = ServiceSettings() if config is None else load_settings(config, ServiceSettings, SECTION)
            bind = "127.0.0.1" if self["bind"] == "localhost" else self["bind"]
            self.settings = override(
                settings,
                port=self._number("port"),
                bind=bind,
                interval=self._number("interval"),
                udp=False if self["no-udp"] else None,
                state_dir=self["state-dir"],
                index=self._index_settings(settings.index),
            )
        except ConfigError as error:
            raise UsageError(str(error)) from error
        if (self["state"] is not None) + (self["state-dir"] is not None) + self["no-state"] > 1:
            raise UsageError("only one of --state, --state-dir and --no-state can be given")
        self.state = None if self["no-state"] else self._state_file()

    def _index_settings(self, settings: IndexSettings) -> IndexSettings:
        db, uploads = self["db"], self["uploads"]
        return override(
            settings,
            enabled=False if self["no-index"] else None,
            # twistd may go to another folder before it starts anything.
            db=db if db in (None, IN_MEMORY) else str(Path(db).absolute()),
            uploads=None if uploads is None else str(Path(uploads).absolute()),
        )

    def _number(self, name: str) -> int | None:
        text = self[name]
        if text is None:
            return None
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"--{name} {text}: expected a whole number") from None

    def _state_file(self) -> Path:
        if self["state"] is not None:
            return Path(self["state"]).absolute()
        folder = self.settings.state_dir
        return (user_state_path("p2pshare") / "tracker" if folder is None else Path(folder).absolute()) / _STATE_FILE


def makeService(options: Options) -> IService:
    """Build the service that twistd, or ``p2pshare tracker``, starts."""
    from twisted.internet import reactor

    if options.parent is not None:  # this process is ours
        make_monotonic(reactor)
        allow_many_files()
        reactor.callWhenRunning(stop_on_signals, reactor)
    service = TrackerService(options.settings, options.state, reactor)
    if options.settings.private:
        reactor.callWhenRunning(_reread_on_hangup, reactor, service.lists)
    return service if options.parent is None else Started(service, options.parent)


def _reread_on_hangup(reactor: Any, lists: ListKeeper) -> None:
    signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(lists.reread))


class TrackerService(MultiService):
    """A tracker that listens. Privileged start: binds the port. Start: takes the state over."""

    log = Logger()

    def __init__(
        self,
        settings: ServiceSettings,
        state: Path | None,
        reactor: Any,
        now: Callable[[], float] = time.monotonic,  # the reactor's own clock jumps when somebody sets the time
        chance: Callable[[], float] = random.random,
    ) -> None:
        """
        Join the parts.

        :param state: the snapshot's file; None: nothing is kept.
        """
        super().__init__()
        self._settings = settings
        self._reactor = reactor
        self._lock = None if state is None else StateLock(state.with_name(f"{state.name}.lock"))
        self._port: IListeningPort | None = None
        self._udp_port: IListeningPort | None = None
        limits = settings.limits
        self.store = MemorySwarms(chance, limits.torrents, limits.peers_per_torrent)
        admission = Admission()
        self.tracker = Tracker(self.store, settings, read_networks(settings.claims), now, admission)
        self.lists = ListKeeper(settings, admission, self._run, reactor)
        self.lists.setServiceParent(self)
        names = Names(self._look_up, reactor)
        face = TrackerFace(self.tracker, names, settings)
        tracker_views = KeyedViews(views(face)) if settings.private else views(face)
        sources = Sources(read_networks(limits.exempt), read_networks(settings.proxies))
        self.site = AnnounceSite(
            Paths(tracker_views),
            limits.web(),
            sources,
            reactor,
            settings.access_log,
            answer=face.answer,
            refusal_status=settings.error_status,
        )
        ids = ConnectionIds(secrets.token_bytes(), now)
        self._udp_face = UDPFace(self.tracker, names, settings, sources, ids)
        Upkeep(self.store, settings, state, self._run, reactor, now, chance).setServiceParent(self)
        self._state = state
        self._now = now
        self._tracker_views = views(face)

    @property
    def url(self) -> str:
        """Where to announce over HTTP."""
        assert self._port is not None, "asked for the address before listening"
        return _announce_url("http", self._port)

    @property
    def udp_url(self) -> str | None:
        """Where to announce over UDP; None when that is not asked for."""
        return None if self._udp_port is None else _announce_url("udp", self._udp_port)

    def privilegedStartService(self) -> None:
        """
        Bind the port, for TCP and UDP.

        :raise P2PShareError: it is taken, or the address is not this machine's.
        """
        super().privilegedStartService()
        self._bind()

    def startService(self) -> None:
        """
        Take the state over and begin.

        :raise P2PShareError: another process uses that state.
        """
        if self._port is None:
            self._bind()
        if self._lock is not None:
            self._lock.take()
        if self._settings.index.enabled:
            self._add_index()
        super().startService()
        if self.udp_url is None:
            self.log.info("tracker listening at {url}", url=self.url)
        else:
            self.log.info("tracker listening at {url} and {udp_url}", url=self.url, udp_url=self.udp_url)

    def stopService(self) -> Deferred[None]:
        """Close the ports and save; fires when that is done."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for port in (self._udp_port, self._port):
            if port is not None:
                await maybeDeferred(port.stopListening)
        self._port = self._udp_port = None
        await maybeDeferred(super().stopService)
        if self._lock is not None:
            self._lock.release()

    def _add_index(self) -> None:
        """Put the index behind the site; whoever has just been given a token is told where it opens."""
        from p2pshare.daemons.index_service import IndexService  # late: nobody has to wait for it who wants none

        web, state = self._settings.web, self._state
        folder = None if state is None else state.parent
        key = choose_key(
            web.token, bind=self._settings.bind, required=web.require_token, folder=folder, environment=os.environ
        )
        if key.token is not None and key.is_new:
            page = self.url.removesuffix("announce")
            self.log.info("what writes needs a token; open {url}", url=token_url(page, key.token))
        index = IndexService(
            self._settings,
            folder,
            key,
            self.site,
            self.tracker,
            self.store,
            self._tracker_views,
            self._reactor,
            self._run,
            self._now,
        )
        index.setServiceParent(self)

    def _bind(self) -> None:
        """Take one port number for both; where any will do, another one if that of TCP's choice is taken for UDP."""
        attempts = 1 if self._settings.port else _ATTEMPTS
        taken: list[IListeningPort] = []
        try:
            while True:
                self._port = self._listen(self._settings.bind)
                if not self._settings.udp:
                    return
                at: Any = self._port.getHost()
                try:
                    self._udp_port = listen(self._reactor, self._udp_face, at.port, at.host)
                except CannotListenError as error:
                    # It stays open for the moment, or the system might choose it again.
                    taken.append(self._port)
                    self._port = None
                    if len(taken) == attempts:
                        text = _reason_of(error)
                        raise P2PShareError(f"cannot listen on {Address(at.host, at.port)} (UDP): {text}") from error
                else:
                    return
        finally:
            for port in taken:
                port.stopListening()

    def _listen(self, host: str) -> IListeningPort:
        port = self._settings.port
        try:
            listening: IListeningPort = self._reactor.listenTCP(port, self.site, _BACKLOG, host)
            return listening
        except CannotListenError as error:
            if host == "::" and getattr(error.socketError, "errno", None) in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                self.log.warn("no IPv6 on this machine: listening for IPv4 only")
                return self._listen("0.0.0.0")
            raise P2PShareError(f"cannot listen on {Address(host, port)}: {_reason_of(error)}") from error

    def _run(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function, *args)

    def _look_up(self, name: str) -> Deferred[Sequence[str]]:
        return self._run(hosts_of, name)


def _announce_url(scheme: str, port: IListeningPort) -> str:
    at: Any = port.getHost()
    host = socket.gethostname() if at.host in _EVERYWHERE else at.host
    return f"{scheme}://{Address(host, at.port)}/announce"


def _reason_of(error: CannotListenError) -> str:
    return getattr(error.socketError, "strerror", None) or str(error.socketError)
