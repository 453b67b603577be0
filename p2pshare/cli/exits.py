"""How a command ends: the exit codes, and the one place where errors become a sentence and a code."""

from __future__ import annotations

import errno
import os
import signal
from collections.abc import Mapping
from contextlib import suppress
from enum import IntEnum
from typing import Any

import click

from p2pshare.cli.signals import Terminated
from p2pshare.cli.terminal import printable, write_json
from p2pshare.errors import ConfigError, DiskFull, P2PShareError, TrackerError, VerificationFailed

# Keys of click's Context.meta, which is shared by a command and the group above it.
JSON = "p2pshare.json"  # true: errors are written as an object too
ABOUT = "p2pshare.about"  # what was last reported of the torrent; goes into that object


class ExitCode(IntEnum):
    """What the shell sees. Documented in README.md; never renumber."""

    OK = 0
    ERROR = 1
    USAGE = 2
    TIMED_OUT = 3
    NOBODY_FOUND = 4  # no tracker answered, or no peer was ever seen
    DISK_FULL = 5
    VERIFICATION_FAILED = 6
    UNFINISHED = 7  # told to stop (SIGTERM) before the work was done
    INTERRUPTED = 130  # Ctrl-C: 128 + SIGINT, as shells have it


_CODES: tuple[tuple[type[P2PShareError], ExitCode], ...] = (  # the first that fits
    (DiskFull, ExitCode.DISK_FULL),
    (VerificationFailed, ExitCode.VERIFICATION_FAILED),
    (TrackerError, ExitCode.NOBODY_FOUND),
    (ConfigError, ExitCode.USAGE),
    (P2PShareError, ExitCode.ERROR),
)


class Ended(P2PShareError):
    """A command that did not do what it was asked for, and knows its exit code (time out, nobody found)."""

    def __init__(self, message: str, code: ExitCode) -> None:
        """Keep the sentence and the code."""
        super().__init__(message)
        self.code = code


def interrupted(signum: int) -> Ended:
    """Say how a command ends that a signal stopped before it was finished."""
    if signum == signal.SIGINT:
        return Ended("interrupted", ExitCode.INTERRUPTED)
    return Ended("stopped before it was finished", ExitCode.UNFINISHED)


def explain(error: BaseException) -> tuple[str, ExitCode] | None:
    """
    Translate what went wrong for a person and for the shell.

    :return: one sentence and the exit code; None for an error that nobody foresaw: our bug, whose traceback we need.
    """
    match error:
        case KeyboardInterrupt():
            return explain(interrupted(signal.SIGINT))
        case Terminated():
            return explain(interrupted(signal.SIGTERM))
        case Ended():
            return str(error), error.code
        case P2PShareError():
            return str(error), next(code for kind, code in _CODES if isinstance(error, kind))
        case OSError():
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            return _os_error(error), ExitCode.DISK_FULL if full else ExitCode.ERROR
    return None


def _os_error(error: OSError) -> str:
    reason = error.strerror or str(error) or type(error).__name__
    if error.filename is None:
        return reason
    name = error.filename if isinstance(error.filename, int) else os.fsdecode(error.filename)
    return f"{name}: {reason}"


def report(message: str, code: ExitCode, meta: Mapping[str, Any]) -> None:
    """
    Say why a command failed, in one line on standard error; as a last object on standard output too, if it speaks JSON.

    :param meta: of the click context: holds JSON and ABOUT.
    """
    if meta.get(JSON):
        with suppress(OSError):  # that nothing can be written there may be the very thing to report
            write_json({**meta.get(ABOUT, {}), "event": "error", "error": message, "exit_code": int(code)})
    with suppress(OSError):  # the exit code still tells
        click.echo(f"p2pshare: {printable(message)}", err=True)
