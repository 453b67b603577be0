"""The orders in which pieces can be fetched, by name: ours, and those that installed packages bring."""

from __future__ import annotations

from typing import Any

from p2pshare.errors import ConfigError
from p2pshare.policy.strategies import STRATEGIES, Strategy

GROUP = "p2pshare.pickers"  # of entry points


def find_picker(name: str) -> Strategy:
    """
    Find a strategy; see docs/course/strategies.md for how to write one.

    :raise ConfigError: there is none of that name, or it cannot be loaded.
    """
    if name in STRATEGIES:
        return STRATEGIES[name]
    offered = _offered()
    for entry in offered.select(name=name):
        try:
            found = entry.load()
        except Exception as error:  # another's module: whatever is wrong in it is said in a line
            raise ConfigError(f"picker {name!r}: {entry.value} cannot be loaded: {error}") from error
        if not callable(found):
            raise ConfigError(f"picker {name!r}: {entry.value} is {type(found).__name__}, expected a function")
        return found  # type: ignore[no-any-return]
    raise ConfigError(f"picker is {name!r}: expected {', '.join([*STRATEGIES, *sorted(offered.names)])}")


def _offered() -> Any:
    from importlib.metadata import entry_points  # late: 10 ms of every start

    return entry_points(group=GROUP)
