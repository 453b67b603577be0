"""Pieces of which not one byte was ever written: a sparse file knows them, so they need no hashing."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from hashlib import sha1
from itertools import accumulate

from p2pshare.metainfo import Metainfo
from p2pshare.storage.files import ContentFiles, Place


def untouched(files: ContentFiles) -> set[int]:
    """
    Name the pieces that lie in holes of ``.part`` files; they read as zeros. Blocks its thread.

    A file that cannot be looked into counts as written all over: hashing it tells what is wrong.
    """
    holes: set[int] = set()
    written: set[int] = set()
    starts = accumulate(files.geometry.file_lengths, initial=0)
    for file, (place, start) in enumerate(zip(files.places, starts, strict=False)):  # one more: where the last ends
        if place is Place.PART:
            holes.update(files.geometry.pieces_of(file))
            for pieces in _written(files, file, start):
                written.update(pieces)
        elif place is Place.FINAL:
            written.update(files.geometry.pieces_of(file))
    return holes - written


def zero_pieces(metainfo: Metainfo, among: set[int]) -> set[int]:
    """Name those pieces of a torrent that are nothing but zeros, so that a hole is as good as their bytes."""
    geometry = metainfo.geometry
    digests = {size: sha1(bytes(size)).digest() for size in {geometry.piece_size(piece) for piece in among}}
    return {piece for piece in among if metainfo.piece_hash(piece) == digests[geometry.piece_size(piece)]}


def _written(files: ContentFiles, file: int, start: int) -> Iterator[range]:
    """Name runs of pieces with bytes of the file, which starts there in the torrent, that may have been written."""
    pieces, length = files.geometry.pieces_of(file), files.geometry.file_lengths[file]
    size, disk = files.geometry.piece_length, files.folder.disk
    try:
        fd = files.open(file)
    except OSError:
        yield pieces
        return
    try:
        end = 0
        while end < length:
            begin = disk.seek(fd, end, os.SEEK_DATA)
            if begin >= length:
                return
            end = min(disk.seek(fd, begin, os.SEEK_HOLE), length)
            yield range((start + begin) // size, (start + end - 1) // size + 1)
    except OSError as error:
        if error.errno != errno.ENXIO:  # that one says: only a hole from here to the end
            yield pieces
    finally:
        disk.close(fd)
