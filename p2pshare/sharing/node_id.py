"""The name of a node at an index: made once, and kept."""

from __future__ import annotations

import os
import re
from pathlib import Path
from random import Random

from p2pshare.errors import StorageError

_ID = re.compile("peer_[0-9a-f]{11}")
_LONGEST = 100  # bytes of the file


def node_id(path: Path, random: Random) -> str:
    """
    Read the name of this node, or make one up. Blocks.

    :param path: the file that keeps it; only one process uses it at a time.
    :param random: a source that no other node shares.
    :raise StorageError: it cannot be read or written: another name at each start would leave the old one's files
        behind at the index.
    """
    try:
        with path.open("rb") as file:
            kept = file.read(_LONGEST).decode("ascii", "replace").strip()
    except FileNotFoundError:
        kept = ""
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
    if _ID.fullmatch(kept):
        return kept
    made = f"peer_{random.getrandbits(44):011x}"
    _write(path, f"{made}\n".encode())
    return made


def _write(path: Path, data: bytes) -> None:
    aside = path.with_name(f"{path.name}.new")
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with open(os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        aside.replace(path)
    except OSError as error:
        raise StorageError(f"{path}: {error.strerror}") from error
