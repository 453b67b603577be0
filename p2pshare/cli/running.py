"""Running the reactor for one command: until its work is done, or a signal asks it to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine
from types import FrameType
from typing import Any, TypeVar

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from p2pshare.cli.exits import interrupted

_Result = TypeVar("_Result")
STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(task: Callable[[Any], Coroutine[Deferred[Any], Any, _Result]]) -> _Result:
    """
    Run the global reactor until ``task(reactor)`` ends, and return what it returns. Once in a process.

    A stopping signal cancels the task: it sees ``CancelledError`` where it waits, tidies up (it may await while doing
    so) and either returns a result after all, as a seed does that was asked to stop, or lets the error pass. A second
    signal ends the process at once.

    :raise Ended: a signal stopped the task before it was finished.
    """
    from twisted.internet import reactor as installed

    reactor: Any = installed
    outcome: list[Any] = []
    signals: list[int] = []

    def begin() -> None:
        running = Deferred.fromCoroutine(task(reactor))

        def stop(signum: int, _frame: FrameType | None) -> None:
            for number in STOPPING:
                if signal.getsignal(number) is stop:
                    signal.signal(number, signal.SIG_DFL)
            signals.append(signum)
            reactor.callFromThread(running.cancel)

        for number in STOPPING:
            if signal.getsignal(number) != signal.SIG_IGN:  # nohup, or a shell's background job
                signal.signal(number, stop)
        running.addBoth(end)

    def end(result: object) -> None:
        outcome.append(result)
        reactor.stop()

    reactor.callWhenRunning(begin)
    reactor.run()
    result: Any = outcome[0]
    if isinstance(result, Failure):
        if signals:
            raise interrupted(signals[0]) from result.value
        result.raiseException()
    return result  # type: ignore[no-any-return]
