"""Running the reactor for one command: until its work is done, or a signal asks it to stop."""

from __future__ import annotations

import signal
from collections.abc import Callable, Coroutine, Iterable
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
    running: list[Deferred[_Result]] = []
    outcome: list[Any] = []
    signals: list[int] = []

    def stop(signum: int, _frame: FrameType | None) -> None:
        _handle(taken, signal.SIG_DFL)
        signals.append(signum)
        reactor.callFromThread(lambda: running[0].cancel())  # begun by then: it is the first that the reactor does

    def begin() -> None:
        running.append(Deferred.fromCoroutine(task(reactor)))
        running[0].addBoth(end)

    def end(result: object) -> None:
        outcome.append(result)
        reactor.stop()

    before = {number: signal.getsignal(number) for number in STOPPING}
    taken = [number for number in STOPPING if before[number] != signal.SIG_IGN]  # nohup, a shell's background job
    _handle(taken, stop)
    reactor.callWhenRunning(begin)
    try:
        reactor.run(installSignalHandlers=False)  # ours are there already: no signal finds none
    finally:
        for number in taken:
            signal.signal(number, before[number])
    result: Any = outcome[0]
    if isinstance(result, Failure):
        if signals:
            raise interrupted(signals[0]) from result.value
        result.raiseException()
    return result  # type: ignore[no-any-return]


def _handle(numbers: Iterable[signal.Signals], handler: Any) -> None:
    for number in numbers:
        signal.signal(number, handler)
