"""Tests of p2pshare.daemons.tracker and the twistd plugin."""

from __future__ import annotations

import errno
import os
import tomllib
from pathlib import Path
from typing import Any, cast
from unittest import mock

from attrs import define, field, fields
from twisted.application.service import IServiceMaker
from twisted.internet.address import IPv4Address
from twisted.internet.error import CannotListenError
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import capturedLogs
from twisted.plugin import getPlugins
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.daemons import tracker, twistd
from p2pshare.daemons.service_settings import AccessSettings, IndexSettings, ServiceSettings
from p2pshare.daemons.state import StateLock
from p2pshare.daemons.tracker import Options, TrackerService
from p2pshare.errors import P2PShareError
from p2pshare.settings import load_settings
from p2pshare.tracker.settings import SECTION, TrackerLimits

CONF = Path(__file__).parents[2] / "conf" / "tracker.toml"


def parsed(*arguments: str) -> Options:
    """Read a command line."""
    options = Options()
    options.parseOptions(list(arguments))
    return options


class OptionsTests(SynchronousTestCase):
    """What can be said on the command line."""

    def test_defaults(self) -> None:
        """Without a word it is a tracker on this machine's port 8000, with state in the user's folder."""
        with mock.patch.dict(os.environ, {"XDG_STATE_HOME": "/home/someone/.state"}):
            options = parsed()
        self.assertEqual(options.settings, ServiceSettings())
        self.assertEqual((options.settings.bind, options.settings.port), ("127.0.0.1", 8000))
        self.assertEqual(options.state, Path("/home/someone/.state/p2pshare/tracker/swarms"))

    def test_flags(self) -> None:
        """Flags set what they name."""
        options = parsed("--port", "0", "--bind", "::", "--interval", "5", "--state", "some/file")
        self.assertEqual(options.settings, ServiceSettings(port=0, bind="::", interval=5))
        self.assertEqual(options.state, Path("some/file").absolute())
        self.assertEqual(parsed("--state-dir", "some").state, Path("some/swarms").absolute())
        self.assertIsNone(parsed("--no-state").state)
        self.assertEqual(parsed("--bind", "localhost").settings.bind, "127.0.0.1")
        self.assertFalse(parsed("--no-udp").settings.udp)

    def test_index_flags(self) -> None:
        """The index can be put elsewhere, or be left out; relative paths are those of where it was said."""
        index = parsed("--db", "some.db", "--uploads", "some/folder").settings.index
        self.assertEqual(index.db, str(Path("some.db").absolute()))
        self.assertEqual(index.uploads, str(Path("some/folder").absolute()))
        self.assertEqual(parsed("--db", ":memory:").settings.index.db, ":memory:")
        self.assertFalse(parsed("--no-index").settings.index.enabled)

    def test_flags_before_file(self) -> None:
        """A flag goes before the settings file, the file before the defaults."""
        path = Path(self.mktemp())
        path.write_text('[tracker]\nport = 7000\ninterval = 60\nstate_dir = "/somewhere"\n')
        options = parsed("--config", str(path), "--port", "7001")
        self.assertEqual((options.settings.port, options.settings.interval), (7001, 60))
        self.assertEqual(options.state, Path("/somewhere/swarms"))

    def test_f109_mistakes(self) -> None:
        """Every mistake is a usage error that names what was given."""
        for arguments, words in (
            (["--port", "high"], "--port high"),
            (["--port", "65536"], "port is 65536: expected 0 to 65535"),
            (["--port", "-1"], "port is -1"),
            (["--interval", "0"], "interval is 0: expected 1 to 86400"),
            (["--bind", "example.org"], 'bind is "example.org"'),
            (["--config", "/nonexistent"], "cannot read settings file /nonexistent"),
            (["--state", "a", "--state-dir", "b"], "only one of"),
            (["--state", "a", "--no-state"], "only one of"),
            (["--prot", "1"], "--prot"),
        ):
            self.assertIn(words, str(self.assertRaises(usage.UsageError, parsed, *arguments)))

    def test_f109_under_twistd(self) -> None:
        """As a subcommand of twistd a mistake is one line on standard error and exit code 2."""
        options = Options()
        options.parent = usage.Options()
        with mock.patch.object(twistd.sys, "__stderr__") as stream:  # type: ignore[attr-defined]
            end = self.assertRaises(SystemExit, options.parseOptions, ["--port", "65536"])
        text = "".join(call.args[0] for call in stream.write.call_args_list)
        self.assertEqual(end.code, 2)
        self.assertEqual(text.count("\n"), 1)
        self.assertIn("port is 65536: expected 0 to 65535\n", text)


class SettingsFileTests(SynchronousTestCase):
    """The file that comes along."""

    def test_it_holds_the_defaults(self) -> None:
        """It loads, and what it says are the defaults."""
        self.assertEqual(load_settings(CONF, ServiceSettings, SECTION), ServiceSettings())

    def test_it_mentions_everything(self) -> None:
        """Every key is there, those without a default as a comment."""
        text = CONF.read_text(encoding="utf-8")
        table = tomllib.loads(text)[SECTION]
        for cls, known in (
            (ServiceSettings, table),
            (TrackerLimits, table["limits"]),
            (IndexSettings, table["index"]),
            (AccessSettings, table["web"]),
        ):
            for each in fields(cls):
                self.assertTrue(each.name in known or f"\n# {each.name} = " in text, each.name)


@define(eq=False)
class FakePort:
    """A port that is open until it is closed."""

    number: int
    host: str
    is_open: bool = field(init=False, default=True)
    maxThroughput: int = field(init=False, default=0)

    def getHost(self) -> IPv4Address:
        return IPv4Address("UDP", self.host, self.number)

    def stopListening(self) -> None:
        self.is_open = False


@define(eq=False)
class FakePorts:
    """A reactor's ways to open ports: TCP at numbers from 50000 on if any will do, UDP where it is not taken."""

    taken: tuple[int, ...] = ()
    tcp: list[FakePort] = field(init=False, factory=list)
    udp: list[FakePort] = field(init=False, factory=list)

    def listenTCP(self, port: int, factory: object, backlog: int, interface: str) -> FakePort:
        self.tcp.append(FakePort(port or 50000 + len(self.tcp), interface))
        return self.tcp[-1]

    def listenUDP(self, port: int, protocol: object, interface: str, maxPacketSize: int) -> FakePort:
        if port in self.taken:
            raise CannotListenError(interface, port, OSError(errno.EADDRINUSE, "Address already in use"))
        self.udp.append(FakePort(port, interface))
        return self.udp[-1]


class ServiceTests(SynchronousTestCase):
    """A tracker, joined."""

    def setUp(self) -> None:
        self.reactor = cast(Any, MemoryReactorClock())
        self.reactor.getThreadPool = lambda: None  # nothing is saved by itself here
        self.ports = FakePorts()
        self.reactor.listenUDP = self.ports.listenUDP
        self.folder = Path(self.mktemp())

    def make(self, **settings: Any) -> TrackerService:
        """Make a tracker on a reactor in memory."""
        settings = {"index": IndexSettings(enabled=False), **settings}
        return TrackerService(ServiceSettings(**settings), self.folder / "swarms", self.reactor, self.reactor.seconds)

    def test_life(self) -> None:
        """It listens where it was told, says where that is, and gives everything back at the end."""
        service = self.make(port=8123)
        with capturedLogs() as events:
            service.privilegedStartService()
            service.startService()
        port, site, backlog, host = self.reactor.tcpServers[0]
        self.assertEqual((port, host, site), (8123, "127.0.0.1", service.site))
        self.assertGreaterEqual(backlog, 1000)
        self.assertIn("url", [e for e in events if "url" in e][-1])
        self.successResultOf(service.stopService())
        self.assertEqual(self.reactor.getDelayedCalls(), [])
        StateLock(self.folder / "swarms.lock").take()

    def test_udp_beside_tcp(self) -> None:
        """UDP has TCP's address and port number, is named at the start, and ends with the service."""
        self.reactor.listenTCP = self.ports.listenTCP
        service = self.make(port=8123)
        with capturedLogs() as events:
            service.startService()
        (port,) = self.ports.udp
        self.assertEqual((port.host, port.number, port.is_open), ("127.0.0.1", 8123, True))
        self.assertIn("udp://127.0.0.1:8123/announce", [event.get("udp_url") for event in events])
        self.successResultOf(service.stopService())
        self.assertEqual((port.is_open, service.udp_url), (False, None))

    def test_no_udp(self) -> None:
        """Without UDP there is TCP only."""
        service = self.make(udp=False)
        service.privilegedStartService()
        self.assertEqual((self.ports.udp, service.udp_url), ([], None))

    def test_any_port_is_one_for_both(self) -> None:
        """Where any port number will do, one is found that is free for both; what was tried in vain is closed."""
        self.ports.taken = (50000, 50001)
        self.reactor.listenTCP = self.ports.listenTCP
        service = self.make(port=0)
        service.privilegedStartService()
        self.assertEqual([port.is_open for port in self.ports.tcp], [False, False, True])
        self.assertEqual([port.number for port in self.ports.udp], [50002])
        self.assertEqual(service.udp_url, "udp://127.0.0.1:50002/announce")

    def test_udp_port_in_use(self) -> None:
        """A port number that UDP cannot have is an error that says so, and TCP's is given back."""
        self.reactor.listenTCP = self.ports.listenTCP
        self.ports.taken = tuple(range(50000, 50100))
        for number, tried in ((50050, 1), (0, 8)):
            self.ports.tcp.clear()
            error = self.assertRaises(P2PShareError, self.make(port=number).privilegedStartService)
            self.assertRegex(str(error), r"cannot listen on 127.0.0.1:\d+ \(UDP\): Address already in use")
            self.assertEqual([port.is_open for port in self.ports.tcp], [False] * tried)

    def test_start_without_privileges(self) -> None:
        """It listens, too, when only its start is called; and once."""
        service = self.make()
        service.startService()
        self.assertEqual(len(self.reactor.tcpServers), 1)
        self.successResultOf(service.stopService())

    def test_never_started(self) -> None:
        """A tracker that did not start can be stopped."""
        self.successResultOf(self.make().stopService())

    def test_port_in_use(self) -> None:
        """A port that is taken is an error in one line, which names the address."""
        problem = CannotListenError("127.0.0.1", 8000, OSError(errno.EADDRINUSE, "Address already in use"))
        self.reactor.listenTCP = mock.Mock(side_effect=problem)
        error = self.assertRaises(P2PShareError, self.make().privilegedStartService)
        self.assertEqual(str(error), "cannot listen on 127.0.0.1:8000: Address already in use")

    def test_no_ipv6(self) -> None:
        """On a machine without IPv6, all addresses are all IPv4 addresses."""
        listen = self.reactor.listenTCP
        problem = CannotListenError("::", 8000, OSError(errno.EAFNOSUPPORT, "not supported"))

        def without_ipv6(port: int, factory: Any, backlog: int, interface: str) -> Any:
            if interface == "::":
                raise problem
            return listen(port, factory, backlog, interface)

        self.reactor.listenTCP = without_ipv6
        self.make(bind="::").privilegedStartService()
        self.assertEqual(self.reactor.tcpServers[0][3], "0.0.0.0")

    def test_url(self) -> None:
        """The URL can be used as it is: IPv6 in brackets, this machine's name where it listens everywhere."""
        for bind, expected in (("::1", "http://[::1]:8000/announce"), ("0.0.0.0", "http://box:8000/announce")):
            service = self.make(bind=bind)
            service.privilegedStartService()
            with mock.patch.object(tracker.socket, "gethostname", return_value="box"):  # type: ignore[attr-defined]
                self.assertEqual(service.url, expected)

    def test_f105_second_tracker_on_the_same_state(self) -> None:
        """A second tracker refuses to use the state of a running one, and names its process."""
        first = self.make()
        first.startService()
        error = self.assertRaises(P2PShareError, self.make().startService)
        self.assertIn(f"another process, {os.getpid()};", str(error))
        self.successResultOf(first.stopService())
        second = self.make()
        second.startService()
        self.successResultOf(second.stopService())

    def test_errors_under_twistd(self) -> None:
        """Under twistd an error at the start is one line on standard error and exit code 1."""
        problem = CannotListenError("127.0.0.1", 8000, OSError(errno.EADDRINUSE, "Address already in use"))
        self.reactor.listenTCP = mock.Mock(side_effect=problem)
        for name in ("privilegedStartService", "startService"):
            service = twistd.Started(self.make(), {"nodaemon": True})
            with mock.patch.object(twistd.sys, "__stderr__") as stream:  # type: ignore[attr-defined]
                end = self.assertRaises(SystemExit, getattr(service, name))
            self.assertEqual(end.code, 1)
            self.assertIn("Address already in use", "".join(call.args[0] for call in stream.write.call_args_list))


class StateLockTests(SynchronousTestCase):
    """A folder for one process."""

    def test_folder_is_made(self) -> None:
        """The folder is made when it is not there, for its owner only, and the file names the process."""
        path = Path(self.mktemp()) / "deep" / "lock"
        lock = StateLock(path)
        lock.take()
        self.assertEqual(path.read_text(), f"{os.getpid()}\n")
        self.assertEqual(path.parent.stat().st_mode & 0o777, 0o700)
        lock.release()
        lock.release()
        self.assertEqual(path.read_text(), "")

    def test_folder_that_cannot_be(self) -> None:
        """Where there can be no folder, the error says so."""
        path = Path(self.mktemp())
        path.write_text("a file")
        error = self.assertRaises(P2PShareError, StateLock(path / "lock").take)
        self.assertIn(f"cannot use the state folder {path}", str(error))


class PluginTests(SynchronousTestCase):
    """What twistd finds."""

    def test_tracker_is_a_plugin(self) -> None:
        """twistd knows p2p-tracker, and where its options and its service come from."""
        plugins: dict[str, Any] = {plugin.tapname: plugin for plugin in getPlugins(IServiceMaker)}
        self.assertIs(plugins["p2p-tracker"].options, Options)
        self.assertIs(plugins["p2p-tracker"].makeService, tracker.makeService)
        self.assertIn("p2p-peer", plugins)
