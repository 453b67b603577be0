"""Loading the program quickly. What it leaves out is shown in tests/system, by processes of their own."""

from __future__ import annotations

import gc
import sys
from importlib import import_module

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.cli.quick_start import load, quickly


class QuicklyTests(SynchronousTestCase):
    """What is so while a block lasts, and how it ends."""

    def setUp(self) -> None:
        self.addCleanup(gc.unfreeze)
        here = sys.modules.pop("OpenSSL", None)
        if here is not None:
            self.addCleanup(sys.modules.__setitem__, "OpenSSL", here)

    def test_without_tls(self) -> None:
        """Within the block nobody finds TLS; after it, whatever happened, everybody does."""
        with self.assertRaises(ZeroDivisionError), quickly():
            with self.assertRaises(ImportError):
                import_module("OpenSSL")
            raise ZeroDivisionError
        self.assertNotIn("OpenSSL", sys.modules)
        self.assertEqual(import_module("OpenSSL").__name__, "OpenSSL")

    def test_tls_that_is_there(self) -> None:
        """Where it was loaded before, it stays."""
        loaded = import_module("OpenSSL")
        with quickly():
            self.assertIs(import_module("OpenSSL"), loaded)
        self.assertIs(sys.modules["OpenSSL"], loaded)

    def test_garbage(self) -> None:
        """No garbage is looked for meanwhile, and what was loaded is not looked through afterwards."""
        with quickly():
            self.assertFalse(gc.isenabled())
        self.assertTrue(gc.isenabled())
        self.assertGreater(gc.get_freeze_count(), 0)

    def test_load(self) -> None:
        """A module is given as an import statement would give it."""
        self.assertIs(load("p2pshare.cli.exits"), import_module("p2pshare.cli.exits"))
