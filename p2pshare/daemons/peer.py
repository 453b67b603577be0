"""``twistd p2p-peer``: a peer's options, and the joining of its parts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

from platformdirs import user_state_path
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.usage import UsageError

from p2pshare.client.announcing import TrackerDiscovery
from p2pshare.client.intake import Intake, take_in
from p2pshare.client.session import Session, Threads
from p2pshare.client.settings import SECTION, PeerSettings
from p2pshare.client.watch import WatchedFolder
from p2pshare.daemons.clock import make_monotonic
from p2pshare.daemons.files import allow_many_files
from p2pshare.daemons.signals import stop_on_signals
from p2pshare.daemons.state import StateLock
from p2pshare.daemons.twistd import DaemonOptions, Started
from p2pshare.errors import ConfigError, MetainfoError
from p2pshare.settings import load_settings, override

STOP_WITHIN = 4.5  # s, goodbyes to trackers (3 s) included; the whole process has 5 s


class Options(DaemonOptions):
    """What can be said on the command line; a flag goes before the settings file, the file before the defaults."""

    synopsis = "[options]"
    longdesc = (
        "A BitTorrent peer that runs for ever: seeds the torrents whose content is complete, downloads the others "
        "and then seeds them, too."
    )
    optParameters = [
        ["watch", "w", None, "Folder of torrent files: share what is put there, stop what is taken away."],
        ["data", "d", None, "Folder where content is, or goes to. [default: the current one]"],
        ["port", "p", None, "TCP port; 0: any free one. [default: 6881-6889, or any free one]"],
        ["bind", "b", None, "Address to listen on and to dial from. [default: all]"],
        ["config", "c", None, "Settings file, such as conf/peer.toml."],
        ["state-dir", None, None, "Folder for this peer alone; one process can use it. [default: the user's]"],
    ]

    settings: PeerSettings  # its paths are absolute
    torrents: list[Intake]  # those named one by one

    def __init__(self) -> None:
        """Start with no torrent."""
        super().__init__()
        self._files: list[str] = []

    def opt_torrent(self, path: str) -> None:
        """Torrent file to share; may be given several times."""
        self._files.append(path)

    opt_t = opt_torrent

    def postOptions(self) -> None:
        """Turn what was said into settings, and read the torrents."""
        try:
            self.settings = self._read_settings()
            self.torrents = self._read_torrents(Path(self.settings.data))
        except (ConfigError, MetainfoError) as error:
            raise UsageError(str(error)) from error
        watch = self.settings.watch
        if watch is not None and not Path(watch).is_dir():
            raise UsageError(f"cannot watch {watch}: there is no such folder")
        if watch is None and not self.torrents:
            raise UsageError("nothing to share: give --torrent FILE, or --watch FOLDER")

    def _read_settings(self) -> PeerSettings:
        config = self["config"]
        settings = PeerSettings() if config is None else load_settings(config, PeerSettings, SECTION)
        settings = override(
            settings,
            port=self._number("port"),
            bind=self["bind"],
            data=self["data"],
            watch=self["watch"],
            state_dir=self["state-dir"],
        )
        # twistd may go to another folder before it starts anything.
        return override(
            settings,
            data=str(Path(settings.data).absolute()),
            watch=None if settings.watch is None else str(Path(settings.watch).absolute()),
            state_dir=str(_state_folder(settings)),
        )

    def _read_torrents(self, data: Path) -> list[Intake]:
        torrents: dict[bytes, Intake] = {}
        for path in self._files:
            intake = take_in(Path(path), data)
            if intake.content.info_hash in torrents:
                raise UsageError(f"--torrent {path}: was named before, under this name or another")
            torrents[intake.content.info_hash] = intake
        return list(torrents.values())

    def _number(self, name: str) -> int | None:
        text = self[name]
        if text is None:
            return None
        try:
            return int(text)
        except ValueError:
            raise UsageError(f"--{name} {text}: expected a whole number") from None


def _state_folder(settings: PeerSettings) -> Path:
    folder = settings.state_dir
    return user_state_path("p2pshare") / "peer" if folder is None else Path(folder).absolute()


def makeService(options: Options) -> IService:
    """Build the service that twistd starts."""
    from twisted.internet import reactor

    if options.parent is not None:  # this process is ours
        make_monotonic(reactor)
        allow_many_files()
        reactor.callWhenRunning(stop_on_signals, reactor)
    service = PeerService(options.settings, options.torrents, reactor, Random())
    return service if options.parent is None else Started(service, options.parent)


class PeerService(MultiService):
    """A peer that runs for ever. Start: locks the state folder, listens, begins with every torrent."""

    log = Logger()

    def __init__(
        self,
        settings: PeerSettings,
        torrents: Sequence[Intake],
        reactor: Any,
        random: Random,
        threads: Threads | None = None,
    ) -> None:
        """
        Join the parts.

        :param settings: with the paths of all folders.
        :param threads: for blocking work; None: some of our own.
        """
        super().__init__()
        self._reactor = reactor
        state = _state_folder(settings)
        self._lock = StateLock(state / "lock")
        self.session = Session(reactor, settings, random, threads=threads, resume=state / "resume")
        self.session.discover = TrackerDiscovery(self.session)
        self.session.setServiceParent(self)
        for torrent in torrents:
            self.session.add(torrent.content, torrent.folder)
        if settings.watch is not None:
            watched = WatchedFolder(
                Path(settings.watch), Path(settings.data), self.session, reactor, settings.watch_interval
            )
            watched.setServiceParent(self)

    def startService(self) -> None:
        """
        Begin.

        :raise P2PShareError: another process uses the state folder, or the port.
        """
        self._lock.take()
        super().startService()

    def stopService(self) -> Deferred[None]:
        """Say goodbye to trackers and peers and close all files; fires when that is done, or has taken too long."""
        done: Deferred[None] = Deferred()
        limit = self._reactor.callLater(STOP_WITHIN, self._give_up, done)

        def stopped(_: object) -> None:
            if limit.active():
                limit.cancel()
                self._lock.release()
                done.callback(None)

        maybeDeferred(super().stopService).addBoth(stopped)
        return done

    def _give_up(self, done: Deferred[None]) -> None:
        self.log.warn("not everything ended within {limit} s; leaving all the same", limit=STOP_WITHIN)
        done.callback(None)
