"""Threads of the index's own, so that neither lookups of names nor hashing of files stand in its way."""

from __future__ import annotations

from collections.abc import Callable
from threading import Thread
from typing import Any

from attrs import define, field
from twisted.internet.defer import Deferred, fail
from twisted.internet.interfaces import IReactorFromThreads
from twisted.internet.threads import deferToThreadPool
from twisted.python.threadpool import ThreadPool

from p2pshare.errors import StorageError
from p2pshare.web.replies import Refused

# How blocking work gets done: call the function with the arguments, fire with its result. Lane.run, or in tests now.
Run = Callable[..., Deferred[Any]]

LONGEST_QUEUE = 1000  # jobs; at a millisecond each more than people wait for


class Busy(Refused):
    """More is asked of the index than it can do; it passes."""

    def __init__(self, text: str) -> None:
        """Keep what to say."""
        super().__init__(503, text, (("Retry-After", "1"),), "index_queue")


@define(eq=False)
class Lane:
    """A few threads and the queue before them. Jobs start in the order given."""

    _reactor: IReactorFromThreads
    _name: str
    _threads: int = field(kw_only=True, default=1)
    _longest: int = field(kw_only=True, default=LONGEST_QUEUE)
    _pool: ThreadPool = field(init=False)
    _unanswered: int = field(init=False, default=0)
    _stopped: Deferred[None] | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._pool = ThreadPool(minthreads=0, maxthreads=self._threads, name=self._name)
        # Daemons: an interpreter that ends without stop() is not held up.
        self._pool.threadFactory = _Daemon
        self._pool.start()

    def run(self, function: Callable[..., Any], *args: Any) -> Deferred[Any]:
        """
        Call a function in one of the threads.

        :return: fires in the reactor thread with what it returned or raised; Busy when too many wait.
        """
        if self._stopped is not None:
            return fail(StorageError("the index has been closed"))
        if self._unanswered >= self._longest:
            return fail(Busy(f"the index is busy: {self._unanswered} requests wait already"))
        self._unanswered += 1
        return deferToThreadPool(self._reactor, self._pool, function, *args).addBoth(self._answered)

    def stop(self) -> Deferred[None]:
        """Take no more jobs; fires when those accepted are answered and the threads gone. Once only."""
        self._stopped = Deferred()
        self._end_if_answered()
        return self._stopped

    def _answered(self, outcome: Any) -> Any:
        self._unanswered -= 1
        self._end_if_answered()
        return outcome

    def _end_if_answered(self) -> None:
        if self._stopped is not None and not self._unanswered:
            self._pool.stop()  # waits for threads that have nothing left to do
            self._stopped.callback(None)


class _Daemon(Thread):
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs, daemon=True)
