"""Turn the names a stranger's torrent gives into names that are safe to create on any disk, each used once."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Sequence

from p2pshare.errors import MetainfoError

COMPONENT_LIMIT = 240  # bytes; file systems allow 255, the rest is for our ".part" and for telling twins apart
DEPTH_LIMIT = 100  # as libtorrent; deeper trees are only ever made to break something
TWIN_LIMIT = 500  # as libtorrent; so many files of one name are no accident

_EXTENSION_LIMIT = 16  # bytes with the dot; a longer "extension" is part of a sentence, not a file type
_ORDINARY = re.compile(rb"[A-Za-z0-9_+=(\[#-](?:[A-Za-z0-9_+=()\[\]{}#,&'! .-]*[A-Za-z0-9_+=()\[\]{}#&'-])?")
_DRIVE = re.compile(r"^([A-Za-z]):")
# Device names of Windows: a file called so, with any extension, can be neither made nor removed there.
_RESERVED = re.compile(r"(?:con|prn|aux|nul|conin\$|conout\$|(?:com|lpt)[0-9¹²³])\ *(?:\.|$)", re.IGNORECASE)


def safe_component(raw: bytes) -> str:
    """
    Make one path component of a torrent a name that may be created in a folder.

    The result is printable, encodes as UTF-8 to 1–240 bytes, holds no separator, is never ``.`` or ``..``, and means
    the same on every file system. Bytes that are not UTF-8 stay legible as ``%XX``; what is already percent-encoded
    is left alone, because nobody decodes it later.
    """
    if len(raw) <= COMPONENT_LIMIT and _ORDINARY.fullmatch(raw):
        name = raw.decode("ascii")  # nearly every name: skip the walk over its characters
    else:
        decoded = raw.decode("utf-8", "surrogateescape")
        name = _DRIVE.sub(r"\1_", "".join(map(_safe_character, decoded)))
        name = _shortened(name, COMPONENT_LIMIT)
    if device := _RESERVED.match(name):
        stem = device.group().rstrip(" .")
        name = _shortened(f"{stem}_{name[len(stem) :]}", COMPONENT_LIMIT)
    return name or "_"


def safe_path(parts: Sequence[bytes]) -> tuple[str, ...]:
    """
    Make a file's path in a torrent safe, component by component; it can then not leave its folder.

    Empty components, ``.`` and ``..`` are dropped, so a file lies where other clients put it.

    :raise MetainfoError: it is deeper than 100 folders.
    """
    if len(parts) > DEPTH_LIMIT:
        raise MetainfoError(f"path: {len(parts)} components deep, not at most {DEPTH_LIMIT}")
    return tuple(safe_component(part) for part in parts if part not in (b"", b".", b"..")) or ("_",)


def distinct_paths(paths: Iterable[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """
    Rename files until no two share a place on disk: ``a.txt`` twice becomes ``a.txt`` and ``a.1.txt``.

    Names that differ only in case or in Unicode composition are twins, as some file systems see them. A file that has
    the name of a folder gives way.

    :raise MetainfoError: more than 500 files want the same name.
    """
    wanted = list(paths)
    folders: dict[tuple[int, str], int] = {}  # (number of the parent, folded name) -> number; 0 is the root
    parents = [_number_of_folder(path, folders) for path in wanted]
    taken: set[tuple[int, str]] = set(folders)
    tried: dict[tuple[int, str], int] = {}
    result = []
    for path, parent in zip(wanted, parents, strict=True):
        name, folded = path[-1], _folded(path[-1])
        first = (parent, folded)
        while (parent, folded) in taken:
            number = tried[first] = tried.get(first, 0) + 1
            if number > TWIN_LIMIT:
                raise MetainfoError(f"path: more than {TWIN_LIMIT} files want to be called {path[-1]!r}")
            name = _numbered(path[-1], number)
            folded = _folded(name)
        taken.add((parent, folded))
        result.append((*path[:-1], name))
    return result


def _safe_character(character: str) -> str:
    if character in "/\\":
        return "_"
    if character.isprintable():
        return character
    match unicodedata.category(character):
        case "Cf":  # bidirectional overrides, zero-width marks: names that look like other names
            return ""
        case "Cs":  # a byte that is no UTF-8, as surrogateescape hides it
            return f"%{ord(character) - 0xDC00:02X}"
        case "Cc" | "Zl" | "Zp":
            return "_"
        case _:  # other spaces, private use, letters newer than this Python: harmless
            return character


def _shortened(name: str, limit: int) -> str:
    """Cut ``name`` to ``limit`` bytes, keeping its extension; then drop the dots and spaces Windows would drop."""
    name = name.rstrip(" .")
    if len(name.encode()) <= limit:
        return name
    stem, extension = _split(name)
    room = limit - len(extension.encode())
    return stem.encode()[:room].decode("utf-8", "ignore").rstrip(" .") + extension


def _split(name: str) -> tuple[str, str]:
    stem, dot, extension = name.rpartition(".")
    if not stem or len(extension.encode()) >= _EXTENSION_LIMIT:
        return name, ""
    return stem, dot + extension


def _numbered(name: str, number: int) -> str:
    stem, extension = _split(name)
    return f"{stem}.{number}{extension}"


def _number_of_folder(path: tuple[str, ...], folders: dict[tuple[int, str], int]) -> int:
    parent = 0
    for component in path[:-1]:
        parent = folders.setdefault((parent, _folded(component)), len(folders) + 1)
    return parent


def _folded(name: str) -> str:
    if name.isascii():
        return name.lower()
    return unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold())
