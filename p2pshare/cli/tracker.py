"""``p2pshare tracker``: the tracker of ``twistd p2p-tracker``, in the foreground."""

from __future__ import annotations

import sys
from typing import Any

import click
from twisted.application.service import IService
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import (
    FilteringLogObserver,
    LogLevel,
    LogLevelFilterPredicate,
    globalLogBeginner,
    textFileLogObserver,
)
from twisted.python.usage import UsageError

from p2pshare.cli.options import examples
from p2pshare.cli.running import run
from p2pshare.daemons.tracker import Options, makeService


class ForeignOptions(click.Command):
    """A command whose options are those of a twistd plugin: read there, shown here."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the plugin's options as it writes them itself."""
        formatter.write_paragraph()
        formatter.write(Options().getUsage(width=formatter.width))


@click.command(
    "tracker",
    short_help="Run a tracker until Ctrl-C.",
    cls=ForeignOptions,
    context_settings={"ignore_unknown_options": True},
    options_metavar="[OPTIONS]",
    epilog=examples("p2pshare tracker", "p2pshare tracker --bind 10.0.0.1 --port 8000"),
)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED, metavar="")
@click.pass_context
def command(ctx: click.Context, arguments: tuple[str, ...]) -> None:
    """
    Run a tracker until Ctrl-C: it tells the peers of every torrent of each other.

    It is the same service as `twistd p2p-tracker`, which can run it in the background.
    """
    options = Options()
    try:
        options.parseOptions(list(arguments))
    except UsageError as error:
        raise click.UsageError(str(error), ctx) from error
    _log_to_standard_error()
    run(lambda reactor: serve(makeService(options)))


async def serve(service: IService) -> None:
    """
    Run a service until this is cancelled, then stop it in order.

    :raise P2PShareError: it cannot start: the port is taken, the state is another process's.
    """
    try:
        service.privilegedStartService()
        service.startService()
        await Deferred[Any]()
    except CancelledError:
        return  # being told to stop is how a tracker ends well
    finally:
        await maybeDeferred(service.stopService)


def _log_to_standard_error() -> None:
    shown = LogLevelFilterPredicate(defaultLogLevel=LogLevel.warn)
    shown.setLogLevelForNamespace("p2pshare", LogLevel.info)  # without Twisted's own factories and ports
    observer = FilteringLogObserver(textFileLogObserver(sys.stderr), [shown])
    globalLogBeginner.beginLoggingTo([observer], redirectStandardIO=False)
