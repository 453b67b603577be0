"""The names that uploads get on our disk, whatever strangers call them."""

from __future__ import annotations

import os
import unicodedata
from pathlib import Path

from p2pshare.paths import safe_component
from p2pshare.web.replies import Refused

_TWINS = 10_000  # different contents of one name

_KEPT = " -_."  # besides letters and digits
_NAME_BYTES, _EXTENSION_BYTES = 200, 16  # so that a number and our ".torrent" fit into the 255 of every disk


def safe_name(filename: str) -> str:
    """
    Make a name for a file on our disk of a stranger's: letters, digits, spaces and ``-_.``, without any folder.

    :raise Refused: nothing is left of it.
    """
    name = plain_name(filename.replace("\\", "/").rpartition("/")[2])
    if not name:
        raise Refused(400, "the file has no name that can be used: expected letters, digits, spaces, '-', '_' or '.'")
    return name


def plain_name(name: str) -> str:
    """Keep of a name what is safe and plain; a plain name stays as it is, and of some names nothing is left."""
    name = unicodedata.normalize("NFC", name)  # accents that stand alone are no letters
    kept = "".join(letter for letter in name if letter.isalnum() or letter in _KEPT).strip().lstrip(". ")
    if not kept.strip(_KEPT):
        return ""
    stem, extension = os.path.splitext(kept)
    if len(kept.encode()) > _NAME_BYTES:
        extension = extension if len(extension.encode()) <= _EXTENSION_BYTES else ""
        kept = stem.encode()[: _NAME_BYTES - len(extension.encode())].decode("utf-8", "ignore").rstrip(". ") + extension
    return safe_component(kept.encode())  # what else disks refuse, as reserved names


def free_name(folder: Path, name: str) -> str:
    """
    Find a name that nothing in a folder has: the one wanted, or with a number before its extension.

    :raise Refused: all numbers are taken.
    """
    stem, extension = os.path.splitext(name)
    for number in range(_TWINS):
        candidate = f"{stem}_{number}{extension}" if number else name
        if not os.path.lexists(folder / candidate):
            return candidate
    raise Refused(409, f"{name}: there are too many of that name")
