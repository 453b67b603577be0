"""Work that has to end before what it works on may be closed."""

from __future__ import annotations

from typing import TypeVar

from attrs import define, field
from twisted.internet.defer import Deferred

T = TypeVar("T")


@define(eq=False)
class Ongoing:
    """Counts what is under way. Reactor thread only."""

    _count: int = field(init=False, default=0)
    _waiters: list[Deferred[None]] = field(init=False, factory=list)

    @property
    def is_over(self) -> bool:
        """Whether nothing is under way."""
        return not self._count

    def track(self, work: Deferred[T]) -> Deferred[T]:
        """
        Follow some work until it ends.

        :return: fires as the work does. Cancelling it, as a timeout would, leaves the work alone: a thread that
            writes from a buffer cannot be called back, and the buffer must not be used again before it is done.
        """
        self._count += 1
        outcome: Deferred[T] = Deferred()
        work.chainDeferred(outcome)
        work.addBoth(self._ended)
        return outcome

    def over(self) -> Deferred[None]:
        """Fire when nothing is under way."""
        over: Deferred[None] = Deferred()
        self._waiters.append(over)
        self._tell()
        return over

    def _ended(self, _: object) -> None:
        self._count -= 1
        self._tell()

    def _tell(self) -> None:
        if not self._count:
            waiters, self._waiters = self._waiters, []
            for over in waiters:
                over.callback(None)
