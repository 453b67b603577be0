"""A peer daemon that runs, as commands see it through its control port; see docs/http-api.md for the routes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import click
from attrs import frozen

from p2pshare.cli.asking import Service, ServiceURL, read
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.tables import Column
from p2pshare.rates import format_duration, format_rate, format_size

CONTROL_VARIABLE = "P2PSHARE_CONTROL"
DEFAULT_CONTROL = "http://127.0.0.1:8081"
TORRENTS = "/api/v1/torrents"
ALL = "all"

TORRENT_COLUMNS = (
    Column("NAME", is_flexible=True),
    Column("STATE"),
    Column("DONE", is_number=True),
    Column("SIZE", is_number=True, is_extra=True),
    Column("DOWN", is_number=True),
    Column("UP", is_number=True),
    Column("PEERS", is_number=True),
    Column("ETA", is_number=True),
    Column("ID"),
)
SHORT_HASH = 8  # digits of an info hash that are shown; at least as many name a torrent

_PAGE = 1000  # torrents in one answer
_MOST = 100_000  # torrents in all
_Command = TypeVar("_Command", bound=Callable[..., Any])


@frozen
class NodeTorrent:
    """A torrent of the daemon. Rates are bytes/second, ``eta`` seconds."""

    info_hash: str
    name: str
    state: str
    percent: float = 0.0
    size: int = 0
    down_rate: float = 0.0
    up_rate: float = 0.0
    ratio: float = 0.0
    peers: int = 0
    eta: float | None = None
    error: str | None = None
    of_shared_file: bool = False  # somebody fetches it just now; what is done with torrents is not for it


@frozen
class NodeTorrents:
    """Some of its torrents, how many there are, and the rates of all."""

    torrents: tuple[NodeTorrent, ...]
    total: int = 0
    down_rate: float = 0.0
    up_rate: float = 0.0


@frozen
class Done:
    """What became of a torrent."""

    info_hash: str
    name: str
    message: str = ""


def control_option(command: _Command) -> _Command:
    """Add ``--control``."""
    return click.option(
        "--control",
        type=ServiceURL(),
        envvar=CONTROL_VARIABLE,
        show_envvar=True,
        default=DEFAULT_CONTROL,
        show_default=True,
        metavar="URL",
        help="The control port of the peer daemon.",
    )(command)


async def all_torrents(node: Service) -> NodeTorrents:
    """Ask for every torrent, page by page."""
    torrents: list[NodeTorrent] = []
    while True:
        query = {"limit": _PAGE, "offset": len(torrents)}
        page = read(await node.ask("GET", TORRENTS, query=query), NodeTorrents, node, "list of torrents")
        torrents += page.torrents
        if not page.torrents or len(torrents) >= min(page.total, _MOST):
            return NodeTorrents(tuple(torrents), page.total, page.down_rate, page.up_rate)


def chosen(torrents: Iterable[NodeTorrent], wanted: Sequence[str]) -> list[NodeTorrent]:
    """
    Find the torrents that people mean: by info hash, the beginning of one, or exact name; ``all`` is all but those of
    shared files.

    :raise Ended: one is unknown, or could be several.
    """
    known = list(torrents)
    found: dict[str, NodeTorrent] = {}
    for text in wanted:
        added = [torrent for torrent in known if not torrent.of_shared_file]
        for torrent in added if text == ALL else [_meant(known, text)]:
            found[torrent.info_hash] = torrent
    return list(found.values())


def _meant(torrents: Sequence[NodeTorrent], text: str) -> NodeTorrent:
    digits = text.lower()
    fits = [each for each in torrents if each.name == text]
    if not fits and len(digits) >= SHORT_HASH:
        fits = [each for each in torrents if each.info_hash.startswith(digits)]
    if not fits:
        raise Ended(f"{text}: no torrent of this daemon has this name or info hash", ExitCode.ERROR)
    if len(fits) > 1:
        hashes = ", ".join(each.info_hash for each in fits)
        raise Ended(f"{text}: is the name of several; give one of the info hashes {hashes}", ExitCode.USAGE)
    return fits[0]


def torrent_row(torrent: NodeTorrent) -> tuple[str, ...]:
    """Put one torrent into the columns."""
    return (
        torrent.name,
        torrent.state if torrent.error is None else f"{torrent.state}: {torrent.error}",
        f"{torrent.percent:.1f}%",
        format_size(torrent.size),
        format_rate(torrent.down_rate) if torrent.down_rate else "-",
        format_rate(torrent.up_rate) if torrent.up_rate else "-",
        str(torrent.peers),
        "-" if torrent.eta is None else format_duration(torrent.eta),
        torrent.info_hash[:SHORT_HASH],
    )
