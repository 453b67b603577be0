"""``p2pshare peers``: the nodes of an index, or who is in one swarm."""

from __future__ import annotations

from typing import Any

import click

from p2pshare.addresses import Address
from p2pshare.cli.asking import Service, ask, chosen_index, index_option, read
from p2pshare.cli.found import NODES, FoundNode, FoundPeer
from p2pshare.cli.options import examples, json_option
from p2pshare.cli.tables import Column, write_table
from p2pshare.cli.terminal import printable, write_json

NODE_COLUMNS = (
    Column("ADDRESS"),
    Column("STATE"),
    Column("FILES", is_number=True),
    Column("LAST SEEN"),
    Column("ID", is_flexible=True),
)
PEER_COLUMNS = (Column("ADDRESS"), Column("STATE"), Column("LAST SEEN"), Column("PEER ID", is_flexible=True))


@click.command(
    "peers",
    short_help="List the nodes of an index, or the peers of a torrent.",
    epilog=examples(
        "p2pshare peers --index http://10.0.0.1:8000",
        "p2pshare peers e1bc3ba85b832a12e5537300fa1def22727f330e --json",
    ),
)
@click.argument("info_hash", required=False)
@index_option
@json_option("Print one JSON object a line for each, as the service has it.")
@click.pass_context
def command(ctx: click.Context, info_hash: str | None, index: str | None, as_json: bool) -> None:
    """
    List the nodes that share files, those online first; with INFO_HASH, who announced to that swarm lately.

    Exits with 4 when nobody answers.
    """
    base = chosen_index(ctx, index)
    path = NODES if info_hash is None else f"/api/tracker/peers/{info_hash}"
    shape: Any = list[FoundNode] if info_hash is None else list[FoundPeer]

    async def look(service: Service) -> tuple[list[dict[str, Any]], list[Any]]:
        reply = await service.ask("GET", path) or []
        raw = read(reply, list[dict[str, Any]], service, "list of peers")
        return raw, read(raw, shape, service, "list of peers")

    raw, peers = ask(base, look)
    if as_json:
        for each in raw:
            write_json(each)
    elif peers and info_hash is None:
        write_table(NODE_COLUMNS, map(_node_row, peers))
    elif peers:
        write_table(PEER_COLUMNS, map(_peer_row, peers))
    if not peers:
        what = "no node" if info_hash is None else "nobody in this swarm"
        click.echo(printable(f"{base} knows {what}"), err=True)


def _node_row(node: FoundNode) -> tuple[str, ...]:
    state = "online" if node.is_online else "offline"
    return str(Address(node.address, node.port)), state, str(node.shared_files), _moment(node.last_seen), node.id


def _peer_row(peer: FoundPeer) -> tuple[str, ...]:
    state = "seed" if peer.is_seeder else "leech"
    return str(Address(peer.ip_address, peer.port)), state, _moment(peer.last_announce), peer.peer_id


def _moment(text: str) -> str:
    """Cut a time (RFC 3339) to what people read: day and time, in UTC as it came."""
    return text[:19].replace("T", " ") or "-"
