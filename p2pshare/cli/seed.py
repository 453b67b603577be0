"""``p2pshare seed``: give content that is on this machine to whoever asks."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import click
from twisted.internet import reactor

from p2pshare.bitfield import Bitfield
from p2pshare.cli.notices import notes, show_warnings
from p2pshare.cli.options import Tiers, examples, json_option, quiet_option
from p2pshare.cli.peer_options import open_session, peer_options, tell_about, with_trackers
from p2pshare.cli.progress import make_progress, mode
from p2pshare.cli.torrent_file import read_torrent
from p2pshare.cli.transfer import Terms, Transfer
from p2pshare.errors import VerificationFailed
from p2pshare.metainfo import Metainfo
from p2pshare.storage.content import found_at, locate_content

_FILES_SHOWN = 3  # of those that are wrong; verify names them all


@click.command(
    name="seed",
    short_help="Serve content until Ctrl-C.",
    epilog=examples(
        "p2pshare seed disk.img.torrent",
        "p2pshare seed disk.img.torrent --data /srv/images --port 6881",
    ),
)
@click.argument("torrent")
@click.option(
    "--data", metavar="PATH", help="The content, or the folder that holds it. Default: here, or beside TORRENT."
)
@peer_options
@json_option("Write progress as JSON lines.")
@quiet_option
@click.pass_context
def command(
    ctx: click.Context,
    torrent: str,
    data: str | None,
    trackers: Tiers,
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
    ever read. Trackers given with -t are asked besides those of the torrent.
    """
    content = with_trackers(ctx, read_torrent(torrent), trackers)
    place = _nearby(content, torrent) if data is None else locate_content(content, data)
    content = found_at(content, place)
    shown = mode(as_json, quiet)
    show_warnings()
    session = open_session(reactor, port=port, bind=bind, limit_up=limit_up, limit_down=limit_down)
    tell_about(ctx, content, session.port)
    swarm = session.add(content, place.parent, seed_only=True)
    terms = Terms(str(place), is_seed=True)
    try:
        Transfer(reactor, session, swarm, terms, make_progress(shown), say=notes(shown)).run()
    except VerificationFailed as error:
        raise VerificationFailed(
            f"{error}, in {_wrong(content, swarm.store.have)}; `p2pshare verify {torrent} {place}` tells more"
        ) from error


def _nearby(content: Metainfo, torrent: str) -> Path:
    """Look for the content in the present folder, then beside the torrent; complain about the former."""
    for folder in (Path(), Path(torrent).parent):
        if (folder / content.name).exists():
            return locate_content(content, folder)
    return locate_content(content, Path())


def _wrong(content: Metainfo, have: Bitfield) -> str:
    """Name the first files that have bytes in a piece that is missing or wrong."""
    geometry = content.geometry
    touched = {file: None for piece in have.missing() for file in geometry.files_of(piece)}
    names = [str(content.files[file]) for file in touched if not content.files[file].pad]
    more = len(names) - _FILES_SHOWN
    return ", ".join(islice(names, _FILES_SHOWN)) + (f" and {more} more" if more > 0 else "")
