"""StartRemotePeers: start every peer of a PeerInfo.cfg, in its order, on its host or all on this machine."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from pathlib import Path

from p2pshare.course.config import PeerInfo, PeerLine
from p2pshare.errors import ConfigError

Start = Callable[[Sequence[str]], object]  # starts a program with these words, and does not wait for it


def start_peers(
    info: PeerInfo, folder: str, program: Sequence[str], start: Start, *, local: bool = False, ssh: str = "ssh"
) -> None:
    """
    Start all peers.

    :param folder: the working directory, the same on every host.
    :param program: what ``peerProcess`` is called there, and its options; the id follows.
    :param start: is told the words of one command after the other.
    :param local: as processes of this machine, whatever the hosts are.
    :raise ConfigError: a host name would be taken for something else.
    """
    for peer in info.peers:
        if not local and peer.host.startswith("-"):
            raise ConfigError(f"{info.source}: host {peer.host!r} of peer {peer.id}, expected a host name")
    for peer in info.peers:
        start(_here(peer, program) if local else _there(peer, folder, program, ssh))


def _here(peer: PeerLine, program: Sequence[str]) -> list[str]:
    return [*program, str(peer.id)]


def _there(peer: PeerLine, folder: str, program: Sequence[str], ssh: str) -> list[str]:
    """Write the assignment's line: ssh hands what follows the host to a shell, so its words are quoted for one."""
    return [ssh, peer.host, f"cd {shlex.quote(folder)} ; {shlex.join([*program, str(peer.id)])}"]


def working_folder(path: Path) -> str:
    """
    Name a folder in the way that means the same on every host.

    :raise ConfigError: it is not there.
    """
    if not path.is_dir():
        raise ConfigError(f"{path}: no such folder, expected the working directory of a swarm")
    return str(path.resolve())
