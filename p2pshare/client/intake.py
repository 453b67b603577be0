"""What comes before a torrent can be added: its file is read, and its content looked for."""

from __future__ import annotations

from pathlib import Path

from attrs import frozen

from p2pshare.errors import MetainfoError, StorageError
from p2pshare.metainfo import Metainfo, load
from p2pshare.storage.content import Content, found_at, locate_content


@frozen
class Intake:
    """A torrent and the folder its content is in, or goes to: what Session.add() wants to know."""

    content: Metainfo
    folder: Path


def take_in(file: Path, data: Path) -> Intake:
    """
    Read a torrent file and decide where its content belongs. Blocks.

    Content that is complete is shared where and as it lies: in ``data`` under its name or its unsafe one, or in
    ``data`` itself. Otherwise it goes to ``data`` under its safe name.

    :raise MetainfoError: the file cannot be read or used; the message begins with its path.
    """
    try:
        content = load(file)
    except MetainfoError as error:
        start = f"{file}: "
        raise MetainfoError(start + str(error).removeprefix(start)) from error
    try:
        root = locate_content(content, data)
        found = found_at(content, root)
        if _is_whole(found, root):
            return Intake(found, root.parent)
    except (StorageError, OSError):
        pass  # nothing there that could be looked at; if that is in the way, the check at the start will say so
    return Intake(content, data)


def _is_whole(content: Metainfo, root: Path) -> bool:
    """Whether every file is there in its full length; what is in them is for the store to check."""
    with Content(content, root) as files:
        for index, entry in enumerate(content.files):
            status = None if entry.pad else files.status(index)
            if not entry.pad and (status is None or status.st_size != entry.length):
                return False
    return True
