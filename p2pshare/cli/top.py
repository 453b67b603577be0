"""``p2pshare top``: the torrents of a peer daemon, live."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from typing import Any

import click
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater

from p2pshare.cli.asking import Service, answered
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.node import TORRENT_COLUMNS, NodeTorrents, all_torrents, control_option, torrent_row
from p2pshare.cli.options import Seconds, examples
from p2pshare.cli.running import run
from p2pshare.cli.status import summary
from p2pshare.cli.tables import make_table
from p2pshare.cli.terminal import printable

_SHORTEST_PERIOD = 0.1  # s
_LINES_BESIDES = 3  # of the screen: heading, summary, and where the cursor is


View = Callable[[NodeTorrents], None]  # shows what was seen; called once in each round


@click.command(
    "top",
    short_help="Watch the torrents of a peer daemon.",
    epilog=examples("p2pshare top", "p2pshare top --every 5 --control http://10.0.0.2:8081", "p2pshare top --once"),
)
@control_option
@click.option("--every", type=Seconds(), default="1", show_default=True, help="Look so often.")
@click.option("--once", is_flag=True, help="Look once, and end.")
def command(control: str, every: float, once: bool) -> None:
    """
    Watch what a running peer daemon transfers until Ctrl-C: the busiest torrents first, every second.

    Where standard output is no terminal, each round is a few plain lines. Exits with 4 when no daemon answers.
    """
    with ExitStack() as stack:
        view = _screen(stack) if _is_screen() else write_lines
        try:
            run(lambda reactor: watch(reactor, control, max(every, _SHORTEST_PERIOD), once, view))
        except Ended as end:
            if end.code not in (ExitCode.INTERRUPTED, ExitCode.UNFINISHED):
                raise  # to be told to stop is how watching ends well


async def watch(reactor: Any, control: str, every: float, once: bool, view: View) -> None:
    """Look and show, once or until this is cancelled."""

    async def look(node: Service) -> None:
        while True:
            view(await all_torrents(node))
            if once:
                return
            waiting: Deferred[None] = deferLater(reactor, every)
            await waiting

    await answered(reactor, control, look)


def busiest(seen: NodeTorrents) -> NodeTorrents:
    """Sort torrents: those that move most come first, then those that are not complete."""
    order = sorted(
        seen.torrents, key=lambda each: (-(each.down_rate + each.up_rate), each.percent >= 100, each.name.casefold())
    )
    return NodeTorrents(tuple(order), seen.total, seen.down_rate, seen.up_rate)


def write_lines(seen: NodeTorrents) -> None:
    """Write one line for all, and one for each torrent that moves."""
    click.echo(printable(summary(seen, {})))
    for torrent in busiest(seen).torrents:
        if torrent.down_rate or torrent.up_rate:
            click.echo("\t".join(map(printable, torrent_row(torrent))))
    if sys.stdout is not None:
        sys.stdout.flush()  # whoever reads wants it now


def _is_screen() -> bool:
    return sys.stdout is not None and sys.stdout.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


def _screen(stack: ExitStack) -> Callable[[NodeTorrents], None]:
    """Take the terminal until the stack unwinds, and draw on it."""
    from rich.console import Console, Group
    from rich.live import Live
    from rich.text import Text

    console = Console()
    live = stack.enter_context(Live(console=console, auto_refresh=False, screen=True))

    def draw(seen: NodeTorrents) -> None:
        room = max(1, console.height - _LINES_BESIDES)
        shown = busiest(seen).torrents[:room]
        rows = [[printable(cell) for cell in torrent_row(torrent)] for torrent in shown]
        table = make_table(TORRENT_COLUMNS, rows, console.width)
        live.update(Group(Text(summary(seen, {}), no_wrap=True), table), refresh=True)

    return draw
