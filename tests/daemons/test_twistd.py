"""What twistd is told by us."""

from __future__ import annotations

import sys
from io import StringIO
from typing import Any

from twisted.application.service import Application, MultiService
from twisted.logger import ILogObserver, Logger, LogPublisher
from twisted.trial.unittest import SynchronousTestCase

from p2pshare.daemons.twistd import Started


class PrintedLogTests(SynchronousTestCase):
    """The log of a daemon in the foreground."""

    def observer(self, **twistd: Any) -> Any:
        """Tell which observer of ours twistd would use, started with these options."""
        application = Application("p2p-peer")
        Started(MultiService(), twistd).setServiceParent(application)
        return application.getComponent(ILogObserver, None)

    def test_without_debug(self) -> None:
        """What is printed has a line for everything but debug events."""
        printed = StringIO()
        self.patch(sys, "stdout", printed)
        log = Logger(namespace="p2pshare", observer=LogPublisher(self.observer(nodaemon=True)))
        log.debug("closing {peer}", peer="192.0.2.1:6881")
        log.info("listening")
        log.warn("trouble")
        said = [line.partition("[p2pshare#")[2] for line in printed.getvalue().splitlines()]
        self.assertEqual(said, ["info] listening", "warn] trouble"])

    def test_elsewhere(self) -> None:
        """A log that goes where the user wants it is left to twistd, as is that of a daemon in the background."""
        self.assertIsNone(self.observer(nodaemon=False))
        for option in ("logfile", "logger", "syslog"):
            self.assertIsNone(self.observer(nodaemon=True, **{option: "somewhere"}))

    def test_part_of_a_service(self) -> None:
        """Inside another service it stands nowhere near a log."""
        whole = MultiService()
        started = Started(MultiService(), {"nodaemon": True})
        started.setServiceParent(whole)
        self.assertEqual(list(whole), [started])
