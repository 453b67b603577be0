"""The peer daemon: its options, and how its parts start and stop together."""

from __future__ import annotations

import os
from pathlib import Path
from random import Random
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import LogLevel, capturedLogs, formatEvent
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.client.intake import take_in
from p2pshare.client.settings import PeerSettings
from p2pshare.daemons.peer import STOP_WITHIN, Options, PeerService
from p2pshare.errors import P2PShareError
from p2pshare.metainfo import parse
from p2pshare.swarm.events import State
from tests.client.fakes import ThreadsOfNow, torrent_file

ONE, OTHER = torrent_file("one", b"1" * 100), torrent_file("other", b"2" * 100)


class PeerTestCase(SynchronousTestCase):
    """A folder with two torrent files in it."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.data = self.folder / "data"
        self.data.mkdir(parents=True)
        self.one, self.other = self.write("one.torrent", ONE), self.write("other.torrent", OTHER)

    def write(self, name: str, content: bytes) -> Path:
        """Put a file into the folder."""
        file = self.folder / name
        file.write_bytes(content)
        return file


class OptionsTests(PeerTestCase):
    def options(self, *arguments: str | Path) -> Options:
        """Read a command line."""
        options = Options()
        options.parseOptions([str(argument) for argument in arguments])
        return options

    def refusal(self, *arguments: str | Path) -> str:
        """Tell why a command line is refused."""
        return str(self.assertRaises(UsageError, self.options, *arguments))

    def test_torrents(self) -> None:
        """Several torrents may be named; each is read, and its content looked for."""
        (self.data / "one").write_bytes(b"1" * 100)
        read = self.options("--torrent", self.one, "-t", self.other, "--data", self.data)
        self.assertEqual([intake.content.name for intake in read.torrents], ["one", "other"])
        self.assertEqual({intake.folder for intake in read.torrents}, {self.data})

    def test_defaults(self) -> None:
        """Content is in the current folder, state in the user's, and both are known by their full paths."""
        settings = self.options("-t", self.one).settings
        self.assertEqual(settings.data, os.getcwd())
        self.assertEqual(
            (Path(settings.state_dir or "").name, Path(settings.state_dir or "").is_absolute()), ("peer", True)
        )
        self.assertEqual((settings.port, settings.bind, settings.watch), (None, None, None))

    def test_flags_before_the_file(self) -> None:
        """A flag goes before the settings file, the file before the defaults."""
        config = self.write("peer.toml", b'[peer]\nport = 7000\nbind = "127.0.0.1"\n')
        settings = self.options("-t", self.one, "-c", config, "-p", "7001", "--state-dir", self.data).settings
        self.assertEqual((settings.port, settings.bind, settings.state_dir), (7001, "127.0.0.1", str(self.data)))

    def test_watch_from_the_file(self) -> None:
        """All that is to be shared may come from the settings file."""
        config = self.write("peer.toml", f'[peer]\nwatch = "{self.folder}"\n'.encode())
        self.assertEqual(self.options("-c", config).settings.watch, str(self.folder))

    def test_share(self) -> None:
        """A folder to share is enough; its index may be named as people do, and its region told."""
        settings = self.options("--share", self.data, "--index", "index.test:8000/docs", "--region", "eu").settings
        share = settings.share
        self.assertEqual((share.folder, share.index, share.region), (str(self.data), "http://index.test:8000", "eu"))
        self.assertEqual((settings.control.port, settings.control.bind), (None, "127.0.0.1"))

    def test_control(self) -> None:
        """A control port that is asked for is enough, too; without a folder and without being asked there is none."""
        control = self.options("--control-port", "0", "--control-bind", "0.0.0.0").settings.control
        self.assertEqual((control.enabled, control.port, control.bind), (True, 0, "0.0.0.0"))
        self.assertFalse(self.options("-t", self.one).settings.control.enabled)

    def test_share_from_the_file(self) -> None:
        """The tables of the settings file say the same, and flags go before them."""
        lines = f'[peer.share]\nfolder = "{self.data}"\nindex = "a.test:1"\n[peer.control]\nport = 7\n'
        settings = self.options("-c", self.write("peer.toml", lines.encode()), "-i", "b.test:2").settings
        self.assertEqual((settings.share.folder, settings.share.index), (str(self.data), "http://b.test:2"))
        self.assertEqual(settings.control.port, 7)

    def test_state_is_not_shared(self) -> None:
        """The state folder, in which there may be a token, must not lie in the shared one, by whatever name."""
        link = self.folder / "link"
        link.symlink_to(self.data)
        for state in (self.data, self.data / "deep" / "state", link / "state"):
            said = self.refusal("--share", self.data, "--state-dir", state)
            self.assertIn("is in it; choose another --state-dir", said)

    def test_nothing_is_written_to_the_shared_folder(self) -> None:
        """Data is put into the shared folder only where that was chosen, not because it is the current one."""
        state = self.folder / "state"
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(self.data)
        settings = self.options("--share", ".", "--state-dir", state).settings
        self.assertEqual(settings.data, str(state / "downloads"))
        chosen = self.options("--share", ".", "--state-dir", state, "--data", self.data).settings
        self.assertEqual(chosen.data, str(self.data))

    def test_f109_mistakes(self) -> None:
        """What is wrong is said in one sentence that names it."""
        config = self.write("peer.toml", b"[peer]\nport = 7000\nspeed = 5\n")
        for arguments, said in (
            ((), "nothing to share: give --share FOLDER, --torrent FILE, or --watch FOLDER"),
            (("-t", self.one, "-p", "http"), "--port http: expected a whole number"),
            (("-t", self.one, "-t", self.one), f"--torrent {self.one}: was named before, under this name or another"),
            (("-w", self.one), f"cannot watch {self.one}: there is no such folder"),
            (("-s", self.one), f"cannot share {self.one}: there is no such folder"),
            (("--control-port", "x"), "--control-port x: expected a whole number"),
            (("-t", self.folder / "none"), f"{self.folder / 'none'}: No such file or directory"),
        ):
            self.assertEqual(self.refusal(*arguments), said)
        self.assertIn("port is 70000: expected 0 to", self.refusal("-t", self.one, "-p", "70000"))
        self.assertIn("expected an IP address", self.refusal("-s", self.data, "--control-bind", "node.test"))
        self.assertIn("not an address such as", self.refusal("-s", self.data, "-i", "ftp://index.test"))
        self.assertIn("port is 70000: expected 0 to", self.refusal("-s", self.data, "--control-port", "70000"))
        self.assertIn("line 3: peer.speed is unknown", self.refusal("-t", self.one, "-c", config))
        self.assertTrue(self.refusal("-t", config).startswith(f"{config}: torrent file: not bencoded"))


class ServiceTests(PeerTestCase):
    def setUp(self) -> None:
        super().setUp()
        self.events: list[Any] = []
        self.reactor = MemoryReactorClock()
        self.threads = ThreadsOfNow(self.events)

    def service(self, *files: Path, **settings: Any) -> PeerService:
        """Make the service of a peer that is told of these torrents."""
        folders = {"data": str(self.data), "state_dir": str(self.folder / "state")}
        torrents = [take_in(file, self.data) for file in files]
        return PeerService(
            PeerSettings(**{**folders, **settings}), torrents, self.reactor, Random(0), threads=self.threads
        )

    def started(self, *files: Path, **settings: Any) -> PeerService:
        """Start one; it is stopped when the test is over."""
        service = self.service(*files, **settings)
        service.startService()
        self.addCleanup(lambda: service.stopService() if service.running else None)
        return service

    def test_each_torrent_by_itself(self) -> None:
        """Complete content is seeded, missing content downloaded, and what cannot be used stops nobody."""
        (self.data / "one").write_bytes(b"1" * 100)
        strange = self.write("strange.torrent", torrent_file("strange", b"3" * 100))
        (self.data / "strange").write_bytes(b"not what the torrent says")
        swarms = self.started(self.one, self.other, strange).session.swarms.values()
        self.assertEqual(
            {swarm.content.name: swarm.state for swarm in swarms},
            {"one": State.SEEDING, "other": State.DOWNLOADING, "strange": State.FAILED},
        )

    def test_watched(self) -> None:
        """Torrents come from the watched folder, besides those that were named."""
        watch = self.folder / "watch"
        watch.mkdir()
        session = self.started(self.one, watch=str(watch), watch_interval=2.0).session
        self.one.rename(watch / "one.torrent")
        self.other.rename(watch / "other.torrent")
        self.reactor.advance(2)
        self.assertEqual(list(session.swarms), [parse(ONE).info_hash, parse(OTHER).info_hash])
        (watch / "one.torrent").unlink()
        (watch / "other.torrent").unlink()
        self.reactor.advance(2)
        self.assertEqual(list(session.swarms), [parse(ONE).info_hash])

    def test_f105_second_instance(self) -> None:
        """A second peer with the same state folder does not start, and names the process that has it."""
        first = self.started(self.one)
        second = self.service(self.other)
        error = self.assertRaises(P2PShareError, second.startService)
        self.assertIn(str(os.getpid()), str(error))
        self.assertEqual(len(self.reactor.tcpServers), 1)
        self.successResultOf(first.stopService())
        self.started(self.other)

    def test_stop(self) -> None:
        """It stops when all its parts have, and leaves no timer behind."""
        service = self.started(self.one, watch=str(self.folder))
        self.reactor.advance(0)
        self.successResultOf(service.stopService())
        self.assertEqual((self.events, self.reactor.getDelayedCalls()), (["threads ended"], []))

    def test_f106_something_hangs(self) -> None:
        """If something does not end, the service does, and says so."""
        self.threads.stop = Deferred  # type: ignore[method-assign]
        service = self.started(self.one)
        stopping = service.stopService()
        self.reactor.advance(STOP_WITHIN - 0.1)
        self.assertNoResult(stopping)
        with capturedLogs() as logs:
            self.reactor.advance(0.1)
        self.successResultOf(stopping)
        self.assertEqual(
            [str(formatEvent(event)) for event in logs if event["log_level"] is LogLevel.warn],
            ["not everything ended within 4.5 s; leaving all the same"],
        )

    def test_bug_while_stopping(self) -> None:
        """A bug in stopping is logged; it ends all the same."""
        service = self.started(self.one)
        service.session.on_stopped.append(self.broken)
        self.successResultOf(service.stopService())
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def broken(self) -> Deferred[None]:
        raise RuntimeError("a bug")
