"""``p2pshare download``: fetch the content of a torrent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click
from twisted.internet import reactor

from p2pshare.addresses import Address, is_dialable, parse_address
from p2pshare.cli.hook import Hook
from p2pshare.cli.notices import notes, show_warnings
from p2pshare.cli.options import Seconds, Tiers, examples, json_option, quiet_option
from p2pshare.cli.peer_options import open_session, peer_options, strategy_options, tell_about, with_trackers
from p2pshare.cli.progress import make_progress, mode
from p2pshare.cli.rest_tracker import with_announce_urls
from p2pshare.cli.torrent_file import read_torrent
from p2pshare.cli.transfer import Terms, Transfer
from p2pshare.client.goal import SeedGoal, parse_goal
from p2pshare.errors import ConfigError


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


@click.command(
    name="download",
    short_help="Fetch the content of a torrent.",
    epilog=examples(
        "p2pshare download disk.img.torrent -o /srv/images",
        "p2pshare download disk.img.torrent --seed-until ratio=2 --limit-up 5M",
        "p2pshare download disk.img.torrent --peer 192.168.1.20:6881 --timeout 0",
        "p2pshare download disk.img.torrent --on-complete 'echo \"$P2P_NAME is at $P2P_PATH\"'",
    ),
)
@click.argument("torrent")
@click.option(
    "-o",
    "-d",
    "--output",
    "folder",
    type=click.Path(file_okay=False),
    default=".",
    help="Folder to put the content in.",
)
@click.option("--peer", "peers", type=PeerAddress(), multiple=True, help="A peer to ask besides those of the trackers.")
@click.option(
    "--seed-until",
    "goal",
    type=SeedUntil(),
    metavar="WHEN",
    default="none",
    show_default=True,
    help="Go on seeding when complete: none, forever, ratio=R (bytes given per byte of content) or time=T (10m, 2h).",
)
@click.option(
    "--timeout",
    type=Seconds(),
    default="60",
    show_default=True,
    help="Give up after so long without a new piece; 0: wait for ever.",
)
@click.option(
    "--on-complete",
    metavar="CMD",
    help="Run a shell command once, when the content is complete; it finds P2P_NAME, P2P_INFO_HASH and P2P_PATH set.",
)
@peer_options
@strategy_options
@json_option("Write progress as JSON lines.")
@quiet_option
@click.pass_context
def command(
    ctx: click.Context,
    torrent: str,
    folder: str,
    peers: tuple[Address, ...],
    goal: SeedGoal,
    timeout: float,
    on_complete: str | None,
    trackers: Tiers,
    port: int | None,
    bind: str | None,
    limit_up: int | None,
    limit_down: int | None,
    picker: str | None,
    choker: str | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """
    Download the content of TORRENT, verify every piece, and exit 0.

    What is there already is checked and kept; while a file is not complete it is called NAME.part. An existing file
    with other content is never overwritten. Trackers given with -t are asked besides those of the torrent.

    Exit codes: 3 when nothing arrived for the timeout, 4 when nobody was ever found, 5 when the disk is full.
    """
    content = with_announce_urls(with_trackers(ctx, read_torrent(torrent), trackers))
    shown = mode(as_json, quiet)
    path = Path(folder, content.name)
    hook = None
    if on_complete is not None:
        hook = Hook(on_complete, content, str(path.absolute()), to_errors=as_json)
    show_warnings()
    options = {"port": port, "bind": bind, "limit_up": limit_up, "limit_down": limit_down}
    session = open_session(reactor, picker=picker, choker=choker, **options)
    tell_about(ctx, content, session.port)
    swarm = session.add(content, Path(folder), peers=peers)
    terms = Terms(str(path), goal, timeout or None)
    Transfer(reactor, session, swarm, terms, make_progress(shown), say=notes(shown), hook=hook).run()
