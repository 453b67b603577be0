"""``p2pshare download``: fetch the content of a torrent."""

from __future__ import annotations

from pathlib import Path

import click
from twisted.internet import reactor

from p2pshare.addresses import Address
from p2pshare.cli.download_options import download_options
from p2pshare.cli.hook import Hook
from p2pshare.cli.notices import notes, show_warnings
from p2pshare.cli.options import Tiers, examples, json_option, quiet_option
from p2pshare.cli.peer_options import open_session, peer_options, tell_about, with_trackers
from p2pshare.cli.progress import make_progress, mode
from p2pshare.cli.rest_tracker import with_announce_urls
from p2pshare.cli.torrent_file import read_torrent
from p2pshare.cli.transfer import Terms, Transfer
from p2pshare.client.goal import SeedGoal


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
    "--on-complete",
    metavar="CMD",
    help="Run a shell command once, when the content is complete; it finds P2P_NAME, P2P_INFO_HASH and P2P_PATH set.",
)
@download_options
@peer_options
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
