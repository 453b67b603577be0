"""The command line as a whole: finds the subcommand, and is the edge where every error ends."""

from __future__ import annotations

import errno
import sys
from collections.abc import Callable
from importlib import import_module
from types import ModuleType
from typing import Any

import click

from p2pshare import __version__
from p2pshare.cli.exits import explain, report
from p2pshare.cli.options import Defaults, trackers_option
from p2pshare.cli.signals import Terminated
from p2pshare.cli.terminal import never_fail_to_encode

# In the order of the help. A module is imported when its command is asked for: `p2pshare show` needs no Twisted. The
# command is called ``command`` there, unless another name stands behind a colon.
_COMMANDS = {
    "create": "p2pshare.cli.create",
    "seed": "p2pshare.cli.seed",
    "download": "p2pshare.cli.download",
    "share": "p2pshare.cli.share",
    "search": "p2pshare.cli.search",
    "get": "p2pshare.cli.get",
    "list": "p2pshare.cli.listing",
    "peers": "p2pshare.cli.peers",
    "show": "p2pshare.cli.show",
    "verify": "p2pshare.cli.verify",
    "scrape": "p2pshare.cli.scrape",
    "tracker": "p2pshare.cli.tracker",
    "status": "p2pshare.cli.status",
    "top": "p2pshare.cli.top",
    "add": "p2pshare.cli.control:add",
    "pause": "p2pshare.cli.control:pause",
    "resume": "p2pshare.cli.control:resume",
    "recheck": "p2pshare.cli.control:recheck",
    "remove": "p2pshare.cli.control:remove",
    "course": "p2pshare.cli.course",
    "text": "p2pshare.cli.text",
    "demo": "p2pshare.cli.demo",
}


class CommandLine(click.Group):
    """Loads subcommands by name, and turns what they raise into one line and an exit code."""

    load: Callable[[str], ModuleType] = staticmethod(import_module)  # how to import the module of a subcommand

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Name the commands in the order a newcomer needs them."""
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Load the module that has the command of this name."""
        place = _COMMANDS.get(cmd_name)
        if place is None:
            return None
        module, _, attribute = place.partition(":")
        command: click.Command = getattr(self.load(module), attribute or "command")
        return command

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; see exits.explain for what errors become."""
        try:
            result = super().invoke(ctx)
            if sys.stdout is not None:
                sys.stdout.flush()  # a full disk or a closed pipe shows here, not in the interpreter's last breath
            return result
        except (Exception, KeyboardInterrupt, Terminated) as error:
            if isinstance(error, OSError) and error.errno == errno.EPIPE:
                raise  # whoever read our output has gone: click ends with 1, and there is nobody to tell
            explained = explain(error)
            if explained is None:
                raise
            message, code = explained
            report(message, code, ctx.meta)
            raise click.exceptions.Exit(code) from error


@click.command(
    cls=CommandLine,
    name="p2pshare",
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Exit codes: 0 ok, 1 error, 2 wrong usage, 3 timed out, 4 no tracker or no peers, 5 disk full, "
    "6 verification failed, 7 stopped before it was finished, 130 Ctrl-C.",
)
@trackers_option(envvar="P2PSHARE_TRACKER", show_envvar=True)
@click.version_option(__version__, "--version", "-V", message="%(prog)s %(version)s")
@click.pass_context
def cli(ctx: click.Context, trackers: tuple[tuple[str, ...], ...]) -> None:
    """
    Share files over BitTorrent: tracker, seeder and peer in one program.

    \b
    On one machine:     p2pshare tracker
    Where the file is:  p2pshare create FILE -t http://HOST:8000/announce
                        p2pshare seed FILE.torrent
    Everywhere else:    p2pshare download FILE.torrent

    Any BitTorrent client can join. `p2pshare demo` shows it on this machine; `p2pshare COMMAND -h` explains a command,
    with examples.
    """
    ctx.obj = Defaults(trackers=trackers)


def run(load: Callable[[str], ModuleType]) -> None:
    """
    Run the command line of this process, and exit.

    :param load: imports the module of a subcommand.
    """
    never_fail_to_encode()
    cli.load = load
    cli(prog_name="p2pshare")
