"""How fast bytes move, and sizes, rates and times as people read and write them."""

from __future__ import annotations

import re
from math import ceil, isfinite

from attrs import define, field

_SHORTEST = 0.25  # seconds; a first block must not be divided by the microsecond it took to look at the clock

_SIZE = re.compile(r"([0-9]{1,18})(?:\.([0-9]{1,9}))?(?:([KMGT])(?:IB)?|B)?")
_UNITS = {None: 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40}
_TIME_PART = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)([dhms])")
_SECONDS = {"d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


@define(eq=False)
class Meter:
    """
    Bytes per second over the last few seconds. Knows no clock: each call is told ``now`` in seconds, which never falls.

    The window is a ring of slots, one a second. Those of past seconds count whole; the second under way counts for the
    part of it that is over, so a steady flow reads the same at any moment. A flow that begins, or begins again after a
    silence as long as the window, is divided by its own age: it shows its speed at once.
    """

    window: float = 5.0  # seconds, used as whole ones, at least 2
    total: int = field(init=False, default=0)  # bytes since the beginning
    _slots: list[int] = field(init=False, repr=False)
    _sum: int = field(init=False, default=0, repr=False)  # always that of the slots
    _second: int = field(init=False, default=-1, repr=False)  # the one under way
    _place: int = field(init=False, default=0, repr=False)  # its slot
    _began: float = field(init=False, default=0.0, repr=False)  # when the first byte of this flow came

    @_slots.default
    def _empty_slots(self) -> list[int]:
        return [0] * max(2, ceil(self.window))  # a single slot would know nothing whenever a second begins

    def add(self, amount: int, now: float) -> None:
        """Count ``amount`` bytes that moved just now."""
        if now >= self._second + 1:
            self._turn(int(now))
        if not self._sum:
            self._began = now
        self._slots[self._place] += amount
        self._sum += amount
        self.total += amount

    def rate(self, now: float) -> float:
        """Tell the bytes per second, 0.0 when none moved within the window."""
        if now >= self._second + 1:
            self._turn(int(now))
        if not self._sum:
            return 0.0
        oldest = self._second - len(self._slots) + 1  # the second of the oldest slot
        return self._sum / max(now - max(oldest, self._began), _SHORTEST)

    def _turn(self, second: int) -> None:
        """Empty the slots of the seconds that leave the window, which are all after a long silence."""
        slots = self._slots
        for later in range(self._second + 1, min(second, self._second + len(slots)) + 1):
            place = later % len(slots)
            self._sum -= slots[place]
            slots[place] = 0
        self._second = second
        self._place = second % len(slots)


def parse_size(text: str) -> int:
    """
    Read bytes, or a number with K, M, G or T, which are powers of 1024: ``123``, ``64K``, ``1.5M``, ``2GiB``.

    :raise ValueError: it is none of these.
    """
    found = _SIZE.fullmatch(text.strip().upper())
    if found is None or (found[2] and not found[3]):
        raise ValueError(f"size {text!r}: a number of bytes is expected, or a number with K, M, G or T")
    unit = _UNITS[found[3]]
    fraction = int(found[2]) * unit // 10 ** len(found[2]) if found[2] else 0
    return int(found[1]) * unit + fraction


def parse_duration(text: str) -> float:
    """
    Read seconds, or numbers with d, h, m or s: ``90``, ``10m``, ``1.5h``, ``1d``, ``4m51s``.

    :raise ValueError: it is none of these.
    """
    parts = text.strip().lower()
    if parts[-1:].isdigit():
        parts += "s"
    seconds, end = 0.0, 0
    while part := _TIME_PART.match(parts, end):
        seconds += float(part[1]) * _SECONDS[part[2]]
        end = part.end()
    if not parts or end != len(parts):
        raise ValueError(f"time {text!r}: a number of seconds is expected, or numbers with d, h, m or s")
    return seconds


def format_size(size: float) -> str:
    """Write bytes for people: ``999 B``, ``1.5 MiB``."""
    if size < 1023.5:
        return f"{size:.0f} B"
    for unit in ("KiB", "MiB", "GiB", "TiB"):
        size /= 1024
        if size < 1023.95:  # from here on, one decimal would say 1024.0
            return f"{size:.1f} {unit}"
    return f"{size / 1024:.1f} PiB"


def format_rate(rate: float) -> str:
    """Write bytes per second for people: ``1.5 MiB/s``."""
    return f"{format_size(rate)}/s"


def format_duration(seconds: float) -> str:
    """Write a time for people by its two largest units: ``51s``, ``4m51s``, ``2h05m``, ``3d04h``; or ``never``."""
    if not isfinite(seconds):
        return "never"
    minutes, second = divmod(round(seconds), 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d{hour:02}h"
    if hours:
        return f"{hour}h{minute:02}m"
    if minutes:
        return f"{minute}m{second:02}s"
    return f"{second}s"
