"""``p2pshare tracker``."""

from __future__ import annotations

from typing import Any

from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli import tracker
from p2pshare.cli.exits import ExitCode
from p2pshare.errors import P2PShareError
from tests.cli.sample import run


class RecordingService(Service):
    """Writes down what happens to it; fails to start if told to."""

    def __init__(self, trouble: Exception | None = None) -> None:
        self.events: list[str] = []
        self.trouble = trouble
        self.stopping: Deferred[None] = Deferred()

    def privilegedStartService(self) -> None:
        self.events.append("privileged start")
        if self.trouble:
            raise self.trouble

    def startService(self) -> None:
        self.events.append("start")

    def stopService(self) -> Deferred[None]:
        self.events.append("stop")
        return self.stopping


class ServeTests(SynchronousTestCase):
    """The life of the service in the foreground."""

    def test_until_told_to_stop(self) -> None:
        """It is started as twistd does, and stopped in order when cancelled: that is a good end."""
        service = RecordingService()
        serving = Deferred.fromCoroutine(tracker.serve(service))
        self.assertEqual(service.events, ["privileged start", "start"])
        serving.cancel()
        self.assertEqual(service.events[2:], ["stop"])
        self.assertNoResult(serving)
        service.stopping.callback(None)
        self.assertIsNone(self.successResultOf(serving))

    def test_cannot_start(self) -> None:
        """If it cannot start, it is stopped, and the reason reaches the edge."""
        service = RecordingService(P2PShareError("cannot listen on 127.0.0.1:8000: Address already in use"))
        service.stopping.callback(None)
        self.failureResultOf(Deferred.fromCoroutine(tracker.serve(service)), P2PShareError)
        self.assertEqual(service.events, ["privileged start", "stop"])


class CommandTests(SynchronousTestCase):
    """The command's options are those of the twistd plugin."""

    def setUp(self) -> None:
        self.made: list[Any] = []
        self.patch(tracker, "makeService", self.made.append)
        self.patch(tracker, "run", lambda task: task(None).close())
        self.patch(tracker, "_log_to_standard_error", lambda: None)

    def test_options_are_handed_on(self) -> None:
        """Port and address reach the service."""
        result = run("tracker", "--port", "8123", "--bind=0.0.0.0", "--no-state")
        self.assertEqual(result.exit_code, ExitCode.OK, result.output)
        (options,) = self.made
        self.assertEqual((options.settings.port, options.settings.bind), (8123, "0.0.0.0"))

    def test_wrong_options(self) -> None:
        """A mistake is wrong usage, said by the plugin's own words."""
        for arguments, expected in ((("--port", "x"), "expected a whole number"), (("--colour",), "--colour")):
            result = run("tracker", *arguments)
            self.assertEqual(result.exit_code, ExitCode.USAGE)
            self.assertIn(expected, result.stderr)
        self.assertEqual(self.made, [])

    def test_help(self) -> None:
        """The help shows the plugin's options beside our words."""
        result = run("tracker", "--help")
        self.assertEqual(result.exit_code, ExitCode.OK)
        for words in ("Run a tracker until Ctrl-C", "--port=", "--state-dir=", "p2pshare tracker --bind"):
            self.assertIn(words, result.output)
