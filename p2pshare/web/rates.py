"""How often somebody may do something."""

from __future__ import annotations

from attrs import define, field

REMEMBERED = 100_000  # groups with a bucket that is not full; about 15 MiB


@define(eq=False)
class RateLimit:
    """
    A token bucket for each group of addresses: ``burst`` at once, ``rate`` a second in the long run.

    A bucket is one number, the time at which it will be full again (GCRA, as in ATM networks); full ones need no
    memory. Knows no clock: ``now`` is told, in seconds.
    """

    _rate: float
    _burst: float
    _full_at: dict[str, float] = field(init=False, factory=dict)

    def take(self, group: str, now: float) -> float:
        """
        Take one token from a group's bucket.

        :return: 0 when there was one, otherwise the seconds until there will be; asking in vain costs nothing.
        """
        full_at = max(self._full_at.get(group, now), now) + 1 / self._rate
        wait = full_at - now - self._burst / self._rate
        if wait > 1e-9:  # the sums of many 1/rate are not exact
            return wait
        if len(self._full_at) >= REMEMBERED:
            self._forget(now)
        self._full_at[group] = full_at
        return 0.0

    def wait(self, group: str, now: float) -> float:
        """Tell the seconds until there is a token for a group, 0 when there is one; takes none."""
        wait = self._full_at.get(group, now) + (1 - self._burst) / self._rate - now
        return wait if wait > 1e-9 else 0.0

    def _forget(self, now: float) -> None:
        """Make room: drop the full buckets, or all of them when too few are full to be worth the search."""
        self._full_at = {group: full_at for group, full_at in self._full_at.items() if full_at > now}
        if len(self._full_at) > REMEMBERED // 2:
            self._full_at.clear()
