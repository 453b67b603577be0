"""Lists for people: a table that fits their terminal, or lines with tabs for other programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import click
from attrs import frozen

from p2pshare.cli.terminal import printable

if TYPE_CHECKING:
    from rich.table import Table

_NARROW = 100  # cells


@frozen
class Column:
    """One column of a list."""

    title: str
    is_number: bool = False
    is_flexible: bool = False  # cut where the terminal is narrow
    is_extra: bool = False  # not there at all on a narrow terminal


def write_table(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    """Write rows of words, which may be strangers'."""
    shown = [[printable(cell) for cell in row] for row in rows]
    if sys.stdout is not None and sys.stdout.isatty():
        _draw(columns, shown)
        return
    for row in shown:
        click.echo("\t".join(row))


def _draw(columns: Sequence[Column], rows: Iterable[Sequence[str]]) -> None:
    from rich.console import Console  # late, because it is slow, and programs do without

    console = Console()
    console.print(make_table(columns, rows, console.width))


def make_table(columns: Sequence[Column], rows: Iterable[Sequence[str]], width: int) -> Table:
    """
    Lay rows out for rich.

    :param width: of the terminal, in cells.
    """
    from rich.table import Table
    from rich.text import Text

    shown = [n for n, column in enumerate(columns) if width >= _NARROW or not column.is_extra]
    table = Table(box=None, pad_edge=False, collapse_padding=width < _NARROW, header_style="bold")
    for column in (columns[n] for n in shown):
        table.add_column(
            column.title,
            justify="right" if column.is_number else "left",
            no_wrap=not column.is_flexible,  # rich takes room from the others first
            overflow="ellipsis",
        )
    for row in rows:
        table.add_row(*(Text(row[n], no_wrap=True, overflow="ellipsis") for n in shown))
    return table
