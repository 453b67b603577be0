"""Timers that do not notice when somebody sets the machine's clock."""

from __future__ import annotations

import time
from typing import Any


def make_monotonic(reactor: Any) -> None:
    """
    Let a reactor count seconds on the monotonic clock.

    Twisted schedules by the wall clock: set forward, it fires every timer at once, and set back, none for as long.
    Call before anything is scheduled; once something is, it is too late, and nothing happens.
    """
    if not reactor.getDelayedCalls():
        reactor.seconds = time.monotonic
