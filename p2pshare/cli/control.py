"""``p2pshare add``, ``pause``, ``resume``, ``recheck`` and ``remove``: what a running peer daemon is told."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from p2pshare.cli.asking import Service, ask, read
from p2pshare.cli.exits import Ended, ExitCode
from p2pshare.cli.node import TORRENTS, Done, NodeTorrent, all_torrents, chosen, control_option
from p2pshare.cli.options import examples, json_option, quiet_option
from p2pshare.cli.running import run
from p2pshare.cli.sending import form_of, send
from p2pshare.cli.terminal import printable, write_json
from p2pshare.cli.torrent_file import read_torrent
from p2pshare.errors import IndexRefused

_Answers = list[tuple[str, Done | IndexRefused]]
_WHICH = "TORRENT is an info hash, the first eight digits of one or more, an exact name, or `all`."


@click.command(
    "add",
    short_help="Give torrents to a peer daemon.",
    epilog=examples(
        "p2pshare add disk.img.torrent",
        "p2pshare add *.torrent --control http://10.0.0.2:8081",
    ),
)
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@control_option
@json_option("Print one JSON object a line for each torrent.")
@quiet_option
def add(files: tuple[str, ...], control: str, as_json: bool, quiet: bool) -> None:
    """
    Have a running peer daemon fetch and seed what the torrent files say; it does so again after a restart.

    Content that is in its data folder already is checked and seeded. Exits with 4 when no daemon answers.
    """
    for file in files:
        read_torrent(file)  # or a typing error would be told by somebody else, in other words

    async def give(reactor: Any) -> _Answers:
        answers: _Answers = []
        for file in files:
            parcel = form_of("file", os.path.basename(file), Path(file).read_bytes())
            try:
                reply = await send(reactor, control, "POST", TORRENTS, parcel)
                answers.append((file, _as_done(reply, control)))
            except IndexRefused as error:
                answers.append((file, error))
        return answers

    _tell(run(give), as_json, quiet)


def _ordering(
    name: str, method: str, path: str, summary: str, explained: str, more: Sequence[str] = ()
) -> click.Command:
    """Make the command that tells the daemon one thing of some torrents."""

    def callback(torrents: tuple[str, ...], control: str, as_json: bool, quiet: bool) -> None:
        async def order(node: Service) -> _Answers:
            answers: _Answers = []
            for torrent in chosen((await all_torrents(node)).torrents, torrents):
                answers.append((torrent.name, await _order(node, method, path, torrent)))
            return answers

        _tell(ask(control, order), as_json, quiet)

    decorate: Iterable[Callable[[Any], Any]] = (
        click.argument("torrents", nargs=-1, required=True, metavar="TORRENT..."),
        control_option,
        json_option("Print one JSON object a line for each torrent."),
        quiet_option,
    )
    for each in reversed(list(decorate)):
        callback = each(callback)
    callback.__doc__ = f"{summary}\n\n{explained}\n\n{_WHICH} Exits with 4 when no daemon answers."
    lines = (f"p2pshare {name} disk.img", f"p2pshare {name} e1bc3ba8 --control http://10.0.0.2:8081", *more)
    return click.command(name, short_help=summary, epilog=examples(*lines))(callback)


async def _order(node: Service, method: str, path: str, torrent: NodeTorrent) -> Done | IndexRefused:
    try:
        reply = await node.ask(method, path.format(info_hash=torrent.info_hash))
    except IndexRefused as error:
        if error.status == 401:
            raise
        return error
    return read(reply, Done, node, "word about a torrent")


pause = _ordering(
    "pause",
    "POST",
    f"{TORRENTS}/{{info_hash}}/pause",
    "Stop torrents of a peer daemon for a while.",
    "They keep what they have, and their place after a restart.",
    ("p2pshare pause all",),
)
resume = _ordering(
    "resume",
    "POST",
    f"{TORRENTS}/{{info_hash}}/resume",
    "Go on with torrents that are paused.",
    "What is on disk is not hashed again, unless it has changed.",
    ("p2pshare resume all",),
)
recheck = _ordering(
    "recheck",
    "POST",
    f"{TORRENTS}/{{info_hash}}/recheck",
    "Hash everything again that torrents have on disk.",
    "Pieces that are wrong are fetched again.",
)
remove = _ordering(
    "remove",
    "DELETE",
    f"{TORRENTS}/{{info_hash}}",
    "Take torrents from a peer daemon.",
    "Their files stay where they are.",
)


def _as_done(reply: Any, control: str) -> Done:
    if isinstance(reply, dict) and isinstance(reply.get("info_hash"), str) and isinstance(reply.get("name"), str):
        return Done(reply["info_hash"], reply["name"], str(reply.get("message", "")))
    raise Ended(f"{control}: answers, but not as a peer daemon does", ExitCode.NOBODY_FOUND)


def _tell(answers: _Answers, as_json: bool, quiet: bool) -> None:
    """
    Say what became of each.

    :raise Ended: something was refused; what, was said before, unless it is all there is to say.
    """
    refusals = [(what, answer) for what, answer in answers if isinstance(answer, IndexRefused)]
    for _, answer in answers:
        if isinstance(answer, Done) and as_json:
            write_json({"info_hash": answer.info_hash, "name": answer.name, "message": answer.message})
        elif isinstance(answer, Done) and not quiet:
            click.echo(printable(f"{answer.name}: {answer.message}"))
    if not answers and not as_json and not quiet:
        click.echo("the daemon has no torrents", err=True)
    if refusals:
        raise Ended("; ".join(f"{what}: {refusal}" for what, refusal in refusals), ExitCode.ERROR)
