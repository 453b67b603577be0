"""The programs of the course that have a name of their own are edges where errors end, as ``p2pshare`` is."""

from __future__ import annotations

from typing import Any

import click

from p2pshare.cli.exits import explain, report
from p2pshare.cli.signals import Terminated


class Program(click.Command):
    """A command that is a program by itself: turns what is raised in it into one line and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command; see exits.explain for what errors become."""
        try:
            return super().invoke(ctx)
        except (Exception, KeyboardInterrupt, Terminated) as error:
            explained = explain(error)
            if explained is None:
                raise
            message, code = explained
            report(message, code, ctx.meta)
            raise click.exceptions.Exit(code) from error
