"""Several downloads at once on a terminal: a bar for each, or a line for each now and then."""

from __future__ import annotations

import time
from collections.abc import Sequence
from types import TracebackType
from typing import IO

import click
from attrs import define, field
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from p2pshare.cli.children import Child
from p2pshare.rates import format_rate

LINES_EVERY = 1.0  # s, where there is no terminal


@define(eq=False)
class DemoView:
    """Shows how far each child is, as often as it is asked to."""

    _children: Sequence[Child]
    _stream: IO[str] | None  # None: nobody looks
    _bars: Progress | None = field(init=False, default=None)
    _tasks: list[TaskID] = field(init=False, factory=list)
    _next_lines: float = field(init=False, default=0.0)
    _said_complete: set[str] = field(init=False, factory=set)

    def __enter__(self) -> DemoView:
        if self._stream is not None and self._stream.isatty():
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                TextColumn("{task.percentage:5.1f}%"),
                TextColumn("{task.fields[figures]}"),
                console=Console(file=self._stream),
                auto_refresh=False,
            )
            self._bars.start()
            self._tasks = [self._bars.add_task(child.name, total=100.0, figures="") for child in self._children]
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._bars is not None:
            self._bars.stop()

    def show(self) -> None:
        """Draw the present state."""
        if self._bars is None:
            self._write_lines()
            return
        for child, task in zip(self._children, self._tasks, strict=True):
            self._bars.update(task, completed=_percent(child), figures=_figures(child))
        self._bars.refresh()

    def _write_lines(self) -> None:
        if self._stream is None:
            return
        now = time.monotonic()
        due = now >= self._next_lines
        if due:
            self._next_lines = now + LINES_EVERY
        for child in self._children:
            complete = "complete" in child.events
            news = complete and child.name not in self._said_complete
            if child.latest and (news or (due and not complete)):
                click.echo(f"{child.name}: {_percent(child):.1f}%  {_figures(child)}", file=self._stream)
            if complete:
                self._said_complete.add(child.name)


def _percent(child: Child) -> float:
    return 100.0 if "complete" in child.events else float(child.latest.get("percent", 0.0))


def _figures(child: Child) -> str:
    latest = child.latest
    if not latest:
        return "starting"
    pieces = f"{latest.get('pieces_done', 0)}/{latest.get('pieces_total', 0)} pieces"
    return f"{pieces}  {latest.get('peers', 0)} peers  {format_rate(float(latest.get('down_rate', 0)))}"
