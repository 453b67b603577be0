"""Under which names the files of a torrent lie below the folder somebody chose for it."""

from __future__ import annotations

from attrs import frozen

from p2pshare.metainfo import Metainfo

PART = ".part"

Parts = tuple[str, ...]  # a path below the chosen folder, one component each


@frozen
class FileNames:
    """Where one file lies when it is whole, and where until then."""

    final: Parts
    part: Parts


def file_names(metainfo: Metainfo) -> tuple[FileNames, ...]:
    """
    Name every file of a torrent, pad files included: ``name`` alone, or ``name/path…`` when there are several.

    A torrent may hold both ``a`` and ``a.part``. Then the unfinished ``a`` gets one more ``.part``, so that no two
    files are ever written under one name; the same torrent always comes to the same names.
    """
    finals = [entry.path if metainfo.is_single else (metainfo.name, *entry.path) for entry in metainfo.files]
    # Folders count too. Compared as filesystems do that ignore case: one ".part" too many hurts nobody.
    taken = {
        _folded(final[:depth])
        for final in finals
        for depth, name in enumerate(final, start=1)
        if name.casefold().endswith(PART)
    }
    names = []
    for final in finals:
        part = (*final[:-1], final[-1] + PART)
        while taken and _folded(part) in taken:
            part = (*part[:-1], part[-1] + PART)
        if taken:
            taken.add(_folded(part))
        names.append(FileNames(final, part))
    return tuple(names)


def _folded(parts: Parts) -> Parts:
    return tuple(part.casefold() for part in parts)
