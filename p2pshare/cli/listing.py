"""``p2pshare list``: the torrents that a tracker knows, and what else its index shares."""

from __future__ import annotations

from typing import Any

import click

from p2pshare.cli.asking import Service, ask, chosen_index, index_option, read
from p2pshare.cli.found import FILES, TORRENTS, FoundFile, FoundTorrent, as_file
from p2pshare.cli.options import examples, json_option
from p2pshare.cli.tables import Column, write_table
from p2pshare.cli.terminal import printable, write_json
from p2pshare.errors import IndexRefused
from p2pshare.rates import format_size

COLUMNS = (
    Column("NAME", is_flexible=True),
    Column("SIZE", is_number=True),
    Column("SEEDS", is_number=True),
    Column("LEECHES", is_number=True),
    Column("INFO HASH OR ID"),
)
_NOT_FOUND = 404
_Raw = list[dict[str, Any]]


@click.command(
    "list",
    short_help="List the torrents and files of a tracker.",
    epilog=examples(
        "p2pshare list",
        "p2pshare --tracker http://10.0.0.1:8000/api/tracker list",
        "p2pshare list --index http://10.0.0.1:8000 --limit 20 --json",
    ),
)
@index_option
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many of each.")
@json_option("Print one JSON object a line for each, as the service has it, with `kind`: torrent or file.")
@click.pass_context
def command(ctx: click.Context, index: str | None, limit: int, as_json: bool) -> None:
    """
    List the torrents that a tracker knows, the newest first, then the files of its index that have no torrent.

    `p2pshare get` fetches any of them. In a pipe, lines have tabs between: name, size, seeds, leeches, info hash or id.
    Exits with 4 when nobody answers.
    """
    base = chosen_index(ctx, index)

    async def look(service: Service) -> tuple[_Raw, list[FoundTorrent], _Raw, list[FoundFile]]:
        page: dict[str, object] = {"limit": limit}
        raw_torrents = await _pages(service, TORRENTS, page)
        torrents = read(raw_torrents, list[FoundTorrent], service, "list of torrents")
        known = {torrent.info_hash for torrent in torrents}
        raw_files = [
            each for each in await _pages(service, FILES, page) if as_file(each, service).info_hash not in known
        ]
        return raw_torrents, torrents, raw_files, [as_file(each, service) for each in raw_files]

    raw_torrents, torrents, raw_files, files = ask(base, look)
    if as_json:
        for raw in raw_torrents:
            write_json({"kind": "torrent", **raw})
        for raw in raw_files:
            write_json({"kind": "file", **raw})
    elif torrents or files:
        write_table(COLUMNS, [*map(_torrent_row, torrents), *map(_file_row, files)])
    if not torrents and not files:
        click.echo(printable(f"{base} knows no torrent and no file yet"), err=True)


async def _pages(service: Service, path: str, query: dict[str, object]) -> _Raw:
    """Ask for one list; a service that has no such face has nothing there."""
    try:
        reply = await service.ask("GET", path, query=query)
    except IndexRefused as error:
        if error.status != _NOT_FOUND:
            raise
        return []
    return read(reply or [], list[dict[str, Any]], service, "list")


def _torrent_row(torrent: FoundTorrent) -> tuple[str, ...]:
    size = format_size(torrent.file_size)
    return torrent.name, size, str(torrent.seeders), str(torrent.leechers), torrent.info_hash


def _file_row(file: FoundFile) -> tuple[str, ...]:
    return file.filename, format_size(file.size), "-", "-", file.id
