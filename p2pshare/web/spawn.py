"""Coroutines that nobody waits for: what goes wrong in them is said, and they end with their service."""

from __future__ import annotations

from collections.abc import Coroutine
from typing import Any

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred, DeferredList, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure


@define(eq=False)
class Background:
    """What a service does besides answering."""

    failed: int = field(init=False, default=0)
    _running: set[Deferred[None]] = field(init=False, factory=set)
    _is_stopped: bool = field(init=False, default=False)
    log = Logger()

    def __len__(self) -> int:
        return len(self._running)

    def spawn(self, work: Coroutine[Any, Any, object], what: str) -> Deferred[None]:
        """
        Start something.

        :param what: it is, for the log.
        :return: fires with None at its end, whatever that is; cancel it to end it early.
        """
        if self._is_stopped:
            work.close()
            return succeed(None)
        running: Deferred[None] = Deferred.fromCoroutine(work).addCallback(lambda _: None)
        self._running.add(running)
        running.addErrback(self._failed, what)
        running.addBoth(self._ended, running)
        return running

    def stop(self) -> Deferred[None]:
        """Cancel all that runs, and start nothing more; fires when the last has ended."""
        self._is_stopped = True
        ending = list(self._running)
        for running in ending:
            running.cancel()
        return DeferredList(ending).addCallback(lambda _: None)

    def _failed(self, failure: Failure, what: str) -> None:
        if failure.check(CancelledError) is None:
            self.failed += 1
            self.log.failure("{what} failed", failure=failure, what=what)

    def _ended(self, result: None, running: Deferred[None]) -> None:
        self._running.discard(running)
