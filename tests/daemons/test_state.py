"""The folder of one daemon."""

from __future__ import annotations

import errno
import fcntl
import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from p2pshare.daemons.state import StateLock
from p2pshare.errors import P2PShareError


class StateLockTests(SynchronousTestCase):
    """Its lock."""

    def setUp(self) -> None:
        self.path = Path(self.mktemp()) / "state" / "lock"
        self.lock = StateLock(self.path)
        self.addCleanup(self.lock.release)

    def refuse(self, code: int) -> None:
        """Let the system refuse every lock."""

        def flock(descriptor: int, operation: int) -> None:
            raise OSError(code, os.strerror(code))

        self.patch(fcntl, "flock", flock)

    def test_taken(self) -> None:
        """It is for whoever takes it first, who is named to everybody else, and free again afterwards."""
        self.lock.take()
        other = StateLock(self.path)
        error = self.assertRaises(P2PShareError, other.take)
        self.assertEqual(
            str(error),
            f"the state in {self.path.parent} is used by another process, {os.getpid()}; "
            "give this one a state of its own",
        )
        self.lock.release()
        other.take()
        other.release()

    def test_no_locks(self) -> None:
        """Where locking fails for another reason, that reason is told, and nobody is suspected."""
        self.refuse(errno.ENOLCK)
        error = self.assertRaises(P2PShareError, self.lock.take)
        self.assertEqual(str(error), f"cannot lock {self.path}: No locks available")

    def test_no_folder(self) -> None:
        """A folder that cannot be made is named with the reason."""
        self.path.parent.parent.write_text("a file")
        error = self.assertRaises(P2PShareError, self.lock.take)
        self.assertEqual(str(error), f"cannot use the state folder {self.path.parent}: Not a directory")

    def test_full_disk(self) -> None:
        """A lock that nobody's name can be written into is a lock all the same."""

        def write(descriptor: int, data: bytes) -> int:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        self.patch(os, "write", write)
        self.lock.take()
        self.assertIn("unknown", str(self.assertRaises(P2PShareError, StateLock(self.path).take)))
