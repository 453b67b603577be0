"""``p2pshare share``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from click.testing import Result
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.python.usage import UsageError
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli import share
from p2pshare.cli.exits import ExitCode
from p2pshare.client.settings import PeerSettings
from p2pshare.daemons.access import TOKEN_VARIABLE
from p2pshare.errors import PortError
from tests.cli.sample import run


class FakeDaemon(Service):
    """Writes down when it begins and ends."""

    def __init__(self, name: str, events: list[str], url: str = "", trouble: Exception | None = None) -> None:
        self.label, self.events, self.url, self.trouble = name, events, url, trouble

    def startService(self) -> None:
        super().startService()
        if self.trouble is not None:
            raise self.trouble
        self.events.append(f"{self.label} begins")

    def stopService(self) -> Deferred[None] | None:
        super().stopService()
        self.events.append(f"{self.label} ends")
        return None


class FakeOptions(dict[str, Any]):
    """Reads nothing, and remembers what it was given."""

    given: list[list[str]] = []

    def __init__(self) -> None:
        super().__init__()
        self.state: Path | None = None
        self.settings = PeerSettings()

    def parseOptions(self, words: list[str]) -> None:
        """Remember; a folder ``bad`` is refused."""
        FakeOptions.given.append(words)
        if any(word.endswith("bad") for word in words):
            raise UsageError("cannot share bad")
        if "--state-dir" in words:
            self.state = Path(words[words.index("--state-dir") + 1], "swarms")


class ShareTests(SynchronousTestCase):
    """The command with daemons that only pretend."""

    def setUp(self) -> None:
        self.events: list[str] = []
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.peer = FakeDaemon("peer", self.events)
        self.tracker = FakeDaemon("tracker", self.events, "http://127.0.0.1:8000/announce")
        FakeOptions.given = []
        self.peers_options: list[FakeOptions] = []
        for module, service in ((share.peer, self.peer), (share.tracker, self.tracker)):
            self.patch(module, "Options", FakeOptions)
            self.patch(module, "makeService", lambda options, service=service: self.made(service, options))
        for name, stand_in in (
            ("run", self.run_until_told),
            ("show_warnings", lambda: None),
            ("make_monotonic", lambda reactor: None),
            ("allow_many_files", lambda: None),
            ("reachable_host", lambda bound: "10.0.0.5"),
        ):
            self.patch(share, name, stand_in)
        token = os.environ.pop(TOKEN_VARIABLE, None)
        self.addCleanup(lambda: os.environ.pop(TOKEN_VARIABLE, None))
        if token is not None:
            self.addCleanup(os.environ.__setitem__, TOKEN_VARIABLE, token)

    def made(self, service: FakeDaemon, options: FakeOptions) -> FakeDaemon:
        """Give a daemon, and note with which options."""
        if service is self.peer:
            self.peers_options.append(options)
        return service

    def run_until_told(self, task: Any) -> None:
        """Run a task, and cancel it when it waits."""
        running = Deferred.fromCoroutine(task(None))
        if not running.called:
            self.events.append("told to stop")
            running.cancel()
        self.assertTrue(running.called)
        results: list[Any] = []
        running.addBoth(results.append)
        if results[0] is not None:
            results[0].raiseException()

    def share(self, *arguments: str | Path, token: str | None = None) -> Result:
        """Run the command, with a token in the environment or without."""
        return run("share", self.folder, *arguments, env={TOKEN_VARIABLE: token})

    def test_with_an_index(self) -> None:
        """The peer shares the folder and tells the index that was named; stopped, it ends in order, with 0."""
        result = self.share("--index", "http://10.0.0.1:8000/", "--port", "7001", "--control-port", "0")
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(
            FakeOptions.given,
            [["--share", str(self.folder), "--index", "http://10.0.0.1:8000", "--port", "7001", "--control-port", "0"]],
        )
        self.assertEqual(self.events, ["peer begins", "told to stop", "peer ends"])

    def test_with_tracker(self) -> None:
        """The tracker begins first and ends last; everybody, we too, calls it by the address that others use."""
        result = self.share("--with-tracker", "--state-dir", self.mktemp())
        self.assertEqual(result.exit_code, 0, result.output)
        self.assertEqual(self.events, ["tracker begins", "peer begins", "told to stop", "peer ends", "tracker ends"])
        self.assertEqual(FakeOptions.given[0][:4], ["--bind", "0.0.0.0", "--port", "8000"])
        self.assertEqual(FakeOptions.given[1][:4], ["--share", str(self.folder), "--index", "http://10.0.0.5:8000"])
        self.assertIn("    p2pshare search --index http://10.0.0.5:8000\n", result.output)

    def test_token(self) -> None:
        """What others can reach has a token, which is kept, and which the peer of this process is told."""
        state = self.mktemp()
        self.share("--with-tracker", "--state-dir", state)
        self.share("--with-tracker", "--state-dir", state)
        first, second = (options.settings.share.index_token for options in self.peers_options)
        self.assertEqual(first, second)
        self.assertGreater(len(first), 20)
        self.assertNotIn(TOKEN_VARIABLE, os.environ)

    def test_no_token(self) -> None:
        """Where nobody else can connect there is none, and the environment's is known to everybody anyway."""
        self.share("--with-tracker", "--bind", "127.0.0.1", "--state-dir", self.mktemp())
        self.share("--with-tracker", "--state-dir", self.mktemp(), token="t" * 32)
        self.share("--index", "http://10.0.0.1:8000")
        self.assertEqual([options.settings.share.index_token for options in self.peers_options], [None] * 3)

    def test_what_others_type(self) -> None:
        """The only file is named, ready for a shell; of several, the list is."""
        (self.folder / "it's here.txt").touch()
        self.assertIn("p2pshare get 'it'\"'\"'s here.txt' --index http://10.0.0.1:8000", self.advice())
        (self.folder / "b").touch()
        self.assertIn("p2pshare search --index http://10.0.0.1:8000", self.advice())

    def advice(self) -> str:
        """Give what the command says."""
        return self.share("--index", "http://10.0.0.1:8000").output

    def test_trouble_at_the_start(self) -> None:
        """If the peer cannot start, the tracker ends as well, and the reason is one line."""
        self.peer.trouble = PortError("port 7001: in use")
        result = self.share("--with-tracker")
        self.assertEqual((result.exit_code, result.stderr), (ExitCode.ERROR, "p2pshare: port 7001: in use\n"))
        self.assertEqual(self.events, ["tracker begins", "peer ends", "tracker ends"])

    def test_wrong_usage(self) -> None:
        """A folder that is none, options that exclude each other or are refused: exit code 2."""
        self.assertEqual(run("share", self.folder / "nothing").exit_code, ExitCode.USAGE)
        self.assertEqual(self.share("--with-tracker", "--index", "http://x").exit_code, ExitCode.USAGE)
        bad = self.folder / "bad"
        bad.mkdir()
        result = run("share", bad)
        self.assertEqual(result.exit_code, ExitCode.USAGE)
        self.assertIn("cannot share bad", result.stderr)
        self.assertEqual(self.events, [])
