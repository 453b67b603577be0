"""``p2pshare show``: what a torrent file says."""

from __future__ import annotations

from datetime import UTC, datetime

import click

from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.options import examples, json_option
from p2pshare.cli.terminal import printable, write_json
from p2pshare.cli.torrent_file import content_length, read_torrent, shown_files
from p2pshare.errors import MetainfoError
from p2pshare.metainfo import Metainfo
from p2pshare.rates import format_size


@click.command(
    "show",
    short_help="Show what torrent files say.",
    epilog=examples("p2pshare show big.iso.torrent", "p2pshare show --json *.torrent | jq .name"),
)
@click.argument("files", metavar="FILE...", nargs=-1, required=True)
@json_option("Print one JSON object a line, one for each file.")
def command(files: tuple[str, ...], as_json: bool) -> None:
    """
    Show what torrent files say: name, info hash, size, trackers, files.

    Exits with 1 if any of them is not a usable torrent file; the others are shown all the same.
    """
    if len(files) == 1:
        _show(files[0], read_torrent(files[0]), as_json)
        return
    bad = 0
    for number, path in enumerate(files):
        try:
            metainfo = read_torrent(path)
        except MetainfoError as error:
            bad += 1
            click.echo(f"p2pshare: {printable(str(error))}", err=True)
            if as_json:
                write_json({"file": path, "error": str(error)})
            continue
        if number and not as_json:
            click.echo()
        _show(path, metainfo, as_json)
    if bad:
        raise Ended(f"{bad} of {len(files)} files cannot be used", ExitCode.ERROR)


def _show(path: str, metainfo: Metainfo, as_json: bool) -> None:
    if as_json:
        write_json({"file": path, **as_object(metainfo)})
        return
    for name, value in _rows(metainfo):
        click.echo(f"{name:<11}{printable(value)}")
    click.echo("Files")
    for file, entry in shown_files(metainfo):
        click.echo(f"{format_size(entry.length):>12}  {printable(file)}")


def as_object(metainfo: Metainfo) -> dict[str, object]:
    """Put a torrent into an object for programs; keys and their meaning are promised to them."""
    return {
        "name": metainfo.name,
        "info_hash": metainfo.info_hash.hex(),
        "total_length": content_length(metainfo),
        "piece_length": metainfo.piece_length,
        "pieces_total": metainfo.num_pieces,
        "private": metainfo.private,
        "trackers": metainfo.announce_tiers,
        "web_seeds": metainfo.web_seeds,
        "comment": metainfo.comment,
        "created_by": metainfo.created_by,
        "creation_date": metainfo.creation_date,
        "files": [{"path": path, "length": entry.length} for path, entry in shown_files(metainfo)],
    }


def _rows(metainfo: Metainfo) -> list[tuple[str, str]]:
    count = len(shown_files(metainfo))
    length = content_length(metainfo)
    rows = [
        ("Name", metainfo.name),
        ("Info hash", metainfo.info_hash.hex()),
        ("Size", f"{format_size(length)} ({length:,} bytes) in {count} {'file' if count == 1 else 'files'}"),
        ("Pieces", f"{metainfo.num_pieces} of {format_size(metainfo.piece_length)}"),
    ]
    if metainfo.private:
        rows.append(("Private", "yes: peers come from its trackers only"))
    rows += [("Tracker", "  or  ".join(tier)) for tier in metainfo.announce_tiers]
    rows += [("Web seed", url) for url in metainfo.web_seeds]
    if metainfo.comment:
        rows.append(("Comment", metainfo.comment))
    made = _made(metainfo)
    if made:
        rows.append(("Created", made))
    return rows


def _made(metainfo: Metainfo) -> str:
    parts = []
    if metainfo.creation_date is not None:
        parts.append(f"{datetime.fromtimestamp(metainfo.creation_date, UTC):%Y-%m-%d %H:%M:%S} UTC")
    if metainfo.created_by:
        parts.append(f"by {metainfo.created_by}")
    return " ".join(parts)
