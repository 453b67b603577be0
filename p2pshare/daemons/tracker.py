"""``twistd p2p-tracker``: a tracker's options, and the joining of its parts."""

from __future__ import annotations

import errno
import random
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
from p2pshare.daemons.clock import make_monotonic
from p2pshare.daemons.files import allow_many_files
from p2pshare.daemons.signals import stop_on_signals
from p2pshare.daemons.state import StateLock
from p2pshare.daemons.twistd import DaemonOptions, Started
from p2pshare.errors import ConfigError, P2PShareError
from p2pshare.settings import load_settings, override, read_networks
from p2pshare.tracker.http import views
from p2pshare.tracker.logic import Tracker
from p2pshare.tracker.names import Names, hosts_of
from p2pshare.tracker.settings import SECTION, TrackerSettings
from p2pshare.tracker.swarm_store import MemorySwarms
from p2pshare.tracker.upkeep import Upkeep
from p2pshare.web.limits import LimitedSite
from p2pshare.web.paths import Paths
from p2pshare.web.sources import Sources

_BACKLOG = 1024  # connections that wait for us; most announces come with a connection of their own
_STATE_FILE = "swarms"
_EVERYWHERE = ("0.0.0.0", "::")


class Options(DaemonOptions):
    """What can be said on the command line; a flag goes before the settings file, the file before the defaults."""

    synopsis = "[options]"
    longdesc = "A BitTorrent tracker: tells the peers of every torrent of each other, over HTTP."
    optParameters = [
        ["port", "p", None, "TCP port; 0: any free one. [default: 8000]"],
        ["bind", "b", None, "Address to listen on; 0.0.0.0 or :: for all. [default: 127.0.0.1]"],
        ["interval", "i", None, "Seconds between two announces of a peer. [default: 1800]"],
        ["config", "c", None, "Settings file, such as conf/tracker.toml."],
        ["state-dir", None, None, "Folder that keeps the swarms over a restart. [default: the user's state folder]"],
        ["state", None, None, "File that keeps them, instead of a folder."],
    ]
    optFlags = [["no-state", None, "Keep nothing over a restart."]]

    settings: TrackerSettings
    state: Path | None  # the snapshot's file

    def postOptions(self) -> None:
        """Turn what was said into settings."""
        try:
            config = self["config"]
            settings = TrackerSettings() if config is None else load_settings(config, TrackerSettings, SECTION)
            bind = "127.0.0.1" if self["bind"] == "localhost" else self["bind"]
            self.settings = override(
                settings,
                port=self._number("port"),
                bind=bind,
                interval=self._number("interval"),
                state_dir=self["state-dir"],
            )
        except ConfigError as error:
            raise UsageError(str(error)) from error
        if (self["state"] is not None) + (self["state-dir"] is not None) + self["no-state"] > 1:
            raise UsageError("only one of --state, --state-dir and --no-state can be given")
        self.state = None if self["no-state"] else self._state_file()

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
    return service if options.parent is None else Started(service, options.parent)


class TrackerService(MultiService):
    """A tracker that listens. Privileged start: binds the port. Start: takes the state over."""

    log = Logger()

    def __init__(
        self,
        settings: TrackerSettings,
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
        limits = settings.limits
        self.store = MemorySwarms(chance, limits.torrents, limits.peers_per_torrent)
        self.tracker = Tracker(self.store, settings, read_networks(settings.claims), now)
        paths = Paths(views(self.tracker, Names(self._look_up, reactor), settings))
        sources = Sources(read_networks(limits.exempt), read_networks(settings.proxies))
        self.site = LimitedSite(paths, limits.web(), sources, reactor, settings.access_log)
        Upkeep(self.store, settings, state, self._run, reactor, now, chance).setServiceParent(self)

    @property
    def url(self) -> str:
        """Where to announce."""
        assert self._port is not None, "asked for the address before listening"
        at: Any = self._port.getHost()
        host = socket.gethostname() if at.host in _EVERYWHERE else at.host
        return f"http://{Address(host, at.port)}/announce"

    def privilegedStartService(self) -> None:
        """
        Bind the port.

        :raise P2PShareError: it is taken, or the address is not this machine's.
        """
        super().privilegedStartService()
        self._port = self._listen(self._settings.bind)

    def startService(self) -> None:
        """
        Take the state over and begin.

        :raise P2PShareError: another process uses that state.
        """
        if self._port is None:
            self._port = self._listen(self._settings.bind)
        if self._lock is not None:
            self._lock.take()
        super().startService()
        self.log.info("tracker listening at {url}", url=self.url)

    def stopService(self) -> Deferred[None]:
        """Close the port and save; fires when that is done."""
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._port is not None:
            await maybeDeferred(self._port.stopListening)
            self._port = None
        await maybeDeferred(super().stopService)
        if self._lock is not None:
            self._lock.release()

    def _listen(self, host: str) -> IListeningPort:
        port = self._settings.port
        try:
            listening: IListeningPort = self._reactor.listenTCP(port, self.site, _BACKLOG, host)
            return listening
        except CannotListenError as error:
            reason = error.socketError
            if host == "::" and getattr(reason, "errno", None) in (errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL):
                self.log.warn("no IPv6 on this machine: listening for IPv4 only")
                return self._listen("0.0.0.0")
            text = getattr(reason, "strerror", None) or str(reason)
            raise P2PShareError(f"cannot listen on {Address(host, port)}: {text}") from error

    def _run(self, function: Callable[..., Any], *args: object) -> Deferred[Any]:
        return deferToThreadPool(self._reactor, self._reactor.getThreadPool(), function, *args)

    def _look_up(self, name: str) -> Deferred[Sequence[str]]:
        return self._run(hosts_of, name)
