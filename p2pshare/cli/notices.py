"""What a foreground transfer says besides its progress: notes on standard output, warnings on standard error."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import IO

import click
from attrs import define
from twisted.logger import ILogObserver, LogEvent, LogLevel, eventAsText, formatEvent, globalLogBeginner
from zope.interface import implementer

from p2pshare.cli.progress import Mode
from p2pshare.cli.terminal import printable
from p2pshare.errors import P2PShareError

_NAME_AND_ERROR = re.compile(r"\{(swarm|name)\}: \{error\}")

Say = Callable[[str], None]


def say_nothing(text: str) -> None:
    """Keep a note to ourselves."""


def say(text: str) -> None:
    """Write a note for people; names in it may be strangers'. Above the live bar, if there is one."""
    if sys.stdout is not None:  # closed by whoever started us
        click.echo(printable(text), file=sys.stdout)


def notes(mode: Mode) -> Say:
    """Choose whether notes are written: programs and the quiet do without."""
    return say if mode is Mode.PEOPLE else say_nothing


def show_warnings() -> None:
    """Let warnings and bugs reach standard error, and nothing else of the log. Once in a process."""
    globalLogBeginner.beginLoggingTo([Warnings(_errors)], redirectStandardIO=False)


def _errors() -> IO[str] | None:
    # While the live bar is shown, rich puts what goes to sys.stderr above it; but that is a terminal's business only.
    return sys.stderr if sys.__stderr__ is not None and sys.__stderr__.isatty() else sys.__stderr__


@implementer(ILogObserver)
@define(eq=False)
class Warnings:
    """
    Writes events of the log that are warnings, or worse, as the command line writes its errors.

    What says of a torrent that it failed is left out: the command ends with it, and says so itself.
    """

    _stream: Callable[[], IO[str] | None]

    def __call__(self, event: LogEvent) -> None:
        """Write one event."""
        stream, level = self._stream(), event.get("log_level")
        if stream is None or level is None or level < LogLevel.warn or _is_the_end(event):
            return
        if "log_failure" in event:
            text = eventAsText(event, includeTimestamp=False, includeSystem=False).strip()
            click.echo(f"p2pshare: a bug, please report it: {text}", file=stream)
        else:
            click.echo(f"p2pshare: {printable(formatEvent(event))}", file=stream)


def _is_the_end(event: LogEvent) -> bool:
    text = event.get("log_format") or ""
    return isinstance(event.get("error"), P2PShareError) and _NAME_AND_ERROR.fullmatch(text) is not None
