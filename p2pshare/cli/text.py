"""``p2pshare text``: peers of a text swarm, whose tracker speaks JSON and whose peers speak lines."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path
from random import SystemRandom
from typing import Any

import click
from twisted.internet.defer import CancelledError, Deferred
from twisted.web.client import HTTPConnectionPool

from p2pshare.cli.course_edge import Program
from p2pshare.cli.notices import notes, show_warnings
from p2pshare.cli.options import Seconds, examples, quiet_option
from p2pshare.cli.progress import Mode
from p2pshare.cli.running import run
from p2pshare.discovery.address_policy import Zone
from p2pshare.discovery.zoned_agent import zoned_agent
from p2pshare.storage.workers import Workers
from p2pshare.textswarm.layout import Key
from p2pshare.textswarm.peer import TCPEndpoints, TextPeer
from p2pshare.textswarm.tracker import LOOK_UP_EVERY, TrackerFace, tracker_url

_TRACKER = "http://localhost:8000"

Work = Callable[[TextPeer], Awaitable[None]]


@click.group(
    "text",
    context_settings={"help_option_names": ["-h", "--help"]},
    short_help="Peers of a text swarm (JSON tracker, line protocol).",
    epilog=examples("p2pshare text seed example.txt", "p2pshare text download HASH example.txt 3 --port 6882"),
)
def command() -> None:
    """
    Share and fetch files in a text swarm.

    Its tracker is any `p2pshare tracker`, or another with /register, /get_peers and /status. No hashes are told in
    such a swarm: what comes is compared with nothing but itself.
    """


def _peer_options(function: Callable[..., Any]) -> Callable[..., Any]:
    for option in (
        quiet_option,
        click.option(
            "--folder", type=click.Path(path_type=Path), default=Path(), help="Where seed/ and downloadsPORT/ are."
        ),
        click.option("--bind", default="", metavar="ADDRESS", help="Listen on this address only."),
        click.option("--port", type=click.IntRange(0, 65535), help="Listen on this port; 0: on any."),
        click.option(
            "--lookup", type=Seconds(), default=LOOK_UP_EVERY, help="Time between two look-ups. Default: 60 s."
        ),
        click.option(
            "-t", "--tracker", default=_TRACKER, metavar="URL", show_default=True, help="Where peers find each other."
        ),
    ):
        function = option(function)
    return function


@command.command("seed", cls=Program, epilog=examples("p2pshare text seed example.txt --port 6881"))
@click.argument("file", type=click.Path(path_type=Path))
@click.option(
    "--hash",
    "key",
    type=click.Choice([key.value for key in Key]),
    default=Key.CONTENT.value,
    show_default=True,
    help="Make the hash of the content, or of the name alone as the first peers of this protocol do.",
)
@_peer_options
def seed(file: Path, key: str, quiet: bool, **place: Any) -> None:
    """Share FILE until Ctrl-C; says the hash and the number of pieces that others need."""
    say = notes(Mode.QUIET if quiet else Mode.PEOPLE)

    async def work(peer: TextPeer) -> None:
        torrent = await peer.seed(file, Key(key))
        say(f"{torrent.torrent_hash} {file.name} {torrent.num_pieces}")
        say(f"Serving on port {peer.port}. Fetch it: p2pshare text download HASH NAME PIECES, as above.")
        await _until_told()

    if place["port"] is None:
        place["port"] = 6881
    _run(work, **place)


@command.command("download", cls=Program, epilog=examples("p2pshare text download HASH out.txt 3 --port 6882"))
@click.argument("torrent_hash", metavar="HASH")
@click.argument("name")
@click.argument("count", type=int)
@click.option("--stay", is_flag=True, help="Serve the file until Ctrl-C once it is there.")
@_peer_options
def download(torrent_hash: str, name: str, count: int, stay: bool, quiet: bool, **place: Any) -> None:
    """Fetch the COUNT pieces of HASH from whoever has them, and put them together as NAME."""
    say = notes(Mode.QUIET if quiet else Mode.PEOPLE)

    async def work(peer: TextPeer) -> None:
        await peer.download(torrent_hash, name, count).finished
        say(f"{name}: {count} pieces, put together in downloads{peer.port}")
        if stay:
            await _until_told()

    _run(work, **place)


async def _until_told() -> None:
    """Go on until a signal comes, which is a good end."""
    try:
        await Deferred[None]()
    except CancelledError:
        return


def _run(work: Work, *, tracker: str, lookup: float, port: int | None, bind: str, folder: Path) -> None:
    url = tracker_url(tracker)
    show_warnings()

    async def task(reactor: Any) -> None:
        agent = zoned_agent(reactor, {zone: HTTPConnectionPool(reactor, persistent=False) for zone in Zone}, None, None)
        workers = Workers(reactor, name="text")
        ask = TrackerFace(url, agent, reactor).ask
        peer = TextPeer(folder, ask, reactor, TCPEndpoints(reactor, bind), SystemRandom(), workers.run, lookup)
        try:
            await peer.start(6882 if port is None else port)
            await work(peer)
        finally:
            await peer.exit()
            await workers.stop()

    run(task)
