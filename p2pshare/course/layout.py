"""Where things lie in the working directory of a course swarm."""

from __future__ import annotations

from pathlib import Path

from p2pshare.course.config import COMMON, PEER_INFO, Common, PeerInfo, PeerLine, read_common, read_peer_info
from p2pshare.errors import ConfigError


def peer_folder(folder: Path, id: int) -> Path:
    """Name the folder of a peer: it holds the file, complete or partial."""
    return folder / f"peer_{id}"


def log_file(folder: Path, id: int) -> Path:
    """Name the log of a peer."""
    return folder / f"log_peer_{id}.log"


def read_config(folder: Path) -> tuple[Common, PeerInfo]:
    """
    Read both configuration files.

    :raise ConfigError: one of them is missing or wrong.
    """
    return read_common(folder / COMMON), read_peer_info(folder / PEER_INFO)


def check_start(folder: Path, common: Common, peer: PeerLine) -> None:
    """
    Make sure that a peer which is said to have the file has it, of the right size.

    :raise ConfigError: it has not.
    """
    if not peer.has_file:
        return
    path = peer_folder(folder, peer.id) / common.file_name
    try:
        size = path.stat().st_size if path.is_file() else None
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}") from error
    if size is None:
        raise ConfigError(f"{path}: no such file, expected the complete file of a peer that {PEER_INFO} gives a 1")
    if size != common.file_size:
        raise ConfigError(f"{path}: {size} bytes, expected {common.file_size}, the FileSize of {COMMON}")
