"""When written pieces are made safe from power cuts: together, so that it costs next to nothing each."""

from __future__ import annotations

from collections.abc import Callable, Collection

from attrs import define, field
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

# (files that are whole, whether to write a snapshot) -> fires when that is done
Commit = Callable[[frozenset[int], bool], Deferred[None]]


@define(eq=False)
class GroupCommit:
    """
    Calls for a commit a second after something was written, or after so many bytes, or at once when somebody waits.

    One is under way at a time; what comes meanwhile goes into the next. Knows no disk. Reactor thread only.
    """

    _clock: IReactorTime
    _commit: Commit
    _failed: Callable[[Failure], None]  # told when a commit came to nothing
    interval: float = field(kw_only=True)  # s
    amount: int = field(kw_only=True)  # bytes
    save_every: float = field(kw_only=True)  # s between snapshots
    is_complete: bool = field(init=False, default=False)  # nothing more will come: the next commit writes a snapshot
    _written: int = field(init=False, default=0)  # bytes
    _whole: set[int] = field(init=False, factory=set)  # files
    _waiting: list[Deferred[None]] = field(init=False, factory=list)
    _save_at: float | None = field(init=False, default=None)  # when a snapshot is due; None: nothing is new
    _timer: IDelayedCall | None = field(init=False, default=None)
    _under_way: bool = field(init=False, default=False)
    _again: bool = field(init=False, default=False)
    _stopped: bool = field(init=False, default=False)
    _held: bool = field(init=False, default=False)  # one came to nothing, and what that means is being found out

    def written(self, amount: int, whole: Collection[int] = ()) -> None:
        """Note bytes that were written, and files that are whole with them."""
        self._written += amount
        self._whole.update(whole)
        if self._save_at is None:
            self._save_at = self._clock.seconds() + self.save_every
        if whole or self._written >= self.amount:
            self._start()
        else:
            self._set_timer(self.interval)

    def lack(self, files: Collection[int]) -> None:
        """Files lack something after all: they get no final name by a commit that has not begun."""
        self._whole.difference_update(files)

    def settled(self) -> Deferred[None]:
        """Fire when all that was written before is safe and whole files have their names; errs back as the commit."""
        settled: Deferred[None] = Deferred()
        self._waiting.append(settled)
        self._start()
        return settled

    def release(self, whole: Collection[int]) -> None:
        """
        Go on after a commit that came to nothing.

        :param whole: the files that lack nothing, now that it is known.
        """
        self._held = False
        self._whole.intersection_update(whole)
        if self._again or self._waiting:
            self._start()

    def stop(self) -> None:
        """Call for nothing more on our own account."""
        self._stopped = True
        self._cancel_timer()

    def _start(self) -> None:
        if self._under_way or self._held:
            self._again = True
            return
        self._cancel_timer()
        self._under_way, self._again = True, False
        waiting, self._waiting = self._waiting, []
        whole, self._whole = frozenset(self._whole), set()
        self._written = 0
        due = self._save_at is not None and self._clock.seconds() >= self._save_at
        save = due or self.is_complete
        if save:
            self._save_at = None
        self._commit(whole, save).addCallbacks(
            self._done, self._refused, callbackArgs=(waiting,), errbackArgs=(waiting, whole)
        )

    def _done(self, _: object, waiting: list[Deferred[None]]) -> None:
        self._under_way = False
        for settled in waiting:
            settled.callback(None)
        if self._under_way:
            return  # one of them started the next
        if self._again or self._waiting:
            self._start()
        elif self._written:
            self._set_timer(self.interval)
        elif self._save_at is not None:
            self._set_timer(max(0.0, self._save_at - self._clock.seconds()))

    def _refused(self, failure: Failure, waiting: list[Deferred[None]], whole: frozenset[int]) -> None:
        self._under_way = False
        self._held = True
        self._whole |= whole
        if self._save_at is None:
            self._save_at = self._clock.seconds()
        waiting += self._waiting
        self._waiting = []
        for settled in waiting:
            settled.errback(failure)
        self._failed(failure)

    def _set_timer(self, delay: float) -> None:
        if self._stopped:
            return
        if self._timer is None:
            self._timer = self._clock.callLater(delay, self._timer_fired)
        elif self._timer.getTime() > self._clock.seconds() + delay:
            self._timer.reset(delay)

    def _timer_fired(self) -> None:
        self._timer = None
        self._start()

    def _cancel_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
