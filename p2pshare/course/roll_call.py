"""Who has never come: a neighbor that was not started yet, or never will be. Nobody can tell which."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

ABSENCE = 600.0  # s; longer than it takes to start all by hand, and an end for those that wait for one that never comes
REMIND = 60.0  # s between two lines about them


@define(eq=False)
class RollCall:
    """
    Waits for everybody to come for the first time.

    :param absent: everybody.
    :param wait: seconds; None: for as long as it takes.
    :param missed: told once who did not come in that time; they may still.
    """

    _absent: set[int]
    _clock: IReactorTime
    _wait: float | None
    _missed: Callable[[set[int]], object]
    _began: float = field(init=False, default=0.0)
    _timer: IDelayedCall | None = field(init=False, default=None)
    log = Logger()

    def start(self) -> None:
        """Begin to wait."""
        self._began = self._clock.seconds()
        self._go_on(0.0)

    def came(self, id: int) -> None:
        """Somebody is here, or here again."""
        self._absent.discard(id)
        if not self._absent:
            self.stop()

    def stop(self) -> None:
        """Wait no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        self._timer = None
        waited = self._clock.seconds() - self._began
        names = ", ".join(map(str, sorted(self._absent)))
        self.log.warn("not here yet after {waited:.0f} s: peer {names}", waited=waited, names=names)
        if self._wait is not None and waited >= self._wait:
            self._missed(set(self._absent))
        else:
            self._go_on(waited)

    def _go_on(self, waited: float) -> None:
        if self._absent:
            rest = REMIND if self._wait is None else min(REMIND, self._wait - waited)
            self._timer = self._clock.callLater(rest, self._look)
