"""``p2pshare create``: make a torrent file of a file or a folder."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import click
from attrs import evolve

from p2pshare import __version__
from p2pshare.cli.hashing import Hashing
from p2pshare.cli.options import (
    Size,
    Tiers,
    WebSeed,
    effective_trackers,
    examples,
    json_option,
    quiet_option,
    trackers_option,
)
from p2pshare.cli.progress import make_progress, mode
from p2pshare.cli.rest_tracker import announced, enter, faces
from p2pshare.cli.show import as_object
from p2pshare.cli.terminal import printable, write_json
from p2pshare.errors import MetainfoError, StorageError
from p2pshare.metainfo import Metainfo, dump, load
from p2pshare.storage import create as storage


@click.command(
    "create",
    short_help="Make a torrent of a file or a folder.",
    epilog=examples(
        "p2pshare create big.iso -t http://localhost:8000/announce",
        "p2pshare create photos/ -t http://a.example/announce,http://b.example/announce -o /tmp/",
        "p2pshare --tracker http://localhost:8000/api/tracker create big.iso --seed",
        "P2PSHARE_TRACKER=http://localhost:8000/announce p2pshare create big.iso --json",
    ),
)
@click.argument("path", metavar="PATH")
@trackers_option()
@click.option("-o", "--output", metavar="FILE", help="File to write, or folder for it [default: ./NAME.torrent].")
@click.option("-n", "--name", help="Name of the content, if not that of PATH.")
@click.option("-l", "--piece-length", type=Size(), help="Power of two from 16K to 64M [default: chosen by size].")
@click.option("-p", "--private", is_flag=True, help="Find peers through the trackers only (BEP 27).")
@click.option("-c", "--comment", metavar="TEXT", help="Comment that everybody can read.")
@click.option("-w", "--web-seed", "web_seeds", type=WebSeed(), multiple=True, help="URL of the content; repeatable.")
@click.option("-d", "--no-date", is_flag=True, help="Leave the date out: same content, same torrent file.")
@click.option("-f", "--force", is_flag=True, help="Overwrite a torrent file that says something else.")
@click.option("--seed", is_flag=True, help="Then seed it until Ctrl-C.")
@json_option("Print JSON, one object a line: progress, then what `show --json` prints.")
@quiet_option
@click.pass_context
def command(
    ctx: click.Context,
    path: str,
    trackers: Tiers,
    output: str | None,
    name: str | None,
    piece_length: int | None,
    private: bool,
    comment: str | None,
    web_seeds: tuple[str, ...],
    no_date: bool,
    force: bool,
    seed: bool,
    as_json: bool,
    quiet: bool,
) -> None:
    """
    Make a torrent of PATH, a file or a folder with everything in it, and print its info hash.

    Without -t the trackers of P2PSHARE_TRACKER are used. Symbolic links are left out. A torrent file that stands there
    already and says the same is left as it is; another one is overwritten only with --force.

    A tracker given as http://HOST:PORT/api/tracker gets the torrent as well, so that it can be found there; the
    torrent names its announce URL.
    """
    named = effective_trackers(ctx, trackers)
    settings = storage.CreateSettings(
        announce_tiers=announced(named),
        private=private,
        comment=comment,
        piece_length=piece_length,
        web_seeds=web_seeds,
        name=name,
        created_by=f"p2pshare {__version__}",
        creation_date=None if no_date else int(time.time()),
    )
    content_name = name or Path(os.path.abspath(path)).name
    target = _target(output, content_name)
    if not force:
        _refuse_other_things(target)
    progress = make_progress(mode(as_json, quiet), sys.stderr, transient=True)
    # As JSON, "complete" is said once, with the info hash.
    with Hashing(progress, content_name, "hashing", piece_length, is_all=not as_json) as shown:
        metainfo = storage.create(path, settings, shown)
    if not _is_there(target, metainfo):
        _write(target, dump(metainfo), force)
    services = faces(named)
    if services and not seed:
        enter(services, metainfo)
    if as_json:
        write_json({"event": "complete", "file": str(target), **as_object(metainfo)})
    elif not quiet:
        click.echo(f"Info hash  {metainfo.info_hash.hex()}")
        click.echo(f"Torrent    {printable(str(target))}")
        if not metainfo.announce_tiers:
            click.echo("It names no tracker, so nobody will find its peers; give one with -t URL.", err=True)
    if seed:
        from p2pshare.cli.create_seed import enter_and_seed  # late: it needs Twisted

        enter_and_seed(ctx, metainfo, path, services, mode(as_json, quiet))


def _target(output: str | None, name: str) -> Path:
    """Name the torrent file: in the folder or by the name that was given, else here and after the content."""
    if output is None:
        return Path(f"{name}.torrent")
    if output.endswith("/") or os.path.isdir(output):
        return Path(output, f"{name}.torrent")
    return Path(output)


def _refuse_other_things(target: Path) -> None:
    """Refuse before hours of hashing what would be refused after them: an existing file that is no torrent."""
    if os.path.lexists(target):
        try:
            load(target)
        except MetainfoError:
            raise StorageError(f"{target}: exists and is no torrent file; overwrite it with --force") from None


def _is_there(target: Path, metainfo: Metainfo) -> bool:
    """Whether the file says the same already, by whomever and whenever it was made."""
    try:
        existing = load(target)
    except MetainfoError:
        return False
    return evolve(existing, created_by=None, creation_date=None) == evolve(
        metainfo, created_by=None, creation_date=None
    )


def _write(target: Path, torrent: bytes, force: bool) -> None:
    """Write the torrent file, whole or not at all."""
    if force:
        draft = target.with_name(f".{target.name}.{os.getpid()}")
        _write_new(draft, torrent)
        try:
            draft.replace(target)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        return
    try:
        _write_new(target, torrent)
    except FileExistsError:
        raise StorageError(f"{target}: exists and is another torrent; overwrite it with --force") from None


def _write_new(path: Path, torrent: bytes) -> None:
    with path.open("xb") as file:
        try:
            file.write(torrent)
            file.flush()
        except OSError as error:
            path.unlink(missing_ok=True)
            raise OSError(error.errno, error.strerror, str(path)) from error
