"""``p2pshare seed``: give content that is on this machine to whoever asks."""

from __future__ import annotations

from pathlib import Path

import click

from p2pshare.cli.options import examples, json_option, quiet_option
from p2pshare.cli.peer_options import make_session, peer_options
from p2pshare.cli.progress import make_progress, mode
from p2pshare.client.goal import FOREVER
from p2pshare.metainfo import load
from p2pshare.storage.content import found_at, locate_content


@click.command(
    name="seed",
    epilog=examples(
        "p2pshare seed disk.img.torrent",
        "p2pshare seed disk.img.torrent --data /srv/images --port 6881",
    ),
)
@click.argument("torrent", type=click.Path(dir_okay=False))
@click.option(
    "--data", type=click.Path(), help="The content, or the folder that holds it. Default: here, or beside the torrent."
)
@peer_options
@json_option("Write progress as JSON lines.")
@quiet_option
def command(
    torrent: str,
    data: str | None,
    port: int | None,
    bind: str | None,
    limit_up: int | None,
    limit_down: int | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """
    Seed the content of TORRENT until Ctrl-C.

    The content is checked first; if a piece of it is wrong nothing is served, and the exit code is 6. It is only
    ever read.
    """
    from twisted.internet import reactor

    from p2pshare.cli.transfer import Transfer, log_warnings

    metainfo = load(torrent)
    place = locate_content(metainfo, data) if data is not None else _nearby(torrent)
    log_warnings()
    session = make_session(reactor, port=port, bind=bind, limit_up=limit_up, limit_down=limit_down)
    swarm = session.add(found_at(metainfo, place), place.parent, seed_only=True)
    Transfer(reactor, session, swarm, make_progress(mode(as_json, quiet)), FOREVER, path=str(place)).run()


def _nearby(torrent: str) -> Path:
    """Look for the content in the present folder, then beside the torrent; complain about the former."""
    metainfo = load(torrent)
    for folder in (Path(), Path(torrent).parent):
        if (folder / metainfo.name).exists():
            return locate_content(metainfo, folder)
    return locate_content(metainfo, Path())
