"""How a command in the foreground is told to stop, and how it leaves though something hangs."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Timer
from types import FrameType

from p2pshare.cli.exits import ExitCode, explain
from p2pshare.cli.signals import STOPPING
from p2pshare.cli.terminal import printable

STOP_WITHIN = 5.0  # s from the first signal, or from the end of the work, to the end of the process


@contextmanager
def told_to_stop(act: Callable[[int], None]) -> Iterator[None]:
    """
    As long as the block lasts, call ``act`` with the number of the first signal to stop; a second one ends the process.

    It is called between any two steps of the main thread, as signal handlers are. What is ignored stays so: nohup, or
    a shell's background job.
    """

    def signalled(number: int, frame: FrameType | None) -> None:
        for each in taken:
            signal.signal(each, signal.SIG_DFL)
        act(number)

    before = {number: signal.getsignal(number) for number in STOPPING}
    taken = [number for number in STOPPING if before[number] != signal.SIG_IGN]
    for number in taken:
        signal.signal(number, signalled)
    try:
        yield
    finally:
        for number in taken:
            signal.signal(number, before[number])


def leave_within(seconds: float, outcome: Exception | None) -> None:
    """
    End the process after so many seconds, unless it has ended by then.

    For whatever nobody can call back: a name look-up in a thread, a disk that does not answer, a full pipe.

    :param outcome: what went wrong; it is said, and decides about the exit code.
    """
    explained = None if outcome is None else explain(outcome)
    message, code = explained or ("", ExitCode.OK if outcome is None else ExitCode.ERROR)
    leaving = Timer(seconds, _leave, (message, code))
    leaving.daemon = True
    leaving.start()


def _leave(message: str, code: ExitCode) -> None:
    with suppress(OSError):
        # Past Python's own buffers, which the thread that hangs may hold, and never waiting for a full pipe.
        if message and select.select([], [2], [], 0)[1]:
            os.write(2, f"p2pshare: {printable(message)}\n".encode(errors="backslashreplace"))
    os._exit(code)
