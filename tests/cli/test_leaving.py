"""Being told to stop by signals, within one process."""

from __future__ import annotations

import os
import signal

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.leaving import told_to_stop
from p2pshare.cli.signals import STOPPING


class ToldToStopTests(SynchronousTestCase):
    """Signals that this process sends to itself. How it leaves when something hangs is shown in tests/system."""

    def setUp(self) -> None:
        before = {number: signal.getsignal(number) for number in STOPPING}
        self.addCleanup(lambda: [signal.signal(number, handler) for number, handler in before.items()])
        for number in STOPPING:
            signal.signal(number, self.others)
        self.told: list[int] = []

    def others(self, number: int, frame: object) -> None:
        """Whoever handled signals before."""

    def test_first_signal(self) -> None:
        """The first one is told; after it the system's way holds, which ends the process."""
        with told_to_stop(self.told.append):
            os.kill(os.getpid(), signal.SIGHUP)
            self.assertEqual(self.told, [signal.SIGHUP])
            self.assertEqual({signal.getsignal(number) for number in STOPPING}, {signal.SIG_DFL})

    def test_afterwards(self) -> None:
        """Afterwards everything is as it was, whether there was a signal or not."""
        for numbers in ((), (signal.SIGTERM,)):
            with told_to_stop(self.told.append):
                for number in numbers:
                    os.kill(os.getpid(), number)
            self.assertEqual({signal.getsignal(number) for number in STOPPING}, {self.others})

    def test_ignored(self) -> None:
        """What is ignored stays so, as nohup and shells want it."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        with told_to_stop(self.told.append):
            os.kill(os.getpid(), signal.SIGHUP)
            self.assertEqual(self.told, [])
            os.kill(os.getpid(), signal.SIGTERM)
            self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)
