"""How many bytes a second may pass, for one torrent and for all of them together."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime

# A bucket never holds more than this many seconds of its rate: short enough that a burst after
# silence stays small, long enough that a timer's jitter does not cost throughput.
BURST_SECONDS = 0.25
# Nobody waits for less than this many seconds' worth of bytes, or the timer would fire for every block.
WAKE_SECONDS = 0.05


@define(eq=False)
class Bucket:
    """
    A token bucket: bytes gather at ``rate`` a second, whoever moves bytes spends them.

    Spending may overdraw the bucket (a block is sent whole); nobody else moves until it has recovered.
    """

    _clock: IReactorTime
    _rate: float | None = None  # bytes/second; None: no limit
    _level: float = field(init=False, default=0.0)
    _filled_at: float = field(init=False, default=0.0)
    _waiting: deque[Callable[[], None]] = field(init=False, factory=deque)
    _timer: IDelayedCall | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._filled_at = self._clock.seconds()

    @property
    def rate(self) -> float | None:
        """Bytes a second, or None when there is no limit."""
        return self._rate

    @rate.setter
    def rate(self, rate: float | None) -> None:
        self._rate = rate
        self._level = 0.0
        self._filled_at = self._clock.seconds()
        self._wake()

    def is_ready(self) -> bool:
        """Whether a byte may pass now."""
        if self._rate is None:
            return True
        self._fill(self._rate)
        return self._level >= 0

    def spend(self, amount: int) -> None:
        """Count bytes that have passed."""
        if self._rate is not None:
            self._level -= amount

    def call_when_ready(self, call: Callable[[], None]) -> None:
        """Call once, as soon as bytes may pass again; first come, first served."""
        self._waiting.append(call)
        self._schedule()

    def _fill(self, rate: float) -> None:
        now = self._clock.seconds()
        self._level = min(rate * BURST_SECONDS, self._level + (now - self._filled_at) * rate)
        self._filled_at = now

    def _schedule(self) -> None:
        if self._timer is None and self._waiting:
            delay = 0.0 if self._rate is None else max(WAKE_SECONDS, -self._level / self._rate)
            self._timer = self._clock.callLater(delay, self._wake)

    def _wake(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None
        for _ in range(len(self._waiting)):  # each waiter at most once a round, even if it queues again
            if not self.is_ready():
                break
            self._waiting.popleft()()
        self._schedule()

    def close(self) -> None:
        """Forget who waits and stop the timer."""
        self._waiting.clear()
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None


@define(eq=False)
class Allowance:
    """What one connection may move in one direction: the sum of all limits that bind it."""

    _buckets: tuple[Bucket, ...] = ()

    @property
    def rate(self) -> float | None:
        """The tightest limit in bytes a second, None when nothing binds."""
        return min((bucket.rate for bucket in self._buckets if bucket.rate is not None), default=None)

    def is_ready(self) -> bool:
        """Whether every limit lets a byte pass now."""
        return all(bucket.is_ready() for bucket in self._buckets)

    def spend(self, amount: int) -> None:
        """Count bytes that have passed against every limit."""
        for bucket in self._buckets:
            bucket.spend(amount)

    def call_when_ready(self, call: Callable[[], None]) -> None:
        """Call once when the limit that is exhausted now has recovered; the caller asks :meth:`is_ready` again."""
        for bucket in self._buckets:
            if not bucket.is_ready():
                bucket.call_when_ready(call)
                return
        call()
