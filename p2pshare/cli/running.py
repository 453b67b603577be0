"""Running the reactor for one command: until its work is done, or a signal asks it to stop."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from twisted.internet import reactor as installed
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from p2pshare.cli.exits import interrupted
from p2pshare.cli.leaving import STOP_WITHIN, leave_within, told_to_stop

_Result = TypeVar("_Result")


def run(task: Callable[[Any], Coroutine[Deferred[Any], Any, _Result]]) -> _Result:
    """
    Run the global reactor until ``task(reactor)`` ends, and return what it returns. Once in a process.

    A stopping signal cancels the task: it sees ``CancelledError`` where it waits, tidies up (it may await while doing
    so) and either returns a result after all, as a seed does that was asked to stop, or lets the error pass. A second
    signal ends the process at once, and so does the end of the time that tidying up may take.

    :raise Ended: a signal stopped the task before it was finished.
    """
    reactor: Any = installed
    running: list[Deferred[_Result]] = []
    outcome: list[Any] = []
    signals: list[int] = []

    def stop(number: int) -> None:
        signals.append(number)
        leave_within(STOP_WITHIN, interrupted(number))
        reactor.callFromThread(lambda: running[0].cancel())  # begun by then: it is the first that the reactor does

    def begin() -> None:
        running.append(Deferred.fromCoroutine(task(reactor)))
        running[0].addBoth(end)

    def end(result: object) -> None:
        outcome.append(result)
        reactor.stop()

    reactor.callWhenRunning(begin)
    with told_to_stop(stop):
        reactor.run(installSignalHandlers=False)  # ours are there already: no signal finds none
    result: Any = outcome[0]
    if isinstance(result, Failure):
        if signals:
            raise interrupted(signals[0]) from result.value
        result.raiseException()
    return result  # type: ignore[no-any-return]
