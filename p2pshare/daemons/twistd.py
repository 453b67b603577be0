"""What twistd does with errors and with its log, done for people: one line and an exit code, and no detail unasked."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

from twisted.application.service import IService, IServiceCollection, MultiService
from twisted.logger import (
    FilteringLogObserver,
    ILogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    textFileLogObserver,
)
from twisted.python import usage
from twisted.python.components import Componentized

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

    What twistd prints, for want of a file to log into, leaves the debug lines out: there is one for every connection.
    """

    def __init__(self, service: IService, twistd: Mapping[str, Any]) -> None:
        """
        Wrap a service.

        :param twistd: the options of twistd itself.
        """
        super().__init__()
        self._in_background = not twistd.get("nodaemon", True)
        self._prints = not self._in_background and not any(map(twistd.get, ("logfile", "logger", "syslog")))
        service.setServiceParent(self)

    def setServiceParent(self, parent: IServiceCollection) -> None:
        super().setServiceParent(parent)
        if self._prints and isinstance(parent, Componentized):  # the application, whose log has not begun yet
            parent.setComponent(ILogObserver, without_debug(textFileLogObserver(sys.stdout)))

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


def without_debug(observer: ILogObserver) -> ILogObserver:
    """Let an observer see what an operator wants to know."""
    return FilteringLogObserver(observer, [LogLevelFilterPredicate(defaultLogLevel=LogLevel.info)])


def say_and_exit(error: Exception, code: int) -> NoReturn:
    """End the process before its reactor runs."""
    # Not sys.stderr, which twistd has by then replaced with its log.
    stream = sys.__stderr__ or sys.stderr
    print(f"{sys.argv[0].rpartition('/')[2]}: {error}", file=stream)
    raise SystemExit(USAGE if isinstance(error, ConfigError) else code)
