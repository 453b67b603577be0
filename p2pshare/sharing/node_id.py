"""The name of a node at an index: made once, and kept."""

from __future__ import annotations

import re
from pathlib import Path
from random import Random

from p2pshare.errors import StorageError
from p2pshare.storage.small_file import write_whole

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
    write_whole(path, f"{made}\n".encode())
    return made
