"""The live bar on a terminal: one line that is drawn anew, drawn by rich."""

from __future__ import annotations

from collections.abc import Iterable
from typing import IO

from attrs import define, field, frozen
from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.progress import BarColumn, Progress, TaskID, TextColumn
from rich.table import Column
from rich.text import Text

from p2pshare.cli.figures import LOCAL_STATES, Ascent, SwarmSnapshot, count_peers
from p2pshare.cli.terminal import printable
from p2pshare.rates import format_duration, format_rate

_NAME_WIDTHS = (8, 30)  # least and most, in cells
_OTHER_CELLS = 24  # percentage, gaps and the shortest bar that still says something
_ROOM_FOR_ECHO = 2  # cells: a terminal shows Ctrl-C as ^C, which must not begin a line below the bar


def _text(template: str) -> TextColumn:
    # Names are strangers' text: no markup, no emoji codes, and never a second line.
    return TextColumn(template, markup=False, table_column=Column(no_wrap=True, overflow="ellipsis"))


@frozen
class _Narrower:
    _inner: RenderableType

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        yield from console.render(self._inner, options.update_width(max(1, options.max_width - _ROOM_FOR_ECHO)))


class _Bar(Progress):
    def get_renderables(self) -> Iterable[RenderableType]:
        """Draw a little less than a whole line."""
        yield from map(_Narrower, super().get_renderables())


@define(eq=False)
class LiveBar:
    """
    Draws name, bar, percentage, pieces, rate, peers and time left; once more with each call.

    Has no thread: whoever calls ``show`` sets the pace, so nothing is drawn while a reactor is busy.
    """

    _stream: IO[str]
    _transient: bool = field(default=False, kw_only=True)
    _ascent: Ascent = field(init=False, factory=Ascent)
    _bar: Progress = field(init=False)
    _task: TaskID | None = field(init=False, default=None)

    def __attrs_post_init__(self) -> None:
        self._bar = _Bar(
            _text("{task.description}"),
            BarColumn(bar_width=None),
            _text("{task.fields[percent]:5.1f}%"),
            _text("{task.fields[figures]}"),
            console=Console(file=self._stream),
            auto_refresh=False,
            transient=self._transient,
            expand=True,
        )

    def show(self, snapshot: SwarmSnapshot) -> None:
        """Draw the bar as it is now."""
        percent = self._ascent.percent(snapshot)
        figures = _figures(snapshot, percent)
        if self._task is None:
            self._task = self._bar.add_task("", total=100.0, percent=percent, figures="")
            self._bar.start()
        self._bar.update(
            self._task,
            description=self._shortened(printable(snapshot.name), beside=figures),
            completed=percent,
            percent=percent,
            figures=figures,
        )
        self._bar.refresh()

    def complete(self, snapshot: SwarmSnapshot) -> None:
        """Draw the full bar."""
        self.show(snapshot)

    def close(self) -> None:
        """Leave the bar where it is, give the cursor back; nothing was drawn if nothing was ever shown."""
        if self._task is not None:
            self._bar.stop()

    def _shortened(self, name: str, beside: str) -> str:
        """Cut the name before the figures have to be: they change, the name is known."""
        least, most = _NAME_WIDTHS
        text = Text(name)
        text.truncate(
            max(least, min(most, self._bar.console.width - _ROOM_FOR_ECHO - _OTHER_CELLS - len(beside))),
            overflow="ellipsis",
        )
        return text.plain


def _figures(snapshot: SwarmSnapshot, percent: float) -> str:
    parts = [f"{snapshot.pieces_done}/{snapshot.pieces_total}"]
    if snapshot.state not in LOCAL_STATES:
        parts.append(count_peers(snapshot.peers))
    if snapshot.state == "seeding":
        parts.append(f"↑ {format_rate(snapshot.up_rate)}")
    else:
        parts.append(f"↓ {format_rate(snapshot.down_rate)}" if snapshot.peers else format_rate(snapshot.down_rate))
        if snapshot.up_rate > 0:
            parts.append(f"↑ {format_rate(snapshot.up_rate)}")
        if percent < 100:
            parts.append(f"ETA {'?' if snapshot.eta is None else format_duration(snapshot.eta)}")
    if snapshot.error:
        parts.append(printable(snapshot.error))
    return "  ".join(parts)
