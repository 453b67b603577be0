"""Showing how far the hashing of a content is, for commands that create and verify."""

from __future__ import annotations

import time
from collections.abc import Callable

from attrs import define, field, frozen

from p2pshare.cli.progress import Progress
from p2pshare.metainfo import choose_piece_length

_PATIENCE = 0.5  # seconds nobody minds waiting: shorter work shows nothing
_REDRAW = 0.1  # seconds


@frozen
class HashingSnapshot:
    """Hashing at one moment, in the form in which transfers are shown."""

    name: str
    info_hash: str
    state: str
    pieces_done: int
    pieces_total: int
    bytes_done: int
    bytes_total: int
    down_rate: float  # bytes/second read and hashed
    eta: float | None
    peers: int = 0
    up_rate: float = 0.0
    error: str | None = None


@define(eq=False)
class Hashing:
    """
    Is told bytes done and in all, as storage tells them, and shows them. A context manager: tidies up at the end.

    Knows no threads: what hashes calls it from several, but never from two at once.
    """

    _progress: Progress
    _name: str
    _state: str
    _piece_length: int | None = None  # None: as it will be chosen
    _info_hash: str = ""
    _is_all: bool = True  # hashing is the whole work: its end is worth an event of its own
    _now: Callable[[], float] = field(default=time.monotonic, kw_only=True)
    _begun: float = field(init=False, default=0.0)
    _due: float = field(init=False, default=0.0)
    _is_shown: bool = field(init=False, default=False)

    def __enter__(self) -> Hashing:
        self._begun = self._now()
        self._due = self._begun + _PATIENCE
        return self

    def __call__(self, done: int, total: int) -> None:
        """Show it, if it is time to."""
        now = self._now()
        if done == total and self._is_shown and self._is_all:
            self._progress.complete(self._snapshot(done, total, now))
        elif now >= self._due:
            self._due = now + _REDRAW
            self._is_shown = True
            self._progress.show(self._snapshot(done, total, now))

    def __exit__(self, *_: object) -> None:
        self._progress.close()

    def _snapshot(self, done: int, total: int, now: float) -> HashingSnapshot:
        piece_length = self._piece_length or choose_piece_length(total)
        rate = done / max(now - self._begun, _REDRAW)
        return HashingSnapshot(
            name=self._name,
            info_hash=self._info_hash,
            state=self._state,
            pieces_done=-(-total // piece_length) if done == total else done // piece_length,
            pieces_total=-(-total // piece_length),
            bytes_done=done,
            bytes_total=total,
            down_rate=rate,
            eta=(total - done) / rate if rate else None,
        )
