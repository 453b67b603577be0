"""The signals that stop a command, from its first moment on. Imports next to nothing, as it comes before the rest."""

from __future__ import annotations

import signal
from types import FrameType

STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Terminated(BaseException):
    """What KeyboardInterrupt is to SIGINT, to the other signals: nothing on its way out may take it for a failure."""


def raise_on_signals() -> None:
    """
    Let every signal to stop be an exception of the main thread, once; a second signal ends the process.

    SIGINT is one already. What is ignored stays so: nohup, or a shell's background job.
    """
    for number in STOPPING:
        if signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _terminated)


def _terminated(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_DFL)
    raise Terminated
