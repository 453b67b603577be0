"""What lies in the folder when a torrent starts, and making it fit to download into."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from itertools import groupby

from p2pshare.errors import StorageError
from p2pshare.storage.files import ContentFiles, Place
from p2pshare.storage.layout import Parts
from p2pshare.storage.refusals import storage_error
from p2pshare.storage.signatures import Signature


def survey(files: ContentFiles, writable: bool) -> None:
    """
    Find out for every file what there is of it.

    :param writable: the missing rest is to be downloaded here, so a name that is taken by something else is an error.
        Otherwise such a thing counts as missing, and a file of another length for what it holds.
    :raise StorageError: a name is taken, or a folder cannot be looked into.
    """
    ours = [file for file, place in enumerate(files.places) if place is not Place.PAD]
    ours.sort(key=lambda file: _parent(files, file))
    for parent, group in groupby(ours, key=lambda file: _parent(files, file)):
        _survey_folder(files, parent, list(group), writable)


def prepare(files: ContentFiles) -> None:
    """
    Make what needs no download, the empty files, and find out whether the rest can be written.

    :raise StorageError: it cannot, or an empty file's name is taken.
    """
    lengths = files.geometry.file_lengths
    unfinished = [file for file, place in enumerate(files.places) if place in (Place.MISSING, Place.PART)]
    for file in unfinished:
        if not lengths[file]:
            files.try_writing(file)
            files.finish([file])
    first = next((file for file in unfinished if lengths[file]), None)
    if first is not None:
        files.try_writing(first)


def _parent(files: ContentFiles, file: int) -> Parts:
    return files.names[file].final[:-1]


def _survey_folder(files: ContentFiles, parent: Parts, group: list[int], writable: bool) -> None:
    folder = files.folder
    try:
        found = folder.look(parent, _names(files, group))
        for file in group:
            names = files.names[file]
            final, part = found.get(names.final[-1]), found.get(names.part[-1])
            length = files.geometry.file_lengths[file]
            if final is not None and (writable or stat.S_ISREG(final.st_mode)):
                if writable:
                    _insist(final, length, folder.full(names.final))
                    if part is not None and os.path.samestat(part, final):
                        # A crash came between giving the new name and taking the old.
                        folder.sync([parent])
                        folder.remove(names.part)
                files.found(file, Place.FINAL, Signature.of(final))
            elif part is not None and (writable or stat.S_ISREG(part.st_mode)):
                _insist(part, None, folder.full(names.part))
                files.found(file, Place.PART, Signature.of(part))
            else:
                files.places[file] = Place.MISSING
                files.signatures.pop(file, None)
    except OSError as error:
        raise storage_error(error, folder.full(parent)) from error


def _names(files: ContentFiles, group: Iterable[int]) -> Iterable[str]:
    for file in group:
        yield files.names[file].final[-1]
        yield files.names[file].part[-1]


def _insist(found: os.stat_result, length: int | None, path: str) -> None:
    """Refuse what cannot be the file: something else under its name, or a file of another length."""
    if stat.S_ISLNK(found.st_mode):
        raise StorageError(f"{path}: a symbolic link, and content is never reached through one; move it away")
    if not stat.S_ISREG(found.st_mode):
        raise StorageError(f"{path}: exists and is not a file; move it away or choose another folder")
    if length is not None and found.st_size != length:
        raise StorageError(
            f"{path}: exists and has {found.st_size} bytes, in the torrent {length}; "
            "move it away or choose another folder"
        )
