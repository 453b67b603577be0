"""``twistd p2p-peer``: a peer's options, and the joining of its parts."""

from __future__ import annotations

import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from platformdirs import user_state_path
from twisted.application.service import IService, MultiService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.usage import UsageError

from p2pshare.client.announcing import TrackerDiscovery
from p2pshare.client.intake import Intake, take_in
from p2pshare.client.pausing import PausableTorrents
from p2pshare.client.session import Session, Threads
from p2pshare.client.settings import SECTION, PeerSettings
from p2pshare.client.watch import WatchedFolder
from p2pshare.daemons.clock import make_monotonic
from p2pshare.daemons.files import allow_many_files
from p2pshare.daemons.signals import stop_on_signals
from p2pshare.daemons.state import StateLock
from p2pshare.daemons.twistd import DaemonOptions, Started
from p2pshare.discovery.index_client import index_url
from p2pshare.errors import ConfigError, MetainfoError
from p2pshare.settings import load_settings, override

if TYPE_CHECKING:
    from p2pshare.daemons.node import NodeService  # at run time it is loaded late

STOP_WITHIN = 4.5  # s, goodbyes to trackers (3 s) included; the whole process has 5 s


class Options(DaemonOptions):
    """What can be said on the command line; a flag goes before the settings file, the file before the defaults."""

    synopsis = "[options]"
    longdesc = (
        "A BitTorrent peer that runs for ever: seeds the torrents whose content is complete, downloads the others "
        "and then seeds them, too. With --share it is a node: whatever is put into that folder can be searched for at "
        "the index, and fetched over BitTorrent and HTTP. With --text and --course it speaks other protocols, "
        "too, all of them on one port."
    )
    optParameters = [
        ["watch", "w", None, "Folder of torrent files: share what is put there, stop what is taken away."],
        ["data", "d", None, "Folder where content is, or goes to. [default: the current one]"],
        ["port", "p", None, "TCP port; 0: any free one. [default: 6881-6889, or any free one]"],
        ["bind", "b", None, "Address to listen on and to dial from. [default: all]"],
        ["share", "s", None, "Folder whose files everybody may have; they are only ever read."],
        ["index", "i", None, "URL of the index that is told of them."],
        ["region", None, None, "Where this peer is, for the index to show."],
        [
            "control-port",
            None,
            None,
            "HTTP port of the page and the API; 0: any free one. [default with --share: 8081]",
        ],
        ["control-bind", None, None, "Address of that port. [default: 127.0.0.1]"],
        [
            "course",
            None,
            None,
            "Folder of a course project's swarm: be one of its peers. With nothing else to share, "
            "until all of them have the file.",
        ],
        ["peer-id", None, None, "Which of them, by the number in PeerInfo.cfg."],
        ["text-tracker", None, None, "URL of the tracker of text swarms. [default: http://localhost:8000]"],
        ["config", "c", None, "Settings file, such as conf/peer.toml."],
        ["state-dir", None, None, "Folder for this peer alone; one process can use it. [default: the user's]"],
    ]

    settings: PeerSettings  # its paths are absolute
    torrents: list[Intake]  # those named one by one
    is_course_alone: bool = False  # there is nothing but a course project's swarm to take part in

    def __init__(self) -> None:
        """Start with no torrent."""
        super().__init__()
        self._files: list[str] = []
        self._texts: list[str] = []

    def opt_torrent(self, path: str) -> None:
        """Torrent file to share; may be given several times."""
        self._files.append(path)

    opt_t = opt_torrent

    def opt_text(self, path: str) -> None:
        """File to share in a text swarm, whose hash is then in the log; may be given several times."""
        self._texts.append(path)

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
        self._check_share()
        self._check_dialects()
        control, share = self.settings.control, self.settings.share
        has_torrents = watch is not None or share.folder is not None or bool(self.torrents) or control.enabled
        if not has_torrents and not self.settings.text.seed:
            if self.settings.course.place is None:
                raise UsageError("nothing to share: give --share FOLDER, --torrent FILE, or --watch FOLDER")
            self.is_course_alone = True
            self._port_in_course(*self.settings.course.place)
        elif self.settings.course.place is not None:
            self.settings = override(self.settings, port=self._port_in_course(*self.settings.course.place))

    def _check_dialects(self) -> None:
        course = self.settings.course
        if (course.folder is None) != (course.peer_id is None):
            raise UsageError("--course FOLDER and --peer-id NUMBER go together")
        for file in self.settings.text.seed:
            if not Path(file).is_file():
                raise UsageError(f"cannot share {file} in a text swarm: there is no such file")

    def _port_in_course(self, folder: Path, own: int) -> int:
        """Give the port at which our neighbors look for us."""
        from p2pshare.course.layout import read_config  # late: few peers have such neighbors

        try:
            port = read_config(folder)[1].of(own).port
        except ConfigError as error:
            raise UsageError(str(error)) from error
        if self.settings.port not in (None, port):
            told = f"PeerInfo.cfg has peer {own} at port {port}"
            raise UsageError(f"port {self.settings.port}: {told}, and there is one port for all")
        return port

    def reread(self) -> PeerSettings:
        """
        Read the settings file again; what was said on the command line goes before it still.

        :raise ConfigError: something in it is wrong.
        """
        return self._read_settings()

    def _check_share(self) -> None:
        folder, state = self.settings.share.folder, self.settings.state_dir
        if folder is None:
            return
        if not Path(folder).is_dir():
            raise UsageError(f"cannot share {folder}: there is no such folder")
        assert state is not None, "set by _read_settings()"
        if Path(state).resolve().is_relative_to(Path(folder).resolve()):  # there may be a token in it
            raise UsageError(f"cannot share {folder}: the state folder {state} is in it; choose another --state-dir")

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
        port, share = self._number("control-port"), settings.share
        index = share.index if self["index"] is None else self["index"]
        folder = share.folder if self["share"] is None else self["share"]
        course, text = settings.course, settings.text
        swarm = course.folder if self["course"] is None else self["course"]
        # twistd may go to another folder before it starts anything.
        return override(
            settings,
            control=override(
                settings.control, port=port, bind=self["control-bind"], enabled=None if port is None else True
            ),
            share=override(
                share,
                folder=None if folder is None else str(Path(folder).absolute()),
                index=None if index is None else index_url(index),
                region=self["region"],
            ),
            course=override(
                course, folder=None if swarm is None else str(Path(swarm).absolute()), peer_id=self._number("peer-id")
            ),
            text=override(
                text,
                seed=tuple(dict.fromkeys(str(Path(file).absolute()) for file in (*text.seed, *self._texts))),
                tracker=self["text-tracker"],
            ),
            data=str(_data_folder(settings, folder)),
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


def _data_folder(settings: PeerSettings, shared: str | None) -> Path:
    """Find where content goes: not into the shared folder, unless somebody has chosen that."""
    folder = Path(settings.data).absolute()
    is_chosen = settings.data != PeerSettings().data
    if is_chosen or shared is None or not folder.resolve().is_relative_to(Path(shared).resolve()):
        return folder
    return _state_folder(settings) / "downloads"


def makeService(options: Options) -> IService:
    """Build the service that twistd starts."""
    from twisted.internet import reactor

    if options.parent is not None:  # this process is ours
        make_monotonic(reactor)
        allow_many_files()
        reactor.callWhenRunning(stop_on_signals, reactor)
    service: IService
    if options.is_course_alone:
        from p2pshare.daemons.course import CourseService  # late: few peers are of this kind

        place = options.settings.course.place
        assert place is not None, "checked with the options"
        service = CourseService(*place, reactor, options.settings.course)
    else:
        service = peer = PeerService(options.settings, options.torrents, reactor, Random())
        if options.parent is not None:
            _reload_on_hangup(reactor, options, peer)  # from now on it does not end us
    return service if options.parent is None else Started(service, options.parent)


def _reload_on_hangup(reactor: Any, options: Options, service: PeerService) -> None:
    if sys.stdin is not None and sys.stdin.isatty():  # there the signal says that the terminal is gone, and we go, too
        return

    def reload() -> None:
        try:
            service.reload(options.reread())
        except ConfigError as error:
            PeerService.log.error("the settings stay as they are: {error}", error=error)

    signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(reload))


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
        self._node: NodeService | None = None
        pausable = PausableTorrents(self.session, state / "resume", reactor.seconds)
        for torrent in torrents:
            pausable.add(torrent.content, torrent.folder)
        if settings.watch is not None:
            watched = WatchedFolder(
                Path(settings.watch), Path(settings.data), pausable, reactor, settings.watch_interval
            )
            watched.setServiceParent(self)
        if settings.control.enabled or settings.share.folder is not None:
            from p2pshare.daemons.node import NodeService  # late: nobody has to wait for it who wants none

            make = None if threads is None else lambda name, most: threads
            self._node = NodeService(settings, state, self.session, pausable, reactor, random, make)
            self._node.setServiceParent(self)
        if settings.text.seed or settings.course.place is not None:
            from p2pshare.daemons.other_dialects import other_dialects  # late, as above

            for service in other_dialects(settings, state, self.session, reactor, random):
                service.setServiceParent(self)

    def reload(self, settings: PeerSettings) -> None:
        """Take over the rate limits of new settings, and look into the shared folder at once; all else stays."""
        self.session.limit(settings)
        if self._node is not None:
            self._node.look()
        self.log.info("took over the rate limits of the settings")

    def startService(self) -> None:
        """
        Begin.

        :raise P2PShareError: another process uses the state folder, or a port.
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
