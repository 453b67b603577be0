"""How a transfer is shown while it goes on: a live bar, plain lines, JSON lines, or nothing."""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, MutableMapping
from enum import Enum
from math import isfinite
from typing import IO, Any, Protocol

import click
from attrs import define, field

from p2pshare.cli.exits import ABOUT
from p2pshare.cli.figures import Ascent, SwarmSnapshot, describe
from p2pshare.cli.terminal import write_json

# Nothing changes for hours while a complete torrent is served; a line a second would fill a disk with logs.
SEEDING_INTERVAL = 60.0


class Progress(Protocol):
    """
    Shows snapshots. Call ``show`` a few times a second: each way of showing keeps its own, slower pace.

    ``complete`` is called once, when the content is there; ``show`` may go on after it while seeding. ``close`` is
    called in any case, whatever happened, and leaves the terminal as it was.
    """

    def show(self, snapshot: SwarmSnapshot) -> None: ...
    def complete(self, snapshot: SwarmSnapshot) -> None: ...
    def close(self) -> None: ...


class Mode(Enum):
    """How to show progress."""

    PEOPLE = "people"  # a live bar on a terminal, lines elsewhere
    JSON = "json"
    QUIET = "quiet"


def mode(as_json: bool, quiet: bool) -> Mode:
    """Tell the mode from the options ``--json`` and ``--quiet``; JSON is for a program that wants it all."""
    if as_json:
        return Mode.JSON
    return Mode.QUIET if quiet else Mode.PEOPLE


def make_progress(
    mode: Mode,
    stream: IO[str] | None = None,
    *,
    transient: bool = False,
    now: Callable[[], float] = time.monotonic,
) -> Progress:
    """
    Choose how to show progress.

    :param stream: where people look, standard output by default; if it is no terminal they get lines instead of a bar.
    :param transient: take the bar away at the end.
    """
    if mode is Mode.JSON:
        context = click.get_current_context(silent=True)
        return JsonLines(now=now, about={} if context is None else context.meta.setdefault(ABOUT, {}))
    stream = stream or sys.stdout
    if mode is Mode.QUIET or stream is None:  # None: closed by whoever started us
        return Silence()
    if stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown"):
        from p2pshare.cli.live_bar import LiveBar  # rich takes longer to import than some commands to run

        return LiveBar(stream, transient=transient)
    return Lines(stream, now=now)


@define(eq=False)
class _Seconds:
    """Lets through one event in each whole second since the first one."""

    _now: Callable[[], float]
    _first: float | None = None
    _last: int = -1

    def is_new(self, at_least: float = 1.0) -> bool:
        """Whether at least so many whole seconds have begun since this last was true."""
        now = self._now()
        if self._first is None:
            self._first = now
        second = int(now - self._first)
        if self._last >= 0 and second - self._last < at_least:
            return False
        self._last = second
        return True


class Silence:
    """Shows nothing."""

    def show(self, snapshot: SwarmSnapshot) -> None:
        """Show nothing."""

    def complete(self, snapshot: SwarmSnapshot) -> None:
        """Show nothing."""

    def close(self) -> None:
        """Do nothing."""


@define(eq=False)
class Lines:
    """Plain lines for logs and pipes: at most one a second, and one at the end."""

    _stream: IO[str]
    _now: Callable[[], float] = field(kw_only=True)
    _ascent: Ascent = field(init=False, factory=Ascent)
    _seconds: _Seconds = field(init=False)
    _last: str = field(init=False, default="")

    def __attrs_post_init__(self) -> None:
        self._seconds = _Seconds(self._now)

    def show(self, snapshot: SwarmSnapshot) -> None:
        """Write a line if a second has passed; while seeding, if a minute has and something is new."""
        if self._seconds.is_new(SEEDING_INTERVAL if snapshot.state == "seeding" else 1.0):
            line = describe(snapshot, self._ascent.percent(snapshot))
            if snapshot.state != "seeding" or line != self._last:
                self._write(line)

    def complete(self, snapshot: SwarmSnapshot) -> None:
        """Write the last line at once, unless it stands there already."""
        line = describe(snapshot, self._ascent.percent(snapshot))
        if line != self._last:
            self._write(line)

    def close(self) -> None:
        """Do nothing: every line is out."""

    def _write(self, line: str) -> None:
        self._last = line
        click.echo(line, file=self._stream)


@define(eq=False)
class JsonLines:
    """One JSON object a line on standard output: at most one of progress a second, and one at the end."""

    _now: Callable[[], float] = field(kw_only=True)
    _about: MutableMapping[str, Any] = field(kw_only=True)  # the latest figures: an error reported later repeats them
    _ascent: Ascent = field(init=False, factory=Ascent)
    _seconds: _Seconds = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._seconds = _Seconds(self._now)

    def show(self, snapshot: SwarmSnapshot) -> None:
        """Write a progress event if a second has passed; while seeding, if a minute has."""
        self._about.update(self._figures(snapshot))
        if self._seconds.is_new(SEEDING_INTERVAL if snapshot.state == "seeding" else 1.0):
            self._write("progress", snapshot)

    def complete(self, snapshot: SwarmSnapshot) -> None:
        """Write the event that says all is there."""
        self._about.update(self._figures(snapshot))
        self._write("complete", snapshot)

    def close(self) -> None:
        """Do nothing: every line is out."""

    def _write(self, event: str, snapshot: SwarmSnapshot) -> None:
        problem = {"error": snapshot.error} if snapshot.error else {}
        write_json({"event": event, **self._about, **problem})

    def _figures(self, snapshot: SwarmSnapshot) -> dict[str, object]:
        return {
            "name": snapshot.name,
            "info_hash": snapshot.info_hash or None,  # not known while a torrent is made
            "state": snapshot.state,
            "percent": self._ascent.percent(snapshot),
            "pieces_done": snapshot.pieces_done,
            "pieces_total": snapshot.pieces_total,
            "peers": snapshot.peers,
            "down_rate": round(snapshot.down_rate),
            "up_rate": round(snapshot.up_rate),
            "eta": None if snapshot.eta is None or not isfinite(snapshot.eta) else round(snapshot.eta, 1),
        }
