"""``p2pshare download`` (or ``get``): fetch the content of a torrent."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from p2pshare.addresses import Address, parse_address
from p2pshare.cli.options import Seconds, examples, json_option, quiet_option
from p2pshare.cli.peer_options import make_session, peer_options
from p2pshare.cli.progress import make_progress, mode
from p2pshare.client.goal import SeedGoal, parse_goal
from p2pshare.errors import ConfigError
from p2pshare.metainfo import load


class _Peer(click.ParamType[Address]):
    """A peer's address."""

    name = "host:port"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Address:
        """Read it, or end with exit code 2."""
        if isinstance(value, Address):
            return value
        try:
            return parse_address(value)
        except ValueError as error:
            self.fail(str(error), param, ctx)


class _Goal(click.ParamType[SeedGoal]):
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
    epilog=examples(
        "p2pshare download disk.img.torrent -o /srv/images",
        "p2pshare download disk.img.torrent --seed-until ratio=2 --limit-up 5M",
        "p2pshare download disk.img.torrent --peer 192.168.1.20:6881 --timeout 0",
        "p2pshare download disk.img.torrent --on-complete 'echo \"$P2P_NAME is at $P2P_PATH\"'",
    ),
)
@click.argument("torrent", type=click.Path(dir_okay=False))
@click.option(
    "-o",
    "-d",
    "--output",
    "folder",
    type=click.Path(file_okay=False),
    default=".",
    help="Folder to put the content in.",
)
@click.option("--peer", "peers", type=_Peer(), multiple=True, help="A peer to ask besides those of the trackers.")
@click.option(
    "--seed-until",
    "goal",
    type=_Goal(),
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
@click.option("--on-complete", metavar="CMD", help="Run a shell command once, when the content is complete.")
@peer_options
@json_option("Write progress as JSON lines.")
@quiet_option
def command(
    torrent: str,
    folder: str,
    peers: tuple[Address, ...],
    goal: SeedGoal,
    timeout: float,
    on_complete: str | None,
    port: int | None,
    bind: str | None,
    limit_up: int | None,
    limit_down: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """
    Download the content of TORRENT, verify every piece, and exit 0.

    What is there already is checked and kept; while a file is not complete it is called NAME.part. An existing file
    with other content is never overwritten.

    Exit codes: 3 when nothing arrived for the timeout, 4 when nobody was ever found, 5 when the disk is full.
    """
    from twisted.internet import reactor

    from p2pshare.cli.transfer import Transfer, log_warnings

    metainfo = load(torrent)
    log_warnings()
    session = make_session(reactor, port=port, bind=bind, limit_up=limit_up, limit_down=limit_down)
    swarm = session.add(metainfo, Path(folder), peers=peers)
    Transfer(
        reactor,
        session,
        swarm,
        make_progress(mode(as_json, quiet)),
        goal,
        timeout=timeout or None,
        on_complete=on_complete,
        path=str((Path(folder) / metainfo.name).absolute()),
    ).run()
