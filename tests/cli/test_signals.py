"""Being told to stop before anything else is ready for it."""

from __future__ import annotations

import os
import signal

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.signals import STOPPING, Terminated, raise_on_signals


class RaiseOnSignalsTests(SynchronousTestCase):
    """Signals that this process sends to itself."""

    def setUp(self) -> None:
        for number in STOPPING:
            self.addCleanup(signal.signal, number, signal.getsignal(number))
            signal.signal(number, signal.SIG_DFL)

    def test_first_signal(self) -> None:
        """The first one is an exception that nothing takes for a failure; after it the system's way holds."""
        raise_on_signals()
        with self.assertRaises(Terminated):
            try:
                os.kill(os.getpid(), signal.SIGTERM)
            except Exception:
                self.fail("it was caught on its way")
        self.assertEqual(signal.getsignal(signal.SIGTERM), signal.SIG_DFL)

    def test_ignored(self) -> None:
        """What is ignored stays so."""
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        raise_on_signals()
        os.kill(os.getpid(), signal.SIGHUP)
        self.assertEqual(signal.getsignal(signal.SIGHUP), signal.SIG_IGN)

    def test_ctrl_c(self) -> None:
        """Python's own way with Ctrl-C stays."""
        signal.signal(signal.SIGINT, signal.default_int_handler)
        raise_on_signals()
        self.assertEqual(signal.getsignal(signal.SIGINT), signal.default_int_handler)
