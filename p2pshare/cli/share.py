"""``p2pshare share``: a folder for everybody, from one process."""

from __future__ import annotations

import os
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click
from attrs import evolve
from click.core import ParameterSource
from twisted.application.service import IService
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.usage import UsageError

from p2pshare.addresses import Address
from p2pshare.cli.asking import chosen_index, index_option
from p2pshare.cli.notices import say, show_warnings
from p2pshare.cli.options import examples
from p2pshare.cli.running import run
from p2pshare.daemons import peer, tracker
from p2pshare.daemons.access import TOKEN_VARIABLE
from p2pshare.daemons.clock import make_monotonic
from p2pshare.daemons.content_server import reachable_host
from p2pshare.daemons.files import allow_many_files
from p2pshare.discovery.index_client import index_url
from p2pshare.web.token import make_or_read_token

_log = Logger()
_EVERYWHERE = ("0.0.0.0", "::")
_LOOPBACK = ("127.0.0.1", "::1", "localhost")


@click.command(
    "share",
    short_help="Share a folder until Ctrl-C.",
    epilog=examples(
        "p2pshare share ~/music --with-tracker",
        "p2pshare share ~/music --index http://10.0.0.1:8000",
    ),
)
@click.argument("folder", metavar="DIR", type=click.Path(exists=True, file_okay=False))
@index_option
@click.option("--with-tracker", is_flag=True, help="Run the tracker and its index here, too.")
@click.option("--bind", default="0.0.0.0", show_default=True, metavar="ADDR", help="Where that tracker listens.")
@click.option(
    "--tracker-port", type=click.IntRange(0, 65535), default=8000, show_default=True, help="Its port; 0: any free one."
)
@click.option("--port", type=click.IntRange(0, 65535), help="Listen for peers here. Default: 6881-6889, or any free.")
@click.option("--control-port", type=click.IntRange(0, 65535), help="For `p2pshare status` and the like.")
@click.option("--state-dir", type=click.Path(file_okay=False), help="Folder for this process alone.")
@click.pass_context
def command(
    ctx: click.Context,
    folder: str,
    index: str | None,
    with_tracker: bool,
    bind: str,
    tracker_port: int,
    port: int | None,
    control_port: int | None,
    state_dir: str | None,
) -> None:
    """
    Share everything in DIR, and what is put there later, until Ctrl-C. The files are only ever read.

    Each file is found by `p2pshare search` and fetched by `p2pshare get`. With --with-tracker nothing else has to run
    anywhere; on an address that others can reach, what writes to that index needs its token.
    """
    if with_tracker and ctx.get_parameter_source("index") is ParameterSource.COMMANDLINE:
        raise click.UsageError("--index and --with-tracker: only one of them can be given", ctx)
    more = {"port": port, "control-port": control_port, "state-dir": state_dir and str(Path(state_dir, "peer"))}
    show_warnings()
    make_monotonic(reactor)
    allow_many_files()

    def peer_at(base: str, token: str | None) -> IService:
        options = read_options(peer.Options(), {"share": folder, "index": base, **more})
        if token is not None:
            share = evolve(options.settings.share, index_token=token)
            options.settings = evolve(options.settings, share=share)
        return peer.makeService(options)

    if with_tracker:
        asked = {"bind": bind, "port": tracker_port, "state-dir": state_dir and str(Path(state_dir, "tracker"))}
        options = read_options(tracker.Options(), asked)
        service: Any = tracker.makeService(options)

        def our_index() -> tuple[str, str | None]:
            return reached_at(service.url, bind), None if bind in _LOOPBACK else token_of(options.state)

        run(lambda _: serve(folder, peer_at, our_index, service))
    else:
        base = chosen_index(ctx, index)
        run(lambda _: serve(folder, peer_at, lambda: (base, None)))


async def serve(
    folder: str,
    peer_at: Callable[[str, str | None], IService],
    index: Callable[[], tuple[str, str | None]],
    tracker_service: IService | None = None,
) -> None:
    """
    Run everything until this is cancelled, then stop it in order.

    :param index: tells where the index is, and its token if it is ours; asked once the tracker has begun.
    """
    running: list[IService] = []

    def start(service: IService) -> None:
        running.append(service)
        service.privilegedStartService()
        service.startService()

    try:
        if tracker_service is not None:
            start(tracker_service)
        base, token = index()
        start(peer_at(base, token))
        say(f"Sharing {folder}; stop with Ctrl-C. Others type:")
        say(f"    {advice(folder, base)}")
        await Deferred[Any]()
    except CancelledError:
        return  # being told to stop is how it ends well
    finally:
        for service in reversed(running):
            stopping = maybeDeferred(service.stopService)
            await stopping.addErrback(lambda failure: _log.failure("stopping", failure))


def advice(folder: str, index: str) -> str:
    """Say what others have to type to get what is shared: the only file, or a list of all."""
    names = [entry.name for entry in os.scandir(folder) if not entry.name.startswith(".")]
    if len(names) == 1 and os.path.isfile(os.path.join(folder, names[0])):
        return f"p2pshare get {shlex.quote(names[0])} --index {index}"
    return f"p2pshare search --index {index}"


def read_options(options: Any, asked: dict[str, Any]) -> Any:
    """
    Give a daemon its options as twistd would.

    :raise click.UsageError: they cannot be used.
    """
    words = [word for name, value in asked.items() if value is not None for word in (f"--{name}", str(value))]
    try:
        options.parseOptions(words)
    except UsageError as error:
        raise click.UsageError(str(error)) from error
    return options


def token_of(state: Path | None) -> str | None:
    """Give the token that an index of ours keeps beside its state; None: the environment says which it is."""
    if state is None or os.environ.get(TOKEN_VARIABLE):
        return None
    return make_or_read_token(state.parent)[0]


def reached_at(announce: str, bind: str) -> str:
    """
    Tell where the index of a tracker is, for us and for others alike.

    What listens everywhere is called by the address that others use: the index tells them to come where we came from.
    """
    base = index_url(announce)
    if bind not in _EVERYWHERE:
        return base
    return f"http://{Address(reachable_host(None), int(base.rpartition(':')[2]))}"
