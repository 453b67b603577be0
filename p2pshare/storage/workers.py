"""The few threads that touch disks and hash pieces, so that the reactor never waits for either."""

from __future__ import annotations

from collections.abc import Callable
from queue import SimpleQueue
from threading import Lock, Thread
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

from p2pshare.errors import StorageError
from p2pshare.storage.hashing import usable_cores

# How the rest of storage gets blocking work done: call the function with the arguments, fire with its result.
# Workers.run in production, execute-now in tests.
Run = Callable[..., Deferred[Any]]

# Hashing and large writes run without the interpreter lock; more threads than this only fight over the disk.
MOST_THREADS = 4


def default_threads() -> int:
    """How many threads share the work: one a core this process may use, up to a limit."""
    return min(MOST_THREADS, usable_cores())


@define(eq=False)
class _Job:
    function: Callable[..., Any]
    args: tuple[Any, ...]
    done: Deferred[Any]
    outcome: Any = None  # what the function returned, or a Failure


@define(eq=False)
class Workers:
    """
    A small thread pool whose results cross to the reactor in batches. Knows nothing of pieces or files.

    Waking the reactor costs a system call and a turn of its loop. Whatever finishes while one wake-up is
    under way rides along with it, so a busy disk costs the reactor fewer turns, not more.

    Threads start as jobs first need them. :meth:`run` and :meth:`stop` belong to the reactor thread.
    """

    _reactor: IReactorFromThreads
    _limit: int = field(kw_only=True, factory=default_threads)
    _name: str = field(kw_only=True, default="storage")
    _queue: SimpleQueue[_Job | None] = field(init=False, factory=SimpleQueue)
    _threads: list[Thread] = field(init=False, factory=list)
    _unanswered: int = field(init=False, default=0)  # jobs accepted whose Deferred has not fired
    _stopped: bool = field(init=False, default=False)
    _stop_waiters: list[Deferred[None]] = field(init=False, factory=list)
    # Shared by the threads and the reactor. Invariant: _crossing says whether a _deliver is on its way.
    _lock: Lock = field(init=False, factory=Lock)
    _finished: list[_Job] = field(init=False, factory=list)
    _crossing: bool = field(init=False, default=False)

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """
        Call a function in one of the threads; jobs start in the order given.

        :return: fires in the reactor thread with what it returned or raised.
        """
        if self._stopped:
            return fail(StorageError("the storage threads have been stopped"))
        job = _Job(function, args, Deferred())
        self._unanswered += 1
        if self._unanswered > len(self._threads) < self._limit:
            self._start_thread()
        self._queue.put(job)
        return job.done

    def stop(self) -> Deferred[None]:
        """
        Take no more jobs and end the threads. Stopping twice is one stop.

        :return: fires when every job accepted before has been answered and the threads are gone.
        """
        if not self._stopped:
            self._stopped = True
            for _ in self._threads:
                self._queue.put(None)
        stopped: Deferred[None] = Deferred()
        self._stop_waiters.append(stopped)
        self._end_if_answered()
        return stopped

    def _start_thread(self) -> None:
        # A daemon: an interpreter that ends without stop() is not held up by a disk that does not answer.
        thread = Thread(target=self._work, name=f"{self._name}-{len(self._threads)}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _work(self) -> None:
        while (job := self._queue.get()) is not None:
            try:
                job.outcome = job.function(*job.args)
            except BaseException:  # whatever it is, it belongs to the one who asked
                job.outcome = Failure()
            with self._lock:
                self._finished.append(job)
                wake, self._crossing = not self._crossing, True
            if wake:
                self._reactor.callFromThread(self._deliver)

    def _deliver(self) -> None:
        with self._lock:
            finished, self._finished = self._finished, []
            self._crossing = False
        self._unanswered -= len(finished)
        for job in finished:
            if isinstance(job.outcome, Failure):
                job.done.errback(job.outcome)
            else:
                job.done.callback(job.outcome)
        self._end_if_answered()

    def _end_if_answered(self) -> None:
        if not self._stopped or self._unanswered:
            return
        for thread in self._threads:
            thread.join()  # at once: all it has left to do is to see its None
        self._threads.clear()
        waiters, self._stop_waiters = self._stop_waiters, []
        for stopped in waiters:
            stopped.callback(None)
