"""The plugins of twistd as processes: what they do together, how they end, and how they refuse to begin."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.metainfo import Metainfo, parse
from p2pshare.wire.announce import AnnounceRequest
from p2pshare.wire.announce_query import announce_url
from p2pshare.wire.announce_reply import decode_response
from tests import real_parts
from tests.client.fakes import torrent_file
from tests.storage.fakes import some_bytes
from tests.system.daemons import TWISTD, WAIT, Daemon, wait_until

CONTENT = some_bytes(3_000_000)

# A process that is told to stop while one of the reactor's threads looks up a name, say, for a minute.
HANGING = """
import time
from twisted.internet import reactor
from p2pshare.daemons.signals import stop_on_signals

def begin():
    stop_on_signals(reactor, within=0.2)
    reactor.callInThread(time.sleep, 60)
    print("running", flush=True)

reactor.callWhenRunning(begin)
reactor.run()
"""


class DaemonTestCase(SynchronousTestCase):
    """A folder below which every daemon has one of its own."""

    def setUp(self) -> None:
        real_parts.distribution("p2pshare")
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir(parents=True)

    def torrent(self, tracker: str | None = None, name: str = "blob") -> Path:
        """Write the torrent of the content."""
        file = self.folder / f"{name}.torrent"
        file.write_bytes(torrent_file(name, CONTENT, tracker))
        return file

    def peer(self, name: str, *arguments: str | Path) -> Daemon:
        """Start a peer on any free port, with content and state in a folder of its own."""
        folder = self.folder / name
        return Daemon(
            self, folder, "p2p-peer", "--port", "0", "--data", folder, "--state-dir", folder / "state", *arguments
        )

    def refused(self, *arguments: str | Path) -> tuple[int, list[str]]:
        """Run a peer that is not going to start; give its exit code, and what it said on standard error."""
        ended = subprocess.run(
            [TWISTD, "-n", "--pidfile=", "p2p-peer", *arguments],
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=WAIT,
        )
        self.assertNotIn("Traceback", ended.stdout + ended.stderr)
        return ended.returncode, ended.stderr.splitlines()


class SwarmTests(DaemonTestCase):
    """A tracker and two peers."""

    def listed(self, url: str, content: Metainfo) -> set[int]:
        """Ask the tracker as a new leech would; give the ports of the peers it names."""
        request = AnnounceRequest(info_hash=content.info_hash, peer_id=b"-XX0000-" + b"x" * 12, port=9, left=1)
        with urlopen(announce_url(url, request), timeout=WAIT) as reply:
            return {peer.port for peer in decode_response(reply.read()).peers} - {9}

    def test_share(self) -> None:
        """A peer that was told of a torrent seeds it, one that finds it in a folder gets it; each leaves in order."""
        tracker = Daemon(
            self, self.folder / "tracker", "p2p-tracker", "--port", "0", "--state-dir", self.folder / "tracked"
        )
        url = tracker.logged(r"listening at (\S+)")
        file = self.torrent(url)
        content = parse(file.read_bytes())
        (self.folder / "seed").mkdir()
        (self.folder / "seed" / "blob").write_bytes(CONTENT)
        watch = self.folder / "watch"
        watch.mkdir()
        settings = self.folder / "peer.toml"
        settings.write_text("[peer]\nwatch_interval = 0.1\n")

        seed = self.peer("seed", "--torrent", file)
        leech = self.peer("leech", "--watch", watch, "--config", settings)
        ports = [int(peer.logged(r"listening for peers on port (\d+)")) for peer in (seed, leech)]
        seed.logged("blob: complete, seeding")
        wait_until(lambda: self.listed(url, content) == {ports[0]}, "the seed is listed")
        file.rename(watch / file.name)
        leech.logged("blob: complete, seeding")
        self.assertEqual((self.folder / "leech" / "blob").read_bytes(), CONTENT)
        wait_until(lambda: self.listed(url, content) == set(ports), "both are listed")

        self.assertLess(leech.told(signal.SIGTERM), 5)
        self.assertEqual((leech.process.returncode, self.listed(url, content)), (0, {ports[0]}))
        self.assertLess(seed.told(signal.SIGINT), 5)
        self.assertEqual((seed.process.returncode, self.listed(url, content)), (0, set()))
        tracker.told(signal.SIGTERM)
        for daemon in (tracker, leech, seed):
            self.assertNotIn("Traceback", daemon.log)

    def test_taken_away(self) -> None:
        """When its file leaves the watched folder a torrent stops, and comes back with it; other torrents go on."""
        settings = self.folder / "peer.toml"
        settings.write_text(f'[peer]\nwatch_interval = 0.1\nwatch = "{self.folder}"\n')
        peer = self.peer("peer", "--config", settings)
        file, _ = self.torrent(), self.torrent(name="other")
        broken = self.folder / "broken.torrent"
        broken.write_bytes(file.read_bytes()[:-1])
        peer.logged("blob: downloading")
        peer.logged("other: downloading")
        peer.logged("not usable until it changes: .*broken.torrent: ")
        aside = file.rename(self.folder / "aside")
        peer.logged("blob: stopped")
        aside.rename(file)
        peer.logged("(?s)blob: stopped.*blob: downloading")
        self.assertNotIn("other: stopped", peer.log)
        self.assertEqual(peer.log.count("not usable"), 1)
        peer.told(signal.SIGTERM)


class ReloadTests(DaemonTestCase):
    def test_rate_limits(self) -> None:
        """On SIGHUP the rate limits are read again; a mistake in the file is told and leaves them alone."""
        settings = self.folder / "peer.toml"
        settings.write_text(f'[peer]\nwatch = "{self.folder}"\nlimit_up = "1M"\n')
        peer = self.peer("peer", "--config", settings)
        peer.logged("listening for peers")
        settings.write_text(f'[peer]\nwatch = "{self.folder}"\nlimit_up = "fast"\n')
        peer.process.send_signal(signal.SIGHUP)
        peer.logged('the settings stay as they are: .*line 3: peer.limit_up is "fast"')
        settings.write_text(f'[peer]\nwatch = "{self.folder}"\nlimit_up = "2M"\n')
        peer.process.send_signal(signal.SIGHUP)
        peer.logged("took over the rate limits")
        peer.told(signal.SIGTERM)
        self.assertEqual(peer.process.returncode, 0)


class StopTests(DaemonTestCase):
    """A peer whose tracker takes its announces, and never answers."""

    def setUp(self) -> None:
        super().setUp()
        self.tracker = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.tracker.close)
        file = self.torrent(f"http://127.0.0.1:{self.tracker.getsockname()[1]}/announce")
        self.stuck = self.peer("stuck", "--torrent", file)
        self.tracker.settimeout(WAIT)
        connection, _ = self.tracker.accept()
        self.addCleanup(connection.close)

    def test_f106_told_once(self) -> None:
        """It waits for the tracker, but not for ever, and ends well."""
        took = self.stuck.told(signal.SIGTERM)
        self.assertEqual(self.stuck.process.returncode, 0, self.stuck.log)
        self.assertLess(took, 5.5)
        self.assertNotIn("Traceback", self.stuck.log)

    def test_f106_told_twice(self) -> None:
        """It ends at once."""
        self.stuck.process.send_signal(signal.SIGTERM)
        self.stuck.logged("a second signal ends this at once")
        self.assertLess(self.stuck.told(signal.SIGTERM), 1.5)
        self.assertEqual(self.stuck.process.returncode, -signal.SIGTERM)


class HangingTests(DaemonTestCase):
    def test_f106_thread_hangs(self) -> None:
        """A thread that does not come back keeps a daemon from ending well, but not from ending."""
        hanging = subprocess.Popen([sys.executable, "-c", HANGING], stdout=subprocess.PIPE, text=True)
        self.addCleanup(hanging.communicate)
        self.addCleanup(hanging.kill)
        self.assertEqual(hanging.stdout.readline(), "running\n")
        hanging.send_signal(signal.SIGTERM)
        self.assertEqual(hanging.wait(30), 1)


class RefusalTests(DaemonTestCase):
    """One line on standard error, and an exit code."""

    def test_f105_second_instance(self) -> None:
        """The state folder belongs to one process, which is named."""
        file = self.torrent()
        first = self.peer("one", "--torrent", file)
        first.logged("listening")
        state = self.folder / "one" / "state"
        code, lines = self.refused("--torrent", file, "--port", "0", "--state-dir", state)
        self.assertEqual((code, len(lines)), (1, 1))
        self.assertIn(f"{state} is used by another process, {first.process.pid};", lines[0])
        first.process.kill()
        first.process.wait(WAIT)
        self.peer("one", "--torrent", file).logged("listening")  # a crash leaves no lock behind

    def test_port_in_use(self) -> None:
        """An explicit port that is taken is the end."""
        real_parts.ipv6()
        taken = socket.create_server(("::", 0), family=socket.AF_INET6)
        self.addCleanup(taken.close)
        port = taken.getsockname()[1]
        code, lines = self.refused("--torrent", self.torrent(), "--port", str(port), "--state-dir", self.folder / "s")
        self.assertEqual((code, lines), (1, [f"twistd: cannot listen on port {port}: address already in use"]))

    def test_f109_mistakes(self) -> None:
        """Mistakes of usage, broken torrents and settings among them, are exit code 2."""
        broken = self.folder / "broken.torrent"
        broken.write_bytes(b"d4:spam")
        settings = self.folder / "peer.toml"
        settings.write_text("[peer]\n\nlimit_up = -5\n")
        for arguments, said in (
            (("--torrent", broken), "broken.torrent: torrent file: not bencoded"),
            (("--watch", self.folder, "--config", settings), "line 3: peer.limit_up is -5: expected 1 to"),
            ((), "nothing to share"),
            (("--speed", "5"), "option --speed not recognized"),
        ):
            code, lines = self.refused(*arguments)
            self.assertEqual((code, len(lines)), (2, 1), lines)
            self.assertIn(said, lines[0])


class PluginTests(DaemonTestCase):
    def test_found_from_any_folder(self) -> None:
        """twistd knows both daemons wherever it is started, and tells how to use the peer."""
        for arguments, said in (((), ("p2p-tracker", "p2p-peer")), (("p2p-peer",), ("--torrent=", "--watch="))):
            told: Any = subprocess.run(
                [TWISTD, *arguments, "--help"],
                cwd=self.folder,
                env={**os.environ, "COLUMNS": "80"},
                capture_output=True,
                text=True,
                timeout=WAIT,
            )
            self.assertEqual(told.returncode, 0, told.stderr)
            for words in said:
                self.assertIn(words, told.stdout)
