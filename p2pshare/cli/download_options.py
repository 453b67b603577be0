"""What the commands have in common that fetch something: where it goes, from whom it comes, and when they are done."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, TypeVar

import click

from p2pshare.addresses import Address, is_dialable, parse_address
from p2pshare.cli.options import Seconds
from p2pshare.client.goal import SeedGoal, parse_goal
from p2pshare.errors import ConfigError
from p2pshare.policy.rankings import RANKINGS
from p2pshare.policy.strategies import STRATEGIES

_Command = TypeVar("_Command", bound=Callable[..., Any])


class PeerAddress(click.ParamType[Address]):
    """A peer's address."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read it, or end with exit code 2."""
        if isinstance(value, Address):
            return value
        try:
            address = parse_address(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)
        if not is_dialable(address):
            self.fail(f"address {value!r}: nobody can be reached there", param, ctx)
        return address


class SeedUntil(click.ParamType[SeedGoal]):
    """How long to seed afterwards."""

    name = "goal"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> SeedGoal:
        """Read it, or end with exit code 2."""
        if isinstance(value, SeedGoal):
            return value
        try:
            return parse_goal(value)
        except ConfigError as error:
            self.fail(str(error), param, ctx)


def download_options(command: _Command) -> _Command:
    """Add the options of a download."""
    for option in (
        click.option("--choker", metavar="NAME", help=f"Who is served first: {_offered(RANKINGS)}."),
        click.option("--picker", metavar="NAME", help=f"What to get first: {_offered(STRATEGIES)}."),
        click.option(
            "--timeout",
            type=Seconds(),
            default="60",
            show_default=True,
            help="Give up after so long without anything new; 0: wait for ever.",
        ),
        click.option(
            "--seed-until",
            "goal",
            type=SeedUntil(),
            metavar="WHEN",
            default="none",
            show_default=True,
            help="Go on seeding a torrent when complete: none, forever, ratio=R (bytes given per byte of content) or "
            "time=T (10m, 2h).",
        ),
        click.option(
            "--peer", "peers", type=PeerAddress(), multiple=True, help="A peer to ask besides those of the trackers."
        ),
        click.option(
            *("-o", "-d", "--output", "folder"),
            type=click.Path(file_okay=False),
            default=".",
            help="Folder to put it in. Default: here.",
        ),
    ):
        command = option(command)
    return command


def _offered(ours: Iterable[str]) -> str:
    first, *others = ours
    return f"{', '.join([f'{first} (default)', *others])}, or one that is installed"
