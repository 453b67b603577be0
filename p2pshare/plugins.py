"""Functions that are chosen by name: ours, and those that installed packages offer."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

from p2pshare.errors import ConfigError

Function = TypeVar("Function", bound=Callable[..., Any])


def group(kind: str) -> str:
    """Name the entry points that offer functions of a kind."""
    return f"p2pshare.{kind}s"


def find_function(kind: str, ours: Mapping[str, Function], name: str) -> Function:
    """
    Find a function; see docs/course/strategies.md for how to write one.

    :param kind: what it is, as ``picker``; the entry points of ``p2pshare.pickers`` offer others.
    :param ours: those that need not be installed; nobody replaces them.
    :raise ConfigError: there is none of that name, or it cannot be loaded.
    """
    if name in ours:
        return ours[name]
    offered = _offered(group(kind))
    for entry in offered.select(name=name):
        try:
            found = entry.load()
        except Exception as error:  # another's module: whatever is wrong in it is said in a line
            raise ConfigError(f"{kind} is {name!r}: {entry.value} cannot be loaded: {error}") from error
        if not callable(found):
            raise ConfigError(f"{kind} is {name!r}: {entry.value} is {type(found).__name__}, expected a function")
        return found  # type: ignore[no-any-return]
    raise ConfigError(f"{kind} is {name!r}: expected {', '.join(dict.fromkeys([*ours, *sorted(offered.names)]))}")


def _offered(name: str) -> Any:
    from importlib.metadata import entry_points  # late: 10 ms of every start

    return entry_points(group=name)
