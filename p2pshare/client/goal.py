"""How long a finished torrent goes on giving."""

from __future__ import annotations

import math

from attrs import frozen

from p2pshare.errors import ConfigError
from p2pshare.rates import parse_duration


@frozen
class SeedGoal:
    """Seed until one of these is reached; with neither, for ever."""

    ratio: float | None = None  # bytes given for each byte of content
    seconds: float | None = None  # since completion

    def is_reached(self, ratio: float, seconds: float) -> bool:
        """Whether enough was given."""
        by_ratio = self.ratio is not None and ratio >= self.ratio
        return by_ratio or (self.seconds is not None and seconds >= self.seconds)


NOTHING = SeedGoal(seconds=0.0)
FOREVER = SeedGoal()


def parse_goal(text: str) -> SeedGoal:
    """
    Read ``none``, ``forever``, ``ratio=1.5`` or ``time=10m``.

    :raise ConfigError: it is none of these.
    """
    if text == "none":
        return NOTHING
    if text == "forever":
        return FOREVER
    kind, _, value = text.partition("=")
    try:
        if kind == "ratio" and math.isfinite(float(value)) and float(value) >= 0:
            return SeedGoal(ratio=float(value))
        if kind == "time":
            return SeedGoal(seconds=parse_duration(value))
    except ValueError:
        pass
    raise ConfigError(f"seed until: {text!r}, not none, forever, ratio=NUMBER or time=DURATION")
