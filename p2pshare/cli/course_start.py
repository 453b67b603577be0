"""``StartRemotePeers``: start all peers of a course swarm, on their hosts or all here, and exit."""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import click

from p2pshare.cli.course_edge import Program
from p2pshare.cli.options import examples
from p2pshare.course.layout import read_config
from p2pshare.course.remote import start_peers, working_folder

_HERE = (sys.executable, "-m", "p2pshare.course")  # the same program, whatever $PATH is


@click.command(
    "StartRemotePeers",
    cls=Program,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=examples("StartRemotePeers", "StartRemotePeers --local", "StartRemotePeers --program 'java peerProcess'"),
)
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    default=Path(),
    help="The working folder, the same on every host. Default: here.",
)
@click.option("--local", is_flag=True, help="As processes of this machine, whatever hosts PeerInfo.cfg names.")
@click.option("--program", help="How a peer is started; its id follows. Default: peerProcess.")
@click.option("--ssh", default="ssh", show_default=True, help="What takes a host, and a command to run there.")
def command(folder: Path, local: bool, program: str | None, ssh: str) -> None:
    """
    Start every peer of PeerInfo.cfg in the order of its lines, with ssh on its host, and exit.

    Each host has to let you in without a password, and to have the working folder under the same name.
    """
    _, info = read_config(folder)
    words = _words(program) if program else list(_HERE if local else ("peerProcess",))
    place = working_folder(folder)
    start_peers(info, place, words, _starting_in(place), local=local, ssh=ssh)


def _starting_in(folder: str) -> Callable[[Sequence[str]], object]:
    """Start programs that outlive this one. They write where we write, and read nothing."""

    def start(words: Sequence[str]) -> object:
        return subprocess.Popen(words, cwd=folder, stdin=subprocess.DEVNULL)

    return start


def _words(program: str) -> list[str]:
    try:
        return shlex.split(program)
    except ValueError as error:
        raise click.BadParameter(f"{program!r}: {error}", param_hint="--program") from None
