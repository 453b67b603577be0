"""How a daemon is told to stop: in order at the first signal, at once at the second, and never later than promised."""

from __future__ import annotations

import os
import signal
from threading import Timer
from types import FrameType
from typing import Any

from twisted.logger import Logger

STOP_WITHIN = 5.0  # s from the signal to the end of the process
_TOO_LATE = 1  # exit code, when something hung

_log = Logger()


def stop_on_signals(reactor: Any, within: float = STOP_WITHIN) -> None:
    """
    Take SIGINT and SIGTERM over from a reactor that runs.

    Twisted's own way ends the process by the signal that stopped it, as if it had been killed, and takes no notice of
    a second one. This way the exit code is 0 after stopping in order, and the second signal ends the process whatever
    it is waiting for.

    :param within: seconds that stopping may take. Then the process ends, even if it is a thread of the reactor's that
        hangs, such as a name look-up, for which Twisted would wait.
    """

    def signalled(number: int, frame: FrameType | None) -> None:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)
        reactor.callFromThread(stop)

    def stop() -> None:
        _log.info("stopping; a second signal ends this at once")
        limit = Timer(within, os._exit, (_TOO_LATE,))
        limit.daemon = True
        limit.start()
        if reactor.running:
            reactor.stop()

    # What is ignored stays so: nohup, or a shell's background job.
    taken = [each for each in (signal.SIGINT, signal.SIGTERM) if signal.getsignal(each) is not signal.SIG_IGN]
    for number in taken:
        signal.signal(number, signalled)
