"""What twistd does with errors, done for people: one line on standard error and an exit code."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from twisted.application.service import IService, MultiService
from twisted.python import usage

from p2pshare.errors import ConfigError, P2PShareError

USAGE = 2  # exit codes, those of the command line
ERROR = 1


class DaemonOptions(usage.Options):
    """
    Options of a twistd plugin.

    A mistake in them is a UsageError for whoever reads them; as a subcommand of twistd, which would print its whole
    help first, it is one line and the end.
    """

    def parseOptions(self, options: Sequence[str] | None = None) -> None:
        try:
            super().parseOptions(options)
        except usage.UsageError as error:
            if self.parent is None:
                raise
            say_and_exit(error, USAGE)


class Started(MultiService):
    """
    Starts one service for twistd; if it cannot start, that is one line and the end, too.

    In the background it is an error instead, which twistd itself tells the terminal it was started from, and which
    takes its pid file away.
    """

    def __init__(self, service: IService, twistd: Mapping[str, Any]) -> None:
        """
        Wrap a service.

        :param twistd: the options of twistd itself.
        """
        super().__init__()
        self._in_background = not twistd.get("nodaemon", True)
        service.setServiceParent(self)

    def privilegedStartService(self) -> None:
        try:
            super().privilegedStartService()
        except P2PShareError as error:
            if self._in_background:
                raise
            say_and_exit(error, ERROR)

    def startService(self) -> None:
        try:
            super().startService()
        except P2PShareError as error:
            if self._in_background:
                raise
            say_and_exit(error, ERROR)


def say_and_exit(error: Exception, code: int) -> NoReturn:
    """End the process before its reactor runs."""
    # Not sys.stderr, which twistd has by then replaced with its log.
    stream = sys.__stderr__ or sys.stderr
    print(f"{sys.argv[0].rpartition('/')[2]}: {error}", file=stream)
    raise SystemExit(USAGE if isinstance(error, ConfigError) else code)
