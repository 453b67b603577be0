"""The folder a daemon keeps its state in, for itself alone."""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path

from attrs import define, field

from p2pshare.errors import P2PShareError


@define(eq=False)
class StateLock:
    """
    A locked file with our process id in it: as long as it is held, no other daemon uses the same state.

    The lock is the kernel's, so it ends with the process, however that ends; the file itself stays.
    """

    path: Path
    _descriptor: int | None = field(init=False, default=None)

    def take(self) -> None:
        """
        Make the folder if need be, and lock it.

        :raise P2PShareError: another process has it, which is named, or the folder cannot be used.
        """
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise P2PShareError(f"cannot use the state folder {self.path.parent}: {error.strerror}") from error
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            owner = os.read(descriptor, 20).decode("ascii", "replace").strip() or "unknown"
            os.close(descriptor)
            raise P2PShareError(
                f"the state in {self.path.parent} is used by another process, {owner}; give this one a state of its own"
            ) from error
        except OSError as error:  # as on a network disk that knows no locks
            os.close(descriptor)
            raise P2PShareError(f"cannot lock {self.path}: {error.strerror}") from error
        self._descriptor = descriptor
        os.ftruncate(descriptor, 0)
        with suppress(OSError):  # a full disk: the lock holds all the same, only without a name on it
            os.write(descriptor, b"%d\n" % os.getpid())

    def release(self) -> None:
        """Let others have it; harmless when it was never taken."""
        if self._descriptor is not None:
            os.ftruncate(self._descriptor, 0)
            os.close(self._descriptor)
            self._descriptor = None
