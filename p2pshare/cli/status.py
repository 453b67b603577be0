"""``p2pshare status``: how a peer daemon and its torrents stand."""

from __future__ import annotations

from typing import Any

import click
import msgspec
from attrs import asdict

from p2pshare.cli.asking import Service, ask
from p2pshare.cli.node import TORRENT_COLUMNS, NodeTorrents, all_torrents, chosen, control_option, torrent_row
from p2pshare.cli.options import examples, json_option
from p2pshare.cli.tables import write_table
from p2pshare.cli.terminal import printable, write_json
from p2pshare.errors import IndexRefused
from p2pshare.rates import format_rate


@click.command(
    "status",
    short_help="Show the torrents of a peer daemon.",
    epilog=examples(
        "p2pshare status",
        "p2pshare status disk.img --json",
        "p2pshare status --control http://10.0.0.2:8081",
    ),
)
@click.argument("torrents", nargs=-1, metavar="[TORRENT]...")
@control_option
@json_option("Print one JSON object a line for each torrent.")
def command(torrents: tuple[str, ...], control: str, as_json: bool) -> None:
    """
    Show how the torrents of a running peer daemon stand: all, or those named.

    In a pipe, lines have tabs between: name, state, done, size, down, up, peers, eta, id.
    Exits with 4 when no daemon answers.
    """

    async def look(node: Service) -> tuple[NodeTorrents, Any]:
        return await all_torrents(node), await _info(node)

    seen, info = ask(control, look)
    shown = chosen(seen.torrents, torrents) if torrents else list(seen.torrents)
    if as_json:
        for torrent in shown:
            write_json(asdict(torrent))
        return
    if shown:
        write_table(TORRENT_COLUMNS, map(torrent_row, shown))
    if not torrents:
        click.echo(printable(summary(seen, info)), err=True)


async def _info(node: Service) -> dict[str, Any]:
    """Ask who it is; a daemon that does not tell is as good."""
    try:
        return msgspec.convert(await node.ask("GET", "/api/v1/info"), dict[str, Any])
    except (IndexRefused, msgspec.ValidationError):
        return {}


def summary(seen: NodeTorrents, info: dict[str, Any]) -> str:
    """Say in one line how all stands."""
    parts = [
        f"{seen.total} torrent{'' if seen.total == 1 else 's'}",
        f"down {format_rate(seen.down_rate)}",
        f"up {format_rate(seen.up_rate)}",
    ]
    shared, port, index = info.get("shared_files"), info.get("peer_port"), info.get("super_peer")
    if isinstance(shared, int) and shared:
        parts.append(f"{shared} shared file{'' if shared == 1 else 's'}")
    if isinstance(port, int) and port:
        parts.append(f"peers connect to port {port}")
    if isinstance(index, str) and index:
        parts.append(f"{'registered' if info.get('is_registered') else 'not registered'} at {index}")
    return ", ".join(parts)
